-- The reporting service's tables. Times are microseconds since 1970, days are days since 1970,
-- truth values 0 and 1. Amounts are whole units and billionths. Every table of the star carries the
-- generation it belongs to: a rebuild fills a new one beside the one that answers.

-- `state` is 1 building, 2 serving, 3 retired. `sequence` grows with every page applied.
CREATE TABLE projections (
    generation BIGINT NOT NULL PRIMARY KEY,
    state BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    serve_time BIGINT
);

-- Where a generation stands in a feed; the cursor itself is the store's.
CREATE TABLE projection_feeds (
    generation BIGINT NOT NULL,
    feed TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    applied BIGINT NOT NULL,
    check_time BIGINT,
    change_time BIGINT,
    caught_up BIGINT NOT NULL,
    last_error TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (generation, feed)
);

-- Sources, for row scopes and names.
CREATE TABLE sources (
    no BIGINT NOT NULL PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    shared BIGINT NOT NULL
);
CREATE UNIQUE INDEX sources_id ON sources (id);

-- Live customers. `name` is the best name of an organization; persons have none here.
CREATE TABLE customers (
    generation BIGINT NOT NULL,
    id BIGINT NOT NULL,
    person BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_source BIGINT,
    deleted BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (generation, id)
);

-- What customers are split by: attributes that are not personal, and which fields have a value.
-- `source` is the one whose value survived.
CREATE TABLE customer_values (
    generation BIGINT NOT NULL,
    customer BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    attribute TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    source BIGINT,
    PRIMARY KEY (generation, customer, ordinal)
);

-- The crosswalk: source parties as facts address them, and who holds them now. `address` is the
-- record's number; a party that was only named by a fact has neither.
CREATE TABLE parties (
    generation BIGINT NOT NULL,
    no BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    source BIGINT NOT NULL,
    address BIGINT,
    customer BIGINT,
    PRIMARY KEY (generation, no)
);
CREATE UNIQUE INDEX parties_key ON parties (generation, key);
CREATE INDEX parties_customer ON parties (generation, customer);

-- Orders, invoices, payments, refunds, receivables, tickets; `kind` as in the contract.
CREATE TABLE transactions (
    generation BIGINT NOT NULL,
    id BIGINT NOT NULL,
    party BIGINT NOT NULL,
    source BIGINT NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    time BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    currency TEXT COLLATE "C",
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    PRIMARY KEY (generation, id)
);

CREATE TABLE transaction_lines (
    generation BIGINT NOT NULL,
    id BIGINT NOT NULL,
    line BIGINT NOT NULL,
    product TEXT COLLATE "C" NOT NULL,
    units BIGINT,
    nanos BIGINT,
    PRIMARY KEY (generation, id, line)
);

-- Messages, calls, visits, meetings, notes, events. `survey` is 1 satisfaction, 2 recommendation;
-- `rating` its answer in billionths. Activities of pipeline have negative ids and an address.
CREATE TABLE interactions (
    generation BIGINT NOT NULL,
    id BIGINT NOT NULL,
    party BIGINT,
    address BIGINT,
    source BIGINT,
    external_id TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    time BIGINT NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    inbound BIGINT NOT NULL,
    employee TEXT COLLATE "C" NOT NULL,
    survey BIGINT,
    rating BIGINT,
    PRIMARY KEY (generation, id)
);

-- `outcome` is 1 open, 2 won, 3 lost; `address` the customer as addressed.
CREATE TABLE opportunities (
    generation BIGINT NOT NULL,
    id BIGINT NOT NULL,
    address BIGINT NOT NULL,
    pipeline TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    outcome BIGINT NOT NULL,
    currency TEXT COLLATE "C",
    units BIGINT NOT NULL,
    nanos BIGINT NOT NULL,
    probability BIGINT NOT NULL,
    close_day BIGINT,
    owner TEXT COLLATE "C" NOT NULL,
    org_unit TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    outcome_time BIGINT,
    PRIMARY KEY (generation, id)
);

CREATE TABLE transitions (
    generation BIGINT NOT NULL,
    opportunity BIGINT NOT NULL,
    number BIGINT NOT NULL,
    outcome BIGINT NOT NULL,
    pipeline TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    time BIGINT NOT NULL,
    PRIMARY KEY (generation, opportunity, number)
);

-- `stages` is JSON: id, name, after_win, in order.
CREATE TABLE pipelines (
    generation BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    stages TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (generation, id)
);

-- Rules that name customers. `conditions` is a JSON list, `parameters` an encoded message.
CREATE TABLE segments (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    uid BIGINT NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    conditions TEXT COLLATE "C" NOT NULL,
    parameters BYTEA NOT NULL,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Customers about to leave. `address` is the customer as addressed when it opened, `state` 1 open,
-- 2 recovered, 3 closed; `reasons` JSON; `comment` sealed.
CREATE TABLE churn_episodes (
    id BIGINT NOT NULL PRIMARY KEY,
    address BIGINT NOT NULL,
    state BIGINT NOT NULL,
    reasons TEXT COLLATE "C" NOT NULL,
    task TEXT COLLATE "C" NOT NULL,
    cause BIGINT NOT NULL,
    data_key BYTEA,
    comment BYTEA,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    end_time BIGINT,
    seen TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX churn_episodes_open ON churn_episodes (address) WHERE state = 1;
CREATE INDEX churn_episodes_address ON churn_episodes (address, id);

-- Reports as computed. `scope` says over which rows and classes; `content` is JSON.
CREATE TABLE reports (
    id BIGINT NOT NULL PRIMARY KEY,
    day BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    content BYTEA NOT NULL,
    create_time BIGINT NOT NULL
);

-- The database's id, for page tokens.
CREATE TABLE reporting_state (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
