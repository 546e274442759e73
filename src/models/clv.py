r"""What a customer will spend in a horizon: the candidates, and the model that is registered.

Candidates  past rate; last window; probabilistic (purchases expected by `models.lifetime` times the mean purchase of
            `models.spend`); four of boosted trees, which see features and what the probabilistic model says: tweedie;
            correction (tweedie that starts from the probabilistic amount, so that it learns where that is wrong);
            two-part; blend, the mean of tweedie and correction. `models.clv_choice` says how one is picked
Tables      one row a (customer_id, origin): features of `features.purchases` among others; closed snapshots have
            `outcome`, cents spent in the `snapshot_days` after the origin
Horizon     trees learn amounts of a snapshot and foretell those of any horizon in proportion to what the probabilistic
            model expects of the customer in either: a long one can be foretold from short ones
Level       the factor by which the foretold total of the latest closed snapshot, by models that had not seen its
            customers, has to be multiplied to be the true one; nearer to one where few customers make up the total;
            shown, and applied to all but the rules

A customer who bought once and has been silent for a year is not alive for ever in the Pareto/NBD and the MBG/NBD, and
is in the NBD; the rules call him what his last year says, and the trees what became of others like him.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from models import lifetime as lifetimes
from models import spend as spends
from models import value_trees
from models.discounting import continuous
from models.folds import TooFewCases
from models.lifetime import Lifetime
from models.predictive import After, Histories, TotalError
from models.spend import Spend
from models.value_trees import ValueTrees

PAST_RATE, LAST_WINDOW = "past rate", "last window"
PROBABILISTIC, TWEEDIE, CORRECTION, TWO_PART = "probabilistic", "tweedie", "correction", "two-part"
RULES = (PAST_RATE, LAST_WINDOW)
BLEND = "blend"
TREES = {TWEEDIE: (TWEEDIE,), CORRECTION: (CORRECTION,), TWO_PART: (TWO_PART,), BLEND: (TWEEDIE, CORRECTION)}
CANDIDATES = (*RULES, PROBABILISTIC, *TREES)  # simplest first
WINDOWS = (30, 90, 180, 365)  # of the columns spend_cents_...
YEAR = 365
SAID = ("expected_purchases", "p_alive", "expected_spend")  # columns that the probabilistic model adds
# the feature that each of them mostly follows from, by which it is told
FOLLOWS = {"expected_purchases": "x", "p_alive": "t_x", "expected_spend": "spend_cents_365"}
READ = ("x", "t_x", "tenure_days", "purchase_days_365", *(f"spend_cents_{width}" for width in WINDOWS))
LEVELS_DIFFER = 0.15  # deviation of the log of a level that no luck explains
FURTHEST = 10.0  # a longer horizon multiplies the amount of a snapshot at most so often beyond their proportion


@dataclass(frozen=True)
class Buying:
    """The probabilistic model: who is there, how often she buys, and for how much."""

    lifetime: Lifetime
    spend: Spend

    def said(self, table: pd.DataFrame, days: float) -> pd.DataFrame:
        """Columns `SAID` of each row: purchases expected in `days`, P(alive), and the mean purchase expected."""
        told = histories(table)
        model = self.lifetime.model
        return pd.DataFrame(
            {
                "expected_purchases": model.expected(days, told.x, told.t_x, told.T),
                "p_alive": model.p_alive(told.x, told.t_x, told.T),
                "expected_spend": self.spend.expected(told.purchases, told.mean),
            },
            index=table.index,
        )

    def amount(self, table: pd.DataFrame, days: float) -> np.ndarray:
        """Cents expected in `days`, of shape (n,)."""
        said = self.said(table, days)
        return (said.expected_purchases * said.expected_spend).to_numpy()


@dataclass(frozen=True)
class Snapshot:
    """The rows of one origin, the probabilistic model of their histories alone, and the days of their outcome."""

    table: pd.DataFrame
    buying: Buying
    days: int

    @property
    def learnt(self) -> pd.DataFrame:
        """The rows with what the probabilistic model says beside the features."""
        return self.table.join(self.buying.said(self.table, self.days))

    @property
    def outcome(self) -> np.ndarray:
        """Cents, of shape (n,)."""
        return self.table.outcome.to_numpy(dtype=float)


@dataclass(frozen=True)
class Clv:
    """A fitted candidate; `about` is what scoring must know beside it.

    trees          what is averaged: none, one ensemble, or those of the blend
    columns        features that it reads; trees see `SAID` beside them
    snapshot_days  days of the amounts that trees learnt
    level          factor on all amounts
    held           level of an interval of draws at which it held 80 % on the latest closed snapshot
    error          of totals on past snapshots
    """

    name: str
    buying: Buying
    trees: tuple[ValueTrees, ...]
    columns: tuple[str, ...]
    snapshot_days: int
    level: float = 1.0
    held: float = 0.8
    error: TotalError = TotalError(0.0, 1.0)
    about: Mapping | None = None

    def predict(self, table: pd.DataFrame, days: float | None = None) -> np.ndarray:
        """Cents expected in the `days` after the origin (those of `about`, unless said), of shape (n,)."""
        return self.level * self._raw(table, (self.about or {})["horizon_days"] if days is None else days)

    def _raw(self, table: pd.DataFrame, days: float) -> np.ndarray:
        if self.name in RULES:
            return _rule(self.name, table, days)
        whole = self.buying.amount(table, days)
        if not self.trees:
            return whole
        short = whole if days == self.snapshot_days else self.buying.amount(table, self.snapshot_days)
        X = self._seen(table)
        foretold = np.mean([one.predict(X, short) for one in self.trees], axis=0)
        return foretold * _longer(short, whole, days / self.snapshot_days)

    @property
    def out_of_fold(self) -> np.ndarray | None:
        """What trees foretold of the rows they were fitted to, in their order, each by boosters that had not seen it;
        None without trees and after loading."""
        found = [one.out_of_fold for one in self.trees if one.out_of_fold is not None]
        return np.mean(found, axis=0) if found else None

    def _seen(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[list(self.columns)].join(self.buying.said(table, self.snapshot_days))

    def contributions(self, table: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log of the amount, of shape (n, columns); zeros without trees.

        What the probabilistic model says is told by the feature that it mostly follows from.
        """
        if not self.trees:
            return pd.DataFrame(0.0, index=table.index, columns=list(self.columns))
        X = self._seen(table)
        pull = sum(one.contributions(X) for one in self.trees) / len(self.trees)
        for said, feature in FOLLOWS.items():
            pull[feature] += pull.pop(said)
        return pull[list(self.columns)]

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns, with `models.encoding.ANOTHER` for each level that was not learned: what may be shown."""
        read = table[list(self.columns)]
        return self.trees[0].encoder.named(self._seen(table))[list(self.columns)] if self.trees else read

    def potential(self, table: pd.DataFrame, days: float, after: After) -> np.ndarray:
        """Cents expected after the `days` of the horizon, discounted to today, of shape (n,)."""
        told, model = histories(table), self.buying.lifetime.model

        def expected(time):
            return model.expected(time, told.x, told.t_x, told.T)

        later = continuous(expected, after.delta, after.until) - continuous(expected, after.delta, days)
        price = self.buying.spend.expected(told.purchases, told.mean)
        return np.maximum(later, 0.0) * price * self.scale(table, days)

    def scale(self, table: pd.DataFrame, days: float) -> np.ndarray:
        """What draws of the probabilistic model are multiplied by so that their mean is what is foretold, (n,)."""
        return self.predict(table, days) / np.maximum(self.buying.amount(table, days), 1e-9)

    def save(self, folder: Path) -> None:
        """Numbers in JSON, and native booster files where there are trees."""
        folder.mkdir(parents=True, exist_ok=True)
        for part, one in zip(TREES.get(self.name, ()), self.trees, strict=True):
            one.save(folder / part)
        content = {
            "name": self.name,
            "lifetime": self.buying.lifetime.to_json(),
            "spend": self.buying.spend.to_json(),
            "columns": self.columns,
            "snapshot_days": self.snapshot_days,
            "level": self.level,
            "held": self.held,
            "error": self.error._asdict(),
            "about": dict(self.about or {}),
        }
        (folder / "clv.json").write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> Clv:
    """A saved `Clv`; parses numbers and native booster files, executes nothing of the folder's."""
    content = json.loads((folder / "clv.json").read_text(encoding="utf-8"))
    buying = Buying(Lifetime.from_json(content["lifetime"]), Spend.from_json(content["spend"]))
    return Clv(
        content["name"],
        buying,
        tuple(value_trees.load(folder / part) for part in TREES.get(content["name"], ())),
        tuple(content["columns"]),
        content["snapshot_days"],
        content["level"],
        content["held"],
        TotalError(**content["error"]),
        content["about"],
    )


def histories(table: pd.DataFrame) -> Histories:
    """What the models of purchases and spend need of the features; the mean purchase is of the last year.

    A purchase day of nothing paid is one for `x` and has no price.
    """
    purchases = table.purchase_days_365.to_numpy(dtype=float)
    mean = np.divide(
        table.spend_cents_365.to_numpy(dtype=float), purchases, out=np.zeros(len(table)), where=purchases > 0
    )
    x, t_x, T = (table[name].to_numpy(dtype=float) for name in ("x", "t_x", "tenure_days"))
    return Histories(x, t_x, T, np.where(mean > 0, purchases, 0.0), mean)


def snapshot(table: pd.DataFrame, days: int) -> Snapshot:
    """The rows of one origin with the models that their histories tell; raises `Degenerate` where they tell none."""
    told = histories(table)
    buying = Buying(lifetimes.fit(told.x, told.t_x, told.T), spends.fit(told.purchases, told.mean))
    return Snapshot(table, buying, days)


def fit(
    names: Collection[str], closed: Sequence[Snapshot], now: Buying, columns: Sequence[str], seed: int
) -> tuple[dict[str, Clv], dict[str, str]]:
    """Candidates from closed snapshots, the latest last, for customers whose histories gave `now`.

    Trees learn from all closed ones; the level is of the latest. Those that could not be fitted are named with the
    reason instead.
    """
    latest = closed[-1]
    grown, missing = _grow({part for name in names for part in TREES.get(name, ())}, closed, columns, seed)
    models = {}
    for name in (name for name in CANDIDATES if name in names):
        if name in RULES:
            models[name] = Clv(name, now, (), READ, latest.days)
        elif name == PROBABILISTIC:
            level = level_learnt(latest.outcome, latest.buying.amount(latest.table, latest.days))
            models[name] = Clv(name, now, (), READ, latest.days, level)
        elif gone := [part for part in TREES[name] if part in missing]:
            missing[name] = missing[gone[0]]
        else:
            one = Clv(name, now, tuple(grown[part] for part in TREES[name]), tuple(columns), latest.days)
            unseen = one.out_of_fold[-len(latest.table) :]
            models[name] = replace(one, level=level_learnt(latest.outcome, unseen))
    return models, {name: why for name, why in missing.items() if name in names}


def _grow(parts: set[str], closed: Sequence[Snapshot], columns: Sequence[str], seed: int) -> tuple[dict, dict]:
    """The ensembles by name, and why one could not be grown."""
    if not parts:
        return {}, {}
    rows = pd.concat([one.learnt for one in closed])
    start = np.concatenate([one.buying.amount(one.table, one.days) for one in closed])
    told = rows[[*columns, *SAID]], rows.outcome.to_numpy(dtype=float), rows.customer_id.to_numpy(), seed
    grown, missing = {}, {}
    for part in sorted(parts):
        try:
            if part == TWO_PART:
                grown[part] = value_trees.fit_two_part(*told)
            else:
                grown[part] = value_trees.fit_tweedie(*told, start if part == CORRECTION else None)
        except TooFewCases as error:
            missing[part] = str(error)
    return grown, missing


def level_of(outcome: np.ndarray, foretold: np.ndarray) -> float:
    """The factor from a foretold total to the true one; 1 where either is nothing."""
    return float(outcome.sum() / foretold.sum()) if outcome.sum() > 0 and foretold.sum() > 0 else 1.0


def level_learnt(outcome: np.ndarray, foretold: np.ndarray) -> float:
    r"""The same, nearer to 1 the fewer customers make up the total: their luck does not repeat itself.

    The log of a total of independent amounts has a variance of about 1 / n, with :math:`n = (\sum y)^2 / \sum y^2`, the
    number of equal customers that the total is worth. Levels are taken to differ by `LEVELS_DIFFER` for other reasons.
    Of the log the share is kept that is not luck: nearly all of a thousand alike, little where one is most of it.
    """
    factor = level_of(outcome, foretold)
    if factor == 1:
        return factor
    luck = float((outcome**2).sum() / outcome.sum() ** 2)
    return float(factor ** (LEVELS_DIFFER**2 / (LEVELS_DIFFER**2 + luck)))


def _rule(name: str, table: pd.DataFrame, days: float) -> np.ndarray:
    """Spend a day since the first purchase, of the last year at most; or spend of the window nearest to the horizon."""
    if name == PAST_RATE:
        seen = np.minimum(table.tenure_days.to_numpy(dtype=float), YEAR)
        return table.spend_cents_365.to_numpy(dtype=float) / np.maximum(seen, 1) * days
    return last_window(table, days)


def last_window(table: pd.DataFrame, days: float) -> np.ndarray:
    """What was spent in the `days` before the origin, (n,): in the window nearest to them, in proportion."""
    window = min(WINDOWS, key=lambda width: abs(width - days))
    return table[f"spend_cents_{window}"].to_numpy(dtype=float) * days / window


def _longer(short: np.ndarray, whole: np.ndarray, proportion: float) -> np.ndarray:
    """From amounts of a snapshot to those of the horizon, by the probabilistic model's (n,); bounded."""
    return np.clip(whole / np.maximum(short, 1e-9), proportion / FURTHEST, proportion * FURTHEST)
