"""RFM, grades and both CLVs in DuckDB: python duckdb_reporting.py FACTS.csv FILE.duckdb DAY

Prints customers with grade A, B, C, the sums of the simple and the discounted CLV in cents, and the
seconds of the questions. Filling the file is not counted.
"""

import sys
import time

import duckdb

SCORES = """
WITH facts AS (
  SELECT customer, refund = 1 AS refund,
         DATE '1970-01-01' + CAST((time + 28800000000) // 86400000000 AS INTEGER) AS day,
         CASE WHEN refund = 1 THEN -amount ELSE amount END AS amount
  FROM facts_raw
), sums AS (
  SELECT customer,
         max(day) FILTER (NOT refund) AS last,
         count(*) FILTER (NOT refund AND day > DATE '{day}' - INTERVAL 12 MONTH) AS f,
         sum(amount) FILTER (day > DATE '{day}' - INTERVAL 12 MONTH) AS m
  FROM facts WHERE day <= DATE '{day}' GROUP BY customer
), bought AS (SELECT * FROM sums WHERE f > 0 AND m IS NOT NULL),
scored AS (
  SELECT *,
         1 + (5 * (rank() OVER (ORDER BY last) - 1)) // count(*) OVER () AS rs,
         1 + (5 * (rank() OVER (ORDER BY f) - 1)) // count(*) OVER () AS fs,
         1 + (5 * (rank() OVER (ORDER BY m) - 1)) // count(*) OVER () AS ms
  FROM bought
)
SELECT count(*) FILTER (p >= 400), count(*) FILTER (p >= 250 AND p < 400),
       count(*) FILTER (p < 250), sum(m) * 3
FROM (SELECT *, 20 * rs + 30 * fs + 50 * ms AS p FROM scored)
"""

DISCOUNTED = """
WITH facts AS (
  SELECT customer, refund = 1 AS refund,
         DATE '1970-01-01' + CAST((time + 28800000000) // 86400000000 AS INTEGER) AS day,
         CASE WHEN refund = 1 THEN -amount ELSE amount END AS amount
  FROM facts_raw
), began AS (
  SELECT customer, min(day) AS first FROM facts
  WHERE NOT refund AND day <= DATE '{day}' GROUP BY customer
), flows AS (
  SELECT customer, greatest(0, datesub('year', first, day)) AS year, sum(amount) AS flow
  FROM facts JOIN began USING (customer) WHERE day <= DATE '{day}' GROUP BY ALL
)
SELECT sum(CAST(flow AS DOUBLE) / pow(1.1, year)) FROM flows WHERE year <= 5
"""


def main(csv, path, day):
    db = duckdb.connect(path)
    db.execute("SET threads = 2")
    db.execute(
        "CREATE TABLE facts_raw AS SELECT * FROM read_csv(?, columns = {'id': 'BIGINT', "
        "'customer': 'BIGINT', 'refund': 'INTEGER', 'time': 'BIGINT', 'amount': 'DECIMAL(18,2)'})",
        [csv],
    )
    db.execute("CHECKPOINT")
    start = time.perf_counter()
    a, b, c, simple = db.execute(SCORES.format(day=day)).fetchone()
    (discounted,) = db.execute(DISCOUNTED.format(day=day)).fetchone()
    took = time.perf_counter() - start
    print(a, b, c, int(simple * 100), int(discounted * 100), f"{took:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
