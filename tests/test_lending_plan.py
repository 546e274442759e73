"""Whom to lend to and how much: counted by hand, and by laws."""

import numpy as np
import pandas as pd
import pytest

from decisions.lending import APPROVE, REFUSE, Rules, approved_up_to, book, cut_off, loan_plan
from decisions.limits import BUDGET, CAP, LARGEST, NOTHING
from evaluation.grades import MasterScale
from evaluation.lending import Terms, exposure_cents, loan_profit

SCALE = MasterScale((0.05, 0.2), (0.02, 0.1, 0.4))
TERMS = Terms(0.1, 0.5, 1.0, 0)
RULES = Rules((0.5, 1.0, 1.5), 1.5, 0.5, 1.0)


def scores(*p):
    return pd.DataFrame({"customer_id": range(1, len(p) + 1), "application_id": np.arange(len(p)) + 10, "score": p})


def test_a_plan_counted_by_hand():
    """A break-even of .1 / .6 = 1 in 6: the first gets all, the second what its grade may have, the third nothing."""
    plan, found = loan_plan(scores(0.01, 0.1, 0.3), [100_000, 100_000, 100_000], SCALE, TERMS, RULES)
    rows = plan.set_index("application_id")
    assert rows.grade.tolist() == ["A", "B", "C"]
    assert rows.action.tolist() == [APPROVE, APPROVE, REFUSE]
    assert rows.limit_cents.tolist() == [150_000, 100_000, 0]
    assert rows.binding.tolist() == [LARGEST, CAP, NOTHING]
    assert rows.expected_profit_cents.tolist() == [14_850 - 750, 9_000 - 5_000, 0]
    assert rows.expected_loss_cents.tolist() == [750, 5_000, 0]
    assert found.shadow_price == 0


def test_a_scarce_budget_goes_to_those_who_return_most_and_says_so():
    """A per cent of all that is asked for, 3,000 cents of loss: the second's 5,000 no longer fit, half of it does."""
    plan, found = loan_plan(scores(0.01, 0.1, 0.3), [100_000] * 3, SCALE, TERMS, RULES._replace(loss_share=0.011))
    rows = plan.set_index("application_id")
    assert rows.limit_cents.tolist() == [150_000, 50_000, 0]
    assert rows.binding.tolist() == [LARGEST, BUDGET, NOTHING]
    assert found.loss <= 3_300
    assert found.shadow_price > 0


def test_the_plan_is_in_order_of_profit_and_ties_of_ids():
    plan, _ = loan_plan(scores(0.1, 0.01, 0.01), [100_000] * 3, SCALE, TERMS, RULES)
    assert plan.application_id.tolist() == [11, 12, 10]


def test_a_flat_source_has_no_application_beside_its_subject():
    plan, _ = loan_plan(scores(0.01).drop(columns="application_id"), [100_000], SCALE, TERMS, RULES)
    assert plan.columns.tolist()[:2] == ["customer_id", "score"]


def test_caps_fall_from_grade_to_grade_and_hold():
    assert RULES.caps(SCALE).tolist() == [1.5, 1.0, 0.5]
    menu = book([0.01, 0.1, 0.3], [100_000] * 3, SCALE, TERMS, RULES)
    assert menu.allowed.sum(axis=1).tolist() == [3, 2, 1]


def test_no_other_cut_off_brings_more():
    draw = np.random.default_rng(2)
    p, asked = draw.beta(1, 8, 400), draw.lognormal(12, 0.5, 400)
    p[:40] = 0.15
    terms = TERMS._replace(cost=300)
    at = cut_off(p, asked, terms)
    gained = loan_profit(p, exposure_cents(asked, asked, terms), terms)
    assert gained[p <= at].sum() == pytest.approx(max(gained[p <= other].sum() for other in p))
    assert cut_off([0.9, 0.8], [100, 100], terms) == 0.0


def test_a_cut_off_lies_at_the_break_even_where_no_loan_says_where():
    """A break-even of 1 in 6: of one probability for all, and between two loans on either side of it."""
    asked = [100_000] * 3
    for p, at in (([0.05] * 3, 1 / 6), ([0.05, 0.1, 0.4], 1 / 6), ([0.05, 0.1, 0.16], 1 / 6)):
        assert cut_off(p, asked, TERMS) == pytest.approx(at)
    small_and_large = cut_off([0.1, 0.15, 0.155], [100_000, 100, 100], TERMS._replace(cost=3_000))
    assert 0.1 <= small_and_large < 0.15  # the small ones do not pay their cost


@pytest.mark.parametrize("price", [0.0, 0.7, 4.0])
def test_below_the_probability_told_some_limit_pays_and_above_it_none(price):
    draw = np.random.default_rng(3)
    asked = np.append(draw.lognormal(11, 1.2, 300), [1, 400])
    terms = Terms(0.1, 0.5, 0.9, 1_500, 0.8, 0.6, 0.4)
    told = approved_up_to(asked, price, SCALE, terms, RULES)
    assert (told == 0).any() and (told[told > 0] < 1).all() and len(set(np.round(told, 3))) > 5
    for nudge, pays in ((-1e-9, True), (1e-9, False)):
        menu = book(np.clip(told + nudge, 0, 1), asked, SCALE, terms, RULES)
        found = (np.where(menu.allowed, menu.profit - price * menu.loss, 0) > 0).any(axis=1)
        assert (found[told > 0] == pays).all() and not found[told == 0].any()


def test_at_the_price_of_loss_the_approved_lie_below_the_probability_told():
    draw = np.random.default_rng(4)
    asked, p = draw.lognormal(12, 0.5, 500), draw.beta(1, 6, 500)
    plan, found = loan_plan(scores(*p), asked, SCALE, TERMS, RULES._replace(loss_share=0.01))
    assert found.shadow_price > 0 and (plan.price_of_loss == found.shadow_price).all()
    wrong = (plan.action == APPROVE) != (plan.score < plan.approved_up_to)
    assert wrong.sum() <= 3  # the budget's last cents, which go where they fit
