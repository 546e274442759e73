r"""Were customers chosen by chance? And if not, what can still be said of an effect.

With A = 1 for the treated and e the probability of being treated that a model foretells of rows it has not seen:

- The AUC of e for A is that of the *targeting*: one half where nothing known told who would be treated.
- Where propensities were logged, each row weighs 1 / (the logged probability of its own arm). What the log explains is
  then gone, and what the model still foretells was not in it.
- Rows with e near 0 or 1 have no like in the other arm: they do not *overlap*, and no method can compare them.

Where the choice was no chance, the effect of those who overlap most is estimated with overlap weights [1],

.. math:: \tau = \frac{\sum_i e_i (1 - e_i) (m_1 - m_0)_i + A_i (1 - e_i)(Y_i - m_{1i}) - (1 - A_i) e_i (Y_i - m_{0i})}
                      {\sum_i e_i (1 - e_i)}

which is right only if all that moved both the choice and the outcome was known; and for everybody, without any such
promise, an effect on a share lies within bounds that are always one wide [2].

[1] Li, Morgan & Zaslavsky (2018), Balancing Covariates via Propensity Score Weighting, JASA 113.
[2] Manski (1990), Nonparametric Bounds on Treatment Effects, American Economic Review 80(2).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from evaluation.estimate import (
    Estimate,
    Z,
    checked_outcomes,
    checked_scores,
    normal_interval,
    same_length,
    subject_codes,
)
from evaluation.tie_groups import tie_groups

LARGEST_AUC, LARGEST_DIFFERENCE, LEAST_PROPENSITY = 0.55, 0.1, 0.1


class Assignment(NamedTuple):
    """How the treated were chosen, and whether that may be called an experiment.

    auc, auc_tolerated                of the targeting, and the most that an experiment of this size may show
    difference, difference_tolerated  largest standardised difference of a column, and the same
    overlap                           share of rows with a propensity from 0.1 to 0.9
    experiment                        neither is above what is tolerated
    """

    auc: float
    auc_tolerated: float
    difference: float
    difference_tolerated: float
    overlap: float
    experiment: bool

    @property
    def said(self) -> str:
        """In a sentence."""
        found = (
            f"who was treated is foretold with an AUC of {self.auc:.2f} (at most {self.auc_tolerated:.2f} in an "
            f"experiment), columns differ by up to {self.difference:.2f} standard deviations (at most "
            f"{self.difference_tolerated:.2f}), and {self.overlap:.0%} of the rows have a like in the other arm"
        )
        return f"{'An experiment' if self.experiment else 'No experiment'}: {found}."


def assignment(treated, foretold, columns, logged=None) -> Assignment:
    """Whether the treated were drawn by chance, given the logged propensities if there are any.

    treated   0 or 1 (n,)
    foretold  propensity of being treated by a model that had not seen the row (n,)
    columns   what was known before, as numbers (n, p); NaN is left out of a column's difference
    logged    the probability with which each row's own arm was drawn (n,); None: nothing is logged

    An AUC of 0.55 and a difference of a tenth are tolerated, or what chance alone would show at this size: 99 % of
    experiments stay below for the AUC, and for the largest of all columns.
    """
    treated, foretold = checked_outcomes(treated, foretold)
    weight = np.ones(treated.size) if logged is None else 1 / checked_scores(logged, "logged")
    same_length(treated, weight, "logged")
    # rows that count for fewer: Kish's effective number of each arm
    sizes = [weight[treated == a].sum() ** 2 / (weight[treated == a] ** 2).sum() for a in (0, 1)]
    spread = np.sqrt(1 / sizes[0] + 1 / sizes[1])
    area = tie_groups(foretold).counts(treated, weight).auc()
    differences = np.abs(standardised_differences(columns, treated, weight))
    largest = float(np.nanmax(differences, initial=0.0))
    tolerated = max(LARGEST_AUC, 0.5 + ndtri(0.99) * spread / np.sqrt(12))
    by_chance = ndtri(1 - 0.005 / max(1, differences.size)) * spread
    bound = max(LARGEST_DIFFERENCE, by_chance)
    passes = area <= tolerated and largest <= bound
    return Assignment(area, float(tolerated), largest, float(bound), overlap_share(foretold), bool(passes))


def standardised_differences(columns, treated, weight=None) -> np.ndarray:
    """Mean of the treated less that of the others, over the pooled standard deviation; (p,). 0 for a constant."""
    columns, treated = np.asarray(columns, dtype=float), np.asarray(treated, dtype=float)
    weight = np.ones(treated.size) if weight is None else np.asarray(weight, dtype=float)
    moments = [_moments(columns[treated == a], weight[treated == a]) for a in (0, 1)]
    gap = moments[1][0] - moments[0][0]
    deviation = np.sqrt((moments[0][1] + moments[1][1]) / 2)
    return np.divide(gap, deviation, out=np.zeros_like(gap), where=deviation > 0)


def overlap_share(propensity, least: float = LEAST_PROPENSITY) -> float:
    """The share of rows whose propensity lies in [least, 1 - least]."""
    e = checked_scores(propensity, "propensity")
    return float(((e >= least) & (e <= 1 - least)).mean())


def overlap_effect(outcome, treated, propensity, expected, subjects=None) -> Estimate:
    """The effect on those who overlap, in the outcome's unit, with its 95 % interval, clustered by subject [1].

    propensity, expected  of being treated (n,), and what is expected without and with treatment (n, 2), out of fold
    """
    y, a, e = (checked_scores(values) for values in (outcome, treated, propensity))
    without, treated_mean = np.asarray(expected, dtype=float).T
    weight = e * (1 - e)
    gain = weight * (treated_mean - without) + a * (1 - e) * (y - treated_mean) - (1 - a) * e * (y - without)
    value = gain.sum() / weight.sum()
    moved = np.bincount(subject_codes(subjects, y.size), gain - value * weight)
    return normal_interval(value, float(np.sqrt((moved**2).sum()) / weight.sum()))


def worst_case_bounds(outcome, treated, subjects=None) -> tuple[float, float]:
    """The least and the most that the average effect on a share can be, whatever was not known [2]: low and high end.

    Outcomes are 0 or 1. Each end is widened by 1.96 standard errors.
    """
    y, a = checked_outcomes(outcome, treated)
    codes = subject_codes(subjects, y.size)
    ends = []
    for missing_treated, missing_control, sign in ((0.0, 1.0, -1), (1.0, 0.0, 1)):
        each = np.where(a == 1, y - missing_control, missing_treated - y)
        moved = np.bincount(codes, each - each.mean())
        ends.append(float(each.mean() + sign * Z * np.sqrt((moved**2).sum()) / y.size))
    return max(-1.0, ends[0]), min(1.0, ends[1])


def _moments(columns: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and variance of each column, over the rows where it is known."""
    known = ~np.isnan(columns)
    total = np.where(known, weight[:, None], 0)
    rows = np.maximum(total.sum(axis=0), 1e-300)
    filled = np.where(known, columns, 0)
    mean = (total * filled).sum(axis=0) / rows
    return mean, (total * np.where(known, filled - mean, 0) ** 2).sum(axis=0) / rows
