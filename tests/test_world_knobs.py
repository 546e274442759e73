"""Each knob of the simulated retailer does what it says and nothing else.

A world is made twice, once with one knob turned. What else it may touch is listed: of latent traits and of the columns
of raw tables; where rows come and go, only which tables. What it says it does is measured.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from sources.world import retail
from sources.world.latent import traits
from sources.world.parameters import ARMS, World

BASE = World(4_000, 3, credit=None, identities=None)
ROWS = "rows"
# whatever moves a purchase moves what hangs on it
SALES = dict.fromkeys(("orders", "cases", "surveys", "visits", "responses"), ROWS)
MONEY = {"orders": {"amount_cents", "discount_cents"}, "responses": {"value_cents"}}


@dataclass(frozen=True, eq=False)
class Made:
    """A world, its latent traits, and its raw tables."""

    world: World
    traits: dict[str, np.ndarray]
    tables: dict[str, pd.DataFrame]

    def orders(self) -> pd.DataFrame:
        """Sales, a row an order: customer_id, ordered_at, value, discount share, lines."""
        sales = self.tables["orders"].query("line_id < 50")
        value = sales.assign(value=sales.amount_cents + sales.discount_cents)
        by = value.groupby(["customer_id", "order_id", "ordered_at"], as_index=False)
        held = by.agg(value=("value", "sum"), off=("discount_cents", "sum"), lines=("line_id", "size"))
        return held.assign(off=held.off / held.value, day=(held.ordered_at - FIRST).dt.days)


FIRST = pd.Timestamp(BASE.first_day)


@cache
def made(path: str = "", value=None) -> Made:
    """The base, or the base with one knob turned, such as `purchases.season`."""
    world = BASE
    if path:
        module, knob = path.split(".")
        world = replace(BASE, **{module: replace(getattr(BASE, module), **{knob: value})})
    of = traits(world, world.parts[0])
    raw = retail.tables(world, of)[0] | retail.shared(world)
    return Made(world, of, {name: table.to_pandas() for name, table in raw.items()})


def touched(base: Made, turned: Made) -> tuple[set, dict]:
    """The traits that differ, and for each table that differs its columns, or `ROWS` where another number of rows."""
    of = {name for name in base.traits if not np.array_equal(base.traits[name], turned.traits[name])}
    tables = {}
    for name, table in base.tables.items():
        other = turned.tables[name]
        if len(table) != len(other):
            tables[name] = ROWS
        elif columns := {c for c in table if not table[c].equals(other[c])}:
            tables[name] = columns
    return of, tables


def share(flags) -> float:
    """Of the true among them."""
    return float(np.mean(flags))


def rank_correlation(made: Made, one: str, other: str) -> float:
    """Spearman's of two traits."""
    return float(pd.Series(made.traits[one]).corr(pd.Series(made.traits[other]), method="spearman"))


def by_month(made: Made) -> pd.Series:
    """Repeat purchases a month of the calendar."""
    return made.orders().query("order_id % 100000 > 0").ordered_at.dt.month.value_counts()


def mean_late(made: Made) -> float:
    """Days between an order and its being known, on average."""
    orders = made.tables["orders"]
    return ((orders.known_at - orders.ordered_at) / pd.Timedelta(days=1)).mean()


def regularity(made: Made) -> float:
    """Coefficient of variation of a customer's gaps, averaged over those with ten or more."""
    orders = made.orders().sort_values(["customer_id", "ordered_at"])
    gaps = orders.groupby("customer_id").ordered_at.diff().dt.total_seconds().groupby(orders.customer_id)
    found = (gaps.std() / gaps.mean())[gaps.count() >= 10]
    return float(found.mean())


def returned(made: Made) -> pd.DataFrame:
    """Lines sent back."""
    return made.tables["orders"].query("line_id > 50")


def weekly(made: Made) -> float:
    """Purchases on a day of the weekend over those on a working day."""
    at = made.orders().query("order_id % 100000 > 0").ordered_at.dt.day_of_week
    return (at >= 5).sum() / 2 / ((at < 5).sum() / 5)


def promoted(made: Made) -> float:
    """Share of repeat purchases in the first 7 days of each quarter of a year, when promotions run."""
    orders = made.orders().query("order_id % 100000 > 0")
    return share(orders[orders.day >= 92].day % (365.25 / 4) < 7)


def coupons(made: Made) -> pd.Series:
    """Share of orders before all promotions and campaigns with something off, by whether the buyer minds the price."""
    plain = made.orders().query("day < 90")
    minds = pd.Series(made.traits["price"] > 0, made.traits["customer_id"])
    return (plain.off > 0.02).groupby(plain.customer_id.map(minds)).mean()


def of_line(made: Made, column: str) -> pd.Series:
    """A column of the catalogue, for each line sold."""
    sales = made.tables["orders"].query("line_id < 50")
    return sales.product_id.map(made.tables["products"].set_index("product_id")[column])


def faithful(made: Made) -> float:
    """Share of lines in the buyer's favourite category."""
    number = of_line(made, "category").str.removeprefix("category ").astype(int).to_numpy() - 1
    return share(number == made.traits["favourite"][made.tables["orders"].query("line_id < 50").customer_id - 1])


def noise(made: Made) -> float:
    """Standard deviation of the answers of one customer, averaged."""
    return float(made.tables["surveys"].groupby("customer_id").score.std().mean())


def by_satisfaction(made: Made, table: str) -> float:
    """Rows of a table for each order line, of the satisfied over those of the dissatisfied."""
    orders, rows = (made.tables[name].customer_id.value_counts() for name in ("orders", table))
    happy = pd.Series(made.traits["satisfaction"] > 0, made.traits["customer_id"])
    each = rows.groupby(happy).sum() / orders.groupby(happy).sum()
    return float(each[True] / each[False])


def gaps_of_campaigns(made: Made) -> set[int]:
    """Days between campaigns."""
    return set(made.tables["campaigns"].starts_at.diff().dropna().dt.days)


def windows_of_campaigns(made: Made) -> set[int]:
    """Whole days from a campaign's start to its end."""
    return set((made.tables["campaigns"].ends_at - made.tables["campaigns"].starts_at).dt.days)


def prices_apart(made: Made) -> float:
    """Standard deviation of the categories' mean logarithm of cost."""
    products = made.tables["products"]
    return float(np.log(products.unit_cost_cents).groupby(products.category).mean().std())


def added(made: Made) -> int:
    """Purchases that campaigns added."""
    return int((made.orders().order_id % 100_000 >= 80_000).sum())


def hours(made: Made) -> set[int]:
    """Hours of the day at which orders are made."""
    return set(made.orders().ordered_at.dt.hour)


def rows(made: Made, table: str) -> int:
    """Of a table."""
    return len(made.tables[table])


def same_values(base: Made, turned: Made) -> bool:
    """Every order is worth what it was."""
    return turned.orders().value.equals(base.orders().value)


def yearly(made: Made) -> float:
    """Repeat purchases in December over those in June."""
    return by_month(made)[12] / by_month(made)[6]


def commonest(made: Made) -> float:
    """The share of the product that is bought most."""
    return float(made.tables["orders"].product_id.value_counts(normalize=True).iloc[0])


def between(made: Made) -> float:
    """The share of the variance of spend's logarithm that lies between places."""
    spend = pd.Series(np.log(made.traits["spend_rate"]))
    return float(spend.groupby(made.traits["region"]).transform("mean").var() / spend.var())


def ratio(base: Made, turned: Made, trait: str) -> float:
    """Of the means of a trait."""
    return float(turned.traits[trait].mean() / base.traits[trait].mean())


TRAITS: list[tuple] = [
    # knob, value, the traits it may touch, what it says: of the base and of the turned world
    ("arrivals.growth", 1.5, {"cohort"}, lambda b, t: t.traits["cohort"].mean() > b.traits["cohort"].mean() + 100),
    (
        "arrivals.shares",
        (0.1, 0.1, 0.1, 0.7),
        {"acquisition", "rate"},
        lambda b, t: share(t.traits["acquisition"] == 3) == pytest.approx(0.7, abs=0.03),
    ),
    (
        "arrivals.rates",
        (2.0, 0.7, 1.1, 1.3),
        {"rate"},
        lambda b, t: np.allclose(t.traits["rate"] / b.traits["rate"], np.where(b.traits["acquisition"] == 0, 2, 1)),
    ),
    (
        "traits.satisfaction_leave",
        0.8,
        {"leave"},
        lambda b, t: rank_correlation(t, "satisfaction", "leave") < rank_correlation(b, "satisfaction", "leave") - 0.3,
    ),
    ("traits.rate_leave", 0.6, {"leave"}, lambda b, t: rank_correlation(t, "rate", "leave") > 0.4),
    ("traits.strength_spend", -0.5, {"spend_rate"}, lambda b, t: rank_correlation(t, "strength", "spend_rate") > 0.3),
    ("traits.rate_spend", 0.6, {"spend_rate"}, lambda b, t: rank_correlation(t, "rate", "spend_rate") < -0.4),
    (
        "traits.strength_price",
        0.9,
        {"price", "uplift_type"},
        lambda b, t: rank_correlation(t, "strength", "price") < -0.8,
    ),
    ("traits.regions", 3, {"region", "moved_to", "spend_rate"}, lambda b, t: set(t.traits["region"]) == {0, 1, 2}),
    (
        "traits.region_spend",
        0.9,
        {"spend_rate"},
        lambda b, t: between(t) > between(b) + 0.3,
    ),
    (
        "traits.household",
        0.0,
        {"household", "region", "moved_to", "moved_at", "spend_rate"},
        lambda b, t: np.array_equal(t.traits["household"], t.traits["customer_id"]),
    ),
    ("traits.moves", 0.5, {"moved_at"}, lambda b, t: share(np.isfinite(t.traits["moved_at"])) > 0.45),
    (
        "traits.sharpness",
        0.0,
        {"uplift_type"},
        lambda b, t: abs(np.corrcoef(t.traits["uplift_type"] == 1, t.traits["rate"])[0, 1]) < 0.06,
    ),
    (
        "traits.types",
        (0.0, 0.0, 0.0, 1.0),
        {"uplift_type"},
        lambda b, t: (t.traits["uplift_type"] == 3).all(),
    ),
    ("purchases.r", 1.6, {"rate"}, lambda b, t: ratio(b, t, "rate") == pytest.approx(2, rel=0.05)),
    ("purchases.alpha", 80.0, {"rate"}, lambda b, t: np.allclose(2 * t.traits["rate"], b.traits["rate"])),
    ("purchases.a", 3.0, {"leave"}, lambda b, t: t.traits["leave"].mean() == pytest.approx(0.5, abs=0.02)),
    ("purchases.b", 0.6, {"leave"}, lambda b, t: t.traits["leave"].mean() == pytest.approx(0.5, abs=0.02)),
    (
        "purchases.lifetime",
        True,
        {"leave"},
        lambda b, t: t.traits["leave"].mean() == pytest.approx(0.6 / 120, rel=0.1),
    ),
    ("spend.q", 7.48, {"spend_rate"}, lambda b, t: ratio(b, t, "spend_rate") == pytest.approx(2, rel=0.05)),
    (
        "spend.gamma",
        3088.0,
        {"spend_rate"},
        lambda b, t: np.allclose(2 * t.traits["spend_rate"], b.traits["spend_rate"]),
    ),
    ("baskets.categories", 10, {"favourite"}, lambda b, t: set(t.traits["favourite"]) == set(range(10))),
    (
        "campaigns.spread",
        0.1,
        {"effect"},
        lambda b, t: t.traits["effect"].std() == pytest.approx(0.1, abs=0.01),
    ),
]
HELD = SALES | {"contacts": ROWS, "campaigns": ROWS}
KNOWN = {name: {"known_at"} for name in ("customers", "orders", "cases", "surveys", "visits", "responses")}
HOURS = {
    "customers": {"first_seen_at", "known_at"},
    "orders": {"ordered_at", "known_at"} | MONEY["orders"],
    "cases": {"opened_at", "closed_at", "known_at"},
    "surveys": {"answered_at", "known_at"},
    "visits": {"visited_at", "known_at"},
    "responses": ROWS,
}
LINES = {"orders": {"product_id", "quantity"} | MONEY["orders"], "responses": MONEY["responses"]}
VALUES = {"orders": {"quantity"} | MONEY["orders"], "responses": MONEY["responses"]}
COST = {"products": {"unit_cost_cents"}}
TABLES: list[tuple] = [
    # knob, value, the tables it may touch, what it says: of the base and of the turned world
    (
        "arrivals.web",
        (0.0, 0.0, 0.0, 1.0),
        {"orders": {"channel", "store_id"}, "visits": ROWS},
        lambda b, t: np.array_equal(
            t.tables["orders"].channel == "web", t.traits["acquisition"][t.tables["orders"].customer_id - 1] == 3
        ),
    ),
    ("purchases.season", 0.9, SALES, lambda b, t: yearly(t) > 3 * yearly(b)),
    ("purchases.peak", 167.0, SALES, lambda b, t: yearly(t) < 1 < yearly(b)),
    ("purchases.weekend", 4.0, SALES, lambda b, t: weekly(t) == pytest.approx(4, rel=0.1)),
    ("purchases.trend", -2.0, SALES, lambda b, t: t.orders().day.mean() < b.orders().day.mean() - 50),
    ("purchases.promotions", 0, SALES, lambda b, t: promoted(t) < 0.9 * promoted(b)),
    ("purchases.promotion_days", 30, SALES, lambda b, t: t.orders().off.mean() > b.orders().off.mean() + 0.02),
    ("purchases.promotion_lift", 4.0, SALES, lambda b, t: promoted(t) > 2 * promoted(b)),
    (
        "purchases.promotion_discount",
        0.4,
        MONEY,
        lambda b, t: t.orders().off.mean() - b.orders().off.mean() == pytest.approx(0.25 * promoted(b), rel=0.3),
    ),
    ("purchases.opening", (10, 12), HOURS, lambda b, t: hours(t) == {10, 11}),
    (
        "purchases.coupons",
        0.5,
        MONEY,
        lambda b, t: (coupons(t) > coupons(b) + 0.2).all() and coupons(t)[True] > coupons(t)[False] + 0.2,
    ),
    ("purchases.coupon_discount", 0.5, MONEY, lambda b, t: t.orders().off.max() > 0.5 > b.orders().off.max()),
    ("purchases.regularity", 4, SALES, lambda b, t: regularity(t) < 0.75 * regularity(b)),
    (
        "spend.p",
        12.5,
        VALUES,
        lambda b, t: t.orders().value.mean() / b.orders().value.mean() == pytest.approx(2, rel=0.02),
    ),
    ("spend.category_spread", 0.8, VALUES | COST, lambda b, t: prices_apart(t) > 0.5 > prices_apart(b)),
    (
        "spend.margin",
        0.5,
        COST,
        lambda b, t: np.allclose(
            t.tables["products"].unit_cost_cents / b.tables["products"].unit_cost_cents, 0.5 / 0.65, atol=0.02
        ),
    ),
    (
        "baskets.products",
        100,
        LINES | {"products": ROWS},
        lambda b, t: rows(t, "products") == 100 and same_values(b, t),
    ),
    ("baskets.departments", 2, {"products": {"department"}}, lambda b, t: of_line(t, "department").nunique() == 2),
    ("baskets.zipf", 0.0, LINES, lambda b, t: commonest(t) < 0.1 * commonest(b)),
    ("baskets.loyalty", 1.0, LINES, lambda b, t: faithful(t) == 1 > faithful(b)),
    ("baskets.lines", 0.0, {"orders": ROWS}, lambda b, t: t.orders().lines.max() == 1 and same_values(b, t)),
    ("baskets.most", 2, {"orders": ROWS}, lambda b, t: t.orders().lines.max() == 2 and same_values(b, t)),
    (
        "returns.share",
        0.3,
        {"orders": ROWS},
        lambda b, t: len(returned(t)) > 6 * len(returned(b)) and t.orders().equals(b.orders()),
    ),
    (
        "returns.days",
        60.0,
        {"orders": ROWS},
        lambda b, t: len(returned(t)) < len(returned(b)) and t.orders().equals(b.orders()),
    ),
    ("campaigns.kinds", ("one",), {"campaigns": {"kind"}}, lambda b, t: set(t.tables["campaigns"].kind) == {"one"}),
    ("campaigns.first", 200, HELD, lambda b, t: (t.tables["campaigns"].starts_at.min() - FIRST).days == 200),
    ("campaigns.every", 30, HELD, lambda b, t: gaps_of_campaigns(t) == {30}),
    ("campaigns.window", 5, SALES | {"campaigns": {"ends_at"}}, lambda b, t: windows_of_campaigns(t) == {5}),
    (
        "campaigns.reach",
        0.95,
        SALES | {"contacts": ROWS},
        lambda b, t: rows(t, "contacts") / rows(b, "contacts") == pytest.approx(0.95 / 0.6, rel=0.02),
    ),
    ("campaigns.fatigue", 3.0, SALES, lambda b, t: added(t) < 0.8 * added(b)),
    ("campaigns.memory", 700.0, SALES, lambda b, t: added(t) < 0.9 * added(b)),
    (
        "campaigns.arms",
        (ARMS[0], *(replace(arm, induces=0.0) for arm in ARMS[1:])),
        SALES,
        lambda b, t: added(t) == 0 < added(b),
    ),
    ("service.cases", 0.2, {"cases": ROWS}, lambda b, t: rows(t, "cases") > 3 * rows(b, "cases")),
    (
        "service.harm",
        0.0,
        {"cases": ROWS},
        lambda b, t: by_satisfaction(t, "cases") > 0.85 > 0.5 > by_satisfaction(b, "cases"),
    ),
    (
        "service.surveys",
        0.5,
        {"surveys": ROWS},
        lambda b, t: rows(t, "surveys") / rows(b, "surveys") == pytest.approx(0.5 / 0.08, rel=0.1),
    ),
    ("service.noise", 0.0, {"surveys": {"score"}}, lambda b, t: noise(t) == 0 < noise(b)),
    (
        "service.slope",
        0.0,
        {"surveys": {"score"}},
        lambda b, t: t.tables["surveys"].score.std() < 0.8 * b.tables["surveys"].score.std(),
    ),
    ("service.browsing", 0.0, {"visits": ROWS}, lambda b, t: set(t.tables["visits"].step) == {"checkout"}),
    ("lateness.share", 0.5, KNOWN, lambda b, t: mean_late(t) == pytest.approx(0.5 * 2, rel=0.1)),
    ("lateness.days", 20.0, KNOWN, lambda b, t: mean_late(t) == pytest.approx(10 * mean_late(b), rel=1e-3)),
]
TOUCHES_TRAITS = {"purchases.opening": {"cohort"}, "baskets.zipf": {"favourite"}}
# names alone; and what `lifetime` draws from, which is turned with it
NOT_ALONE = {"arrivals.channels", "purchases.s", "purchases.beta"}
IN_TEST_WORLD_CAMPAIGNS = {"campaigns.channel_effect", "campaigns.tilt"}


@pytest.mark.parametrize(("knob", "value", "may", "says"), TRAITS, ids=[row[0] for row in TRAITS])
def test_a_knob_of_what_customers_are_like(knob, value, may, says):
    base, turned = made(), made(knob, value)
    of, tables = touched(base, turned)
    assert of == may
    assert knob == "baskets.categories" or not {"products", "campaigns"} & tables.keys()
    assert says(base, turned)


@pytest.mark.parametrize(("knob", "value", "may", "says"), TABLES, ids=[row[0] for row in TABLES])
def test_a_knob_of_what_happens(knob, value, may, says):
    base, turned = made(), made(knob, value)
    of, tables = touched(base, turned)
    assert of == TOUCHES_TRAITS.get(knob, set())
    assert {name: found for name, found in tables.items() if not _allowed(found, may.get(name, set()))} == {}
    assert says(base, turned)


def _allowed(found, may) -> bool:
    return may == ROWS or (found != ROWS and found <= may)


def test_every_knob_of_the_retailer_is_turned():
    modules = ("arrivals", "traits", "purchases", "spend", "baskets", "returns", "campaigns", "service", "lateness")
    names = {f"{module}.{knob}" for module in modules for knob in vars(getattr(BASE, module))}
    assert {row[0] for row in TRAITS + TABLES} == names - NOT_ALONE - IN_TEST_WORLD_CAMPAIGNS
