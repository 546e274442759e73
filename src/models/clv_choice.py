"""Which candidate foretells value best: the pick on the latest closed snapshot, the judgement on a later one.

Pick       candidates foretell the latest closed snapshot from earlier ones, or from other customers of it where there
           is no earlier one. Barred is whose total is off by more than a quarter, or whose root mean squared error,
           once its total is put right, is more than a twentieth above the smallest: to be out of level, or wild, is
           worse than to rank a little less well. Of the rest the best normalised Gini is taken
Judgement  all candidates, fitted anew to all closed snapshots, on a test snapshot that none has seen
Totals     how far they were off: at every closed snapshot the model of purchases as it was then, levelled by the
           snapshot before, and the pick on the latest one where it learnt from earlier ones
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from evaluation.value import of_candidates, rmse, value_gains
from models import clv
from models.clv import CANDIDATES, PROBABILISTIC, Clv, Snapshot
from models.predictive import Histories, TotalError, calibrated_level, draws

LARGEST_BIAS, LARGEST_RMSE = 0.25, 1.05
HELD = 0.8  # the level of intervals
BEFORE = (0.15, 3.0)  # what totals are taken to be off by before any snapshot is seen, and the snapshots that is worth


@dataclass(frozen=True)
class Choice:
    """What the latest closed snapshot says.

    snapshot  one row a candidate: gini, top_decile, bias, rmse, levelled (rmse once the total is put right), barred
              (why it may not be picked, or empty), behind (by how much its Gini is below the pick's) with low and
              high, the ends of a paired 95 % interval
    pick      the candidate that the rule takes
    foretold  cents of the snapshot's rows by candidate
    missing   candidates that could not be fitted, with the reason
    """

    snapshot: pd.DataFrame
    pick: str
    foretold: Mapping[str, np.ndarray]
    missing: Mapping[str, str]


def choose(closed: Sequence[Snapshot], columns: Sequence[str], seed: int) -> Choice:
    """The pick by the rule above, from closed snapshots, earliest first."""
    latest = closed[-1]
    foretold, missing = _unseen(closed, columns, seed)
    y = latest.outcome
    found = of_candidates(y, foretold)
    found["levelled"] = [rmse(y, said * clv.level_of(y, said)) for said in foretold.values()]
    smallest = found.levelled.min()
    found["barred"] = [_barred(*row) for row in zip(found.bias, found.levelled / smallest, strict=True)]
    free = found[found.barred == ""]
    free = found[found.candidate == PROBABILISTIC] if free.empty else free
    pick = free.candidate[free.gini.idxmax()]
    gains = {name: value_gains(y, foretold[name], foretold[pick], latest.table.customer_id, seed) for name in foretold}
    found["behind"] = [gains[name]["gini"].value for name in found.candidate]
    found["low"] = [gains[name]["gini"].low for name in found.candidate]
    found["high"] = [gains[name]["gini"].high for name in found.candidate]
    return Choice(found, pick, foretold, missing)


def _unseen(closed: Sequence[Snapshot], columns: Sequence[str], seed: int) -> tuple[dict, dict]:
    """What each candidate foretells of the latest closed snapshot without having seen its customers' outcomes."""
    latest = closed[-1]
    if before := _closed_before(latest, closed):
        models, missing = clv.fit(CANDIDATES, before, latest.buying, columns, seed)
        return {name: one.predict(latest.table, latest.days) for name, one in models.items()}, missing
    models, missing = clv.fit(CANDIDATES, [latest], latest.buying, columns, seed)
    return {name: _out_of_fold(one, latest) for name, one in models.items()}, missing


def _out_of_fold(model: Clv, latest: Snapshot) -> np.ndarray:
    """What the model foretells of a snapshot it was fitted to, by parts that had not seen a customer; not levelled."""
    if model.trees:
        return model.out_of_fold[-len(latest.table) :]
    return replace(model, buying=latest.buying, level=1.0).predict(latest.table, latest.days)


def _barred(bias: float, error: float) -> str:
    if abs(bias) > LARGEST_BIAS:
        return f"total off by {bias:+.0%}"
    return f"error {error - 1:.0%} above the smallest" if error > LARGEST_RMSE else ""


def finished(model: Clv, closed: Sequence[Snapshot], backtest: pd.DataFrame, days: int, seed: int) -> Clv:
    """A candidate of `clv.fit` on all closed snapshots, with what its intervals need.

    backtest  rows of `totals`, and of `total` for what else was foretold without having been seen
    days      the horizon
    """
    return replace(model, held=held(model, closed, seed), error=total_error(backtest, closed[-1].days, days))


def held(model: Clv, closed: Sequence[Snapshot], seed: int) -> float:
    """The level at which intervals of draws held 80 % of the latest snapshot's customers, its total put right.

    What totals are off by comes on top, and is not learnt here.
    """
    latest = closed[-1]
    foretold = _out_of_fold(model, latest)
    foretold = foretold * clv.level_of(latest.outcome, foretold)
    told = clv.histories(latest.table)
    scale = foretold / np.maximum(latest.buying.amount(latest.table, latest.days), 1e-9)
    some = np.sort(np.random.default_rng(seed).permutation(scale.size)[:20_000])
    few = Histories(*(values[some] for values in told))
    of = latest.buying
    found = np.concatenate([f for _, f in draws(of.lifetime, of.spend, few, scale[some], latest.days, 100, seed)])
    return calibrated_level(found, latest.outcome[some], HELD)


def totals(closed: Sequence[Snapshot], choice: Choice) -> pd.DataFrame:
    """One row a total that was foretold of a closed snapshot, as `total`.

    The probabilistic model foretells each, levelled by the latest snapshot that was closed at the origin, if there was
    one; the pick the latest, if it learnt from earlier ones.
    """
    rows = []
    for at, one in enumerate(closed):
        done = _closed_before(one, closed[:at])
        level = clv.fit([PROBABILISTIC], done, one.buying, (), 0)[0][PROBABILISTIC].level if done else 1.0
        rows.append(total(one, PROBABILISTIC, level * one.buying.amount(one.table, one.days)))
    if choice.pick != PROBABILISTIC and _closed_before(closed[-1], closed):
        rows.append(total(closed[-1], choice.pick, choice.foretold[choice.pick]))
    return pd.concat(rows, ignore_index=True)


def total(one: Snapshot, by: str, foretold: np.ndarray) -> pd.DataFrame:
    """One row: origin, by (which model), foretold and true cents of all customers, bias (the excess as a share)."""
    true, said = np.float64(one.outcome.sum()), np.float64(foretold.sum())
    row = {"origin": one.table.origin.iloc[0], "by": by, "foretold": said, "true": true, "bias": said / true - 1}
    return pd.DataFrame([row])


def total_error(backtest: pd.DataFrame, snapshot_days: int, days: int) -> TotalError:
    """How far totals were off: the root mean square of log(true / foretold).

    It counts as many times as there are snapshots that do not overlap, since those that do tell of the same weather,
    beside `BEFORE`: one lucky snapshot, or one that was badly foretold, does not decide alone.

    The error of a longer horizon is taken to grow with its square root.
    """
    seen = 1.0 + (max(backtest.origin) - min(backtest.origin)).days // snapshot_days
    off, worth = BEFORE
    errors = np.log(backtest.true / backtest.foretold)
    variance = (worth * off**2 + seen * float((errors**2).mean())) / (worth + seen)
    return TotalError(float(np.sqrt(variance * max(1.0, days / snapshot_days))), worth + seen)


def _closed_before(one: Snapshot, others: Sequence[Snapshot]) -> list[Snapshot]:
    """Those whose outcomes were all there at the origin of one."""
    return [past for past in others if _days(past) + past.days <= _days(one)]


def _days(one: Snapshot) -> int:
    return one.table.origin.iloc[0].toordinal()
