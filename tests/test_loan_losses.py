"""What a default costs and how borrowers answer to a limit: counted by hand, and found again where it was drawn."""

import numpy as np
import pytest
from scipy.special import expit

from models.loan_losses import TooFewLoans, loss_given_default, ratio, risk_answer, usage_answer


def test_a_ratio_counts_large_loans_for_what_they_are():
    """Nineteen lose nothing of 1.00, one loses 90 of 100: 90 in 119, and not one in twenty."""
    found = loss_given_default([100] * 19 + [10_000], [100] * 19 + [1_000])
    assert found.value == pytest.approx(9_000 / 11_900)
    error = np.sqrt((19 * (found.value * 100) ** 2 + (9_000 - found.value * 10_000) ** 2) * 20 / 19) / 11_900
    assert found.high == pytest.approx(min(1, found.value + 1.959964 * error))


def test_more_than_was_owed_is_no_negative_loss():
    assert loss_given_default([100] * 30, [130] * 30).value == 0


def test_the_answer_to_a_limit_is_found_again():
    draw = np.random.default_rng(2)
    asked = np.rint(draw.lognormal(12, 0.5, 5_000))
    limit = asked * draw.choice([0.6, 0.8, 1.0, 1.25], 5_000)
    drawn = np.minimum(limit, asked * 0.8 * (limit / asked) ** 0.55 * np.exp(0.25 * draw.normal(size=5_000)))
    found = usage_answer(asked, limit, np.floor(drawn))
    assert (drawn == limit).mean() > 0.2  # without the censoring both would be far off
    assert found.usage.low < 0.8 < found.usage.high
    assert found.elasticity.low < 0.55 < found.elasticity.high
    assert found.elasticity.high - found.elasticity.low < 0.15


def test_the_risks_answer_is_found_again():
    draw = np.random.default_rng(3)
    p, multiple = draw.beta(2, 12, 20_000), draw.choice([0.6, 1.0, 1.5], 20_000)
    y = draw.random(20_000) < expit(np.log(p / (1 - p)) + 0.9 * np.log(multiple))
    found = risk_answer(y, p, np.full(20_000, 1_000.0), 1_000 * multiple)
    assert found.low < 0.9 < found.high and found.high - found.low < 0.3


def test_what_cannot_be_said_is_refused():
    with pytest.raises(TooFewLoans, match="needs 20 loans that ended, but has 3"):
        ratio([1, 1, 1], [2, 2, 2])
    same = np.full(50, 1_000.0)
    with pytest.raises(TooFewLoans, match="limits vary by 0.0000"):
        usage_answer(same, same, same * 0.7)
    with pytest.raises(TooFewLoans, match="loans of different limits"):
        risk_answer([0.0, 1.0] * 25, same / 2_000, same, same)
