"""From purchases to order lines as a till writes them: those of her own accord, those a campaign added, and returns.

An order's number is made of the customer's and of her purchase's, so that it is the same whatever else is switched on
or off. A basket's value is that of `spend`; promotions, coupons and vouchers take their share off it as a discount, so
that amount_cents + discount_cents is the value of the gamma-gamma model, to the cent.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sources.world.baskets import LINE, Lines, basket_lines, line_category
from sources.world.campaigns import Campaigned, starts
from sources.world.clock import moments
from sources.world.draws import uniform
from sources.world.expectation import takes_coupon
from sources.world.lateness import known
from sources.world.parameters import World
from sources.world.purchases import Occasions
from sources.world.spend import basket_value
from sources.world.tempo import in_promotion

NUMBERS = 100_000  # order numbers of a customer; those of purchases that campaigns added begin at ADDED
ADDED = 80_000
RETURNED = 50  # a returned line has the number of the line it sends back, plus this


@dataclass(frozen=True, eq=False)
class Sold:
    """Orders of a part, sorted by customer and number.

    row, customer, number   whose order, and which of hers
    day                     days since the world began
    cents                   value before discounts
    discount                share taken off
    on_web                  whether it was bought on the web
    """

    row: np.ndarray
    customer: np.ndarray
    number: np.ndarray
    day: np.ndarray
    cents: np.ndarray
    discount: np.ndarray
    on_web: np.ndarray

    @property
    def order_id(self) -> np.ndarray:
        """One number for each order, the same whatever other orders there are."""
        return self.customer * NUMBERS + self.number


def sold(world: World, traits: dict[str, np.ndarray], made: Occasions, done: Campaigned) -> Sold:
    """All purchases that were made, with their values."""
    row, number, day = made.row[done.bought], made.number[done.bought], made.day[done.bought]
    if done.row:
        row, day = np.concatenate([row, *done.row]), np.concatenate([day, *done.day])
        number = np.concatenate([number, ADDED + np.concatenate(done.campaign)])
        order = np.lexsort((number, row))
        row, number, day = row[order], number[order], day[order]
    who = traits["customer_id"][row]
    category = line_category(world, who, number, 1, traits["favourite"][row])
    value = basket_value(world, who, number, traits["spend_rate"][row], category)
    web = np.array(world.arrivals.web)[traits["acquisition"][row]]
    return Sold(
        row,
        who,
        number,
        day,
        np.maximum(np.rint(value), 1).astype(np.int64),
        _discount(world, traits["price"][row], who, number, day, _voucher(world, done, row, day)),
        uniform(world.seed, "on the web", who, number) < web,
    )


def _discount(world: World, price, who, number, day, voucher) -> np.ndarray:
    told = world.purchases
    promotion = np.where(in_promotion(told, np.floor(day)), told.promotion_discount, 0.0)
    has_coupon = uniform(world.seed, "coupon", who, number) < takes_coupon(world, price)
    coupon = np.where(has_coupon, told.coupon_discount, 0.0)
    return 1 - (1 - promotion) * (1 - coupon) * (1 - voucher)


def _voucher(world: World, done: Campaigned, row, day) -> np.ndarray:
    """The discount of the arm in whose window each order falls."""
    off = np.zeros(len(row))
    for start, contacts in zip(starts(world), done.contacts, strict=True):
        share = np.zeros(len(done.left_at))
        share[contacts["row"]] = np.array([arm.discount for arm in world.campaigns.arms])[contacts["arm"]]
        inside = (day >= start) & (day < start + world.campaigns.window)
        off = np.where(inside, share[row], off)
    return off


def orders_table(world: World, traits: dict[str, np.ndarray], made: Sold) -> pa.Table:
    """The raw table `orders`: a row a line, sorted by order and line; what is sent back follows what was bought."""
    lines = basket_lines(world, made.customer, made.number, traits["favourite"][made.row], made.cents)
    of = lines.basket
    discount = np.floor(lines.value * made.discount[of]).astype(np.int64)
    day, told = made.day[of], known(world, "order", made.day, made.customer, made.number)[of]
    back, back_day, back_told = _sent_back(world, made, lines)
    pick = np.concatenate([np.arange(len(of)), back])
    number = np.concatenate([lines.line, lines.line[back] + RETURNED])
    order = np.lexsort((number, of[pick]))
    pick, number = pick[order], number[order]
    sign = np.where(number > RETURNED, -1, 1)
    basket = of[pick]
    store = pa.array(traits["region"][made.row][basket] + 1, mask=made.on_web[basket])
    return pa.table(
        {
            "order_id": made.order_id[basket],
            "customer_id": made.customer[basket],
            "ordered_at": moments(world, np.concatenate([day, back_day])[order]),
            "product_id": lines.product[pick] + 1,
            "quantity": sign * lines.quantity[pick],
            "amount_cents": sign * (lines.value - discount)[pick],
            "discount_cents": sign * discount[pick],
            "channel": pa.array(["store", "web"]).take(pa.array(made.on_web[basket].astype(np.int8))),
            "store_id": store,
            "line_id": number,
            "known_at": moments(world, np.concatenate([told, back_told])[order]),
        }
    )


def _sent_back(world: World, made: Sold, lines: Lines) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which lines come back before the world ends, on which day, and when that was known; exponential delays."""
    if world.returns.share == 0:
        return np.array([], int), np.array([]), np.array([])
    who, index = made.customer[lines.basket], made.number[lines.basket] * LINE + lines.line
    happens = uniform(world.seed, "return", who, index) < world.returns.share
    delay = -np.log1p(-uniform(world.seed, "return after", who, index)) * world.returns.days
    day = made.day[lines.basket] + delay
    back = np.flatnonzero(happens & (day < world.days) & (lines.value > 0))
    return back, day[back], known(world, "return", day[back], who[back], index[back])
