"""The kind of churn: customers at origins, and whether they leave within the horizon."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd
from ibis.expr.types import Table

from decisions import retention
from evaluation.money import Offer
from features.identity import column_hashes, features_sql
from models import churn
from pipelines.kinds import Model, customers, probabilities
from pipelines.kinds.contacts import bands, gate, money, selected, slices, worth
from pipelines.kinds.probabilities import gains, measured
from sources.source import Source

__all__ = [
    "HEADLINE", "QUESTION", "bands", "columns", "decide", "gains", "gate", "judged_on", "load", "measured", "money",
    "scored", "selected", "slices", "sql", "subjects", "worth",
]  # fmt: skip
QUESTION = ("source", "horizon_days", "active_days")
HEADLINE = ("auc", "AUC")


def columns(source: Source) -> dict[str, str]:
    """Of all blocks that the source can feed, or of a flat source's attributes."""
    return column_hashes(source.tables, source.attributes, source.contract_end)


def sql(source: Source) -> str:
    """Of the same."""
    return features_sql(source.tables, source.attributes, source.contract_end)


def load(folder: Path) -> churn.Churn:
    """As `models.churn.load`."""
    return churn.load(folder)


def subjects(source: Source, about: Mapping, origin: date, days: Mapping[str, Table] | None = None) -> pd.DataFrame:
    """As `pipelines.kinds.customers`."""
    return customers.subjects(source, about, origin, days, source.contract_end)


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """As `pipelines.kinds.customers`."""
    return customers.judged_on(source, about, rows, source.contract_end)


def scored(model: Model, table: pd.DataFrame) -> pd.DataFrame:
    """The probability of leaving, with interval, band and reasons."""
    return probabilities.scored(model, table, bands)


def decide(scores: pd.DataFrame, table: pd.DataFrame, about: Mapping) -> tuple[pd.DataFrame, str]:
    """Whom to contact."""
    plan = retention.contact_plan(scores, Offer(**about["offer"]))
    return plan, f"{(plan.action == retention.CONTACT).sum():,} contacts"
