r"""How unlike are two distributions, and how concentrated is one? With intervals, from a bootstrap of subjects.

.. math:: KS = \sup_v |F(v) - G(v)|, \qquad W = \int |F(v) - G(v)| \, dv

A sample is an array of finite numbers (n,), with the subject of each where a subject has several. An interval's draws
are moved so that their mean is the value (`bootstrap.interval`), since a distance of resamples is too large.

[1] Massey (1951), The Kolmogorov-Smirnov Test for Goodness of Fit, JASA 46.
[2] Vallender (1974), Calculation of the Wasserstein Distance Between Probability Distributions on the Line, Theory of
    Probability and Its Applications 18(4).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evaluation.bootstrap import interval
from evaluation.estimate import Estimate, checked_scores, same_length, subject_codes

DRAWS = 200


class Sample(NamedTuple):
    """Numbers, and the subject of each as an integer 0..K-1; both of shape (n,)."""

    values: np.ndarray
    subjects: np.ndarray


def sample(values, subjects=None) -> Sample:
    """Checked numbers; raises ValueError where one is not finite or has no subject."""
    found = checked_scores(values, "value")
    return Sample(found, subject_codes(subjects, found.size))


def kolmogorov_smirnov(first: Sample, second: Sample, seed: int = 0) -> Estimate:
    """The largest difference of the two shares that lie at or below some value [1], in [0, 1]."""
    both = _Both(first.values, second.values)
    return _resampled(lambda v, w: float(np.abs(both.differences(v, w)).max()), (first, second), seed, 1)


def wasserstein(first: Sample, second: Sample, seed: int = 0) -> Estimate:
    """How far the mass of the one must be carried to make the other [2], in the unit of the values."""
    both = _Both(first.values, second.values)

    def carried(v, w):
        return float((np.abs(both.differences(v, w))[:-1] * np.diff(both.support)).sum())

    return _resampled(carried, (first, second), seed, np.inf)


def beyond_quantiles(of: Sample, probabilities, quantiles, seed: int = 0) -> Estimate:
    """The Kolmogorov-Smirnov distance to a distribution of which only quantiles are told: what they prove at least.

    Where a share p of the other lies at or below its quantile q, and less than p before, the distance is at least
    p - F(q) and F(q-) - p. The quantiles are taken as exact: the interval is of the sample's part alone.
    """
    p, q = checked_scores(probabilities, "probability"), checked_scores(quantiles, "quantile")
    same_length(p, q, "quantile")
    at, before = (of.values[:, None] <= q).astype(float), (of.values[:, None] < q).astype(float)

    def proven(weight):
        total = weight.sum()
        return float(np.maximum(p - weight @ at / total, weight @ before / total - p).max(initial=0))

    return _resampled(proven, (of,), seed, 1)


def top_share(of: Sample, share: float, seed: int = 0) -> Estimate:
    """The part of the total that the largest `share` of the values holds; values >= 0, share in (0, 1]."""
    order = np.argsort(-of.values, kind="stable")
    value = of.values[order]

    def held(weight):
        reached = np.cumsum(weight[order])
        return float(np.interp(share * reached[-1], reached, np.cumsum(weight[order] * value)) / (weight @ of.values))

    return _resampled(held, (of,), seed, 1)


def lorenz(values) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the subjects, largest first, and of the total that they hold: from (0, 0) to (1, 1)."""
    value = np.sort(checked_scores(values, "value"))[::-1]
    return np.arange(value.size + 1) / value.size, np.concatenate([[0], np.cumsum(value) / value.sum()])


class _Both:
    """Two samples on one support, sorted once."""

    def __init__(self, first: np.ndarray, second: np.ndarray):
        self.support, at = np.unique(np.concatenate([first, second]), return_inverse=True)
        self.first, self.second = at[: first.size], at[first.size :]

    def differences(self, of_first: np.ndarray, of_second: np.ndarray) -> np.ndarray:
        """F - G at each value of the support, with the weights of each sample's rows."""
        size = self.support.size
        one, other = np.bincount(self.first, of_first, size), np.bincount(self.second, of_second, size)
        return np.cumsum(one) / one.sum() - np.cumsum(other) / other.sum()


def _resampled(measure: Callable[..., float], samples: tuple[Sample, ...], seed: int, most: float) -> Estimate:
    """The measure of row weights, one array a sample, with the interval that drawing each sample's subjects gives."""
    rng = np.random.default_rng(seed)
    value = measure(*(np.ones(of.values.size) for of in samples))
    drawn = [measure(*(_drawn(of, rng) for of in samples)) for _ in range(DRAWS)]
    return interval(value, np.array(drawn), 0, most)


def _drawn(of: Sample, rng: np.random.Generator) -> np.ndarray:
    count = int(of.subjects.max()) + 1
    return np.bincount(rng.integers(0, count, count), minlength=count)[of.subjects].astype(float)
