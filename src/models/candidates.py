"""What the models of yes-or-no outcomes share: candidates of rising complexity, how one is picked, how it is judged.

Pick        lowest log loss on later rows than it learnt from; a more complicated one must be better by more than a
            standard error of the difference
Judgement   the test rows: the latest origin, never seen by fit or pick; of a flat source, every row once, in five folds
Tables      one row a (customer_id, origin), or a further key of `KEYS`, in the order of these, with `outcome` 0 or 1
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd

from evaluation.calibration import log_losses
from evaluation.ranking import auc
from models import logistic
from models.binning import Binning
from models.encoding import UNSEEN, Encoder
from models.folds import grouped_folds

BASE_RATE, ONE_COLUMN = "base rate", "one column"
NAIVE = (BASE_RATE, ONE_COLUMN)
KEYS = ("customer_id", "origin", "application_id", "campaign_id")
FOLDS, FEWEST = 5, 20
FEW_ROWS = 5_000


class Split(NamedTuple):
    """Boolean masks over the training table: rows to learn from, to pick by, and to judge on."""

    learn: np.ndarray
    validate: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What the candidates foretold.

    test        keys, outcome and one column of probabilities a candidate, for the test rows
    validation  one row a candidate: log loss, its difference to the best simpler one, the standard error of that
    pick        the candidate that the rule takes
    one_column  the column that `one column` went by
    judged      the pick as it was fitted without the test rows; None where there are five such, one a fold
    """

    test: pd.DataFrame
    validation: pd.DataFrame
    pick: str
    one_column: str
    judged: "Fitted | None"


def splits(table: pd.DataFrame, horizon_days: int, seed: int) -> list[Split]:
    """By origin, with an embargo of one horizon; a table of one origin in five folds of subjects.

    Where fewer than 20 of either outcome lie a horizon before the origin to validate on, half of its customers teach,
    too, and the others validate.
    """
    origin, outcome = pd.to_datetime(table.origin), table.outcome.to_numpy()
    days = np.sort(origin.unique())
    if len(days) == 1:
        fold = grouped_folds(outcome, table.customer_id, FOLDS, seed)
        later = [(fold == k, fold == (k + 1) % FOLDS) for k in range(FOLDS)]
        return [Split(~(test | validate), validate, test) for test, validate in later]
    embargo = timedelta(days=horizon_days)
    test = (origin == days[-1]).to_numpy()
    before = origin <= days[-1] - embargo
    validate = (origin == origin[before].max()).to_numpy(copy=True)
    learn = (origin <= origin[before].max() - embargo).to_numpy(copy=True)
    events = outcome[learn].sum()
    if min(events, learn.sum() - events) < FEWEST:  # half of that origin teaches the other half
        half = grouped_folds(outcome[validate], table.customer_id[validate], 2, seed)
        learn[validate], validate[validate] = half == 0, half == 1
    return [Split(learn, validate, test)]


def judge(
    fit: Callable[[str, pd.DataFrame, Sequence[str], str, int], "Fitted"],
    table: pd.DataFrame,
    columns: Sequence[str],
    horizon_days: int,
    effort: str,
    seed: int,
    by: Sequence[Split] | None,
    candidates: Sequence[str],
) -> Evidence:
    """Train the candidates on each split, those of `splits` unless given, and foretell the rows they have not seen.

    fit  from a candidate's name, rows to learn from, columns, effort and seed to the fitted candidate
    """
    keys = [name for name in KEYS if name in table]
    validated, tested = [], []
    for split in splits(table, horizon_days, seed) if by is None else by:
        for rows, unseen, found in (
            (split.learn, split.validate, validated),
            (split.learn | split.validate, split.test, tested),
        ):
            foretold = table.loc[unseen, [*keys, "outcome"]]
            fitted = {name: fit(name, table[rows], columns, effort, seed) for name in candidates}
            found.append(foretold.assign(**{name: m.predict(table[unseen]) for name, m in fitted.items()}))
    validation = compare(pd.concat(validated), candidates)
    order = ["origin", *(name for name in keys if name != "origin")]
    test = pd.concat(tested).sort_values(order, kind="stable", ignore_index=True)
    picked = pick(validation)
    alone = fitted[ONE_COLUMN].columns[0]
    return Evidence(test, validation, picked, alone, fitted[picked] if len(tested) == 1 else None)


def compare(foretold: pd.DataFrame, candidates: Sequence[str]) -> pd.DataFrame:
    """`Evidence.validation` from outcomes and one column of probabilities a candidate, the simplest first."""
    outcome = foretold.outcome.to_numpy(dtype=float)
    losses = {name: log_losses(outcome, foretold[name].to_numpy()) for name in candidates}
    rows, best = [], BASE_RATE
    for name in candidates:
        gain = losses[best] - losses[name]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        rows.append(
            {"candidate": name, "log_loss": losses[name].mean(), "rival": best, "gain": gain.mean(), "error": error}
        )
        if gain.mean() > error:
            best = name
    return pd.DataFrame(rows)


def pick(validation: pd.DataFrame) -> str:
    """The last that is surely better than all simpler ones; the base rate where none is."""
    better = validation[validation.gain > validation.error]
    return better.candidate.iloc[-1] if len(better) else BASE_RATE


def fit_naive(name: str, table: pd.DataFrame, columns: Sequence[str], seed: int) -> tuple[Any, tuple[str, ...]]:
    """Estimator and columns of a naive rule: the base rate, or the logistic regression on the best of `columns`."""
    outcome, subjects = table.outcome.to_numpy(dtype=float), table.customer_id
    if name == BASE_RATE:
        return Constant(float(outcome.mean())), ()
    best = columns[0] if len(columns) == 1 else best_column(table[list(columns)], outcome, subjects)
    return logistic.fit(table[[best]], outcome, subjects=subjects, seed=seed), (best,)


def threads(rows: int) -> int:
    """As many as OMP_NUM_THREADS allows, else all; the result is the same for any number.

    One for few rows, which threads would take longer to share than to do.
    """
    return 1 if rows < FEW_ROWS else int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def best_column(X: pd.DataFrame, outcome: np.ndarray, subjects: pd.Series) -> str:
    """The column whose weight of evidence ranks the outcome best in the half of the customers it was not learnt from.

    On the half it was learnt from, a category with a level for every other row would beat all.
    """
    encoder = Encoder.learn(X, subjects)
    matrix, half = encoder.encode(X, UNSEEN), grouped_folds(outcome, subjects, 2, 0)
    areas = []
    for learn, rank in ((half == 0, half == 1), (half == 1, half == 0)):
        weights = Binning.learn(matrix[learn], outcome[learn], encoder.is_category).transform(matrix[rank])
        areas.append([auc(outcome[rank], column) for column in weights.T])
    return X.columns[int(np.argmax(np.mean(areas, axis=0)))]


@dataclass(frozen=True)
class Constant:
    """The base rate for everybody."""

    rate: float

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """The rate, of shape (n,)."""
        return np.full(len(X), self.rate)

    def interval(self, X: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The rate twice: it is not estimated customer by customer."""
        return self.predict(X), self.predict(X)

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """No column, so of shape (n, 0)."""
        return pd.DataFrame(index=X.index)

    def save(self, folder: Path) -> None:
        """One number in JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "constant.json").write_text(json.dumps({"rate": self.rate}))


def load_constant(folder: Path) -> Constant:
    """A saved `Constant`."""
    return Constant(json.loads((folder / "constant.json").read_text())["rate"])


@dataclass(frozen=True)
class Fitted:
    """A fitted candidate over named columns of a table; `about` is what scoring must know beside it."""

    name: str
    estimator: Any
    columns: tuple[str, ...]
    about: Mapping | None = None

    FILE: ClassVar[str]
    LOADERS: ClassVar[Mapping[str, Callable[[Path], Any]]]

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """Probability of the outcome in the horizon, of shape (n,)."""
        return self.estimator.predict(table[list(self.columns)])

    def interval(self, table: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high end of the probability, each (n,): how far other customers in training would move it."""
        return self.estimator.interval(table[list(self.columns)], level)

    def contributions(self, table: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log-odds, of shape (n, columns); exact for the uncalibrated model."""
        return self.estimator.contributions(table[list(self.columns)])

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns, with `models.encoding.ANOTHER` for each level that was not learned: what may be shown."""
        read, encoder = table[list(self.columns)], getattr(self.estimator, "encoder", None)
        return read if encoder is None else encoder.named(read)

    def save(self, folder: Path) -> None:
        """Numbers and native booster files below `folder`."""
        self.estimator.save(folder / "estimator")
        content = {"name": self.name, "columns": self.columns, "about": dict(self.about or {})}
        (folder / self.FILE).write_text(json.dumps(content, indent=1, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """A saved one; parses numbers and native booster files, executes nothing of the folder's."""
        content = json.loads((folder / cls.FILE).read_text())
        estimator = cls.LOADERS[content["name"]](folder / "estimator")
        return cls(content["name"], estimator, tuple(content["columns"]), content["about"])
