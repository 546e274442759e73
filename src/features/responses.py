"""How a customer answered campaigns, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a response, or a contact by a campaign, known by then
Sees    responses, contacts and campaigns with known_at before the origin. A campaign answered several times counts
        once, at its last answer. Rates are of the campaigns that reached the customer: no control, and no answer to a
        campaign that did not reach her. The overall rate is that of all customers, as known at the origin
Units   counts of campaigns, shares, integer cents, whole days
Errors  none of its own
Source  features.shares, for the rates
"""

import ibis
from ibis import _
from ibis.expr.types import Table

from contracts.boundary import is_known
from features import slots
from features.as_of import KEYS, before, beside, day_number, known, none_is_zero, number, ratio, total
from features.dictionary import column, windowed
from features.shares import at_origins, smoothed

WINDOWS = (30, 90, 365)
WEIGHT = 5  # campaigns: a customer of five has half of her rate from herself

_BACK = {"reads": ("responses",)}
_BOTH = {"reads": ("contacts", "responses")}
_ALL = {"reads": ("contacts", "responses", "campaigns")}
_NEVER = "never responded"
_NOT_SENT = "reached by no campaign"
COLUMNS = (
    *windowed("responses", "campaigns answered", WINDOWS, "count", _NEVER, "responses", **_BACK),
    column("days_since_response", "days since the last response", "days", _NEVER, "responses", **_BACK),
)
VALUE = windowed(
    "response_cents", "value of responses", (365,), "cents", "no response of known value", "responses", **_BACK
)
RATE = (
    column("campaigns_received", "campaigns that reached the customer", "count", _NOT_SENT, "response rate", **_BOTH),
    column(
        "response_rate",
        "share of campaigns answered, drawn to that of all customers",
        "share",
        _NOT_SENT,
        "response rate",
        **_BOTH,
    ),
)
KINDS = (
    column(
        "answered_kind",
        "kind of campaign answered most",
        "category",
        "answered no campaign of a known kind",
        "campaign kind",
        **_ALL,
    ),
    column(
        "last_kind",
        "kind of the last campaign received",
        "category",
        "reached by no campaign of a known kind",
        "campaign kind",
        **_ALL,
    ),
    column(
        "response_rate_last_kind",
        "share answered of the last campaign's kind, drawn to that of all customers",
        "share",
        "reached by no campaign of a known kind",
        "response rate",
        **_ALL,
    ),
)


def responses(spine: Table, response_days: Table) -> Table:
    """The columns of `COLUMNS` beside the keys."""
    seen = before(spine, response_days)
    last = seen.group_by(*KEYS).agg(days_since_response=seen.age.min())
    return beside(last, slots.different(spine, response_days, "campaign_id", {f"responses_{w}": w for w in WINDOWS}))


def value(spine: Table, response_days: Table) -> Table:
    """The columns of `VALUE` beside the keys."""
    seen = before(spine, response_days.filter(response_days.value_cents.notnull()))
    return seen.group_by(*KEYS).agg(response_cents_365=none_is_zero(seen.value_cents, seen.age <= 365))


def rate(spine: Table, campaign_answers: Table) -> Table:
    """The columns of `RATE` beside the keys."""
    own = _counted(known(spine, campaign_answers), *KEYS)
    days = campaign_answers.group_by("known", "answered").agg(campaigns=_.count())
    each = own.join(_overall(spine, days), "origin")
    share = smoothed(each.answered, each.campaigns, each.overall, WEIGHT)
    return each.select(*KEYS, campaigns_received=each.campaigns, response_rate=share)


def kinds(spine: Table, campaign_answers: Table, campaigns: Table) -> Table:
    """The columns of `KINDS` beside the keys. Of equal kinds, and of those of one day, the first by name."""
    told = campaigns.filter(campaigns.kind.notnull())
    told = told.select("campaign_id", "kind", told_on=day_number(told.known_at))
    sent = campaign_answers.join(told, "campaign_id")
    sent = sent.mutate(known=ibis.greatest(sent.known, sent.told_on))
    each = _counted(before(spine, sent.drop("told_on", "campaign_id")), *KEYS, "kind")
    days = sent.group_by("kind", "known", "answered").agg(campaigns=_.count())
    each = each.join(_overall(spine, days, "kind"), ["origin", "kind"])
    each = each.mutate(rate=smoothed(each.answered, each.campaigns, each.overall, WEIGHT))
    most = ibis.struct({"answered": -each.answered, "kind": each.kind})
    last = ibis.struct({"age": each.age, "kind": each.kind})
    return each.group_by(*KEYS).agg(
        answered_kind=each.kind.argmin(most, where=each.answered > 0),
        last_kind=each.kind.argmin(last),
        response_rate_last_kind=each.rate.argmin(last),
    )


def _counted(seen: Table, *by: str) -> Table:
    """Campaigns received and answered, as known at the origin, and the age of the last of them."""
    age = {"age": seen.age.min()} if "age" in seen.columns else {}
    return seen.group_by(*by).agg(campaigns=seen.count(), answered=number(is_known(seen.answered, seen.at)), **age)


def _overall(spine: Table, days: Table, *by: str) -> Table:
    """The share of campaigns answered by all customers, as known at each origin."""
    seen = at_origins(spine, days)
    answered = none_is_zero(seen.campaigns, is_known(seen.answered, seen.at))
    made = seen.group_by("origin", *by).agg(answered=answered, campaigns=total(seen.campaigns))
    return made.select("origin", *by, overall=ratio(made.answered, made.campaigns))
