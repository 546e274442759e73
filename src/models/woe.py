r"""Weight of evidence: each value replaced by how far its group's log-odds lie from the average.

.. math:: \text{WOE}_b = \text{logit}\frac{s_b + m p}{n_b + m} - \text{logit}\,p

with s_b outcomes among n_b rows of bin b, base rate p and smoothing m: a bin without rows has no evidence and gets 0.
Missing values are a bin of their own, and so are levels that were not learned. Numbers are cut by a small tree.
Matrices are those of `Encoder.encode(X, unseen=UNSEEN)`, of shape (n, columns).

Good (1950), Probability and the Weighing of Evidence. Micci-Barreca (2001), SIGKDD Explorations 3(1): the smoothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits

UNSEEN = -1.0  # the code of a level that was not learned
BINS = 7
SMALLEST_BIN = 0.05
SMOOTHING = 10.0
PENALTY = 1.0


@dataclass(frozen=True)
class WeightOfEvidence:
    """For each column its cut points (None: a category) and the weights of unseen, missing, then bin 0, 1, ..."""

    cuts: tuple[tuple[float, ...] | None, ...]
    weights: tuple[tuple[float, ...], ...]

    @classmethod
    def learn(cls, matrix: np.ndarray, y: np.ndarray, is_category: np.ndarray) -> Self:
        """Bins of at least 5 % of the rows for numbers, one for each level for categories."""
        cuts, weights = [], []
        for column, category in zip(matrix.T, is_category, strict=True):
            cuts.append(None if category else _cut_points(column, y))
            bins = _bins(column, cuts[-1])
            size = 2 + (int(np.nanmax(column, initial=UNSEEN)) + 1 if category else len(cuts[-1]) + 1)
            weights.append(tuple(_weights(bins, y, size).tolist()))
        return cls(tuple(cuts), tuple(weights))

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """The weight of each cell, float64, of the matrix's shape."""
        evidence = np.empty(matrix.shape)
        for position, (cuts, weights) in enumerate(zip(self.cuts, self.weights, strict=True)):
            bins = _bins(matrix[:, position], cuts)
            evidence[:, position] = np.asarray(weights)[np.where(bins < len(weights), bins, 0)]
        return evidence

    def to_json(self) -> dict[str, Any]:
        """Plain lists, for `from_json`."""
        return {"cuts": [cuts and list(cuts) for cuts in self.cuts], "weights": [list(w) for w in self.weights]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The transformer that `to_json` wrote."""
        cuts = tuple(None if cuts is None else tuple(cuts) for cuts in stored["cuts"])
        return cls(cuts, tuple(tuple(w) for w in stored["weights"]))


@dataclass(frozen=True)
class WOELogistic:
    """Logistic regression on weights of evidence, with coefficients that are never negative.

    A weight already points the right way; a negative coefficient would turn a reason into its opposite. `means` are
    the training means of the weights: a contribution is measured from them, `base` is the log-odds where all are 0.
    """

    evidence: WeightOfEvidence
    coefficients: tuple[float, ...]
    means: tuple[float, ...]
    base: float

    @classmethod
    def learn(cls, matrix: np.ndarray, y: np.ndarray, is_category: np.ndarray) -> Self:
        """Penalised maximum likelihood under the bounds, on one thread so that the numbers are always the same."""
        with threadpool_limits(1):
            evidence = WeightOfEvidence.learn(matrix, y, is_category)
            weights = evidence.transform(matrix)
            means = weights.mean(axis=0)
            base, coefficients = _non_negative_logistic(weights - means, y)
        return cls(evidence, tuple(coefficients.tolist()), tuple(means.tolist()), base)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of each column beside `base`, of the matrix's shape."""
        return (self.evidence.transform(matrix) - np.asarray(self.means)) * np.asarray(self.coefficients)

    def logit(self, matrix: np.ndarray) -> np.ndarray:
        """Predicted log-odds, of shape (n,)."""
        return self.base + self.contributions(matrix).sum(axis=1)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists, for `from_json`."""
        plain = {"coefficients": list(self.coefficients), "means": list(self.means), "base": self.base}
        return {"evidence": self.evidence.to_json(), **plain}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The model that `to_json` wrote."""
        evidence = WeightOfEvidence.from_json(stored["evidence"])
        return cls(evidence, tuple(stored["coefficients"]), tuple(stored["means"]), stored["base"])


def bags(
    matrix: np.ndarray, y: np.ndarray, is_category: np.ndarray, fold: np.ndarray
) -> tuple[tuple[WOELogistic, ...], np.ndarray]:
    """One model for each fold left out, and their log-odds for the rows each had not seen, of shape (n,)."""
    folds = range(fold.max() + 1)
    lines = tuple(WOELogistic.learn(matrix[fold != k], y[fold != k], is_category) for k in folds)
    out_of_fold = np.empty(len(y))
    for k in folds:
        out_of_fold[fold == k] = lines[k].logit(matrix[fold == k])
    return lines, out_of_fold


def _cut_points(column: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    known = ~np.isnan(column)
    smallest = max(1, int(np.ceil(SMALLEST_BIN * len(y))))
    if known.sum() < 2 * smallest:
        return ()
    tree = DecisionTreeRegressor(max_leaf_nodes=BINS, min_samples_leaf=smallest, random_state=0)
    grown = tree.fit(column[known, None], y[known]).tree_
    return tuple(np.sort(grown.threshold[grown.feature >= 0]).tolist())


def _bins(column: np.ndarray, cuts: tuple[float, ...] | None) -> np.ndarray:
    """0 unseen, 1 missing, then 2 for the first level or the lowest range; a cut belongs to the range below it."""
    missing = np.isnan(column)
    if cuts is None:
        codes = np.where(missing, 0, column).astype(np.int64)
        return np.where(missing, 1, np.where(codes < 0, 0, codes + 2))
    return np.where(missing, 1, np.searchsorted(cuts, column.astype(np.float64), side="left") + 2)


def _weights(bins: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    rate = y.mean()
    rows, outcomes = np.bincount(bins, minlength=size), np.bincount(bins, weights=y, minlength=size)
    return logit((outcomes + SMOOTHING * rate) / (rows + SMOOTHING)) - logit(rate)


def _non_negative_logistic(weights: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    def loss(parameters):
        base, coefficients = parameters[0], parameters[1:]
        eta = base + weights @ coefficients
        error = expit(eta) - y
        slope = np.concatenate([[error.sum()], weights.T @ error + PENALTY * coefficients])
        return np.logaddexp(0, eta).sum() - y @ eta + PENALTY / 2 * coefficients @ coefficients, slope

    start = np.concatenate([[logit(y.mean())], np.full(weights.shape[1], 0.5)])
    bounds = [(None, None)] + [(0, None)] * weights.shape[1]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000})
    return float(found.x[0]), found.x[1:]
