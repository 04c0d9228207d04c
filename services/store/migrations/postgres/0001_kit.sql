-- The kit's tables, present in every service's database.
CREATE TABLE jinke_change_head (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    position BIGINT NOT NULL
);
INSERT INTO jinke_change_head (one, position) VALUES (1, 0);

CREATE TABLE jinke_changes (
    position BIGINT NOT NULL PRIMARY KEY,
    feed TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    time BIGINT NOT NULL,
    body BYTEA NOT NULL
);
CREATE INDEX jinke_changes_subject ON jinke_changes (feed, subject, position);

CREATE TABLE jinke_cursors (
    follower TEXT COLLATE "C" NOT NULL,
    feed TEXT COLLATE "C" NOT NULL,
    token TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (follower, feed)
);

CREATE TABLE jinke_requests (
    caller TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    outcome TEXT COLLATE "C",
    time BIGINT NOT NULL,
    PRIMARY KEY (caller, method, request_id)
);
CREATE INDEX jinke_requests_time ON jinke_requests (time);

CREATE TABLE jinke_operations (
    id BIGINT NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    request BYTEA NOT NULL,
    result BYTEA,
    failure TEXT COLLATE "C",
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    checkpoint BYTEA,
    cancel_requested BIGINT NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    fence BIGINT NOT NULL,
    lease_end BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE INDEX jinke_operations_state ON jinke_operations (state, lease_end);

CREATE TABLE jinke_leases (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    fence BIGINT NOT NULL,
    lease_end BIGINT NOT NULL
);

CREATE TABLE jinke_counters (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE jinke_locks (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE jinke_keys (
    purpose TEXT COLLATE "C" NOT NULL,
    key_id BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    PRIMARY KEY (purpose, key_id)
);
