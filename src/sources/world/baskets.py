r"""What is in a basket: lines, their categories and products, and how a basket's value falls on them.

A line is of the customer's favourite category with probability `loyalty`, else of category c with the Zipf probability
:math:`c^{-s} / \sum_j j^{-s}`; within a category products are Zipf-distributed by their rank too. The value of a basket
is given (`spend`) and falls on its lines in proportion to the products' prices, in whole cents, none lost.

[1] Zipf (1949), Human Behavior and the Principle of Least Effort.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import pdtr

from sources.world.clock import moments
from sources.world.draws import choice, normal, uniform
from sources.world.parameters import Baskets, World

LINE = 100  # the index of a line among a customer's draws is this times the basket's number, plus its own
OWN_BRAND, BRANDS = 0.25, 40
_PRICE, _PRICE_SPREAD = 900.0, 0.6  # cents of the median product; standard deviation of the logarithm


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of baskets, sorted by basket: the number of the basket, of the line (from 1), and what is in it."""

    basket: np.ndarray
    line: np.ndarray
    product: np.ndarray
    value: np.ndarray
    quantity: np.ndarray


def category_shares(baskets: Baskets) -> np.ndarray:
    """The probability of each category for a line that is not of the favourite one."""
    return zipf(baskets.categories, baskets.zipf)


def zipf(n: int, exponent: float) -> np.ndarray:
    """Zipf's probabilities of the ranks 1 to n."""
    weight = np.arange(1, n + 1) ** -exponent
    return weight / weight.sum()


def category_factor(world: World) -> np.ndarray:
    """By which a category multiplies the value of a basket: lognormal with mean one; all one when it has no spread."""
    spread = world.spend.category_spread
    z = normal(world.seed, "price of a category", np.arange(world.baskets.categories))
    return np.exp(spread * z - spread**2 / 2)


def line_category(world: World, customer, number, line, favourite) -> np.ndarray:
    """The category of a line of a customer's basket."""
    told, index = world.baskets, number * LINE + line
    faithful = uniform(world.seed, "faithful line", customer, index) < told.loyalty
    drawn = choice(category_shares(told), uniform(world.seed, "category", customer, index))
    return np.where(faithful, favourite, drawn)


def basket_lines(world: World, customer, number, favourite, value: np.ndarray) -> Lines:
    """The lines of baskets of `value` whole cents; arrays have one entry a basket, the lines' values sum to them."""
    told = world.baskets
    counts = 1 + _poisson(told.lines, told.most - 1, uniform(world.seed, "lines", customer, number))
    basket = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    line = np.arange(len(basket)) - first[basket] + 1
    who, nth = customer[basket], number[basket]
    category = line_category(world, who, nth, line, favourite[basket])
    per = told.products // told.categories
    rank = choice(zipf(per, told.zipf), uniform(world.seed, "product", who, nth * LINE + line))
    product = category * per + rank
    price = prices(world)[product]
    weight = price * (0.5 + uniform(world.seed, "weight of a line", who, nth * LINE + line))
    cents = _split(value, weight, basket, line - 1, counts.max(initial=1))
    return Lines(basket, line, product, cents, np.maximum(1, np.rint(cents / price)).astype(np.int64))


def prices(world: World) -> np.ndarray:
    """Cents that a product costs, one entry each; what its category costs is in it."""
    told = world.baskets
    z = normal(world.seed, "price of a product", np.arange(told.products // told.categories * told.categories))
    return _PRICE * np.exp(_PRICE_SPREAD * z) * np.repeat(category_factor(world), told.products // told.categories)


def products_table(world: World) -> pa.Table:
    """The raw table `products`, known since the world's first day."""
    told, price = world.baskets, prices(world)
    number = np.arange(len(price))
    category = number // (told.products // told.categories)
    brand = np.floor(uniform(world.seed, "brand", number) * BRANDS / (1 - OWN_BRAND)).astype(int)
    return pa.table(
        {
            "product_id": number + 1,
            "category": named("category", category),
            "department": named("department", category % told.departments),
            "brand": pa.array(np.where(brand < BRANDS, np.char.add("brand ", (brand + 1).astype(str)), "own")),
            "unit_cost_cents": np.rint(price * (1 - world.spend.margin)).astype(np.int64),
            "known_at": moments(world, np.zeros(len(price))),
        }
    )


def named(word: str, number: np.ndarray) -> pa.Array:
    """Texts such as `category 03`, from numbers that begin with 0."""
    names = pa.array([f"{word} {i + 1:02d}" for i in range(int(number.max(initial=0)) + 1)])
    return names.take(pa.array(number))


def _poisson(mean: float, most: int, at: np.ndarray) -> np.ndarray:
    """Poisson numbers, none above `most`, by the inverse."""
    return np.searchsorted(pdtr(np.arange(most), mean), at, side="right")


def _split(value, weight, basket, at, most: int) -> np.ndarray:
    """Whole cents for each line in proportion to its weight: differences of the rounded-down running share."""
    held = np.zeros((len(value), most))  # a row a basket: no basket's sums depend on another's
    held[basket, at] = weight
    reached = np.cumsum(held, axis=1)
    cents = np.floor(reached / reached[:, -1:] * value[:, None]).astype(np.int64)
    return np.diff(cents, axis=1, prepend=0)[basket, at]
