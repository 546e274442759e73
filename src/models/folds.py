"""Rows in a settled order, and folds in which a subject is never on both sides.

Grain   one fold number a row
Errors  TooFewCases; ValueError for an outcome that is not 0 or 1
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.encoding import UNSEEN, Encoder


class TooFewCases(ValueError):
    """There are not enough subjects with, or without, the outcome to learn from."""


def grouped_folds(y: np.ndarray, subjects: Sequence, folds: int, seed: int) -> np.ndarray:
    """The fold of each row, 0 to `folds` - 1, of shape (n,): all rows of a subject fall into one.

    Subjects are dealt out in turn after sorting by their number of positives and rows, in seeded order among equals:
    the folds get nearly the same base rate and size, and a subject's fold does not depend on the order of the rows.
    Raises `TooFewCases` when one of the classes has fewer subjects than there are folds.
    """
    codes, names = pd.factorize(pd.Series(subjects), sort=True)
    rows = np.bincount(codes, minlength=len(names))
    positives = np.bincount(codes, weights=y, minlength=len(names))
    for what, count in (("with", (positives > 0).sum()), ("without", (positives < rows).sum())):
        if count < folds:
            raise TooFewCases(
                f"{folds} folds need at least {folds} subjects {what} the outcome, but {count:,} of {len(names):,} "
                f"are. Take a longer history, a wider population or another outcome."
            )
    drawn = np.random.default_rng(seed).permutation(len(names))
    fold = np.empty(len(names), dtype=np.int64)
    fold[np.lexsort((drawn, rows, positives))] = np.arange(len(names)) % folds
    return fold[codes]


def checked_outcome(y: Sequence, rows: int) -> np.ndarray:
    """`y` as floats of shape (rows,); raises `ValueError` where one is not 0 or 1, or their number differs."""
    y = np.asarray(y, dtype=float)
    wrong = np.flatnonzero(~np.isin(y, (0, 1)))
    if y.shape != (rows,) or len(wrong):
        found = f"{y[wrong[0]]} in position {wrong[0]}" if len(wrong) else f"shape {y.shape} for {rows:,} rows"
        raise ValueError(f"The outcome must be 0 or 1 for every row, but there is {found}. Leave unknown ones out.")
    return y


def settled_order(matrix: np.ndarray, y: np.ndarray, subjects: Sequence | None) -> np.ndarray:
    """The positions that put the rows in an order which does not depend on the order they came in, of shape (n,).

    By subject, then by the row's values and outcome. What remains tied are rows that are equal in everything.
    """
    values = pd.util.hash_pandas_object(pd.DataFrame(matrix), index=False).to_numpy()
    keys = (y, values) if subjects is None else (y, values, pd.factorize(pd.Series(subjects), sort=True)[0])
    return np.lexsort(keys)


@dataclass(frozen=True, eq=False)
class Settled:
    """Rows as an estimator learns from them: encoded, in settled order, each in one of the folds.

    order  the positions, in the frame, of the rows of `matrix`, `outcome` and `fold`
    """

    encoder: Encoder
    matrix: np.ndarray
    outcome: np.ndarray
    fold: np.ndarray
    order: np.ndarray

    def as_given(self, values: np.ndarray) -> np.ndarray:
        """`values` (n,) in settled order, put back into the frame's."""
        given = np.empty_like(values)
        given[self.order] = values
        return given


def settled(
    X: pd.DataFrame,
    y: Sequence,
    subjects: Sequence | None,
    folds: int,
    seed: int,
    dtype: type[np.floating] = np.float32,
) -> Settled:
    """The rows of `X` (subjects None: one a row), so that the order they came in changes nothing that is learnt.

    Raises `TooFewCases`, `models.encoding.UnusableColumns`, and `ValueError` for an outcome that is not 0 or 1.
    """
    y = checked_outcome(y, len(X))
    encoder = Encoder.learn(X, subjects)
    given = encoder.encode(X, UNSEEN, dtype)
    order = settled_order(given, y, subjects)
    groups = np.arange(len(y)) if subjects is None else np.asarray(subjects)[order]
    return Settled(encoder, given[order], y[order], grouped_folds(y[order], groups, folds, seed), order)
