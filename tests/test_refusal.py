"""Reasons whose points add up to the gap, and the smallest change, against trying every change there is."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.lending import APPROVE, REFUSE
from decisions.refusal import (
    DOWN,
    EITHER,
    NEVER,
    UP,
    WAYS,
    Ladder,
    Reader,
    Scale,
    change_in_words,
    explained,
    ladders,
    reasons_for_refusal,
    shares_of_gap,
    smallest_change,
    usual,
    ways_in,
)

SCALE = Scale(20, 600, 50)
POINTS = pd.DataFrame({"income": [-10, -20], "age": [5, -5], "town": [10, -10]}, index=[7, 9])
USUAL = {"income": 15, "age": 10, "town": 10}
OWN = {name: name for name in (*POINTS, "debts")}
SAY = {name: (lambda value, name=name: f"{name}: {value:g}") for name in OWN}


def test_the_gap_is_shared_as_counted_by_hand():
    """25, 5 and 0 points below the approved (gap 15); 35, 15 and 20 (gap 55)."""
    shares = shares_of_gap(np.array([[25.0, 5.0, 0.0], [35.0, 15.0, 20.0], [0.0, 0.0, 0.0]]), np.array([15, 55, 9]))
    # 15 * 25 / 30 = 12.5 and 2.5: equal remainders, of which the first gets the point; 55 / 70 of 35, 15 and 20
    assert shares.tolist() == [[13, 2, 0], [27, 12, 16], [0, 0, 0]]


def test_reasons_are_worded_ordered_and_the_rest_is_said():
    found = reasons_for_refusal(POINTS, np.array([15, 55]), USUAL, POINTS, OWN, SAY, count=2)
    assert found.index.tolist() == [7, 9]
    assert found.to_numpy().tolist() == [
        ["income: -10 (-13 points)", "age: 5 (-2 points)", 0],
        ["income: -20 (-27 points)", "town: -10 (-16 points)", 12],
    ]
    four = reasons_for_refusal(POINTS, np.array([15, 55]), USUAL, POINTS, OWN, SAY)
    assert four.loc[7].tolist() == ["income: -10 (-13 points)", "age: 5 (-2 points)", "", "", 0]


def test_columns_of_one_topic_are_one_reason_in_the_words_of_the_one_that_lacks_most():
    """Income lacks 25 and age 5, which are one topic; town lacks 20: 55 points are shared as 35 + 15 to 20."""
    topics = {"income": "means", "age": "means", "town": "town"}
    found = reasons_for_refusal(POINTS, np.array([15, 70]), USUAL, POINTS, topics, SAY, count=2)
    assert found.loc[9].tolist() == ["income: -20 (-50 points)", "town: -10 (-20 points)", 0]


def test_who_lacks_nothing_beside_the_approved_has_no_reason_and_all_points_left():
    found = reasons_for_refusal(POINTS + 90, np.array([4, 5]), USUAL, POINTS, OWN, SAY, count=1)
    assert found.to_numpy().tolist() == [["", 4], ["", 5]]


def test_a_model_that_reads_no_column_gives_no_reason():
    found = reasons_for_refusal(POINTS[[]], np.array([4, 5]), {}, POINTS, {}, {}, count=2)
    assert found.to_numpy().tolist() == [["", "", 4], ["", "", 5]]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_shares_add_up_to_the_gap_and_follow_what_is_lacking(seed):
    draw = np.random.default_rng(seed)
    lacking, gap = draw.uniform(0, 60, (40, 5)) * (draw.random((40, 5)) < 0.6), draw.integers(1, 90, 40)
    lacking[:, 0] += 1
    shares = shares_of_gap(lacking, gap)
    assert (shares.sum(axis=1) == gap).all() and (shares >= 0).all()
    assert (np.abs(shares - lacking / lacking.sum(axis=1, keepdims=True) * gap[:, None]) <= 1).all()


FORMS = pd.DataFrame(
    {"income": [1.0, 2.5, np.nan, 4.0, 9.0], "debts": [3.0, 0.0, 2.0, 3.0, 1.0], "TOWN": ["x", "y", "z", "x", "y"],
     "age": [30.0, 40.0, 50.0, 60.0, 20.0]},
    index=[3, 5, 8, 13, 21],
).astype({"TOWN": "category"})  # fmt: skip


def by_trying_all(form: pd.Series, on, approves):
    """The least (columns, steps) that helps, by every change of up to two columns; None: none does."""
    best = None
    for size in (1, 2):
        for names in itertools.combinations(on, size):
            for values in itertools.product(*(on[name].values for name in names)):
                steps = 0.0
                for name, value in zip(names, values, strict=True):
                    way, rungs, now = on[name].way, on[name].values, form[name]
                    if name.isupper():
                        steps += 1 if value != now else np.inf
                    elif np.isnan(now):
                        steps += 1
                    elif value > now:
                        steps += np.inf if way == DOWN else sum(now < rung <= value for rung in rungs)
                    else:
                        steps += np.inf if way == UP or value == now else sum(value <= rung < now for rung in rungs)
                other = FORMS.loc[[form.name]].assign(**{n: pd.Categorical([v], FORMS.TOWN.cat.categories) if n.isupper() else v for n, v in zip(names, values, strict=True)})  # fmt: skip  # noqa: E501
                if np.isfinite(steps) and approves(other)[0] and (best is None or (size, steps) < best):
                    best = (size, steps)
        if best:
            return best
    return best


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6))
def test_no_change_is_smaller_than_the_one_found(seed):
    """Of a model that is no sum of its columns."""
    draw = np.random.default_rng(seed)
    on = {name: Ladder(str(draw.choice(WAYS)), tuple(range(5))) for name in ("income", "debts")}
    on["TOWN"] = Ladder(EITHER, ("x", "y", "z"))
    a, b, c, town = draw.normal(0, 1, (4, 3))

    def approves(forms):
        income, debts = forms.income.fillna(-1).to_numpy(), forms.debts.to_numpy()
        value = a[0] * income + b[0] * debts + c[0] * income * debts + town[forms.TOWN.cat.codes]
        return value > 4 * a[1] + 3

    found = smallest_change(FORMS, on, approves)
    assert found.index.tolist() == FORMS.index.tolist()
    for name, form in FORMS.iterrows():
        moved = found.loc[name].dropna()
        best = by_trying_all(form, on, approves)
        if best is None:
            assert moved.empty
            continue
        steps = sum(on[n].steps(FORMS.loc[[name], n])[0, list(on[n].values).index(v)] for n, v in moved.items())
        other = FORMS.loc[[name]].assign(**{n: pd.Categorical([v], FORMS.TOWN.cat.categories) if n.isupper() else v for n, v in moved.items()})  # fmt: skip  # noqa: E501
        assert approves(other)[0] and (len(moved), steps) == best


def test_steps_are_counted_on_the_ladder_in_the_way_declared():
    now = pd.Series([3.0, 2.5, np.nan])
    inf = np.inf
    assert Ladder(EITHER, (1, 3, 5, 9)).steps(now).tolist() == [[1, inf, 1, 2], [1, 1, 2, 3], [1, 1, 1, 1]]
    assert Ladder(UP, (1, 3, 5, 9)).steps(now).tolist() == [[inf, inf, 1, 2], [inf, 1, 2, 3], [1, 1, 1, 1]]
    assert Ladder(DOWN, (1, 3, 5, 9)).steps(now).tolist() == [[1, inf, inf, inf], [1, inf, inf, inf], [1, 1, 1, 1]]
    assert Ladder(EITHER, ("x", "y")).steps(pd.Series(["y", None])).tolist() == [[1, inf], [1, 1]]


def test_a_ladder_is_of_values_that_occur():
    table = pd.DataFrame({"amount": [5.0, 1, 1, 9, np.nan, 7], "town": ["b", "a", "b", None, "b", "b"]})
    found = ladders(table, {"amount": DOWN, "town": EITHER})
    assert found["amount"] == (DOWN, (1.0, 5.0, 7.0, 9.0)) and found["town"] == (EITHER, ("a", "b"))


def test_a_change_in_words():
    change = pd.DataFrame({"income": [4.0, None, None], "age": [50.0, 40.0, None]}, dtype=object)
    said = change_in_words(change, FORMS.iloc[:3].reset_index(drop=True), SAY)
    assert said.tolist() == ["income: 4 (now 1) and age: 50 (now 30)", "age: 40 (now 40)", ""]


def test_what_can_be_changed_is_read_and_refused():
    assert ways_in(" amount:down, term:either") == {"amount": DOWN, "term": EITHER} and ways_in("") == {}
    for text in ("amount", "amount:more", ":up"):
        with pytest.raises(ValueError, match="is written as column:way"):
            ways_in(text)


def test_a_plan_is_explained_to_the_point():
    """A log-odds of .3 less income a unit. 100 in 1 odds are 620 points; the bound, odds of 3 to 1, is at 518.8."""
    forms = pd.DataFrame({"income": [16.0, 2.0, 1.0, 3.0], "debts": 0.0})

    def log_odds(form):
        return pd.DataFrame({"income": -0.3 * form.income, "debts": 0 * form.debts}, index=form.index)

    def probability(form):
        return 1 / (1 + np.exp(0.3 * form.income.to_numpy()))

    plan = pd.DataFrame(
        {"customer_id": [4, 3, 2, 1], "score": probability(forms), "action": [APPROVE, REFUSE, REFUSE, REFUSE],
         "approved_up_to": [0.25, 0.25, 0.0, 0.9]}
    )  # fmt: skip
    typical = usual(SCALE, log_odds(forms[:1]))
    assert typical["income"] == pytest.approx(20 / np.log(2) * 4.8) and typical["debts"] == 0
    reader = Reader(SCALE, typical, {"income": Ladder(UP, (2.0, 3.0, 4.0, 16.0))}, OWN, SAY)
    told = explained(plan, forms, log_odds, lambda form: probability(form) < 0.25, reader)
    # 600 + 20 / ln 2 * (.6 - ln 50) is 504.4 points; what lies below a probability of .25 begins at 519
    assert told.points.tolist()[1] == 504 and told.points_lacking[1] == 519 - 504
    assert told.refusal_1[1] == "income: 2 (-15 points)" and told.change[1] == "income: 4 (now 2)"
    assert told.refusal_1[2] == NEVER and pd.isna(told.points_lacking[2])
    # approved, or refused only since the budget had no more: nothing is lacking
    for row in (0, 3):
        assert told.loc[row, ["refusal_1", "refusal_4", "change"]].tolist() == ["", "", ""]
        assert pd.isna(told.points_lacking[row]) and pd.isna(told.refusal_others[row])
    assert told.customer_id.tolist() == [4, 3, 2, 1]


def test_where_nobody_is_refused_there_is_nothing_to_explain():
    plan = pd.DataFrame({"customer_id": [1], "score": [0.1], "action": [APPROVE], "approved_up_to": [0.2]})
    forms = pd.DataFrame({"income": [1.0]})
    reader = Reader(SCALE, {"income": 0.0}, {"income": Ladder(UP, (2.0,))}, OWN, SAY)
    told = explained(plan, forms, lambda form: -form, lambda form: np.zeros(len(form), bool), reader)
    assert told[["refusal_1", "change"]].to_numpy().tolist() == [["", ""]] and told.points_lacking.isna().all()
