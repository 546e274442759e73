"""Boosted trees in bags: one booster for each fold left out, all stopped at the round that is best on average.

Five curves of five held-out folds are averaged before the round is chosen: one fold's curve alone is noisy, and a
booster stopped by its own fold would make that fold look better than it is.

XGBoost reads a misspelt parameter as nothing at all, so names are checked against `PARAMETERS`. Never
`scale_pos_weight`, which breaks calibration. Matrices are float32 with NaN for missing, codes for categories.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost as xgb

PARAMETERS = frozenset({
    "learning_rate", "max_depth", "min_child_weight", "reg_lambda", "reg_alpha", "gamma", "subsample",
    "colsample_bytree", "max_bin", "max_cat_to_onehot",
})  # fmt: skip
PATIENCE = 50


@dataclass(frozen=True)
class Recipe:
    """One way to grow trees: XGBoost's parameters, and the most rounds; the folds decide when to stop."""

    name: str
    parameters: Mapping[str, Any]
    rounds: int = 1000

    def __post_init__(self):
        unknown = sorted(set(self.parameters) - PARAMETERS)
        if unknown:
            raise ValueError(
                f"{self.name}: {', '.join(unknown)} is not a parameter of ours; known are "
                f"{', '.join(sorted(PARAMETERS))}. Correct the name, or add it to PARAMETERS."
            )


@dataclass(frozen=True)
class Loss:
    """What boosters minimise, as XGBoost calls it, and the measure that decides when to stop."""

    objective: str
    metric: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


LOGISTIC = Loss("binary:logistic", "logloss")


@dataclass(frozen=True)
class Bag:
    """The boosters, number k trained without fold k, and their margins for the rows of that fold, of shape (n,).

    A margin is on the scale of the loss: log-odds, or the log of an amount.
    """

    boosters: tuple[xgb.Booster, ...]
    out_of_fold: np.ndarray


def cells(matrix: np.ndarray, is_category: np.ndarray, start: np.ndarray | None = None) -> xgb.DMatrix:
    """The matrix as XGBoost predicts from it; unseen levels are missing. `start` (n,): margins to begin with."""
    kinds = np.where(is_category, "c", "q").tolist()
    whole = unseen_is_missing(matrix, is_category)
    return xgb.DMatrix(whole, feature_types=kinds, enable_categorical=True, base_margin=start)


def unseen_is_missing(matrix: np.ndarray, is_category: np.ndarray) -> np.ndarray:
    """The matrix with levels that were not learned as missing values, as trees read them."""
    return np.where(is_category & (matrix < 0), np.float32(np.nan), matrix)


class Folds:
    """The rows cut for training once, since every recipe trains on the same.

    directions  of each column: 1 where the outcome may only become likelier as it rises, -1 less likely, 0 either
    start       margins (n,) to begin with
    """

    def __init__(
        self,
        matrix: np.ndarray,
        y: np.ndarray,
        is_category: np.ndarray,
        fold: np.ndarray,
        threads: int,
        loss: Loss = LOGISTIC,
        start: np.ndarray | None = None,
    ):
        self.y, self.fold, self.threads, self.loss, self.start = y, fold, threads, loss, start
        self.directions = np.zeros(matrix.shape[1], dtype=int)
        self._matrix = unseen_is_missing(matrix, is_category)
        self._kinds = np.where(is_category, "c", "q").tolist()
        self._pairs: dict[int, list[tuple[xgb.DMatrix, xgb.DMatrix]]] = {}

    def pairs(self, max_bin: int) -> list[tuple[xgb.DMatrix, xgb.DMatrix]]:
        """For each fold the rows outside and inside of it."""
        if max_bin not in self._pairs:
            self._pairs[max_bin] = [self._pair(k, max_bin) for k in range(self.fold.max() + 1)]
        return self._pairs[max_bin]

    def whole(self, max_bin: int) -> xgb.DMatrix:
        """All rows."""
        return self._cut(np.full(len(self.y), True), max_bin)

    def bag(self, recipe: Recipe, seed: int) -> Bag:
        """One booster for each fold left out, grown side by side, kept to the best common round."""
        pairs = self.pairs(recipe.parameters.get("max_bin", 256))
        grown = [self._booster(recipe, seed, *pair) for pair in pairs]
        best, losses = 0, []
        for i in range(recipe.rounds):
            for booster, (inside, _) in zip(grown, pairs, strict=True):
                booster.update(inside, i)
            losses.append(self._loss(grown, pairs, i))
            best = int(np.argmin(losses))
            if i - best >= PATIENCE:
                break
        kept = tuple(booster[: best + 1] for booster in grown)
        out_of_fold = np.empty(len(self.y))
        for k, booster in enumerate(kept):
            out_of_fold[self.fold == k] = booster.predict(pairs[k][1], output_margin=True)
        return Bag(kept, out_of_fold)

    def refit(self, recipe: Recipe, seed: int, rounds: int) -> xgb.Booster:
        """One booster on all rows, as many rounds as said."""
        whole = self.whole(recipe.parameters.get("max_bin", 256))
        booster = self._booster(recipe, seed, whole)
        for i in range(rounds):
            booster.update(whole, i)
        return booster

    def _booster(self, recipe: Recipe, seed: int, *cache: xgb.DMatrix) -> xgb.Booster:
        settings = {
            "objective": self.loss.objective,
            "eval_metric": self.loss.metric,
            **self.loss.parameters,
            "tree_method": "hist",
            "nthread": self.threads,
            "seed": seed,
            # the generator is shared by all boosters of a process: seeded anew each round, none disturbs another
            "seed_per_iteration": True,
            **recipe.parameters,
            **self._constraints(),
        }
        return xgb.Booster(settings, list(cache))

    def _constraints(self) -> dict[str, str]:
        return {"monotone_constraints": f"({','.join(map(str, self.directions))})"} if self.directions.any() else {}

    def _loss(self, boosters: list[xgb.Booster], pairs: list, i: int) -> float:
        left_out = [out for _, out in pairs]
        said = [booster.eval(out, iteration=i) for booster, out in zip(boosters, left_out, strict=True)]
        losses = [float(text.rsplit(":", 1)[1]) for text in said]
        return float(np.average(losses, weights=[out.num_row() for out in left_out]))

    def _pair(self, k: int, max_bin: int) -> tuple[xgb.DMatrix, xgb.DMatrix]:
        inside = self._cut(self.fold != k, max_bin)
        return inside, self._cut(self.fold == k, max_bin, inside)

    def _cut(self, rows: np.ndarray, max_bin: int, reference: xgb.DMatrix | None = None) -> xgb.QuantileDMatrix:
        return xgb.QuantileDMatrix(
            self._matrix[rows], self.y[rows], feature_types=self._kinds, enable_categorical=True,
            max_bin=max_bin, ref=reference, nthread=self.threads,
            base_margin=None if self.start is None else self.start[rows],
        )  # fmt: skip


def margins(boosters: tuple[xgb.Booster, ...], data: xgb.DMatrix) -> np.ndarray:
    """Margins (log-odds) by each booster, of shape (boosters, n)."""
    return np.stack([booster.predict(data, output_margin=True) for booster in boosters]).astype(np.float64)


def contributions(boosters: tuple[xgb.Booster, ...], data: xgb.DMatrix) -> np.ndarray:
    """Exact Shapley values, averaged over the boosters, of shape (n, columns + 1): the last one is the base.

    Lundberg et al. (2020), Nature Machine Intelligence 2, algorithm 2.
    """
    return np.mean([_exact(booster, data) for booster in boosters], axis=0)


def _exact(booster: xgb.Booster, data: xgb.DMatrix) -> np.ndarray:
    return booster.predict(data, pred_contribs=True).astype(np.float64)
