"""A scorecard: logistic regression on weights of evidence of optimal bins, in whole points, with an interval.

What predicts is the table of points (`models.points`). Five regressions, each without a fifth of the subjects and with
bins of its own, give the interval; they also choose whether undeclared shapes may turn.

Grain   one row a row of the frame, of columns that are float64 or categories (text)
Same    the same rows in any order give the same bytes
Errors  TooFewCases, MissingColumns, UnusableColumns, BrokenTable; ValueError for an outcome that is not 0 or 1
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from models import woe
from models.binning import Wish
from models.encoding import UNSEEN, Encoder
from models.folds import settled
from models.interval import jackknife
from models.points import PointsTable, Scale
from models.woe import WOELogistic

FOLDS = 5
CONTENT, TABLE = "scorecard.json", "scorecard.csv"


@dataclass(frozen=True)
class Scorecard:
    """A fitted scorecard over named columns.

    table        the points: what predicts
    encoder      of all columns that it was fitted on; the table has those that tell something
    without      one regression for each fold, fitted without it: what the interval is made of
    out_of_fold  log-odds of the training rows, as given, by the regressions without them; None after loading
    """

    table: PointsTable
    encoder: Encoder
    without: tuple[WOELogistic, ...]
    out_of_fold: np.ndarray | None = field(default=None, compare=False, repr=False)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Probability of the outcome, of shape (n,): that of the score."""
        return self.table.predict(X)

    def score(self, X: pd.DataFrame) -> np.ndarray:
        """Points, whole numbers, of shape (n,)."""
        return self.table.score(X)

    def logit(self, X: pd.DataFrame) -> np.ndarray:
        """Log-odds, of shape (n,)."""
        return self.table.scale.logit(self.score(X))

    def interval(self, X: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high end of the probability, each of shape (n,), from the delete-a-group jackknife.

        How far other subjects would have moved bins and fit. Raises `ValueError` for a level outside (0, 1).
        """
        matrix = self.encoder.encode(X, UNSEEN, np.float64)
        bags = np.stack([line.logit(matrix) for line in self.without])
        low, high = jackknife(self.logit(X), bags, level)
        return expit(low), expit(high)

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """What each column of the table adds to the log-odds, (n, columns); `base` plus a row's sum is its `logit`."""
        return -self.table.each(X) / self.table.scale.factor

    @property
    def base(self) -> float:
        """Log-odds of the points that everybody starts with."""
        return float(self.table.scale.logit(np.asarray(self.table.base)))

    def unseen(self, X: pd.DataFrame) -> dict[str, int]:
        """Rows with a level that training did not see, for each column that has any; their points are stated."""
        return self.encoder.unseen(X)

    def save(self, folder: Path) -> None:
        """The table as CSV, to be read and edited, and the rest as JSON, below `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "scale": self.table.scale._asdict(),
            "rate": self.table.rate,
            "encoder": self.encoder.to_json(),
            "without": [line.to_json() for line in self.without],
        }
        (folder / CONTENT).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        self.table.to_frame().to_csv(folder / TABLE, index=False, lineterminator="\n")


def fit(
    X: pd.DataFrame,
    y: np.ndarray,
    subjects: Sequence | None = None,
    *,
    seed: int = 0,
    wishes: Mapping[str, Wish] | None = None,
    scale: Scale = Scale(),  # noqa: B008 (immutable)
) -> Scorecard:
    """Learn from rows `X`, outcomes `y` of 0 and 1, and the `subjects` whom the rows are about (None: one a row).

    wishes  of columns that have any: the shape of their rates, and their special values
    """
    rows = settled(X, y, subjects, FOLDS, seed, np.float64)
    category, asked = rows.encoder.is_category, [(wishes or {}).get(name, Wish()) for name in rows.encoder.columns]
    without, eta, undeclared = woe.bags(rows.matrix, rows.outcome, category, rows.fold, asked)
    whole = WOELogistic.learn(rows.matrix, rows.outcome, category, asked, undeclared)
    return Scorecard(PointsTable.of(whole, rows.encoder, scale), rows.encoder, without, rows.as_given(eta))


def load(folder: Path) -> Scorecard:
    """A saved scorecard, its table as it was saved or as it was edited since; executes nothing of the folder's."""
    content = json.loads((folder / CONTENT).read_text(encoding="utf-8"))
    table = pd.read_csv(folder / TABLE, dtype={"column": str, "levels": str}, keep_default_na=False, na_values=[""])
    table = table.assign(column=table.column.fillna(""))
    points = PointsTable.from_frame(table, content["rate"], Scale(**content["scale"]))
    without = tuple(WOELogistic.from_json(line) for line in content["without"])
    return Scorecard(points, Encoder.from_json(content["encoder"]), without)


def edited(card: Scorecard, table: pd.DataFrame) -> Scorecard:
    """The card with another table of points; its interval keeps the width that the training rows gave it."""
    return replace(card, table=PointsTable.from_frame(table, card.table.rate, card.table.scale))
