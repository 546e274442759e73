"""The retailer's side of a part: its raw tables, and what is true of its customers."""

import numpy as np
import pyarrow as pa

from sources.world import campaigns
from sources.world.baskets import named, products_table
from sources.world.campaigns import Campaigned, contact_columns
from sources.world.clock import moments
from sources.world.draws import uniform
from sources.world.expectation import basket_cents, kept_share, purchases_ahead
from sources.world.lateness import known
from sources.world.orders import Sold, orders_table, sold
from sources.world.parameters import TYPES, World
from sources.world.purchases import Occasions, occasions
from sources.world.service import cases_table, surveys_table, visits_table

# the declared attributes of customers
ATTRIBUTES = {
    "age": "number",
    "acquisition": "category",
    "newsletter": "flag",
    "region": "region",
    "household": "group",
}
HORIZONS = (28, 90, 365)  # days ahead of the world's end for which expectations are written down
_NEWSLETTER = 0.4
_CAMPAIGNS = 1_000  # numbers of the campaigns in a contact's id


def shared(world: World) -> dict[str, pa.Table]:
    """The tables that belong to no part: the catalogue, and the campaigns that were held."""
    found = {"products": products_table(world)}
    start = campaigns.starts(world)
    if len(start):
        kinds = world.campaigns.kinds
        found["campaigns"] = pa.table(
            {
                "campaign_id": np.arange(1, len(start) + 1),
                "kind": pa.array([kinds[i % len(kinds)] for i in range(len(start))]),
                "starts_at": moments(world, np.floor(start)),
                "ends_at": moments(world, start + world.campaigns.window),
                "known_at": moments(world, np.floor(start) - 14),
            }
        )
    return found


def tables(world: World, traits: dict[str, np.ndarray]) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """The raw tables of a part's customers, and the true ones, both by name."""
    made = occasions(world, traits)
    done = campaigns.run(world, traits, made)
    orders = sold(world, traits, made, done)
    raw = {
        "customers": customers_table(world, traits),
        "orders": orders_table(world, traits, orders),
        "cases": cases_table(world, traits, orders),
        "surveys": surveys_table(world, traits, orders),
        "visits": visits_table(world, traits, orders),
    }
    known_truth = {"customers": _true_customers(world, traits, made, done)}
    if contacts := contact_columns(done):
        raw["contacts"] = _contacts(world, traits, contacts)
        raw["responses"] = _responses(world, traits, contacts, orders)
        known_truth["contacts"] = _true_contacts(world, traits, contacts)
    return raw, known_truth


def customers_table(world: World, traits: dict[str, np.ndarray]) -> pa.Table:
    """The raw table `customers`: a row when she comes, and another one when she moves after that."""
    who, arrived = traits["customer_id"], traits["cohort"]
    later = traits["moved_at"] > arrived + 1
    moved = np.flatnonzero(later & (traits["moved_at"] < world.days))
    row = np.concatenate([np.arange(len(who)), moved])
    told = np.concatenate([arrived, known(world, "move", traits["moved_at"][moved], who[moved], 0)])
    first = np.where(later, traits["region"], traits["moved_to"])
    region = np.concatenate([first, traits["moved_to"][moved]])
    order = np.lexsort((told, row))
    row, told, region = row[order], told[order], region[order]
    takes = uniform(world.seed, "newsletter", who) < _NEWSLETTER
    return pa.table(
        {
            "customer_id": who[row],
            "first_seen_at": moments(world, arrived[row]),
            "age": traits["age"][row],
            "acquisition": pa.array(world.arrivals.channels).take(pa.array(traits["acquisition"][row])),
            "newsletter": pa.array(takes[row]),
            "region": named("region", region),
            "household": traits["household"][row],
            "known_at": moments(world, told),
        }
    )


def _contacts(world: World, traits: dict[str, np.ndarray], of: dict[str, np.ndarray]) -> pa.Table:
    arms, start = world.campaigns.arms, campaigns.starts(world)
    who = traits["customer_id"][of["row"]]
    when = moments(world, start[of["campaign"]])
    channel = pa.array([arm.channel or None for arm in arms], pa.string())
    return pa.table(
        {
            "contact_id": who * _CAMPAIGNS + of["campaign"] + 1,
            "customer_id": who,
            "campaign_id": of["campaign"] + 1,
            "contacted_at": when,
            "channel": channel.take(pa.array(of["arm"])),
            "arm": pa.array([arm.name for arm in arms]).take(pa.array(of["arm"])),
            "propensity": of["propensity"],
            "cost_cents": np.array([arm.cost for arm in arms])[of["arm"]],
            "discount": np.array([arm.discount for arm in arms])[of["arm"]],
            "known_at": when,
        }
    )


def _responses(world: World, traits: dict[str, np.ndarray], of: dict[str, np.ndarray], orders: Sold) -> pa.Table:
    """The first order within the window of each contact but the control's, who has nothing to answer."""
    start = campaigns.starts(world)
    nth = np.searchsorted(start, orders.day, side="right") - 1
    sent = np.zeros((len(traits["customer_id"]), len(start) + 1), bool)  # the last column: before all campaigns
    sent[of["row"], of["campaign"]] = of["arm"] > 0
    since = orders.day - np.append(start, np.inf)[nth]
    answers = np.flatnonzero(sent[orders.row, nth] & (since >= 0) & (since < world.campaigns.window))
    answers = answers[np.lexsort((orders.day[answers], nth[answers], orders.row[answers]))]
    pair = orders.row[answers] * (len(start) + 1) + nth[answers]
    answers = answers[np.concatenate([[True], pair[1:] != pair[:-1]])] if len(answers) else answers
    who, day = orders.customer[answers], orders.day[answers]
    paid = np.rint(orders.cents[answers] * (1 - orders.discount[answers])).astype(np.int64)
    return pa.table(
        {
            "customer_id": who,
            "campaign_id": nth[answers] + 1,
            "responded_at": moments(world, day),
            "value_cents": paid,
            "known_at": moments(world, known(world, "response", day, who, nth[answers])),
        }
    )


def _true_customers(world: World, traits: dict[str, np.ndarray], made: Occasions, done: Campaigned) -> pa.Table:
    """Traits, the day of leaving, and what is to be expected from the world's end on, without campaigns."""
    last = campaigns.last_before(made, world.days)
    columns = dict(traits) | {"left_at": moments(world, done.left_at), "left_day": done.left_at}
    columns["uplift_type"] = pa.array(TYPES).take(pa.array(traits["uplift_type"]))
    each = basket_cents(world, traits)
    for days in HORIZONS:
        expected, some = purchases_ahead(world, traits, done.left_at, last, world.days, world.days + days)
        paid = kept_share(world, traits, world.days, world.days + days)
        columns[f"buys_{days}"] = some
        columns[f"purchases_{days}"] = expected
        columns[f"spend_cents_{days}"] = expected * each * paid
        columns[f"margin_cents_{days}"] = expected * each * (paid - (1 - world.spend.margin))
    return pa.table(columns)


def _true_contacts(world: World, traits: dict[str, np.ndarray], of: dict[str, np.ndarray]) -> pa.Table:
    """For each contact and each arm: the probability of buying within the window, the expected margin, and the fact."""
    who = traits["customer_id"][of["row"]]
    columns = {
        "contact_id": who * _CAMPAIGNS + of["campaign"] + 1,
        "customer_id": who,
        "campaign_id": of["campaign"] + 1,
        "pressure": of["pressure"],
    }
    for a, arm in enumerate(world.campaigns.arms):
        columns[f"buys_{arm.name}"] = of[f"buys_{a}"]
        columns[f"margin_cents_{arm.name}"] = of[f"margin_{a}"]
        columns[f"bought_{arm.name}"] = of[f"bought_{a}"]
    return pa.table(columns)
