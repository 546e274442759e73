r"""How many customers does the next campaign need, to see an effect that is worth seeing?

A treated and a control group, compared by a two-sided t test: with n1 and n2 customers, standard deviation s of the
outcome and a true effect d, the statistic is noncentral t with n1 + n2 - 2 degrees of freedom and

.. math:: \delta = \frac{d}{s \sqrt{1/n_1 + 1/n_2}}

What adjustment leaves of the variance (`campaign.variance_kept`) multiplies s^2. For an outcome of 0 or 1 with share p,
s^2 is p (1 - p).

[1] Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, chapter 2.
[2] Deng et al. (2013), WSDM: what CUPED saves.
"""

import numpy as np
from scipy.special import nctdtr, stdtrit

from evaluation.estimate import LEVEL

MOST = 10**12


def power(rows: int, control_share: float, effect: float, deviation: float, level: float = 1 - LEVEL) -> float:
    """The chance of seeing the effect, in [0, 1], with so many customers in both groups together.

    effect, deviation  the difference of means and the standard deviation within a group, in the unit of the outcome
    level              chance of a false alarm; divide it by the number of comparisons where there are several
    """
    _check(control_share, deviation, level)
    return _power(rows, control_share, effect, deviation, level)


def rows_needed(
    effect: float, deviation: float, control_share: float = 0.5, chance: float = 0.8, level: float = 1 - LEVEL
) -> int:
    """The fewest customers, both groups together, that show the effect with this chance. Raises ValueError for none."""
    _check(control_share, deviation, level)
    if effect == 0 or not level < chance < 1:
        raise ValueError(f"an effect and a chance in ({level:g}, 1) are needed, but are {effect} and {chance}.")
    few, many = 4, 8
    while _power(many, control_share, effect, deviation, level) < chance:
        few, many = many, many * 2
        if many > MOST:
            raise ValueError(f"an effect of {effect} is too small to be seen at all beside a deviation of {deviation}.")
    while many - few > 1:
        middle = (few + many) // 2
        enough = _power(middle, control_share, effect, deviation, level) >= chance
        few, many = (few, middle) if enough else (middle, many)
    return many


def smallest_effect(
    rows: int, deviation: float, control_share: float = 0.5, chance: float = 0.8, level: float = 1 - LEVEL
) -> float:
    """The smallest effect that so many customers show with this chance, in the unit of the outcome."""
    _check(control_share, deviation, level)
    error = deviation * np.sqrt(1 / (rows * control_share) + 1 / (rows * (1 - control_share)))
    low, high = 0.0, 20 * error
    for _ in range(60):
        middle = (low + high) / 2
        enough = _power(rows, control_share, middle, deviation, level) >= chance
        low, high = (low, middle) if enough else (middle, high)
    return float(high)


def _power(rows: int, control_share: float, effect: float, deviation: float, level: float) -> float:
    error = deviation * np.sqrt(1 / (rows * control_share) + 1 / (rows * (1 - control_share)))
    freedom, away = max(rows - 2, 1), abs(effect) / error
    limit = stdtrit(freedom, 1 - level / 2)
    if away > limit + 8:  # far out the function loses its digits; the chance of not seeing it is below 1e-15
        return 1.0
    return float(1 - nctdtr(freedom, away, limit) + nctdtr(freedom, away, -limit))


def _check(control_share: float, deviation: float, level: float) -> None:
    if not (0 < control_share < 1 and deviation > 0 and 0 < level < 1):
        raise ValueError(
            f"control_share and level must lie in (0, 1) and deviation above zero, but are {control_share}, {level} "
            f"and {deviation}."
        )
