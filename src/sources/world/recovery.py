r"""What is left of a loan after default, and what comes of it: exposure at default, loss given default, recoveries.

The exposure at default E is the principal that the unpaid instalments were to pay back. Its loss share is zero with
probability w (all is recovered), else Beta(m phi, (1 - m) phi) with logit m = l - k z, [1]. So E (1 - share) comes in,
parts of unpaid instalments that had been paid before counted, in equal sums over the months that follow, and goes to
the oldest unpaid instalments first.

[1] Ferrari & Cribari-Neto (2004), Beta Regression for Modelling Rates and Proportions, Journal of Applied Statistics
    31(7): mean and precision. Schuermann (2004), What Do We Know About Loss Given Default?: two humps.
"""

import numpy as np
from scipy.special import betaincinv, expit, logit

from sources.world.applicants import Applications
from sources.world.credit import Credit
from sources.world.draws import uniform
from sources.world.instalments import Plan, default_day
from sources.world.repayment import Paths

_MONTH = 30.0


def expected_loss_share(credit: Credit, strength: np.ndarray) -> np.ndarray:
    """Mean of the share of the exposure that is lost at default."""
    return (1 - credit.whole) * _mean(credit, strength)


def loss_share(credit: Credit, seed: int, asked: Applications) -> np.ndarray:
    """The share that is lost should the loan default, drawn for all, in [0, 1]."""
    who, slot, mean = asked.customer_id, asked.slot, _mean(credit, asked.strength)
    at = uniform(seed, "loss", who, slot)
    drawn = betaincinv(mean * credit.lgd_precision, (1 - mean) * credit.lgd_precision, at)
    return np.where(uniform(seed, "whole", who, slot) < credit.whole, 0.0, drawn)


def exposure_at_default(plan: Plan, paths: Paths) -> np.ndarray:
    """Cents of principal before the oldest unpaid instalment; 0 without default."""
    at = np.maximum(paths.oldest, 1) - 1
    return plan.balance[np.arange(len(at)), at] * (paths.defaulted > 0)


def recovered_cents(plan: Plan, paths: Paths, share: np.ndarray) -> np.ndarray:
    """All that comes for the instalments unpaid at default, at least what had come before; 0 without default."""
    due = np.floor((1 - share) * exposure_at_default(plan, paths)).astype(np.int64)
    return np.maximum(due, _before(plan, paths))


def recoveries(
    credit: Credit, seed: int, asked: Applications, plan: Plan, paths: Paths, share: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Loan, instalment, day and cents paid so far of each change that a recovery makes to an instalment."""
    loan = np.flatnonzero(paths.defaulted)
    oldest, before = paths.oldest[loan], _before(plan, paths)[loan]
    total = recovered_cents(plan, paths, share)[loan] - before
    unpaid = plan.due[loan] * (np.arange(plan.due.shape[1]) >= oldest[:, None] - 1)
    through = np.cumsum(unpaid, axis=1)
    held, found = np.clip(before[:, None] - (through - unpaid), 0, unpaid), []
    for month in range(1, credit.recovery + 1):
        come = before + total * month // credit.recovery
        holds = np.clip(come[:, None] - (through - unpaid), 0, unpaid)
        row, k = np.nonzero(holds > held)
        day = default_day(plan, paths)[loan] + _MONTH * (
            month - 1 + uniform(seed, "recovery", asked.customer_id[loan], asked.slot[loan] * 1_000 + month)
        )
        found.append((loan[row], k + 1, day[row], holds[row, k]))
        held = holds
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


def _mean(credit: Credit, strength: np.ndarray) -> np.ndarray:
    return expit(logit(credit.lgd) - credit.lgd_slope * strength)


def _before(plan: Plan, paths: Paths) -> np.ndarray:
    """Cents that the oldest unpaid instalment had received by default."""
    at = np.maximum(paths.oldest, 1) - 1
    return np.floor(plan.due[np.arange(len(at)), at] * paths.partly).astype(np.int64)
