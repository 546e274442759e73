r"""Conditional means by ridge regression in cross-fitting, from sums of products that are made once.

.. math:: \hat\beta_S = \Big(\sum_{j \notin S} X_j^\top W_j X_j + \lambda N\Big)^{-1} \sum_{j \notin S} X_j^\top W_j y_j

for any set S of folds left out: with the K sums kept, a regression without one fold, or without two, costs one small
system, and so does its error on what was left out. The penalty is the best of `PENALTIES` for the folds left out; it
is per row, so that it means the same without one fold and without two. Columns are spread as in `models.design`.

Hoerl & Kennard (1970), Ridge Regression, Technometrics 12(1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from models.design import Design

PENALTIES = tuple(float(p) for p in np.round(10.0 ** np.arange(-4, 2.1, 0.5), 8))  # of a row


@dataclass(frozen=True)
class Line:
    """A fitted regression as plain numbers: of the design of a matrix, the intercept last."""

    design: Design
    coefficients: tuple[float, ...]

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """The mean of each row, of shape (n,)."""
        with threadpool_limits(1):
            return self.design.transform(matrix) @ np.asarray(self.coefficients[:-1]) + self.coefficients[-1]

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Nothing to write beside what is returned for `load`."""
        return {"kind": "line", "design": self.design.to_json(), "coefficients": list(self.coefficients)}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> "Line":
        """The regression that `save` described."""
        return cls(Design.from_json(stored["design"]), tuple(stored["coefficients"]))


class Sums(NamedTuple):
    """Of one fold: products of the columns with each other (p, p), with the target (p,), of the target with itself."""

    products: np.ndarray
    moments: np.ndarray
    square: float
    rows: float


class Lines:
    """The base of ridge regressions over the rows of one table."""

    name = "linear"

    def __init__(self, matrix: np.ndarray, is_category: np.ndarray, fold: np.ndarray):
        self.design = Design.learn(matrix, is_category)
        self._folds = range(int(fold.max()) + 1)
        self._rows = [np.flatnonzero(fold == k) for k in self._folds]
        self._spread = [self._columns(matrix[rows]) for rows in self._rows]
        self._free = np.append(np.zeros(self._spread[0].shape[1] - 1, dtype=bool), True)

    def bags(
        self, target: np.ndarray, rows: np.ndarray | None = None, weight: np.ndarray | None = None
    ) -> tuple[list[Line], float]:
        """One regression without each fold, and the penalty that was chosen.

        target, weight  of shape (n,), or (K, n) where they differ with the fold left out
        rows            the mask of those that count (None: all)
        """
        with threadpool_limits(1):
            penalty, found = _best(self._sums(target, rows, weight), self._free)
        return [self._line(beta) for beta in found], penalty

    def without_pairs(self, target: np.ndarray, rows: np.ndarray | None, penalty: float) -> dict[tuple[int, int], Line]:
        """One regression without each two folds, with the penalty of those without one."""
        with threadpool_limits(1):
            sums = self._sums(target, rows, None)[0]
            pairs = combinations(self._folds, 2)
            return {pair: self._line(_solve(_without(sums, pair), penalty, self._free)) for pair in pairs}

    def with_arm(self, target: np.ndarray, arm: np.ndarray, arms: int) -> list[list[Line]]:
        """Regressions on all rows, of the columns and of their products with each arm above the first.

        For each arm, one without each fold: what the columns say under it.
        """
        with threadpool_limits(1):
            each = [self._sums(target, arm == a, None)[0] for a in range(arms)]
            wide = [_with_products([sums[k] for sums in each]) for k in self._folds]
            _, found = _best([wide] * len(wide), np.tile(self._free, arms))
        blocks = [beta.reshape(arms, -1) for beta in found]
        return [[self._line(block[0] + (block[a] if a else 0)) for block in blocks] for a in range(arms)]

    def of_fold(self, line: Line, k: int) -> np.ndarray:
        """What a regression says of the rows of fold k."""
        with threadpool_limits(1):
            return self._spread[k] @ np.asarray(line.coefficients)

    def _columns(self, matrix: np.ndarray) -> np.ndarray:
        return np.hstack([self.design.transform(matrix), np.ones((len(matrix), 1))])

    def _line(self, beta: np.ndarray) -> Line:
        return Line(self.design, tuple(beta.tolist()))

    def _sums(self, target, rows, weight) -> list[list[Sums]]:
        """For each fold left out the sums of each fold; the same list, where neither target nor weight differ."""
        if target.ndim == 1:
            return [[self._sum(k, target, rows, weight) for k in self._folds]] * len(self._folds)
        fixed = weight is None or weight.ndim == 1
        made = []
        for out in self._folds:
            w = weight if fixed else weight[out]
            shared = made[0] if made and fixed else [None] * len(self._folds)
            made.append([self._sum(k, target[out], rows, w, shared[k]) for k in self._folds])
        return made

    def _sum(self, k, target, rows, weight, shared: Sums | None = None) -> Sums:
        """Of fold k; the products of columns are those of `shared`, where the weights are."""
        at = self._rows[k]
        w = np.ones(len(at)) if weight is None else weight[at]
        w = w if rows is None else w * rows[at]
        x, y = self._spread[k], target[at]
        products = (x * w[:, None]).T @ x if shared is None else shared.products
        return Sums(products, x.T @ (w * y), float((w * y * y).sum()), float(w.sum()))


def _with_products(arms: Sequence[Sums]) -> Sums:
    """The sums of one fold for columns beside their products with each arm above the first, from those of each arm."""
    first = [[sum(arm.products for arm in arms), *(arm.products for arm in arms[1:])]]
    zero = np.zeros_like(arms[0].products)
    rest = [
        [arm.products, *(arm.products if i == j else zero for j in range(1, len(arms)))]
        for i, arm in enumerate(arms[1:], 1)
    ]
    moments = np.concatenate([sum(arm.moments for arm in arms), *(arm.moments for arm in arms[1:])])
    total = sum(arm.square for arm in arms), sum(arm.rows for arm in arms)
    return Sums(np.block(first + rest), moments, *total)


def _best(sums: Sequence[Sequence[Sums]], free: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """The penalty with the least squared error on the folds left out, and the regressions without each of them."""
    found, errors = [], []
    for penalty in PENALTIES:
        betas = [_solve(_without(of, (k,)), penalty, free) for k, of in enumerate(sums)]
        missed = [_squared_error(beta, of[k]) for k, (beta, of) in enumerate(zip(betas, sums, strict=True))]
        found.append(betas)
        errors.append(sum(missed))
    best = int(np.argmin(errors))
    return PENALTIES[best], found[best]


def _without(sums: Sequence[Sums], folds: tuple[int, ...]) -> Sums:
    kept = [part for k, part in enumerate(sums) if k not in folds]
    return Sums(*(sum(parts) for parts in zip(*kept, strict=True)))


def _solve(sums: Sums, penalty: float, free: np.ndarray) -> np.ndarray:
    ridge = np.where(free, 0, penalty * sums.rows)
    return np.linalg.solve(sums.products + np.diag(ridge + 1e-9 * sums.rows), sums.moments)


def _squared_error(beta: np.ndarray, sums: Sums) -> float:
    return sums.square - 2 * beta @ sums.moments + beta @ sums.products @ beta
