-- Leads that connectors bring: the version of the row that was taken last, sealed under the key of
-- its lead, by which a later one is compared. And the foreign keys, as keyed tokens, of leads whose
-- customer was erased: their rows may come again, and are not taken.
CREATE TABLE lead_rows (
    lead BIGINT NOT NULL PRIMARY KEY,
    source_revision BIGINT,
    source_time BIGINT,
    sealed BYTEA NOT NULL
);
CREATE TABLE erased_leads (
    token BIGINT NOT NULL PRIMARY KEY,
    erase_time BIGINT NOT NULL
);
