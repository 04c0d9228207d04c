-- Match rule sets: every version that was in force, trained or written. `kind` is 1 organization,
-- 2 person. Which ones are in force says engine_state.
CREATE TABLE rule_sets (
    id BIGINT NOT NULL PRIMARY KEY,
    kind BIGINT NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    full_version TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    activate_time BIGINT
);
CREATE UNIQUE INDEX rule_sets_full_version ON rule_sets (kind, full_version);

-- What customers would be under another rule set, while a dry run stands: as pairs, reviews and
-- records.customer are under the one in force. Activating exchanges the tables.
CREATE TABLE shadow_pairs (
    a BIGINT NOT NULL,
    b BIGINT NOT NULL,
    score BIGINT NOT NULL,
    PRIMARY KEY (a, b)
);

CREATE TABLE shadow_reviews (
    a BIGINT NOT NULL,
    b BIGINT NOT NULL,
    score BIGINT NOT NULL,
    reason BIGINT NOT NULL,
    PRIMARY KEY (a, b)
);
CREATE INDEX shadow_reviews_score ON shadow_reviews (score, a, b);
CREATE INDEX shadow_reviews_b ON shadow_reviews (b);

CREATE TABLE shadow_customers (
    record_no BIGINT NOT NULL PRIMARY KEY,
    customer BIGINT NOT NULL
);
CREATE INDEX shadow_customers_customer ON shadow_customers (customer, record_no);

-- The dry run that stands. `built` is 1 when its differences are listed.
CREATE TABLE dry_runs (
    id BIGINT NOT NULL PRIMARY KEY,
    rule_set BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    built BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL
);

-- What would change: records that are divided otherwise, by the smallest of them. `groups` are the
-- records of each customer before and after, `approved` whether the list that was activated held
-- the same.
CREATE TABLE differences (
    dry_run BIGINT NOT NULL,
    component BIGINT NOT NULL,
    before_groups TEXT COLLATE "C" NOT NULL,
    after_groups TEXT COLLATE "C" NOT NULL,
    approved BIGINT NOT NULL,
    PRIMARY KEY (dry_run, component)
);
CREATE INDEX differences_approved ON differences (dry_run, approved, component);
