r"""Few bins for each column, the best ones that keep to a shape: where a scorecard, and any weight of evidence, begins.

A number is cut finely at quantiles, between two neighbouring values at the decimal of fewest digits; a category's
levels are put in the order of their rates. Neighbours are then merged by dynamic programming over all columns at once,
to the partition that maximises

.. math:: \sum_b \big[ s_b \log r_b + (n_b - s_b) \log(1 - r_b) \big] - \tau\,\text{turns}

with s_b outcomes among n_b rows of bin b and r_b = s_b / n_b: the log-likelihood. There are at most `MOST_BINS`, of
which none has less than `SMALLEST_SHARE` of the rows or fewer than `FEWEST` of either class. Rates rise, fall, rise to
a peak, or fall to a valley, as declared; undeclared, the best shape is taken, and a turn must be worth tau = `TURN`.

Missing values are a bin of their own, and so are levels that were not learned and each declared special value. A bin's
weight of evidence is smoothed towards the base rate, and 0 where it has no row:

.. math:: \text{WOE}_b = \text{logit}\frac{s_b + m p}{n_b + m} - \text{logit}\,p, \qquad
          \text{IV} = \sum_b \Big(\frac{s_b}{S} - \frac{n_b - s_b}{N - S}\Big) \text{WOE}_b

Matrices are those of `Encoder.encode(X, unseen=UNSEEN)`, of shape (n, columns).

Good (1950), Probability and the Weighing of Evidence. Micci-Barreca (2001), SIGKDD Explorations 3(1): the smoothing.
Fisher (1958), On Grouping for Maximum Homogeneity, JASA 53: optimal bins are neighbours, and how to find them.
Kullback (1959), Information Theory and Statistics, chapter 6: IV is his divergence J, and its variance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import logit

from evaluation.estimate import Estimate, normal_interval
from models.partition import ANY, RISING, Limits, partitions

CELLS = 32  # that a column is cut into before neighbours are merged
MOST_BINS = 8
SMALLEST_SHARE = 0.05
FEWEST = 5.0
TURN = 10.0
SMOOTHING = 10.0
NO_LEVEL, MISSING = 0, 1  # the first two bins of every column


class Wish(NamedTuple):
    """What is declared of a column: the shape of its rates, and values that mean something of their own (-999)."""

    shape: str | None = None
    specials: tuple[float, ...] = ()


@dataclass(frozen=True)
class Bins:
    """How one column is cut, and what the training rows had in each bin.

    cuts      upper end of each range but the last, which belongs to it; None for a category
    groups    for a category, the group of each level by its code; -1 for a level without rows
    specials  values that are a bin of their own
    shape     of the rates over ranges, as taken
    rows, outcomes  counts in bin 0 (unseen), 1 (missing), then of each special value, then of each range or group
    """

    cuts: tuple[float, ...] | None
    groups: tuple[int, ...]
    specials: tuple[float, ...]
    shape: str
    rows: tuple[int, ...]
    outcomes: tuple[int, ...]

    def place(self, column: np.ndarray) -> np.ndarray:
        """The bin of each value, of shape (n,)."""
        missing = np.isnan(column)
        if self.cuts is None:
            codes = np.where(missing | (column < 0) | (column >= len(self.groups)), len(self.groups), column)
            group = np.append(self.groups, -1)[codes.astype(np.int64)]
            place = np.where(group < 0, NO_LEVEL, group + self.first)
        else:
            place = np.searchsorted(self.cuts, column.astype(np.float64), side="left") + self.first
            for number, special in enumerate(self.specials):
                place[column == special] = number + 2
        return np.where(missing, MISSING, place)

    @property
    def first(self) -> int:
        """The position of the first range or group."""
        return 2 + len(self.specials)


@dataclass(frozen=True)
class Binning:
    """The bins of each column of a matrix, and their weights of evidence for an outcome of this base rate."""

    columns: tuple[Bins, ...]
    rate: float

    @classmethod
    def learn(
        cls,
        matrix: np.ndarray,
        y: np.ndarray,
        is_category: np.ndarray,
        wishes: Sequence[Wish] | None = None,
        undeclared: str = ANY,
    ) -> Self:
        """The best bins of each column under its wish, else of the shape `undeclared`, for outcomes y of 0 and 1."""
        wishes = [Wish()] * matrix.shape[1] if wishes is None else wishes
        limits = Limits(MOST_BINS, SMALLEST_SHARE * len(y), FEWEST, TURN)
        columns = zip(matrix.T, is_category, wishes, strict=True)
        cut = [(_levels if category else _cells)(column, y, wish.specials) for column, category, wish in columns]
        shapes = [
            RISING if category else wish.shape or undeclared for category, wish in zip(is_category, wishes, strict=True)
        ]
        found = partitions([fine.rows for fine in cut], [fine.outcomes for fine in cut], shapes, limits)
        merged = (fine.merged(best.starts, best.shape) for fine, best in zip(cut, found, strict=True))
        return cls(tuple(merged), float(y.mean()))

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """The weight of evidence of each bin of each column."""
        return tuple(_weights(bins, self.rate) for bins in self.columns)

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """The weight of each cell, float64, of the matrix's shape."""
        evidence = np.empty(matrix.shape)
        for position, (bins, weights) in enumerate(zip(self.columns, self.weights, strict=True)):
            evidence[:, position] = weights[bins.place(matrix[:, position])]
        return evidence

    def information(self) -> list[Estimate]:
        """The information value of each column with its 95 % interval."""
        return [information_value(bins.rows, bins.outcomes) for bins in self.columns]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, for `from_json`."""
        return {"rate": self.rate, "columns": [dict(vars(bins)) for bins in self.columns]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The bins that `to_json` wrote."""
        return cls(tuple(_bins(one) for one in stored["columns"]), stored["rate"])


class _Fine(NamedTuple):
    """A column cut finely: its cells in order, with their counts; what stands apart, counted as it will stay."""

    ends: np.ndarray | None  # largest value of each cell, and the next one beyond it, (2, cells); None for a category
    cell: np.ndarray  # of each level of a category, its cell; -1: no rows
    specials: tuple[float, ...]
    apart: np.ndarray  # rows and outcomes of unseen, missing, specials, of shape (2, 2 + specials)
    rows: np.ndarray
    outcomes: np.ndarray

    def merged(self, starts: tuple[int, ...], shape: str) -> Bins:
        counts = [np.add.reduceat(found, starts).tolist() for found in (self.rows, self.outcomes)]
        rows, outcomes = ((*apart, *merged) for apart, merged in zip(self.apart.tolist(), counts, strict=True))
        if self.ends is None:
            group = np.searchsorted(starts, self.cell, side="right") - 1
            return Bins(None, tuple(group.tolist()), (), shape, rows, outcomes)
        cuts = tuple(_shortest(*self.ends[:, start - 1].tolist()) for start in starts[1:])
        return Bins(cuts, (), self.specials, shape, rows, outcomes)


def information_value(rows: Sequence[int], outcomes: Sequence[int]) -> Estimate:
    """IV of a column from the counts of its bins, with the 95 % interval that sampling the rows gives it.

    The interval is that of two multinomials by the delta method, around the value less what bins of no worth at all
    would show: 1 / S + 1 / (N - S) for each bin but one. It takes the bins as given; that they were chosen to be good
    on the same rows, it does not know.
    """
    n, s = np.asarray(rows, dtype=float), np.asarray(outcomes, dtype=float)
    n, s = n[n > 0], s[n > 0]
    total, good = s.sum(), (n - s).sum()
    p, q = s / total, (n - s) / good
    weight = _smoothed(n, s, total / n.sum())
    # derivatives by p and q, unsmoothed counts standing in the quotients where they are not 0
    by_p, by_q = weight + 1 - q / np.maximum(p, 0.5 / total), -weight + 1 - p / np.maximum(q, 0.5 / good)
    variance = _multinomial(p, by_p) / total + _multinomial(q, by_q) / good
    value = float(((p - q) * weight).sum())
    optimism = (len(n) - 1) * (1 / total + 1 / good)
    around = normal_interval(value - optimism, float(np.sqrt(variance)), 0, np.inf)
    return Estimate(value, min(around.low, value), max(around.high, 0.0))


def _multinomial(p: np.ndarray, slope: np.ndarray) -> float:
    return float((p * slope**2).sum() - (p * slope).sum() ** 2)


def _weights(bins: Bins, rate: float) -> np.ndarray:
    return _smoothed(np.asarray(bins.rows, dtype=float), np.asarray(bins.outcomes, dtype=float), rate)


def _smoothed(n: np.ndarray, s: np.ndarray, rate: float) -> np.ndarray:
    return logit((s + SMOOTHING * rate) / (n + SMOOTHING)) - logit(rate)


def _counts(place: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Rows and outcomes in each place, of shape (2, size) or as many as there are places."""
    rows = np.bincount(place, minlength=size)
    return np.stack([rows, np.bincount(place[y > 0], minlength=len(rows))])


def _cells(column: np.ndarray, y: np.ndarray, specials: tuple[float, ...]) -> _Fine:
    column = column.astype(np.float64)
    missing = np.isnan(column)
    place = np.where(missing, MISSING, -1)
    for number, special in enumerate(specials):
        place[column == special] = number + 2
    ordinary = place < 0
    values, hits = (column, y) if ordinary.all() else (column[ordinary], y[ordinary])
    ends = _ends(np.sort(values))
    rows, outcomes = _counts(np.searchsorted(ends[0, :-1], values, side="left"), hits, ends.shape[1])
    return _Fine(
        ends, np.empty(0), specials, _counts(place[~ordinary], y[~ordinary], 2 + len(specials)), rows, outcomes
    )


def _ends(ordered: np.ndarray) -> np.ndarray:
    """The largest of at most `CELLS` cells of about equally many sorted values, and the values after these."""
    if not len(ordered):
        return np.full((2, 1), np.nan)
    at = np.arange(1, CELLS + 1) * len(ordered) // CELLS - 1
    ends = np.unique(ordered[np.maximum(at, 0)])
    after = np.searchsorted(ordered, ends, side="right")
    return np.stack([ends, ordered[np.minimum(after, len(ordered) - 1)]])


def _shortest(low: float, high: float) -> float:
    """The decimal of fewest digits that is at least `low` and below `high`: what a person can read and type."""
    exact, exponent = Decimal(low), Decimal(max(abs(low), abs(high))).adjusted() + 1
    while True:
        found = float((exact.scaleb(-exponent).to_integral_value(ROUND_CEILING)).scaleb(exponent))
        if low <= found < high:
            return found + 0.0  # no minus before a zero
        exponent -= 1


def _levels(codes: np.ndarray, y: np.ndarray, specials: tuple[float, ...]) -> _Fine:
    """Levels in the order of their smoothed rates, neighbours of which share a cell where there are many."""
    missing = np.isnan(codes)
    place = np.where(missing, 0, codes).astype(np.int64)
    known = ~missing & (place >= 0)
    n, s = _counts(place[known], y[known], 0)
    there = np.flatnonzero(n)
    order = there[np.argsort(_smoothed(n[there], s[there], y.mean()), kind="stable")]
    upto = n[order].cumsum()
    # a level begins where the one before it ends: a large one has a cell of its own
    cell = np.unique((upto - n[order]) * CELLS // max(upto[-1:].sum(), 1), return_inverse=True)[1]
    of_level = np.full(len(n), -1)
    of_level[order] = cell
    rows, outcomes = (np.bincount(cell, weights=count[order], minlength=1).astype(np.int64) for count in (n, s))
    apart = _counts(np.where(missing, MISSING, NO_LEVEL)[~known], y[~known], 2)
    return _Fine(None, of_level, (), apart, rows, outcomes)


def _bins(stored: Mapping[str, Any]) -> Bins:
    return Bins(**{name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()})
