-- Leads that connectors bring: the version of the row that was taken last, sealed under the key of
-- its lead, by which a later one is compared. And the foreign keys, as keyed tokens, of leads whose
-- customer was erased: their rows may come again, and are not taken.
CREATE TABLE lead_rows (
    lead INTEGER NOT NULL PRIMARY KEY,
    source_revision INTEGER,
    source_time INTEGER,
    sealed BLOB NOT NULL
) STRICT;
CREATE TABLE erased_leads (
    token INTEGER NOT NULL PRIMARY KEY,
    erase_time INTEGER NOT NULL
) STRICT;
