"""What happened after an origin. The only file that may look there; scoring may not import it.

Grain: the pairs of a spine, each with `outcome`, 1 or 0, as it was known at the end of its own horizon. What reached us
later counts at no origin: it has not reached us for the latest one, and all origins must be counted alike.
"""

from datetime import date

import ibis
from ibis.expr.types import Table

from contracts.boundary import is_known, known_before
from contracts.study import Study

KEYS = ["customer_id", "origin"]


def lapsed(spine: Table, orders: Table, study: Study) -> Table:
    """Non-contractual churn: 1 for no purchase in [origin, origin + horizon). A return alone is no purchase."""
    sales = known_before(orders.filter(orders.amount_cents >= 0), study.as_of)
    sales = sales.select("customer_id", day=sales.ordered_at.date(), known=sales.known_at.date()).distinct()
    in_horizon = [
        spine.customer_id == sales.customer_id,
        sales.day >= spine.origin,
        is_known(sales.known, spine.origin + ibis.interval(days=study.horizon_days)),
    ]
    came_back = spine.semi_join(sales, in_horizon).select(*KEYS).mutate(found=True)
    return _flag(spine, came_back, found=0)


def contract_ended(spine: Table, customers: Table, end: str, study: Study) -> Table:
    """Contractual churn: 1 for a contract whose end, the column `end`, lies in [origin, origin + horizon).

    The latest row known before the horizon is over decides: a contract prolonged in time has not ended.
    """
    told = known_before(customers, study.as_of).select("customer_id", "known_at", end).rename(day=end)
    over = spine.origin + ibis.interval(days=study.horizon_days)
    seen = spine.mutate(over=over).join(told, ["customer_id"])
    seen = seen.filter(is_known(seen.known_at, seen.over))
    latest = seen.group_by([*KEYS, "over"]).agg(day=seen.day.cast("date").argmax(seen.known_at))
    ended = latest.filter(latest.day >= latest.origin, latest.day < latest.over)
    return _flag(spine, ended.select(*KEYS).mutate(found=True), found=1)


def _flag(spine: Table, found_pairs: Table, found: int) -> Table:
    marked = spine.left_join(found_pairs, KEYS)
    return marked.select(*KEYS, outcome=ibis.ifelse(marked.found.isnull(), 1 - found, found).cast("int8"))


def first_day(orders: Table, study: Study) -> date:
    """The day of the first order known before `as_of`: no window of history may begin before it."""
    known = known_before(orders, study.as_of)
    return known.aggregate(first=known.ordered_at.min()).to_pyarrow()["first"][0].as_py().date()
