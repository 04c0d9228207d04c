-- The connector service's tables. Times are microseconds since 1970, truth values 0 and 1. What is
-- sealed is a BLOB and named so in the comment; everything else is plain on purpose.

-- One configured account of a connector. `settings`, `source`, `schedule`, `sweep`, `streams`,
-- `secret_keys` and `problem` are JSON. `data_key` is wrapped; `secrets` is sealed under it.
-- `uid` is another one when a connection is deleted and made anew.
CREATE TABLE connections (
    id TEXT NOT NULL PRIMARY KEY,
    uid INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    connector TEXT NOT NULL,
    settings TEXT NOT NULL,
    source TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    schedule TEXT,
    sweep TEXT NOT NULL,
    streams TEXT NOT NULL,
    paused INTEGER NOT NULL,
    data_key BLOB NOT NULL,
    secrets BLOB NOT NULL,
    secret_keys TEXT NOT NULL,
    next_run INTEGER,
    next_sweep INTEGER,
    last_run INTEGER,
    problem TEXT,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- One run. `kind`: 1 pull, 2 sweep; `trigger_kind` and `state` as in the contract. `streams`,
-- `progress`, `findings`, `error` are JSON; `cancel` asks it to stop, `approved` lets its sweep
-- delete more than it may unasked. `revision` grows with every change.
CREATE TABLE runs (
    connection TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    trigger_kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    streams TEXT NOT NULL,
    progress TEXT NOT NULL,
    findings TEXT NOT NULL,
    error TEXT,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    approved INTEGER NOT NULL,
    cancel INTEGER NOT NULL,
    creator TEXT NOT NULL,
    retry_time INTEGER,
    create_time INTEGER NOT NULL,
    start_time INTEGER,
    update_time INTEGER NOT NULL,
    end_time INTEGER,
    revision INTEGER NOT NULL,
    PRIMARY KEY (connection, number)
) STRICT;
-- Runs that have not ended, of all connections.
CREATE INDEX runs_open ON runs (state, connection, number) WHERE end_time IS NULL;

-- Where the pull of a stream stands.
CREATE TABLE stream_cursors (
    connection TEXT NOT NULL,
    stream TEXT NOT NULL,
    cursor TEXT NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (connection, stream)
) STRICT;

-- The records a stream has delivered, as much of each as a deletion needs. `skeleton` is sealed.
-- `gone` is 1 for one that a sweep found gone and that has not come back.
CREATE TABLE known_records (
    connection TEXT NOT NULL,
    stream TEXT NOT NULL,
    external_id TEXT NOT NULL,
    source_revision INTEGER,
    source_time INTEGER,
    skeleton BLOB NOT NULL,
    gone INTEGER NOT NULL,
    PRIMARY KEY (connection, stream, external_id)
) STRICT;

-- Rows that could not be read and records that were refused. `key` tells which; `payload` is the
-- sealed record of a refused one.
CREATE TABLE record_errors (
    connection TEXT NOT NULL,
    number INTEGER NOT NULL,
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    effect INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    file TEXT NOT NULL,
    sheet TEXT NOT NULL,
    row_number INTEGER NOT NULL,
    column_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    run INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    payload BLOB,
    retry_time INTEGER,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (connection, number)
) STRICT;
CREATE UNIQUE INDEX record_errors_key ON record_errors (connection, stream, key);
CREATE INDEX record_errors_due ON record_errors (connection, retry_time) WHERE retry_time IS NOT NULL;

-- What was given up. `kind` as in the contract; `payload` is sealed; `subject` is the number of the
-- delivery or event.
CREATE TABLE dead_letters (
    connection TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    stream TEXT NOT NULL,
    external_id TEXT NOT NULL,
    subject INTEGER NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    payload BLOB,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (connection, number)
) STRICT;
CREATE UNIQUE INDEX dead_letters_subject
    ON dead_letters (connection, kind, stream, external_id, subject);

-- What goes out. `payload` (message or push) and `memory` (between the steps of a push) are sealed;
-- `done_steps` and `error` are JSON. `key` is the idempotency key passed on.
CREATE TABLE deliveries (
    connection TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    key TEXT NOT NULL,
    record_kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    memory BLOB,
    done_steps TEXT NOT NULL,
    foreign_id TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT,
    creator TEXT NOT NULL,
    retry_time INTEGER,
    create_time INTEGER NOT NULL,
    end_time INTEGER,
    PRIMARY KEY (connection, number)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (connection, retry_time) WHERE retry_time IS NOT NULL;

-- What callbacks told. `key` recognises a repeated event; `payload` is sealed and goes when the
-- event is done.
CREATE TABLE callback_events (
    connection TEXT NOT NULL,
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    topic TEXT NOT NULL,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    payload BLOB,
    error TEXT,
    retry_time INTEGER,
    create_time INTEGER NOT NULL,
    end_time INTEGER,
    PRIMARY KEY (connection, number)
) STRICT;
CREATE UNIQUE INDEX callback_events_key ON callback_events (connection, key);
CREATE INDEX callback_events_due ON callback_events (connection, retry_time) WHERE retry_time IS NOT NULL;
