r"""Randomised campaigns: who was contacted, what it did to her, and what each other arm would have done.

Customers who have bought before are in a campaign with probability `reach`, and are drawn into an arm with a propensity
that is written down. With g her own effect, a contact of an arm can, within its window,

- add a purchase, at rate ``induces`` g: a persuadable;
- keep her from buying (probability ``keeps_off`` g) or drive her off for good (``drives_off`` g): a sleeping dog;
- do nothing to a sure thing or a lost cause; but a voucher is taken by whoever buys, so that it costs margin.

g holds her own strength, the fit of the contact's channel, and, where it is good, the fatigue of earlier contacts.
All other purchases are those of the world without campaigns, draw by draw: the difference is the effect.

[1] Radcliffe & Surry (2011), Real-World Uplift Modelling with Significance-Based Uplift Trees: the four types.
[2] Rubin (1974), Estimating Causal Effects of Treatments, Journal of Educational Psychology 66(5): potential outcomes.
"""

from dataclasses import dataclass, field

import numpy as np

from sources.world.draws import uniform
from sources.world.expectation import basket_cents, kept_share, purchases_ahead
from sources.world.latent import while_open
from sources.world.parameters import Arm, Campaigns, World
from sources.world.purchases import Occasions

PERSUADABLE, SLEEPING_DOG = 0, 3
HOUR = 9 / 24  # contacts go out in the morning
_FITS = {"email": ("search", "social"), "mail": ("store", "referral")}
_MOST = 0.95  # probability of harm, at most


@dataclass(eq=False)
class Campaigned:
    """What campaigns did to the customers of a part.

    left_at   by customer: the day on which she left, of her own or driven off
    bought    by purchase of the world without campaigns: whether it was still made
    row, campaign, day            of purchases that a contact added
    contacts  columns, one entry a contact, campaign after campaign: row, campaign, arm, propensity, pressure, and for
              each arm number a: buys_a, margin_a (expected, in cents), bought_a (would buy within the window)
    """

    left_at: np.ndarray
    bought: np.ndarray
    row: list = field(default_factory=list)
    campaign: list = field(default_factory=list)
    day: list = field(default_factory=list)
    contacts: list = field(default_factory=list)


def starts(world: World) -> np.ndarray:
    """The day on which each campaign goes out; a campaign whose window the world outlasts is held."""
    told = world.campaigns
    if told is None:
        return np.array([])
    first = np.arange(told.first, world.days, told.every) + HOUR
    return first[first + told.window <= world.days]


def run(world: World, traits: dict[str, np.ndarray], made: Occasions) -> Campaigned:
    """Hold every campaign, in the order of time."""
    done = Campaigned(made.left_at.copy(), np.ones(len(made.row), bool))
    sent = np.zeros((len(starts(world)), len(made.left_at)), bool)
    for number, start in enumerate(starts(world)):
        _hold(world, traits, made, done, sent, number, start)
    return done


def propensities(told: Campaigns, social: np.ndarray) -> np.ndarray:
    """The probability of each arm (columns) for customers who came by `social` or not (rows)."""
    share = np.array([arm.share for arm in told.arms])
    odds = np.where(social, np.exp(told.tilt), 1.0)[:, None] * share
    odds[:, 0] = share[0]
    return odds / odds.sum(axis=1, keepdims=True)


def effects(world: World, traits: dict[str, np.ndarray], arm: Arm, pressure: np.ndarray) -> tuple[np.ndarray, ...]:
    """By customer: the rate of an added purchase, and the probabilities of being kept off and of being driven off."""
    told, came_by = world.campaigns, np.array(world.arrivals.channels)[traits["acquisition"]]
    strength = traits["effect"]
    if arm.channel:
        fit = np.isin(came_by, _FITS.get(arm.channel, ()))
        strength = strength * np.exp(np.where(fit, told.channel_effect, -told.channel_effect))
    good = np.where(traits["uplift_type"] == PERSUADABLE, strength * np.exp(-told.fatigue * pressure), 0.0)
    harm = np.where(traits["uplift_type"] == SLEEPING_DOG, strength, 0.0)
    return arm.induces * good, np.minimum(_MOST, arm.keeps_off * harm), np.minimum(_MOST, arm.drives_off * harm)


def _hold(world, traits, made: Occasions, done: Campaigned, sent: np.ndarray, number: int, start: float) -> None:
    told, who, end = world.campaigns, traits["customer_id"], start + world.campaigns.window
    reached = (traits["cohort"] < start) & (uniform(world.seed, "reach", who, number) < told.reach)
    probability = propensities(told, np.array(world.arrivals.channels)[traits["acquisition"]] == "social")
    arm = (uniform(world.seed, "arm", who, number)[:, None] >= np.cumsum(probability, axis=1)).sum(axis=1)
    arm = np.minimum(arm, len(told.arms) - 1)
    recent = starts(world) >= start - told.memory
    pressure = sent[recent].sum(axis=0)
    sent[number] = reached & (arm > 0)

    inside = (made.day >= start) & (made.day < end) & done.bought
    organic = np.bincount(made.row[inside], minlength=len(who)) > 0
    last = last_before(made, start)
    expected, some = purchases_ahead(world, traits, done.left_at, last, start, end)
    draw = {name: uniform(world.seed, name, who, number) for name in ("added", "kept off", "driven off", "added at")}
    alive = (done.left_at > start) & reached
    day_added = while_open(world, np.floor(start) + 1 + (told.window - 1) * draw["added at"])
    basket, paid = basket_cents(world, traits), kept_share(world, traits, start, end)
    columns = {"row": np.arange(len(who)), "campaign": np.full(len(who), number), "arm": arm}
    columns |= {"propensity": probability[np.arange(len(who)), arm], "pressure": pressure}
    for a, treatment in enumerate(told.arms):
        added, kept_off, driven_off = effects(world, traits, treatment, pressure)
        adds = -np.expm1(-added) * (done.left_at > start)
        stays = (1 - kept_off) * (1 - driven_off)
        columns[f"buys_{a}"] = 1 - (1 - some * stays) * (1 - adds)
        each = basket * (paid * (1 - treatment.discount) - (1 - world.spend.margin))
        columns[f"margin_{a}"] = each * (expected * stays + adds) - treatment.cost
        is_added, is_kept, is_driven = (
            draw["added"] < adds,
            draw["kept off"] < kept_off,
            draw["driven off"] < driven_off,
        )
        columns[f"bought_{a}"] = (organic & ~is_kept & ~is_driven) | is_added
        drawn = alive & (arm == a)
        _happen(made, done, drawn & is_driven, drawn & is_kept, start, end)
        _add(world, done, drawn & is_added, number, day_added)
    done.contacts.append({name: values[reached] for name, values in columns.items()})


def last_before(made: Occasions, start: float) -> np.ndarray:
    """The day of each customer's last purchase before `start`, or of her first one, in the world without campaigns."""
    last = np.zeros(len(made.left_at))
    before = (made.day < start) | (made.number == 0)
    last[made.row[before]] = made.day[before]  # sorted by time within a customer: the last one stays
    return last


def _happen(made: Occasions, done: Campaigned, driven: np.ndarray, kept: np.ndarray, start: float, end: float) -> None:
    done.left_at[driven] = start
    later = made.day >= start
    done.bought &= ~(later & driven[made.row]) & ~(later & (made.day < end) & kept[made.row])


def _add(world: World, done: Campaigned, added: np.ndarray, number: int, day: np.ndarray) -> None:
    row = np.flatnonzero(added)
    done.row.append(row)
    done.campaign.append(np.full(len(row), number))
    done.day.append(day[row])
    done.left_at[row] = np.maximum(done.left_at[row], day[row])  # she was there to buy


def contact_columns(done: Campaigned) -> dict[str, np.ndarray]:
    """The contacts of all campaigns by column, sorted by customer and campaign; no columns where there were none."""
    if not done.contacts:
        return {}
    joined = {name: np.concatenate([of[name] for of in done.contacts]) for name in done.contacts[0]}
    order = np.lexsort((joined["campaign"], joined["row"]))
    return {name: values[order] for name, values in joined.items()}
