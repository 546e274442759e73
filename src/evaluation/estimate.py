"""What every measure is given and gives: checked arrays in, a value with its interval out.

Shapes  outcome, score and subjects are of shape (n,), one entry a row of the test set
Errors  ValueError that says what was promised and what was found
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

LEVEL = 0.95
Z = float(ndtri((1 + LEVEL) / 2))


class Estimate(NamedTuple):
    """A measured value and the 95% interval around it, in the unit of the value."""

    value: float
    low: float
    high: float


def normal_interval(value: float, error: float, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """`value` plus and minus 1.96 standard errors, cut to what the measure can be."""
    return Estimate(
        float(value), float(np.maximum(least, value - Z * error)), float(np.minimum(most, value + Z * error))
    )


def checked_scores(score, name: str = "score") -> np.ndarray:
    """`score` as floats of shape (n,); raises ValueError when it is empty, not flat or not finite."""
    found = np.asarray(score, dtype=float)
    if found.ndim != 1 or found.size == 0:
        raise ValueError(f"{name} must be a flat array of at least one number, but its shape is {found.shape}.")
    refuse(~np.isfinite(found), found, f"{name} must be finite", "Drop or score these rows first.")
    return found


def checked_outcomes(y, *scores) -> tuple[np.ndarray, ...]:
    """Outcome and scores as floats of one length, for measures that need both classes.

    Raises ValueError for empty arrays, lengths that differ, a missing value, an outcome that is not 0 or 1, and for
    outcomes that are all alike.
    """
    outcome = checked_scores(y, "outcome")
    checked = [checked_scores(score) for score in scores]
    for score in checked:
        same_length(outcome, score, "score")
    refuse((outcome != 0) & (outcome != 1), outcome, "outcome must be 0 or 1", "Code the event as 1, the rest as 0.")
    if outcome.min() == outcome.max():
        raise ValueError(
            f"outcome must hold both 0 and 1, but all {outcome.size:,} rows are {outcome[0]:g}. "
            "Take a longer horizon, or a larger population."
        )
    return outcome, *checked


def checked_probabilities(y, p) -> tuple[np.ndarray, np.ndarray]:
    """As `checked_outcomes`, and raises ValueError where a prediction lies outside [0, 1]."""
    outcome, p = checked_outcomes(y, p)
    return outcome, in_unit_interval(p)


def in_unit_interval(p) -> np.ndarray:
    """Probabilities of shape (n,); raises ValueError for one outside [0, 1]."""
    p = checked_scores(p, "probability")
    refuse((p < 0) | (p > 1), p, "a probability must lie in [0, 1]", "Turn scores into probabilities first.")
    return p


def subject_codes(subjects, n: int) -> np.ndarray:
    """Subjects as integers 0..K-1 in the order of their ids; every row is its own subject where none are given."""
    if subjects is None:
        return np.arange(n)
    ids = np.asarray(subjects)
    if ids.shape != (n,):
        raise ValueError(f"subjects must be one id for each of {n:,} rows, but their shape is {ids.shape}.")
    # NaN alone differs from itself, in arrays of objects too
    missing = np.not_equal(ids, ids.copy()) | np.equal(ids, None)
    refuse(missing, ids, "a subject must have an id", "Name the subject of these rows.")
    return np.unique(ids, return_inverse=True)[1]


def same_length(first: np.ndarray, second: np.ndarray, name: str) -> None:
    """Raises ValueError when two arrays do not describe the same rows."""
    if first.shape != second.shape:
        raise ValueError(
            f"{name} must have one entry for each of {first.size:,} rows, but has {second.size:,}. "
            "Align both on the subject's id."
        )


def refuse(bad: np.ndarray, values: np.ndarray, promise: str, remedy: str) -> None:
    """Raises ValueError when any entry is bad: how many, the first with its position, and what to do."""
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{promise}, but {int(bad.sum()):,} of {values.size:,} are not, "
            f"first at position {first} ({values[first]}). {remedy}"
        )
