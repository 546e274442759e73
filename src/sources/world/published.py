"""What is known of real customers, to hold beside the simulated: figures, no data. Money is cents, times are days.

CDNOW        an online shop for music: 2,357 customers, a tenth of those who first bought in the first 12 weeks of 1997,
             seen for 39 weeks [1, 2]. Purchases of a day count as one
GROCER       estimates of BG/NBD on the 2,260 households of the Complete Journey that were first seen in 12 weeks, by
             maximum likelihood on 39, and of gamma-gamma on what they paid on each day. The mean first day, 12, gives
             the growth of arrivals. Hardly anybody is seen to leave: a and b say only that
CZECH_LOANS  of a bank's accounts: those with a loan, and of these the loans that were not paid as agreed [3]

[1] Fader, Hardie & Lee (2005), Marketing Science 24(2): the design, and 946 customers with a repeat purchase.
[2] The sample of brucehardie.com/datasets, as in the package lifetimes 0.11.3: all counts and quantiles are of it.
[3] Berka (1999), PKDD Discovery Challenge: 4,500 accounts, 682 loans, 76 of status B or D.
"""

from typing import NamedTuple

import numpy as np

from sources.world.parameters import CDNOW, Arrivals, Purchases, Spend, World

ENTRY_DAYS, SEEN_DAYS = 84, 273
# customers with 0, 1, ... 6 repeat purchases, and with 7 or more
CDNOW_CUSTOMERS = np.array([1411, 439, 214, 100, 62, 38, 29, 64])
# all repeat purchases until the end of a week
CDNOW_REPEATS = {4: 81, 8: 351, 13: 828, 20: 1359, 26: 1746, 33: 2132, 39: 2457}
PROBABILITIES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
CDNOW_GAPS = np.array([2, 4, 10, 27, 61, 128, 164])  # days between two purchases
CDNOW_VALUES = np.array([998, 1177, 1479, 2614, 4290, 6959, 9453])  # cents of a purchase
CDNOW_TOP = {0.1: 0.468, 0.2: 0.633, 0.5: 0.868}  # of the spend, by the best share of the customers
GROCER = {"r": 1.52, "alpha": 10.0, "a": 0.07, "b": 100.0}
GROCER_SPEND = Spend(p=1.325, q=3.13, gamma=6_170.0, category_spread=0.0)
GROCER_GROWTH = -30.0


class Loans(NamedTuple):
    """Counts of a bank."""

    accounts: int
    loans: int
    bad: int


CZECH_LOANS = Loans(accounts=4_500, loans=682, bad=76)


def twin_of_cdnow(customers: int, seed: int) -> World:
    """A world with nothing but the papers' models and CDNOW's parameters, seen for as long."""
    return _twin(customers, seed, CDNOW, Spend(category_spread=0.0), 0.0)


def twin_of_grocer(customers: int, seed: int) -> World:
    """The same with the grocer's."""
    return _twin(customers, seed, GROCER, GROCER_SPEND, GROCER_GROWTH)


def _twin(customers: int, seed: int, found: dict[str, float], spend: Spend, growth: float) -> World:
    even = {"season": 0.0, "weekend": 1.0, "trend": 0.0, "promotions": 0, "opening": (0, 24), "coupons": 0.0}
    kept = {"purchases": Purchases(**even, **found), "spend": spend, "arrivals": Arrivals(growth, rates=(1.0,) * 4)}
    return World.textbook(customers, seed, days=SEEN_DAYS, **kept)
