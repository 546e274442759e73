"""Measures of foretold amounts: cases counted by hand, laws, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.value import (
    bias,
    coverage,
    deciles,
    measures_of_value,
    normalised_gini,
    of_candidates,
    rmse,
    top_decile_share,
    value_gains,
)

amounts = st.lists(st.integers(0, 500), min_size=3, max_size=40).filter(lambda y: sum(y) > 0)


def test_gini_of_three_customers_by_hand():
    """0, 0 and 6: the best order has L = 0, 0, 1 and G = 1 - (0 + 0 + 1) / 3 = 2/3; the worst has G = -2/3."""
    assert normalised_gini([0, 0, 6], [1, 2, 3]) == pytest.approx(1)
    assert normalised_gini([0, 0, 6], [3, 2, 1]) == pytest.approx(-1)
    assert normalised_gini([0, 0, 6], [1, 3, 2]) == pytest.approx(0)


def test_equal_scores_share_what_they_got():
    """All alike: the curve is the diagonal. Two tied at the top, of whom one spent all: half a customer's way."""
    assert normalised_gini([0, 0, 6], [5, 5, 5]) == pytest.approx(0)
    assert normalised_gini([0, 0, 6], [1, 2, 2]) == pytest.approx(0.5)
    assert normalised_gini([4, 4, 4], [1, 2, 3]) == 0
    assert top_decile_share([10] * 10, [1] * 10) == pytest.approx(0.1)
    assert top_decile_share([10, 30, *[0] * 18], [3, 2, *[1] * 18]) == pytest.approx(1)


def test_level_by_hand():
    assert bias([10, 0, 30], [20, 0, 10]) == pytest.approx(-0.25)
    assert rmse([10, 0, 30], [20, 0, 10]) == pytest.approx(np.sqrt(500 / 3))


@settings(max_examples=60, deadline=None)
@given(amounts, st.randoms())
def test_order_of_rows_and_scale_of_scores_play_no_part(y, chance):
    score = [chance.randint(0, 5) for _ in y]
    order = list(range(len(y)))
    chance.shuffle(order)
    found = normalised_gini(y, score)
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert normalised_gini([y[i] for i in order], [np.exp(score[i]) for i in order]) == pytest.approx(found)
    assert normalised_gini(y, [-s for s in score]) == pytest.approx(-found)
    assert normalised_gini(y, y) in (pytest.approx(1), 0)


def test_intervals_hold_the_value_and_a_gain_is_paired():
    draw = np.random.default_rng(4)
    y = draw.gamma(0.5, 100, 400) * (draw.random(400) < 0.5)
    good, poor = y * draw.gamma(20, 1 / 20, 400) + 1, draw.permutation(y) + 1
    found = measures_of_value(y, good, seed=1)
    assert all(one.low <= one.value <= one.high for one in found.values())
    assert found["gini"].value == pytest.approx(normalised_gini(y, good))
    gains = value_gains(y, poor, good, seed=1)
    assert gains["gini"].low > 0.5 and gains["rmse"].low > 0
    assert gains["bias"].value == pytest.approx(abs(bias(y, poor)) - abs(bias(y, good)))
    same = value_gains(y, good, good, seed=1)
    assert all(one[:3] == (0, 0, 0) for one in same.values())


def test_deciles_add_up():
    y = np.arange(1.0, 31.0)
    found = deciles(y, y)
    assert found.customers.tolist() == [3] * 10 and found.share.sum() == pytest.approx(1)
    assert found.spent.iloc[0] == 29 and found.foretold.iloc[-1] == 2


def test_coverage_counts_ends_and_has_wilsons_interval():
    found = coverage([1, 2, 3, 9], [1, 0, 4, 8], [1, 2, 5, 9])
    assert (found.inside, found.of, found.share) == (3, 4, 0.75)
    assert (found.low, found.high) == (pytest.approx(0.3006, abs=1e-4), pytest.approx(0.9544, abs=1e-4))


def test_what_is_no_amount_is_refused():
    with pytest.raises(ValueError, match="must not be negative, but 1 of 2 are not, first at position 1"):
        normalised_gini([1, -2], [1, 2])
    with pytest.raises(ValueError, match="none has"):
        bias([0, 0], [1, 2])
    with pytest.raises(ValueError, match="must be finite"):
        rmse([1, 2], [1, np.nan])
    assert of_candidates([1, 3], {"a": [1, 2], "b": [2, 2]}).candidate.tolist() == ["a", "b"]


def test_intervals_end_where_everybody_or_nearly_nobody_spends():
    """A draw needs money, not somebody who spent nothing beside somebody who spent."""
    all_spend, one_spends = np.arange(1.0, 31.0), np.append(np.zeros(29), 50.0)
    for y in (all_spend, one_spends):
        found = measures_of_value(y, np.arange(1.0, 31.0), seed=1)
        assert np.isfinite([[*one] for one in found.values()]).all()
        assert np.isfinite([[*one] for one in value_gains(y, y + 1, np.arange(1.0, 31.0), seed=1).values()]).all()
