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


def after_contacts(contacts: Table, orders: Table, window_days: int, as_of: date) -> Table:
    """What followed each contact, control included, in the `window_days` from its moment on; a row a contact.

    Columns: contact_id, bought (1 or 0), spent_cents (paid) and list_cents (before discounts), both of sales; returns
    are of no contact. Only contacts whose window was over before `as_of`, each counted as it was known at its end.
    """
    over = contacts.contacted_at + ibis.interval(days=window_days)
    held = contacts.mutate(over=over).select("contact_id", "customer_id", "contacted_at", "over")
    held = held.filter(held.over <= ibis.literal(as_of).cast("timestamp"))
    sales = known_before(orders.filter(orders.amount_cents >= 0), as_of)
    inside = [held.customer_id == sales.customer_id, sales.ordered_at >= held.contacted_at]
    found = held.join(sales, [*inside, is_known(sales.known_at, held.over)])
    by_contact = found.group_by("contact_id").agg(
        spent_cents=found.amount_cents.sum().cast("int64"),
        list_cents=(found.amount_cents + found.discount_cents.fill_null(0)).sum().cast("int64"),
    )
    marked = held.left_join(by_contact, "contact_id")
    return marked.select(
        "contact_id",
        bought=marked.spent_cents.notnull().cast("int8"),
        spent_cents=marked.spent_cents.fill_null(0),
        list_cents=marked.list_cents.fill_null(0),
    )


def _flag(spine: Table, found_pairs: Table, found: int) -> Table:
    marked = spine.left_join(found_pairs, KEYS)
    return marked.select(*KEYS, outcome=ibis.ifelse(marked.found.isnull(), 1 - found, found).cast("int8"))


def first_day(orders: Table, study: Study) -> date:
    """The day of the first order known before `as_of`: no window of history may begin before it."""
    known = known_before(orders, study.as_of)
    return known.aggregate(first=known.ordered_at.min()).to_pyarrow()["first"][0].as_py().date()
