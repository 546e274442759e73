"""The kind of churn: customers at origins, and whether they leave within the horizon."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from decisions import retention
from decisions.scores import band
from evaluation.comparison import Difference
from evaluation.estimate import Estimate
from evaluation.gate import Check
from evaluation.money import Offer, contact_profit, profit_gain, worth_contacting
from features.identity import column_hashes, features_sql
from models import churn
from pipelines.kinds import Model, customers, probabilities
from sources.source import Source

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


def subjects(source: Source, about: Mapping, origin: date) -> pd.DataFrame:
    """As `pipelines.kinds.customers`."""
    return customers.subjects(source, about, origin, source.contract_end)


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """As `pipelines.kinds.customers`."""
    return customers.judged_on(source, about, rows, source.contract_end)


def selected(score: np.ndarray, about: Mapping) -> np.ndarray:
    """Those whom a contact is expected to pay for."""
    return worth_contacting(score, Offer(**about["offer"]))


def worth(score: np.ndarray, about: Mapping) -> np.ndarray:
    """What a contact is expected to bring, in cents."""
    return contact_profit(score, Offer(**about["offer"]))


def measured(rows: pd.DataFrame) -> Estimate:
    """The AUC."""
    return probabilities.measured(rows)


def bands(score: np.ndarray, about: Mapping) -> np.ndarray:
    """high: a contact pays; low: below half the base rate; middle: between."""
    return band(score, retention.threshold(Offer(**about["offer"])), about["base_rate"])


def gains(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """AUC and the other measures of probabilities."""
    return probabilities.gains(rows, seed)


def money(rows: pd.DataFrame, about: Mapping, seed: int) -> Difference:
    """What contacting whom the second model would brings more than whom the first would."""
    y, (old, new) = rows.outcome.to_numpy(dtype=float), (selected(rows[n], about) for n in ("champion", "score"))
    return profit_gain(y, old, new, Offer(**about["offer"]), rows.customer_id, seed)


def slices(rows: pd.DataFrame, about: Mapping) -> pd.DataFrame:
    """The declared groups."""
    return probabilities.slices(rows, selected(rows.score.to_numpy(), about))


def gate(rows: pd.DataFrame, rule: Mapping, about: Mapping, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """As `evaluation.gate`."""
    return probabilities.gate(rows, rule, selected(rows.score.to_numpy(), about), seed)


def scored(model: Model, table: pd.DataFrame) -> pd.DataFrame:
    """The probability of leaving, with interval, band and reasons."""
    return probabilities.scored(model, table, bands)


def decide(scores: pd.DataFrame, table: pd.DataFrame, about: Mapping) -> tuple[pd.DataFrame, str]:
    """Whom to contact."""
    plan = retention.contact_plan(scores, Offer(**about["offer"]))
    return plan, f"{(plan.action == retention.CONTACT).sum():,} contacts"
