r"""How much of what could be known do our models know? On the simulated world, where the best possible is known too.

    python benchmarks/headroom.py --customers 20000 --seed 7

Four scores of the same customers are compared: the naive rule's, ours, the best that can be made of what is seen
(Bayes' rule with the customer's own traits: who knows her rate and dropout, but sees only her silence), and the
truth's, which also knows who has left. Gap closed = (ours - naive) / (best - naive), with a 95 % interval from 500
draws of customers. Nobody can close all of it, since traits must be guessed from few purchases. The best score expects
no campaign, so that churn is judged in 28 days in which none works.

Also printed: the best possible Qini of the campaigns, from true effects, beside that of ranking by response and by
chance; and the true expected value of the customers, with the best possible ranking beside the past rate's.

.. math:: Q = 10^4 \int_0^1 \Big(\frac1n \sum_{i \in top(k)} \tau_i - k \bar\tau\Big) dk

[1] Radcliffe (2007), Using Control Groups to Target on Predicted Lift, Direct Marketing Analytics Journal: Qini.
[2] Fader, Hardie & Lee (2005), Marketing Science 24(2): P(alive) and expected purchases, here of known traits.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import typer
from scipy.stats import spearmanr

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from contracts.boundary import known_before
from contracts.places import root
from evaluation.bootstrap import interval, resamples
from evaluation.ranking import auc, normalised_gini
from evaluation.tie_groups import tie_groups
from evaluation.uplift import qini
from features.subjects import frame
from models import churn
from sources import open_source
from sources.source import Source
from sources.world.expectation import alive, basket_cents, kept_share, purchases_ahead
from sources.world.orders import ADDED, NUMBERS
from sources.world.parameters import World
from sources.world.writer import write_world
from training_table import feature_columns, plan, training_table

DRAWS = 500
HORIZON, ACTIVE, ORIGINS, SPACING = 28, 91, 5, 28
YEAR = 365


class Known(NamedTuple):
    """A world on disk: its settings, its raw tables, and what is true of its customers, sorted by customer_id."""

    world: World
    source: Source
    customers: pd.DataFrame
    contacts: pd.DataFrame

    def day(self, number: float) -> date:
        """The date of a day of the world."""
        return self.world.first_day + timedelta(days=number)


class Scores(NamedTuple):
    """Outcome 0 or 1, and four scores of the same customers; arrays of shape (n,)."""

    outcome: np.ndarray
    naive: np.ndarray
    ours: np.ndarray
    best: np.ndarray
    truth: np.ndarray


def made(customers: int, seed: int, home: Path) -> Known:
    """The world, written into a project of its own and opened as any source is."""
    world = World(customers, seed)
    (home / "data" / "sources").mkdir(parents=True)
    shutil.copy(root() / "data" / "sources" / "world.yml", home / "data" / "sources")
    write_world(world, home / "data" / "raw" / "world", print)
    os.environ["CRM_HOME"] = str(home)
    hidden = home / "data" / "raw" / "world" / "truth"
    true = {name: pd.read_parquet(hidden / name) for name in ("customers", "contacts")}
    return Known(
        world, open_source("world"), true["customers"].sort_values("customer_id", ignore_index=True), true["contacts"]
    )


def seen(known: Known, start: int) -> pd.DataFrame:
    """By customer, in the order of the truth: purchases, the last one's day, and cents, as known on a day.

    Purchases that a campaign added say nothing of her own rhythm: the best possible observer leaves them out.
    """
    orders = known_before(known.source.tables["orders"], known.day(start)).to_pandas()
    sales = orders[(orders.amount_cents >= 0) & (orders.order_id % NUMBERS < ADDED)]
    day = (sales.ordered_at - pd.Timestamp(known.world.first_day)) / pd.Timedelta(days=1)
    by = sales.assign(day=day).groupby("customer_id")
    found = pd.DataFrame({"first": by.day.min(), "last": by.day.max(), "purchases": by.order_id.nunique()})
    return found.assign(cents=by.amount_cents.sum()).reindex(known.customers.customer_id)


def foreseen(known: Known, start: int, end: int, here: np.ndarray, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Expected purchases and the probability of one in [start, end) for the customers in `here` (row numbers).

    left  whether who has left is known; else it is inferred from the silence that is seen
    """
    true = known.customers.iloc[here]
    traits = {name: true[name].to_numpy() for name in true.columns}
    history = seen(known, start).iloc[here]
    last = history["last"].to_numpy()
    left_at = true.left_day.to_numpy() if left else np.full(len(here), np.inf)
    purchases, some = purchases_ahead(known.world, traits, left_at, last, start, end)
    if left:
        return purchases, some
    stays = alive(known.world, traits, history.purchases.to_numpy() - 1, last, start)
    return purchases * stays, some * stays


def churn_scores(known: Known, seed: int) -> Scores:
    """Silent for 28 days, of those who bought in the 91 before; the latest such days that no campaign works in."""
    told = known.world.campaigns
    sent = np.arange(told.first, known.world.days, told.every)
    start = int(sent[sent + told.every <= known.world.days][-1]) + told.window + 1
    assert start + HORIZON <= start - told.window - 1 + told.every
    source, as_of = known.source, known.day(start + HORIZON)
    study = plan(source.tables, f"{as_of}", HORIZON, ORIGINS, SPACING, ACTIVE)
    table = frame(training_table(source.tables, source.attributes, study, ACTIVE))
    evidence = churn.judge(table, feature_columns(table), HORIZON, "fast", seed)
    test = evidence.test
    here = known.customers.customer_id.searchsorted(test.customer_id)
    (_, best), (_, truth) = (foreseen(known, start, start + HORIZON, here, left) for left in (False, True))
    ours, naive = test[evidence.pick].to_numpy(), test[churn.ONE_COLUMN].to_numpy()
    print(
        f"churn: {len(test):,} customers at {study.test_origin}, {test.outcome.mean():.1%} lapse; pick: {evidence.pick}"
    )
    return Scores(test.outcome.to_numpy(float), naive, ours, 1 - best, 1 - truth)


# model -> its scores on a world; a further model that foretells an event is a further row
MODELS: dict[str, Callable[[Known, int], Scores]] = {"churn": churn_scores}


def gap_closed(of: Scores, seed: int) -> tuple[float, float, float]:
    """The share of the gap between the naive rule and the best score that ours closes, with its interval."""
    groups = [tie_groups(score) for score in (of.naive, of.ours, of.best)]

    def closed(weight):
        naive, ours, best = (group.counts(of.outcome, weight).auc() for group in groups)
        return (ours - naive) / (best - naive)

    draws = resamples(of.outcome, np.arange(of.outcome.size), DRAWS, seed)
    return interval(closed(np.ones(of.outcome.size)), np.array([closed(weight) for weight in draws]))


def campaigns(known: Known) -> pd.DataFrame:
    """For each arm: its average effect on buying, and the Qini of three rankings by what is true."""
    true, rows = known.contacts, []
    for arm in known.world.campaigns.arms[1:]:
        treated, control = true[f"buys_{arm.name}"].to_numpy(), true.buys_control.to_numpy()
        effect = treated - control
        chance = np.random.default_rng(known.world.seed).random(effect.size)
        rankings = {"best": effect, "by response": treated, "by chance": chance}
        found = {f"Qini {name}": 10_000 * qini(effect, score) for name, score in rankings.items()}
        rows.append({"arm": arm.name, "effect": effect.mean(), "harmed": (effect < 0).mean()} | found)
    return pd.DataFrame(rows)


def value(known: Known) -> pd.DataFrame:
    """How well is what customers spend in the world's second year ranked, at its first day?"""
    start = known.world.days - YEAR
    history = seen(known, start)
    here = np.flatnonzero(history.purchases.notna())
    true, history = known.customers.iloc[here], history.iloc[here]
    traits = {name: true[name].to_numpy() for name in true.columns}
    each = basket_cents(known.world, traits) * kept_share(known.world, traits, start, known.world.days)
    orders = known.source.tables["orders"].to_pandas()
    later = orders[(orders.ordered_at >= pd.Timestamp(known.day(start))) & (orders.amount_cents >= 0)]
    spent = later.groupby("customer_id").amount_cents.sum().reindex(true.customer_id).fillna(0).to_numpy()
    rate = (history.purchases - 1) / (start - history["first"]) * YEAR
    truth, best = (foreseen(known, start, known.world.days, here, left)[0] * each for left in (True, False))
    scores = {"past rate": (rate * history.cents / history.purchases).to_numpy(), "best": best, "truth": truth}
    return pd.DataFrame(
        [
            {
                "score": name,
                "total": score.sum() / 100,
                "really spent": spent.sum() / 100,
                "Spearman": spearmanr(score, spent).statistic,
                "normalised Gini": normalised_gini(spent, score),
            }
            for name, score in scores.items()
        ]
    )


def main(
    customers: Annotated[int, typer.Option(help="Of the simulated world.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the world, the models and the draws.")] = 7,
):
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        known = made(customers, seed, Path(folder) / "home")
        for name, scores in MODELS.items():
            of = scores(known, seed)
            areas = {what: auc(of.outcome, getattr(of, what)) for what in ("naive", "ours", "best", "truth")}
            closed = "{:.0%} ({:.0%} to {:.0%})".format(*gap_closed(of, seed))
            print(
                f"{name}: AUC "
                + ", ".join(f"{what} {area:.3f}" for what, area in areas.items())
                + f"; gap closed {closed}"
            )
        print("\ncampaigns, all contacts, buyers for 10,000 heads")
        print(campaigns(known).to_string(index=False, float_format="{:.3f}".format))
        print("\nspend in the second year, simulated")
        print(value(known).to_string(index=False, float_format="{:,.3f}".format))


if __name__ == "__main__":
    typer.run(main)
