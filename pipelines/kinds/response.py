"""The kind of response: contacts of campaigns, and whether they are answered within the horizon."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from ibis.expr.types import Table

from contracts.errors import Refused
from decisions import mailing
from evaluation.money import Offer
from features.campaigns import SENT, sendable, sent, sent_hashes, sent_sql
from features.identity import features_sql
from features.subjects import frame, population
from models import response
from pipelines.kinds import Model, probabilities
from pipelines.kinds.contacts import bands, gate, money, selected, slices, worth
from pipelines.kinds.probabilities import gains, measured
from sources.source import Source

__all__ = [
    "HEADLINE", "QUESTION", "bands", "columns", "decide", "gains", "gate", "judged_on", "load", "measured", "money",
    "scored", "selected", "slices", "sql", "subjects", "worth",
]  # fmt: skip
QUESTION = ("source", "horizon_days", "history_days")
HEADLINE = ("auc", "AUC")


def columns(source: Source) -> dict[str, str]:
    """Of the campaign, and of all blocks that the source can feed."""
    _refuse_without_campaigns(source)
    return sent_hashes(source.tables, source.attributes)


def sql(source: Source) -> str:
    """Of the same."""
    _refuse_without_campaigns(source)
    return "\n\n".join((sent_sql(source.tables), features_sql(source.tables, source.attributes)))


def load(folder: Path) -> response.Response:
    """As `models.response.load`."""
    return response.load(folder)


def subjects(source: Source, about: Mapping, origin: date, days: Mapping[str, Table] | None = None) -> pd.DataFrame:
    """Who bought in the `active_days` before, with the latest campaign of each kind."""
    _refuse_without_campaigns(source)
    buyers = population(source.tables, (origin,), int(about["active_days"]), days=days)
    spine = sendable(buyers, source.tables["campaigns"], origin)
    table = frame(sent(spine, source.tables, source.attributes, days))
    if table.empty:
        raise Refused(
            f"Somebody must have bought in the {about['active_days']} days before {origin}, and a campaign be known, "
            f"but {source.name} has none such. Choose a day that the source covers."
        )
    return table


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """The contacts of the test rows."""
    keys = rows[list(SENT)].assign(origin=pd.to_datetime(rows.origin).dt.date)
    known = source.tables["contacts"].schema()
    spine = ibis.memtable(keys).cast({**{name: known[name] for name in SENT[:2]}, "origin": "date"})
    return frame(sent(spine, source.tables, source.attributes))


def scored(model: Model, table: pd.DataFrame) -> pd.DataFrame:
    """The probability of a response, with interval, band and reasons, and `amount_cents`, what it would be worth."""
    rows = probabilities.scored(model, table, bands)
    return rows.assign(amount_cents=np.rint(model.amount(table)).astype("int64"))


def decide(scores: pd.DataFrame, table: pd.DataFrame, about: Mapping) -> tuple[pd.DataFrame, str]:
    """Whom to send which campaign."""
    plan = mailing.mailing_plan(scores, Offer(**about["offer"]), about["margin_share"])
    return plan, f"{(plan.action == mailing.SEND).sum():,} letters"


def _refuse_without_campaigns(source: Source) -> None:
    gone = [name for name in ("campaigns", "contacts", "responses", "orders") if name not in source.tables]
    if gone:
        raise Refused(
            f"Responses are learnt from past campaigns, but {source.name} has no {', '.join(gone)}. Map them in its "
            f"yml, or choose another source."
        )
