-- Customers are erased. `erased`: 0 the record is there, 1 it was erased and its address passed to
-- what remains of the customer, 2 nothing of the customer remains. Of resources whose personal
-- values were destroyed, `erase_time` says when.
ALTER TABLE crosswalk ADD COLUMN erased BIGINT NOT NULL DEFAULT 0;
ALTER TABLE opportunities ADD COLUMN erase_time BIGINT;
ALTER TABLE activities ADD COLUMN erase_time BIGINT;
ALTER TABLE tasks ADD COLUMN erase_time BIGINT;
