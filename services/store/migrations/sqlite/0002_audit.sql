-- Events of the audit trail until identity has taken them.
CREATE TABLE jinke_audit (
    sequence INTEGER NOT NULL PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
