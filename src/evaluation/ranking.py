r"""Does the score put those first whom it should?

Outcomes are 0 or 1, scores any finite numbers, higher meaning likelier; arrays of shape (n,). Equal scores are
treated evenly everywhere, so no measure depends on the order of the rows.

.. math:: \hat\theta = \frac{1}{MN} \sum_i \sum_j \psi(X_i, Y_j), \qquad
          \psi = 1, \tfrac12, 0 \text{ for } X_i > Y_j, X_i = Y_j, X_i < Y_j

[1] DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3): 837-845, equations (3) to (6).
[2] Obuchowski (1997), Nonparametric Analysis of Clustered ROC Curve Data, Biometrics 53(2): 567-578.
[3] Sun & Xu (2014), Fast Implementation of DeLong's Algorithm, IEEE Signal Processing Letters 21(11).
[4] Fawcett (2006), An Introduction to ROC Analysis, Pattern Recognition Letters 27(8).
"""

from typing import NamedTuple

import numpy as np

from evaluation.estimate import (
    Estimate,
    checked_outcomes,
    checked_scores,
    normal_interval,
    refuse,
    same_length,
    subject_codes,
)
from evaluation.tie_groups import Counts, at_shares, tie_groups


class Roc(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1), of shape (k,).

    A row is called positive where its score is at least `threshold`; the first threshold is infinite.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    threshold: np.ndarray


class AucCovariance(NamedTuple):
    """AUC of each of k scores (k,) and the covariance of these (k, k)."""

    value: np.ndarray
    covariance: np.ndarray


def auc(y, score) -> float:
    """Area under the ROC curve, in [0, 1]; ties count one half."""
    return _counts(y, score).auc()


def auc_interval(y, score, subjects=None) -> Estimate:
    """AUC with DeLong's interval [1], clustered by subject [2] where a subject has several rows.

    A perfect ranking has no variance to estimate: its interval is a point, and promises too much.
    """
    found = auc_covariance(y, [score], subjects)
    return normal_interval(found.value[0], np.sqrt(found.covariance[0, 0]), 0, 1)


def auc_covariance(y, scores, subjects=None) -> AucCovariance:
    """AUCs of several scores of the same rows, and how they vary together, in O(n log n) as in [3].

    With one row a subject this is [1]; otherwise the sums over each subject take the place of its rows, as in [2].
    """
    outcome, *scores = checked_outcomes(y, *scores)
    codes = subject_codes(subjects, outcome.size)
    positives, negatives = outcome.sum(), outcome.size - outcome.sum()
    placed = [_placements(outcome, score) for score in scores]
    value = np.array([place[outcome == 1].mean() for place in placed])
    off = [place - auc for place, auc in zip(placed, value, strict=True)]
    of_positives = np.array([np.bincount(codes, row * outcome) for row in off]) / positives
    of_negatives = np.array([np.bincount(codes, row * (1 - outcome)) for row in off]) / negatives
    # a subject with both classes moves both parts at once; with one row a subject this product is zero
    cross = _products(of_positives, of_negatives)
    covariance = (
        _small_sample(np.bincount(codes, outcome)) * _products(of_positives, of_positives)
        + _small_sample(np.bincount(codes, 1 - outcome)) * _products(of_negatives, of_negatives)
        + _small_sample(np.bincount(codes)) * (cross + cross.T)
    )
    return AucCovariance(value, covariance)


def gini(y, score) -> float:
    """Two AUC minus one, in [-1, 1]: zero for a score that says nothing."""
    return 2 * auc(y, score) - 1


def kolmogorov_smirnov(y, score) -> float:
    """Largest difference between the true and the false positive rate, in [0, 1]."""
    curve = roc_curve(y, score)
    return float(np.max(np.abs(curve.true_positive_rate - curve.false_positive_rate)))


def average_precision(y, score) -> float:
    """Area under the precision-recall curve as a sum of steps, in (0, 1]; the base rate is what chance gives."""
    return _counts(y, score).average_precision()


def lift(y, score, share: float) -> float:
    """How many times more positives the top `share` holds than chance would give it; share in (0, 1]."""
    _check_share(share)
    return _counts(y, score).lift(share)


def cumulative_gains(y, score, shares) -> np.ndarray:
    """The share of all positives found in each of the top `shares` in [0, 1]; of the shape of `shares`."""
    shares = _check_shares(shares)
    counts = _counts(y, score)
    return at_shares(counts.positive + counts.negative, counts.positive, shares) / counts.positive.sum()


def roc_curve(y, score) -> Roc:
    """The ROC curve, one point for each score that occurs [4]."""
    outcome, score = checked_outcomes(y, score)
    groups = tie_groups(score)
    return _points(groups.counts(outcome), score[groups.order][groups.starts])


def roc_hull(y, score) -> Roc:
    """The convex hull of the ROC curve: the only thresholds that some ratio of costs would choose [4]."""
    outcome, score = checked_outcomes(y, score)
    groups = tie_groups(score)
    hull = groups.counts(outcome).hull()
    last = np.cumsum(hull.positive + hull.negative).astype(int) - 1
    return _points(hull, score[groups.order][last])


def top_share_capture(value, score, share: float) -> float:
    """The share of all value that the top `share` by score holds; value >= 0 in any unit, not all zero."""
    _check_share(share)
    value, score = _checked_values(value, score)
    groups = tie_groups(score)
    return float(at_shares(groups.total(np.ones(value.size)), groups.total(value), share) / value.sum())


def normalised_gini(value, score) -> float:
    """Gini of the value ranked by score over that ranked by itself: 1 for the true order, 0 for chance.

    value >= 0 in any unit; raises ValueError where all values are equal, since any order is then the true one.
    """
    value, score = _checked_values(value, score)
    if value.min() == value.max():
        raise ValueError(f"values must differ to be ranked, but all {value.size:,} are {value[0]:g}.")
    return _value_gini(value, score) / _value_gini(value, value)


def _counts(y, score) -> Counts:
    outcome, score = checked_outcomes(y, score)
    return tie_groups(score).counts(outcome)


def _placements(outcome: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Of a positive row, the share of negatives below it; of a negative row, the share of positives above it."""
    groups = tie_groups(score)
    positive, negative = groups.counts(outcome)
    below = negative.sum() - np.cumsum(negative) + negative / 2
    above = np.cumsum(positive) - positive / 2
    return np.where(outcome == 1, groups.of_rows(below) / negative.sum(), groups.of_rows(above) / positive.sum())


def _small_sample(rows_of_subject: np.ndarray) -> float:
    """K / (K - 1) for the K subjects that have such rows; one subject alone says nothing of the variance."""
    count = int(np.count_nonzero(rows_of_subject))
    if count < 2:
        raise ValueError(f"an interval of AUC needs at least two subjects of each outcome, but one has {count}.")
    return count / (count - 1)


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sums of products of each pair of scores (k, k), the same for any number of threads."""
    return (first[:, None, :] * second[None, :, :]).sum(axis=2)


def _points(counts: Counts, thresholds: np.ndarray) -> Roc:
    return Roc(
        np.concatenate([[0], np.cumsum(counts.negative) / counts.negative.sum()]),
        np.concatenate([[0], np.cumsum(counts.positive) / counts.positive.sum()]),
        np.concatenate([[np.inf], thresholds]),
    )


def _value_gini(value: np.ndarray, score: np.ndarray) -> float:
    """Twice the area between the gains curve of the value and the diagonal, by trapezoids over tie groups."""
    groups = tie_groups(score)
    size = groups.total(np.ones(value.size)) / value.size
    gained = groups.total(value) / value.sum()
    return float(2 * (size * (np.cumsum(gained) - gained / 2)).sum() - 1)


def _checked_values(value, score) -> tuple[np.ndarray, np.ndarray]:
    value, score = checked_scores(value, "value"), checked_scores(score)
    same_length(value, score, "score")
    refuse(value < 0, value, "value must not be negative", "Rank by value before returns, or floor it at zero.")
    if value.sum() == 0:
        raise ValueError(f"some value must be above zero, but all {value.size:,} are zero.")
    return value, score


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], but is {share}. Write ten per cent as 0.1.")


def _check_shares(shares) -> np.ndarray:
    shares = checked_scores(np.atleast_1d(shares), "shares")
    refuse((shares < 0) | (shares > 1), shares, "a share must lie in [0, 1]", "Write ten per cent as 0.1.")
    return shares
