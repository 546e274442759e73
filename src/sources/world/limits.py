r"""What a limit does: how much of it is drawn, how risk answers, and what each limit of the menu is worth.

At the limit L an applicant who asked for A draws

.. math:: E(L) = \min(L,\; u A (L / A)^{\epsilon}),

with u the share drawn at L = A and epsilon an elasticity of her own; the log-odds of missing an instalment answer by
delta log(L / A) (`repayment.burdened`). With D the period of default, the expected interest is
sum_i interest_i P(not D <= i + 2), for the two instalments before the one that ends in default are unpaid too, and the
expected loss is the expected share lost times sum_d P(D = d) balance_{d-2}. Interest pays for the lent money first.

[1] Gross & Souleles (2002), Do Liquidity Constraints and Interest Rates Matter for Consumer Behavior?, Quarterly
    Journal of Economics 117(1): debt responds to limits.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit

from sources.world.applicants import AMOUNTS_IN, Applications
from sources.world.credit import Credit
from sources.world.draws import normal
from sources.world.instalments import plan
from sources.world.parameters import World
from sources.world.recovery import expected_loss_share
from sources.world.repayment import LONGEST, PERIODS, burdened, defaults, within_horizon

LEAST = 10_000  # cents that are granted, and drawn, at least


class Appetite(NamedTuple):
    """How exposure and risk answer to a limit, arrays of shape (n,).

    usage             share drawn where the limit is the amount asked for
    usage_elasticity  of the amount drawn to the limit, in (0, 1]
    pd_elasticity     change of the log-odds of missing an instalment by the logarithm of the limit
    """

    usage: np.ndarray
    usage_elasticity: np.ndarray
    pd_elasticity: np.ndarray


def appetite(credit: Credit, seed: int, asked: Applications) -> Appetite:
    """Of each application: the strong draw less, and their risk answers less."""
    who, slot, spread = asked.customer_id, asked.slot, credit.usage_spread
    score = logit(credit.usage) - 0.3 * asked.strength + spread * normal(seed, "usage", who, slot)
    own = np.exp(spread * normal(seed, "usage elasticity", who, slot) - spread**2 / 2)
    return Appetite(
        usage=expit(score),
        usage_elasticity=np.minimum(credit.usage_elasticity * own, 1.0),
        pd_elasticity=credit.pd_elasticity * np.exp(-credit.frailty * asked.strength),
    )


def limit_cents(asked: Applications, multiple: np.ndarray | float) -> np.ndarray:
    """The limit at a multiple of the amount asked for, to tens of whole units."""
    tens = np.rint(asked.amount_cents * multiple / AMOUNTS_IN).astype(np.int64)
    return np.maximum(tens * AMOUNTS_IN, LEAST)


def drawn_cents(asked: Applications, wants: Appetite, limit: np.ndarray) -> np.ndarray:
    """E(L), in whole cents; at least LEAST, so that rounding never eats up a last instalment."""
    drawn = wants.usage * asked.amount_cents * (limit / asked.amount_cents) ** wants.usage_elasticity
    return np.minimum(limit, np.maximum(np.floor(drawn), LEAST).astype(np.int64))


def limits_table(world: World, asked: Applications, wants: Appetite, years: np.ndarray) -> pa.Table:
    """The true table `limits`, a row for each application and limit of the menu: what is to be expected of it."""
    menu = [_at_limit(world, asked, wants, years, multiple) for multiple in world.credit.limits]
    columns = {name: np.stack([row[name] for row in menu], axis=1).ravel() for name in menu[0]}
    return pa.table({"application_id": np.repeat(asked.application_id, len(menu))} | columns)


def _at_limit(world: World, asked: Applications, wants: Appetite, years: np.ndarray, multiple: float) -> dict:
    credit = world.credit
    limit = limit_cents(asked, multiple)
    drawn = drawn_cents(asked, wants, limit)
    planned = plan(world, drawn, asked.term, asked.decided)
    eta = burdened(credit, asked, asked.strength, limit / asked.amount_cents)
    gone = list(defaults(credit, eta, years, asked.term, PERIODS))
    by = np.cumsum(gone, axis=0)
    interest = sum(planned.interest[:, i] * (1 - by[i + 2]) for i in range(LONGEST))
    exposed = sum(gone[d] * planned.balance[:, d - 2] for d in range(2, PERIODS))
    loss = exposed * expected_loss_share(credit, asked.strength)
    margin = interest * (1 - credit.funding / credit.rate) if credit.rate else -loss * 0
    return {
        "multiple": np.full(len(limit), multiple),
        "limit_cents": limit,
        "exposure_cents": drawn,
        "pd": by[within_horizon(credit) - 1],
        "pd_life": by[-1],
        "margin_cents": margin,
        "loss_cents": loss,
        "profit_cents": margin - loss,
    }
