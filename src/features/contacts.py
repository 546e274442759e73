"""What a customer was sent, and by which way, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a contact known by then
Sees    contacts with known_at before the origin. Whoever was drawn into the control was to be contacted, but was not:
        such a contact is counted among the contacts, and left out where a column speaks of what reached her
Units   counts, shares, whole days
Errors  none of its own
"""

import ibis
from ibis.expr.types import Table

from features.as_of import KEYS, before, none_is_zero, ratio
from features.dictionary import column, windowed
from features.shares import preferred_in_year

WINDOWS = (30, 90, 365)
_OF = {"reads": ("contacts",)}
_NEVER = "never contacted"
_NOT_THEN = "not contacted in the window"
COLUMNS = (
    *windowed("contacts", "contacts, control included,", WINDOWS, "count", _NEVER, "contacts", **_OF),
    column("days_since_contact", "days since the last contact", "days", _NEVER, "contacts", **_OF),
    column(
        "contact_pressure",
        "contacts of the last 30 days, without control, against the usual of 365",
        "ratio",
        "not reached by a contact in the last 365 days",
        "contact pressure",
        365,
        **_OF,
    ),
)
ARMS = (
    column(
        "days_since_reached",
        "days since the last contact that was no control",
        "days",
        "never contacted but as control",
        "contacts",
        **_OF,
    ),
    *windowed("arms", "different arms, control included,", (365,), "count", _NEVER, "arms", **_OF),
    *windowed("control_share", "share of control among the contacts", (365,), "share", _NOT_THEN, "arms", **_OF),
    column("last_arm", "arm of the last contact", "category", _NEVER, "arms", **_OF),
)
_NO_CHANNEL = "reached by no known channel in the window"
CHANNEL = (
    *windowed("contact_channel", "channel of most contacts", (365,), "category", _NO_CHANNEL, "contact channel", **_OF),
    *windowed(
        "contact_channel_share",
        "share of contacts by the channel of most",
        (365,),
        "share",
        _NO_CHANNEL,
        "contact channel",
        **_OF,
    ),
)


def contacts(spine: Table, contact_days: Table) -> Table:
    """The columns of `COLUMNS` and `ARMS` beside the keys. Of several last arms on one day, the first by name."""
    seen = before(spine, contact_days)
    reached = ~seen.control
    arm_age = ibis.struct({"age": seen.age, "arm": seen.arm})
    made = seen.group_by(*KEYS).agg(
        **{f"contacts_{w}": none_is_zero(seen.contacts, seen.age <= w) for w in WINDOWS},
        days_since_contact=seen.age.min(),
        days_since_reached=seen.age.min(where=reached),
        reached_30=none_is_zero(seen.contacts, reached & (seen.age <= 30)),
        reached_365=none_is_zero(seen.contacts, reached & (seen.age <= 365)),
        arms_365=seen.arm.nunique(where=seen.age <= 365),
        last_arm=seen.arm.argmin(arm_age, where=seen.arm.notnull()),
    )
    return made.mutate(
        contact_pressure=ratio(made.reached_30 * 365, made.reached_365 * 30),
        control_share_365=ratio(made.contacts_365 - made.reached_365, made.contacts_365),
    ).drop("reached_30", "reached_365")


def channel(spine: Table, contact_days: Table) -> Table:
    """The columns of `CHANNEL` beside the keys."""
    best = preferred_in_year(spine, contact_days.filter(~contact_days.control), "channel", "contacts")
    return best.rename(contact_channel_365="best", contact_channel_share_365="share")
