r"""What is the ranking worth? Profit of contacting customers, in integer cents, and measures of expected cost.

A contact costs f. A customer who would leave is kept with probability g: she is worth CLV and takes the incentive d.
One who would stay takes the incentive with probability a and brings nothing new. With p the probability of leaving:

.. math:: \text{profit of a contact} = p\, g\, (CLV - d) - d\, (1 - p)\, a - f

g, a and the costs are declared, not measured: without a control group nobody knows them. Arrays are of shape (n,).

[1] Verbraken, Verbeke & Baesens (2013), A Novel Profit Maximizing Metric for Measuring Classification Performance of
    Customer Churn Prediction Models, IEEE TKDE 25(5): EMPC, equations (12) to (17).
[2] Hand & Anagnostopoulos (2014), A Better Beta for the H Measure of Classification Performance, Pattern Recognition
    Letters 40: severity Beta(1 + pi1, 1 + pi0). The older Beta(2, 2) gives other numbers.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betainc

from evaluation.bootstrap import interval, resamples
from evaluation.comparison import Difference, difference_of_draws
from evaluation.estimate import (
    Estimate,
    checked_outcomes,
    checked_scores,
    in_unit_interval,
    refuse,
    same_length,
    subject_codes,
)
from evaluation.tie_groups import Counts, at_shares, tie_groups

SHARES = np.linspace(0, 1, 101)
DRAWS = 500


class Offer(NamedTuple):
    """What is assumed of a retention offer; money in integer cents.

    contact_cost     f, of each contact, >= 0
    incentive        d, of each customer who takes it, >= 0
    success_rate     g, the share of leavers whom the contact keeps, in [0, 1]
    value_kept       CLV of a kept customer: one number, or one for each customer (n,)
    loyal_acceptance a, the share of stayers who take the incentive, in [0, 1]
    """

    contact_cost: int
    incentive: int
    success_rate: float
    value_kept: int | np.ndarray
    loyal_acceptance: float


class ProfitCurve(NamedTuple):
    """Total profit in cents of contacting the top `share` of the customers, with its 95% interval; each (101,)."""

    share: np.ndarray
    profit: np.ndarray
    low: np.ndarray
    high: np.ndarray


class BestContact(NamedTuple):
    """The best depth: contact scores >= `threshold` (infinite: nobody), a `share` of all, for `profit` cents."""

    share: float
    threshold: float
    profit: float


class ExpectedProfit(NamedTuple):
    """EMPC: expected maximum profit a customer, in the unit of CLV, and the share contacted on average."""

    value: float
    share: float


def contact_profit(p, offer: Offer) -> np.ndarray:
    """Expected profit in cents of contacting each customer, given the probability that she leaves.

    With what really happened, 0 or 1, in the place of `p`, it is the realised profit, still under the assumed g and a.
    """
    p, value = in_unit_interval(p), _checked_value(offer, np.size(p))
    f, d, g, _, a = offer
    return p * g * (value - d) - d * (1 - p) * a - f


def worth_contacting(p, offer: Offer) -> np.ndarray:
    """Whether contacting a customer is expected to bring more than it costs; booleans (n,)."""
    return contact_profit(p, offer) > 0


def break_even(offer: Offer):
    """The probability of leaving above which a contact pays; infinite where none does. Of the shape of value_kept."""
    value = _checked_value(offer, np.size(offer.value_kept))
    f, d, g, _, a = offer
    gained_by_leaving = g * (value - d) + d * a
    never = np.full(value.shape, np.inf)
    found = np.divide(f + d * a, gained_by_leaving, out=never, where=gained_by_leaving > 0)
    return found if np.ndim(offer.value_kept) else float(found[0])


def expected_profit(p, offer: Offer) -> np.ndarray:
    """Expected total profit in cents at each of `SHARES`, most profitable customers first, if `p` is right; (101,)."""
    profit = contact_profit(p, offer)
    groups = tie_groups(profit)
    return at_shares(groups.total(np.ones(profit.size)), groups.total(profit), SHARES)


def realised_profit_curve(y, score, offer: Offer, subjects=None, seed: int = 0) -> ProfitCurve:
    """What contacting by `score` would have brought on a test set whose outcomes `y` (1: left) are known.

    Ties are contacted evenly. The interval comes from 500 bootstrap draws of subjects from `seed`; it holds at each
    share by itself, and says nothing of the error in the assumed rates.
    """
    outcome, score = checked_outcomes(y, score)
    profit, groups = contact_profit(outcome, offer), tie_groups(score)

    def curve(weight):
        size = groups.total(weight)
        return at_shares(size, groups.total(weight * profit), SHARES) * (outcome.size / size.sum())

    value = curve(np.ones(outcome.size))
    codes = subject_codes(subjects, outcome.size)
    drawn = np.array([curve(weight) for weight in resamples(outcome, codes, DRAWS, seed)])
    around = [interval(value[k], drawn[:, k]) for k in range(SHARES.size)]
    return ProfitCurve(SHARES, value, np.array([at.low for at in around]), np.array([at.high for at in around]))


def realised_profit(y, contacted, offer: Offer, subjects=None, seed: int = 0) -> Estimate:
    """Total profit in cents of a rule fixed beforehand, on a test set: `contacted` says whom it chose (n,).

    The interval comes from 500 bootstrap draws of subjects from `seed`.
    """
    outcome, contacted = checked_outcomes(y, contacted)
    profit = contact_profit(outcome, offer) * (contacted > 0)
    codes = subject_codes(subjects, outcome.size)
    drawn = [
        (weight * profit).sum() * (outcome.size / weight.sum()) for weight in resamples(outcome, codes, DRAWS, seed)
    ]
    return interval(profit.sum(), np.array(drawn))


def profit_gain(y, first, second, offer: Offer, subjects=None, seed: int = 0) -> Difference:
    """What contacting by the rule `second` brings more than by `first`, in cents on the same test set.

    Both say whom they chose (n,). The interval comes from 500 bootstrap draws of subjects from `seed`.
    """
    outcome, first, second = checked_outcomes(y, first, second)
    profit = contact_profit(outcome, offer) * (second - first)
    codes = subject_codes(subjects, outcome.size)
    drawn = [
        (weight * profit).sum() * (outcome.size / weight.sum()) for weight in resamples(outcome, codes, DRAWS, seed)
    ]
    return difference_of_draws(profit.sum(), np.array(drawn))


def best_contact(profit, score) -> BestContact:
    """The depth of contacting by `score` that brings most of `profit` (cents a customer, (n,)); the least such depth.

    With realised profits the best depth *on* a test set is optimistic about itself: choose it from expected profits,
    or on other data, and judge it with `realised_profit`.
    """
    profit, score = checked_scores(profit, "profit"), checked_scores(score)
    same_length(profit, score, "score")
    groups = tie_groups(score)
    reached = np.concatenate([[0], np.cumsum(groups.total(profit))])
    read = np.concatenate([[0], np.cumsum(groups.total(np.ones(score.size)))]) / score.size
    thresholds = np.concatenate([[np.inf], score[groups.order][groups.starts]])
    best = int(np.argmax(reached))
    return BestContact(float(read[best]), float(thresholds[best]), float(reached[best]))


def empc(y, score, clv=200, incentive=10, contact_cost=1, alpha=6, beta=14) -> ExpectedProfit:
    """Expected maximum profit for churn [1], with the success rate unknown, g ~ Beta(alpha, beta); closed form.

    Every stayer is taken to accept the incentive, as in [1]. Defaults are the paper's, in euro. A ranking that says
    nothing still earns the better of contacting all and none.
    """
    outcome, score = checked_outcomes(y, score)
    return empc_of(tie_groups(score).counts(outcome), clv, incentive, contact_cost, alpha, beta)


def empc_of(counts: Counts, clv=200, incentive=10, contact_cost=1, alpha=6, beta=14) -> ExpectedProfit:
    """The same from counts of tie groups, best score first."""
    if not clv > incentive >= 0 or contact_cost < 0:
        raise ValueError(f"EMPC needs clv > incentive >= 0 and costs >= 0, but has {clv}, {incentive}, {contact_cost}.")
    hull = counts.hull()
    leavers, stayers = _reached(hull)
    # a further part of the hull pays from this success rate on; the vertex before it is best below
    wasted = (incentive + contact_cost) * hull.negative
    never = np.where(wasted > 0, np.inf, 0)  # a part without leavers, unless contacts cost nothing
    wasted_for_each = np.divide(wasted, hull.positive, out=never, where=hull.positive > 0)
    pays_from = (contact_cost + wasted_for_each) / (clv - incentive)
    edges = np.concatenate([[0], np.minimum(pays_from, 1), [1]])
    chance = np.diff(betainc(alpha, beta, edges))
    rate = alpha / (alpha + beta) * np.diff(betainc(alpha + 1, beta, edges))
    cost = contact_cost * leavers + (incentive + contact_cost) * stayers
    value = ((clv - incentive) * leavers * rate - cost * chance).sum()
    return ExpectedProfit(float(value), float(((leavers + stayers) * chance).sum()))


def h_measure(y, score, severity: tuple[float, float] | None = None) -> float:
    """Share of the avoidable expected loss that the ranking avoids [2], in [0, 1]; 0 for one that says nothing.

    Costs of the two errors are unknown: the relative cost of a false positive is c ~ Beta(`severity`). Without one it
    is the Beta(1 + pi1, 1 + pi0) of [2], with pi1 the share of positives; name it where you print the number, for
    older software takes (2, 2) or (2, 1 + pi0 / pi1). Closed form on the ROC hull.
    """
    outcome, score = checked_outcomes(y, score)
    return h_measure_of(tie_groups(score).counts(outcome), severity)


def h_measure_of(counts: Counts, severity: tuple[float, float] | None = None) -> float:
    """The same from counts of tie groups, best score first."""
    hull = counts.hull()
    positives, negatives = _reached(hull)
    pi1 = positives[-1]
    severity = severity or (1 + pi1, 2 - pi1)
    # on the hull a further part pays while c is below its own rate of positives
    edges = np.concatenate([[1], hull.positive / (hull.positive + hull.negative), [0]])
    false_positive, false_negative = _cost_weights(edges, *severity)
    loss = (negatives * false_positive + (pi1 - positives) * false_negative).sum()
    trivial = _cost_weights(np.array([1, pi1, 0]), *severity)
    worst = (1 - pi1) * trivial[0][1] + pi1 * trivial[1][0]
    return float(1 - loss / worst)


def _cost_weights(edges: np.ndarray, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of c and of 1 - c under Beta(a, b), between falling `edges`."""
    c = -a / (a + b) * np.diff(betainc(a + 1, b, edges))
    return c, -np.diff(betainc(a, b, edges)) - c


def _reached(hull: Counts) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives above each vertex of the hull, as shares of all rows, from none to all."""
    rows = hull.positive.sum() + hull.negative.sum()
    return tuple(np.concatenate([[0], np.cumsum(part)]) / rows for part in hull)


def _checked_value(offer: Offer, n: int) -> np.ndarray:
    """The value kept of each of n customers; raises ValueError for assumptions that cannot be."""
    for name in ("contact_cost", "incentive"):
        if getattr(offer, name) < 0:
            raise ValueError(f"{name} must not be negative, but is {getattr(offer, name)}. Give it in cents.")
    for name in ("success_rate", "loyal_acceptance"):
        if not 0 <= getattr(offer, name) <= 1:
            raise ValueError(f"{name} must lie in [0, 1], but is {getattr(offer, name)}.")
    value = np.broadcast_to(checked_scores(np.atleast_1d(offer.value_kept), "value_kept"), _shape(offer, n))
    money = np.concatenate([[offer.contact_cost, offer.incentive], np.atleast_1d(offer.value_kept)])
    refuse(money != np.rint(money), money, "money must be in whole cents", "Multiply euros by 100 and round.")
    return value


def _shape(offer: Offer, n: int) -> tuple[int]:
    if np.size(offer.value_kept) not in (1, n):
        raise ValueError(f"value_kept must be one number or {n:,}, but has {np.size(offer.value_kept):,} entries.")
    return (n,)
