"""Whom to contact, and with what: where the contact is expected to add more margin than it costs.

Arms are numbered from 0, the control, which is to leave her alone. Money is in cents; arrays have one entry a customer.
The depth is chosen where outcomes of drawn arms are known and the models have not learnt from them (out of fold); it is
then a threshold on the expected gain, which needs no look at those whom it is used on.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.estimate import checked_scores
from evaluation.policy_value import given, policy_gain

CONTROL = 0
DEPTHS = np.linspace(0, 1, 21)
EXPECTED = float(np.nextafter(0, 1))  # a gain of zero is no reason to contact


class Choice(NamedTuple):
    """The best arm of each customer but the control, and what it is expected to bring net of its cost; each (n,)."""

    arm: np.ndarray
    gain: np.ndarray


class Depth(NamedTuple):
    """How deep to contact: those whose expected gain is at least `threshold` (infinite: nobody).

    share, profit: of the customers it was chosen on, and what it brought there per head; optimistic where it was the
    best of several.
    """

    threshold: float
    share: float
    profit: float


def incremental_margin(without, effect, value) -> np.ndarray:
    """What each arm but the control is expected to add to margin before its cost, in cents (n, k - 1).

    without  the probability of buying in the control (n,)
    effect   what each arm adds to it (n, k - 1)
    value    the margin of those purchases under each arm, the control first, in cents (n, k): a discount is paid on
             all of them, so that it costs most on those who would have bought anyway

    Amounts are heavy-tailed and mostly zero; an effect on buying is seen long before one on money is. Probabilities are
    cut to [0, 1].
    """
    without, effect, value = (np.asarray(of, dtype=float) for of in (without, effect, value))
    if effect.ndim != 2 or value.shape != (len(effect), effect.shape[1] + 1) or without.shape != (len(effect),):
        raise ValueError(
            f"without, effect and value must be of shapes (n,), (n, k - 1) and (n, k), but are of {without.shape}, "
            f"{effect.shape} and {value.shape}."
        )
    stays = np.clip(without, 0, 1)[:, None]
    return np.clip(stays + effect, 0, 1) * value[:, 1:] - stays * value[:, :1]


def left_of_basket(margin, basket, arm, arms: int) -> np.ndarray:
    """What of a customer's usual basket is left as margin of a purchase under each arm, the control first (arms,).

    margin, basket, arm  of those who bought: margin in cents, usual basket in cents, and their arm (n,)

    An arm in which nobody bought is given the share of all. Raises ValueError where nobody had a usual basket.
    """
    margin, basket = checked_scores(margin, "margin"), checked_scores(basket, "basket")
    left, usual = (np.bincount(arm, of, minlength=arms) for of in (margin, basket))
    if not basket.sum() > 0:
        raise ValueError(f"usual baskets must come to more than nothing, but {basket.size:,} buyers' do not.")
    of_all = np.full(arms, margin.sum() / basket.sum())
    return np.divide(left, usual, out=of_all, where=usual > 0)


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


def choose_depth(values, choice: Choice, subjects=None) -> Depth:
    """Everybody whose contact is expected to pay, unless another depth surely brought more; then the best of these.

    values    scores of each arm net of its cost, in cents (n, k): `policy_value.net_of`. Not of the rows that the rule
              is judged on, nor foretold by models that learnt from them
    subjects  id of the customer of each row

    Depths are tried in steps of a twentieth, and rounded to whole groups of equal gain, which a threshold cannot cut.
    Outcomes are so noisy that the best of many depths is mostly the luckiest: the 95% interval of what it brought more
    than the expected one must lie above zero.
    """
    profit = given(values, choice.arm) - given(values, np.full(len(choice.arm), CONTROL))
    ranked = np.sort(choice.gain)[::-1]
    last = np.unique(np.rint(DEPTHS * ranked.size).astype(int))
    thresholds = np.unique(np.append(np.where(last > 0, ranked[np.maximum(last, 1) - 1], np.inf), EXPECTED))[::-1]
    depths = [_at(threshold, choice.gain, profit) for threshold in thresholds]
    expected = _at(EXPECTED, choice.gain, profit)
    best = max(depths, key=lambda depth: depth.profit)
    first, second = (np.where(choice.gain >= depth.threshold, profit, 0.0) for depth in (expected, best))
    return best if policy_gain(first, second, subjects).low > 0 else expected


def _at(threshold: float, gain: np.ndarray, profit: np.ndarray) -> Depth:
    kept = gain >= threshold
    return Depth(float(threshold), float(kept.mean()), float(profit[kept].sum() / profit.size))


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
