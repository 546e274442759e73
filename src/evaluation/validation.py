r"""Tables that validate a probability of default: does it rank, does it mean what it says, does it stay what it was?

.. math:: HL = \sum_g \frac{(d_g - \sum p)^2}{\sum p (1 - p)}, \qquad
          PSI = \sum_b (a_b - e_b) \log(a_b / e_b)

Without any drift PSI is not zero: of samples of n and m rows in B bins its mean is about (B - 1)(1/n + 1/m) [3]. So it
is read beside what a reshuffling of the two samples shows, and called a shift only where it is both rare and large.

[1] Hosmer & Lemeshow (1980), Goodness of Fit Tests for the Multiple Logistic Regression Model, Communications in
    Statistics 9. Of rows that the model has not seen, HL has as many degrees of freedom as groups.
[2] Hand & Anagnostopoulos (2014), A Better Beta for the H Measure, Pattern Recognition Letters 40.
[3] Yurdakul & Naranjo (2020), Statistical Properties of the Population Stability Index, Journal of Risk Model
    Validation 14(4).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from evaluation.bootstrap import interval, resamples
from evaluation.calibration import equal_mass_bins
from evaluation.estimate import Estimate, checked_probabilities, subject_codes
from evaluation.money import h_measure_of
from evaluation.ranking import auc_interval
from evaluation.tie_groups import tie_groups

DRAWS, RESHUFFLES = 300, 9_999
BINS = 10
RARE, LARGE = 0.001, 0.05  # of a shift: a chance below, and a PSI above
FEW = 0.5  # rows are added to an empty bin, so that a logarithm is finite


class Fit(NamedTuple):
    """Hosmer and Lemeshow's statistic, its degrees of freedom, and the chance of a larger one of a perfect model."""

    statistic: float
    degrees: int
    p_value: float


class Stability(NamedTuple):
    """PSI of two samples; `expected` is its mean without drift, `p_value` the chance of one as large, `shifted` whether
    it is below 0.001 while PSI is above 0.05.
    """

    psi: float
    expected: float
    p_value: float
    shifted: bool


def discrimination(y, p, subjects=None, seed: int = 0) -> dict[str, Estimate]:
    """gini, ks and h with their 95 % intervals: DeLong's for Gini, bootstrap draws of subjects for the others.

    ks is the largest difference between the share of bad and of good loans at or above a score; h is the H-measure with
    severity Beta(1 + pi1, 1 + pi0) [2].
    """
    y, p = checked_probabilities(y, p)
    codes = subject_codes(subjects, y.size)
    area = auc_interval(y, p, codes)
    groups = tie_groups(p)

    def measures(weight):
        counts = groups.counts(y, weight)
        reached = [np.cumsum(part) / part.sum() for part in counts]
        return [np.abs(reached[0] - reached[1]).max(), h_measure_of(counts)]

    value = measures(np.ones(y.size))
    drawn = np.array([measures(weight) for weight in resamples(y, codes, DRAWS, seed)])
    ks, h = (interval(value[k], drawn[:, k], 0, 1) for k in range(2))
    return {"gini": Estimate(*(2 * end - 1 for end in area)), "ks": ks, "h": h}


def hosmer_lemeshow(y, p, groups: int = BINS) -> Fit:
    """Of loans that the model has not seen, in groups of equally many by their probability [1]."""
    y, p = checked_probabilities(y, p)
    members = np.unique(equal_mass_bins(p, groups), return_inverse=True)[1]
    off, spread = np.bincount(members, y - p), np.bincount(members, p * (1 - p))
    certain = spread <= 0
    if (np.abs(off[certain]) > 0).any():
        return Fit(float("inf"), int(members.max()) + 1, 0.0)
    statistic = float((off[~certain] ** 2 / spread[~certain]).sum())
    degrees = int((~certain).sum())
    return Fit(statistic, degrees, float(chdtrc(degrees, statistic)))


def stability(before, after, seed: int = 0, bins: int = BINS) -> Stability:
    """PSI of two columns: numbers in bins that hold equally many of `before`, text by its levels, missing apart."""
    first, second = _binned(pd.Series(before), pd.Series(after), bins)
    return _stability(first, second, np.random.default_rng(seed))


def stability_index(before, after, bins: int = BINS) -> tuple[float, float]:
    """PSI of two columns, and its mean without drift by the formula above, which costs no reshuffling."""
    first, second = _binned(pd.Series(before), pd.Series(after), bins)
    return float(_psi(first[None, :], second[None, :])[0]), (first.size - 1) * (1 / first.sum() + 1 / second.sum())


def characteristics(before: pd.DataFrame, after: pd.DataFrame, seed: int = 0, bins: int = BINS) -> pd.DataFrame:
    """The same of each column (CSI), largest first: column, psi, expected, p_value, shifted."""
    rng = np.random.default_rng(seed)
    rows = [(name, *_stability(*_binned(before[name], after[name], bins), rng)) for name in before.columns]
    found = pd.DataFrame(rows, columns=["column", *Stability._fields])
    return found.sort_values(["psi", "column"], ascending=[False, True], ignore_index=True)


def _binned(before: pd.Series, after: pd.Series, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of either in bins that are the same for both."""
    if pd.api.types.is_numeric_dtype(before.dtype):
        known = before.dropna().to_numpy(dtype=float)
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if known.size else np.array([])
        codes = [np.searchsorted(edges, part.to_numpy(dtype=float), side="left") for part in (before, after)]
        codes = [np.where(part.isna(), edges.size + 1, code) for part, code in zip((before, after), codes, strict=True)]
        size = edges.size + 2
    else:
        both, names = pd.factorize(pd.concat([before, after], ignore_index=True), sort=True)
        both = np.where(both < 0, len(names), both)
        codes, size = (both[: len(before)], both[len(before) :]), len(names) + 1
    first, second = (np.bincount(code, minlength=size) for code in codes)
    held = first + second > 0
    return first[held], second[held]


def _stability(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Stability:
    value = float(_psi(first[None, :], second[None, :])[0])
    drawn = rng.multivariate_hypergeometric(first + second, int(first.sum()), RESHUFFLES)
    chance = _psi(drawn, first + second - drawn)
    p_value = (1 + np.count_nonzero(chance >= value)) / (1 + RESHUFFLES)
    return Stability(value, float(chance.mean()), float(p_value), bool(p_value < RARE and value > LARGE))


def _psi(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    one, other = (np.where(part > 0, part, FEW) for part in (first, second))
    one, other = (part / part.sum(axis=1, keepdims=True) for part in (one, other))
    return ((one - other) * np.log(one / other)).sum(axis=1)
