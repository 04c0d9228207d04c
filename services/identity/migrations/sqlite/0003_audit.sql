-- The audit trail of every service. Hashes and macs are keyed: whoever can write here and has not
-- the key files cannot make them.
CREATE TABLE audit_trails (
    service TEXT NOT NULL PRIMARY KEY,
    last_sequence INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    last_hash BLOB NOT NULL,
    last_mac BLOB NOT NULL,
    checkpoint_sequence INTEGER NOT NULL,
    checkpoint_hash BLOB NOT NULL,
    checkpoint_mac BLOB NOT NULL
) STRICT;

-- The columns between service and body repeat what the body says, to be searched by.
CREATE TABLE audit_events (
    service TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    receive_time INTEGER NOT NULL,
    time INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    verb TEXT NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (service, sequence)
) STRICT;
CREATE INDEX audit_events_time ON audit_events (time, service, sequence);
CREATE INDEX audit_events_caller ON audit_events (caller, time);
CREATE INDEX audit_events_verb ON audit_events (verb, time);

CREATE TABLE audit_resources (
    service TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    resource TEXT NOT NULL,
    PRIMARY KEY (service, sequence, resource)
) STRICT;
CREATE INDEX audit_resources_resource ON audit_resources (resource, service, sequence);
