"""The one boundary: a row of features sees what was known before its origin, and nothing else.

A **spine** is a table of (customer_id, origin) pairs, origin a date. Every block of features takes a spine of any
number of origins and gives one row for each of its pairs.
"""

from datetime import date

import ibis
from ibis.expr.types import IntegerValue, NumericValue, Table

KEYS = ("customer_id", "origin")


def spine_of(customers: Table, origins: tuple[date, ...]) -> Table:
    """Each of the distinct `customer_id` of `customers` at each origin."""
    days = ibis.memtable({"origin": list(origins)}, schema={"origin": "date"})
    return customers.select("customer_id").distinct().cross_join(days)


def visible(events: Table, origin: date) -> Table:
    """The rows that could be read at 00:00 on `origin`."""
    return events.filter(events.known_at < origin)


def known(spine: Table, events: Table) -> Table:
    """Each pair of the spine with the rows known before its origin."""
    mine = [spine.customer_id == events.customer_id, events.known_at < spine.origin]
    return spine.join(events, mine).drop("customer_id_right")


def before(spine: Table, events: Table, happened: str) -> Table:
    """Each pair of the spine with the events known before its origin.

    Adds `age`: the whole days from the day in the column `happened` to the origin, 1 for the day before it.
    """
    seen = known(spine, events)
    return seen.mutate(age=seen.origin.epoch_days() - seen[happened].cast("date").epoch_days())


def sales(orders: Table) -> Table:
    """The order lines that are no returns: a return has a negative amount and is no purchase."""
    return orders.filter(orders.amount_cents >= 0)


def beside(table: Table, *blocks: Table) -> Table:
    """Left join of blocks on the keys: one row for each pair stays one row."""
    for block in blocks:
        columns = [*table.columns, *(name for name in block.columns if name not in KEYS)]
        table = table.left_join(block, list(KEYS)).select(columns)
    return table


def total(x: NumericValue, where=None) -> IntegerValue:
    """An exact integer sum, null on no rows.

    "!int64": DuckDB sums integers to 128 bits, which Parquet would store as floats.
    """
    return x.sum(where=where).cast("!int64")


def ratio(a: NumericValue, b: NumericValue) -> NumericValue:
    """a / b as a float, null where b is 0: DuckDB would give infinity, Spark an error."""
    return a.cast("float64") / b.cast("float64").nullif(0)


def deviation(x: NumericValue, where=None) -> NumericValue:
    """Sample standard deviation of whole numbers, from exact sums: the same bits on every engine and thread count."""
    n, s, q = x.count(where=where), total(x, where), total(x * x, where)
    return ratio(n * q - s * s, n * (n - 1)).sqrt()
