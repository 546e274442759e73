"""Contacts of past campaigns: what was known at each beside what followed, and those who might have been contacted."""

from collections.abc import Mapping
from datetime import timedelta

import ibis
from ibis.expr.types import Table

import outcomes
from contracts.boundary import known_before
from contracts.errors import Refused
from contracts.experiment import CONTROL
from contracts.study import Study
from features.campaigns import SENT, contacted, sent
from features.subjects import population


def contact_table(tables: Mapping[str, Table], attributes: Mapping[str, str], study: Study, history_days: int) -> Table:
    """One row for each contact, control left out, whose horizon is over by the study's `as_of`.

    Features as known at the contact, the campaign's among them; `outcome` (1: responded) and `response_cents`. Contacts
    with less than `history_days` of orders before them are left out. Raises `Refused` without such tables or contacts.
    """
    gone = [name for name in ("campaigns", "contacts", "responses", "orders") if name not in tables]
    if gone:
        raise Refused(f"Responses are learnt from past campaigns, but the source has no {', '.join(gone)}. Map them.")
    first = outcomes.first_day(tables["orders"], study) + timedelta(days=history_days)
    spine = contacted(tables["contacts"], first, study.test_origin, study.as_of)
    if not spine.count().to_pyarrow().as_py():
        raise Refused(
            f"Some contacts must lie between {first}, {history_days} days after the first order, and "
            f"{study.test_origin}, {study.horizon_days} days before as_of, but none does. Choose a later as_of."
        )
    happened = outcomes.responded(spine, tables["responses"], tables["orders"], study)
    return sent(spine, tables, attributes).join(happened, list(SENT))


def trial_table(
    tables: Mapping[str, Table], attributes: Mapping[str, str], study: Study, history_days: int, active_days: int
) -> Table:
    """Who was, and who might have been, in a campaign: keys, arm, propensity, cost_cents, what followed, features.

    Where contacts have a control group, all of them whose horizon is over. Elsewhere those of the latest third of the
    days of contact and, as the arm `control`, all others who had bought in the `active_days` before, without a
    propensity. `bought`, `spent_cents` and `list_cents` are those of `outcomes.after_contacts`.
    """
    first = outcomes.first_day(tables["orders"], study) + timedelta(days=history_days)
    told = known_before(tables["contacts"], study.as_of)
    told = told.mutate(
        contact_id=told.contact_id.cast("string"),
        origin=told.contacted_at.date(),
        propensity=_or_null(told, "propensity", "float64"),
    )
    told = told.filter(told.origin >= first, told.origin <= study.test_origin)
    told = told.select("contact_id", *SENT, "contacted_at", "arm", "propensity", "cost_cents").cache()
    if not told.filter(told.arm == CONTROL).count().to_pyarrow().as_py():
        days = sorted(told.select("origin").distinct().to_pyarrow()["origin"].to_pylist())
        days = days[-max(1, len(days) // 3) :]
        told = told.filter(told.origin.isin(days))
        told = told.union(_not_contacted(told, population(tables, tuple(days), active_days)))
    followed = outcomes.after_contacts(told, tables["orders"], study.horizon_days, study.as_of)
    known = sent(told.select(*SENT).distinct().cache(), tables, attributes)
    return told.join(followed, "contact_id").drop("contacted_at").join(known, list(SENT))


def _not_contacted(told: Table, buyers: Table) -> Table:
    """A row of the arm `control` for each buyer and campaign of that day that she is not in."""
    held = told.group_by("campaign_id", "origin").agg(contacted_at=told.contacted_at.min())
    others = buyers.join(held, "origin").anti_join(told, list(SENT))
    types = told.schema()
    return others.select(
        contact_id=others.campaign_id.cast("string") + " without " + others.customer_id.cast("string"),
        customer_id="customer_id",
        campaign_id="campaign_id",
        origin="origin",
        contacted_at="contacted_at",
        arm=ibis.literal(CONTROL),
        propensity=ibis.null("float64"),
        cost_cents=ibis.literal(0).cast(types["cost_cents"]),
    ).select(*told.columns)


def _or_null(table: Table, name: str, dtype: str):
    return table[name].cast(dtype) if name in table.columns else ibis.null(dtype)
