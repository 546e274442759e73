r"""What every customer is like, and nobody can see: the traits that all that happens follows from.

Each trait has its own marginal distribution, exactly; correlations are put in by normal scores (a Gaussian copula):
with independent standard normal e, the score of spend is z_s = rho e_strength + sqrt(1 - rho^2) e_s, and the trait is
the inverse of its distribution function at Phi(z). Rate and dropout are independent unless `rate_leave` says
otherwise, which is what the BG/NBD assumes.

[1] Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2): rate and dropout.
[2] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, brucehardie.com/notes/025: spend.
[3] Nelsen (2006), An Introduction to Copulas, 2nd edition, section 2.3.
[4] Radcliffe & Surry (2011), Real-World Uplift Modelling with Significance-Based Uplift Trees: the four types.
"""

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtr

from sources.world.baskets import category_shares, zipf
from sources.world.draws import choice, normal, uniform
from sources.world.parameters import Arrivals, Part, Purchases, Spend, Traits, World

# the normal scores of price sensitivity, satisfaction and rate that make a customer of each type, [4]
_LEANS = np.array([[1.0, 0.2, 0.0], [-0.5, 0.4, 0.9], [-0.5, -0.2, -0.8], [0.0, -1.2, 0.3]])


def traits(world: World, part: Part) -> dict[str, np.ndarray]:
    """The traits of a part's customers, arrays of shape (part.size,), in the order of their numbers.

    customer_id   int64, from 1
    cohort        days from the world's first day to the first purchase
    acquisition   number of the channel that she came by
    region        number of the place where she lives at first; `moved_to` and `moved_at` (days; infinite: never)
    household     the smallest customer_id in her household
    age           whole years
    rate          purchases a day while she stays, lambda
    leave         probability of leaving after each repeat purchase, p; with `lifetime`, her rate of leaving a day, mu
    spend_rate    nu: a basket is worth Gamma(p, rate nu) cents
    price, satisfaction, strength   standard normal scores: sensitivity to price, satisfaction, financial strength
    favourite     number of her favourite category
    uplift_type   0 persuadable, 1 sure thing, 2 lost cause, 3 sleeping dog
    effect        by which a campaign's effect on her differs from her type's, mean 1
    """
    who = np.arange(part.first_customer, part.first_customer + part.size, dtype=np.int64)
    z = _scores(world.traits, world.seed, who)
    found = {"customer_id": who} | _places(world, who)
    z["spend"] = _mix(world.traits.region_spend, _region_score(world, found["region"]), z["spend"])
    acquisition = choice(world.arrivals.shares, uniform(world.seed, "acquisition", who))
    return found | {
        "cohort": while_open(world, cohort_day(world.arrivals, world.days, uniform(world.seed, "cohort", who))),
        "acquisition": acquisition,
        "age": np.rint(18 + 62 * betaincinv(2.0, 3.0, uniform(world.seed, "age", who))).astype(np.int64),
        "rate": rate(world.purchases, z["rate"]) * np.array(world.arrivals.rates)[acquisition],
        "leave": leaving(world.purchases, z["leave"]),
        "spend_rate": spend_rate(world.spend, z["spend"]),
        "price": z["price"],
        "satisfaction": z["satisfaction"],
        "strength": z["strength"],
        "favourite": choice(category_shares(world.baskets), uniform(world.seed, "likes", who)),
        "uplift_type": _types(world.traits, z, uniform(world.seed, "uplift type", who)),
        "effect": _effect(world, who),
    }


def cohort_day(arrivals: Arrivals, days: int, at: np.ndarray) -> np.ndarray:
    """The day of arrival at a share of all arrivals: the inverse of an exponential distribution cut at the end."""
    growth = arrivals.growth * days / 365.25
    return days * (at if growth == 0 else np.log1p(at * np.expm1(growth)) / growth)


def while_open(world: World, day: np.ndarray) -> np.ndarray:
    """The same days, their hours pressed into those in which the shop is open."""
    opens, closes = world.purchases.opening
    whole = np.floor(day)
    return whole + (opens + (day - whole) * (closes - opens)) / 24


def rate(purchases: Purchases, z: np.ndarray) -> np.ndarray:
    """Purchases a day: Gamma(r, alpha), assumption (ii) of [1]."""
    return gammaincinv(purchases.r, ndtr(z)) / purchases.alpha


def leaving(purchases: Purchases, z: np.ndarray) -> np.ndarray:
    """Probability of leaving after a purchase: Beta(a, b), assumption (iv) of [1]; with `lifetime` Gamma(s, beta)."""
    if purchases.lifetime:
        return gammaincinv(purchases.s, ndtr(z)) / purchases.beta
    return betaincinv(purchases.a, purchases.b, ndtr(z))


def spend_rate(spend: Spend, z: np.ndarray) -> np.ndarray:
    """nu: Gamma(q, gamma), [2]; the more a customer spends, the smaller it is."""
    return gammaincinv(spend.q, ndtr(-z)) / spend.gamma


def _scores(told: Traits, seed: int, who: np.ndarray) -> dict[str, np.ndarray]:
    e = {name: normal(seed, f"score of {name}", who) for name in ("satisfaction", "strength", "rate")}
    own = {name: normal(seed, f"score of {name}", who) for name in ("leave", "spend", "price")}
    leave = _mix2(-told.satisfaction_leave, e["satisfaction"], told.rate_leave, e["rate"], own["leave"])
    spend = _mix2(told.strength_spend, e["strength"], told.rate_spend, e["rate"], own["spend"])
    return e | {"leave": leave, "spend": spend, "price": _mix(-told.strength_price, e["strength"], own["price"])}


def _mix(rho: float, known: np.ndarray, own: np.ndarray) -> np.ndarray:
    """A standard normal score that has the correlation rho with a known one."""
    return rho * known + np.sqrt(1 - rho**2) * own


def _mix2(rho: float, first: np.ndarray, tau: float, second: np.ndarray, own: np.ndarray) -> np.ndarray:
    return rho * first + tau * second + np.sqrt(1 - rho**2 - tau**2) * own


def _places(world: World, who: np.ndarray) -> dict[str, np.ndarray]:
    """Where people live. A household is a run of customers who live with the one before; it shares one place."""
    told, seed = world.traits, world.seed
    with_last = uniform(seed, "household", who) < told.household
    with_last[0] = False  # a household does not reach across parts
    household = np.maximum.accumulate(np.where(with_last, 0, who))
    shares = zipf(told.regions, 1.0)
    moves = uniform(seed, "moves", household) < told.moves
    return {
        "household": household,
        "region": choice(shares, uniform(seed, "region", household)),
        "moved_to": choice(shares, uniform(seed, "moves to", household)),
        "moved_at": np.where(moves, world.days * uniform(seed, "moves at", household), np.inf),
    }


def _region_score(world: World, region: np.ndarray) -> np.ndarray:
    return normal(world.seed, "spend of a region", np.arange(world.traits.regions))[region]


def _types(told: Traits, z: dict[str, np.ndarray], at: np.ndarray) -> np.ndarray:
    """Drawn by a multinomial logit of three scores, one uniform number each."""
    scores = np.stack([z["price"], z["satisfaction"], z["rate"]], axis=1)
    weight = np.exp(told.sharpness * (scores[:, None, :] * _LEANS).sum(axis=2)) * np.array(told.types)
    reached = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    return np.minimum((at[:, None] >= reached).sum(axis=1), len(told.types) - 1)


def _effect(world: World, who: np.ndarray) -> np.ndarray:
    spread = world.campaigns.spread if world.campaigns else 0.0
    if spread == 0:
        return np.ones(len(who))
    shape = spread**-2
    return gammaincinv(shape, uniform(world.seed, "effect", who)) / shape
