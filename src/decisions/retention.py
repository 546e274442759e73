"""Whom to contact so that they stay: those for whom the contact is expected to bring more than it costs."""

import numpy as np
import pandas as pd

from evaluation.money import Offer, break_even, contact_profit

CONTACT, LEAVE = "contact", "leave alone"


def contact_plan(scores: pd.DataFrame, offer: Offer) -> pd.DataFrame:
    """customer_id, score, action and expected_profit_cents, most profitable first; ties by customer_id.

    `scores` has one row a customer with `score`, the probability of churn.
    """
    profit = contact_profit(scores.score.to_numpy(), offer)
    plan = pd.DataFrame(
        {
            "customer_id": scores.customer_id,
            "score": scores.score,
            "action": np.where(profit > 0, CONTACT, LEAVE),
            "expected_profit_cents": np.rint(profit).astype("int64"),
        }
    )
    return plan.sort_values(["expected_profit_cents", "customer_id"], ascending=[False, True], ignore_index=True)


def threshold(offer: Offer) -> float:
    """The probability of churn above which a contact pays, in [0, 1]; 1 where none does."""
    return float(min(1.0, np.min(break_even(offer))))
