"""When a customer buys: days of the week, hours, and the same weeks of last year, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase known by then
Sees    orders with known_at before the origin
Units   shares; counts and cents of a span of four weeks
Errors  none of its own. Weekdays and hours are those of UTC, as all raw times are
"""

from ibis.expr.types import Table, Value

from features.as_of import none_is_zero, number, paired, ratio, total
from features.dictionary import column

SPAN = 28
YEAR = 364  # 52 weeks, so that weekdays match

_OF = {"reads": ("orders",)}
_NEVER = "never bought"
_YOUNG = "first bought less than a year before"
COLUMNS = (
    column("weekend_share", "share of purchase days at a weekend", "share", _NEVER, "time of buying", **_OF),
    column("morning_share", "share of order lines before 12:00", "share", _NEVER, "time of buying", **_OF),
    column("evening_share", "share of order lines at 18:00 or later", "share", _NEVER, "time of buying", **_OF),
    column(
        "purchase_days_next_28_last_year",
        "purchase days in the coming four weeks, a year ago",
        "count",
        _YOUNG,
        "season",
        YEAR,
        **_OF,
    ),
    column(
        "spend_cents_next_28_last_year",
        "spend in the coming four weeks, a year ago",
        "cents",
        _YOUNG,
        "season",
        YEAR,
        **_OF,
    ),
    column(
        "spend_trend_year",
        "spend of the last four weeks against the same weeks a year ago",
        "ratio",
        "nothing bought in those weeks a year ago",
        "season",
        YEAR + SPAN,
        **_OF,
    ),
)


def counted(seen: Table) -> dict[str, Value]:
    """What one pass over `purchases.seen_days` counts for this block."""
    ahead = (seen.age <= YEAR) & (seen.age > YEAR - SPAN)
    behind = (seen.age <= YEAR + SPAN) & (seen.age > YEAR)
    return {
        "weekend_and_evening": paired(seen.first & ((seen.day + 3) % 7 >= 5), seen.evening),
        "morning": total(seen.morning),
        "days_ahead": number(seen.first & ahead),
        "spend_ahead": none_is_zero(seen.spend_cents, ahead),
        "spend_behind": none_is_zero(seen.spend_cents, behind),
        "spend_now": none_is_zero(seen.spend_cents, seen.age <= SPAN),
    }


def derived(t: Table) -> dict[str, Value]:
    """The columns of `COLUMNS` from what was counted."""
    a_year = t.tenure_days >= YEAR
    return {
        "weekend_share": ratio(t.weekend, t.purchases),
        "morning_share": ratio(t.morning, t.all_lines),
        "evening_share": ratio(t.evening, t.all_lines),
        "purchase_days_next_28_last_year": a_year.ifelse(t.days_ahead, None),
        "spend_cents_next_28_last_year": a_year.ifelse(t.spend_ahead, None),
        "spend_trend_year": ratio(t.spend_now, t.spend_behind),
    }
