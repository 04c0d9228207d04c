-- Dimensions of the star, what facts say of them, and versions of pipelines. A generation of an older
-- shape is filled anew at the next start, beside the one that answers.
ALTER TABLE projections ADD COLUMN shape BIGINT NOT NULL DEFAULT 1;

-- Products as lines name them, one row for each spelling: what a line said at its time stays. The
-- newest spelling of a code that a caller sees is its name. `code` is empty where a source keeps
-- none.
CREATE TABLE products (
    generation BIGINT NOT NULL,
    no BIGINT NOT NULL,
    source BIGINT NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (generation, no)
);
CREATE UNIQUE INDEX products_spelling ON products (generation, name, code, source, category);

-- Who sold, as sources name our employees.
CREATE TABLE persons (
    generation BIGINT NOT NULL,
    no BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (generation, no)
);
CREATE UNIQUE INDEX persons_name ON persons (generation, name);

ALTER TABLE transactions ADD COLUMN person BIGINT;
-- With a product's number `product` is empty.
ALTER TABLE transaction_lines ADD COLUMN item BIGINT;
CREATE INDEX transaction_lines_item ON transaction_lines (generation, item);

-- Stages of each version of a pipeline, as in `pipelines`; a version never changes. Opportunities and
-- moves of version 0 are from before this column.
CREATE TABLE pipeline_versions (
    generation BIGINT NOT NULL,
    pipeline TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    stages TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (generation, pipeline, version)
);
ALTER TABLE opportunities ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE transitions ADD COLUMN version BIGINT NOT NULL DEFAULT 0;

-- Users and org units as identity has them, for names and for whose unit a person belongs to.
-- `display_name` of a user is sealed.
CREATE TABLE people (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_unit TEXT COLLATE "C" NOT NULL,
    data_key BYTEA NOT NULL,
    display_name BYTEA NOT NULL
);
CREATE TABLE org_units (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    parent TEXT COLLATE "C" NOT NULL
);

-- The order that ended an episode, by record number: when it leaves the customer with an unmerge, the
-- episode goes on. Null for other endings, and for those from before this column.
ALTER TABLE churn_episodes ADD COLUMN end_order BIGINT;
