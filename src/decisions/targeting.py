"""Whom to contact, and with what: where the contact is expected to add more margin than it costs.

Arms are numbered from 0, the control, which is to leave her alone. Money is in cents; arrays have one entry a customer.
The depth is chosen where outcomes of drawn arms are known and the models have not learnt from them (out of fold); it is
then a threshold on the expected gain, which needs no look at those whom it is used on.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.estimate import checked_scores
from evaluation.policy_value import given
from evaluation.tie_groups import at_shares, tie_groups

CONTROL = 0
DEPTHS = np.linspace(0, 1, 21)


class Choice(NamedTuple):
    """The best arm of each customer but the control, and what it is expected to bring net of its cost; each (n,)."""

    arm: np.ndarray
    gain: np.ndarray


class Depth(NamedTuple):
    """How deep to contact: those whose expected gain is at least `threshold` (infinite: nobody).

    share, profit: of the customers it was chosen on, and what it brought there per head; optimistic, since it was the
    best of several.
    """

    threshold: float
    share: float
    profit: float


def best_arms(effect, cost) -> Choice:
    """The arm of the largest expected gain for each customer; the cheaper one where two are equal, then the first.

    effect  expected incremental margin of each arm but the control before its cost, in cents (n, k - 1)
    cost    of a contact by each of these arms, in cents (k - 1,)
    """
    effect, cost = np.asarray(effect, dtype=float), checked_scores(cost, "cost")
    if effect.ndim != 2 or effect.shape[1] != cost.size or not np.isfinite(effect).all():
        raise ValueError(
            f"effect must be a finite number for each customer and each of {cost.size} arms, but has the shape "
            f"{effect.shape} and {int((~np.isfinite(effect)).sum()):,} numbers that are not finite."
        )
    by_cost = np.argsort(cost, kind="stable")
    gain = (effect - cost)[:, by_cost]
    best = np.argmax(gain, axis=1)
    return Choice(by_cost[best] + 1, gain[np.arange(len(gain)), best])


def choose_depth(values, choice: Choice) -> Depth:
    """The depth, in steps of a twentieth, at which the choice brought most; the least such depth.

    values  scores of each arm net of its cost, in cents (n, k): `policy_value.net_of`. Not of the rows that the rule is
            judged on, nor foretold by models that learnt from them
    """
    profit = given(values, choice.arm) - given(values, np.full(len(choice.arm), CONTROL))
    groups = tie_groups(choice.gain)
    size = groups.total(np.ones(profit.size))
    reached = at_shares(size, groups.total(profit), DEPTHS) / profit.size
    best = int(np.argmax(reached))
    if best == 0:
        return Depth(np.inf, 0.0, 0.0)
    # the group in which the depth ends is contacted as a whole: a threshold cannot cut it
    last = int(np.searchsorted(np.cumsum(size), DEPTHS[best] * profit.size - 1e-9))
    threshold = float(choice.gain[groups.order][groups.starts][last])
    kept = choice.gain >= threshold
    return Depth(threshold, float(kept.mean()), float(profit[kept].sum() / profit.size))


def assigned(choice: Choice, threshold: float) -> np.ndarray:
    """The arm of each customer: her best one where its expected gain reaches the threshold, else the control."""
    return np.where(choice.gain >= threshold, choice.arm, CONTROL)


def top_share(score, arm, share: float) -> np.ndarray:
    """The rule of a rival: its arm (n,) for the `share` with the highest score, the control for the rest.

    As many as `share` says, rounded down; of equal scores those that come first are taken.
    """
    score = checked_scores(score)
    order = np.argsort(-score, kind="stable")
    rule = np.full(score.size, CONTROL)
    reached = order[: int(share * score.size + 1e-9)]
    rule[reached] = np.broadcast_to(arm, score.shape)[reached]
    return rule


def targeting_plan(customer_id, choice: Choice, threshold: float, arms: list[str], held_out) -> pd.DataFrame:
    """customer_id, action (the name of an arm), expected_gain_cents and held_out, largest first; ties by customer_id.

    arms      names by number, the control first
    held_out  whom nobody may contact, whatever she promises, so that contacts can be measured later (n,):
              `holdout.in_holdout`
    """
    held_out = np.asarray(held_out, dtype=bool)
    arm = np.where(held_out, CONTROL, assigned(choice, threshold))
    plan = pd.DataFrame(
        {
            "customer_id": np.asarray(customer_id),
            "action": np.array(arms, dtype=object)[arm],
            "expected_gain_cents": np.where(arm > 0, np.rint(choice.gain), 0).astype("int64"),
            "held_out": held_out,
        }
    )
    return plan.sort_values(["expected_gain_cents", "customer_id"], ascending=[False, True], ignore_index=True)
