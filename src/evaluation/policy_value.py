r"""What is a rule worth that says who gets which arm? Per head, in the unit of the outcome, doubly robust.

A rule is the arm that it gives to each row (n,), or the probability of each arm (n, k). Its value is the mean of the
scores of the arms that it gives (`arm_values`), less what these cost; it is right on average for a rule that was fixed
without looking at the outcomes it is judged on. What was done in truth is worth the mean of what followed.

.. math:: \hat V(\pi) = \frac1n \sum_i \Gamma_{i, \pi(i)} - c_{\pi(i)}

[1] Dudik, Langford & Li (2011), Doubly Robust Policy Evaluation and Learning, ICML.
[2] Athey & Wager (2021), Policy Learning with Observational Data, Econometrica 89(1).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtr

from evaluation.arm_values import checked_arms
from evaluation.comparison import Difference
from evaluation.estimate import Estimate, checked_scores, normal_interval, refuse, same_length, subject_codes


def net_of(values, cost) -> np.ndarray:
    """Scores of the arms (n, k) less what a contact of each arm costs (k,), in the unit of the outcome."""
    values, cost = np.asarray(values, dtype=float), checked_scores(cost, "cost")
    if values.ndim != 2 or values.shape[1] != cost.size:
        raise ValueError(f"cost must be one number for each arm, but {cost.size} meet scores of shape {values.shape}.")
    return values - cost


def given(values, rule) -> np.ndarray:
    """The scores of what a rule gives to each row (n,): `rule` holds arms (n,) or probabilities of arms (n, k)."""
    values, rule = np.asarray(values, dtype=float), np.asarray(rule)
    if values.ndim != 2 or rule.shape not in (values.shape, values.shape[:1]):
        raise ValueError(
            f"a rule must give each of {values.shape} an arm or k chances, but has the shape {rule.shape}."
        )
    if rule.ndim == 2:
        refuse(
            np.abs(rule.sum(axis=1) - 1) > 1e-9, rule.sum(axis=1), "chances of arms must sum to 1", "Normalise them."
        )
        return (values * rule).sum(axis=1)
    arm = checked_arms(rule)
    refuse(arm >= values.shape[1], arm, f"an arm must be below {values.shape[1]}", "Name every arm in the scores.")
    return values[np.arange(arm.size), arm]


def policy_value(of, subjects=None) -> Estimate:
    """The value per head of a rule, from the scores that it gives (`given`, or outcomes of what was done) (n,)."""
    of = checked_scores(of, "value")
    return normal_interval(float(of.mean()), _error(of, subject_codes(subjects, of.size)))


def policy_gain(first, second, subjects=None) -> Difference:
    """What the rule of the scores `second` brings more per head than that of `first` on the same rows; both (n,).

    Rules that give the same differ by zero, with a p-value of one.
    """
    first, second = checked_scores(first, "value"), checked_scores(second, "value")
    same_length(first, second, "value")
    more = second - first
    value, error = float(more.mean()), _error(more, subject_codes(subjects, more.size))
    if error == 0:
        return Difference(value, value, value, float(value == 0))
    return Difference(*normal_interval(value, error), float(2 * ndtr(-abs(value) / error)))


def policy_table(of: Mapping[str, np.ndarray], chosen: str, subjects=None) -> pd.DataFrame:
    """One row a rule, in the order given, and what `chosen` brings more than it; all per head.

    Columns: rule, value, low, high, gain, gain_low, gain_high, p_value.
    """
    rows = []
    for name, scores in of.items():
        value, gain = policy_value(scores, subjects), policy_gain(scores, of[chosen], subjects)
        rows.append((name, *value, *gain))
    names = ["rule", "value", "low", "high", "gain", "gain_low", "gain_high", "p_value"]
    return pd.DataFrame(rows, columns=names)


def _error(of: np.ndarray, codes: np.ndarray) -> float:
    """The standard error of a mean over rows, of which a subject may have several."""
    moved = np.bincount(codes, of - of.mean())
    if moved.size < 2:
        raise ValueError(f"an interval needs at least two subjects, but has {moved.size}.")
    return float(np.sqrt(moved.size / (moved.size - 1) * (moved**2).sum()) / of.size)
