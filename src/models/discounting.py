r"""What purchases to come are worth today: expected purchases, discounted, for any model that expects them.

Continuous, at the rate delta a day, over the time H (which may be infinite), with E(t) the purchases expected by t:

.. math:: \int_0^H e^{-\delta t}\,dE(t) = e^{-\delta H} E(H) + \delta \int_0^H e^{-\delta t} E(t)\,dt \qquad [1, eq. 3]

the integral by Gauss-Legendre quadrature in :math:`u = e^{-\delta t}`, which makes an infinite horizon a finite one.
Discrete, in periods of so many days and at the rate d a period, each purchase counted at the middle of its period:

.. math:: \sum_{k=1}^{n} \frac{E(k) - E(k-1)}{(1+d)^{k - 1/2}}

Arrays are of shape (n,), one entry a customer.

[1] Fader, Hardie & Lee (2005), RFM and CLV: Using Iso-Value Curves for Customer Base Analysis, JMR 42(4): 415-430; its
    discounted expected transactions (DET) without an end to the horizon.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import roots_legendre

NODES = 48
YEAR = 365.25

Expected = Callable[[float], np.ndarray]


def daily(a_year: float) -> float:
    """The continuous rate a day of a yearly one: log(1.15) / 365.25 of 0.15. Raises ValueError at -1 or below."""
    if a_year <= -1:
        raise ValueError(f"A rate of discount must be above -1, but is {a_year}. Give 0.15 for 15 % a year.")
    return float(np.log1p(a_year) / YEAR)


def continuous(expected: Expected, delta: float, days: float = np.inf) -> np.ndarray:
    """Discounted purchases in the next `days`, (n,); raises ValueError for an infinite horizon without discount.

    expected  purchases expected within a time, for all customers: E(t)
    delta     rate a day, from `daily`; at 0 the purchases are counted as they are
    """
    if delta < 0 or (delta == 0 and np.isinf(days)):
        raise ValueError(f"An infinite horizon needs a rate above 0, but it is {delta}. Give a rate, or an end.")
    if delta == 0:
        return expected(days)
    root, weight = roots_legendre(NODES)
    last = 0.0 if np.isinf(days) else float(np.exp(-delta * days))
    # u from the end of the horizon to now, its square root spread evenly: E(t) is steep near u = 0
    v = np.sqrt(last) + (1 - np.sqrt(last)) * (root + 1) / 2
    width = (1 - np.sqrt(last)) / 2 * weight * 2 * v
    inside = sum(w * expected(float(-np.log(u) / delta)) for u, w in zip(v**2, width, strict=True))
    return inside if last == 0 else inside + last * expected(days)


def discrete(expected: Expected, rate: float, period_days: float, periods: int) -> np.ndarray:
    """The same in `periods` of `period_days` at `rate` a period, (n,); raises ValueError for no period."""
    if periods < 1 or period_days <= 0 or rate <= -1:
        raise ValueError(f"There must be a period of days, but there are {periods} of {period_days} at {rate}.")
    total, before = 0.0, 0.0
    for k in range(1, periods + 1):
        by_then = expected(k * period_days)
        total = total + (by_then - before) / (1 + rate) ** (k - 0.5)
        before = by_then
    return np.asarray(total)
