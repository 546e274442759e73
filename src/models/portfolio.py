"""Which models are grown for one prediction, and how much each of them counts.

No single recipe is safe on every table: most want shallow trees, some want deep ones, small ones want a straight line.
Their log-odds are averaged with weights that minimise the log loss of rows no member had seen.
Breiman (1996), Stacked Regressions, Machine Learning 24: weights that are not negative; here they sum to 1.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from threadpoolctl import threadpool_limits

from models.recalibration import log_losses
from models.trees import Recipe

EVEN = 60.0  # rows' worth of pull towards equal weights
LEAST_WEIGHT = 0.05

_HOUSE = {
    "learning_rate": 0.05,
    "max_depth": 4,
    "min_child_weight": 5,
    "reg_lambda": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
}
_DEEP = {
    "learning_rate": 0.08,
    "max_depth": 8,
    "min_child_weight": 1,
    "reg_lambda": 1,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
}
HOUSE = Recipe("house", _HOUSE)
ADDITIVE = Recipe("additive", {**_HOUSE, "max_depth": 2})  # pairs of columns at most: each can be drawn
RECIPES = (
    HOUSE,
    Recipe("shallow", {**_HOUSE, "learning_rate": 0.1, "max_depth": 2}),
    Recipe("deep", _DEEP),
    Recipe("plain", {}, rounds=100),
)
SEARCHED = 20
BEST = 5


def drawn_recipes(seed: int) -> tuple[Recipe, ...]:
    """`SEARCHED` recipes at random around the house's: what a wider search tries, the same ones for the same seed."""
    draw = np.random.default_rng(seed)

    def between(low: float, high: float) -> float:
        return float(np.exp(draw.uniform(np.log(low), np.log(high))))

    def one(number: int) -> Recipe:
        parameters = {
            "learning_rate": between(0.02, 0.1),
            "max_depth": int(draw.integers(2, 9)),
            "min_child_weight": between(1, 20),
            "reg_lambda": between(0.5, 20),
            "subsample": float(draw.uniform(0.6, 1)),
            "colsample_bytree": float(draw.uniform(0.3, 1)),
        }
        return Recipe(f"searched{number}", parameters)

    return tuple(one(number) for number in range(SEARCHED))


def member_weights(out_of_fold: Sequence[np.ndarray], y: np.ndarray) -> np.ndarray:
    """Weights on the simplex, of shape (members,), that minimise the log loss of the mean log-odds.

    A pull to equal weights, worth `EVEN` rows, decides between members that say the same. Members with less than
    `LEAST_WEIGHT` are left out: they would cost time at every scoring and change nothing.
    """
    eta = np.column_stack(out_of_fold)
    even = np.full(eta.shape[1], 1 / eta.shape[1])
    pull = EVEN / len(y)

    def loss(weights):
        mixed = eta @ weights
        slope = (expit(mixed) - y) @ eta / len(y) + 2 * pull * (weights - even)
        return log_losses(mixed, y).mean() + pull * ((weights - even) ** 2).sum(), slope

    with threadpool_limits(1):
        total = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones_like(w)}
        found = minimize(loss, even, jac=True, method="SLSQP", bounds=[(0, 1)] * len(even), constraints=[total],
                         options={"ftol": 1e-10, "maxiter": 200}).x  # fmt: skip
    kept = np.where(found < LEAST_WEIGHT, 0, found)
    return kept / kept.sum()
