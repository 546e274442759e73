"""What may be believed of a learner: its effects, pulled together by what was seen, and the outcome without any.

Learners are too extreme where effects are small beside noise. So each arm's effects are moved to the mean that was seen
and pulled together by the slope of observed on predicted effects (`evaluation.uplift_calibration`), both out of fold,
and used as they are on new rows. What is expected without a contact follows from the response model, which foretells
the outcome under the mix of arms that was drawn: less their effects it is that of the control. It is steadier than the
control's own model, which has learnt from few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.uplift_calibration import EffectRecalibration, recalibrate
from models.uplift import Fitted, Uplift
from models.uplift_learners import RESPONSE


class Expected(NamedTuple):
    """What is expected of rows, in the outcome's unit: effects of each arm above the control (n, arms - 1), and the
    outcome without any (n,)."""

    effect: np.ndarray
    without: np.ndarray

    def response(self, shares: np.ndarray) -> np.ndarray:
        """The outcome under arms drawn with `shares` (arms,), as the response model foretells it; (n,)."""
        return self.without + (self.effect * np.asarray(shares)[1:]).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Forecast:
    """The picked learner and the response model of the same base, and what corrects them.

    pulls        of each arm above the control
    shares       of the rows that were in each arm, the control first
    out_of_fold  of the rows that were learnt from, by what has not seen them
    """

    model: Uplift
    response: Uplift
    pulls: tuple[EffectRecalibration, ...]
    shares: np.ndarray
    out_of_fold: Expected

    def of(self, X: pd.DataFrame) -> Expected:
        """Of new rows."""
        return _expected(self.pulls, self.shares, self.model.effect(X), self.response.effect(X))


def forecast(fitted: Fitted, model: Uplift, arm: np.ndarray, subjects: Sequence | None = None) -> Forecast:
    """Of `model`, one of `fitted`'s beside the response model of the same base; `arm` of each of its rows (n,)."""
    answers = RESPONSE, model.base
    said, response = fitted.effects[model.learner, model.base], fitted.effects[answers]
    seen = fitted.scores[:, 1:] - fitted.scores[:, :1]
    pulls = tuple(recalibrate(*of, subjects) for of in zip(seen.T, said.T, strict=True))
    shares = np.bincount(arm, minlength=fitted.scores.shape[1]) / len(arm)
    return Forecast(model, fitted.models[answers], pulls, shares, _expected(pulls, shares, said, response))


def _expected(pulls, shares, said: np.ndarray, response: np.ndarray) -> Expected:
    effect = np.column_stack([pull.apply(of) for pull, of in zip(pulls, said.T, strict=True)])
    return Expected(effect, response[:, 0] - (effect * shares[1:]).sum(axis=1))
