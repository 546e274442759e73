"""Whom to lend to and how much: a limit for each application, by expected profit under a loss budget and caps by grade.

Beside each limit stands what keeps it from being larger, and the price of loss is told with the plan. A refusal says
whether no limit would pay, or whether the loss budget went to others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from decisions.limits import Limits, best_limits
from evaluation.grades import MasterScale
from evaluation.lending import Terms, break_even, expected_loss, exposure_cents, loan_profit, risk_at

APPROVE, REFUSE = "approve", "refuse"
ROUNDED_TO = 1_000  # cents: limits are granted in tens of whole units
KEYS = ("customer_id", "application_id")  # a flat source has no applications beside its subjects


class Rules(NamedTuple):
    """What limits a plan.

    menu         limits on offer, as multiples of the amount asked for, rising
    best, worst  the largest multiple that the best and the worst grade may have; evenly between them
    loss_share   the loss budget: expected loss as a share of all that is asked for
    """

    menu: tuple[float, ...]
    best: float
    worst: float
    loss_share: float

    def caps(self, scale: MasterScale) -> np.ndarray:
        """The largest multiple of each grade, falling."""
        return np.linspace(self.best, self.worst, len(scale.pd))


class Book(NamedTuple):
    """The menu of each application, (n, k): cents of limit, exposure, expected profit and loss; `allowed` by grade."""

    limit: np.ndarray
    exposure: np.ndarray
    profit: np.ndarray
    loss: np.ndarray
    allowed: np.ndarray


def book(p, asked, scale: MasterScale, terms: Terms, rules: Rules) -> Book:
    """What each entry of the menu is expected to bring: p, probability at the limit asked for, and cents asked (n,)."""
    p, asked = np.asarray(p, dtype=float), np.asarray(asked, dtype=float)
    limit = _limits(asked, rules)
    wide = np.broadcast_to(asked[:, None], limit.shape)
    risk = risk_at(np.repeat(p, len(rules.menu)), wide.ravel(), limit.ravel(), terms).reshape(limit.shape)
    exposure = exposure_cents(wide, limit, terms)
    profit = loan_profit(risk.ravel(), exposure.ravel(), terms).reshape(limit.shape)
    allowed = np.array(rules.menu) <= rules.caps(scale)[scale.grade(p)][:, None] + 1e-9
    return Book(limit, exposure, profit, expected_loss(risk, exposure, terms), allowed & (limit > 0))


def _limits(asked: np.ndarray, rules: Rules) -> np.ndarray:
    return np.rint(asked[:, None] * np.array(rules.menu) / ROUNDED_TO) * ROUNDED_TO


def loan_plan(
    scores: pd.DataFrame, asked: Sequence, scale: MasterScale, terms: Terms, rules: Rules
) -> tuple[pd.DataFrame, Limits]:
    """A row an application, largest expected profit first, ties by id; and the plan as a whole.

    scores  customer_id, application_id where there are such, and `score`, the probability of default at the amount
            asked for; `asked` are cents, in its order

    Columns: keys, score, grade, action, limit_cents, binding, expected_profit_cents, expected_loss_cents;
    approved_up_to: the probability up to which each would be approved; and price_of_loss, at which that holds.
    """
    p, asked = scores.score.to_numpy(), np.maximum(np.asarray(asked, dtype=float), 1)  # nothing asked for is no limit
    keys = [name for name in KEYS if name in scores]
    menu = book(p, asked, scale, terms, rules)
    found = best_limits(menu.profit, menu.loss, menu.allowed, rules.loss_share * asked.sum())
    given, at = found.choice >= 0, np.maximum(found.choice, 0)[:, None]
    of = {
        name: np.take_along_axis(getattr(menu, name), at, axis=1)[:, 0] * given for name in ("limit", "profit", "loss")
    }
    plan = scores[keys].assign(
        score=p,
        grade=scale.name(p),
        action=np.where(given, APPROVE, REFUSE),
        binding=found.binding,
        **{
            name: np.rint(of[what]).astype("int64")
            for name, what in (
                ("limit_cents", "limit"),
                ("expected_profit_cents", "profit"),
                ("expected_loss_cents", "loss"),
            )
        },
        approved_up_to=approved_up_to(asked, found.shadow_price, scale, terms, rules),
        price_of_loss=found.shadow_price,
    )
    ascending = [False] + [True] * len(keys)
    return plan.sort_values(["expected_profit_cents", *keys], ascending=ascending, ignore_index=True), found


def approved_up_to(asked, price: float, scale: MasterScale, terms: Terms, rules: Rules) -> np.ndarray:
    """The probability of default below which some limit on offer pays, (n,), for cents asked; 0 where none ever does.

    price  what a cent of expected loss costs besides itself: the shadow price of a plan, of which those who are
           approved are then below
    """
    asked = np.maximum(np.asarray(asked, dtype=float), 1)
    limit = _limits(asked, rules)
    wide = np.broadcast_to(asked[:, None], limit.shape)
    exposure = exposure_cents(wide, limit, terms)
    dearer = terms._replace(exposed=(1 + price) * terms.exposed)
    even = break_even(exposure.ravel(), dearer).reshape(limit.shape)
    with np.errstate(divide="ignore"):  # an even of 0 or 1 stays one
        at_asked = expit(logit(even) - terms.risk_elasticity * np.log(np.maximum(limit, 1) / wide))
    ends, caps = np.append(scale.edges, 1.0), rules.caps(scale)
    capped = [max(ends[caps >= multiple - 1e-9], default=0.0) for multiple in rules.menu]
    return np.where(limit > 0, np.minimum(at_asked, capped), 0.0).max(axis=1)


def cut_off(p, asked, terms: Terms) -> float:
    """The probability of default up to which approving what is asked for brings most in sum; 0 where nobody pays.

    p, asked  foretold probabilities, and cents (n,)

    All between the last who is approved and the first who is not bring the same here; of these it is the one nearest to
    the break-even of the median exposure, since other applications, or the model fitted again, may fall between.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    exposure = exposure_cents(asked, asked, terms)
    gained = np.cumsum(loan_profit(p, exposure, terms)[order])
    last = np.append(np.diff(p[order]) > 0, True)  # of equal probabilities all or none
    gained = np.where(last, gained, -np.inf)
    best = int(gained.argmax())
    if gained[best] <= 0:
        return 0.0
    next_ = np.nextafter(p[order][best + 1], 0) if best + 1 < p.size else 1.0
    return float(np.clip(break_even(np.median(exposure), terms)[0], p[order][best], next_))
