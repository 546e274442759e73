r"""Who asks for money, and what the form says: one hidden cause, financial strength z, behind many noisy signs.

A customer applies with probability Phi(c - s z). Of those who apply, each sign is a monotone function of a standard
score x_j = l_j z + sqrt(1 - l_j^2) e_j (one-factor model, [1]), or a count or class whose distribution depends on z.
So the distribution of z given the form is known up to a constant, and what can be said at best of an applicant from the
form alone is one sum over z (`posterior`).

[1] Spearman (1904), "General Intelligence," Objectively Determined and Measured, American Journal of Psychology 15(2).
[2] Vasicek (2002), The Distribution of Loan Portfolio Value, Risk: one factor behind default.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri, pdtr

from sources.world.credit import TERMS, Credit
from sources.world.draws import choice, normal, uniform
from sources.world.parameters import World

MOST_LOANS = 9
# strength is summed over evenly spaced points: the trapezoid rule is exact to ten digits for densities this smooth
STRENGTHS = np.linspace(-6.0, 6.0, 49)
MONTHS_IN_A_YEAR = 12
AMOUNTS_IN = 1_000  # amounts are asked for in tens of whole units


class Applications(NamedTuple):
    """Applications of a part, arrays of shape (n,), in the order of their ids.

    row          of the customer in the part; `slot` 0 for a first application, 1 for a second
    applied      day of it; `decided` the day of the lender's answer, on which a contract starts
    strength     the hidden cause
    income_cents a month; `employment_years`; `age`; `term` in months; `amount_cents` asked for
    purpose, housing   numbers in PURPOSES and HOUSINGS
    loans        elsewhere; `bureau` points, NaN without a file
    scores       name -> standard score behind a sign; that of the bureau NaN without a file
    """

    application_id: np.ndarray
    customer_id: np.ndarray
    row: np.ndarray
    slot: np.ndarray
    applied: np.ndarray
    decided: np.ndarray
    strength: np.ndarray
    income_cents: np.ndarray
    employment_years: np.ndarray
    age: np.ndarray
    term: np.ndarray
    amount_cents: np.ndarray
    purpose: np.ndarray
    housing: np.ndarray
    loans: np.ndarray
    bureau: np.ndarray
    scores: dict[str, np.ndarray]


def applications(world: World, traits: dict[str, np.ndarray]) -> Applications:
    """All applications that a part's customers make before the world ends."""
    credit, seed = world.credit, world.seed
    row, slot, applied = _when(world, traits)
    who, z = traits["customer_id"][row], traits["strength"][row]
    age = traits["age"][row]
    scores = {
        "income": _sign(credit.loads_income, z, normal(seed, "income", who)),
        "employment": _sign(credit.loads_employment, z, normal(seed, "employment", who)),
        "burden": _sign(credit.loads_burden, z, normal(seed, "burden", who, slot)),
        "bureau": _sign(credit.loads_bureau, z, normal(seed, "bureau", who, slot)),
    }
    bureau = np.clip(np.rint(600 + 80 * scores["bureau"]), 300, 850)
    for shown in (bureau, scores["bureau"]):
        shown[uniform(seed, "no file", who, slot) < credit.no_file] = np.nan
    income = np.rint(credit.income * np.exp(credit.income_spread * scores["income"])).astype(np.int64)
    term = np.array(TERMS)[choice((1 / len(TERMS),) * len(TERMS), uniform(seed, "term", who, slot))]
    return Applications(
        application_id=who * 10 + slot,
        customer_id=who,
        row=row,
        slot=slot,
        applied=applied,
        decided=applied + 0.05 + 2.95 * uniform(seed, "decision", who, slot),
        strength=z,
        income_cents=income,
        employment_years=np.round((age - 18) * betaincinv(1.0, 2.0, ndtr(scores["employment"])), 1),
        age=age,
        term=term,
        amount_cents=_amount(credit, scores["burden"], income, term),
        purpose=choice(credit.purposes, uniform(seed, "purpose", who, slot)),
        housing=_housing(credit, _sign(credit.loads_housing, z, normal(seed, "housing", who))),
        loans=_loans(credit, z, uniform(seed, "loans", who, slot)),
        bureau=bureau,
        scores=scores,
    )


def prior(credit: Credit) -> np.ndarray:
    """Share of applicants at each of STRENGTHS, which sum to one: the weak apply more."""
    weight = np.exp(-(STRENGTHS**2) / 2) * _applying(credit, STRENGTHS)
    return weight / weight.sum()


def posterior(credit: Credit, asked: Applications) -> np.ndarray:
    """Probability of each of STRENGTHS (rows) given an application's form (columns), by Bayes' rule.

    Income, employment, burden and points of the bureau count as exact, although a form rounds them.
    """
    z = STRENGTHS[:, None]
    log = np.log(prior(credit))[:, None] + np.zeros(len(asked.age))
    for name, loads in (("income", credit.loads_income), ("employment", credit.loads_employment),
                        ("burden", credit.loads_burden), ("bureau", credit.loads_bureau)):  # fmt: skip
        told = ~np.isnan(asked.bureau) if name == "bureau" else True
        log -= np.where(told, (asked.scores[name] - loads * z) ** 2 / (2 * (1 - loads**2)), 0.0)
    likely = _likely_loans(credit, z, asked.loans) * _likely_housing(credit, z, asked.housing)
    weight = np.exp(log - log.max(axis=0)) * likely
    return weight / weight.sum(axis=0)


def _when(world: World, traits: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, slot and day of each application: a first one after the first purchase, a second after that."""
    credit, seed = world.credit, world.seed
    who, cohort = traits["customer_id"], traits["cohort"]
    asks = uniform(seed, "applies", who) < _applying(credit, traits["strength"])
    asks_again = asks & (uniform(seed, "applies again", who) < credit.again)
    first = _after(world, cohort, uniform(seed, "applied", who, 0))
    second = _after(world, first, uniform(seed, "applied", who, 1))
    row, slot = np.nonzero(np.stack([asks, asks_again], axis=1))
    return row, slot, np.where(slot == 0, first[row], second[row])


def _after(world: World, day: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A day after another: an exponential wait, cut at the world's end."""
    wait = world.credit.wait
    return np.minimum(day - wait * np.log1p(at * np.expm1(-(world.days - day) / wait)), world.days)


def _applying(credit: Credit, strength: np.ndarray) -> np.ndarray:
    """Probability of applying; its mean over a standard normal strength is `applies`."""
    return ndtr(ndtri(credit.applies) * np.sqrt(1 + credit.need**2) - credit.need * strength)


def _sign(loads: float, z: np.ndarray, own: np.ndarray) -> np.ndarray:
    return loads * z + np.sqrt(1 - loads**2) * own


def _amount(credit: Credit, score: np.ndarray, income: np.ndarray, term: np.ndarray) -> np.ndarray:
    """What the instalment that is asked for buys: the present value of an annuity, to tens of whole units."""
    monthly = income * credit.burden * np.exp(credit.burden_spread * score)
    i = credit.rate / MONTHS_IN_A_YEAR
    worth = monthly * (term if i == 0 else -np.expm1(-term * np.log1p(i)) / i)
    return np.maximum(np.rint(worth / AMOUNTS_IN), 50).astype(np.int64) * AMOUNTS_IN


def _housing(credit: Credit, score: np.ndarray) -> np.ndarray:
    return np.searchsorted(_cuts(credit), score)


def _cuts(credit: Credit) -> np.ndarray:
    return ndtri(np.cumsum(credit.housings)[:-1])


def _likely_housing(credit: Credit, z: np.ndarray, housing: np.ndarray) -> np.ndarray:
    """Ordered probit."""
    edges = np.concatenate([[-np.inf], _cuts(credit), [np.inf]])
    own = np.sqrt(1 - credit.loads_housing**2)
    reached = ndtr((edges - credit.loads_housing * z) / own)
    return np.diff(reached, axis=1)[:, housing]


def _loans_mean(credit: Credit, z: np.ndarray) -> np.ndarray:
    return credit.loans * np.exp(-credit.loans_slope * z)


def _loans(credit: Credit, z: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A Poisson count by the inverse of its distribution function, cut at MOST_LOANS."""
    mean = _loans_mean(credit, z)
    return sum((at > pdtr(k, mean)).astype(np.int64) for k in range(MOST_LOANS))


def _likely_loans(credit: Credit, z: np.ndarray, loans: np.ndarray) -> np.ndarray:
    reached = pdtr(np.arange(MOST_LOANS), _loans_mean(credit, z))
    likely = np.diff(np.concatenate([np.zeros_like(z), reached, np.ones_like(z)], axis=1), axis=1)
    return likely[:, loans]
