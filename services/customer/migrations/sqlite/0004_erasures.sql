-- Records that were erased: their ids address `successor`, the earliest record that remained of the
-- customer, or, when it is null, answer that the customer was erased.
CREATE TABLE erasures (
    record_no INTEGER NOT NULL PRIMARY KEY,
    successor INTEGER,
    time INTEGER NOT NULL
) STRICT;
CREATE INDEX erasures_successor ON erasures (successor);
