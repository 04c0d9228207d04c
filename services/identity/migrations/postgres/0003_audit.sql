-- The audit trail of every service. Hashes and macs are keyed: whoever can write here and has not
-- the key files cannot make them.
CREATE TABLE audit_trails (
    service TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last_sequence BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    last_hash BYTEA NOT NULL,
    last_mac BYTEA NOT NULL,
    checkpoint_sequence BIGINT NOT NULL,
    checkpoint_hash BYTEA NOT NULL,
    checkpoint_mac BYTEA NOT NULL
);

-- The columns between service and body repeat what the body says, to be searched by.
CREATE TABLE audit_events (
    service TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    receive_time BIGINT NOT NULL,
    time BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    verb TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (service, sequence)
);
CREATE INDEX audit_events_time ON audit_events (time, service, sequence);
CREATE INDEX audit_events_caller ON audit_events (caller, time);
CREATE INDEX audit_events_verb ON audit_events (verb, time);

CREATE TABLE audit_resources (
    service TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (service, sequence, resource)
);
CREATE INDEX audit_resources_resource ON audit_resources (resource, service, sequence);
