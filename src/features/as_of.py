"""The look back: each pair of a spine with the rows known before its origin, and the small sums that blocks share.

A **spine** is a table of (customer_id, origin) pairs, origin a date. Every block of features takes a spine of any
number of origins and gives one row for each of its pairs with a history. Days are counted since 1970, as whole
numbers, so that an age is a difference on every engine.
"""

from datetime import date

import ibis
from ibis.expr.types import BooleanValue, IntegerValue, NumericValue, Table

from contracts.boundary import is_known

ibis.options.sql.fuse_selects = False  # engines put queries within queries together themselves, in less time
KEYS = ("customer_id", "origin")
LONG_AGO, DAYS_SINCE = ibis.literal("1600-01-01", "timestamp"), 135_140  # its days until 1970-01-01
ROOM = 2**20  # more than there are days or categories: two of them fit into one whole number, which compares fast


def spine_of(customers: Table, origins: tuple[date, ...]) -> Table:
    """Each of the distinct `customer_id` of `customers` at each origin."""
    at = ibis.array([ibis.literal(origin) for origin in origins])
    return customers.select("customer_id").distinct().mutate(origin=at.unnest())


def day_number(when) -> IntegerValue:
    """The day of a time or a date, counted since 1970-01-01.

    Of a time, the days since a day long ago, which to count costs DuckDB less than to cut the time off before: Spark
    counts whole days alone, which would be one too few for a time before the day that they are counted from. None is.
    """
    if when.type().is_timestamp():
        return when.delta(LONG_AGO, unit="day") - DAYS_SINCE
    return when.cast("date").epoch_days()


def stamped(events: Table, happened: str) -> Table:
    """The rows with `day`, when they happened by the column `happened`, and `known`, the day they reached us."""
    return events.mutate(day=day_number(events[happened]), known=day_number(events.known_at))


def known(spine: Table, rows: Table) -> Table:
    """Each pair of the spine with the customer's rows known before its origin; `rows` are stamped."""
    at = spine.select(*KEYS, at=day_number(spine.origin))
    mine = [at.customer_id == rows.customer_id, is_known(rows.known, at.at)]
    return at.join(rows, mine).drop("customer_id_right")


def before(spine: Table, rows: Table) -> Table:
    """The same, with `age`: the whole days from the row's day to the origin, 1 for the day before it."""
    seen = known(spine, rows)
    return seen.mutate(age=seen.at - seen.day)


def still(seen: Table, until: str) -> Table:
    """Those rows that nothing known at the origin has replaced; null in the column `until` is not replaced at all."""
    return seen.filter(seen[until].isnull() | ~is_known(seen[until], seen.at))


def beside(table: Table, *blocks: Table) -> Table:
    """Left join of blocks on the keys: one row for each pair stays one row."""
    for block in blocks:
        columns = [*table.columns, *(name for name in block.columns if name not in KEYS)]
        table = table.left_join(block, list(KEYS)).select(columns)
    return table


def total(x: NumericValue, where=None) -> IntegerValue:
    """An exact integer sum, null on no rows.

    Summed as floats, which hold whole numbers exactly up to 2**53 (ninety million million cents), so that no order of
    rows can change the sum. DuckDB would sum integers to 128 bits, in twice the time; Parquet stores those as floats.
    """
    return x.cast("float64").sum(where=where).cast("int64")


def none_is_zero(x: NumericValue, where: BooleanValue) -> IntegerValue:
    """The same over the rows where a condition holds, 0 on no rows: for a window without any.

    Written as a product, since DuckDB multiplies faster than it chooses, and chooses faster than it filters a sum.
    """
    return (x.cast("float64") * where.cast("float64")).sum().cast("int64").fill_null(0)


def number(where: BooleanValue) -> IntegerValue:
    """The number of rows where a condition holds."""
    return where.cast("float64").sum().cast("int64").fill_null(0)


def paired(days: BooleanValue, count: IntegerValue, where: BooleanValue | None = None) -> IntegerValue:
    """Two sums as one, for half the work: a number of days, of which nobody has `ROOM`, and a count below 2**33."""
    both = days.cast("int64") + count * ROOM
    return total(both) if where is None else none_is_zero(both, where)


def apart(sums: Table) -> Table:
    """The same with columns `a` and `b` for each that is named `a_and_b`, a sum of `paired`."""
    two = {name: name.split("_and_") for name in sums.columns if "_and_" in name}
    days = {a: sums[name] % ROOM for name, (a, _) in two.items()}
    counts = {b: sums[name] // ROOM for name, (_, b) in two.items()}
    return sums.mutate(**days, **counts).drop(*two)


@ibis.udf.agg.builtin
def bit_or(x: int) -> int:
    """The bits that any of the numbers has; Ibis has it for DuckDB alone."""


def ratio(a: NumericValue, b: NumericValue) -> NumericValue:
    """a / b as a float, null where b is 0: DuckDB would give infinity, Spark an error."""
    return a.cast("float64") / b.cast("float64").nullif(0)


def deviation(x: IntegerValue) -> NumericValue:
    """Sample standard deviation of days, from exact sums: the same bits on every engine and thread count."""
    n_and_s, q = total(1 + x * ROOM), total(x * x)  # see `paired`
    n, s = n_and_s % ROOM, n_and_s // ROOM
    return ratio(n * q - s * s, n * (n - 1)).sqrt()
