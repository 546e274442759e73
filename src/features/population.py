"""Whom a table of features is asked for: the spine of those who were customers at an origin."""

from datetime import date

from ibis.expr.types import Table

from features.as_of import KEYS, before, day_number, known, spine_of, stamped
from features.day_tables import sales


def buyers(orders: Table, origins: tuple[date, ...], window_days: int) -> Table:
    """The spine of those who bought in the `window_days` before each origin, as known at it."""
    return active(stamped(sales(orders), "ordered_at"), origins, window_days)


def active(sales_days: Table, origins: tuple[date, ...], window_days: int) -> Table:
    """The same from sales that are stamped; customers without one are nobody's buyers."""
    sold = sales_days.select("customer_id", "day", "known").distinct()
    seen = before(spine_of(sold, origins), sold)
    return seen.filter(seen.age <= window_days).select(*KEYS).distinct()


def under_contract(customers: Table, origins: tuple[date, ...], end: str) -> Table:
    """The spine of those known at each origin whose contract, with its end in the column `end`, had not ended by then.

    The latest row known at the origin decides; no end, or one to come, is a running contract.
    """
    told = customers.select(
        "customer_id", "known_at", known=day_number(customers.known_at), ended=customers[end].cast("date")
    )
    seen = known(spine_of(customers, origins), told)
    latest = seen.group_by(*KEYS).agg(ended=seen.ended.argmax(seen.known_at))
    return latest.filter(latest.ended.isnull() | (latest.ended >= latest.origin)).select(*KEYS)
