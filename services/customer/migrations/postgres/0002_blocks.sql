-- Blocking keys in a table of their own, in the order in which blocks are read: a block holds its
-- records by name core, and those of one core by place.

-- Keyed hashes of look-up values and search terms of party records.
DROP TABLE tokens;
CREATE TABLE tokens (
    token BIGINT NOT NULL,
    record_no BIGINT NOT NULL,
    PRIMARY KEY (token, record_no)
);

-- Keyed hashes of the blocking keys of party records. `core` is the keyed hash of the name core, 0
-- without one; `place` orders the records of one core by their names, whenever they arrived.
CREATE TABLE blocks (
    token BIGINT NOT NULL,
    core BIGINT NOT NULL,
    place BIGINT NOT NULL,
    record_no BIGINT NOT NULL,
    PRIMARY KEY (token, core, place, record_no)
);

-- What is still to be resolved in the background, because it concerns more records than one
-- transaction should: `pairs` is 1 when the pairs of the record are to be compared anew, 0 when
-- only its component is to be clustered anew.
CREATE TABLE pending (
    record_no BIGINT NOT NULL PRIMARY KEY,
    pairs BIGINT NOT NULL
);
CREATE INDEX pending_pairs ON pending (pairs, record_no);

-- Everything derived is made anew at the next start.
DELETE FROM engine_state WHERE name = 'made_with';
