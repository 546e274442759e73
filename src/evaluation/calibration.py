r"""Do events predicted at p happen in a share p of cases?

Outcomes are 0 or 1, predictions probabilities in [0, 1]; arrays of shape (n,). Bins hold equally many rows; equal
predictions share the bin of their middle rank, so that the order of the rows changes nothing.

.. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n} |\bar y_b - \bar p_b|, \qquad
          \mathrm{logit}\, P(y = 1) = a + b\, \mathrm{logit}\, p

[1] Naeini, Cooper & Hauskrecht (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI.
[2] Cox (1958), Two Further Applications of a Model for Binary Regression, Biometrika 45: intercept a and slope b.
[3] Broecker & Smith (2007), Increasing the Reliability of Reliability Diagrams, Weather and Forecasting 22(3).
[4] Wilson (1927), Probable Inference, JASA 22: 209-212.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from evaluation.estimate import (
    LEVEL,
    Estimate,
    Z,
    checked_probabilities,
    in_unit_interval,
    normal_interval,
)
from evaluation.tie_groups import tie_groups

BINS = 10
CERTAIN = 1e-15  # a prediction nearer to 0 or 1 than this counts as this, so that its log-odds are finite
NULL_DRAWS = 1000


class Null(NamedTuple):
    """Calibration error that a perfect model would show by chance: its mean, and the value 95% stay below."""

    mean: float
    upper: float


class Reliability(NamedTuple):
    """One entry a bin that holds rows, lowest predictions first; rates in [0, 1].

    rows: how many; predicted, observed: mean prediction and share of events; low, high: 95% interval of the
    observed by Wilson [4], as if rows were independent.
    """

    rows: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Recalibration(NamedTuple):
    """Intercept a and slope b of the outcome on the log-odds [2]; a perfect model has 0 and 1. Errors: standard."""

    intercept: Estimate
    slope: Estimate
    intercept_error: float
    slope_error: float


def brier(y, p) -> float:
    """Mean squared difference of outcome and probability, in [0, 1]; lower is better."""
    outcome, p = checked_probabilities(y, p)
    return float(np.mean((outcome - p) ** 2))


def log_loss(y, p) -> float:
    """Mean negative log-likelihood in nats; lower is better."""
    outcome, p = checked_probabilities(y, p)
    return float(np.mean(log_losses(outcome, p)))


def calibration_error(y, p, bins: int = BINS) -> float:
    """Expected calibration error [1] over bins of equal size, in [0, 1]. Read it beside its null."""
    outcome, p = checked_probabilities(y, p)
    return error_of_bins(equal_mass_bins(p, bins), outcome, p)


def calibration_error_null(p, seed: int, bins: int = BINS) -> Null:
    """What `calibration_error` shows when each outcome happens with exactly its predicted probability.

    Simulated with 1,000 draws of all outcomes from `seed`, as in [3]: an error below `upper` is no evidence of
    poor calibration in a test set of this size.
    """
    p = in_unit_interval(p)
    members = equal_mass_bins(p, bins)
    order = np.argsort(members, kind="stable")
    ranked = p[order]
    starts = np.unique(members[order], return_index=True)[1]
    expected = np.add.reduceat(ranked, starts)
    rng = np.random.default_rng(seed)
    drawn = [
        np.abs(np.add.reduceat((rng.random(p.size) < ranked).astype(float), starts) - expected).sum() / p.size
        for _ in range(NULL_DRAWS)
    ]
    return Null(float(np.mean(drawn)), float(np.quantile(drawn, LEVEL)))


def reliability(y, p, bins: int = BINS) -> Reliability:
    """Predicted against observed rates in bins of equal size; fewer than `bins` where predictions are tied."""
    outcome, p = checked_probabilities(y, p)
    members = np.unique(equal_mass_bins(p, bins), return_inverse=True)[1]
    rows = np.bincount(members)
    observed = np.bincount(members, outcome) / rows
    low, high = wilson(observed, rows)
    return Reliability(rows, np.bincount(members, p) / rows, observed, low, high)


def wilson(share, rows) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95% interval [4] of a share seen in `rows` independent cases; within [0, 1] always."""
    middle = (share + Z**2 / (2 * rows)) / (1 + Z**2 / rows)
    half = Z * np.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2)) / (1 + Z**2 / rows)
    return np.maximum(0, middle - half), np.minimum(1, middle + half)


def recalibration(y, p) -> Recalibration:
    """Logistic recalibration by Newton's method, with standard errors from the information matrix.

    A slope below one means predictions too extreme; an intercept above zero, at slope one, events too rarely
    predicted. Raises ValueError where all predictions are equal, or where they separate the outcomes.
    """
    outcome, p = checked_probabilities(y, p)
    if p.min() == p.max():
        raise ValueError(f"predictions must differ for a slope, but all {p.size:,} are {p[0]:g}.")
    x, every_row = log_odds(p), np.ones(p.size)
    found = recalibrated(outcome, x, every_row, np.array([logit(outcome.mean()), 0.0]))
    if not np.isfinite(found).all():
        raise ValueError(
            f"the recalibration of {p.size:,} rows has no maximum: the predictions separate the outcomes. "
            "Judge the model on more rows."
        )
    errors = np.sqrt(np.diag(np.linalg.inv(_information(x, _variance(found, x)))))
    intercept, slope = (normal_interval(value, error) for value, error in zip(found, errors, strict=True))
    return Recalibration(intercept, slope, float(errors[0]), float(errors[1]))


def log_losses(outcome: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each row, in nats."""
    p = np.clip(p, CERTAIN, 1 - CERTAIN)
    return -np.where(outcome == 1, np.log(p), np.log1p(-p))


def log_odds(p: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)), finite."""
    return logit(np.clip(p, CERTAIN, 1 - CERTAIN))


def equal_mass_bins(p: np.ndarray, bins: int) -> np.ndarray:
    """The bin 0..bins-1 of each row, by the middle rank of its prediction."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1, but is {bins}.")
    groups = tie_groups(-p)
    size = groups.total(np.ones(p.size))
    middle = np.cumsum(size) - size / 2
    return groups.of_rows((middle * bins / p.size).astype(int))


def error_of_bins(members: np.ndarray, outcome: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Expected calibration error for given bins; `weight` says how often a row occurs."""
    weight = np.ones(p.size) if weight is None else weight
    return float(np.abs(np.bincount(members, weight * (outcome - p))).sum() / weight.sum())


def recalibrated(outcome: np.ndarray, x: np.ndarray, weight: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Intercept and slope of the weighted logistic regression on log-odds `x`; NaN where there is no maximum."""
    found = start
    for _ in range(50):
        away = weight * (outcome - expit(found[0] + found[1] * x))
        information = _information(x, weight * _variance(found, x))
        # rows that are all predicted with certainty carry no information: the slope has run away
        if not np.linalg.cond(information) < 1e14:
            break
        step = np.linalg.solve(information, [away.sum(), (away * x).sum()])
        found = found + step * min(1.0, 2.0 / np.abs(step).max(initial=1e-300))
        if np.abs(step).max() < 1e-8:
            return found
    return np.full(2, np.nan)


def _variance(found: np.ndarray, x: np.ndarray) -> np.ndarray:
    chance = expit(found[0] + found[1] * x)
    return chance * (1 - chance)


def _information(x: np.ndarray, variance: np.ndarray) -> np.ndarray:
    first, second = (variance * x).sum(), (variance * x * x).sum()
    return np.array([[variance.sum(), first], [first, second]])
