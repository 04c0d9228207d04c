-- Events of the audit trail until identity has taken them.
CREATE TABLE jinke_audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    body BYTEA NOT NULL
);
