"""Conditional means by boosted trees in cross-fitting: what uplift learners are made of.

Every regression is grown K times, number k without fold k, all stopped at the round that is best on average for the
folds left out; and, where a later stage learns from its predictions, once for each pair of folds, without both. Bins
are cut once, from all rows: they see no outcome. Squared error throughout, so that a mean is a mean, whatever the
outcome; extra rows are ignored by a mask, not by a weight of zero, which would take as long.

Same    equal rows in equal order give equal bytes, on any number of threads
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from models.portfolio import HOUSE
from models.trees import unseen_is_missing

ROUNDS, PATIENCE = 500, 25
# the house's recipe for log loss, whose curvature at a rate of 20 % makes of its smallest child of 5 one of 30 rows
RECIPE = {**HOUSE.parameters, "min_child_weight": 30}
MANY_ROWS, FASTER = 50_000, 0.1  # above so many rows a larger step costs no accuracy and half the time


@dataclass(frozen=True, eq=False)
class Tree:
    """A grown regression; `arm`, where it was learnt with the arm as a last column, is what is put there."""

    booster: xgb.Booster
    is_category: np.ndarray
    arm: int | None = None

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """The mean of each row, of shape (n,)."""
        if self.arm is not None:
            matrix = np.column_stack([matrix, np.full(len(matrix), self.arm, dtype=np.float32)])
        kinds = np.where(self.is_category, "c", "q").tolist()
        data = xgb.DMatrix(unseen_is_missing(matrix, self.is_category), feature_types=kinds, enable_categorical=True)
        return self.booster.predict(data).astype(np.float64)

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Write the booster; return what `load` needs beside it."""
        self.booster.save_model(folder / f"{name}.ubj")
        return {"kind": "tree", "arm": self.arm}

    @classmethod
    def load(cls, stored: Mapping[str, Any], folder: Path, name: str, is_category: np.ndarray) -> "Tree":
        """The regression that `save` wrote, in a matrix of columns of which these are categories."""
        with_arm = np.append(is_category, True) if stored["arm"] is not None else is_category
        return cls(xgb.Booster(model_file=folder / f"{name}.ubj"), with_arm, stored["arm"])


class Trees:
    """The base of boosted trees over the rows of one table, cut into bins once."""

    name = "boosted"

    def __init__(self, matrix: np.ndarray, is_category: np.ndarray, fold: np.ndarray, seed: int, threads: int):
        self.matrix, self.is_category, self.fold = unseen_is_missing(matrix, is_category), is_category, fold
        self._kinds = np.where(is_category, "c", "q").tolist()
        self._seed, self._threads = seed, threads
        self._whole = self._bins(self.matrix)
        self._parts = [matrix[fold == k] for k in range(fold.max() + 1)]
        self._full: dict[int, tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix]] = {}

    def bags(
        self, target: np.ndarray, rows: np.ndarray | None = None, weight: np.ndarray | None = None
    ) -> tuple[list[Tree], int]:
        """One regression without each fold, and how many rounds they were grown for.

        target, weight  of shape (n,), or (K, n) where they differ with the fold left out
        rows            the mask of those that count (None: all)
        """
        folds = range(len(self._parts))
        targets, weights = _by_fold(target, len(folds)), _by_fold(weight, len(folds))
        pairs = [self._pair(k, rows, targets[k], weights[k]) for k in folds]
        boosters = [self._booster(*pair) for pair in pairs]
        best, losses = 0, []
        for i in range(ROUNDS):
            for booster, (inside, _) in zip(boosters, pairs, strict=True):
                booster.update(inside, i)
            losses.append(_loss(boosters, pairs, i))
            best = int(np.argmin(losses))
            if i - best >= PATIENCE:
                break
        return [Tree(booster[: best + 1], self.is_category) for booster in boosters], best + 1

    def without_pairs(self, target: np.ndarray, rows: np.ndarray | None, rounds: int) -> dict[tuple[int, int], Tree]:
        """One regression without each two folds, of as many rounds as those without one."""
        grown = {}
        for i, j in combinations(range(len(self._parts)), 2):
            kept = (self.fold != i) & (self.fold != j)
            inside = self._cut(kept if rows is None else kept & rows, target, None)
            booster = self._booster(inside)
            for round_ in range(rounds):
                booster.update(inside, round_)
            grown[i, j] = Tree(booster, self.is_category)
        return grown

    def of_fold(self, tree: Tree, k: int) -> np.ndarray:
        """What a regression says of the rows of fold k."""
        return tree.predict(self._parts[k])

    def with_arm(self, target: np.ndarray, arm: np.ndarray, arms: int) -> list[list[Tree]]:
        """Regressions on all rows with the arm as a last column: for each arm, one without each fold."""
        wide = np.column_stack([self.matrix, arm.astype(np.float32)])
        base = Trees(wide, np.append(self.is_category, True), self.fold, self._seed, self._threads)
        bags, _ = base.bags(target)
        return [[Tree(tree.booster, tree.is_category, a) for tree in bags] for a in range(arms)]

    def _pair(self, k, rows, target, weight) -> tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix]:
        inside, outside = self.fold != k, self.fold == k
        if rows is not None:
            return self._cut(inside & rows, target, weight), self._cut(outside & rows, target, weight)
        if k not in self._full:
            self._full[k] = self._bins(self.matrix[inside]), self._bins(self.matrix[outside])
        for data, part in zip(self._full[k], (inside, outside), strict=True):
            data.set_label(target[part])
            data.set_weight(np.ones(part.sum()) if weight is None else weight[part])
        return self._full[k]

    def _cut(self, rows: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> xgb.QuantileDMatrix:
        data = self._bins(self.matrix[rows])
        data.set_label(target[rows])
        if weight is not None:
            data.set_weight(weight[rows])
        return data

    def _bins(self, matrix: np.ndarray) -> xgb.QuantileDMatrix:
        return xgb.QuantileDMatrix(
            matrix, feature_types=self._kinds, enable_categorical=True, ref=getattr(self, "_whole", None),
            nthread=self._threads,
        )  # fmt: skip

    def _booster(self, inside: xgb.QuantileDMatrix, *others: xgb.QuantileDMatrix) -> xgb.Booster:
        label, weight = inside.get_label(), inside.get_weight()
        settings = {
            **RECIPE,
            **({"learning_rate": FASTER} if len(self.fold) > MANY_ROWS else {}),
            "objective": "reg:squarederror",
            "base_score": float(np.average(label.astype(np.float64), weights=weight if len(weight) else None)),
            "tree_method": "hist",
            "nthread": self._threads,
            "seed": self._seed,
            "seed_per_iteration": True,
        }
        return xgb.Booster(settings, [inside, *others])


def _by_fold(values: np.ndarray | None, folds: int) -> Sequence:
    if values is None or values.ndim == 1:
        return [values] * folds
    return values


def _loss(boosters: list[xgb.Booster], pairs: list, i: int) -> float:
    """Mean squared error of the rows left out, over all folds."""
    squared = [
        float(b.eval(out, iteration=i).rsplit(":", 1)[1]) ** 2 for b, (_, out) in zip(boosters, pairs, strict=True)
    ]
    total = [out.get_weight().sum() if len(out.get_weight()) else out.num_row() for _, out in pairs]
    return float(np.average(squared, weights=total))
