"""All measures of one model on one test set, each with its interval."""

import numpy as np

from evaluation.bootstrap import interval, resamples
from evaluation.calibration import (
    BINS,
    equal_mass_bins,
    error_of_bins,
    log_losses,
    log_odds,
    recalibrated,
)
from evaluation.comparison import Difference, auc_difference, difference_of_draws
from evaluation.estimate import Estimate, checked_probabilities, subject_codes
from evaluation.money import empc_of, h_measure_of
from evaluation.ranking import auc_interval
from evaluation.tie_groups import tie_groups

DRAWS = 500
UNBOUNDED = (-np.inf, np.inf)
LIMITS = {
    "pr_auc": (0, 1),
    "lift_10": (0, 10),
    "brier": (0, 1),
    "log_loss": (0, np.inf),
    "ece": (0, 1),
    "calibration_intercept": UNBOUNDED,
    "calibration_slope": UNBOUNDED,
    "h_measure": (0, 1),
    "empc": (0, np.inf),
}


def scorecard_of_metrics(y, p, subjects=None, seed: int = 0) -> dict[str, Estimate]:
    """auc, pr_auc, lift_10, brier, log_loss, ece, calibration_intercept, calibration_slope, h_measure and empc.

    y, p, subjects  outcome 0 or 1, probability, and id of the subject, of shape (n,)

    The interval of AUC is DeLong's; the others come from 500 bootstrap draws of subjects from `seed`. Slope and
    intercept are NaN where predictions are all equal or separate the outcomes, for then there are none; their
    interval is NaN where that happens in a draw. empc is in euro a customer, under the assumptions of its paper.
    """
    outcome, p = checked_probabilities(y, p)
    codes = subject_codes(subjects, outcome.size)
    measure = _Measures(outcome, p)
    value = measure(np.ones(outcome.size))
    drawn = np.array([measure(weight) for weight in resamples(outcome, codes, DRAWS, seed)])
    found = {name: interval(value[k], drawn[:, k], *LIMITS[name]) for k, name in enumerate(LIMITS)}
    return {"auc": auc_interval(outcome, p, codes), **found}


LARGER_IS_BETTER = ("auc", "pr_auc", "lift_10", "h_measure", "empc")
SMALLER_IS_BETTER = ("brier", "log_loss", "ece")


def gains(y, first, second, subjects=None, seed: int = 0) -> dict[str, Difference]:
    """By how much `second` is better than `first` on the same rows, in each measure that has a better side.

    y, first, second, subjects  outcome 0 or 1, two probabilities, and id of the subject, of shape (n,)

    A gain is positive where the second is better, whichever way the measure runs. That of AUC is DeLong's; the others
    come from 500 bootstrap draws of subjects, each of which measures both. The p-value is the share of draws that lie
    as far from their mean as the gain lies from zero.
    """
    outcome, first = checked_probabilities(y, first)
    outcome, second = checked_probabilities(y, second)
    codes = subject_codes(subjects, outcome.size)
    one, other = _Measures(outcome, first), _Measures(outcome, second)

    def gain(weight):
        return np.subtract(other(weight), one(weight))

    value = gain(np.ones(outcome.size))
    drawn = np.array([gain(weight) for weight in resamples(outcome, codes, DRAWS, seed)])
    found = {"auc": auc_difference(outcome, second, first, codes)}
    for k, name in enumerate(LIMITS):
        if name in LARGER_IS_BETTER + SMALLER_IS_BETTER:
            sign = 1 if name in LARGER_IS_BETTER else -1
            found[name] = difference_of_draws(sign * value[k], sign * drawn[:, k])
    return found


class _Measures:
    """What does not change from draw to draw, prepared once, so that a draw costs O(n)."""

    def __init__(self, outcome: np.ndarray, p: np.ndarray):
        self.outcome, self.p = outcome, p
        self.groups, self.bins = tie_groups(p), equal_mass_bins(p, BINS)
        self.squares, self.losses, self.log_odds = (outcome - p) ** 2, log_losses(outcome, p), log_odds(p)
        self.recalibration = self._recalibrated(np.ones(p.size), np.array([0.0, 0.0]))

    def __call__(self, weight: np.ndarray) -> list[float]:
        """The measures in the order of LIMITS, where row i occurs weight[i] times."""
        counts, rows = self.groups.counts(self.outcome, weight), weight.sum()
        return [
            counts.average_precision(),
            counts.lift(0.1),
            (weight * self.squares).sum() / rows,
            (weight * self.losses).sum() / rows,
            error_of_bins(self.bins, self.outcome, self.p, weight),
            *self._recalibrated(weight, self.recalibration),
            h_measure_of(counts),
            empc_of(counts).value,
        ]

    def _recalibrated(self, weight: np.ndarray, start: np.ndarray) -> np.ndarray:
        if self.groups.starts.size == 1 or not np.isfinite(start).all():
            return np.full(2, np.nan)
        return recalibrated(self.outcome, self.log_odds, weight, start)
