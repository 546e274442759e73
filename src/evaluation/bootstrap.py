"""Resampling of subjects: a subject is drawn with all of its rows, since they are not independent of each other.

A draw is an array of weights, how often each row occurs in it, so that what was sorted once stays sorted.

Source  Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapters 10 and 13
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from evaluation.estimate import LEVEL, Estimate


def resamples(y: np.ndarray, subjects: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """`draws` arrays of row weights (n,), of subjects drawn with replacement; `subjects` are codes 0..K-1.

    A draw without one of the classes measures nothing and is drawn again.
    """
    positive = y > 0
    both = (weight for weight in _endless(subjects, seed) if 0 < weight[positive].sum() < weight.sum())
    return islice(both, draws)


def drawn_subjects(subjects: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """The same for outcomes that have no classes: every draw counts."""
    return islice(_endless(subjects, seed), draws)


def _endless(subjects: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    count = int(subjects.max()) + 1
    # without several rows a subject the weights of subjects are those of rows, and the gather can be saved
    own_row = np.array_equal(subjects, np.arange(subjects.size))
    while True:
        weight = np.bincount(rng.integers(0, count, count), minlength=count)
        yield weight if own_row else weight[subjects]


def interval(value: float, drawn: np.ndarray, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """The value with the quantiles of its draws, moved so that their mean is the value.

    Some measures (calibration error, those on the ROC hull) are optimistic or pessimistic in every resample; without
    the move, that bias would count twice. The interval is cut to what the measure can be, and NaN where
    a draw has no value.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) - np.mean(drawn) + value
    return Estimate(float(value), float(np.maximum(least, low)), float(np.minimum(most, high)))
