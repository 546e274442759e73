"""Where each customer stands between what she is worth now and what she may be worth, how sure that is, and what to do.

             potential low    potential high
present high    maintain         VIP
present low     let go           improve

A class is a statement about two numbers that nobody knows, so that each has a probability, from draws of both; and to
be wrong costs the distance to the border that was crossed in truth: who is just beyond it costs little. The class taken
is the one whose expected cost is smallest. Arrays are of shape (n,), draws of shape (n, draws), money in cents.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts.errors import Refused

IMPROVE, VIP, MAINTAIN, LET_GO = "improve", "VIP", "maintain", "let go"
CLASSES = (IMPROVE, VIP, MAINTAIN, LET_GO)
_HIGH_NOW = np.array([False, True, True, False])
_HIGH_LATER = np.array([True, True, False, False])
INVEST, HOLD, NOT = "invest", "hold", "do not invest"


@dataclass(frozen=True)
class Investment:
    """Something done for a customer now for what she may become.

    cents     what it costs
    lift      share by which it is taken to raise her potential value
    sure      probability of a gain from which it is done, and below whose complement it is not; in (0.5, 1)
    """

    cents: float
    lift: float
    sure: float = 0.8

    def __post_init__(self):
        if self.cents < 0 or self.lift < 0 or not 0.5 < self.sure < 1:
            raise Refused(
                f"An investment must cost nothing or more, lift by a share of 0 or more and be sure between 0.5 and 1, "
                f"but is {self.cents}, {self.lift} and {self.sure}. Correct it."
            )


def quadrants(present: np.ndarray, potential: np.ndarray, borders: tuple[float, float]) -> pd.DataFrame:
    """One row a customer: quadrant, the probability of each class (`p_vip`, ...), and cost_of_wrong (expected, cents).

    present, potential  draws (n, draws) of both values
    borders             above which present, and potential, are high

    Raises `Refused` where the draws are not of the same customers.
    """
    if present.shape != potential.shape or present.ndim != 2:
        raise Refused(f"Draws of both values must be of one shape, but are {present.shape} and {potential.shape}.")
    high_now, high_later = present > borders[0], potential > borders[1]
    chance = np.stack(
        [
            (~high_now & high_later).mean(axis=1),
            (high_now & high_later).mean(axis=1),
            (high_now & ~high_later).mean(axis=1),
            (~high_now & ~high_later).mean(axis=1),
        ],
        axis=1,
    )
    # to call a side high costs how far below its border the truth is on average, and the other way round
    over = [
        np.maximum(border - drawn, 0).mean(axis=1) for drawn, border in zip((present, potential), borders, strict=True)
    ]
    under = [
        np.maximum(drawn - border, 0).mean(axis=1) for drawn, border in zip((present, potential), borders, strict=True)
    ]
    cost = np.where(_HIGH_NOW, over[0][:, None], under[0][:, None])
    cost = cost + np.where(_HIGH_LATER, over[1][:, None], under[1][:, None])
    best = cost.argmin(axis=1)
    found = pd.DataFrame({f"p_{name.lower().replace(' ', '_')}": chance[:, k] for k, name in enumerate(CLASSES)})
    found.insert(0, "quadrant", np.array(CLASSES)[best])
    return found.assign(cost_of_wrong=cost[np.arange(len(cost)), best])


def invest(potential: np.ndarray, what: Investment) -> pd.DataFrame:
    """One row a customer: advice, p_gain, and expected_gain_cents, of an investment in her potential value.

    potential  draws (n, draws)

    invest: a gain is as sure as asked; do not invest: a loss is; hold: neither, so that to wait and see is better.
    """
    gain = what.lift * potential - what.cents
    sure = (gain > 0).mean(axis=1)
    advice = np.select([sure >= what.sure, sure <= 1 - what.sure], [INVEST, NOT], HOLD)
    return pd.DataFrame({"advice": advice, "p_gain": sure, "expected_gain_cents": gain.mean(axis=1)})
