-- The reporting service's tables. Times are microseconds since 1970, days are days since 1970,
-- truth values 0 and 1. Amounts are whole units and billionths. Every table of the star carries the
-- generation it belongs to: a rebuild fills a new one beside the one that answers.

-- `state` is 1 building, 2 serving, 3 retired. `sequence` grows with every page applied.
CREATE TABLE projections (
    generation INTEGER NOT NULL PRIMARY KEY,
    state INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    serve_time INTEGER
) STRICT;

-- Where a generation stands in a feed; the cursor itself is the store's.
CREATE TABLE projection_feeds (
    generation INTEGER NOT NULL,
    feed TEXT NOT NULL,
    position INTEGER NOT NULL,
    applied INTEGER NOT NULL,
    check_time INTEGER,
    change_time INTEGER,
    caught_up INTEGER NOT NULL,
    last_error TEXT NOT NULL,
    PRIMARY KEY (generation, feed)
) STRICT;

-- Sources, for row scopes and names.
CREATE TABLE sources (
    no INTEGER NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    shared INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sources_id ON sources (id);

-- Live customers. `name` is the best name of an organization; persons have none here.
CREATE TABLE customers (
    generation INTEGER NOT NULL,
    id INTEGER NOT NULL,
    person INTEGER NOT NULL,
    name TEXT NOT NULL,
    name_source INTEGER,
    deleted INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (generation, id)
) STRICT;

-- What customers are split by: attributes that are not personal, and which fields have a value.
-- `source` is the one whose value survived.
CREATE TABLE customer_values (
    generation INTEGER NOT NULL,
    customer INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    attribute TEXT NOT NULL,
    value TEXT NOT NULL,
    source INTEGER,
    PRIMARY KEY (generation, customer, ordinal)
) STRICT;

-- The crosswalk: source parties as facts address them, and who holds them now. `address` is the
-- record's number; a party that was only named by a fact has neither.
CREATE TABLE parties (
    generation INTEGER NOT NULL,
    no INTEGER NOT NULL,
    key TEXT NOT NULL,
    source INTEGER NOT NULL,
    address INTEGER,
    customer INTEGER,
    PRIMARY KEY (generation, no)
) STRICT;
CREATE UNIQUE INDEX parties_key ON parties (generation, key);
CREATE INDEX parties_customer ON parties (generation, customer);

-- Orders, invoices, payments, refunds, receivables, tickets; `kind` as in the contract.
CREATE TABLE transactions (
    generation INTEGER NOT NULL,
    id INTEGER NOT NULL,
    party INTEGER NOT NULL,
    source INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    time INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    currency TEXT,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    PRIMARY KEY (generation, id)
) STRICT;

CREATE TABLE transaction_lines (
    generation INTEGER NOT NULL,
    id INTEGER NOT NULL,
    line INTEGER NOT NULL,
    product TEXT NOT NULL,
    units INTEGER,
    nanos INTEGER,
    PRIMARY KEY (generation, id, line)
) STRICT;

-- Messages, calls, visits, meetings, notes, events. `survey` is 1 satisfaction, 2 recommendation;
-- `rating` its answer in billionths. Activities of pipeline have negative ids and an address.
CREATE TABLE interactions (
    generation INTEGER NOT NULL,
    id INTEGER NOT NULL,
    party INTEGER,
    address INTEGER,
    source INTEGER,
    external_id TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    kind INTEGER NOT NULL,
    time INTEGER NOT NULL,
    channel TEXT NOT NULL,
    inbound INTEGER NOT NULL,
    employee TEXT NOT NULL,
    survey INTEGER,
    rating INTEGER,
    PRIMARY KEY (generation, id)
) STRICT;

-- `outcome` is 1 open, 2 won, 3 lost; `address` the customer as addressed.
CREATE TABLE opportunities (
    generation INTEGER NOT NULL,
    id INTEGER NOT NULL,
    address INTEGER NOT NULL,
    pipeline TEXT NOT NULL,
    stage TEXT NOT NULL,
    outcome INTEGER NOT NULL,
    currency TEXT,
    units INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    probability INTEGER NOT NULL,
    close_day INTEGER,
    owner TEXT NOT NULL,
    org_unit TEXT NOT NULL,
    reason TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    outcome_time INTEGER,
    PRIMARY KEY (generation, id)
) STRICT;

CREATE TABLE transitions (
    generation INTEGER NOT NULL,
    opportunity INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    pipeline TEXT NOT NULL,
    stage TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (generation, opportunity, number)
) STRICT;

-- `stages` is JSON: id, name, after_win, in order.
CREATE TABLE pipelines (
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    stages TEXT NOT NULL,
    PRIMARY KEY (generation, id)
) STRICT;

-- Rules that name customers. `conditions` is a JSON list, `parameters` an encoded message.
CREATE TABLE segments (
    id TEXT NOT NULL PRIMARY KEY,
    uid INTEGER NOT NULL,
    display_name TEXT NOT NULL,
    description TEXT NOT NULL,
    conditions TEXT NOT NULL,
    parameters BLOB NOT NULL,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- Customers about to leave. `address` is the customer as addressed when it opened, `state` 1 open,
-- 2 recovered, 3 closed; `reasons` JSON; `comment` sealed.
CREATE TABLE churn_episodes (
    id INTEGER NOT NULL PRIMARY KEY,
    address INTEGER NOT NULL,
    state INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    task TEXT NOT NULL,
    cause INTEGER NOT NULL,
    data_key BLOB,
    comment BLOB,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    end_time INTEGER,
    seen TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX churn_episodes_open ON churn_episodes (address) WHERE state = 1;
CREATE INDEX churn_episodes_address ON churn_episodes (address, id);

-- Reports as computed. `scope` says over which rows and classes; `content` is JSON.
CREATE TABLE reports (
    id INTEGER NOT NULL PRIMARY KEY,
    day INTEGER NOT NULL,
    creator TEXT NOT NULL,
    scope TEXT NOT NULL,
    hash TEXT NOT NULL,
    content BLOB NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;

-- The database's id, for page tokens.
CREATE TABLE reporting_state (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
