"""Moving the level of predictions where out-of-fold evidence says that it is off, and leaving it alone otherwise.

A regularised, early-stopped booster is usually calibrated as it is, and a needless map adds noise. So a map is kept
only when it lowers the log loss of rows that it did not see by more than one standard error.
Log-odds in and out. Every map is increasing, so it changes levels and never the order of two customers.

Platt (1999): a line. Zadrozny & Elkan (2002): isotonic; here the blocks' centres are joined by lines, without steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import logit
from sklearn.isotonic import isotonic_regression
from threadpoolctl import threadpool_limits

ENOUGH_POSITIVES = 1000  # for the shape to be read from the data; below it a line
SMALLEST_BLOCK = 50


@dataclass(frozen=True)
class Recalibration:
    """Points (x, y) in log-odds joined by lines, continued at both ends with `slope`; one point makes a line."""

    kind: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    slope: float

    def apply(self, eta: np.ndarray) -> np.ndarray:
        """Recalibrated log-odds, of the same shape."""
        below, above = np.minimum(eta - self.x[0], 0), np.maximum(eta - self.x[-1], 0)
        return np.interp(eta, self.x, self.y) + self.slope * (below + above)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for `from_json`."""
        return {"kind": self.kind, "x": list(self.x), "y": list(self.y), "slope": self.slope}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The map that `to_json` wrote."""
        return cls(stored["kind"], tuple(stored["x"]), tuple(stored["y"]), stored["slope"])


NONE = Recalibration("none", (0.0,), (0.0,), 1.0)


def learn(eta: np.ndarray, y: np.ndarray, fold: np.ndarray) -> Recalibration:
    """The map for out-of-fold log-odds `eta` (n,), or `NONE` where it does not pay.

    Judged across `fold`: each fold by a map that the other folds gave.
    """
    make = _isotonic if y.sum() >= ENOUGH_POSITIVES else _platt
    with threadpool_limits(1):
        mapped = np.empty_like(eta)
        for k in range(fold.max() + 1):
            mapped[fold == k] = make(eta[fold != k], y[fold != k]).apply(eta[fold == k])
        gain = log_losses(eta, y) - log_losses(mapped, y)
        pays = gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
        return make(eta, y) if pays else NONE


def log_losses(eta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The log loss of each row, of shape (n,)."""
    return np.logaddexp(0, eta) - y * eta


def _platt(eta: np.ndarray, y: np.ndarray) -> Recalibration:
    found = minimize(lambda p: log_losses(p[0] + p[1] * eta, y).mean(), [0.0, 1.0], method="L-BFGS-B",
                     bounds=[(None, None), (0.05, None)])  # fmt: skip
    return Recalibration("platt", (0.0,), (float(found.x[0]),), float(found.x[1]))


def _isotonic(eta: np.ndarray, y: np.ndarray) -> Recalibration:
    order = np.argsort(eta, kind="stable")
    level = isotonic_regression(y[order].astype(float))
    # neighbouring blocks are merged until each is large enough for a rate that is neither 0 nor 1
    block = np.cumsum(np.concatenate([[0], np.diff(level) > 0]))
    first = np.searchsorted(block, np.arange(block[-1] + 1))
    block = np.unique(first[block] // SMALLEST_BLOCK, return_inverse=True)[1]
    rows = np.bincount(block)
    rate = (np.bincount(block, weights=y[order]) + 0.5) / (rows + 1)
    centre = np.bincount(block, weights=eta[order]) / rows
    rising = np.concatenate([[True], rate[1:] > np.maximum.accumulate(rate)[:-1]])
    return Recalibration("isotonic", tuple(centre[rising].tolist()), tuple(logit(rate[rising]).tolist()), 1.0)
