r"""Are effects, rules of contact and their intervals what they say? On simulated companies whose truth is known.

    python benchmarks/uplift_world.py --seeds 100

Each seed is a company of its own with its campaigns, randomised over an email, a letter and a voucher. Learners of
effects on buying (`models.uplift`, linear bases) learn from the campaigns up to the eighth and are picked by their
rule; their effects are pulled together by what was seen out of fold, and are worth the margin of a purchase
(`decisions.targeting`); the depth of contact is chosen on the same campaigns. Then the last three are judged:

- calibration: the slope of true on predicted effects over tenths of all pairs of contact and arm;
- interval: does the doubly robust interval of the rule's value, in cents of margin net of contact costs, hold the mean
  of what is truly to be expected under it? So does that of its gain on contacting nobody?
- sleeping dogs who have not left yet, since nothing wakes the others: where half of all are contacted, is a larger
  share of them left alone by the expected gain than by expected response?

In as many companies where no arm does anything, do the rules of notebooks/24_campaign_effect (no effect) and
22_response (no difference between customers) say so?

A company has 50,000 customers unless told otherwise: of 20,000, chance alone moves the difference of two arms' mean
effects by a sixth of what it truly is (half a point of three), so that no slope could be told to a fifth.

Orders are known at once and never come back here, so that the truth, which knows of neither, is what is measured.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from itertools import repeat
from pathlib import Path
from typing import Annotated

import ibis
import numpy as np
import pandas as pd
import typer

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from decisions.targeting import (
    CONTROL,
    Choice,
    assigned,
    best_arms,
    choose_depth,
    incremental_margin,
    left_of_basket,
    top_share,
)
from evaluation import campaign
from evaluation.calibration import BINS, wilson
from evaluation.policy_value import given, net_of, policy_gain, policy_value
from evaluation.uplift import uplift_measures
from evaluation.uplift_calibration import uplift_calibration, uplift_deciles
from features.customer_table import customer_table
from features.subjects import frame
from models import uplift, uplift_pick
from models.uplift_forecast import Expected, forecast
from models.uplift_learners import CLASS, LEARNERS, RESPONSE
from outcomes import after_contacts
from sources.world import retail
from sources.world.latent import traits
from sources.world.parameters import ARMS, Arm, Campaigns, Lateness, Returns, World

NAMES = [arm.name for arm in ARMS]
COST = np.array([arm.cost for arm in ARMS], dtype=float)
SHARES = np.array([arm.share for arm in ARMS])
IDLE = tuple(Arm(arm.name, arm.share, arm.channel, arm.cost) for arm in ARMS)  # they cost, and do nothing
WINDOW, MARGIN, FALSE_ALARM = 21, 0.35, 0.01
LAST_LEARNT = 8
SLOPE, HALF = (0.8, 1.2), 0.5
COLUMNS = (
    "recency_days", "tenure_days", "x", "overdue", "purchase_days_30", "purchase_days_90", "purchase_days_365",
    "spend_cents_90", "basket_cents_365", "discount_share_365", "survey_score_365", "cases_365", "contact_pressure",
    "contacts_90", "acquisition",
)  # fmt: skip
BEFORE = ("recency_days", "purchase_days_90", "purchase_days_365", "spend_cents_90", "spend_cents_365")


def contacts(customers: int, seed: int, arms: tuple[Arm, ...]) -> pd.DataFrame:
    """One row a contact, in the order of its id: what was known, what followed, and what is true of it."""
    plain = {"lateness": Lateness(share=0.0), "returns": Returns(share=0.0), "credit": None, "identities": None}
    world = World(customers, seed, campaigns=Campaigns(arms=arms), **plain)
    raw, true = retail.tables(world, traits(world, world.parts[0]))
    con = ibis.duckdb.connect()
    con.raw_sql("SET threads = 1")
    tables = {name: con.create_table(name, of) for name, of in (raw | retail.shared(world)).items()}
    sent = tables["contacts"]
    rows = sent.join(after_contacts(sent, tables["orders"], WINDOW, date(2024, 12, 31)), "contact_id").to_pandas()
    spine = sent.select("customer_id", origin=sent.contacted_at.date()).distinct()
    known = frame(customer_table(spine, tables, retail.ATTRIBUTES, {*COLUMNS, *BEFORE}))
    rows["origin"] = rows.contacted_at.dt.date
    rows = rows.merge(known.assign(origin=pd.to_datetime(known.origin).dt.date), "left", ["customer_id", "origin"])
    rows = rows.merge(true["contacts"].to_pandas().drop(columns=["customer_id", "campaign_id"]), on="contact_id")
    kind = true["customers"].to_pandas().set_index("customer_id").uplift_type
    rows["margin"] = rows.spent_cents - (1 - MARGIN) * rows.list_cents
    rows = rows.assign(number=rows.arm.map(NAMES.index), type=rows.customer_id.map(kind))
    return rows.sort_values("contact_id", ignore_index=True)


def learnt(train: pd.DataFrame, test: pd.DataFrame) -> tuple[str, Expected, Expected]:
    """The picked learner's name, and what is expected of the training rows, out of fold, and of those of the test."""
    chances = np.broadcast_to(SHARES, (len(train), len(SHARES)))
    learners = [(learner, uplift.LINEAR) for learner in LEARNERS if learner != CLASS]
    told = (train[list(COLUMNS)], train.bought, train.number, chances, train.customer_id)
    fitted = uplift.fit(*told, learners=learners)
    model = uplift_pick.pick(fitted, train.customer_id).model
    found = forecast(fitted, model, train.number.to_numpy(), train.customer_id)
    return model.learner, found.out_of_fold, found.of(test[list(COLUMNS)])


def judged(customers: int, seed: int) -> dict:
    """What one company says of effects and rules."""
    rows = contacts(customers, seed, ARMS)
    held = rows.campaign_id > LAST_LEARNT
    train, test = rows[~held].reset_index(drop=True), rows[held].reset_index(drop=True)
    learner, of_train, of_test = learnt(train, test)
    true = test[[f"buys_{name}" for name in NAMES]].to_numpy()
    pairs = (true[:, 1:] - true[:, :1]).ravel(), of_test.effect.ravel()
    slope, tenths = uplift_calibration(*pairs).slope.value, uplift_deciles(*pairs)
    choices = [best_arms(worth(of, rows_, train), COST[1:]) for of, rows_ in ((of_train, train), (of_test, test))]
    threshold = choose_depth(known(train), choices[0], train.customer_id).threshold
    found = valued(test, assigned(choices[1], threshold)) | dogs(test, choices[1], of_test)
    return {"seed": seed, "slope": slope, "learner": learner} | found | {"tenths": tenths}


def worth(of: Expected, rows: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """Expected incremental margin of each arm: purchases are as large as her usual one, times what an arm leaves."""
    usual = train.basket_cents_365.mean()
    buyers = train[train.bought == 1]
    left = left_of_basket(buyers.margin, buyers.basket_cents_365.fillna(usual), buyers.number, len(NAMES))
    basket = rows.basket_cents_365.fillna(usual).to_numpy()
    return incremental_margin(of.without, of.effect, basket[:, None] * left)


def known(rows: pd.DataFrame) -> np.ndarray:
    """Doubly robust scores of the margin under each arm, net of its cost."""
    before = pd.concat(
        [rows[list(BEFORE)].fillna(0), pd.get_dummies(rows.campaign_id, dtype=float).iloc[:, 1:]], axis=1
    )
    return net_of(campaign.adjusted_values(rows.margin, rows.number, rows.propensity, before), COST)


def valued(test: pd.DataFrame, rule: np.ndarray) -> dict:
    """The rule's value and gain on contacting nobody, per contact, beside the true ones."""
    values, truth = known(test), test[[f"margin_cents_{name}" for name in NAMES]].to_numpy()
    of, true = given(values, rule), given(truth, rule)
    value, gain = policy_value(of, test.customer_id), policy_gain(values[:, CONTROL], of, test.customer_id)
    true_value, true_gain = true.mean(), (true - truth[:, CONTROL]).mean()
    return {
        "contacted": (rule != CONTROL).mean(),
        "value": value.value,
        "true value": true_value,
        "value held": value.low <= true_value <= value.high,
        "gain": gain.value,
        "true gain": true_gain,
        "gain held": gain.low <= true_gain <= gain.high,
        "surely gains": gain.low > 0,
        "best single arm": (truth - truth[:, :1]).mean(axis=0).max(),
        "best possible": (truth.max(axis=1) - truth[:, CONTROL]).mean(),
    }


def dogs(test: pd.DataFrame, choice: Choice, of: Expected) -> dict:
    """The share of living sleeping dogs left alone where half are contacted, by expected gain and by response."""
    asleep = ((test.type == "sleeping dog") & (test.buys_control > 0)).to_numpy()
    rankings = {"dogs left": choice.gain, "by response": of.response(SHARES)}
    rules = {name: top_share(score, choice.arm, HALF) for name, score in rankings.items()}
    return {name: (rule[asleep] == CONTROL).mean() for name, rule in rules.items()}


def silent(customers: int, seed: int) -> dict:
    """Of a company whose arms do nothing: does the notebook's rule find an effect, and does a rule of contact?"""
    rows = contacts(customers, seed, IDLE)
    columns = pd.concat(
        [rows[list(BEFORE)].fillna(0), pd.get_dummies(rows.campaign_id, dtype=float).iloc[:, 1:]], axis=1
    )
    values = {
        name: campaign.adjusted_values(rows[name], rows.number, rows.propensity, columns)
        for name in ("bought", "margin")
    }
    arms = {name: [k] for k, name in enumerate(NAMES) if k}
    table = campaign.effects(values, arms, {}, rows.customer_id)
    found = len(campaign.changed_something(table, FALSE_ALARM))
    return {"seed": seed, "effects found": found, "difference found": difference_found(rows, seed)}


def difference_found(rows: pd.DataFrame, seed: int) -> bool:
    """Whether the notebook on response says that letters change some customers more than others."""
    judging = (pd.factorize(rows.customer_id, sort=True)[0] % 2).astype(bool)
    learner, _, expected = learnt(rows[~judging].reset_index(drop=True), rows[judging].reset_index(drop=True))
    chances = np.broadcast_to(SHARES, (len(rows), len(SHARES)))
    told = (rows[list(COLUMNS)], rows.bought, rows.number, chances, rows.customer_id)
    scores = uplift.fit(*told, learners=[("T", uplift.LINEAR)]).scores
    found = (scores[:, 1:].mean(axis=1) - scores[:, 0])[judging]
    qini = uplift_measures(found, expected.effect.mean(axis=1), rows.customer_id[judging].to_numpy(), seed)["qini"]
    return qini.low > 0 and learner != RESPONSE


def main(
    customers: Annotated[int, typer.Option(help="Of each company, at most 50,000.")] = 50_000,
    seeds: Annotated[int, typer.Option(help="Companies with effects, and as many without.")] = 100,
    first: Annotated[int, typer.Option(help="The first seed.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
):
    """Print the counts, with Wilson intervals of the shares."""
    numbers = range(first, first + seeds)
    with ProcessPoolExecutor(workers) as pool:
        with_effects = pd.DataFrame(pool.map(judged, repeat(customers), numbers))
        tenths = [of for of in with_effects.pop("tenths") if of.rows.size == BINS]
        print(with_effects.to_string(index=False, float_format="{:.3f}".format), flush=True)
        without = pd.DataFrame(pool.map(silent, repeat(customers), numbers))
    counts = {
        f"slope within {SLOPE[0]:g} to {SLOPE[1]:g}": with_effects.slope.between(*SLOPE),
        "interval of the rule's value holds the truth": with_effects["value held"],
        "interval of its gain on nobody holds the truth": with_effects["gain held"],
        "more sleeping dogs left alone than by response": with_effects["dogs left"] > with_effects["by response"],
        "rule surely gains": with_effects["surely gains"],
        "rule truly gains": with_effects["true gain"] > 0,
        "rule is truly better than the best single arm": with_effects["true gain"] > with_effects["best single arm"],
        "without effects: none is found": without["effects found"] == 0,
        "without effects: no difference is found": ~without["difference found"].astype(bool),
    }
    print(f"\n{customers:,} customers, {seeds} seeds from {first}")
    for what, of in counts.items():
        low, high = wilson(of.mean(), seeds)
        print(f"  {what:48} {of.sum():4} of {seeds} ({low:.2f} to {high:.2f})")
    of = ["slope", "contacted", "gain", "true gain", "best single arm", "best possible", "dogs left", "by response"]
    mean = with_effects[of].mean()
    predicted, true = (np.mean([getattr(of, name) for of in tenths], axis=0) for name in ("predicted", "observed"))
    print(f"  predicted effects, mean of each tenth over {len(tenths)} seeds:", np.round(100 * predicted, 2))
    print("  true effects, the same:", np.round(100 * true, 2), f"slope {np.polyfit(predicted, true, 1)[0]:.3f}")
    print("  means:", ", ".join(f"{name} {value:.3f}" for name, value in mean.items()))


if __name__ == "__main__":
    typer.run(main)
