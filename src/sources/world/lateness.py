"""Facts that reach the company late: a share of them, each after an exponential delay; the others at once.

What is late is drawn for each fact by itself, so that no fact waits for another, and features that use event times
for known times see what nobody could.
"""

import numpy as np

from sources.world.draws import uniform
from sources.world.parameters import World


def known(world: World, stream: str, happened: np.ndarray, customer: np.ndarray, index: np.ndarray | int) -> np.ndarray:
    """The day on which each fact became known, never before it happened; `index` numbers a customer's facts."""
    late = uniform(world.seed, f"late {stream}", customer, index) < world.lateness.share
    delay = -np.log1p(-uniform(world.seed, f"delay {stream}", customer, index)) * world.lateness.days
    return happened + np.where(late, delay, 0.0)
