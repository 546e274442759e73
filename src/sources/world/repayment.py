r"""How a loan is paid: each month what is due is paid, or loans roll from one month behind to the next.

A roll-rate model [1], a Markov chain of the months that the oldest unpaid instalment is behind. In the month after the
t-th due day

* nothing behind: the instalment is missed with log-odds eta + v(t) + macro y, with y the calendar years since the world
  began and v the vintage's shape; else it is paid within the month;
* one or two behind: nothing is cleared with log-odds rho + kappa (eta + v(t) + macro y - level); else all is paid with
  probability `cures`, or the oldest instalment alone;
* three behind: default, for good. The oldest instalment is then 90 days late.

eta is what an applicant brings: strength, what the form says, and the limit. The vintage's shape is
v(t) = w (log(t / tau) + 1 - t / tau), zero at its peak tau: loans go bad neither at once nor late.

The same chain is drawn (`simulate`) and summed (`default_by`), so that drawn defaults have known probabilities.

[1] Cyert, Davidson & Thompson (1962), Estimation of the Allowance for Doubtful Accounts by Markov Chains,
    Management Science 8(3).
[2] Siddiqi (2017), Intelligent Credit Scoring, 2nd edition, chapter 4: vintages and roll rates.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from sources.world.applicants import Applications
from sources.world.credit import TERMS, Credit
from sources.world.draws import uniform

LONGEST = max(TERMS)
# who is behind after the last instalment is due has two more months to pay
PERIODS = LONGEST + 2
_IN_TIME = 25.0  # days after a due day within which a month's money comes


class Paths(NamedTuple):
    """What was paid when, of n loans. Instalments and periods count from 1; period j begins on the j-th due day.

    paid_in    (n, LONGEST): period in which an instalment was paid in full; 0 is never
    days_after (n, PERIODS): days after the due day on which a period's money comes; below 0 is early
    defaulted  (n,): period at whose end the loan is three behind; 0 is never
    oldest     (n,): the oldest unpaid instalment at default; 0 without one
    partly     (n,): share of that instalment that had been paid by then
    parts      payments that cleared nothing: loan, instalment, period, share of the instalment paid up to then
    """

    paid_in: np.ndarray
    days_after: np.ndarray
    defaulted: np.ndarray
    oldest: np.ndarray
    partly: np.ndarray
    parts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def burdened(credit: Credit, asked: Applications, strength: np.ndarray, multiple: np.ndarray | float) -> np.ndarray:
    """eta, at a strength and at a limit that is a multiple of the amount asked for; they broadcast with (n,)."""
    form = (
        credit.level
        + credit.by_burden * asked.scores["burden"]
        + credit.by_year * (asked.term / 12 - 3)
        + credit.by_young * np.maximum(30 - asked.age, 0) / 10
        + np.array(credit.by_purpose)[asked.purpose]
    )
    response = credit.pd_elasticity * np.exp(-credit.frailty * strength)
    return form - credit.by_strength * strength + response * np.log(multiple)


def defaults(
    credit: Credit, eta: np.ndarray, years: np.ndarray, term: np.ndarray, periods: int
) -> Iterator[np.ndarray]:
    """Probability of default in each of the first periods, one after the other; shapes as of eta.

    years   calendar years from the world's first day to the contract's start
    """
    none, one, two = np.ones(np.shape(eta)), np.zeros(np.shape(eta)), np.zeros(np.shape(eta))
    for j in range(1, periods + 1):
        misses, rolls, rolls_again = _chances(credit, eta, years, j)
        due = j <= term
        missed = none * misses * due
        stays = two * (1 - rolls_again) * (1 - credit.cures)
        stays_one = one * (1 - rolls) * (1 - credit.cures) * due
        behind, gone = one * rolls, two * rolls_again
        # after the last is due: who was two behind and pays the oldest has one left, which is then two behind
        stays_two = stays * (j <= term + 1)
        none = none + one + two - missed - stays_one - behind - stays_two - gone
        one, two = missed + stays_one, behind + stays_two
        yield gone


def default_by(credit: Credit, eta: np.ndarray, years: np.ndarray, term: np.ndarray, periods: int) -> np.ndarray:
    """Probability of default within the first periods."""
    return sum(defaults(credit, eta, years, term, periods))


def within_horizon(credit: Credit) -> int:
    """The last period whose default falls within `horizon` months, where the 90 days after a due day are three."""
    return credit.horizon - 1


def simulate(credit: Credit, seed: int, asked: Applications, eta: np.ndarray, years: np.ndarray) -> Paths:
    """Draw the chain for each application, whether it was accepted or not."""
    n = len(eta)
    paid_in, days_after = np.zeros((n, LONGEST), np.int8), np.zeros((n, PERIODS))
    defaulted, oldest, behind = np.zeros((3, n), np.int64)
    partly, parts = np.zeros(n), []
    for j in range(1, PERIODS + 1):
        at, misses = _month(seed, asked, j), _chances(credit, eta, years, j)
        open_ = (defaulted == 0) & ((j <= asked.term) | (behind > 0))
        fails = open_ & (at["pays"] < np.choose(behind, misses))
        clears = open_ & ~fails
        first = j - behind  # the oldest unpaid instalment
        alone = clears & (behind > 0) & (at["cures"] >= credit.cures)
        days_after[:, j - 1] = _days(credit, at, asked.strength, behind)
        for back in range(3):  # instalments due up to two periods before
            i = j - back
            if 1 <= i <= LONGEST:
                cleared = clears & (i >= first) & (i <= asked.term) & (~alone | (i == first))
                paid_in[cleared, i - 1] = j
        partly = np.where(clears, 0.0, partly)
        gives = fails & (at["gives"] < credit.partial)
        partly = np.where(gives, 1 - (1 - partly) * (1 - at["share"]), partly)
        parts.append((np.nonzero(gives)[0], first[gives], np.full(gives.sum(), j), partly[gives]))
        lost = fails & (behind == 2)
        defaulted, oldest = np.where(lost, j, defaulted), np.where(lost, first, oldest)
        stays = alone & (first < asked.term)
        behind = np.where(fails & ~lost, behind + 1, np.where(stays, behind, 0))
    together = tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    return Paths(paid_in, days_after, defaulted, oldest, partly * (defaulted > 0), together)


def _chances(credit: Credit, eta: np.ndarray, years: np.ndarray, j: int) -> tuple[np.ndarray, ...]:
    """Probability of clearing nothing in period j with none, one, two instalments behind."""
    vintage = credit.shape * (np.log(j / credit.peak) + 1 - j / credit.peak)
    log_odds = eta + vintage + credit.macro * (years + j / 12)
    more = credit.roll_slope * (log_odds - credit.level)
    return expit(log_odds), expit(credit.rolls[0] + more), expit(credit.rolls[1] + more)


def _month(seed: int, asked: Applications, j: int) -> dict[str, np.ndarray]:
    """The uniform numbers of a period, each a function of the customer, the application and the period alone."""
    index = asked.slot * 1_000 + j
    names = ("pays", "cures", "gives", "share", "punctual", "day")
    return {name: uniform(seed, f"repayment {name}", asked.customer_id, index) for name in names}


def _days(credit: Credit, at: dict[str, np.ndarray], strength: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Days after the due day: up to three early when punctual, else up to 25 late; who is behind is never early."""
    early = (at["punctual"] < expit(credit.punctual + credit.punctual_slope * strength)) & (behind == 0)
    return np.where(early, -3.0 * at["day"], _IN_TIME * at["day"] ** 2)
