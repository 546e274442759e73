"""Who is treated, foretold from what was known before: the propensity, by models that had not seen the row.

Grain   one row a contact or a customer who might have had one; columns float64 or categories (text)
Same    as `models.boosting`
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit

from models import boosting
from models.design import Design
from models.encoding import UNSEEN, Encoder

LEAST = 0.01  # no propensity is foretold nearer to 0 or 1


def foretold(X: pd.DataFrame, treated: Sequence, subjects: Sequence | None = None, seed: int = 0) -> np.ndarray:
    """The probability of being treated, out of fold, of shape (n,), within [0.01, 0.99]."""
    model = boosting.fit(X, np.asarray(treated, dtype=float), subjects, effort="fast", seed=seed)
    return np.clip(expit(model.level.apply(model.out_of_fold)), LEAST, 1 - LEAST)


def numbers(X: pd.DataFrame) -> np.ndarray:
    """The columns as numbers that arms can be compared in, levels side by side (n, p): `models.design`."""
    encoder = Encoder.learn(X)
    matrix = encoder.encode(X, UNSEEN)
    return Design.learn(matrix, encoder.is_category).transform(matrix)


def of_each_arm(arm: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The probability of each arm (n, arms) where that of the arm that was drawn is logged (n,).

    What is left is shared among the other arms as their sizes are: exact for two arms, and for arms whose odds against
    each other are the same for everybody.
    """
    share = np.bincount(arm) / len(arm)
    others = np.tile(share, (len(arm), 1))
    rows = np.arange(len(arm))
    others[rows, arm] = 0
    found = others / others.sum(axis=1, keepdims=True) * (1 - drawn)[:, None]
    found[rows, arm] = drawn
    return found
