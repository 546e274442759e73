r"""Does a treatment change as much as was predicted? Predicted against observed effects, by tenths of the prediction.

Observed is the mean effect score (`arm_values`) of a tenth, never an outcome of one row. With x the mean prediction of
the row's tenth, the slope and the mean are those of

.. math:: \psi = \bar\psi + b (x - \bar x) + noise

b = 1 and a mean difference of 0 where predictions mean what they say; b = 0 where they say nothing of whom to treat,
however right they are on average; below 1 they are too extreme. Errors are robust, clustered by subject.

[1] Chernozhukov, Demirer, Duflo & Fernandez-Val (2018), Generic Machine Learning Inference on Heterogeneous Treatment
    Effects: best linear predictor and sorted groups.
[2] White (1980), A Heteroskedasticity-Consistent Covariance Matrix Estimator, Econometrica 48(4).
"""

from typing import NamedTuple

import numpy as np

from evaluation.calibration import BINS, equal_mass_bins
from evaluation.estimate import Estimate, checked_scores, normal_interval, same_length, subject_codes
from evaluation.gate import Check, within


class Deciles(NamedTuple):
    """One entry a group that holds rows, lowest predictions first; effects in the unit of the outcome, each (g,).

    rows: how many; predicted, observed: mean prediction and mean effect; low, high: 95% interval of the observed.
    """

    rows: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


class UpliftCalibration(NamedTuple):
    """Observed less predicted mean effect, and the slope over the groups, NaN where predictions are all equal."""

    shift: Estimate
    slope: Estimate


class EffectRecalibration(NamedTuple):
    """Predictions moved to the mean effect that was seen, and pulled together around it by `slope`, in [0, 1]."""

    mean: float
    centre: float
    slope: float

    def apply(self, predicted) -> np.ndarray:
        """The effects that may be believed, of new predictions (n,)."""
        return self.mean + self.slope * (np.asarray(predicted, dtype=float) - self.centre)


def recalibrate(effect, out_of_fold, subjects=None) -> EffectRecalibration:
    """What `uplift_calibration` finds, as a correction; the order of predictions stays, unless they say nothing.

    effect, out_of_fold  effect scores, and predictions by models that have not seen their rows (n,)

    Learners are too extreme where effects are small beside noise, so that a slope beyond 1 is taken for chance.
    """
    effect, out_of_fold, _, members = _grouped(effect, out_of_fold, None, BINS)
    slope = uplift_calibration(effect, out_of_fold, subjects).slope.value if members.max() else 0.0
    return EffectRecalibration(float(effect.mean()), float(out_of_fold.mean()), float(np.clip(slope, 0, 1)))


def uplift_deciles(effect, predicted, subjects=None, bins: int = BINS) -> Deciles:
    """Predicted and observed effects in groups of equal size; fewer than `bins` where predictions are tied.

    effect, predicted, subjects  effect score, predicted effect, id of the subject of each row (n,)
    """
    effect, predicted, codes, members = _grouped(effect, predicted, subjects, bins)
    rows = np.bincount(members)
    observed, foretold = np.bincount(members, effect) / rows, np.bincount(members, predicted) / rows
    off = effect - observed[members]
    if subjects is not None:  # a subject may have rows in several groups: each group is clustered by itself
        pairs, at = np.unique(codes * rows.size + members, return_inverse=True)
        off, members = np.bincount(at, off), pairs % rows.size
    error = np.sqrt(np.bincount(members, off**2)) / rows
    around = [normal_interval(value, of) for value, of in zip(observed, error, strict=True)]
    low, high = (np.array([getattr(of, end) for of in around]) for end in ("low", "high"))
    return Deciles(rows, foretold, observed, low, high)


def uplift_calibration(effect, predicted, subjects=None, bins: int = BINS) -> UpliftCalibration:
    """Shift and slope [1], with 95% intervals from robust errors [2]."""
    effect, predicted, codes, members = _grouped(effect, predicted, subjects, bins)
    rows = np.bincount(members)
    of_group = np.bincount(members, predicted) / rows
    away = of_group[members] - predicted.mean()
    shift = _average(effect - predicted, codes)
    if rows.size == 1:
        return UpliftCalibration(shift, Estimate(np.nan, np.nan, np.nan))
    spread = (away**2).sum()
    slope = float((away * effect).sum() / spread)
    left = effect - effect.mean() - slope * away
    error = np.sqrt((np.bincount(codes, away * left) ** 2).sum()) / spread
    return UpliftCalibration(shift, normal_interval(slope, float(error)))


def calibrated_uplift(effect, predicted, least: float, most: float, subjects=None) -> Check:
    """A gate's row: whether the slope lies from `least` to `most`; an interval wider than these says nothing."""
    return within(
        "slope of observed on predicted uplift", uplift_calibration(effect, predicted, subjects).slope, least, most
    )


def _grouped(effect, predicted, subjects, bins: int) -> tuple[np.ndarray, ...]:
    effect, predicted = checked_scores(effect, "effect"), checked_scores(predicted, "predicted")
    same_length(effect, predicted, "predicted")
    members = np.unique(equal_mass_bins(predicted, bins), return_inverse=True)[1]
    return effect, predicted, subject_codes(subjects, effect.size), members


def _average(of: np.ndarray, codes: np.ndarray) -> Estimate:
    value = of.mean()
    return normal_interval(float(value), float(np.sqrt((np.bincount(codes, of - value) ** 2).sum()) / of.size))
