"""Sums by slot against loops over rows and slots, and days counted from long ago against Python's own."""

from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis.expr import datatypes as dt

from features import slots
from features.as_of import day_number, deviation

ROWS, CUSTOMERS = 500, 7


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def rows(request):
    """Rows of some customers with random bits in that many lanes after `EVER`, and amounts of either sign."""
    draw = np.random.default_rng(request.param)
    lanes = request.param
    return lanes, pd.DataFrame(
        {
            "customer_id": draw.integers(0, CUSTOMERS, ROWS),
            "bits": draw.integers(0, 2 ** (slots.SLOTS * (lanes + 1)), ROWS),
            "cents": draw.integers(-(10**9), 10**9, ROWS),
        }
    )


def has(row, slot: int, lane: int) -> bool:
    return bool(row.bits >> (slots.SLOTS * lane + slot) & 1)


def test_each_slot_of_each_lane_counts_the_rows_with_its_bit(rows):
    lanes, frame = rows
    table = ibis.memtable(frame)
    names = [f"window_{lane}" for lane in range(1, lanes + 1)]
    made = table.group_by("customer_id").agg(**slots.counted(table.bits, names)).execute().set_index("customer_id")
    for customer, mine in frame.groupby("customer_id"):
        for lane, name in enumerate(names, 1):
            counted = [sum(has(row, slot, lane) for row in mine.itertuples()) for slot in range(slots.SLOTS)]
            assert list(made.loc[customer, name]) == counted, (customer, name)


def test_each_slot_sums_the_rows_with_its_bit(rows):
    lanes, frame = rows
    table = ibis.memtable(frame)
    sums = {f"slot_{slot}": slots.summed(table.cents, table.bits, slot, lanes) for slot in range(slots.SLOTS)}
    made = table.group_by("customer_id").agg(**sums).execute().set_index("customer_id")
    for customer, mine in frame.groupby("customer_id"):
        for slot in range(slots.SLOTS):
            cents = sum(row.cents for row in mine.itertuples() if has(row, slot, lanes))
            assert made.loc[customer, f"slot_{slot}"] == cents, (customer, slot)


def test_more_rows_than_a_customer_can_have_are_told_apart_from_the_lane_above():
    """A sum of two lanes holds the number of one below that of the other."""
    both = 2**slots.SLOTS + 2 ** (3 * slots.SLOTS)
    table = ibis.range(200_000).unnest().name("n").as_table()
    bits = (table.n < 150_000).ifelse(both, 2**slots.SLOTS).cast("int64")
    made = table.agg(**slots.counted(bits, ["first", "second", "third"])).execute().iloc[0]
    assert [made[name][0] for name in ("first", "second", "third")] == [200_000, 0, 150_000]


@pytest.mark.parametrize("hours", [0, 1, 23.9999])
@pytest.mark.parametrize("days", [-300, -1, 0, 1, 19_000, 60_000])
def test_a_day_is_counted_from_1970_whatever_the_hour(days, hours):
    """By hand: 1970-01-01 is day 0, the day before it is -1, from its first moment to its last."""
    day = date(1970, 1, 1) + timedelta(days=days)
    when = datetime(day.year, day.month, day.day) + timedelta(hours=hours)
    time_of = ibis.literal(when, dt.timestamp)
    assert day_number(time_of).execute() == day_number(ibis.literal(day)).execute() == days


def test_the_deviation_of_days_is_numpys():
    gaps = pd.DataFrame({"who": [1] * 6 + [2] * 2 + [3], "gap": [3, 1, 4, None, 1, 5, 9, None, None]})
    table = ibis.memtable(gaps.astype({"gap": "Int64"}))
    made = table.group_by("who").agg(d=deviation(table.gap)).order_by("who").execute()
    assert made.d[0] == pytest.approx(np.std([3, 1, 4, 1, 5], ddof=1), rel=1e-15)
    assert made.d[1:].isna().all()  # one gap has no deviation, and none has none
