"""Rows in the order of their score, where equal scores are one group.

Every measure of ranking is a function of how many positives and negatives each group holds. Counting by group makes
them independent of row order, treats ties evenly, and lets a bootstrap reuse one sort. Sums over rows are numpy's
own: products by BLAS would depend on the number of threads in their last bits.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression


class TieGroups(NamedTuple):
    """order: rows by falling score (n,); starts: where in it each group of equal scores begins (g,)."""

    order: np.ndarray
    starts: np.ndarray

    def total(self, amount: np.ndarray) -> np.ndarray:
        """Sum of `amount` (n,) over each group, best score first (g,)."""
        return np.add.reduceat(amount[self.order], self.starts)

    def of_rows(self, per_group: np.ndarray) -> np.ndarray:
        """What is known of a group (g,), given back to each of its rows (n,)."""
        sizes = np.diff(self.starts, append=self.order.size)
        rows = np.empty(self.order.size, dtype=per_group.dtype)
        rows[self.order] = np.repeat(per_group, sizes)
        return rows

    def counts(self, y: np.ndarray, weight: np.ndarray | None = None) -> "Counts":
        """Positives and negatives of each group; `weight` says how often a row occurs."""
        weight = np.ones(y.size) if weight is None else weight
        positive = self.total(weight * y)
        return Counts(positive, self.total(weight) - positive)


class Counts(NamedTuple):
    """Positives and negatives of each group of equal scores, best score first; both sums are above zero."""

    positive: np.ndarray
    negative: np.ndarray

    def auc(self) -> float:
        """P(a positive scores above a negative), a tie counting one half."""
        above = np.cumsum(self.positive) - self.positive / 2
        return float((self.negative * above).sum() / (self.positive.sum() * self.negative.sum()))

    def average_precision(self) -> float:
        """Sum over groups of the gain in recall times the precision at the group's end."""
        found = np.cumsum(self.positive)
        read = found + np.cumsum(self.negative)
        precision = np.divide(found, read, out=np.zeros(found.size), where=read > 0)
        return float((self.positive * precision).sum() / found[-1])

    def lift(self, share: float) -> float:
        """Positives in the top `share` over those expected in as many rows drawn at random."""
        return float(at_shares(self.positive + self.negative, self.positive, share) / self.positive.sum() / share)

    def hull(self) -> "Counts":
        """Groups merged until the rate of positives falls from each to the next: the convex hull of the ROC curve.

        Pooling adjacent violators gives the hull (Fawcett & Niculescu-Mizil 2007, Machine Learning 68).
        """
        size = self.positive + self.negative
        held = size > 0
        positive, size = self.positive[held], size[held]
        starts = isotonic_regression(positive / size, weights=size, increasing=False).blocks[:-1]
        merged = np.add.reduceat(positive, starts)
        return Counts(merged, np.add.reduceat(size, starts) - merged)


def tie_groups(score: np.ndarray) -> TieGroups:
    """The groups of equal scores, best first, from finite scores of shape (n,)."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    return TieGroups(order, np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])))


def at_shares(size: np.ndarray, amount: np.ndarray, shares) -> np.ndarray:
    """The amount that the top `shares` of all rows hold; a group that is cut gives evenly of what it has."""
    read = np.concatenate([[0], np.cumsum(size)])
    held = np.concatenate([[0], np.cumsum(amount)])
    return np.interp(np.asarray(shares) * read[-1], read, held)
