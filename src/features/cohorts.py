"""The purchases of those who first bought in a span of days, by customer and day.

Grain   one row for each day with a purchase of a customer: customer_id, day, cents
Sees    orders that the caller has cut at what was known; no outcome is made of them
Units   `day` counts from the first day asked for, 0 is that day; `cents` is what was paid on it
Errors  none of its own
Source  the design of Fader, Hardie & Lee (2005), Marketing Science 24(2): a cohort of 12 weeks, seen for 39
"""

from datetime import date

import ibis
from ibis import _
from ibis.expr.types import Table

from features.as_of import day_number


def purchases_of_cohort(orders: Table, first_day: date, entry_days: int, seen_days: int) -> Table:
    """Purchase days of customers whose first one lies within `entry_days` of a day, until `seen_days` after it.

    A sale is a line that is not negative; a return is no purchase. Sorted by customer and day.
    """
    start = day_number(ibis.literal(first_day))
    sales = orders.filter(orders.amount_cents >= 0).mutate(day=day_number(orders.ordered_at) - start)
    days = sales.group_by("customer_id", "day").agg(cents=_.amount_cents.sum().cast("int64"))
    came = days.group_by("customer_id").agg(came=_.day.min()).filter((_.came >= 0) & (_.came < entry_days))
    kept = days.semi_join(came, "customer_id").filter(_.day < seen_days)
    return kept.order_by("customer_id", "day")
