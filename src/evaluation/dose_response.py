r"""What does each depth of a discount bring, for whom? Dose and response of a treatment that is not yes or no.

Doses were drawn by chance, with a probability or density that is known (1 over it is a row's weight). In each segment
the outcome is a parabola of the dose, the simplest curve that has a best depth:

.. math:: Y = b_0 + b_1 d + b_2 d^2 + noise

by weighted least squares, its errors robust and clustered by customer. What was known before takes out noise first, as
in `campaign`. A parabola is fitted and not found: between doses that were drawn it is a guess, and beyond them nothing
is said. Outcomes are money net of the discount, counts, or 0 and 1; arrays are of shape (n,).

[1] Hirano & Imbens (2004), The Propensity Score with Continuous Treatments: weighting by the density of the dose.
[2] White (1980), A Heteroskedasticity-Consistent Covariance Matrix Estimator, Econometrica 48(4).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evaluation.arm_values import checked_propensity
from evaluation.estimate import checked_scores, normal_interval, same_length, subject_codes

DEGREE, STEPS, ROWS_A_TERM = 2, 21, 20


def dose_response(
    outcome, dose, density, segments: Mapping[str, np.ndarray], before=None, subjects=None
) -> pd.DataFrame:
    """One row a segment and dose, from the smallest dose that was drawn to the largest, in twenty equal steps.

    outcome, dose  what followed, and how much was given (n,)
    density        the probability or density with which *that* dose was drawn (n,), or one number
    segments       name to which rows belong to it, booleans (n,)
    before         columns of numbers known before the dose was given (n, p)
    subjects       id of the customer of each row

    Columns: segment, dose, value (mean outcome at that dose), low, high; gain (over the smallest dose), gain_low,
    gain_high. Raises ValueError for fewer than three doses or fewer than 60 rows in a segment: no curve can be told.
    """
    outcome, dose = checked_scores(outcome, "outcome"), checked_scores(dose, "dose")
    same_length(outcome, dose, "dose")
    density = np.asarray(density, dtype=float)
    weight = 1 / checked_propensity(density / max(1.0, density.max()), outcome.size)
    codes = subject_codes(subjects, outcome.size)
    freed = outcome if before is None else _freed(outcome, np.asarray(before, dtype=float), weight)
    scale = np.linspace(dose.min(), dose.max(), STEPS)
    found = [_curve(name, freed[rows], dose[rows], weight[rows], codes[rows], scale) for name, rows in segments.items()]
    return pd.concat(found, ignore_index=True)


def best_doses(table: pd.DataFrame) -> pd.DataFrame:
    """One row a segment of `dose_response`: the dose of the largest value among those that surely gain, else the least.

    Columns: segment, dose, gain, gain_low, gain_high. A curve that is flat, or whose gain may be noise, is no reason to
    give more.
    """
    least = table.groupby("segment", sort=False).dose.transform("min") == table.dose
    open_ = table[least | (table.gain_low > 0)]
    best = open_.loc[open_.groupby("segment", sort=False).value.idxmax()]
    return best[["segment", "dose", "gain", "gain_low", "gain_high"]].reset_index(drop=True)


def _curve(name: str, outcome, dose, weight, codes, scale) -> pd.DataFrame:
    if np.unique(dose).size <= DEGREE or outcome.size < ROWS_A_TERM * (DEGREE + 1):
        raise ValueError(
            f"segment {name}: a curve needs {DEGREE + 1} doses and {ROWS_A_TERM * (DEGREE + 1)} rows, but has "
            f"{np.unique(dose).size} and {outcome.size}. Join segments."
        )
    centre, spread = scale.mean(), np.ptp(scale) / 2
    design, asked = (_powers((of - centre) / spread) for of in (dose, scale))
    inverse = np.linalg.inv(_sums(design * weight[:, None], design))
    found = inverse @ (design * (weight * outcome)[:, None]).sum(axis=0)
    pull = design * (weight * (outcome - (design * found).sum(axis=1)))[:, None]
    by_subject = np.column_stack([np.bincount(codes, of) for of in pull.T])
    covariance = inverse @ _sums(by_subject, by_subject) @ inverse
    columns = {"segment": name, "dose": scale}
    for at, names in ((asked, ("value", "low", "high")), (asked - asked[:1], ("gain", "gain_low", "gain_high"))):
        value = at @ found
        error = np.sqrt(np.maximum(0, ((at @ covariance) * at).sum(axis=1)))
        around = [normal_interval(*of) for of in zip(value, error, strict=True)]
        columns |= dict(zip(names, np.array(around).T, strict=True))
    return pd.DataFrame(columns)


def _powers(of: np.ndarray) -> np.ndarray:
    return np.column_stack([of**k for k in range(DEGREE + 1)])


def _sums(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Products summed over rows by numpy's own sums, alike for any number of threads."""
    return np.array([(first * column[:, None]).sum(axis=0) for column in second.T])


def _freed(outcome: np.ndarray, before: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The outcome less what `before` explains of it around its mean: since doses are drawn, no effect is taken out."""
    columns = before - (before * weight[:, None]).sum(axis=0) / weight.sum()
    away = outcome - (outcome * weight).sum() / weight.sum()
    weighted = columns * weight[:, None]
    slope = np.linalg.lstsq(_sums(weighted, columns), (weighted * away[:, None]).sum(axis=0), rcond=1e-10)[0]
    return outcome - (columns * slope).sum(axis=1)
