-- The kit's tables, present in every service's database.
CREATE TABLE jinke_change_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO jinke_change_head (one, position) VALUES (1, 0);

CREATE TABLE jinke_changes (
    position INTEGER NOT NULL PRIMARY KEY,
    feed TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    revision INTEGER NOT NULL,
    time INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX jinke_changes_subject ON jinke_changes (feed, subject, position);

CREATE TABLE jinke_cursors (
    follower TEXT NOT NULL,
    feed TEXT NOT NULL,
    token TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (follower, feed)
) STRICT;

CREATE TABLE jinke_requests (
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    outcome TEXT,
    time INTEGER NOT NULL,
    PRIMARY KEY (caller, method, request_id)
) STRICT;
CREATE INDEX jinke_requests_time ON jinke_requests (time);

CREATE TABLE jinke_operations (
    id INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    caller TEXT NOT NULL,
    request BLOB NOT NULL,
    result BLOB,
    failure TEXT,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    checkpoint BLOB,
    cancel_requested INTEGER NOT NULL,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    lease_end INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
CREATE INDEX jinke_operations_state ON jinke_operations (state, lease_end);

CREATE TABLE jinke_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    lease_end INTEGER NOT NULL
) STRICT;

CREATE TABLE jinke_counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

CREATE TABLE jinke_locks (
    name TEXT NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE jinke_keys (
    purpose TEXT NOT NULL,
    key_id INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (purpose, key_id)
) STRICT;
