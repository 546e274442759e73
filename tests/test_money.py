"""Money: against hand counts, numerical integration, and two published packages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from evaluation import money

OFFER = money.Offer(contact_cost=100, incentive=1000, success_rate=0.3, value_kept=20_000, loyal_acceptance=0.5)
Y = np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
SCORE = np.array(
    [0.95, 0.9, 0.85, 0.8, 0.8, 0.7, 0.65, 0.6, 0.6, 0.5, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05]
)
rated = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), max_size=40).map(
    lambda rows: np.array([(0, 0), (1, 1), *rows]).T
)


def reached(y, score):
    """Positives and negatives called positive at each threshold, as shares of all rows; nobody first."""
    called = score >= np.append(np.unique(score), np.inf)[:, None]
    return (called & (y == 1)).mean(axis=1), (called & (y == 0)).mean(axis=1)


def middles(density, a, b, steps=20_000):
    """Points and weights of the midpoint rule under a Beta density."""
    at = (np.arange(steps) + 0.5) / steps
    return at, density(at, a, b) / steps


def empc_by_integration(y, score, clv=200, d=10, f=1, a=6, b=14):
    leavers, stayers = reached(y, score)
    g, weight = middles(beta.pdf, a, b)
    profit = leavers[:, None] * (g * (clv - d) - f) - stayers[:, None] * (d + f)
    return (profit.max(axis=0) * weight).sum()


def h_by_integration(y, score, a, b):
    positives, negatives = reached(y, score)
    c, weight = middles(beta.pdf, a, b)
    loss = (c * negatives[:, None] + (1 - c) * (y.mean() - positives)[:, None]).min(axis=0)
    return 1 - (loss * weight).sum() / (np.minimum(c * (1 - y.mean()), (1 - c) * y.mean()) * weight).sum()


def test_profit_of_a_contact_by_hand():
    """Leaving with .2: .2 x .3 x 19,000 - 1,000 x .8 x .5 - 100 = 640 cents; stayers cost 600, leavers bring 5,600."""
    assert money.contact_profit([0.2, 0, 1], OFFER) == pytest.approx([640, -600, 5600])
    assert money.break_even(OFFER) == pytest.approx(600 / 6200)
    assert money.worth_contacting([600 / 6200 - 1e-6, 600 / 6200 + 1e-6], OFFER).tolist() == [False, True]


def test_each_customer_has_her_own_value():
    own = OFFER._replace(value_kept=np.array([20_000, 1000, 0]))
    assert money.contact_profit([0.2, 0.2, 0.2], own) == pytest.approx([640, -500, -560])
    assert money.break_even(own)[1] > 1
    assert money.break_even(own._replace(loyal_acceptance=0.0))[2] == np.inf


def test_realised_curve_by_hand():
    """Best scores first 1, then 0 and 1 tied, then 0: 5,600, then on to 10,600 evenly, then 10,000 cents."""
    curve = money.realised_profit_curve([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1], OFFER)
    assert curve.profit[[0, 25, 50, 75, 100]] == pytest.approx([0, 5600, 8100, 10_600, 10_000])
    assert np.all((curve.low <= curve.profit + 1e-6) & (curve.profit <= curve.high + 1e-6))
    profit = money.contact_profit([1, 0, 1, 0], OFFER)
    assert money.best_contact(profit, [0.9, 0.5, 0.5, 0.1]) == pytest.approx((0.75, 0.5, 10_600))
    assert money.best_contact(-np.abs(profit), [0.9, 0.5, 0.5, 0.1]) == (0, np.inf, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_expected_profit_ends_at_the_sum_and_is_highest_for_those_worth_it(p):
    curve, profit = money.expected_profit(p, OFFER), money.contact_profit(p, OFFER)
    assert curve[-1] == pytest.approx(profit.sum(), abs=1e-6)
    best = money.best_contact(profit, p)
    assert best.profit == pytest.approx(profit[money.worth_contacting(p, OFFER)].sum(), abs=1e-6)
    assert np.all(curve <= best.profit + 1e-6)


def test_bootstrap_of_a_rule_agrees_with_the_central_limit_and_repeats():
    rng = np.random.default_rng(5)
    p = rng.random(3000)
    y = (rng.random(3000) < p).astype(int)
    found = money.realised_profit(y, p > 0.4, OFFER, seed=3)
    error = np.sqrt(3000) * (money.contact_profit(y, OFFER) * (p > 0.4)).std()
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.12)
    assert found == money.realised_profit(y, p > 0.4, OFFER, seed=3)
    # two copies of each subject bring twice the profit with twice the error, not sqrt(2) times
    ids, copies = np.tile(np.arange(3000), 2), (np.tile(y, 2), np.tile(p > 0.4, 2))
    doubled = money.realised_profit(*copies, OFFER, subjects=ids, seed=3)
    assert doubled == pytest.approx(2 * np.array(found))


def test_empc_as_in_empulse():
    """empulse 0.13.1, empc_score(y, score): defaults; clv 120, incentive 20, contact 3, Beta(2, 5); reversed scores."""
    assert money.empc(Y, SCORE).value == pytest.approx(12.428241212188453, abs=1e-12)
    assert money.empc(Y, SCORE, 120, 20, 3, 2, 5).value == pytest.approx(2.467647421671095, abs=1e-12)
    assert money.empc(Y, SCORE[::-1]).value == pytest.approx(9.158217457313896, abs=1e-12)


def test_h_measure_as_in_hmeasure():
    """hmeasure 0.1.6, h_score(y, score): its severity is Beta(2, 1 + pi0 / pi1); with severity_ratio=1 Beta(2, 2)."""
    assert money.h_measure(Y, SCORE, (2, 1 + 0.7 / 0.3)) == pytest.approx(0.33593118167681724, abs=1e-12)
    assert money.h_measure(Y, SCORE, (2, 2)) == pytest.approx(0.2925783907761115, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(rated, st.sampled_from([(200, 10, 1, 6, 14), (120, 20, 3, 2, 5), (50, 0, 0, 1, 1)]))
def test_empc_is_the_integral_it_closes(table, assumptions):
    y, score = table
    assert money.empc(y, score, *assumptions).value == pytest.approx(
        empc_by_integration(y, score, *assumptions), abs=1e-4
    )


@settings(max_examples=25, deadline=None)
@given(rated)
def test_h_measure_is_the_integral_it_closes(table):
    y, score = table
    pi1 = y.mean()
    assert money.h_measure(y, score) == pytest.approx(h_by_integration(y, score, 1 + pi1, 2 - pi1), abs=1e-4)


@given(rated)
def test_a_useless_ranking_earns_the_better_of_all_and_none(table):
    y, _ = table
    g, weight = middles(beta.pdf, 6, 14)
    all_or_none = np.maximum(0, y.mean() * (g * 190 - 1) - (1 - y.mean()) * 11)
    useless = money.empc(y, np.ones(y.size)).value
    assert useless == pytest.approx((all_or_none * weight).sum(), abs=1e-4)
    assert money.empc(y, table[1]).value >= useless - 1e-9
    assert money.h_measure(y, np.ones(y.size)) == pytest.approx(0, abs=1e-12)
    assert money.h_measure(y, y) == pytest.approx(1)


def test_share_of_empc_runs_from_nobody_to_everybody():
    assert money.empc(Y, SCORE, contact_cost=1000).share == pytest.approx(0, abs=1e-12)
    assert money.empc(Y, SCORE, incentive=0, contact_cost=0).share == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"contact_cost": -1}, "contact_cost must not be negative"),
        ({"incentive": 9.99}, "whole cents"),
        ({"success_rate": 30}, "success_rate must lie"),
        ({"loyal_acceptance": -0.1}, "loyal_acceptance"),
        ({"value_kept": np.array([1, 2, 3])}, "one number or 2"),
        ({"value_kept": np.nan}, "finite"),
    ],
)
def test_impossible_assumptions_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        money.contact_profit([0.1, 0.2], OFFER._replace(**change))


def test_an_incentive_above_the_value_has_no_empc():
    with pytest.raises(ValueError, match="clv > incentive"):
        money.empc(Y, SCORE, clv=5)
