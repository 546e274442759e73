r"""What is heard of satisfaction, which nobody sees: service cases, answers to a question, visits to the shop's pages.

A purchase leads to a case with probability :math:`c e^{-h z}`, where z is satisfaction; an answer on the scale from 0
to 10 is 7 plus its slope times z plus noise, rounded; visits that buy nothing follow a purchase, more of the satisfied.
Satisfaction also lowers dropout (`latent`), so that what is heard here foretells silence.

[1] Anderson & Sullivan (1993), The Antecedents and Consequences of Customer Satisfaction, Marketing Science 12(2).
"""

import numpy as np
import pyarrow as pa
from scipy.special import pdtr

from sources.world.clock import moments
from sources.world.draws import choice, normal, uniform
from sources.world.lateness import known
from sources.world.orders import Sold
from sources.world.parameters import World

KINDS = ("delivery", "quality", "bill", "question")
_KIND_SHARES = (0.4, 0.3, 0.1, 0.2)
STEPS = ("home", "product", "cart", "checkout")
_STEP_SHARES = (0.4, 0.45, 0.15)  # of visits that buy nothing
_VISITS = 10  # numbers of the visits around a purchase: 0 buys, the others browse
_CENTRE = 7.0
_OPENED, _CLOSED, _ANSWERED, _BROWSED = 3.0, 4.0, 2.0, 15.0  # mean days after what went before
_BROWSES = 0.2  # by which a standard deviation of satisfaction adds visits, as a logarithm


def cases_table(world: World, traits: dict[str, np.ndarray], made: Sold) -> pa.Table:
    """The raw table `cases`: a row when a case is opened, which is known at once, and one when it is closed."""
    told, z = world.service, traits["satisfaction"][made.row]
    happens = uniform(world.seed, "case", made.customer, made.number) < told.cases * np.exp(-told.harm * z)
    who, number = made.customer[happens], made.number[happens]
    opened = made.day[happens] + _after(world, "case opened", who, number, _OPENED)
    closed = opened + 1 / 24 + _after(world, "case closed", who, number, _CLOSED)
    kind = choice(_KIND_SHARES, uniform(world.seed, "kind of case", who, number))
    twice = np.repeat(np.arange(len(who)), 2)
    is_closing = np.tile([False, True], len(who))
    told_at = np.where(is_closing, known(world, "case", closed, who, number)[twice], opened[twice])
    return pa.table(
        {
            "case_id": made.order_id[happens][twice],
            "customer_id": who[twice],
            "opened_at": moments(world, opened[twice]),
            "kind": pa.array(KINDS).take(pa.array(kind[twice])),
            "closed_at": moments(world, np.where(is_closing, closed[twice], np.nan)),
            "known_at": moments(world, told_at),
        }
    )


def surveys_table(world: World, traits: dict[str, np.ndarray], made: Sold) -> pa.Table:
    """The raw table `surveys`: a row an answer, sorted by customer and purchase."""
    told = world.service
    happens = uniform(world.seed, "survey", made.customer, made.number) < told.surveys
    who, number = made.customer[happens], made.number[happens]
    answered = made.day[happens] + _after(world, "answer", who, number, _ANSWERED)
    z, noise = traits["satisfaction"][made.row[happens]], normal(world.seed, "noise of an answer", who, number)
    return pa.table(
        {
            "customer_id": who,
            "answered_at": moments(world, answered),
            "score": np.clip(np.rint(_CENTRE + told.slope * z + told.noise * noise), 0, 10),
            "kind": pa.array(["purchase"]).take(pa.array(np.zeros(len(who), int))),
            "known_at": moments(world, known(world, "answer", answered, who, number)),
        }
    )


def visits_table(world: World, traits: dict[str, np.ndarray], made: Sold) -> pa.Table:
    """The raw table `visits`: each purchase on the web ends in a checkout; others only browse. Sorted by visit."""
    mean = world.service.browsing * np.exp(_BROWSES * traits["satisfaction"][made.row])
    browses = _poisson(mean, _VISITS - 1, uniform(world.seed, "browses", made.customer, made.number))
    count = browses + made.on_web
    purchase = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(purchase)) - (np.cumsum(count) - count)[purchase] + ~made.on_web[purchase]
    who, index = made.customer[purchase], made.number[purchase] * _VISITS + nth
    buys = nth == 0
    delay = np.where(buys, 0.0, _after(world, "browses after", who, index, _BROWSED))
    visited = made.day[purchase] + delay
    step = np.where(buys, len(STEPS) - 1, choice(_STEP_SHARES, uniform(world.seed, "step", who, index)))
    return pa.table(
        {
            "visit_id": made.order_id[purchase] * _VISITS + nth,
            "customer_id": who,
            "visited_at": moments(world, visited),
            "channel": pa.array(["web"]).take(pa.array(np.zeros(len(who), int))),
            "step": pa.array(STEPS).take(pa.array(step)),
            "known_at": moments(world, known(world, "visit", visited, who, index)),
        }
    )


def _after(world: World, stream: str, who: np.ndarray, index: np.ndarray, mean: float) -> np.ndarray:
    return -np.log1p(-uniform(world.seed, stream, who, index)) * mean


def _poisson(mean: np.ndarray, most: int, at: np.ndarray) -> np.ndarray:
    """Poisson numbers of each mean, none above `most`, by the inverse."""
    return sum((at >= pdtr(k, mean)).astype(np.int64) for k in range(most))
