"""A campaign as it is sent to a customer: what it offers, and what of that she has bought before.

Grain   one row for each (customer_id, campaign_id, origin) of the spine, the origin being the day of the contact
Sees    of the history, what was known before the origin. The campaign itself, its kind and offers, is what is
        decided on: who sends it knows it, whenever it reaches the tables
Units   counts, cents, whole days
Errors  none of its own
"""

from collections.abc import Mapping
from datetime import date

import ibis
from ibis.expr.types import Table

from contracts.boundary import is_known, known_before
from features.as_of import day_number, none_is_zero
from features.day_tables import CONTROL, product_days
from features.dictionary import Column, column
from features.identity import column_hashes, hashes_of, stable_sql
from features.subjects import dictionary, subjects

SENT = ("customer_id", "campaign_id", "origin")
_OFFERED = {"reads": ("offers", "orders")}
_NEVER = "bought nothing of the offer"
# no number of a campaign: of twenty campaigns it has twenty values, which are learnt by heart
CAMPAIGN = (
    column("campaign_kind", "kind of the campaign", "category", "of no kind", "campaign", reads=("campaigns",)),
)
OFFER = (
    column("offered_products", "products of the offer bought before", "count", _NEVER, "offer", **_OFFERED),
    column("offered_products_90", "products of the offer bought in the last 90 days", "count", _NEVER, "offer", 90,
           **_OFFERED),
    column("offered_days_90", "days of the last 90 with one of the offer", "count", _NEVER, "offer", 90, **_OFFERED),
    column("offered_spend_cents_90", "spent on the offer's products in the last 90 days", "cents", _NEVER, "offer", 90,
           **_OFFERED),
    column("days_since_offered", "days since a product of the offer was bought", "days", _NEVER, "offer", **_OFFERED),
)  # fmt: skip


def contacted(contacts: Table, first: date, last: date, as_of: date) -> Table:
    """The spine of the contacts made from `first` to `last`, both included, and known before `as_of`.

    Of several contacts in one campaign, the first; who was drawn into the control was sent nothing.
    """
    told = known_before(contacts, as_of)
    told = told.filter(told.arm != CONTROL).mutate(origin=told.contacted_at.date())
    told = told.group_by("customer_id", "campaign_id").agg(origin=told.origin.min())
    return told.filter(told.origin >= first, told.origin <= last).select(*SENT).cache()


def sendable(customers: Table, campaigns: Table, as_of: date) -> Table:
    """The spine of each pair of `customers` at the origin `as_of` with the campaign of each kind that starts last.

    Of the campaigns known before `as_of`: one that is planned, or else the last one, as if it were sent again.
    """
    told = known_before(campaigns, as_of)
    told = told.mutate(kind=told.kind.fill_null(""))
    newest = ibis.window(group_by="kind", order_by=[ibis.desc("starts_at"), "campaign_id"])
    told = told.mutate(place=ibis.row_number().over(newest))
    told = told.filter(told.place == 0).select("campaign_id")
    return customers.cross_join(told).select(*SENT).cache()


def sent(
    spine: Table,
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    days: Mapping[str, Table] | None = None,
) -> Table:
    """The columns of `sent_dictionary` beside the keys of the spine; `days` as for `features.subjects.subjects`."""
    history = subjects(spine.select("customer_id", "origin").distinct(), tables, attributes, days=days)
    own = _own(spine, tables, days)
    joined = own.left_join(history, ["customer_id", "origin"])
    return joined.select(*own.columns, *(name for name in history.columns if name not in SENT))


def sent_dictionary(tables: Mapping[str, Table], attributes: Mapping[str, str]) -> dict[str, Column]:
    """What each column of `sent` means, by name, in the table's order."""
    own = (*CAMPAIGN, *OFFER) if "offers" in tables else CAMPAIGN
    return {c.name: c for c in own} | dictionary(tables, attributes)


def sent_hashes(tables: Mapping[str, Table], attributes: Mapping[str, str]) -> dict[str, str]:
    """The sha256 of each column of `sent`."""
    return hashes_of(_unbound_own(tables), SENT) | column_hashes(tables, attributes)


def sent_sql(tables: Mapping[str, Table]) -> str:
    """The SQL of the campaign's columns; that of the history is `features.identity.features_sql`."""
    return stable_sql(_unbound_own(tables))


def _own(spine: Table, tables: Mapping[str, Table], days: Mapping[str, Table] | None = None) -> Table:
    told = tables["campaigns"].select("campaign_id", campaign_kind="kind")
    made = spine.left_join(told, "campaign_id").select(*SENT, "campaign_kind")
    if "offers" not in tables:
        return made
    bought = _bought(spine, tables["offers"], days["product_days"] if days else product_days(tables["orders"]))
    return made.left_join(bought, list(SENT)).select(*made.columns, *(c.name for c in OFFER))


def _bought(spine: Table, offers: Table, days: Table) -> Table:
    """What each customer of the spine had bought, as known at the origin, of the products on offer."""
    offered = offers.select("campaign_id", "product_id").distinct()
    at = spine.select(*SENT, at=day_number(spine.origin))
    mine = at.join(days, [at.customer_id == days.customer_id, is_known(days.known, at.at)]).drop("customer_id_right")
    seen = mine.join(offered, ["campaign_id", "product_id"])
    seen = seen.mutate(age=seen.at - seen.day)
    recent = seen.age <= 90
    return seen.group_by(*SENT).agg(
        offered_products=seen.product_id.nunique(),
        offered_products_90=seen.product_id.nunique(where=recent),
        offered_days_90=seen.day.nunique(where=recent),
        offered_spend_cents_90=none_is_zero(seen.spend_cents, recent),
        days_since_offered=seen.age.min(),
    )


def _unbound_own(tables: Mapping[str, Table]) -> Table:
    """The expression of the campaign's columns, of tables that stand for these."""
    named = {name: ibis.table(table.schema(), name=name) for name, table in tables.items()}
    keys = {name: named["contacts"][name].type() for name in SENT[:2]}
    return _own(ibis.table({**keys, "origin": "date"}, name="spine"), named)
