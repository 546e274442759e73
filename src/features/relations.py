"""How a customer stands among others and to the shop: fifths, household or company, channel, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase, or a group, known by then
Sees    orders and customers with known_at before the origin. Fifths are taken among those pairs of the spine at an
        origin that ever bought: another spine has other fifths
Units   fifths from 1 (worst) to 5 (best), shares, counts
Errors  none of its own
Source  Hughes (1994), Strategic Database Marketing: quintiles by recency, frequency and monetary value
"""

import ibis
from ibis import _
from ibis.expr.types import Table, Value

from features.as_of import KEYS, before, known, ratio, still, total
from features.dictionary import Column, column, windowed
from features.shares import preferred_in_year

FIFTHS = 5
_OF = {"reads": ("orders",)}
_NEVER = "never bought"
COLUMNS = (
    column("rfm_recency", "fifth by the last purchase, 5 the latest", "score", _NEVER, "recency", **_OF),
    column("rfm_frequency", "fifth by purchase days of the year, 5 the most", "score", _NEVER, "frequency", 365, **_OF),
    column("rfm_monetary", "fifth by spend of the year, 5 the most", "score", _NEVER, "spend", 365, **_OF),
    column(
        "rfm", "fifths by recency, frequency and spend of the year as one number", "score", _NEVER, "rfm", 365, **_OF
    ),
)
_NO_CHANNEL = "bought by no known channel in the window"
CHANNEL = (
    *windowed("channel", "channel of most baskets", (365,), "category", _NO_CHANNEL, "channel", **_OF),
    *windowed(
        "channel_share", "share of baskets by the channel of most", (365,), "share", _NO_CHANNEL, "channel", **_OF
    ),
)


def counted(seen: Table) -> dict[str, Value]:
    """Nothing beside what `purchases` counts in its pass."""
    return {}


def derived(t: Table) -> dict[str, Value]:
    """The columns of `COLUMNS`; customers who are equal in a measure are told apart by customer_id."""
    r, f, m = (
        _fifth(t, worst_first) for worst_first in (t.recency_days.desc(), t.purchase_days_365, t.spend_cents_365)
    )
    return {"rfm_recency": r, "rfm_frequency": f, "rfm_monetary": m, "rfm": r * 100 + f * 10 + m}


def _fifth(t: Table, worst_first) -> Value:
    return (ibis.ntile(FIFTHS).over(group_by="origin", order_by=[worst_first, t.customer_id]) + 1).cast("int64")


def channel(spine: Table, channel_days: Table) -> Table:
    """The columns of `CHANNEL` beside the keys."""
    return preferred_in_year(spine, channel_days, "channel", "baskets").rename(
        channel_365="best", channel_share_365="share"
    )


def group_columns(name: str) -> tuple[Column, ...]:
    """The columns of a declared group, such as a household."""
    said = name.replace("_", " ")
    both, untold = {"reads": ("customers", "orders")}, f"{said} not told"
    return (
        column(f"{name}_members", f"known members of the {said}", "count", untold, said, reads=("customers",)),
        *windowed(
            f"{name}_spend_share",
            f"share of the spend of the {said}",
            (365,),
            "share",
            f"{untold}, or it bought nothing in the window",
            said,
            **both,
        ),
    )


def group(spine: Table, profiles: Table, purchase_days: Table, name: str) -> Table:
    """The columns of `group_columns` beside the keys: all members known at the origin count, in the spine or not."""
    told = profiles.filter(profiles[name].notnull()).select("customer_id", "known", "replaced", group=profiles[name])
    asked = still(known(spine, told), "replaced").select("group", "origin").distinct()
    # the same look back as a customer's, of a group
    members = still(
        known(asked.rename(customer_id="group"), told.rename(member="customer_id", customer_id="group")), "replaced"
    )
    members = members.select("origin", group="customer_id", customer_id="member")
    days = before(members, purchase_days).filter(_.age <= 365)
    spent = days.group_by(*KEYS).agg(spend=total(days.spend_cents))
    each = members.left_join(spent, list(KEYS)).select(*members.columns, spend=spent.spend.fill_null(0))
    whole = each.group_by("origin", "group").agg(members=each.count(), spend=total(each.spend))
    mine = spine.select(*KEYS).join(each, list(KEYS)).rename(own="spend").join(whole, ["origin", "group"])
    return mine.select(
        *KEYS, **{f"{name}_members": mine.members, f"{name}_spend_share_365": ratio(mine.own, mine.spend)}
    )
