r"""Is one model better than another, or is it noise? Differences on the same subjects, with their intervals.

.. math:: \bar d \pm t_{k-1} \sqrt{\Big(\frac1k + \frac{n_{test}}{n_{train}}\Big) s_d^2}

[1] DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3): 837-845; clusters as Obuchowski (1997), Biometrics 53(2).
[2] Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6(2).
[3] Nadeau & Bengio (2003), Inference for the Generalization Error, Machine Learning 52: section 5, corrected t.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit

from evaluation.bootstrap import interval, resamples
from evaluation.estimate import (
    LEVEL,
    Estimate,
    checked_outcomes,
    checked_scores,
    normal_interval,
    refuse,
    subject_codes,
)
from evaluation.ranking import auc_covariance


class Difference(NamedTuple):
    """First minus second, its 95% interval, and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p_value: float


def auc_difference(y, first, second, subjects=None) -> Difference:
    """AUC of `first` minus that of `second` on the same rows (n,), by DeLong [1], clustered by subject.

    Two scores that rank alike differ by exactly zero, with a p-value of one.
    """
    found = auc_covariance(y, [first, second], subjects)
    value = found.value[0] - found.value[1]
    contrast = np.array([1.0, -1.0])
    # equal rankings leave a variance of zero up to rounding, which may fall below it
    error = float(np.sqrt(max(0.0, contrast @ found.covariance @ contrast)))
    around = normal_interval(value, error, -1, 1)
    if error < 1e-12:
        return Difference(*around, float(abs(value) < 1e-12))
    return Difference(*around, float(2 * ndtr(-abs(value) / error)))


def paired_difference(
    y,
    first,
    second,
    metric: Callable[[np.ndarray, np.ndarray], float],
    subjects=None,
    draws: int = 1000,
    seed: int = 0,
) -> Difference:
    """`metric` of `first` minus that of `second`, both taken on the same bootstrap draws of subjects.

    metric(y, score) may be any number that needs both outcomes; arrays are of shape (n,). The p-value is the share of
    draws that lie as far from their mean as the difference lies from zero.
    """
    outcome, first, second = checked_outcomes(y, first, second)
    codes = subject_codes(subjects, outcome.size)
    rows = np.arange(outcome.size)

    def difference(at):
        return metric(outcome[at], first[at]) - metric(outcome[at], second[at])

    value = difference(rows)
    drawn = np.array([difference(np.repeat(rows, w)) for w in resamples(outcome, codes, draws, seed)])
    return difference_of_draws(value, drawn)


def difference_of_draws(value: float, drawn: np.ndarray) -> Difference:
    """A difference with the interval and the p-value that its bootstrap draws (k,) give it."""
    beyond = np.count_nonzero(np.abs(drawn - drawn.mean()) >= abs(value))
    return Difference(*interval(value, drawn), (1 + beyond) / (1 + drawn.size))


def holm(p_values) -> np.ndarray:
    """p-values corrected for their number by Holm [2], in the order given (m,): the chance of any false alarm."""
    p = checked_scores(p_values, "p-value")
    refuse((p < 0) | (p > 1), p, "a p-value must lie in [0, 1]", "Give p-values, not statistics.")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    corrected = np.empty(p.size)
    corrected[order] = np.minimum(1, stepped)
    return corrected


def fold_interval(per_fold, test_share: float) -> Estimate:
    """Mean over cross-validation folds with the interval of Nadeau & Bengio [3].

    per_fold    a metric, or the difference of two models', of each fold or repeat (k,), k >= 2
    test_share  the share of rows that a fold tests on: 0.2 for five folds

    Folds share most of their training rows, so the plain t interval is too narrow.
    """
    found = checked_scores(per_fold, "per_fold")
    if found.size < 2 or not 0 < test_share < 1:
        raise ValueError(
            f"an interval over folds needs two of them and a test share in (0, 1), "
            f"but has {found.size} and {test_share}."
        )
    error = np.sqrt((1 / found.size + test_share / (1 - test_share)) * found.var(ddof=1))
    half = stdtrit(found.size - 1, (1 + LEVEL) / 2) * error
    return Estimate(float(found.mean()), float(found.mean() - half), float(found.mean() + half))
