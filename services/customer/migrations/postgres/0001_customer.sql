-- The customer service's tables. Times are microseconds since 1970, truth values 0 and 1.
-- What is sealed is BYTES and named so in the comment; everything else is plain on purpose.

-- A system records come from.
CREATE TABLE sources (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid BIGINT NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    trust BIGINT NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    shared BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Which trust a source had since when, for reading the past.
CREATE TABLE source_trust (
    source TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    trust BIGINT NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (source, revision)
);

-- One foreign record. `key` is `<source>/<external id>`; `type` is 1 organization, 2 person,
-- 3 relationship, 4 transaction, 5 interaction. `versions` counts the versions kept, `newest` is the
-- number of the one that ranks last, described by `stated` (it has a revision or time),
-- `source_revision`, `source_time` and `newest_hash`; `arrival_hash` is the keyed hash of the last version
-- that had neither. `state` is the sealed effective state, null when version `newest` alone is it.
CREATE TABLE records (
    record_no BIGINT NOT NULL PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    type BIGINT NOT NULL,
    customer BIGINT,
    deleted BIGINT NOT NULL,
    versions BIGINT NOT NULL,
    newest BIGINT NOT NULL,
    stated BIGINT NOT NULL,
    source_revision BIGINT,
    source_time BIGINT,
    newest_hash BYTEA NOT NULL,
    arrival_hash BYTEA,
    data_key BYTEA NOT NULL,
    state BYTEA,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
CREATE UNIQUE INDEX records_key ON records (key);
CREATE INDEX records_customer ON records (customer, record_no) WHERE customer IS NOT NULL;

-- Every version as received; `payload` is sealed. `completeness` is 1 full, 2 partial.
CREATE TABLE versions (
    record_no BIGINT NOT NULL,
    number BIGINT NOT NULL,
    source_revision BIGINT,
    source_time BIGINT,
    hash BYTEA NOT NULL,
    completeness BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    receive_time BIGINT NOT NULL,
    PRIMARY KEY (record_no, number)
);

-- Keyed hashes of blocking keys, look-up values and search terms of party records. `core` is the
-- keyed hash of the name core, for blocking keys.
CREATE TABLE tokens (
    token BIGINT NOT NULL,
    record_no BIGINT NOT NULL,
    core BIGINT,
    PRIMARY KEY (token, record_no)
);

-- Blocking keys that are generic now: a function of the records in `tokens`, kept so that no
-- comparison has to count.
CREATE TABLE generic_keys (
    token BIGINT NOT NULL PRIMARY KEY
);

-- Compared pairs at or above the review threshold, in both directions.
CREATE TABLE pairs (
    a BIGINT NOT NULL,
    b BIGINT NOT NULL,
    score BIGINT NOT NULL,
    PRIMARY KEY (a, b)
);

-- A customer id that is or was live. `kind` is 1 organization, 2 person. `display_name` is the
-- best name of an organization, for sorting; persons have none.
CREATE TABLE customers (
    id BIGINT NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    live BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    display_name TEXT COLLATE "C",
    record_count BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT
);
CREATE INDEX customers_create_time ON customers (create_time, id) WHERE live = 1;
CREATE INDEX customers_update_time ON customers (update_time, id) WHERE live = 1;
CREATE INDEX customers_display_name ON customers (display_name, id) WHERE live = 1;

-- What made up a customer at a revision: `members` is `record_no:versions known` joined by
-- commas, `related` other customers' ids joined by commas.
CREATE TABLE revisions (
    customer BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    time BIGINT NOT NULL,
    related TEXT COLLATE "C" NOT NULL,
    members TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (customer, revision)
);

-- Transactions (type 4) and interactions (type 5): who they belong to and what is summed. The
-- rest is in the record's sealed state. `amount` is an exact decimal.
CREATE TABLE activities (
    record_no BIGINT NOT NULL PRIMARY KEY,
    type BIGINT NOT NULL,
    party TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    time BIGINT NOT NULL,
    currency TEXT COLLATE "C",
    amount TEXT COLLATE "C",
    deleted BIGINT NOT NULL
);
CREATE INDEX activities_party ON activities (party, time, record_no);

-- Sums per source party, so that a merge costs nothing. `source` is the transactions' source.
CREATE TABLE totals (
    party TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    amount TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (party, source, kind, currency)
);

CREATE TABLE relationships (
    record_no BIGINT NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    from_party TEXT COLLATE "C" NOT NULL,
    to_party TEXT COLLATE "C" NOT NULL,
    valid_from BIGINT,
    valid_to BIGINT,
    deleted BIGINT NOT NULL
);
CREATE INDEX relationships_from ON relationships (from_party, record_no);
CREATE INDEX relationships_to ON relationships (to_party, record_no);

-- Tags stay with the record whose id the request addressed.
CREATE TABLE tags (
    record_no BIGINT NOT NULL,
    tag TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (record_no, tag)
);
CREATE INDEX tags_tag ON tags (tag, record_no);

-- What people decided. `kind` is 1 positive, 2 negative, 3 unsure; `comment` is sealed.
CREATE TABLE judgements (
    id BIGINT NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    overrides BIGINT NOT NULL,
    suspended BIGINT NOT NULL,
    data_key BYTEA NOT NULL,
    comment BYTEA NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    retract_time BIGINT
);

-- The source records a judgement names, by key; `side` is 1 left, 2 right.
CREATE TABLE judgement_records (
    judgement BIGINT NOT NULL,
    side BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (judgement, side, key)
);
CREATE INDEX judgement_records_key ON judgement_records (key, judgement);

-- Pairs (a < b) a steward should look at. `reason` is 1 unsure, 2 conflict, 3 suspended judgement.
CREATE TABLE reviews (
    a BIGINT NOT NULL,
    b BIGINT NOT NULL,
    score BIGINT NOT NULL,
    reason BIGINT NOT NULL,
    PRIMARY KEY (a, b)
);
CREATE INDEX reviews_score ON reviews (score, a, b);
CREATE INDEX reviews_b ON reviews (b);

-- What the derived tables were made with: the rule-set version and the token key.
CREATE TABLE engine_state (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
