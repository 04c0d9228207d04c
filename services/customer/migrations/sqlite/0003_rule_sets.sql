-- Match rule sets: every version that was in force, trained or written. `kind` is 1 organization,
-- 2 person. Which ones are in force says engine_state.
CREATE TABLE rule_sets (
    id INTEGER NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    version TEXT NOT NULL,
    full_version TEXT NOT NULL,
    text TEXT NOT NULL,
    origin TEXT NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    activate_time INTEGER
) STRICT;
CREATE UNIQUE INDEX rule_sets_full_version ON rule_sets (kind, full_version);

-- What customers would be under another rule set, while a dry run stands: as pairs, reviews and
-- records.customer are under the one in force. Activating exchanges the tables.
CREATE TABLE shadow_pairs (
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    score INTEGER NOT NULL,
    PRIMARY KEY (a, b)
) STRICT, WITHOUT ROWID;

CREATE TABLE shadow_reviews (
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    score INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (a, b)
) STRICT;
CREATE INDEX shadow_reviews_score ON shadow_reviews (score, a, b);
CREATE INDEX shadow_reviews_b ON shadow_reviews (b);

CREATE TABLE shadow_customers (
    record_no INTEGER NOT NULL PRIMARY KEY,
    customer INTEGER NOT NULL
) STRICT;
CREATE INDEX shadow_customers_customer ON shadow_customers (customer, record_no);

-- The dry run that stands. `built` is 1 when its differences are listed.
CREATE TABLE dry_runs (
    id INTEGER NOT NULL PRIMARY KEY,
    rule_set INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    built INTEGER NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;

-- What would change: records that are divided otherwise, by the smallest of them. `groups` are the
-- records of each customer before and after, `approved` whether the list that was activated held
-- the same.
CREATE TABLE differences (
    dry_run INTEGER NOT NULL,
    component INTEGER NOT NULL,
    before_groups TEXT NOT NULL,
    after_groups TEXT NOT NULL,
    approved INTEGER NOT NULL,
    PRIMARY KEY (dry_run, component)
) STRICT, WITHOUT ROWID;
CREATE INDEX differences_approved ON differences (dry_run, approved, component);
