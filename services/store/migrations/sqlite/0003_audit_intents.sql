-- Calls that have changed something and of which it is not recorded yet how they ended. What a
-- process that is gone leaves here becomes an event of the audit trail.
CREATE TABLE jinke_audit_intents (
    process TEXT NOT NULL,
    number INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (process, number)
) STRICT;
