"""The best limit for each under one budget: against every plan there is, by laws, and for a million customers."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.limits import BUDGET, CAP, LARGEST, NOTHING, OWN, best_limits


def company(n: int, k: int, seed: int):
    """Profits that rise, then fall, with the limit; losses that rise. As a bank's would."""
    draw = np.random.default_rng(seed)
    limit = np.linspace(0.4, 1.6, k) * draw.lognormal(12, 0.6, (n, 1))
    pd = 1 / (1 + np.exp(-(draw.normal(-2.5, 1, (n, 1)) + 0.8 * np.log(limit / limit[:, [k // 2]]))))
    loss = 0.5 * pd * limit
    return 0.12 * (1 - pd) * limit - loss - 300, loss


def by_hand(profit, loss, allowed, budget) -> float:
    """The best plan's profit, by trying every plan."""
    n, k = profit.shape
    best = -np.inf
    for plan in product(range(-1, k), repeat=n):
        rows = [(i, j) for i, j in enumerate(plan) if j >= 0]
        if all(allowed[i, j] for i, j in rows) and sum(loss[i, j] for i, j in rows) <= budget:
            best = max(best, sum(profit[i, j] for i, j in rows))
    return best


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("share", [0.0, 0.2, 0.55, 0.9])
def test_no_plan_is_better(seed, share):
    """Six customers, three limits and none: all 4,096 plans."""
    profit, loss = company(6, 3, seed)
    allowed = np.random.default_rng(seed + 1).random(profit.shape) < 0.8
    budget = share * np.where(allowed & (profit > 0), loss, 0).max(axis=1).sum()
    found = best_limits(profit, loss, allowed, budget)
    assert found.loss <= budget * (1 + 1e-12)
    assert found.profit == pytest.approx(by_hand(profit, loss, allowed, budget), rel=1e-9, abs=1e-9)
    assert found.bound >= found.profit * (1 - 1e-12)


numbers = st.integers(-50, 100)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6),
       st.integers(0, 200))  # fmt: skip
def test_no_plan_is_better_whatever_the_numbers(rows, budget):
    """Ties, losses of zero, limits that bring nothing: whole numbers of any kind."""
    profit, loss = np.array([r[:2] for r in rows], float), np.array([r[2:] for r in rows], float)
    allowed = np.ones(profit.shape, dtype=bool)
    found = best_limits(profit, loss, allowed, budget)
    assert found.loss <= budget
    assert found.profit == pytest.approx(by_hand(profit, loss, allowed, budget))


def test_a_case_counted_by_hand():
    """Budget 10. Alone: both take their second. 4 cents of profit for 6 of loss against 5 for 5: the first steps back.
    A third may have no second by its grade, a fourth's loans bring nothing, a fifth would like more than there is."""
    profit = np.array([[5, 9], [4, 9], [1, 3], [-1, -2], [1, 2]], float)
    loss = np.array([[2, 8], [2, 7], [0, 0], [1, 1], [0, 0]], float)
    allowed = np.array([[1, 1], [1, 1], [1, 0], [1, 1], [1, 1]], bool)
    found = best_limits(profit, loss, allowed, 10)
    assert found.choice.tolist() == [0, 1, 0, -1, 1]
    assert found.binding.tolist() == [BUDGET, LARGEST, CAP, NOTHING, LARGEST]
    assert (found.profit, found.loss) == (17, 9)
    assert found.shadow_price == pytest.approx(4 / 6)


def test_a_customers_own_best_is_said_to_be_hers():
    found = best_limits([[1.0, 3.0, 2.0]], [[0.0, 1.0, 2.0]], np.ones((1, 3), bool), 100)
    assert (found.choice[0], found.binding[0], found.shadow_price) == (1, OWN, 0)


def test_a_shadow_price_is_what_one_more_unit_of_loss_brings():
    profit, loss = company(20_000, 5, 1)
    allowed = np.ones(profit.shape, bool)
    budget = 0.4 * loss[:, -1].sum()
    small, large = (best_limits(profit, loss, allowed, b) for b in (budget, budget * 1.001))
    worth = (large.profit - small.profit) / (0.001 * budget)
    assert large.shadow_price <= worth <= small.shadow_price
    assert worth == pytest.approx(small.shadow_price, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_of_many_customers_the_budget_is_used_and_the_bound_is_met(seed):
    profit, loss = company(30_000, 5, seed)
    allowed = np.ones(profit.shape, bool)
    budget = 0.3 * np.take_along_axis(loss, profit.argmax(axis=1)[:, None], axis=1).sum()
    found = best_limits(profit, loss, allowed, budget)
    assert 0.9999 * budget < found.loss <= budget
    assert found.bound - found.profit < 1e-6 * found.bound
    assert (found.binding == BUDGET).any() and found.shadow_price > 0


def test_more_budget_never_brings_less_and_caps_never_bring_more():
    profit, loss = company(2_000, 4, 4)
    every = np.ones(profit.shape, bool)
    full = np.take_along_axis(loss, profit.argmax(axis=1)[:, None], axis=1).sum()
    brought = [best_limits(profit, loss, every, share * full).profit for share in np.linspace(0, 1.2, 13)]
    assert (np.diff(brought) >= -1e-6).all()
    capped = every.copy()
    capped[::3, 2:] = False
    assert best_limits(profit, loss, capped, 0.5 * full).profit <= best_limits(profit, loss, every, 0.5 * full).profit


def test_equal_customers_share_what_fits():
    """A price alone gives all of them the limit, or none: the budget is for seven."""
    found = best_limits(np.full((10, 1), 5.0), np.full((10, 1), 3.0), np.ones((10, 1), bool), 23)
    assert (found.choice >= 0).sum() == 7 and found.loss == 21


def test_the_order_of_customers_changes_nothing():
    profit, loss = company(500, 4, 9)
    every, mixed = np.ones(profit.shape, bool), np.random.default_rng(1).permutation(500)
    budget = 0.3 * loss[:, -1].sum()
    one, other = best_limits(profit, loss, every, budget), best_limits(profit[mixed], loss[mixed], every, budget)
    assert other.choice.tolist() == one.choice[mixed].tolist()
    assert other.binding.tolist() == one.binding[mixed].tolist()


@pytest.mark.parametrize(
    ("loss", "budget", "says"),
    [([[1.0]], 1, "their shapes"), ([[1.0, -1.0]], 1, "must not be negative"), ([[1.0, np.nan]], 1, "must be finite"),
     ([[1.0, 1.0]], -1, "from 0 on")],
)  # fmt: skip
def test_impossible_books_are_refused(loss, budget, says):
    with pytest.raises(ValueError, match=says):
        best_limits([[1.0, 2.0]], loss, [[True, True]], budget)
