"""What happened after an origin. The only file that may look there; scoring may not import it.

Grain: the pairs of a spine, each with `outcome`, 1 or 0. The tables are those visible on `as_of`; every origin of
the spine lies at least one horizon before it, so that each outcome is complete.
"""

from datetime import date, timedelta

import ibis
from ibis.expr.types import Table

from contracts.errors import Refused
from contracts.study import Study

KEYS = ["customer_id", "origin"]


def lapsed(spine: Table, orders: Table, study: Study) -> Table:
    """Non-contractual churn: 1 for no purchase in [origin, origin + horizon). A return alone is no purchase."""
    sales = orders.filter(orders.amount_cents >= 0, orders.known_at < study.as_of)
    sales = sales.select("customer_id", day=sales.ordered_at.date()).distinct()
    in_horizon = [
        spine.customer_id == sales.customer_id,
        sales.day >= spine.origin,
        sales.day < spine.origin + ibis.interval(days=study.horizon_days),
    ]
    came_back = spine.semi_join(sales, in_horizon).select(*KEYS).mutate(found=True)
    return _flag(spine, came_back, found=0)


def contract_ended(spine: Table, customers: Table, end: str, study: Study) -> Table:
    """Contractual churn: 1 for a contract whose end, the column `end`, lies in [origin, origin + horizon).

    The latest row known before the horizon is over decides: a contract prolonged in time has not ended.
    """
    told = customers.filter(customers.known_at < study.as_of).select("customer_id", "known_at", day=customers[end])
    over = spine.origin + ibis.interval(days=study.horizon_days)
    seen = spine.mutate(over=over).join(told, ["customer_id"])
    seen = seen.filter(seen.known_at < seen.over)
    latest = seen.group_by([*KEYS, "over"]).agg(day=seen.day.cast("date").argmax(seen.known_at))
    ended = latest.filter(latest.day >= latest.origin, latest.day < latest.over)
    return _flag(spine, ended.select(*KEYS).mutate(found=True), found=1)


def _flag(spine: Table, found_pairs: Table, found: int) -> Table:
    marked = spine.left_join(found_pairs, KEYS)
    return marked.select(*KEYS, outcome=ibis.ifelse(marked.found.isnull(), 1 - found, found).cast("int8"))


def refuse_uncovered(orders: Table, study: Study) -> None:
    """Raises `Refused` when the orders stop so long before `as_of` that silence is the source's, not the customers'.

    A quarter of the horizon without a single order, from anybody, is taken for missing data.
    """
    span = orders.filter(orders.known_at < study.as_of).aggregate(last=orders.ordered_at.max()).to_pyarrow()
    last = span["last"][0].as_py()
    patience = max(1, study.horizon_days // 4)
    if last is None or last.date() < study.as_of - timedelta(days=patience):
        found = "there are none" if last is None else f"the last is of {last.date()}"
        raise Refused(
            f"The outcome window {study.test_origin} to {study.as_of} must be covered by orders, but {found}. "
            f"Choose an as_of at most {patience} days after the last order, or bring newer data."
        )


def first_day(orders: Table, study: Study) -> date:
    """The day of the first order known before `as_of`: no window of history may begin before it."""
    known = orders.filter(orders.known_at < study.as_of)
    return known.aggregate(first=known.ordered_at.min()).to_pyarrow()["first"][0].as_py().date()
