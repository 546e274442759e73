r"""When a customer buys again, and when she leaves without a word.

BG/NBD [1], to the letter when the violations are off: (i) while she stays, the time to her next purchase is
exponential with rate lambda; (ii) lambda is Gamma(r, alpha) among customers; (iii) after each repeat purchase she
leaves with probability p; (iv) p is Beta(a, b) among customers; (v) lambda and p are independent. `latent` draws both.

Violations, each by a parameter: the shop's tempo (`tempo`), gaps that are more regular than exponential ones (Erlang-k,
as the k of [3]), leaving at any time instead of after a purchase (Pareto/NBD [2]), and, in `latent`, rate and dropout
that hang together, or on the channel of acquisition.

[1] Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), section 3.
[2] Schmittlein, Morrison & Colombo (1987), Counting Your Customers, Management Science 33(1).
[3] Platzer & Reutterer (2016), Ticking Away the Moments, Marketing Science 35(5): Pareto/GGG.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from sources.world.draws import uniform
from sources.world.parameters import World
from sources.world.tempo import tempo


@dataclass(frozen=True, eq=False)
class Occasions:
    """Purchases of a part's customers, before any campaign, sorted by customer and time.

    row      number of the customer within the part, from 0
    number   of the purchase with the customer: 0 is her first
    day      days since the world began
    left_at  by customer: the day on which she left, infinite if she is one still when the world ends
    """

    row: np.ndarray
    number: np.ndarray
    day: np.ndarray
    left_at: np.ndarray


def occasions(world: World, traits: dict[str, np.ndarray]) -> Occasions:
    """All purchases between arrival and the world's end; one turn of the loop is the next purchase of everybody."""
    shop = tempo(world)
    left_at, still = _lifetimes(world, traits), np.arange(len(traits["cohort"]))
    s = shop.operational(traits["cohort"])
    end = np.minimum(shop.operational(world.days), shop.operational(left_at))
    rows, numbers, days, k = [still], [np.zeros_like(still)], [traits["cohort"]], 0
    while len(still):
        k += 1
        s = s + _gap(world, traits["customer_id"][still], k) / traits["rate"][still]
        bought = s < end[still]
        still, s = still[bought], s[bought]
        day = shop.calendar(s)
        rows, numbers, days = [*rows, still], [*numbers, np.full_like(still, k)], [*days, day]
        if not world.purchases.lifetime:
            leaves = uniform(world.seed, "leaves", traits["customer_id"][still], k) < traits["leave"][still]
            left_at[still[leaves]] = day[leaves]
            still, s = still[~leaves], s[~leaves]
    row, number, day = map(np.concatenate, (rows, numbers, days))
    order = np.lexsort((number, row))
    return Occasions(row[order], number[order], day[order], left_at)


def _gap(world: World, customer: np.ndarray, k: int) -> np.ndarray:
    """The time to the k-th repeat purchase, in units of its mean."""
    at, shape = uniform(world.seed, "gap", customer, k), world.purchases.regularity
    return -np.log1p(-at) if shape == 1 else gammaincinv(shape, at) / shape


def _lifetimes(world: World, traits: dict[str, np.ndarray]) -> np.ndarray:
    """The day of leaving where it does not wait for a purchase; infinite for those who outlast the world."""
    if not world.purchases.lifetime:
        return np.full(len(traits["cohort"]), np.inf)
    shop = tempo(world)
    life = -np.log1p(-uniform(world.seed, "life", traits["customer_id"])) / traits["leave"]
    left = shop.operational(traits["cohort"]) + life
    return np.where(left < shop.operational(world.days), shop.calendar(left), np.inf)
