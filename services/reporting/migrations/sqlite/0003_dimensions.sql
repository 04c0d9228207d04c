-- Dimensions of the star, what facts say of them, and versions of pipelines. A generation of an older
-- shape is filled anew at the next start, beside the one that answers.
ALTER TABLE projections ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;

-- Products as lines name them, one row for each spelling: what a line said at its time stays. The
-- newest spelling of a code that a caller sees is its name. `code` is empty where a source keeps
-- none.
CREATE TABLE products (
    generation INTEGER NOT NULL,
    no INTEGER NOT NULL,
    source INTEGER NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    PRIMARY KEY (generation, no)
) STRICT;
CREATE UNIQUE INDEX products_spelling ON products (generation, name, code, source, category);

-- Who sold, as sources name our employees.
CREATE TABLE persons (
    generation INTEGER NOT NULL,
    no INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (generation, no)
) STRICT;
CREATE UNIQUE INDEX persons_name ON persons (generation, name);

ALTER TABLE transactions ADD COLUMN person INTEGER;
-- With a product's number `product` is empty.
ALTER TABLE transaction_lines ADD COLUMN item INTEGER;
CREATE INDEX transaction_lines_item ON transaction_lines (generation, item);

-- Stages of each version of a pipeline, as in `pipelines`; a version never changes. Opportunities and
-- moves of version 0 are from before this column.
CREATE TABLE pipeline_versions (
    generation INTEGER NOT NULL,
    pipeline TEXT NOT NULL,
    version INTEGER NOT NULL,
    stages TEXT NOT NULL,
    PRIMARY KEY (generation, pipeline, version)
) STRICT;
ALTER TABLE opportunities ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transitions ADD COLUMN version INTEGER NOT NULL DEFAULT 0;

-- Users and org units as identity has them, for names and for whose unit a person belongs to.
-- `display_name` of a user is sealed.
CREATE TABLE people (
    name TEXT NOT NULL PRIMARY KEY,
    org_unit TEXT NOT NULL,
    data_key BLOB NOT NULL,
    display_name BLOB NOT NULL
) STRICT;
CREATE TABLE org_units (
    name TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    parent TEXT NOT NULL
) STRICT;

-- The order that ended an episode, by record number: when it leaves the customer with an unmerge, the
-- episode goes on. Null for other endings, and for those from before this column.
ALTER TABLE churn_episodes ADD COLUMN end_order INTEGER;
