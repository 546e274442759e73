"""All that can be turned in the simulated world, with where each default comes from. Times are days, money is cents.

`World(customers, seed)` is a retailer as it might be: season, trend, promotions, campaigns, late facts.
`World.textbook(customers, seed)` keeps every assumption of the BG/NBD and the gamma-gamma model to the letter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date

from contracts.errors import Refused
from sources.world.credit import Credit
from sources.world.spellings import Identities

PART = 50_000
# table 2 of Fader, Hardie & Lee (2005); alpha in days
CDNOW = {"r": 0.243, "alpha": 4.414 * 7, "a": 0.793, "b": 2.426}
TYPES = ("persuadable", "sure thing", "lost cause", "sleeping dog")


@dataclass(frozen=True)
class Part:
    """A slice of customers that is made and written as one; which slice a customer is in depends on no machine."""

    number: int
    first_customer: int
    size: int


@dataclass(frozen=True)
class Arrivals:
    """When customers first buy, and where they came from. One entry of each tuple a channel.

    growth    of the rate of arrivals in a year, as a logarithm: 0 is even, below 0 an ageing company
    channels  of acquisition
    shares    of the channels
    rates     by which a channel multiplies the rate of purchase; all 1 keeps the gamma distribution
    web       share of their baskets that customers of a channel buy on the web, not in a store
    """

    growth: float = -0.5
    channels: tuple[str, ...] = ("search", "social", "store", "referral")
    shares: tuple[float, ...] = (0.35, 0.25, 0.25, 0.15)
    rates: tuple[float, ...] = (1.0, 0.7, 1.1, 1.3)
    web: tuple[float, ...] = (0.8, 0.9, 0.2, 0.6)


@dataclass(frozen=True)
class Traits:
    """How latent traits hang together: correlations of normal scores, which leave every marginal as it is.

    satisfaction_leave  of satisfaction with dropout, as a share taken off: the satisfied stay
    rate_leave          of rate with dropout; other than 0 breaks the independence that BG/NBD assumes
    strength_spend      of financial strength with spend a purchase
    rate_spend          of rate with spend; other than 0 breaks the independence that gamma-gamma assumes
    strength_price      of financial strength with sensitivity to price, as a share taken off
    regions             places, Zipf-distributed with exponent 1
    region_spend        standard deviation of the normal score of spend that is the place's, in [0, 1)
    household           probability that a customer lives with the one before
    moves               probability that a customer moves to another place before the world ends
    sharpness           how strongly price sensitivity, satisfaction and rate decide the type; 0 draws it blindly
    types               shares of persuadables, sure things, lost causes and sleeping dogs (Radcliffe & Surry 2011)
                        among customers with average traits
    """

    satisfaction_leave: float = 0.4
    rate_leave: float = 0.0
    strength_spend: float = 0.5
    rate_spend: float = 0.0
    strength_price: float = 0.3
    regions: int = 40
    region_spend: float = 0.3
    household: float = 0.25
    moves: float = 0.05
    sharpness: float = 1.0
    types: tuple[float, ...] = (0.25, 0.3, 0.35, 0.1)

    def __post_init__(self):
        for one, other in (("satisfaction_leave", "rate_leave"), ("strength_spend", "rate_spend")):
            if (total := getattr(self, one) ** 2 + getattr(self, other) ** 2) >= 1:
                raise Refused(
                    f"The squares of {one} and {other} must sum to less than 1, but sum to {total:.2f}. Lower one."
                )


@dataclass(frozen=True)
class Purchases:
    """Repeat purchases. `Purchases(**CDNOW)` are the published estimates; the default is a livelier shop, between
    CDNOW and a grocer.

    r, alpha     of the gamma distribution of purchases a day
    a, b         of the beta distribution of leaving after a purchase
    lifetime     False: BG/NBD; True: she leaves at any time, at a rate that is Gamma(s, beta), as in the Pareto/NBD
    s, beta      of that rate; beta in days
    regularity   1: purchases at random; k: gaps are Erlang-k with the same mean (Platzer & Reutterer 2016)
    season       amplitude of the yearly season, in [0, 1)
    peak         its highest day of the year
    weekend      by which Saturdays and Sundays multiply the rate
    trend        change of the rate of everybody in a year, as a logarithm
    promotions   a year, evenly spaced; each is `promotion_days` long, multiplies the rate by 1 + `promotion_lift`, and
                 takes `promotion_discount` off
    opening      whole hours between which the shop sells; (0, 24) is always
    coupons      share of baskets on which a coupon takes `coupon_discount` off, for an average sensitivity to price
    """

    r: float = 0.8
    alpha: float = 40.0
    a: float = 0.6
    b: float = 3.0
    lifetime: bool = False
    s: float = 0.6
    beta: float = 120.0
    regularity: int = 1
    season: float = 0.2
    peak: float = 350.0
    weekend: float = 1.3
    trend: float = -0.1
    promotions: int = 4
    promotion_days: int = 7
    promotion_lift: float = 0.5
    promotion_discount: float = 0.15
    opening: tuple[int, int] = (8, 22)
    coupons: float = 0.1
    coupon_discount: float = 0.2

    def __post_init__(self):
        if self.regularity < 1 or (self.lifetime and self.regularity > 1):
            raise Refused(
                f"regularity must be a whole number from 1 on, and 1 with `lifetime`, but is {self.regularity}: what "
                f"such customers will buy has no closed form. Lower it, or switch lifetime off."
            )


@dataclass(frozen=True)
class Spend:
    """The value of a basket before discounts: the gamma-gamma model, defaults CDNOW's (Fader & Hardie 2013).

    p, q, gamma      shape of a basket's value, shape and scale (cents) of its rate among customers
    category_spread  standard deviation of a category's logarithm of price; 0 keeps gamma-gamma
    margin           share of a basket's value that is left after the goods are paid for
    """

    p: float = 6.25
    q: float = 3.74
    gamma: float = 1544.0
    category_spread: float = 0.2
    margin: float = 0.35


@dataclass(frozen=True)
class Baskets:
    """What is in a basket.

    products     in the catalogue
    departments  and categories, evenly filled
    categories   in all
    zipf         exponent of a product's share within its category, and of a category's share (Zipf 1949)
    loyalty      probability that a line is of the customer's favourite category
    lines        mean number of lines beyond the first
    most         lines that a basket can hold
    """

    products: int = 2_000
    departments: int = 5
    categories: int = 25
    zipf: float = 1.0
    loyalty: float = 0.4
    lines: float = 1.4
    most: int = 12


@dataclass(frozen=True)
class Returns:
    """Lines that are sent back: their share, and the mean days until then (exponential)."""

    share: float = 0.04
    days: float = 9.0


@dataclass(frozen=True)
class Arm:
    """What one arm of a campaign does to a customer on whom its effect is one.

    name       `control` is the arm that does nothing
    share      of those in the campaign who are drawn into it
    channel    of the contact
    cost       of a contact
    discount   share taken off what is bought in the window
    induces    rate at which it adds a purchase within the window, for a persuadable
    keeps_off  probability that a sleeping dog buys nothing in the window
    drives_off probability that a sleeping dog leaves for good
    """

    name: str
    share: float
    channel: str = ""
    cost: int = 0
    discount: float = 0.0
    induces: float = 0.0
    keeps_off: float = 0.0
    drives_off: float = 0.0


ARMS = (
    Arm("control", 0.3),
    Arm("email", 0.3, "email", 2, 0.0, 0.1, 0.3, 0.01),
    Arm("letter", 0.2, "mail", 80, 0.0, 0.22, 0.5, 0.03),
    Arm("voucher", 0.2, "mail", 85, 0.1, 0.45, 0.5, 0.03),
)


def with_vouchers(discounts: Sequence[float]) -> tuple[Arm, ...]:
    """The arms with a voucher of each discount (share of the price) in place of the one, whose chance they share.

    What a voucher adds to a letter grows as the square root of its discount: twice as much off is not twice the buyers.
    Raises `Refused` for one that is none, or is there twice.
    """
    if wrong := [d for d in discounts if not 0 < d < 1 or list(discounts).count(d) > 1]:
        raise Refused(
            f"Discounts of vouchers lie between 0 and 1, each once, but {wrong[0]} does not. Write 0.1 for 10 %."
        )
    *others, letter, voucher = ARMS
    more = voucher.induces - letter.induces
    return (*others, letter) + tuple(
        replace(
            voucher,
            name=f"voucher_{100 * discount:g}".replace(".", "_"),
            share=voucher.share / len(discounts),
            discount=discount,
            induces=letter.induces + more * math.sqrt(discount / voucher.discount),
        )
        for discount in sorted(discounts)
    )


@dataclass(frozen=True)
class Campaigns:
    """Randomised campaigns, one every `every` days from day `first` on; the arms are those of a randomised experiment.

    arms            the first is the control
    kinds           of campaign, in turn
    window          days after a contact in which it works
    reach           share of customers in each campaign
    fatigue         by which each contact of the last `memory` days takes off the next one's effect, as a logarithm
    memory          days
    spread          coefficient of variation of the effect among customers of a type
    channel_effect  by which a contact's channel works better on customers who came by a channel of its kind (email on
                    search and social, mail on store and referral) and worse on the others, as a logarithm
    tilt            by which customers who came by `social` are likelier to be in a treated arm, as a logarithm of the
                    odds; propensities say so
    """

    arms: tuple[Arm, ...] = ARMS
    kinds: tuple[str, ...] = ("spring", "summer", "autumn", "winter")
    first: int = 90
    every: int = 60
    window: int = 21
    reach: float = 0.6
    fatigue: float = 0.3
    memory: float = 90.0
    spread: float = 0.5
    channel_effect: float = 0.2
    tilt: float = 0.0


@dataclass(frozen=True)
class Service:
    """What is heard of satisfaction: service cases, answers, visits to the shop's pages.

    cases      share of purchases that lead to a case, for a customer of average satisfaction
    harm       by which a standard deviation of satisfaction takes off cases, as a logarithm
    surveys    share of purchases after which a question is answered
    noise      standard deviation of an answer (0 to 10) around what satisfaction says
    slope      points of an answer by a standard deviation of satisfaction
    browsing   visits a purchase that buy nothing, for a customer of average satisfaction
    """

    cases: float = 0.05
    harm: float = 0.7
    surveys: float = 0.08
    noise: float = 1.2
    slope: float = 1.6
    browsing: float = 1.5


@dataclass(frozen=True)
class Lateness:
    """Facts that reach us late: their share, and the mean days of delay (exponential); the others come at once."""

    share: float = 0.05
    days: float = 2.0


@dataclass(frozen=True)
class World:
    """One simulated company: how large, from which seed, how long, and what it is like.

    Raises `Refused` for sizes below one and for settings that cannot be.
    """

    customers: int
    seed: int
    first_day: date = date(2023, 1, 1)
    days: int = 730
    arrivals: Arrivals = field(default_factory=Arrivals)
    traits: Traits = field(default_factory=Traits)
    purchases: Purchases = field(default_factory=Purchases)
    spend: Spend = field(default_factory=Spend)
    baskets: Baskets = field(default_factory=Baskets)
    returns: Returns = field(default_factory=Returns)
    campaigns: Campaigns | None = field(default_factory=Campaigns)
    service: Service = field(default_factory=Service)
    lateness: Lateness = field(default_factory=Lateness)
    credit: Credit | None = field(default_factory=Credit)
    identities: Identities | None = field(default_factory=Identities)

    def __post_init__(self):
        for name in ("customers", "days"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} must be at least 1, but is {getattr(self, name)}. Give a positive whole number.")
        if self.campaigns and self.campaigns.every < self.campaigns.window:
            raise Refused(
                f"A campaign must end before the next begins, but one works for {self.campaigns.window} days and the "
                f"next comes after {self.campaigns.every}. Raise `every`, or lower `window`."
            )

    @classmethod
    def textbook(cls, customers: int, seed: int, **others) -> "World":
        """Retail alone, with every assumption of BG/NBD and gamma-gamma kept exactly; `others` replace fields."""
        kept = {
            "arrivals": Arrivals(growth=0.0, rates=(1.0,) * 4),
            "traits": Traits(region_spend=0.0),
            "purchases": Purchases(
                season=0.0, weekend=1.0, trend=0.0, promotions=0, opening=(0, 24), coupons=0.0, **CDNOW
            ),
            "spend": Spend(category_spread=0.0),
            "returns": Returns(share=0.0),
            "campaigns": None,
            "lateness": Lateness(share=0.0),
            "credit": None,
            "identities": None,
        }
        return cls(customers, seed, **(kept | others))

    @property
    def parts(self) -> tuple[Part, ...]:
        """All customers, numbered from 1, in slices of `PART`."""
        starts = range(1, self.customers + 1, PART)
        return tuple(Part(i, first, min(PART, self.customers + 1 - first)) for i, first in enumerate(starts))


def said(world: World) -> dict:
    """Every setting as plain values that JSON can hold, by which two worlds are told apart."""
    return {f.name: _plain(getattr(world, f.name)) for f in fields(world)}


def _plain(value):
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value.isoformat() if isinstance(value, date) else value
