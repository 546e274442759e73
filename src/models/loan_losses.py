r"""What a default costs, and how the sum drawn and the risk answer to the limit: a few numbers, each with its interval.

Loss given default and share still owed are ratios of sums, so that large loans count for what they are [1]. The sum
drawn, D, of a limit L where A was asked for is a censored regression [2], since nobody draws more than the limit:

.. math:: \log(D / A) = \min\big(\log(L / A),\; \log u + \epsilon \log(L / A) + \sigma e\big)

The risk's answer is the coefficient of log(L / A) beside the log-odds that were foretold without it. Both answers are
those of whom the lender gave more to: where limits follow from risk rather than from chance, they mix the two.

[1] Cochran (1977), Sampling Techniques, 3rd edition, chapter 6: ratio estimates.
[2] Tobin (1958), Estimation of Relationships for Limited Dependent Variables, Econometrica 26.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_ndtr
from threadpoolctl import threadpool_limits

from evaluation.calibration import log_odds
from evaluation.estimate import Estimate, checked_probabilities, checked_scores, normal_interval, same_length

FEWEST = 20
CENSORED = 0.995  # of the limit: what is drawn from there on is all of it
STRAIGHT = 1e-3  # limits whose logarithms over what was asked for differ by less say nothing


class TooFewLoans(ValueError):
    """There are not enough loans to estimate from; give the number instead."""


class Answer(NamedTuple):
    """How the sum drawn answers to the limit: the share drawn where the limit is what was asked for, and elasticity."""

    usage: Estimate
    elasticity: Estimate


def ratio(part, whole, most: float = np.inf) -> Estimate:
    """The sum of `part` over that of `whole`, (n,) each, cut to [0, most]; the interval is the ratio estimate's.

    Raises `TooFewLoans` below 20.
    """
    part, whole = checked_scores(part, "part"), checked_scores(whole, "whole")
    same_length(part, whole, "whole")
    if part.size < FEWEST or whole.sum() <= 0:
        raise TooFewLoans(f"A ratio needs {FEWEST} loans that ended, but has {part.size}. Give the share instead.")
    value = float(np.clip(part.sum() / whole.sum(), 0, most))
    error = np.sqrt(((part - value * whole) ** 2).sum() * part.size / (part.size - 1)) / whole.sum()
    return normal_interval(value, error, 0, most)


def loss_given_default(owed, came) -> Estimate:
    """Share of what was owed at default that never came, from cents of loans whose workout is over."""
    owed, came = np.asarray(owed, dtype=float), np.asarray(came, dtype=float)
    return ratio(np.clip(owed - came, 0, None), owed, 1.0)


def usage_answer(asked, limit, drawn) -> Answer:
    """From cents asked for, granted and drawn (n,), by maximum likelihood; elasticity in [0, 1].

    Raises `TooFewLoans` below 20 loans, or where all limits are the same share of what was asked for.
    """
    asked, limit, drawn = (
        checked_scores(of, name) for of, name in ((asked, "asked"), (limit, "limit"), (drawn, "drawn"))
    )  # noqa: E501
    x, y = np.log(limit / asked), np.log(np.maximum(drawn, 1) / asked)
    if x.size < FEWEST or x.std() < STRAIGHT:
        raise TooFewLoans(
            f"How the sum drawn answers to the limit needs {FEWEST} loans of different limits, but there are {x.size} "
            f"whose limits vary by {x.std():.4f} in logarithms. Give the elasticity instead."
        )
    full = drawn >= CENSORED * limit

    def loss(parameters):
        a, b, log_spread = parameters
        z = (np.where(full, x, y) - a - b * x) / np.exp(log_spread)
        return -np.where(full, log_ndtr(-z), -z * z / 2 - log_spread).sum()

    with threadpool_limits(1):
        start = np.array([np.median(y - x), 0.5, np.log(y.std() + 0.1)])
        found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000}).x
        errors = np.sqrt(np.diag(np.linalg.inv(_curvature(loss, found))))
    usage = Estimate(*np.minimum(np.exp([normal_interval(found[0], errors[0])]).ravel(), 1.0))
    return Answer(usage, _cut(normal_interval(found[1], errors[1]), 0, 1))


def risk_answer(y, p, asked, limit) -> Estimate:
    """The coefficient of log(limit / asked) beside the log-odds of `p`, both (n,), by Newton's method."""
    y, p = checked_probabilities(y, p)
    x = np.log(checked_scores(limit, "limit") / checked_scores(asked, "asked"))
    if x.size < FEWEST or x.std() < STRAIGHT:
        raise TooFewLoans(f"How risk answers to the limit needs {FEWEST} loans of different limits. Give the number.")
    columns, found = np.column_stack([np.ones(x.size), x]), np.zeros(2)
    for _ in range(50):
        chance = expit(log_odds(p) + columns @ found)
        information = (columns * (chance * (1 - chance))[:, None]).T @ columns
        step = np.linalg.solve(information, columns.T @ (y - chance))
        found = found + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    return normal_interval(found[1], np.sqrt(np.linalg.inv(information)[1, 1]))


def learnt(
    assumed: Mapping[str, float], loans: pd.DataFrame, ended: pd.DataFrame, foretold: pd.DataFrame
) -> pd.DataFrame:
    """A row a term of a loan: what, value, low, high, told_by (`instalments`, or `assumed` where these say too little).

    assumed   loss_given_default, exposed, usage, usage_elasticity, risk_elasticity
    loans     asked_cents, limit_cents, drawn_cents of all
    ended     owed_cents, came_cents, drawn_cents of defaults
    foretold  asked_cents, limit_cents, outcome and `p`, its probability by a model that had not seen it
    """
    limited, answered = (of[of.limit_cents.notna()] for of in (loans, foretold))
    asks = {
        "loss_given_default": lambda: loss_given_default(ended.owed_cents, ended.came_cents),
        "exposed": lambda: ratio(ended.owed_cents, ended.drawn_cents),
        "usage": lambda: usage_answer(limited.asked_cents, limited.limit_cents, limited.drawn_cents).usage,
        "usage_elasticity": lambda: (
            usage_answer(limited.asked_cents, limited.limit_cents, limited.drawn_cents).elasticity
        ),
        "risk_elasticity": lambda: _cut(
            risk_answer(answered.outcome, answered.p, answered.asked_cents, answered.limit_cents), 0, np.inf
        ),
    }
    rows = []
    for what, ask in asks.items():
        try:
            rows.append((what, *map(float, ask()), "instalments"))
        except ValueError:  # too few of them, or none at all
            rows.append((what, *(float(assumed[what]),) * 3, "assumed"))
    return pd.DataFrame(rows, columns=["what", "value", "low", "high", "told_by"])


def _cut(of: Estimate, least: float, most: float) -> Estimate:
    return Estimate(*(float(np.clip(end, least, most)) for end in of))


def _curvature(loss, at: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """The second derivatives of a function of a few numbers, by differences."""
    size = at.size
    found, moves = np.empty((size, size)), np.eye(size) * step
    for i in range(size):
        for j in range(size):
            signs = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
            found[i, j] = sum(s * loss(at + a * moves[i] + b * moves[j]) for a, b, s in signs) / (4 * step**2)
    return found
