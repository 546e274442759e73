"""What each cut-off brings: the share approved, the bad rate of those approved, and the profit, with intervals.

Outcomes are 0 (good) or 1 (bad), scores probabilities of default, exposures cents; arrays (n,), one entry a loan whose
end is known. All that follows is of such loans: what those would have done whom nobody lent to is another question.

[1] Thomas, Edelman & Crook (2017), Credit Scoring and Its Applications, 2nd edition, chapter 8: strategy curves.
"""

from typing import NamedTuple

import numpy as np

from evaluation.bootstrap import interval, resamples
from evaluation.calibration import wilson
from evaluation.comparison import Difference, difference_of_draws
from evaluation.estimate import Estimate, checked_outcomes, checked_probabilities, same_length, subject_codes
from evaluation.lending import Terms, loan_profit
from evaluation.tie_groups import at_shares, tie_groups

SHARES = np.linspace(0, 1, 101)
DRAWS = 300


class StrategyCurve(NamedTuple):
    """At each share approved, least risky first, the bad rate of those and their profit in cents; each (101,).

    The bad rate has Wilson's interval, the profit that of 300 bootstrap draws of subjects; each holds at one share.
    """

    share: np.ndarray
    bad_rate: np.ndarray
    bad_low: np.ndarray
    bad_high: np.ndarray
    profit: np.ndarray
    profit_low: np.ndarray
    profit_high: np.ndarray


def strategy_curve(y, p, exposure, terms: Terms, subjects=None, seed: int = 0) -> StrategyCurve:
    """What approving by `p` would have brought on loans whose outcomes are known; ties are approved evenly."""
    y, p = checked_probabilities(y, p)
    realised = loan_profit(y, exposure, terms)
    same_length(y, realised, "exposure")
    groups = tie_groups(-p)

    def profit(weight):
        size = groups.total(weight)
        return at_shares(size, groups.total(weight * realised), SHARES) * (y.size / size.sum())

    codes = subject_codes(subjects, y.size)
    value = profit(np.ones(y.size))
    drawn = np.array([profit(weight) for weight in resamples(y, codes, DRAWS, seed)])
    around = [interval(value[k], drawn[:, k]) for k in range(SHARES.size)]
    approved = SHARES * y.size
    bad = at_shares(groups.total(np.ones(y.size)), groups.total(y), SHARES)
    rate = np.divide(bad, approved, out=np.full(SHARES.size, np.nan), where=approved > 0)
    low, high = wilson(rate, np.maximum(approved, 1))
    return StrategyCurve(
        SHARES, rate, low, high, value, np.array([a.low for a in around]), np.array([a.high for a in around])
    )


def realised_profit(y, approved, exposure, terms: Terms, subjects=None, seed: int = 0) -> Estimate:
    """Profit in cents of a rule fixed beforehand: `approved` says whom (n,). 300 bootstrap draws of subjects."""
    y, approved = checked_outcomes(y, approved)
    gained = loan_profit(y, exposure, terms) * (approved > 0)
    codes = subject_codes(subjects, y.size)
    drawn = [(w * gained).sum() * (y.size / w.sum()) for w in resamples(y, codes, DRAWS, seed)]
    return interval(gained.sum(), np.array(drawn))


def approval_gain(y, first, second, exposure, terms: Terms, subjects=None, seed: int = 0) -> Difference:
    """What approving by the rule `second` brings more than by `first`, in cents on the same loans, paired."""
    y, first, second = checked_outcomes(y, first, second)
    gained = loan_profit(y, exposure, terms) * ((second > 0).astype(float) - (first > 0))
    codes = subject_codes(subjects, y.size)
    drawn = [(w * gained).sum() * (y.size / w.sum()) for w in resamples(y, codes, DRAWS, seed)]
    return difference_of_draws(float(gained.sum()), np.array(drawn))
