r"""What can be expected of a customer by whoever knows her traits: the best score there can be.

With h the operational time ahead (`tempo`), for a customer who has not left:

.. math:: E[X(h)] = (1 - e^{-\lambda p h}) / p, \qquad P(X(h) > 0) = 1 - e^{-\lambda h} \qquad (BG/NBD)
.. math:: E[X(h)] = \lambda (1 - e^{-\mu h}) / \mu, \qquad
          P(X(h) > 0) = \frac{\lambda}{\lambda + \mu} (1 - e^{-(\lambda + \mu) h}) \qquad (lifetime)

since purchases come at rate lambda and only while she stays. With Erlang-k gaps the stages passed since the last
purchase are Poisson, cut below k, and the n-th purchase from now is made by time h with probability
P(Gamma(nk - j) <= k lambda h) and still wanted with probability (1 - p)^(n-1).
No campaigns are expected to come; `campaigns` says what they change.

Whether she has left is known to the world alone. Who knows her rate and dropout, but sees only her silence w, gives it

.. math:: P(alive) = (1 - p) S(w) / ((1 - p) S(w) + p) \qquad (after a repeat purchase; else 1)

with S the survival function of a gap: no score made of what is seen can rank better than this times P(X(h) > 0).
"""

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln, ndtr, ndtri

from sources.world.baskets import category_factor, category_shares
from sources.world.parameters import World
from sources.world.tempo import tempo

# by which a standard deviation of price sensitivity moves the probit of taking a coupon
_COUPON_SLOPE = 0.8


def purchases_ahead(
    world: World, traits: dict[str, np.ndarray], left_at: np.ndarray, last: np.ndarray, start: float, end: float
) -> tuple[np.ndarray, np.ndarray]:
    """Expected purchases in [start, end), and the probability that there is one; zero for who has left or not come.

    left_at  the day on which each customer left (infinite: not yet)
    last     the day of her last purchase before `start`; only Erlang gaps ask for it
    """
    shop, rate = tempo(world), traits["rate"]
    leave = np.maximum(traits["leave"], 1e-12)  # the truth is written rounded: nobody divides by a zero of it
    h = float(shop.operational(end) - shop.operational(start))
    if world.purchases.regularity > 1:
        waited = np.maximum(shop.operational(start) - shop.operational(last), 0.0)
        expected, some = _erlang(world.purchases.regularity, rate, leave, waited, h)
    elif world.purchases.lifetime:
        expected = -rate * np.expm1(-leave * h) / leave
        some = -np.expm1(-(rate + leave) * h) * rate / (rate + leave)
    else:
        expected, some = -np.expm1(-rate * leave * h) / leave, -np.expm1(-rate * h)
    here = (left_at > start) & (traits["cohort"] < start)
    return np.where(here, expected, 0.0), np.where(here, some, 0.0)


def alive(
    world: World, traits: dict[str, np.ndarray], repeats: np.ndarray, last: np.ndarray, start: float
) -> np.ndarray:
    """The probability that a customer has not left by `start`, for whoever knows her traits and sees her purchases.

    repeats, last  her repeat purchases before `start`, and the day of the last purchase
    """
    shop, rate, leave = tempo(world), traits["rate"], traits["leave"]
    waited = np.maximum(shop.operational(start) - shop.operational(last), 0.0)
    if world.purchases.lifetime:
        both = rate + leave
        return both / (both + leave * np.expm1(both * waited))
    stays = (1 - leave) * gammaincc(world.purchases.regularity, world.purchases.regularity * rate * waited)
    return np.where(repeats > 0, stays / (stays + leave), 1.0)


def _erlang(k: int, rate, leave, waited, h: float) -> tuple[np.ndarray, np.ndarray]:
    stage = np.arange(k)
    passed = k * rate * waited
    log_weight = stage * np.log(np.maximum(passed, 1e-300))[:, None] - gammaln(stage + 1)
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)

    def made(n: int) -> np.ndarray:
        return (weight * gammainc(n * k - stage, (k * rate * h)[:, None])).sum(axis=1)

    some = made(1)
    expected, wanted, n, more = some.copy(), 1 - leave, 1, some
    while more.max(initial=0) > 1e-12:
        n += 1
        more = wanted * made(n)
        expected += more
        wanted = wanted * (1 - leave)
    return expected, some


def basket_cents(world: World, traits: dict[str, np.ndarray]) -> np.ndarray:
    """The expected value of a basket before discounts: p / nu, times what her categories cost."""
    factor = category_factor(world)
    average = float(np.dot(category_shares(world.baskets), factor))
    likes = world.baskets.loyalty * factor[traits["favourite"]] + (1 - world.baskets.loyalty) * average
    return world.spend.p / traits["spend_rate"] * likes


def takes_coupon(world: World, price: np.ndarray) -> np.ndarray:
    """The probability that a basket has a coupon, by the sensitivity to price."""
    if world.purchases.coupons == 0:
        return np.zeros_like(price)
    return ndtr(ndtri(world.purchases.coupons) + _COUPON_SLOPE * price)


def kept_share(world: World, traits: dict[str, np.ndarray], start: float, end: float) -> np.ndarray:
    """The share of a basket's value that promotions and coupons leave to be paid, as expected in [start, end)."""
    told = world.purchases
    promoted = tempo(world).promoted_share(start, end) * told.promotion_discount
    return (1 - promoted) * (1 - takes_coupon(world, traits["price"]) * told.coupon_discount)
