"""What a loan brings, in cents, counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.lending import Terms, break_even, expected_loss, exposure_cents, loan_profit, risk_at

TERMS = Terms(0.1, 0.5, 0.8, 500, usage=0.75, usage_elasticity=0.5, risk_elasticity=1.0)


def test_a_loan_counted_by_hand():
    """1,000.00 drawn at 10 % risk: .9 x .1 x 100,000 of margin, .1 x .5 x .8 x 100,000 of loss, 500 of cost."""
    assert expected_loss(0.1, 100_000, TERMS) == pytest.approx(4_000)
    assert loan_profit([0.1], [100_000], TERMS) == pytest.approx([9_000 - 4_000 - 500])
    assert loan_profit([0.0, 1.0], [100_000, 100_000], TERMS) == pytest.approx([9_500, -40_500])


def test_exposure_and_risk_answer_to_the_limit():
    """Four times the limit: twice the sum drawn; e times the limit: one more in log-odds. Nothing is drawn of none."""
    assert exposure_cents(100_000, [100_000, 400_000, 0], TERMS).tolist() == [75_000, 150_000, 0]
    assert exposure_cents(100_000, [10_000], TERMS).tolist() == [10_000]
    odds = risk_at([0.2], [100_000], [100_000 * np.e], TERMS)
    assert odds / (1 - odds) == pytest.approx([0.25 * np.e], rel=1e-4)
    assert risk_at([0.2], [100_000], [100_000], TERMS) == pytest.approx([0.2])


@given(st.floats(0, 1), st.integers(0, 10**7), st.floats(0, 0.5), st.floats(0.05, 1), st.integers(0, 5_000))
def test_a_loan_pays_just_below_its_break_even(p, exposure, margin, lgd, cost):
    terms = Terms(margin, lgd, 1.0, cost)
    at = break_even(exposure, terms)[0]
    assert 0 <= at <= 1
    if 0 < at < 1:
        assert loan_profit([at], [exposure], terms)[0] == pytest.approx(0, abs=1e-6 * max(exposure, 1))
    if p < at:
        assert loan_profit([p], [exposure], terms)[0] >= -1e-6
    elif p > at:
        assert loan_profit([p], [exposure], terms)[0] <= 1e-6


@pytest.mark.parametrize(
    ("terms", "says"),
    [(TERMS._replace(loss_given_default=1.2), "loss_given_default must lie between 0 and 1"),
     (TERMS._replace(margin=-0.1), "margin must lie"), (TERMS._replace(cost=-1), "cost must lie")],
)  # fmt: skip
def test_impossible_terms_are_refused(terms, says):
    with pytest.raises(ValueError, match=says):
        loan_profit([0.1], [100], terms)


def test_a_negative_exposure_is_refused():
    with pytest.raises(ValueError, match="exposure must not be negative, but 1 of 2"):
        loan_profit([0.1, 0.1], [100, -1], TERMS)
