r"""The shop's tempo: season, weekdays, opening hours, trend and promotions that all customers share.

Purchases are drawn in operational time s, in which the shop is always the same, and put on the calendar by the inverse
of :math:`s(t) = \int_0^t m(u) du`, where m is the multiplier of an hour. A Poisson process of rate lambda in s is one
of rate lambda m(t) in t, so that with m = 1 nothing is left but the paper's process.

[1] Cinlar (1975), Introduction to Stochastic Processes, section 4.7: Poisson processes by a change of time.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np

from sources.world.parameters import Purchases, World

YEAR = 365.25
AHEAD = 730  # days beyond the world's end for which the tempo is known: expectations reach that far


@dataclass(frozen=True, eq=False)
class Tempo:
    """The integral s at the end of each hour, and how much of it was spent in promotions. Both start at zero."""

    reached: np.ndarray
    promoted: np.ndarray

    def operational(self, day: np.ndarray | float) -> np.ndarray:
        """s(t) of days since the world began."""
        return np.interp(np.asarray(day) * 24, np.arange(len(self.reached)), self.reached)

    def calendar(self, s: np.ndarray) -> np.ndarray:
        """The day t at which s(t) is reached."""
        return np.interp(s, self.reached, np.arange(len(self.reached))) / 24

    def promoted_share(self, start: float, end: float) -> float:
        """The share of s between two days that lies in promotions."""
        hour = np.arange(len(self.reached))
        passed, promoted = (np.interp([start * 24, end * 24], hour, of) for of in (self.reached, self.promoted))
        return float((promoted[1] - promoted[0]) / max(passed[1] - passed[0], 1e-12))


@lru_cache(maxsize=4)
def tempo(world: World) -> Tempo:
    """The tempo of a world, by the hour, to `AHEAD` days beyond its end."""
    day = np.arange(world.days + AHEAD)
    promoted = in_promotion(world.purchases, day)
    by_day = _seasonal(world, day) * np.where(promoted, 1 + world.purchases.promotion_lift, 1.0)
    hours = (by_day[:, None] * _by_hour(world.purchases)).ravel()
    return Tempo(_summed(hours), _summed(hours * np.repeat(promoted, 24)))


def in_promotion(purchases: Purchases, day: np.ndarray) -> np.ndarray:
    """Whether a promotion runs on each day; the first begins when a whole interval has passed."""
    if purchases.promotions == 0:
        return np.zeros(np.shape(day), bool)
    every = YEAR / purchases.promotions
    return (day >= every) & (np.floor(day) % every < purchases.promotion_days)


def _seasonal(world: World, day: np.ndarray) -> np.ndarray:
    told = world.purchases
    new_year = world.first_day.replace(month=1, day=1)
    of_year = (day + (world.first_day - new_year) / timedelta(days=1)) % YEAR
    weekend = (day + world.first_day.weekday()) % 7 >= 5
    weekly = np.where(weekend, told.weekend, 1.0) / ((5 + 2 * told.weekend) / 7)
    season = 1 + told.season * np.cos(2 * np.pi * (of_year - told.peak) / YEAR)
    return season * weekly * np.exp(told.trend * day / YEAR)


def _by_hour(purchases: Purchases) -> np.ndarray:
    opens, closes = purchases.opening
    hour = np.arange(24)
    return np.where((hour >= opens) & (hour < closes), 24 / (closes - opens), 0.0)


def _summed(hours: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(hours / 24)])
