-- The customer's last order when the episode opened, by record number: an order is often dated by
-- day alone, so its time does not tell whether the episode knew it. Null without an order; 0 for
-- episodes from before this column.
ALTER TABLE churn_episodes ADD COLUMN last_order BIGINT DEFAULT 0;

-- Who holds an address as pipeline shows it: for addresses of records that were erased, of which no
-- party tells any more.
ALTER TABLE opportunities ADD COLUMN holder BIGINT;
ALTER TABLE interactions ADD COLUMN holder BIGINT;
