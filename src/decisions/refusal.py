"""Why an application is refused, in points that add up, and the smallest change that would have it approved.

Grain   one row a refused application; points are whole numbers, more of them are better
Model   any that says a probability and what each column adds to its log-odds; decisions ask it and read no model
Errors  ValueError for a way that is none

The gap is what an application lacks to be approved. Columns of one topic say nearly the same thing, so that their
points are added; each topic in which it has fewer points than the approved have on average answers for a share of the
gap, in proportion to what it lacks, and the shares sum to the gap to the point (largest remainders).

The smallest change is found among columns that a person can change, in the direction declared and along a ladder of
values that occur. It takes as few columns as possible, two at most; among those, as few steps on the ladders as
possible; among those, the columns named first. Each is put to the model itself: it is what that would say of another
form, not that the risk changes with it.
"""

from collections.abc import Callable, Mapping
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from scipy.special import logit

from decisions.lending import REFUSE

UP, DOWN, EITHER = "up", "down", "either"
WAYS = (UP, DOWN, EITHER)
RUNGS = 10  # of a ladder: tenths of those who occur
MOST_COLUMNS = 2
AT_ONCE = 1_000  # rows that are tried together
NEVER = "no limit on what is asked for pays, however low the risk"
SAY = Mapping[str, Callable[[object], str]]


class Scale(NamedTuple):
    """At `score` points the odds against default are `odds` to 1, and every `pdo` points double them."""

    pdo: float
    score: float
    odds: float

    def points(self, p) -> np.ndarray:
        """The score of probabilities of default, not rounded; infinite at 0 and 1."""
        with np.errstate(divide="ignore"):
            return self.score - self.pdo / np.log(2) * (np.log(self.odds) + logit(np.asarray(p, dtype=float)))

    def of_log_odds(self, log_odds: pd.DataFrame) -> pd.DataFrame:
        """The points that additions to the log-odds of default are."""
        return -self.pdo / np.log(2) * log_odds


class Reader(NamedTuple):
    """What a model knows to say why.

    scale    of its points
    usual    the points that each of its columns gives the approved on average
    ladders  of the columns that can be changed
    topics   of its columns; say: what words a value of a column
    """

    scale: Scale
    usual: Mapping[str, float]
    ladders: "Mapping[str, Ladder]"
    topics: Mapping[str, str]
    say: SAY


class Ladder(NamedTuple):
    """Values that a column can be changed to: numbers, rising, or levels, of which one may go to any."""

    way: str
    values: tuple

    def steps(self, now: pd.Series) -> np.ndarray:
        """How many steps each row is from each value, (n, values); infinite where one cannot go. From a missing value,
        and from one level to another, it is one step.
        """
        if not types.is_numeric_dtype(now):
            off = now.to_numpy(dtype=object)[:, None] != np.array(self.values, dtype=object)
            return np.where(off, 1.0, np.inf)
        at, values = now.to_numpy(dtype=float), np.array(self.values, dtype=float)
        place = np.arange(len(values))
        above = place - np.searchsorted(values, at, side="right")[:, None] + 1.0
        below = np.searchsorted(values, at, side="left")[:, None] - place.astype(float)
        up = np.where((above > 0) & (self.way != DOWN), above, np.inf)
        down = np.where((below > 0) & (self.way != UP), below, np.inf)
        return np.where(np.isnan(at)[:, None], 1.0, np.minimum(up, down))


def ladders(table: pd.DataFrame, ways: Mapping[str, str]) -> dict[str, Ladder]:
    """The ladder of each column of `ways`, of the values that occur in a table, which has it; see `Ladder`."""
    found = {}
    for name, way in ways.items():
        there = table[name].dropna()
        if types.is_numeric_dtype(there):
            rungs = np.quantile(there.to_numpy(dtype=float), np.linspace(0, 1, RUNGS + 1), method="nearest")
            found[name] = Ladder(way, tuple(np.unique(rungs).tolist()))
        else:
            found[name] = Ladder(way, tuple(sorted(there.astype(str).unique())))
    return found


def ways_in(text: str) -> dict[str, str]:
    """What can be changed, and which way, from `amount:down,term:either`; raises ValueError for another spelling."""
    pairs = [part.strip().rpartition(":") for part in text.split(",") if part.strip()]
    if wrong := [f"{name}{colon}{way}" for name, colon, way in pairs if not name or way not in WAYS]:
        raise ValueError(
            f"What an applicant can change is written as column:way, with a way of {', '.join(WAYS)}, but {wrong[0]!r} "
            f"is not. Write such as amount:down,term:either."
        )
    return {name.strip(): way for name, _, way in pairs}


def usual(scale: Scale, log_odds: pd.DataFrame) -> dict[str, float]:
    """The mean points of each column, from what it adds to the log-odds of those who are approved."""
    return scale.of_log_odds(log_odds).mean().to_dict()


def explained(
    plan: pd.DataFrame,
    forms: pd.DataFrame,
    log_odds: Callable[[pd.DataFrame], pd.DataFrame],
    approves: Callable[[pd.DataFrame], np.ndarray],
    reader: Reader,
) -> pd.DataFrame:
    """A plan with what each refused application lacks, why, and what would have it approved.

    plan      as `decisions.lending.loan_plan`; forms: its applications in its order, with all that the model reads
    log_odds  what each column adds for such forms, (n, columns)
    approves  whether each of other forms would be approved at the same price of loss

    points (the score), points_lacking (to approval; missing where none are, and where no risk is low enough),
    refusal_1 .., refusal_others, change; texts are empty where there is nothing to say.
    """
    score = np.rint(reader.scale.points(plan.score)).astype(int)
    told = plan.assign(points=score, points_lacking=pd.array([pd.NA] * len(plan), dtype="Int64"))
    refused = ((plan.action == REFUSE) & (plan.score >= plan.approved_up_to)).to_numpy()
    gapped = refused & (plan.approved_up_to > 0).to_numpy()
    needed = np.floor(reader.scale.points(plan.approved_up_to[gapped])) + 1
    gap = np.maximum(needed - score[gapped], 1).astype(int)
    told.loc[gapped, "points_lacking"] = gap
    why = reasons_for_refusal(
        reader.scale.of_log_odds(log_odds(forms[gapped])), gap, reader.usual, forms[gapped], reader.topics, reader.say
    )
    told = told.join(why)
    told["refusal_others"] = told.refusal_others.astype("Int64")
    texts = [name for name in why if name != "refusal_others"]
    told[texts] = told[texts].fillna("")
    told.loc[refused & ~gapped, texts[0]] = NEVER
    change = smallest_change(forms[refused], reader.ladders, approves)
    told["change"] = ""
    told.loc[refused, "change"] = change_in_words(change, forms[refused], reader.say)
    return told


def shares_of_gap(lacking: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The points of each row's gap that each column answers for: whole, (n, columns); none where nothing is lacking.

    lacking  points below those of the approved, 0 where there are as many or more, (n, columns); gap: points (n,)
    """
    total = lacking.sum(axis=1, keepdims=True)
    exact = np.divide(lacking, total, out=np.zeros_like(lacking), where=total > 0) * gap[:, None]
    shares = np.floor(exact).astype(np.int64)
    left = np.where(total[:, 0] > 0, gap - shares.sum(axis=1), 0)
    # the columns of the largest remainders get the points that rounding down has left, the first among equals
    rank = np.argsort(np.argsort(-(exact - shares), axis=1, kind="stable"), axis=1)
    return shares + (rank < left[:, None])


def reasons_for_refusal(
    points: pd.DataFrame,
    gap: np.ndarray,
    usual: Mapping[str, float],
    values: pd.DataFrame,
    topics: Mapping[str, str],
    say: SAY,
    count: int = 4,
) -> pd.DataFrame:
    """refusal_1 .. refusal_`count` of each row in words with its points, and refusal_others: the points left.

    points  of each column, (n, columns); gap: whole points above 0 that are lacking, (n,)
    usual   the points that the approved have on average, by column
    values  of the rows: what `say` words; topics: by column

    The points of the reasons and of the others sum to the gap. A topic is worded by its column that lacks most.
    """
    columns = list(points.columns)
    names = list(dict.fromkeys(topics[name] for name in columns))
    member = np.array([[topics[column] == name for column in columns] for name in names])
    member = member.reshape(len(names), len(columns))
    below = np.array([usual[name] for name in columns]) - points.to_numpy(dtype=float)
    shares = shares_of_gap(np.maximum(below @ member.T, 0.0), np.asarray(gap, dtype=np.int64))
    order = np.argsort(-shares, axis=1, kind="stable")[:, :count]
    taken = np.take_along_axis(shares, order, axis=1)
    found = {}
    for k in range(count):
        text = np.full(len(points), "", dtype=object)
        if k < order.shape[1]:
            speaker = np.where(member[order[:, k]], below, -np.inf).argmax(axis=1)
            text = _worded(values[columns], speaker, say) + np.char.mod(" (-%d points)", taken[:, k]).astype(object)
            text = np.where(taken[:, k] > 0, text, "")
        found[f"refusal_{k + 1}"] = text
    return pd.DataFrame(found, index=points.index).assign(refusal_others=np.asarray(gap) - taken.sum(axis=1))


def smallest_change(
    forms: pd.DataFrame, on: Mapping[str, Ladder], approves: Callable[[pd.DataFrame], np.ndarray]
) -> pd.DataFrame:
    """The value that each column of `on` has to be changed to, (n, columns) of objects; None: it stays.

    forms     of refused applications, with all that the model reads
    approves  whether each of other forms would be approved, boolean

    Rows of which every column stays have no change of so few columns that helps. Exact, by trying: only columns and
    rungs are looped over, and a row is tried while a smaller change of it is not known.
    """
    parts = [_changed(forms.iloc[at : at + AT_ONCE], on, approves) for at in range(0, len(forms), AT_ONCE)]
    return pd.concat(parts) if parts else pd.DataFrame(columns=list(on), index=forms.index, dtype=object)


def _changed(forms: pd.DataFrame, on: Mapping[str, Ladder], approves) -> pd.DataFrame:
    steps = {name: ladder.steps(forms[name]) for name, ladder in on.items()}
    found = pd.DataFrame(None, columns=list(on), index=forms.index, dtype=object)
    best = np.full(len(forms), np.inf)
    for size in range(1, MOST_COLUMNS + 1):
        open_ = np.isinf(best)
        for names in combinations(on, size):
            rungs = np.array(list(product(*(range(len(on[name].values)) for name in names))))
            cost = sum(steps[name][:, rungs[:, k]] for k, name in enumerate(names))
            row, tried = np.nonzero(open_[:, None] & (cost < best[:, None]))
            values = {name: _values(on[name], rungs[tried, k], forms[name]) for k, name in enumerate(names)}
            other = forms.iloc[row].assign(**values)
            helps = np.asarray(approves(other), dtype=bool) if len(other) else np.zeros(0, dtype=bool)
            offered = np.full(cost.shape, np.inf)
            offered[row[helps], tried[helps]] = cost[row[helps], tried[helps]]
            least = offered.min(axis=1, initial=np.inf)
            better = np.flatnonzero(least < best)
            best[better] = least[better]
            at = rungs[offered[better].argmin(axis=1)] if better.size else rungs[:0]
            found.iloc[better] = None
            for k, name in enumerate(names):
                found.iloc[better, found.columns.get_loc(name)] = np.array(on[name].values, dtype=object)[at[:, k]]
    return found


def _values(ladder: Ladder, rungs: np.ndarray, now: pd.Series) -> np.ndarray | pd.Categorical:
    """Values of a ladder in the type of the column."""
    values = np.array(ladder.values, dtype=object)[rungs]
    if types.is_numeric_dtype(now):
        return values.astype(now.dtype)
    return pd.Categorical(values, dtype=now.dtype) if isinstance(now.dtype, pd.CategoricalDtype) else values


def change_in_words(change: pd.DataFrame, forms: pd.DataFrame, say: SAY) -> np.ndarray:
    """`amount asked for: 3,000.00 (now 5,000.00)` for each change of a row, joined; empty where nothing helps."""
    said = np.full(len(change), "", dtype=object)
    for name in change.columns:
        rows = np.flatnonzero(change[name].notna())
        after = _texts(change[name].iloc[rows], say[name])
        before = _texts(forms[name].iloc[rows], lambda value, name=name: say[name](value).rpartition(": ")[2])
        joint = np.where(said[rows] == "", "", " and ").astype(object)
        said[rows] = said[rows] + joint + after + " (now " + before + ")"
    return said


def _worded(values: pd.DataFrame, speaker: np.ndarray, say: SAY) -> np.ndarray:
    said = np.full(len(values), "", dtype=object)
    for number, name in enumerate(values.columns):
        rows = np.flatnonzero(speaker == number)
        said[rows] = _texts(values[name].iloc[rows], say[name])
    return said


def _texts(values: pd.Series, say: Callable[[object], str]) -> np.ndarray:
    """Each value in words; a value that occurs often is worded once."""
    codes, unique = pd.factorize(values, use_na_sentinel=False)
    return np.array([say(value) for value in unique], dtype=object)[codes] if len(values) else np.array([], object)
