"""From a frame of named columns to the matrix that an estimator learns from, the same way at every scoring.

Grain   one row a row of the frame, in its order; one float32 column a column, in the order that was learned
Units   numbers as they are; categories as the position of their level in a stored, sorted vocabulary
Errors  MissingColumns, UnusableColumns
Why     boosted trees depend on the order of the levels and refuse a level that training did not see. Here a missing
        value is NaN and an unseen level is what the estimator asks for, and both are counted. The names of levels
        stay in this file's JSON and never reach a booster; a level of few subjects is not named even there, since it
        could name one of them, and is learnt from as an unseen one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.api import types

UNSEEN = -1.0  # asked for, the code of a level that was not learned
SHARED = 20  # subjects who have a level, or it is not named
ANOTHER = "another"  # stands for a level that is not named


class MissingColumns(ValueError):
    """The frame lacks columns that the model was fitted on."""


class UnusableColumns(ValueError):
    """The frame holds columns of a type, or with values, that no estimator can learn from."""


@dataclass(frozen=True)
class Encoder:
    """What was learned: the columns in order, and for each categorical one its levels in order."""

    columns: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(cls, X: pd.DataFrame, subjects: Sequence | None = None) -> Self:
        """Columns in the frame's order; texts and categories get the sorted levels that `SHARED` subjects or more have.

        subjects  whom the rows are about (None: one a row)

        Raises `UnusableColumns` for a column that is neither number, flag, text nor category, and for a name that
        occurs twice.
        """
        twice = X.columns[X.columns.duplicated()].tolist()
        if twice:
            raise UnusableColumns(f"A column's name must be its own, but the frame has {twice[0]!r} twice. Rename one.")
        strange = [name for name in X if not _is_category(X[name]) and not _is_number(X[name])]
        if strange:
            raise UnusableColumns(
                f"A feature must be a number, a flag, a text or a category, but {_listed(strange)} "
                f"({X[strange[0]].dtype}) is not. Give dates as days before the origin."
            )
        about = np.arange(len(X)) if subjects is None else pd.factorize(np.asarray(subjects))[0]
        levels = {name: _shared(X[name], about) for name in X if _is_category(X[name])}
        return cls(tuple(X.columns), levels)

    @property
    def is_category(self) -> np.ndarray:
        """Which columns hold codes, of shape (columns,)."""
        return np.array([bool(self.levels.get(name)) for name in self.columns])

    def encode(self, X: pd.DataFrame, unseen: float = np.nan, dtype: type[np.floating] = np.float32) -> np.ndarray:
        """The matrix of `dtype`, of shape (rows, columns); `unseen` stands for a level that was not learned.

        Columns are found by name; others in the frame are left aside. Raises `MissingColumns` naming all that are
        not there, and `UnusableColumns` for a text where a number was learned or for an infinite number.
        """
        self._require(X)
        matrix = np.empty((len(X), len(self.columns)), dtype=dtype, order="F")
        for position, name in enumerate(self.columns):
            if name in self.levels:
                matrix[:, position] = self._codes(X[name], unseen)
            else:
                matrix[:, position] = _numbers(X[name], dtype)
        return matrix

    def unseen(self, X: pd.DataFrame) -> dict[str, int]:
        """Rows whose level was not learned, for each column that has any."""
        self._require(X)
        counts = {name: int((self._codes(X[name], -1.0) == -1.0).sum()) for name in self.levels}
        return {name: count for name, count in counts.items() if count}

    def named(self, X: pd.DataFrame) -> pd.DataFrame:
        """The frame with `ANOTHER` for each level that was not learned, so that it can be shown."""
        hidden = {}
        for name in self.levels:
            codes = self._codes(X[name], UNSEEN)
            hidden[name] = X[name].astype(object).mask(codes == UNSEEN, ANOTHER)
        return X.assign(**hidden)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dictionaries, for `from_json`."""
        return {"columns": list(self.columns), "levels": {name: list(v) for name, v in self.levels.items()}}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The encoder that `to_json` wrote."""
        return cls(tuple(stored["columns"]), {name: tuple(v) for name, v in stored["levels"].items()})

    def _require(self, X: pd.DataFrame) -> None:
        missing = [name for name in self.columns if name not in X.columns]
        if missing:
            raise MissingColumns(
                f"The model was fitted on {len(self.columns)} columns, but {_listed(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not in the frame. Build the frame by the same features."
            )

    def _codes(self, values: pd.Series, unseen: float) -> np.ndarray:
        codes, texts = _levels(values)
        known = pd.Index(self.levels[str(values.name)], dtype=object).get_indexer(pd.Index(texts, dtype=object))
        found = np.concatenate([np.where(known < 0, unseen, known), [np.nan]])  # -1 is missing: the last
        return found[codes]


def _is_number(values: pd.Series) -> bool:
    return types.is_bool_dtype(values.dtype) or types.is_numeric_dtype(values.dtype)


def _is_category(values: pd.Series) -> bool:
    dtype = values.dtype
    return isinstance(dtype, pd.CategoricalDtype) or types.is_object_dtype(dtype) or types.is_string_dtype(dtype)


def _levels(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The position of each row's level (-1: missing), and the levels as texts: 1 in a file and "1" are one level."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(), [str(level) for level in values.cat.categories]
    codes, found = pd.factorize(values)
    return codes, [str(level) for level in found]


def _shared(values: pd.Series, subjects: np.ndarray) -> tuple[str, ...]:
    codes, texts = _levels(values)
    told = pd.DataFrame({"level": pd.Series(codes).map(dict(enumerate(texts))), "subject": subjects}).dropna()
    count = told.drop_duplicates().level.value_counts()
    return tuple(sorted(count.index[count >= SHARED]))


def _numbers(values: pd.Series, dtype: type[np.floating]) -> np.ndarray:
    if not _is_number(values):
        raise UnusableColumns(
            f"{values.name} was fitted as a number, but is {values.dtype} now. Give it the type it had."
        )
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        numbers = numbers.astype(dtype, copy=False)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise UnusableColumns(
            f"{values.name} must be finite (below {np.finfo(dtype).max:.1e}), but is not in {len(infinite):,} of "
            f"{len(values):,} rows, first in row {values.index[infinite[0]]}. Leave the value missing where a ratio "
            f"has no meaning."
        )
    return numbers


def _listed(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
