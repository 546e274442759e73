"""How often, how lately and for how much a customer bought, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase known by then
Sees    orders with known_at before the origin: one booked late was not known, whenever it was placed
Units   whole days, integer cents; orders of one day are one purchase
Errors  none of its own: contracts.tables has refused what would make a number here wrong
Source  Fader, Hardie & Lee (2005), Marketing Science 24(2): x, t_x and T (here tenure_days)
"""

import ibis
from ibis.expr.types import Table, Value

from contracts.boundary import is_known
from features.as_of import ROOM, before, bit_or, deviation, none_is_zero, number, paired, ratio
from features.dictionary import column, windowed

WINDOWS = (7, 30, 90, 180, 365)
DAY_WINDOWS = (7, 14, 30, 60, 90, 180, 365)  # in purchase days a short memory tells more than in sums
SILENCES = (14, 28)
WEEKS = 13

_OF = {"reads": ("orders",)}
_NEVER = "never bought"
_ONCE = "bought on one day only"
_NOT_THEN = "has not bought in the window"
COLUMNS = (
    column("recency_days", "days since the last purchase", "days", _NEVER, topic="recency", **_OF),
    column("tenure_days", "days since the first purchase", "days", _NEVER, topic="tenure", **_OF),
    column("x", "days with a repeat purchase", "count", _NEVER, topic="frequency", **_OF),
    column("t_x", "days from the first purchase to the last", "days", _NEVER, topic="tenure", **_OF),
    column("gap_mean", "mean days between purchases", "days", _ONCE, topic="frequency", **_OF),
    column("gap_deviation", "deviation of the days between purchases", "days", "fewer than two gaps", "rhythm", **_OF),
    column("gap_longest", "longest silence between purchases in days", "days", _ONCE, topic="rhythm", **_OF),
    column("gap_last", "days between the last two purchases", "days", _ONCE, topic="rhythm", **_OF),
    column("overdue", "days since the last purchase over the mean gap", "ratio", _ONCE, topic="recency", **_OF),
    column("overdue_worst", "days since the last purchase over the longest gap", "ratio", _ONCE, "recency", **_OF),
    column("weeks_active", "weeks with a purchase among the last 13", "count", _NEVER, "frequency", 7 * WEEKS, **_OF),
    *(
        column(
            f"silent_share_{d}",
            f"share of days after which no purchase followed for {d} days",
            "share",
            _NEVER,
            topic="rhythm",
            **_OF,
        )
        for d in SILENCES
    ),
    *windowed("purchase_days", "days with a purchase", DAY_WINDOWS, "count", _NEVER, "frequency", **_OF),
    *windowed("baskets", "baskets", WINDOWS, "count", _NEVER, "frequency", **_OF),
    *windowed("spend_cents", "spend", WINDOWS, "cents", _NEVER, "spend", **_OF),
    *windowed("lines", "order lines", WINDOWS, "count", _NEVER, "frequency", **_OF),
    *windowed("basket_cents", "spend for each basket", (30, 90, 365), "cents", _NOT_THEN, "basket value", **_OF),
    column(
        "days_trend_30_90",
        "purchase days of the last 30 against the usual of 90",
        "ratio",
        _NOT_THEN,
        "trend",
        90,
        **_OF,
    ),
    column(
        "days_trend_90_180",
        "purchase days of the last 90 against the usual of 180",
        "ratio",
        _NOT_THEN,
        "trend",
        180,
        **_OF,
    ),
    column(
        "spend_trend_30_90", "spend of the last 30 days against the usual of 90", "ratio", _NOT_THEN, "trend", 90, **_OF
    ),
    column(
        "spend_trend_90_180",
        "spend of the last 90 days against the usual of 180",
        "ratio",
        _NOT_THEN,
        "trend",
        180,
        **_OF,
    ),
)


def seen_days(spine: Table, purchase_days: Table) -> Table:
    """Each pair with the purchase days known before its origin, and the gap before each of them as known then.

    Once all earlier days are known a gap never changes; only until then is it counted anew.
    """
    sure = before(spine, purchase_days.drop("known").rename(known="settled"))
    doubtful = before(spine, purchase_days.filter(is_known(purchase_days.known, purchase_days.settled)))
    doubtful = doubtful.filter(~is_known(doubtful.settled, doubtful.at)).drop("gap", "settled")
    earlier = purchase_days.select("customer_id", earlier="day", then="known").view()
    both = [doubtful.customer_id == earlier.customer_id, earlier.earlier < doubtful.day]
    anew = doubtful.left_join(earlier, [*both, is_known(earlier.then, doubtful.at)]).drop("customer_id_right", "then")
    anew = anew.group_by(doubtful.columns).agg(last=anew.earlier.max())
    gap = anew.first.ifelse(anew.day - anew["last"], None)
    return sure.union(anew.mutate(gap=gap).select(sure.columns))


def counted(seen: Table) -> dict[str, Value]:
    """What one pass over `seen_days` counts for this block."""
    within = {w: seen.age <= w for w in DAY_WINDOWS}
    week = ibis.least((seen.age - 1) // 7, WEEKS)
    return {
        "recency_days": seen.age.min(),
        "tenure_days": seen.age.max(),
        "purchases_and_all_lines": paired(seen.first, seen.lines),
        "gap_deviation": deviation(seen.gap),
        "gap_longest": seen.gap.max(),
        "gap_last": (seen.age * ROOM + seen.gap).min() % ROOM,
        **{f"silent_{d}": none_is_zero(seen.gap - d, seen.gap > d) for d in SILENCES},
        "weeks": bit_or(ibis.literal(1, "int64") << week),
        **{f"purchase_days_{w}": number(seen.first & within[w]) for w in DAY_WINDOWS if w not in WINDOWS},
        **{f"purchase_days_{w}_and_lines_{w}": paired(seen.first, seen.lines, within[w]) for w in WINDOWS},
        **{f"{what}_{w}": none_is_zero(seen[what], within[w]) for what in ("baskets", "spend_cents") for w in WINDOWS},
    }


def derived(t: Table) -> dict[str, Value]:
    """The columns of `COLUMNS` from what was counted."""
    x, t_x = t.purchases - 1, t.tenure_days - t.recency_days
    gap_mean = ratio(t_x, x)
    weeks = sum(((t.weeks // 2**week) % 2 for week in range(1, WEEKS)), t.weeks % 2)
    made = {
        "x": x,
        "t_x": t_x,
        "gap_mean": gap_mean,
        "overdue": ratio(t.recency_days, gap_mean),
        "overdue_worst": ratio(t.recency_days, t.gap_longest),
        "weeks_active": weeks,
        **{f"silent_share_{d}": ratio(t[f"silent_{d}"], t.tenure_days) for d in SILENCES},
        "days_trend_30_90": ratio(t.purchase_days_30 * 3, t.purchase_days_90),
        "days_trend_90_180": ratio(t.purchase_days_90 * 2, t.purchase_days_180),
        "spend_trend_30_90": ratio(t.spend_cents_30 * 3, t.spend_cents_90),
        "spend_trend_90_180": ratio(t.spend_cents_90 * 2, t.spend_cents_180),
        **{f"basket_cents_{w}": ratio(t[f"spend_cents_{w}"], t[f"baskets_{w}"]) for w in (30, 90, 365)},
    }
    return {c.name: made.get(c.name, t[c.name] if c.name in t.columns else None) for c in COLUMNS}
