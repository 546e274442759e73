"""Whom to send which campaign: each customer the one that is expected to bring most, if it brings more than it costs.

What a contact brings is assumed where no experiment tells it: `success_rate` of an offer is the share of responses that
would not have come by themselves, `value_kept` the margin of a response.
"""

import numpy as np
import pandas as pd

from evaluation.money import Offer, contact_profit

SEND, LEAVE = "send", "leave alone"


def mailing_plan(scores: pd.DataFrame, offer: Offer, margin_share: float) -> pd.DataFrame:
    """customer_id, campaign_id, score, action, expected_profit_cents: most profitable first, ties by the keys.

    scores        one row a customer and campaign: `score`, the probability of a response, and `amount_cents`, what it
                  would be worth
    margin_share  of the amount that is margin; `value_kept` of the offer gives way to each customer's own
    """
    own = offer._replace(value_kept=np.rint(scores.amount_cents.to_numpy() * margin_share).astype("int64"))
    profit = contact_profit(scores.score.to_numpy(), own)
    plan = scores[["customer_id", "campaign_id", "score"]].assign(profit=profit)
    plan = plan.sort_values(["profit", "customer_id", "campaign_id"], ascending=[False, True, True], ignore_index=True)
    best = ~plan.duplicated("customer_id")
    plan["action"] = np.where(best & (plan.profit > 0), SEND, LEAVE)
    plan["expected_profit_cents"] = np.rint(plan.profit).astype("int64")
    return plan.drop(columns="profit")
