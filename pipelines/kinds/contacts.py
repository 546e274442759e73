"""What the kinds share that write to those whom an offer pays for; `about` has the `offer` and the `base_rate`."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from decisions import retention
from decisions.scores import band
from evaluation.comparison import Difference
from evaluation.gate import Check
from evaluation.money import Offer, contact_profit, profit_gain, worth_contacting
from pipelines.kinds import probabilities


def selected(score: np.ndarray, about: Mapping) -> np.ndarray:
    """Those whom a contact is expected to pay for."""
    return worth_contacting(score, Offer(**about["offer"]))


def worth(score: np.ndarray, about: Mapping) -> np.ndarray:
    """What a contact is expected to bring, in cents."""
    return contact_profit(score, Offer(**about["offer"]))


def bands(score: np.ndarray, about: Mapping) -> np.ndarray:
    """high: a contact pays; low: below half the base rate; middle: between."""
    return band(score, retention.threshold(Offer(**about["offer"])), about["base_rate"])


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
