"""Customer equity, its statement, the quadrants and what to invest in: counted by hand, and laws."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import Refused
from decisions.equity import Terms, customer_equity, of_new_customer, roll_forward
from decisions.quadrants import Investment, invest, quadrants


def test_terms_by_hand():
    """Of 10,000 cents in two purchases: 30 % less 2 x 350; of each cent of purchases of 5,000 so 0.23."""
    assert Terms(0.3, 350).earned([10_000.0], [2])[0] == pytest.approx(2_300)
    assert Terms(0.3, 350).share([5_000.0])[0] == pytest.approx(0.23)
    assert of_new_customer(2_300.4, Terms(acquire_cents=2_500)) == -200
    with pytest.raises(Refused, match="margin must be a share"):
        Terms(30)
    with pytest.raises(Refused, match="serve_cents must not be negative"):
        Terms(serve_cents=-1)


def test_equity_by_segment_adds_up_by_hand():
    values = pd.DataFrame(
        {
            "customer_id": [1, 2, 3],
            "region": ["b", "a", None],
            "past": [100, 200, 300],
            "present": [10.4, 20.6, 30.5],
            "potential": [1, 2, 3],
        }
    )
    found = customer_equity(values, "region").set_index("segment")
    assert list(found.index) == ["a", "b", "not told", "total"]
    assert found.loc["a"].tolist() == [1, 200, 21, 2, 23]
    assert found.loc["total"].tolist() == [3, 600, 61, 6, 67]  # 10 + 21 + 30
    with pytest.raises(Refused, match="not for 1 of 3 customers, first at position 1"):
        customer_equity(values.assign(present=[1, np.nan, 2]), "region")


def test_the_statement_by_hand():
    opening = pd.DataFrame({"customer_id": [1, 2, 3], "value": [1_000, 500, 250], "kind": ["a", "b", "a"]})
    closing = pd.DataFrame({"customer_id": [2, 3, 4], "value": [700, 200, 90], "kind": ["b", "b", "a"]})
    found = roll_forward(opening, closing)
    assert found.iloc[0].tolist() == ["total", 1_750, 90, 1_000, 150, 990]
    by = roll_forward(opening, closing, "kind").set_index("segment")
    assert by.loc["a"].tolist() == [1_250, 90, 1_000, -50, 290]  # the customer who moved stays where she was
    assert by.loc["b"].tolist() == [500, 0, 0, 200, 700]
    silent = roll_forward(opening, closing, silent=[2, 3]).iloc[0]  # 3 fell by 50; 2 rose, which is no loss
    assert silent.tolist() == ["total", 1_750, 90, 1_050, 200, 990]
    with pytest.raises(Refused, match="1 of 4 rows are repeated, first customer 3"):
        roll_forward(pd.concat([opening, opening.tail(1)]), closing)


worth = st.dictionaries(st.integers(1, 30), st.floats(-1e6, 1e7), max_size=20)


@settings(max_examples=80, deadline=None)
@given(worth, worth)
def test_a_statement_adds_up_to_the_cent(before, after):
    days = [
        pd.DataFrame({"customer_id": list(d), "value": list(d.values()), "kind": [str(c % 3) for c in d]}, dtype=object)
        for d in (before, after)
    ]
    for found in (roll_forward(*days), roll_forward(*days, "kind")):
        assert (found.opening + found.new - found.lost + found.repriced == found.closing).all()
        parts, total = found[found.segment != "total"], found[found.segment == "total"]
        if len(parts):
            assert parts.sum(numeric_only=True).tolist() == total.sum(numeric_only=True).tolist()


def test_quadrants_by_hand():
    """Borders 10 and 100; what is brought now is known, of what is to come there are four draws each."""
    now = np.array([20.0, 5, 20, 0])
    to_come = np.array([[150.0, 150, 50, 50], [200, 200, 200, 80], [90, 90, 90, 110], [0, 0, 0, 0]])
    found = quadrants(now, to_come, (10, 100))
    assert found.quadrant.tolist() == ["VIP", "improve", "maintain", "let go"]
    assert found[["p_improve", "p_vip", "p_maintain", "p_let_go"]].to_numpy().tolist() == [
        [0, 0.5, 0.5, 0],
        [0.75, 0, 0, 0.25],
        [0, 0.25, 0.75, 0],
        [0, 0, 0, 1],
    ]
    # called high, and 50 below in two of four, or 20 in one; the third is called low, and is 10 above in one of four
    assert found.cost_of_wrong.tolist() == pytest.approx([25, 5, 2.5, 0])
    with pytest.raises(Refused, match="a row for each of 4 customers"):
        quadrants(now, to_come[:2], (10, 100))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1_000))
def test_the_class_taken_costs_least(seed):
    draw = np.random.default_rng(seed)
    now, to_come = draw.gamma(1, 20, 6), draw.gamma(1, 200, (6, 30))
    found = quadrants(now, to_come, (15, 150))
    assert found.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(np.ones(6))
    assert (found.quadrant.isin(["VIP", "maintain"]) == (now > 15)).all()
    for high in (True, False):
        cost = (np.abs(to_come - 150) * ((to_come > 150) != high)).mean(axis=1)
        assert (found.cost_of_wrong <= cost + 1e-9).all()


def test_what_to_invest_in_by_hand():
    potential = np.array([[1_000.0] * 10, [1_000.0] * 5 + [0] * 5, [100.0] * 10])
    found = invest(potential, Investment(cents=50, lift=0.1))
    assert found.advice.tolist() == ["invest", "hold", "do not invest"]
    assert found.expected_gain_cents.tolist() == pytest.approx([50, 0, -40])
    assert found.p_gain.tolist() == [1, 0.5, 0]
    with pytest.raises(Refused, match="sure between 0.5 and 1"):
        Investment(10, 0.1, 0.4)
