"""The kind of churn: customers at origins, and whether they leave within the horizon."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.errors import Refused
from contracts.study import day
from decisions import retention
from decisions.scores import band
from evaluation.comparison import Difference
from evaluation.estimate import Estimate
from evaluation.gate import Check
from evaluation.money import Offer, contact_profit, profit_gain, worth_contacting
from features.identity import column_hashes, features_sql
from features.subjects import frame, population
from features.subjects import subjects as with_features
from models import churn
from pipelines.kinds import Model, probabilities
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
    """The customers of an origin: who bought in the `active_days` before, or is under contract."""
    spine = population(source.tables, (origin,), int(about["active_days"]), source.contract_end)
    table = frame(with_features(spine, source.tables, source.attributes, source.contract_end))
    if table.empty:
        raise Refused(
            f"Nobody in {source.name} bought in the {about['active_days']} days before {origin}, so there is nobody to "
            f"score. Choose a day that the source covers."
        )
    return table


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """All customers of the one test origin; a flat source's is the as_of."""
    return subjects(source, about, day(str(pd.Timestamp(rows.origin.max()).date()), "test origin"))


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
