"""What customers will spend, by boosted trees: amounts of which many are zero and few are large.

tweedie   one ensemble in the logs of amounts, of Tweedie's deviance with power 1.2, from a start that a model of
          purchases gives: what the trees learn is by which factor that model is wrong about whom
two-part  the probability to buy at all, times what is spent by those who do (gamma deviance)

Either is a bag of five boosters, each grown without a fifth of the customers, and says the mean of the five; what each
says of the fifth it has not seen is kept, and tells the level. Amounts are divided by their mean before training.

Grain   one row a row of the frame
Errors  TooFewCases for fewer than five customers above, or not above, the median

Jorgensen (1987), Exponential Dispersion Models, JRSS B 49(2): Tweedie's family, compound Poisson-gamma for 1 < p < 2.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb
from scipy.special import expit

from models.encoding import UNSEEN, Encoder
from models.folds import grouped_folds, settled_order
from models.portfolio import HOUSE
from models.trees import LOGISTIC, Folds, Loss, cells, contributions, margins

FOLDS = 5
POWER = 1.2
TWEEDIE = Loss("reg:tweedie", f"tweedie-nloglik@{POWER}", {"tweedie_variance_power": POWER})
GAMMA = Loss("reg:gamma", "gamma-nloglik")
FEW_ROWS = 5_000
SMALLEST = 1e-6  # of the mean amount: nothing smaller is started from, nor foretold


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Boosters of one loss over encoded columns."""

    boosters: tuple[xgb.Booster, ...]

    def margin(self, matrix: np.ndarray, is_category: np.ndarray, start: np.ndarray | None) -> np.ndarray:
        """The mean margin of the boosters, of shape (n,)."""
        return margins(self.boosters, cells(matrix, is_category, start)).mean(axis=0)


@dataclass(frozen=True, eq=False)
class ValueTrees:
    """A fitted ensemble, or two.

    parts        "amount" alone (Tweedie), or "buys" and "amount"
    unit         what amounts were divided by
    started      whether predictions begin with a given amount
    out_of_fold  foretold amounts of the training rows, in the order they were given, by boosters that had not seen
                 them; None after loading
    """

    encoder: Encoder
    parts: dict[str, Ensemble]
    unit: float
    started: bool
    out_of_fold: np.ndarray | None = field(default=None, repr=False)

    def predict(self, X: pd.DataFrame, start: np.ndarray | None = None) -> np.ndarray:
        """Expected amount, of shape (n,); `start` the amounts that predictions begin with, where they do."""
        matrix, kinds = self.encoder.encode(X, UNSEEN), self.encoder.is_category
        begin = _logs(start, self.unit) if self.started else None
        amount = np.exp(self.parts["amount"].margin(matrix, kinds, begin)) * self.unit
        return amount * expit(self.parts["buys"].margin(matrix, kinds, None)) if "buys" in self.parts else amount

    def contributions(self, X: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log of the amount (and of the odds to buy), of shape (n, columns); exact."""
        matrix, kinds = self.encoder.encode(X, UNSEEN), self.encoder.is_category
        each = sum(contributions(part.boosters, cells(matrix, kinds))[:, :-1] for part in self.parts.values())
        return pd.DataFrame(each, columns=list(self.encoder.columns), index=X.index)

    def save(self, folder: Path) -> None:
        """JSON and XGBoost's own files below `folder`; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in self.parts.items():
            for k, booster in enumerate(part.boosters):
                booster.save_model(folder / f"{name}_{k}.ubj")
        content = {
            "encoder": self.encoder.to_json(),
            "parts": {name: len(part.boosters) for name, part in self.parts.items()},
            "unit": self.unit,
            "started": self.started,
        }
        (folder / "value_trees.json").write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> ValueTrees:
    """A saved model without its `out_of_fold`; raises `ValueError` for parts that are none of ours."""
    content = json.loads((folder / "value_trees.json").read_text(encoding="utf-8"))
    if not set(content["parts"]) <= {"buys", "amount"}:
        raise ValueError(
            f"{folder}: parts must be buys and amount, but are {content['parts']}. Take it as it was saved."
        )
    parts = {
        name: Ensemble(tuple(xgb.Booster(model_file=folder / f"{name}_{k}.ubj") for k in range(int(many))))
        for name, many in content["parts"].items()
    }
    return ValueTrees(Encoder.from_json(content["encoder"]), parts, content["unit"], content["started"])


def fit_tweedie(
    X: pd.DataFrame, amount: np.ndarray, subjects: Sequence, seed: int, start: np.ndarray | None = None
) -> ValueTrees:
    """Learn amounts (n,) >= 0 of `subjects` from the columns of X, beginning with the amounts `start` if given."""
    cut = _Cut(X, amount, subjects, seed)
    begin = None if start is None else _logs(np.asarray(start, dtype=float), cut.unit)[cut.order]
    bag = cut.folds(cut.amount / cut.unit, TWEEDIE, begin).bag(HOUSE, seed)
    found = np.exp(bag.out_of_fold) * cut.unit
    return ValueTrees(cut.encoder, {"amount": Ensemble(bag.boosters)}, cut.unit, start is not None, cut.given(found))


def fit_two_part(X: pd.DataFrame, amount: np.ndarray, subjects: Sequence, seed: int) -> ValueTrees:
    """The same by the probability that an amount is above zero, times what those amounts are.

    Raises `TooFewCases` where there are fewer than five customers of either kind.
    """
    cut = _Cut(X, amount, subjects, seed)
    bought = cut.amount > 0
    grouped_folds(bought.astype(float), cut.subjects, FOLDS, seed)  # refuses too few of either kind
    buys = cut.folds(bought.astype(float), LOGISTIC).bag(HOUSE, seed)
    paid = cut.folds(cut.amount / cut.unit, GAMMA, rows=bought).bag(HOUSE, seed)
    every = margins(paid.boosters, cells(cut.matrix, cut.encoder.is_category))
    amounts = np.exp(every[cut.fold, np.arange(cut.fold.size)])
    found = expit(buys.out_of_fold) * amounts * cut.unit
    parts = {"buys": Ensemble(buys.boosters), "amount": Ensemble(paid.boosters)}
    return ValueTrees(cut.encoder, parts, cut.unit, False, cut.given(found))


class _Cut:
    """Rows in a settled order, encoded, and in five folds of customers with as many large amounts in each."""

    def __init__(self, X: pd.DataFrame, amount: np.ndarray, subjects: Sequence, seed: int):
        amount, subjects = np.asarray(amount, dtype=float), np.asarray(subjects)
        self.encoder = Encoder.learn(X, subjects)
        matrix = self.encoder.encode(X, UNSEEN)
        self.order = settled_order(matrix, amount, subjects)
        self.matrix, self.amount, self.subjects = matrix[self.order], amount[self.order], subjects[self.order]
        self.unit = float(amount.mean())
        large = (self.amount > np.median(self.amount)).astype(float)
        self.fold = grouped_folds(large, self.subjects, FOLDS, seed)

    def folds(
        self, y: np.ndarray, loss: Loss, start: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> Folds:
        kept = np.full(y.size, True) if rows is None else rows
        begin = None if start is None else start[kept]
        return Folds(
            self.matrix[kept], y[kept], self.encoder.is_category, self.fold[kept], _threads(kept.sum()), loss, begin
        )

    def given(self, values: np.ndarray) -> np.ndarray:
        """Values of the settled order in the order the rows were given."""
        back = np.empty(values.size)
        back[self.order] = values
        return back


def _logs(amount: np.ndarray, unit: float) -> np.ndarray:
    return np.log(np.maximum(amount / unit, SMALLEST))


def _threads(rows: int) -> int:
    return 1 if rows < FEW_ROWS else int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
