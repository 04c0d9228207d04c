-- The connector service's tables. Times are microseconds since 1970, truth values 0 and 1. What is
-- sealed is BYTEA and named so in the comment; everything else is plain on purpose.

-- One configured account of a connector. `settings`, `source`, `schedule`, `sweep`, `streams`,
-- `secret_keys` and `problem` are JSON. `data_key` is wrapped; `secrets` is sealed under it.
-- `uid` is another one when a connection is deleted and made anew.
CREATE TABLE connections (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid BIGINT NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    connector TEXT COLLATE "C" NOT NULL,
    settings TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    schedule TEXT COLLATE "C",
    sweep TEXT COLLATE "C" NOT NULL,
    streams TEXT COLLATE "C" NOT NULL,
    paused BIGINT NOT NULL,
    data_key BYTEA NOT NULL,
    secrets BYTEA NOT NULL,
    secret_keys TEXT COLLATE "C" NOT NULL,
    next_run BIGINT,
    next_sweep BIGINT,
    last_run BIGINT,
    problem TEXT COLLATE "C",
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- One run. `kind`: 1 pull, 2 sweep; `trigger_kind` and `state` as in the contract. `streams`,
-- `progress`, `findings`, `error` are JSON; `cancel` asks it to stop, `approved` lets its sweep
-- delete more than it may unasked. `revision` grows with every change.
CREATE TABLE runs (
    connection TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    trigger_kind BIGINT NOT NULL,
    state BIGINT NOT NULL,
    streams TEXT COLLATE "C" NOT NULL,
    progress TEXT COLLATE "C" NOT NULL,
    findings TEXT COLLATE "C" NOT NULL,
    error TEXT COLLATE "C",
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    retries BIGINT NOT NULL,
    approved BIGINT NOT NULL,
    cancel BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    retry_time BIGINT,
    create_time BIGINT NOT NULL,
    start_time BIGINT,
    update_time BIGINT NOT NULL,
    end_time BIGINT,
    revision BIGINT NOT NULL,
    PRIMARY KEY (connection, number)
);
-- Runs that have not ended, of all connections.
CREATE INDEX runs_open ON runs (state, connection, number) WHERE end_time IS NULL;

-- Where the pull of a stream stands.
CREATE TABLE stream_cursors (
    connection TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    cursor TEXT COLLATE "C" NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (connection, stream)
);

-- The records a stream has delivered, as much of each as a deletion needs. `skeleton` is sealed.
-- `gone` is 1 for one that a sweep found gone and that has not come back.
CREATE TABLE known_records (
    connection TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    source_revision BIGINT,
    source_time BIGINT,
    skeleton BYTEA NOT NULL,
    gone BIGINT NOT NULL,
    PRIMARY KEY (connection, stream, external_id)
);

-- Rows that could not be read and records that were refused. `key` tells which; `payload` is the
-- sealed record of a refused one.
CREATE TABLE record_errors (
    connection TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    effect BIGINT NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    sheet TEXT COLLATE "C" NOT NULL,
    row_number BIGINT NOT NULL,
    column_name TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    payload BYTEA,
    retry_time BIGINT,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (connection, number)
);
CREATE UNIQUE INDEX record_errors_key ON record_errors (connection, stream, key);
CREATE INDEX record_errors_due ON record_errors (connection, retry_time) WHERE retry_time IS NOT NULL;

-- What was given up. `kind` as in the contract; `payload` is sealed; `subject` is the number of the
-- delivery or event.
CREATE TABLE dead_letters (
    connection TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    subject BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    payload BYTEA,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (connection, number)
);
CREATE UNIQUE INDEX dead_letters_subject
    ON dead_letters (connection, kind, stream, external_id, subject);

-- What goes out. `payload` (message or push) and `memory` (between the steps of a push) are sealed;
-- `done_steps` and `error` are JSON. `key` is the idempotency key passed on.
CREATE TABLE deliveries (
    connection TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    state BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    record_kind TEXT COLLATE "C" NOT NULL,
    payload BYTEA NOT NULL,
    memory BYTEA,
    done_steps TEXT COLLATE "C" NOT NULL,
    foreign_id TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT COLLATE "C",
    creator TEXT COLLATE "C" NOT NULL,
    retry_time BIGINT,
    create_time BIGINT NOT NULL,
    end_time BIGINT,
    PRIMARY KEY (connection, number)
);
CREATE INDEX deliveries_due ON deliveries (connection, retry_time) WHERE retry_time IS NOT NULL;

-- What callbacks told. `key` recognises a repeated event; `payload` is sealed and goes when the
-- event is done.
CREATE TABLE callback_events (
    connection TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    topic TEXT COLLATE "C" NOT NULL,
    state BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    payload BYTEA,
    error TEXT COLLATE "C",
    retry_time BIGINT,
    create_time BIGINT NOT NULL,
    end_time BIGINT,
    PRIMARY KEY (connection, number)
);
CREATE UNIQUE INDEX callback_events_key ON callback_events (connection, key);
CREATE INDEX callback_events_due ON callback_events (connection, retry_time) WHERE retry_time IS NOT NULL;
