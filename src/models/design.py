"""Columns as a linear model can use them: levels side by side, numbers tamed, missing values told apart.

A number becomes two columns: its standardised value between the 1 % and 99 % quantiles, and its rank among the training
rows from -1 to 1, which bends where the data lie; no knot lies beyond these quantiles, where it would be somebody's own
value. A missing number is 0 in both, with an indicator of its own where training had missing ones. A level that was not
learned is 0 in all indicators of its column.
Matrices are those of `Encoder.encode(X, unseen=UNSEEN)`, of shape (n, columns).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

CLIP = (0.01, 0.99)
KNOTS = 21


@dataclass(frozen=True)
class Number:
    """How one number is spread out: bounds, mean and deviation after clipping, and knots of its rank."""

    bounds: tuple[float, float]
    mean: float
    deviation: float
    knots: tuple[float, ...]
    ranks: tuple[float, ...]
    indicator: bool

    @classmethod
    def learn(cls, column: np.ndarray) -> Self:
        """From the training values; a column without two different values says nothing but whether it is missing."""
        missing = np.isnan(column)
        known = column[~missing].astype(np.float64)
        if not len(known):
            return cls((0.0, 0.0), 0.0, 1.0, (0.0,), (0.0,), False)
        low, high = np.quantile(known, CLIP)
        clipped = np.clip(known, low, high)
        # a value that fills several quantiles gets the middle of their ranks
        grid, place = np.unique(np.quantile(clipped, np.linspace(0, 1, KNOTS)), return_inverse=True)
        ranks = np.round(np.bincount(place, weights=np.linspace(-1, 1, KNOTS)) / np.bincount(place), 12)
        deviation = float(clipped.std()) or 1.0
        indicator = bool(missing.any())
        return cls((float(low), float(high)), float(clipped.mean()), deviation, _plain(grid), _plain(ranks), indicator)

    def spread(self, column: np.ndarray) -> list[np.ndarray]:
        """Value, rank and, if any was missing in training, the indicator."""
        missing = np.isnan(column)
        value = (np.clip(column.astype(np.float64), *self.bounds) - self.mean) / self.deviation
        rank = np.interp(column, self.knots, self.ranks)
        both = [np.where(missing, 0, value), np.where(missing, 0, rank)]
        return [*both, missing.astype(np.float64)] if self.indicator else both


@dataclass(frozen=True)
class Design:
    """For each column a `Number`, or the number of levels of a category."""

    spreads: tuple[Number | int, ...]

    @classmethod
    def learn(cls, matrix: np.ndarray, is_category: np.ndarray) -> Self:
        """From the training rows, in which every level occurs. The outcome plays no part."""
        columns = zip(matrix.T, is_category, strict=True)
        return cls(tuple(int(np.nanmax(column)) + 1 if codes else Number.learn(column) for column, codes in columns))

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """Float64, of shape (n, design columns)."""
        parts = [self._part(spread, column) for spread, column in zip(self.spreads, matrix.T, strict=True)]
        return np.hstack(parts) if parts else np.empty((len(matrix), 0))

    @property
    def owner(self) -> np.ndarray:
        """For each design column the position of the column that it was made of."""
        widths = [spread + 1 if isinstance(spread, int) else 2 + spread.indicator for spread in self.spreads]
        return np.repeat(np.arange(len(widths)), widths)

    def to_json(self) -> list[Any]:
        """Plain numbers and lists, for `from_json`."""
        return [spread if isinstance(spread, int) else dict(vars(spread)) for spread in self.spreads]

    @classmethod
    def from_json(cls, stored: list[Any]) -> Self:
        """The design that `to_json` wrote."""
        return cls(tuple(spread if isinstance(spread, int) else _number(spread) for spread in stored))

    @staticmethod
    def _part(spread: Number | int, column: np.ndarray) -> np.ndarray:
        if isinstance(spread, int):
            missing = np.isnan(column)
            codes = np.where(missing, spread, column)
            return (codes[:, None] == np.arange(spread + 1)).astype(np.float64)
        return np.column_stack(spread.spread(column))


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())


def _number(stored: Mapping[str, Any]) -> Number:
    return Number(**{name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()})
