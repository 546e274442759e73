"""Why an application is refused, in points that add up, and the smallest change that would have it approved.

Grain   one row an application; points are whole numbers, more of them are better, approval begins at a cut-off
Table   the scorecard's, as it is written: a row a bin with column, kind, points and words
Errors  ValueError for a column that is not in the table

The gap of a refused application is the cut-off less its score. Each column in which it has fewer points than the
approved have on average answers for a share of the gap, in proportion to what it lacks: since the approved lack nothing
together, the shares are never larger than what is lacking, and they sum to the gap to the point (largest remainders).

The smallest change is found among columns that a person can change, and in the direction declared. It takes as few
columns as possible; among those, as few bins on the way as possible; among those, the columns named first. It is what
the scorecard would say of another form: not that the risk changes with it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

UP, DOWN, EITHER = "up", "down", "either"
A_COLUMN = 1_000  # what changing one more column counts, in bins on the way: more than any way is long


def shares_of_gap(points: pd.DataFrame, score: np.ndarray, approved: np.ndarray, cutoff: int) -> pd.DataFrame:
    """Of each refused application, the points of the gap that each column answers for: whole, (refused, columns).

    points    of each column and application, (n, columns); score: their sum and the base, (n,)
    approved  whose average points are the measure, boolean (n,); raises `ValueError` where nobody is, or one of them
              scores below the cut-off
    """
    if not approved.any() or score[approved].min() < cutoff:
        raise ValueError(
            f"`approved` must be some whose score is at least {cutoff}. Give those whom the cut-off takes."
        )
    refused = score < cutoff
    each = points.to_numpy(dtype=float)
    lacking = np.maximum(each[approved].mean(axis=0) - each[refused], 0)
    gap = (cutoff - score[refused]).astype(np.int64)
    exact = lacking / lacking.sum(axis=1, keepdims=True) * gap[:, None]
    shares = np.floor(exact).astype(np.int64)
    # the columns of the largest remainders get the points that rounding down has left, the first among equals
    rank = np.argsort(np.argsort(-(exact - shares), axis=1, kind="stable"), axis=1)
    shares += rank < (gap - shares.sum(axis=1))[:, None]
    return pd.DataFrame(shares, columns=points.columns, index=points.index[refused])


def reasons_for_refusal(shares: pd.DataFrame, words: pd.DataFrame, count: int = 4) -> pd.DataFrame:
    """reason_1 .. reason_`count` of each refused application in words with its points, and `others`: the points left.

    words  of each application and column, such as `days since the last loan: up to 30`; of the rows of `shares`

    The points of the reasons and `others` sum to the gap.
    """
    order = np.argsort(-shares.to_numpy(), axis=1, kind="stable")[:, :count]
    taken = np.take_along_axis(shares.to_numpy(), order, axis=1)
    said = np.take_along_axis(words[list(shares.columns)].to_numpy(dtype=object), order, axis=1)
    found = {}
    for k in range(count):
        there = k < order.shape[1]
        text = said[:, k] + np.char.mod(" (-%d points)", taken[:, k]).astype(object) if there else ""
        found[f"reason_{k + 1}"] = np.where(taken[:, k] > 0, text, "") if there else ""
    return pd.DataFrame(found, index=shares.index).assign(others=shares.sum(axis=1) - taken.sum(axis=1))


def in_words(places: pd.DataFrame, table: pd.DataFrame, meanings: Mapping[str, str]) -> pd.DataFrame:
    """The bin of each cell in words, (n, columns): the column's meaning, else its name, and the bin.

    places  the bin of each cell, as `PointsTable.places`
    """
    found = {}
    for name in places.columns:
        rows = _rows(table, name)
        said = np.full(int(rows.place.max()) + 1, "", dtype=object)
        said[rows.place] = [f"{meanings.get(name, name)}: {bin}" for bin in rows["bin"]]
        found[name] = said[places[name].to_numpy()]
    return pd.DataFrame(found, index=places.index)


class Step(NamedTuple):
    """A bin that a column can be moved to: its place, its points, and how many bins lie on the way from each bin.

    way  by the place that one is at, of shape (bins,); infinite where one cannot go
    """

    place: int
    points: int
    way: np.ndarray


def smallest_change(
    places: pd.DataFrame, points: pd.DataFrame, gap: np.ndarray, table: pd.DataFrame, changeable: Mapping[str, str]
) -> pd.DataFrame:
    """The bin that each column of `changeable` has to move to, (n, those columns); -1: it stays, or nothing helps.

    places, points  of each refused application and column; gap: points that are lacking, above 0, (n,)
    changeable      column to `up`, `down` or `either`; of a category's levels one may go to any

    Exact, by dynamic programming over the points still lacking: applications are an axis of the arrays, and only
    columns and bins are looped over.
    """
    most = int(gap.max(initial=0))
    cost = np.full((len(places), most + 1), np.inf)  # of being able to gain so many points, at least
    cost[:, 0] = 0.0
    taken = []
    for name in changeable:
        best, chosen = cost.copy(), np.full(cost.shape, -1, dtype=np.int64)
        for step in _steps(_rows(table, name), changeable[name]):
            gain = step.points - points[name].to_numpy()
            way = np.where(gain > 0, step.way[places[name].to_numpy()], np.inf) + A_COLUMN
            still = np.maximum(np.arange(most + 1) - np.maximum(gain, 0)[:, None], 0)
            offered = np.take_along_axis(cost, still, axis=1) + way[:, None]
            better = offered < best
            best, chosen = np.where(better, offered, best), np.where(better, step.place, chosen)
        taken.append(chosen)
        cost = best
    return _walk_back(places, points, gap, table, list(changeable), taken, cost)


def _walk_back(places, points, gap, table, names, taken, cost) -> pd.DataFrame:
    row, left = np.arange(len(places)), np.asarray(gap, dtype=np.int64).copy()
    helps = np.isfinite(cost[row, left])
    found = {}
    for name, chosen in zip(reversed(names), reversed(taken), strict=True):
        to = np.where(helps, chosen[row, left], -1)
        rows = _rows(table, name)
        worth = np.zeros(int(rows.place.max()) + 1, dtype=np.int64)
        worth[rows.place] = rows.points
        gain = np.where(to >= 0, worth[np.maximum(to, 0)] - points[name].to_numpy(), 0)
        left, found[name] = np.maximum(left - gain, 0), to
    return pd.DataFrame(found, index=places.index)[names]


def _rows(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """A column's rows with the place of each: 0 unseen, 1 missing, special values, then ranges or groups in order."""
    rows = table[table.column == name]
    if rows.empty:
        known = ", ".join(filter(None, table.column.unique()))
        raise ValueError(f"{name} is not in the table of points. It has {known}.")
    rank = rows.kind.map({"unseen": 0, "missing": 1, "special": 2, "range": 3, "levels": 3})
    ordered = rows.iloc[np.argsort(rank.to_numpy(), kind="stable")]
    unseen = int((ordered.kind == "unseen").any())
    return ordered.assign(place=np.arange(len(ordered)) + 1 - unseen)


def _steps(rows: pd.DataFrame, direction: str) -> list[Step]:
    """The ranges or groups that one can move to."""
    if direction not in (UP, DOWN, EITHER):
        raise ValueError(f"A direction is {UP}, {DOWN} or {EITHER}, but {direction!r} is none. Declare one of them.")
    targets = rows[rows.kind.isin(["range", "levels"])]
    first, places = int(targets.place.min()), np.arange(int(rows.place.max()) + 1)
    found = []
    for kind, place, points in zip(targets.kind, targets.place, targets.points, strict=True):
        if kind == "levels":
            way = np.where(places == place, np.inf, 1.0)
        else:
            off = place - places.astype(float)
            open_ = {UP: off > 0, DOWN: off < 0, EITHER: off != 0}[direction]
            way = np.where(open_ & (places >= first), np.abs(off), np.inf)
        # from a value that has no place in the order (missing, special) one can go anywhere, by one step
        way = np.where(places < first, 1.0, way)
        found.append(Step(int(place), int(points), way))
    return found
