"""Logistic regression on the weights of evidence of optimal bins (`models.binning`): the line in a scorecard.

Matrices are those of `Encoder.encode(X, unseen=UNSEEN)`, of shape (n, columns).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits

from models.binning import Binning, Wish
from models.partition import ANY, MONOTONE
from models.recalibration import log_losses

PENALTY = 1.0
UNDECLARED = (ANY, MONOTONE)  # shapes that columns without a declared one may be given, all the same


@dataclass(frozen=True)
class WOELogistic:
    """Logistic regression on weights of evidence, with coefficients that are never negative.

    A weight already points the right way; a negative coefficient would turn a reason into its opposite. `means` are
    the training means of the weights: a contribution is measured from them, `base` is the log-odds where all are 0.
    """

    evidence: Binning
    coefficients: tuple[float, ...]
    means: tuple[float, ...]
    base: float

    @classmethod
    def learn(
        cls,
        matrix: np.ndarray,
        y: np.ndarray,
        is_category: np.ndarray,
        wishes: Sequence[Wish] | None = None,
        undeclared: str = ANY,
    ) -> Self:
        """Penalised maximum likelihood under the bounds, on one thread so that the numbers are always the same."""
        with threadpool_limits(1):
            evidence = Binning.learn(matrix, y, is_category, wishes, undeclared)
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
        evidence = Binning.from_json(stored["evidence"])
        return cls(evidence, tuple(stored["coefficients"]), tuple(stored["means"]), stored["base"])


def bags(
    matrix: np.ndarray,
    y: np.ndarray,
    is_category: np.ndarray,
    fold: np.ndarray,
    wishes: Sequence[Wish] | None = None,
) -> tuple[tuple[WOELogistic, ...], np.ndarray, str]:
    """One model for each fold left out, their log-odds for the rows each had not seen (n,), and the undeclared shape.

    A turn that a column shows alone is sometimes another column's doing, and monotone bins are then better: which of
    `UNDECLARED` is taken for all is what foretells the rows left out with the lower log loss.
    """
    tried = [_each_left_out(matrix, y, is_category, fold, wishes, shape) for shape in UNDECLARED]
    best = int(np.argmin([log_losses(eta, y).mean() for _, eta in tried]))
    return *tried[best], UNDECLARED[best]


def _each_left_out(matrix, y, is_category, fold, wishes, undeclared) -> tuple[tuple[WOELogistic, ...], np.ndarray]:
    folds = range(fold.max() + 1)
    lines = tuple(WOELogistic.learn(matrix[fold != k], y[fold != k], is_category, wishes, undeclared) for k in folds)
    out_of_fold = np.empty(len(y))
    for k in folds:
        out_of_fold[fold == k] = lines[k].logit(matrix[fold == k])
    return lines, out_of_fold


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
