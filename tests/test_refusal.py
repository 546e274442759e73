"""Reasons whose points add up to the gap, and the smallest change, against trying every change there is."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.refusal import (
    DOWN,
    EITHER,
    UP,
    in_words,
    reasons_for_refusal,
    shares_of_gap,
    smallest_change,
)

POINTS = pd.DataFrame({"income": [30, -10, -20, 0], "age": [5, 5, -5, 15], "town": [10, 10, -10, 10]})
SCORE = POINTS.sum(axis=1).to_numpy() + 500  # 545, 505, 465, 525
CUTOFF = 520


def test_the_gap_is_shared_as_counted_by_hand():
    """The approved have 15, 10 and 10 points on average; the refused lack 25, 5, 0 (gap 15) and 35, 15, 20 (gap 55)."""
    shares = shares_of_gap(POINTS, SCORE, SCORE >= CUTOFF, CUTOFF)
    assert shares.index.tolist() == [1, 2]
    # 15 * 25 / 30 = 12.5 and 2.5: equal remainders, of which the first gets the point; 55 / 70 of 35, 15 and 20
    assert shares.to_numpy().tolist() == [[13, 2, 0], [27, 12, 16]]


def test_reasons_are_worded_ordered_and_the_rest_is_said():
    shares = shares_of_gap(POINTS, SCORE, SCORE >= CUTOFF, CUTOFF)
    words = pd.DataFrame({name: [f"{name} is low"] * 2 for name in POINTS}, index=shares.index)
    found = reasons_for_refusal(shares, words, count=2)
    assert found.to_numpy().tolist() == [
        ["income is low (-13 points)", "age is low (-2 points)", 0],
        ["income is low (-27 points)", "town is low (-16 points)", 12],
    ]
    four = reasons_for_refusal(shares, words)
    assert four.loc[1].tolist() == ["income is low (-13 points)", "age is low (-2 points)", "", "", 0]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_shares_add_up_to_the_gap_and_never_exceed_what_is_lacking(seed):
    draw = np.random.default_rng(seed)
    points = pd.DataFrame(draw.integers(-60, 60, (40, 5)), columns=list("abcde"))
    score = points.sum(axis=1).to_numpy()
    cutoff = int(np.quantile(score, 0.6))
    shares = shares_of_gap(points, score, score >= cutoff, cutoff)
    assert (shares.sum(axis=1) == cutoff - score[shares.index]).all() and (shares.to_numpy() >= 0).all()
    lacking = points[score >= cutoff].mean() - points.loc[shares.index]
    assert (shares.to_numpy() <= np.maximum(lacking.to_numpy(), 0) + 1).all()


def test_nobody_approved_or_one_below_the_cut_off_is_refused():
    for approved in (np.zeros(4, dtype=bool), np.ones(4, dtype=bool)):
        with pytest.raises(ValueError, match="at least 520"):
            shares_of_gap(POINTS, SCORE, approved, CUTOFF)


def table_of(**columns) -> pd.DataFrame:
    """A table of points: name to points of its ranges; a name in capitals is a category. Missing and unseen: -5, -6."""
    rows = []
    for name, points in columns.items():
        kind = "levels" if name.isupper() else "range"
        rows += [(name, kind, f"bin {k}", worth) for k, worth in enumerate(points)]
        rows += [(name, "missing", "missing", -5)] + [(name, "unseen", "not seen", -6)] * name.isupper()
    return pd.DataFrame(rows, columns=["column", "kind", "bin", "points"])


TABLE = table_of(income=[-20, -5, 10, 30], debts=[25, 5, -15], TOWN=[-10, 0, 12])
FIRST = 2  # of the ranges and groups, after unseen and missing


def points_at(places: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    found = {}
    for name in places:
        rows = table[table.column == name].set_index("kind").points
        worth = [rows.get("unseen", 0), rows["missing"], *rows[rows.index.isin(["range", "levels"])]]
        found[name] = np.array(worth)[places[name]]
    return pd.DataFrame(found)


def by_trying_all(places, gap, changeable, table):
    """The least (columns, bins on the way) that closes the gap, by every combination of targets; None: none does."""
    best = None
    now = points_at(pd.DataFrame([places]), table).iloc[0]
    targets = [range(FIRST, FIRST + (table.column == name).sum() - 1 - name.isupper()) for name in changeable]
    for move in itertools.product(*([None, *each] for each in targets)):
        columns = bins = gained = 0
        for (name, way), to in zip(changeable.items(), move, strict=True):
            if to is None:
                continue
            off = to - places[name]
            if off == 0 or (places[name] >= FIRST and not name.isupper() and {UP: off < 0, DOWN: off > 0}.get(way)):
                break
            gain = points_at(pd.DataFrame([{**places, name: to}]), table).iloc[0][name] - now[name]
            if gain <= 0:
                break
            near = name.isupper() or places[name] < FIRST
            columns, bins, gained = columns + 1, bins + (1 if near else abs(off)), gained + gain
        else:
            if gained >= gap and (best is None or (columns, bins) < best):
                best = (columns, bins)
    return best


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_no_change_is_smaller_than_the_one_found(seed):
    draw = np.random.default_rng(seed)
    table = table_of(income=draw.integers(-40, 40, 4), debts=draw.integers(-40, 40, 3), TOWN=draw.integers(-40, 40, 3))
    changeable = dict(zip(["income", "debts", "TOWN"], draw.choice([UP, DOWN, EITHER], 3).tolist(), strict=True))
    changeable["TOWN"] = EITHER
    places = pd.DataFrame(
        {"income": draw.integers(1, 6, 4), "debts": draw.integers(1, 5, 4), "TOWN": draw.integers(0, 5, 4)}
    )
    points, gap = points_at(places, table), draw.integers(1, 90, 4)
    found = smallest_change(places, points, gap, table, changeable)
    for row, there in places.iterrows():
        best, moved = by_trying_all(there.to_dict(), gap[row], changeable, table), found.loc[row]
        moves = moved[moved >= 0]
        if best is None:
            assert moves.empty
            continue
        after = there.where(moved < 0, moved)
        gained = points_at(pd.DataFrame([after]), table).sum(axis=1)[0] - points.loc[row].sum()
        bins = [1 if n.isupper() or there[n] < FIRST else abs(to - there[n]) for n, to in moves.items()]
        assert gained >= gap[row] and (len(moves), sum(bins)) == best


def test_the_change_by_hand_and_in_words():
    """-20, -15, -10 points and a gap of 30: two bins more of income is one column, and the next bin is not enough."""
    places = pd.DataFrame({"income": [2, 5], "debts": [4, 4], "TOWN": [2, 2]})
    points = points_at(places, TABLE)
    found = smallest_change(places, points, np.array([30, 70]), TABLE, {"income": UP, "TOWN": EITHER})
    assert found.to_numpy().tolist() == [[4, -1], [-1, -1]]  # the second has the best income and too few points to gain
    words = in_words(places.assign(income=[4, 1]), TABLE, {"income": "income in a month"})
    assert words.income.tolist() == ["income in a month: bin 2", "income in a month: missing"]
    assert words.TOWN.tolist() == ["TOWN: bin 0"] * 2


def test_a_column_or_direction_that_is_none_is_refused():
    places = pd.DataFrame({"income": [2]})
    for changeable, words in (({"wage": UP}, "wage is not in the table"), ({"income": "more"}, "'more' is none")):
        with pytest.raises(ValueError, match=words):
            smallest_change(places, points_at(places, TABLE), np.array([9]), TABLE, changeable)


def test_one_column_far_comes_before_two_columns_near():
    """25 points by three bins of income alone, or by one bin of each."""
    table = table_of(income=[0, 10, 20, 25], debts=[15, 0])
    places = pd.DataFrame({"income": [2], "debts": [3]})
    found = smallest_change(places, points_at(places, table), np.array([25]), table, {"income": UP, "debts": DOWN})
    assert found.to_numpy().tolist() == [[5, -1]]
