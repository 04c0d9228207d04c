-- The customer service's tables. Times are microseconds since 1970, truth values 0 and 1.
-- What is sealed is BYTES and named so in the comment; everything else is plain on purpose.

-- A system records come from.
CREATE TABLE sources (
    id TEXT NOT NULL PRIMARY KEY,
    uid INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    trust INTEGER NOT NULL,
    org_unit TEXT NOT NULL,
    shared INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- Which trust a source had since when, for reading the past.
CREATE TABLE source_trust (
    source TEXT NOT NULL,
    revision INTEGER NOT NULL,
    trust INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (source, revision)
) STRICT;

-- One foreign record. `key` is `<source>/<external id>`; `type` is 1 organization, 2 person,
-- 3 relationship, 4 transaction, 5 interaction. `versions` counts the versions kept, `newest` is the
-- number of the one that ranks last, described by `stated` (it has a revision or time),
-- `source_revision`, `source_time` and `newest_hash`; `arrival_hash` is the keyed hash of the last version
-- that had neither. `state` is the sealed effective state, null when version `newest` alone is it.
CREATE TABLE records (
    record_no INTEGER NOT NULL PRIMARY KEY,
    key TEXT NOT NULL,
    source TEXT NOT NULL,
    type INTEGER NOT NULL,
    customer INTEGER,
    deleted INTEGER NOT NULL,
    versions INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    stated INTEGER NOT NULL,
    source_revision INTEGER,
    source_time INTEGER,
    newest_hash BLOB NOT NULL,
    arrival_hash BLOB,
    data_key BLOB NOT NULL,
    state BLOB,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX records_key ON records (key);
CREATE INDEX records_customer ON records (customer, record_no) WHERE customer IS NOT NULL;

-- Every version as received; `payload` is sealed. `completeness` is 1 full, 2 partial.
CREATE TABLE versions (
    record_no INTEGER NOT NULL,
    number INTEGER NOT NULL,
    source_revision INTEGER,
    source_time INTEGER,
    hash BLOB NOT NULL,
    completeness INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    payload BLOB NOT NULL,
    receive_time INTEGER NOT NULL,
    PRIMARY KEY (record_no, number)
) STRICT;

-- Keyed hashes of blocking keys, look-up values and search terms of party records. `core` is the
-- keyed hash of the name core, for blocking keys.
CREATE TABLE tokens (
    token INTEGER NOT NULL,
    record_no INTEGER NOT NULL,
    core INTEGER,
    PRIMARY KEY (token, record_no)
) STRICT, WITHOUT ROWID;

-- Blocking keys that are generic now: a function of the records in `tokens`, kept so that no
-- comparison has to count.
CREATE TABLE generic_keys (
    token INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- Compared pairs at or above the review threshold, in both directions.
CREATE TABLE pairs (
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    score INTEGER NOT NULL,
    PRIMARY KEY (a, b)
) STRICT, WITHOUT ROWID;

-- A customer id that is or was live. `kind` is 1 organization, 2 person. `display_name` is the
-- best name of an organization, for sorting; persons have none.
CREATE TABLE customers (
    id INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    live INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    display_name TEXT,
    record_count INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER
) STRICT;
CREATE INDEX customers_create_time ON customers (create_time, id) WHERE live = 1;
CREATE INDEX customers_update_time ON customers (update_time, id) WHERE live = 1;
CREATE INDEX customers_display_name ON customers (display_name, id) WHERE live = 1;

-- What made up a customer at a revision: `members` is `record_no:versions known` joined by
-- commas, `related` other customers' ids joined by commas.
CREATE TABLE revisions (
    customer INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    time INTEGER NOT NULL,
    related TEXT NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (customer, revision)
) STRICT;

-- Transactions (type 4) and interactions (type 5): who they belong to and what is summed. The
-- rest is in the record's sealed state. `amount` is an exact decimal.
CREATE TABLE activities (
    record_no INTEGER NOT NULL PRIMARY KEY,
    type INTEGER NOT NULL,
    party TEXT NOT NULL,
    kind INTEGER NOT NULL,
    time INTEGER NOT NULL,
    currency TEXT,
    amount TEXT,
    deleted INTEGER NOT NULL
) STRICT;
CREATE INDEX activities_party ON activities (party, time, record_no);

-- Sums per source party, so that a merge costs nothing. `source` is the transactions' source.
CREATE TABLE totals (
    party TEXT NOT NULL,
    source TEXT NOT NULL,
    kind INTEGER NOT NULL,
    currency TEXT NOT NULL,
    count INTEGER NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (party, source, kind, currency)
) STRICT;

CREATE TABLE relationships (
    record_no INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    from_party TEXT NOT NULL,
    to_party TEXT NOT NULL,
    valid_from INTEGER,
    valid_to INTEGER,
    deleted INTEGER NOT NULL
) STRICT;
CREATE INDEX relationships_from ON relationships (from_party, record_no);
CREATE INDEX relationships_to ON relationships (to_party, record_no);

-- Tags stay with the record whose id the request addressed.
CREATE TABLE tags (
    record_no INTEGER NOT NULL,
    tag TEXT NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (record_no, tag)
) STRICT;
CREATE INDEX tags_tag ON tags (tag, record_no);

-- What people decided. `kind` is 1 positive, 2 negative, 3 unsure; `comment` is sealed.
CREATE TABLE judgements (
    id INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    overrides INTEGER NOT NULL,
    suspended INTEGER NOT NULL,
    data_key BLOB NOT NULL,
    comment BLOB NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    retract_time INTEGER
) STRICT;

-- The source records a judgement names, by key; `side` is 1 left, 2 right.
CREATE TABLE judgement_records (
    judgement INTEGER NOT NULL,
    side INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (judgement, side, key)
) STRICT;
CREATE INDEX judgement_records_key ON judgement_records (key, judgement);

-- Pairs (a < b) a steward should look at. `reason` is 1 unsure, 2 conflict, 3 suspended judgement.
CREATE TABLE reviews (
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    score INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (a, b)
) STRICT;
CREATE INDEX reviews_score ON reviews (score, a, b);
CREATE INDEX reviews_b ON reviews (b);

-- What the derived tables were made with: the rule-set version and the token key.
CREATE TABLE engine_state (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
