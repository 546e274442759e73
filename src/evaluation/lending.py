r"""What a loan is expected to bring over the horizon, in cents: margin on what is drawn, less what default takes.

.. math:: \Pi(L) = (1 - p(L))\, m\, E(L) - p(L)\, \lambda\, k\, E(L) - f, \qquad
          \text{logit}\, p(L) = \text{logit}\, p + \delta \log(L / A), \qquad E(L) = \min(L,\; u A (L / A)^{\epsilon})

with p the probability of default at the limit asked for, A; m the margin over the horizon, lambda the loss given
default, k the share of the exposure that is owed at default, f the cost of a loan; u, epsilon and delta say how the
amount drawn and the risk answer to the limit. Arrays are of shape (n,), one entry an application.

[1] Basel Committee (2006), International Convergence of Capital Measurement: EL = PD x LGD x EAD.
[2] Gross & Souleles (2002), Do Liquidity Constraints and Interest Rates Matter for Consumer Behavior?, Quarterly
    Journal of Economics 117(1): debt responds to limits.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from evaluation.calibration import log_odds
from evaluation.estimate import checked_scores, in_unit_interval, refuse


class Terms(NamedTuple):
    """What is assumed of a loan over the horizon.

    margin              interest less what the money costs, as a share of the exposure, >= 0
    loss_given_default  share of the exposure at default that never comes back, in [0, 1]
    exposed             share of the exposure that is still owed at default, >= 0
    cost                of a loan, cents, >= 0
    usage               u, the share drawn of a limit as high as asked for, in (0, 1]
    usage_elasticity    epsilon, of the amount drawn to the limit, in [0, 1]
    risk_elasticity     delta, by which the log-odds of default answer to the logarithm of the limit
    """

    margin: float
    loss_given_default: float
    exposed: float
    cost: int
    usage: float = 1.0
    usage_elasticity: float = 1.0
    risk_elasticity: float = 0.0


def checked(terms: Terms) -> Terms:
    """The terms, as they are; raises ValueError for one that cannot be."""
    for name, most in (("margin", np.inf), ("loss_given_default", 1), ("exposed", np.inf), ("cost", np.inf),
                       ("usage", 1), ("usage_elasticity", 1)):  # fmt: skip
        value = getattr(terms, name)
        if not 0 <= value <= most:
            raise ValueError(f"{name} must lie between 0 and {most:g}, but is {value:g}. Correct the terms.")
    return terms


def exposure_cents(asked, limit, terms: Terms) -> np.ndarray:
    """E(L): what is drawn of a limit, whole cents; 0 of none. `asked` and `limit` are cents and broadcast."""
    asked, limit = np.asarray(asked, dtype=float), np.asarray(limit, dtype=float)
    drawn = terms.usage * asked * (limit / asked) ** terms.usage_elasticity
    return np.where(limit > 0, np.floor(np.minimum(limit, drawn)), 0.0)


def risk_at(p, asked, limit, terms: Terms) -> np.ndarray:
    """p(L): probability of default at a limit, where `p` holds at the limit asked for."""
    more = np.log(np.maximum(limit, 1) / np.asarray(asked, dtype=float))
    return expit(log_odds(in_unit_interval(p)) + terms.risk_elasticity * more)


def expected_loss(p, exposure, terms: Terms) -> np.ndarray:
    """PD x LGD x EAD in cents, EAD being the exposure times `exposed`."""
    return np.asarray(p) * terms.loss_given_default * terms.exposed * np.asarray(exposure)


def loan_profit(p, exposure, terms: Terms) -> np.ndarray:
    """Expected profit of a loan in cents; with the outcome, 0 or 1, in the place of `p`, what it came to."""
    p, exposure = in_unit_interval(p), _exposure(exposure)
    return (1 - p) * checked(terms).margin * exposure - expected_loss(p, exposure, terms) - terms.cost


def break_even(exposure, terms: Terms) -> np.ndarray:
    """The probability of default at which a loan of that exposure brings nothing, in [0, 1]; 0 where none pays."""
    exposure = _exposure(exposure)
    at_stake = (checked(terms).margin + terms.loss_given_default * terms.exposed) * exposure
    gained = terms.margin * exposure - terms.cost
    return np.clip(np.divide(gained, at_stake, out=np.zeros_like(gained), where=at_stake > 0), 0, 1)


def _exposure(exposure) -> np.ndarray:
    found = checked_scores(np.atleast_1d(exposure), "exposure")
    refuse(found < 0, found, "an exposure must not be negative", "Give cents that are drawn.")
    return found
