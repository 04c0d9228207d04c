"""RFM scores, grades and CLV of the sample data, computed a second time with pandas.

    python grade_rfm.py ENDPOINT CREDENTIALS_FILE SAMPLES_FOLDER

Amounts, times and statuses come from the sample's own file of orders; the server only says which
customer holds an order. Every score, point and grade of every customer must be the same.
"""

import pathlib
import re
import sys
import time
import tomllib
from decimal import Decimal

import pandas as pd

from client import Client

CANCELLED = {"取消", "已取消", "作废", "已作废", "草稿"}


def as_date(day):
    return {"year": day.year, "month": day.month, "day": day.day}


def everything(client, path, request, field):
    rows, token = [], ""
    while True:
        answer = client.call(path, {**request, "page_size": 1000, "page_token": token})
        rows += answer.get(field, [])
        token = answer.get("next_page_token", "")
        if not token:
            return rows


def settled(client):
    """Waits until the projections have caught up with every feed."""
    for _ in range(300):
        answer = client.call("jinke.reporting.v1.ProjectionService/ListProjections")
        feeds = answer["projections"][0]["feeds"]
        if all(feed.get("caught_up") for feed in feeds) and answer["projections"][0].get("transactions"):
            return
        time.sleep(0.2)
    raise AssertionError(f"the projections did not catch up: {answer}")


def orders(folder):
    """The orders of the sample file, one row an order."""
    file = pd.read_csv(pathlib.Path(folder) / "erp-orders.csv", encoding="gb18030", dtype=str)
    file.columns = [c.strip() for c in file.columns]
    return file


def fifth(values):
    """1 + floor(5 * how many are smaller / n), with equal scores for equal values."""
    return (1 + 5 * (values.rank(method="min") - 1) // len(values)).astype(int)


def main(endpoint, credentials, folder):
    client = Client(endpoint)
    with open(credentials, "rb") as file:
        key = tomllib.load(file)["key"]
    login = client.call("jinke.identity.v1.TokenService/LoginWithKey", {"key": key})
    client.token = login["tokens"]["access_token"]
    settled(client)

    # Which customer holds which order: the crosswalk, and nothing else, is the server's.
    rows = everything(
        client,
        "jinke.reporting.v1.AnalyticsService/ListMetricRows",
        {
            "measure": "order_count",
            "start_date": as_date(pd.Timestamp("2000-01-01")),
            "end_date": as_date(pd.Timestamp("2100-01-01")),
        },
        "rows",
    )
    holder = {}
    for row in rows:
        number = re.search(r"SO\d{7}", row["subject"])
        if number:
            holder[number.group()] = row["customer"]
    listed = orders(folder).drop_duplicates("订单号")
    listed = listed[~listed["状态"].fillna("").isin(CANCELLED)]
    table = pd.DataFrame(
        {
            "customer": [holder.get(n) for n in listed["订单号"]],
            "day": pd.to_datetime(listed["下单日期"]).to_numpy(),
            "amount": [Decimal(a) for a in listed["订单金额"]],
        }
    ).dropna()
    assert len(table) > 100, f"only {len(table)} orders were found in the sample"
    # A day before the subsidiary's Kingdee, 320 days old, began: all orders up to it are in the file of
    # the ERP, and many lie behind it.
    today = table.day.max() - pd.Timedelta(days=325)
    table = table[table.day <= today]
    window = table[table.day > today - pd.DateOffset(months=12)]
    scores = pd.DataFrame(
        {
            "last": table.groupby("customer").day.max(),
            "frequency": window.groupby("customer").size(),
            "monetary": window.groupby("customer").amount.sum(),
        }
    ).dropna()
    scores["recency_days"] = (today - scores["last"]).dt.days
    scores["r"] = fifth(-scores.recency_days)
    scores["f"] = fifth(scores.frequency)
    scores["m"] = fifth(scores.monetary.rank(method="min"))
    scores["points"] = 20 * scores.r + 30 * scores.f + 50 * scores.m
    scores["grade"] = scores.points.map(lambda p: "A" if p >= 400 else "B" if p >= 250 else "C")

    insights = everything(
        client,
        "jinke.reporting.v1.InsightService/ListCustomerInsights",
        {"as_of": as_date(today)},
        "insights",
    )
    found = {i["customer"]: i for i in insights if "rfm" in i}
    assert set(found) == set(scores.index), set(found) ^ set(scores.index)
    for name, right in scores.iterrows():
        insight = found[name]
        rfm = insight["rfm"]
        got = (
            rfm.get("recency_days", 0), rfm["frequency"], Decimal(rfm["monetary"]["value"]),
            rfm["r"], rfm["f"], rfm["m"], insight["grade_points"], insight["grade"][-1],
        )
        expected = (
            right.recency_days, right.frequency, right.monetary,
            right.r, right.f, right.m, right.points, right.grade,
        )
        assert got == expected, f"{name}: {got} is not {expected}"
        clv = next(v for v in insight["values"] if v["measure"] == "measures/clv_simple")
        assert Decimal(clv["value"]["value"]) == right.monetary * 3, f"{name}: {clv}"
    print(f"grade and RFM of {len(scores)} customers, {len(table)} orders: pandas agrees")


if __name__ == "__main__":
    main(*sys.argv[1:])
