r"""What a basket is worth before discounts: the gamma-gamma model.

(i) The value z of a basket is Gamma(p, nu); (ii) nu is Gamma(q, gamma) among customers; (iii) nu is independent of how
often she buys. Then E[z | nu] = p / nu and E[z] = p gamma / (q - 1). With `category_spread` a basket also costs what
its category costs, which the model does not know.

[1] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, brucehardie.com/notes/025, assumptions on page 1.
[2] Colombo & Jiang (1999), A Stochastic RFM Model, Journal of Interactive Marketing 13(3).
"""

import numpy as np
from scipy.special import gammaincinv

from sources.world.baskets import category_factor
from sources.world.draws import uniform
from sources.world.parameters import World


def basket_value(
    world: World, customer: np.ndarray, number: np.ndarray, spend_rate: np.ndarray, category: np.ndarray
) -> np.ndarray:
    """Cents of each basket, not rounded; `category` is that of its first line."""
    z = gammaincinv(world.spend.p, uniform(world.seed, "spend", customer, number)) / spend_rate
    return z * category_factor(world)[category]
