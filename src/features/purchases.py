"""How often, how lately and for how much a customer bought, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase known by then
Sees    orders with known_at before the origin: one booked late was not known, whenever it was placed
Units   whole days, integer cents; orders of one day are one purchase
Errors  none of its own: contracts.tables has refused what would make a number here wrong
Source  Fader, Hardie & Lee (2005), Marketing Science 24(2): x, t_x and T
"""

import ibis
from ibis import _
from ibis.expr.types import Table

from features.as_of import KEYS, before, beside, deviation, ratio, sales, total
from features.dictionary import Column, windowed

WINDOWS = (7, 30, 90, 180, 365)
WEEKS = 13

_ORDERS = ("orders",)
_NONE = "has not bought in the window"
COLUMNS = (
    Column("recency_days", "days since the last purchase", "days", "never bought", _ORDERS, "recency"),
    Column("tenure_days", "days since the first purchase", "days", "never bought", _ORDERS, "tenure"),
    Column("x", "days with a repeat purchase", "count", "never bought", _ORDERS, "frequency"),
    Column("t_x", "days from the first purchase to the last", "days", "never bought", _ORDERS, "tenure"),
    Column("gap_mean", "mean days between purchases", "days", "bought on one day only", _ORDERS, "frequency"),
    Column(
        "gap_deviation", "deviation of the days between purchases", "days", "fewer than two gaps", _ORDERS, "rhythm"
    ),
    Column(
        "gap_longest", "longest silence between purchases in days", "days", "bought on one day only", _ORDERS, "rhythm"
    ),
    Column("gap_last", "days between the last two purchases", "days", "bought on one day only", _ORDERS, "rhythm"),
    Column(
        "overdue",
        "days since the last purchase over the mean gap",
        "ratio",
        "bought on one day only",
        _ORDERS,
        "recency",
    ),
    Column(
        "overdue_worst",
        "days since the last purchase over the longest gap",
        "ratio",
        "bought on one day only",
        _ORDERS,
        "recency",
    ),
    Column(
        "weeks_active", f"weeks with a purchase among the last {WEEKS}", "count", "never bought", _ORDERS, "frequency"
    ),
    *windowed(
        "purchase_days",
        "days with a purchase",
        WINDOWS,
        unit="count",
        null="never bought",
        reads=_ORDERS,
        topic="frequency",
    ),
    *windowed("baskets", "baskets", WINDOWS, unit="count", null="never bought", reads=_ORDERS, topic="frequency"),
    *windowed("spend_cents", "spend", WINDOWS, unit="cents", null="never bought", reads=_ORDERS, topic="spend"),
    *windowed(
        "basket_cents",
        "spend for each basket",
        (30, 90, 365),
        unit="cents",
        null=_NONE,
        reads=_ORDERS,
        topic="basket value",
    ),
    Column(
        "days_trend_30_90", "purchase days of the last 30 against the usual of 90", "ratio", _NONE, _ORDERS, "trend"
    ),
    Column(
        "days_trend_90_180", "purchase days of the last 90 against the usual of 180", "ratio", _NONE, _ORDERS, "trend"
    ),
    Column("spend_trend_30_90", "spend of the last 30 days against the usual of 90", "ratio", _NONE, _ORDERS, "trend"),
    Column(
        "spend_trend_90_180", "spend of the last 90 days against the usual of 180", "ratio", _NONE, _ORDERS, "trend"
    ),
    Column("weekend_share", "share of purchase days at a weekend", "share", "never bought", _ORDERS, "time of buying"),
    Column(
        "evening_share", "share of order lines at 18:00 or later", "share", "never bought", _ORDERS, "time of buying"
    ),
    *windowed(
        "returns",
        "returned order lines",
        (365,),
        unit="count",
        null="has returned nothing",
        reads=_ORDERS,
        topic="returns",
    ),
    *windowed(
        "returned_cents",
        "value returned",
        (365,),
        unit="cents",
        null="has returned nothing",
        reads=_ORDERS,
        topic="returns",
    ),
)


def purchase_days(orders: Table) -> Table:
    """One row for each customer, day and day it became known: what the columns are counted from. No returns."""
    sold = sales(orders)
    lines = sold.mutate(day=sold.ordered_at.date(), known_at=sold.known_at.date())
    return lines.group_by("customer_id", "day", "known_at").agg(
        baskets=_.order_id.nunique(),
        lines=_.count(),
        spend=total(_.amount_cents),
        evening=_.count(where=_.ordered_at.hour() >= 18),
    )


def purchases(spine: Table, orders: Table) -> Table:
    """The columns of `COLUMNS` beside the keys."""
    known = before(spine, purchase_days(orders), "day")
    days = known.group_by(*KEYS, "age").agg(
        **{name: total(known[name]) for name in ("baskets", "lines", "spend", "evening")}
    )
    earlier = ibis.window(group_by=list(KEYS), order_by=ibis.desc("age"))
    days = days.mutate(gap=days.age.lag().over(earlier) - days.age)
    counted = days.group_by(*KEYS).agg(**_counts(days))
    return beside(_derived(counted), _returns(spine, orders)).select(*KEYS, *(column.name for column in COLUMNS))


def _returns(spine: Table, orders: Table) -> Table:
    seen = before(spine, orders.filter(orders.amount_cents < 0), "ordered_at")
    return (
        seen.filter(seen.age <= 365)
        .group_by(*KEYS)
        .agg(returns_365=_.count(), returned_cents_365=total(-_.amount_cents))
    )


def _counts(days: Table) -> dict:
    within = {w: days.age <= w for w in WINDOWS}
    return {
        "recency_days": days.age.min(),
        "tenure_days": days.age.max(),
        "purchases": days.count(),
        "gap_deviation": deviation(days.gap),
        "gap_longest": days.gap.max(),
        "gap_last": days.gap.argmin(days.age),
        "weeks_active": ((days.age - 1) // 7).nunique(where=days.age <= 7 * WEEKS),
        "weekend_days": days.count(where=(days.origin.epoch_days() - days.age + 3) % 7 >= 5),
        "evening": total(days.evening),
        "lines": total(days.lines),
        **{f"purchase_days_{w}": days.count(where=within[w]) for w in WINDOWS},
        **{f"baskets_{w}": total(days.baskets, within[w]).fill_null(0) for w in WINDOWS},
        **{f"spend_cents_{w}": total(days.spend, within[w]).fill_null(0) for w in WINDOWS},
    }


def _derived(t: Table) -> Table:
    t = t.mutate(x=t.purchases - 1, t_x=t.tenure_days - t.recency_days)
    t = t.mutate(gap_mean=ratio(t.t_x, t.x))
    return t.mutate(
        overdue=ratio(t.recency_days, t.gap_mean),
        overdue_worst=ratio(t.recency_days, t.gap_longest),
        weekend_share=ratio(t.weekend_days, t.purchases),
        evening_share=ratio(t.evening, t.lines),
        days_trend_30_90=ratio(t.purchase_days_30 * 3, t.purchase_days_90),
        days_trend_90_180=ratio(t.purchase_days_90 * 2, t.purchase_days_180),
        spend_trend_30_90=ratio(t.spend_cents_30 * 3, t.spend_cents_90),
        spend_trend_90_180=ratio(t.spend_cents_90 * 2, t.spend_cents_180),
        **{f"basket_cents_{w}": ratio(t[f"spend_cents_{w}"], t[f"baskets_{w}"]) for w in (30, 90, 365)},
    )
