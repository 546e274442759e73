"""Where each customer stands between what she brings now and what is still to come, how sure that is, and what to do.

          to come low     to come high
now high   maintain         VIP
now low    let go           improve

Now is the margin of the period that has just ended, which is known: of what she may bring from today on it would be a
multiple for all alike wherever nobody's leaving can be told, and half of the classes would be empty. To come is present
and potential value together, a number that nobody knows: so a class has a probability, from draws of it; and to be
wrong costs the distance to the border that was crossed in truth: who is just beyond it costs little. The class taken is
the one whose expected cost is smallest. Arrays are of shape (n,), draws of shape (n, draws), money in cents.
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


def quadrants(now: np.ndarray, to_come: np.ndarray, borders: tuple[float, float]) -> pd.DataFrame:
    """One row a customer: quadrant, the probability of each class (`p_vip`, ...), and cost_of_wrong (expected, cents).

    now      margin of the period that has just ended, (n,)
    to_come  draws (n, draws) of what she is worth from today on
    borders  above which either is high

    Raises `Refused` where the two are not of the same customers.
    """
    if to_come.ndim != 2 or np.shape(now) != to_come.shape[:1]:
        raise Refused(f"Draws must be a row for each of {np.size(now):,} customers, but are {to_come.shape}.")
    high_now, high_later = np.asarray(now) > borders[0], (to_come > borders[1]).mean(axis=1)
    chance = np.where(
        high_now[:, None] == _HIGH_NOW, np.where(_HIGH_LATER, high_later[:, None], 1 - high_later[:, None]), 0
    )
    # to call it high costs how far below its border the truth is on average, and the other way round
    over, under = np.maximum(borders[1] - to_come, 0).mean(axis=1), np.maximum(to_come - borders[1], 0).mean(axis=1)
    cost = np.where(high_now[:, None] == _HIGH_NOW, np.where(_HIGH_LATER, over[:, None], under[:, None]), np.inf)
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
