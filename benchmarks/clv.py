"""How fast and how right is the value of customers? Beside lifetimes, on public data, and where truth is known.

    python benchmarks/clv.py speed --customers 100000 --customers 1000000
    python benchmarks/clv.py holdout      the published holdout of CDNOW's sample
    python benchmarks/clv.py public       the Complete Journey and CDNOW: candidates, pick, test, totals
    python benchmarks/clv.py totals       the same two: totals of all past snapshots, at several horizons, held or not
    python benchmarks/clv.py outliers     a company with wholesale accounts
    python benchmarks/clv.py world --seeds 100   coverage of customers and of sums, on the textbook and beside it

Seconds are of the processors, with what they started; lifetimes runs in the same process, on the same customers, and
pymc-marketing in an environment of its own (`peers.txt`), made at the first call; of it only those of a second fit
count, since the first compiles. Data come through the project's own sources.

What breaks it: a season in which no closed snapshot lay shifts every customer's amount alike, so that it takes of the
customers' intervals some hundredths, of a sum's the error that past totals had to tell. With wholesale accounts, whose
amounts have hardly a mean, customers are ranked right, but a total is the amount of a few of them, which none of the
candidates foretells: it is off by half, and its interval is wide. Read no total where one customer is a large share of
it; sum without her.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.stats import beta

HERE = Path(__file__).resolve().parent
# this folder is not looked in until the rooms are there: a script here has the name of one
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() not in (HERE, HERE.parent)]

from evaluation import value
from features.subjects import frame
from models import bg_nbd, clv, clv_choice, lifetime, pareto_nbd, predictive, spend
from models.likelihood import cells_of
from models.predictive import Histories, TotalError
from sources import open_source
from sources.world import retail
from sources.world.latent import traits
from sources.world.parameters import Purchases, Traits, World
from training_table import feature_columns, plan_of_values, value_table

sys.path.append(str(HERE))

from feature_children import NotHere, interpreter

SEED, LEVEL, DRAWS = 1, 0.8, 100
LONGEST = 600  # seconds that a peer may take
app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)


def say(what: str, value_of: str) -> None:
    """One line of the report."""
    print(f"{what:<58} {value_of}", flush=True)


def timed(what: Callable) -> tuple[object, float]:
    """What a call gives, and its CPU seconds."""
    start = time.process_time()
    return what(), time.process_time() - start


def customers(number: int, seed: int = SEED) -> Histories:
    """Customers who buy and leave as the Pareto/NBD says, watched for a whole number of weeks-long days."""
    draw = np.random.default_rng(seed)
    T = draw.integers(180, 400, number).astype(float)
    rate, leaves = draw.gamma(0.55, 1 / 74.0, number), draw.gamma(0.6, 1 / 82.0, number)
    lived = np.minimum(T, draw.exponential(1 / leaves))
    x = draw.poisson(rate * lived).astype(float)
    t_x = np.where(x > 0, np.clip(np.ceil(lived * draw.beta(np.maximum(x, 1), 1)), 1, T), 0.0)
    bought = x + 1
    mean = draw.gamma(6.0 * bought) / (bought * draw.gamma(3.7, 1 / 1_500, number))
    return Histories(x, t_x, T, bought, mean)


class Shop:
    """Purchases by customer and day of any source: cents of sales, nothing taken off."""

    def __init__(self, first: date, days: pd.DataFrame, region: pd.Series | None = None):
        self.first, self.days, self.region = first, days, region

    @classmethod
    def of_world(cls, world: World) -> "Shop":
        """The simulated company."""
        lines, regions = [], []
        for part in world.parts:
            latent = traits(world, part)
            raw, _ = retail.tables(world, latent)
            lines.append(raw["orders"].select(["customer_id", "ordered_at", "amount_cents"]).to_pandas())
            regions.append(pd.DataFrame({"customer_id": latent["customer_id"], "region": latent["region"]}))
        orders = pd.concat(lines)
        sales = orders[orders.amount_cents >= 0]
        days = (sales.ordered_at.dt.normalize() - pd.Timestamp(world.first_day)).dt.days
        by = sales.assign(day=days).groupby(["customer_id", "day"]).amount_cents.sum()
        return cls(
            world.first_day, by.rename("cents").reset_index(), pd.concat(regions).set_index("customer_id").region
        )

    @classmethod
    def of_source(cls, name: str) -> "Shop":
        """The orders of a source."""
        orders = open_source(name).tables["orders"]
        sales = orders.filter(orders.amount_cents >= 0)
        by = sales.group_by("customer_id", on=sales.ordered_at.date()).agg(cents=sales.amount_cents.sum()).to_pandas()
        on = pd.to_datetime(by.on)
        days = by.assign(day=(on - on.min()).dt.days)[["customer_id", "day", "cents"]]
        return cls(on.min().date(), days.sort_values(["customer_id", "day"], ignore_index=True))

    def table(self, day: int, horizon: int, active: int = 365) -> pd.DataFrame:
        """Features at a day of who bought in the `active` days before it, and cents of the `horizon` after it."""
        past = self.days[self.days.day < day]
        seen = past.groupby("customer_id").day.agg(["min", "max", "size"])
        seen = seen[seen["max"] >= day - active]
        columns = {
            f"spend_cents_{w}": past[past.day >= day - w].groupby("customer_id").cents.sum() for w in clv.WINDOWS
        }
        year = past[past.day >= day - 365].groupby("customer_id").size()
        after = self.days[(self.days.day >= day) & (self.days.day < day + horizon)].groupby("customer_id").cents.sum()
        found = pd.DataFrame(
            {
                "origin": self.first + timedelta(days=day),
                "x": seen["size"] - 1.0,
                "t_x": (seen["max"] - seen["min"]).astype(float),
                "tenure_days": (day - seen["min"]).astype(float),
                "purchase_days_365": year.reindex(seen.index).fillna(0).astype(float),
                **{name: sums.reindex(seen.index).fillna(0).astype(float) for name, sums in columns.items()},
                "outcome": after.reindex(seen.index).fillna(0).astype("int64"),
            }
        )
        return found.reset_index(names="customer_id")

    def segments(self, table: pd.DataFrame) -> np.ndarray:
        """Ten groups of regions (n,), of unequal size."""
        return np.minimum(self.region.loc[table.customer_id].to_numpy(), 9)


@app.command()
def speed(
    number: Annotated[list[int], typer.Option("--customers")] = [100_000, 1_000_000],  # noqa: B006
    peer: bool = True,
) -> None:
    """Fits with their cells, scores with intervals and totals, beside lifetimes' BG/NBD."""
    seconds = []
    for many in number:
        h = customers(many)
        _, cells = timed(lambda h=h: cells_of(*h[:3]))
        _, bg = timed(lambda h=h: bg_nbd.fit(*h[:3]))
        found, pareto = timed(lambda h=h: pareto_nbd.fit(*h[:3]))
        of = lifetime.fit(*h[:3])
        prices = spend.fit(h.purchases, h.mean)
        segments, scale, error = np.arange(many) % 10, np.ones(many), TotalError(0.1, 4.0)
        _, scored = timed(
            lambda: predictive.intervals_and_totals(of, prices, h, scale, 91, LEVEL, error, segments, DRAWS, SEED)  # noqa: B023
        )
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        say(f"{many:,} customers, different histories", f"{cells_of(*h[:3]).x.size:,}")
        say("  BG/NBD fitted, its cells included (cells alone)", f"{bg:.2f} s ({cells:.2f} s)")
        say(
            "  Pareto/NBD fitted",
            f"{pareto:.2f} s: {', '.join(f'{k} {v:.3g}' for k, v in found[1].parameters.items())}",
        )
        say(f"  scored, {DRAWS} draws, intervals and 10 totals", f"{scored:.1f} s; at most {memory:.2f} GB so far")
        seconds.append((many, bg, pareto, scored))
        if peer and many <= 1_000_000:
            _peers(h, bg)
    if len(seconds) > 1:
        rows = np.log(np.array(seconds))
        slopes = [np.polyfit(rows[:, 0], rows[:, k], 1)[0] for k in (1, 2, 3)]
        say("slope of log seconds in log customers: BG, Pareto, scored", ", ".join(f"{s:.2f}" for s in slopes))


def _peers(h: Histories, ours: float) -> None:
    warnings.filterwarnings("ignore")
    try:
        from lifetimes import BetaGeoFitter

        fitted, took = timed(lambda: BetaGeoFitter().fit(h.x, h.t_x, h.T))
        say(
            "  lifetimes' BG/NBD, the same customers",
            f"{took:.1f} s, {took / ours:.1f} times ours; r {fitted.params_['r']:.3f}",
        )
    except ImportError as error:
        say("  lifetimes", f"not here: {error}")
    try:
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, np.stack([h.x, h.t_x, h.T]))
            command = [interpreter("clv"), str(HERE / "clv_peer.py"), file.name]
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        found = json.loads(done.stdout.splitlines()[-1])
        say(
            "  pymc-marketing's BG/NBD by MAP, the same customers",
            f"{found['seconds']:.1f} s, {found['seconds'] / ours:.1f} times ours, {found['memory']:.1f} GB; "
            f"r {found['r']:.3f}",
        )
    except (NotHere, IndexError) as error:
        say("  pymc-marketing", f"not here: {error}")
    except subprocess.TimeoutExpired:
        say("  pymc-marketing's BG/NBD by MAP", f"not done within {LONGEST} s")


@app.command()
def holdout() -> None:
    """CDNOW's sample, 39 weeks foretold from 39: purchases, by Pareto/NBD, BG/NBD and the own rate."""
    orders = open_source("cdnow_sample").tables["orders"]
    days = orders.select("customer_id", day=orders.ordered_at.date()).distinct().to_pandas()
    day = (pd.to_datetime(days.day) - pd.Timestamp(date(1997, 1, 1))).dt.days
    days = days.assign(day=day)
    before = days[day < 273].groupby("customer_id").day.agg(["min", "max", "size"])
    after = days[day >= 273].groupby("customer_id").size().reindex(before.index).fillna(0).to_numpy()
    # the paper's T ends on 30 September
    x, t_x, T = before["size"] - 1.0, (before["max"] - before["min"]) * 1.0, 272.0 - before["min"]
    said = {
        "Pareto/NBD": pareto_nbd.fit(x, t_x, T)[0].expected(273, x, t_x, T),
        "MBG/NBD": bg_nbd.fit(x, t_x, T, first=True)[0].expected(273, x, t_x, T),
        "BG/NBD": bg_nbd.fit(x, t_x, T)[0].expected(273, x, t_x, T),
        "own rate": (x / T * 273).to_numpy(),
    }
    for name, one in said.items():
        error = np.asarray(one) - after
        say(
            f"{name}: MAE, RMSE, correlation",
            f"{np.abs(error).mean():.3f}, {np.sqrt((error**2).mean()):.3f}, {np.corrcoef(one, after)[0, 1]:.3f}",
        )


@app.command()
def public() -> None:
    """The Complete Journey at 2017-10-02 for 13 weeks, CDNOW at 1997-10-01 for 39: all candidates, the pick."""
    for name, as_of, days in (("complete_journey", "2018-01-01", 91), ("cdnow", "1998-07-01", 273)):
        source = open_source(name)
        test, before, _ = plan_of_values(source.tables, as_of, days, 6, 84)
        told = [
            frame(value_table(source.tables, source.attributes, study, origins, 1_095))
            for study, origins in ((before, before.closed_origins), (test, (test.test_origin,)))
        ]
        closed = [clv.snapshot(g.reset_index(drop=True), before.horizon_days) for _, g in told[0].groupby("origin")]
        say(f"{name}, origin {test.test_origin}, {days} days", f"{len(told[1]):,} customers")
        _judged(closed, clv.snapshot(told[1], days), feature_columns(pd.concat(told)))


def _judged(closed: list, now: clv.Snapshot, columns: list[str]) -> None:
    choice = clv_choice.choose(closed, columns, SEED)
    print(choice.snapshot.round(4).to_string(index=False))
    models, _ = clv.fit(clv.CANDIDATES, closed, now.buying, columns, SEED)
    y, subjects = now.outcome, now.table.customer_id
    said = {name: model.predict(now.table, now.days) for name, model in models.items()}
    print(value.of_candidates(y, said).assign(rmse=lambda t: t.rmse / 100).round(4).to_string(index=False))
    found = value.of_candidates(y, {choice.pick: said[choice.pick]}).iloc[0]
    say(f"  pick: {choice.pick}", f"Gini {found.gini:.4f}, RMSE {found.rmse / 100:.2f}, bias {found.bias:+.3f}")
    for rule in clv.RULES:
        gain = value.value_gains(y, said[rule], said[choice.pick], subjects, SEED)["gini"]
        say(f"  gain in Gini on the {rule}", f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})")
    backtest = clv_choice.totals(closed, choice)
    model = clv_choice.finished(models[choice.pick], closed, backtest, now.days, SEED)
    inside, whole = _intervals(model, now, np.zeros(len(y), dtype=int))
    say("  80 % intervals held of customers", f"{inside.share:.3f} ({inside.low:.3f} to {inside.high:.3f})")
    say(
        "  true total, its 80 % interval", f"{y.sum() / 100:,.0f}: {whole[0][0] / 100:,.0f} to {whole[1][0] / 100:,.0f}"
    )


HORIZONS, HISTORY = (28, 56, 91, 182), 84  # days of a snapshot, and of data before the first one


@app.command()
def totals() -> None:
    """Total of each closed snapshot from what was closed before it, snapshots end to end, at several horizons."""
    for name in ("complete_journey", "cdnow"):
        shop, of_all = Shop.of_source(name), []
        for days in HORIZONS:
            at = range(HISTORY, int(shop.days.day.max()) + 2 - days, days)
            closed = [clv.snapshot(shop.table(day, days, 1_095), days) for day in at]
            held = [_held(closed[:k], closed[k]) for k in range(1, len(closed))]
            of_all += held
            if held:
                say(f"{name}, {days} days ahead, totals held", _share(held))
        say(f"{name}, all of these (horizons overlap)", _share(of_all))


def _held(before: list[clv.Snapshot], now: clv.Snapshot) -> bool:
    choice = clv_choice.Choice(pd.DataFrame(), clv.PROBABILISTIC, {}, {})
    model = clv.fit([clv.PROBABILISTIC], before, now.buying, (), SEED)[0][clv.PROBABILISTIC]
    model = clv_choice.finished(model, before, clv_choice.totals(before, choice), now.days, SEED)
    low, high = _intervals(model, now, np.zeros(len(now.table), dtype=int))[1]
    return bool(low[0] <= now.outcome.sum() <= high[0])


def _share(held: list[bool]) -> str:
    k, n = sum(held), len(held)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    inside = "holds" if low <= LEVEL <= high else "does NOT hold"
    return f"{k} of {n}, 95 % interval {low:.0%} to {high:.0%}, which {inside} the {LEVEL:.0%} asked"


def _intervals(model: clv.Clv, now: clv.Snapshot, segments: np.ndarray, number: int = DRAWS):
    of, told, scale = model.buying, clv.histories(now.table), model.scale(now.table, now.days)
    found = predictive.intervals_and_totals(
        of.lifetime, of.spend, told, scale, now.days, model.held, model.error, segments, number, SEED
    )
    totals = predictive.total_interval(found.totals, model.error, LEVEL)
    return value.coverage(now.outcome, found.low, found.high), totals


@app.command()
def outliers() -> None:
    """2,000 customers of whom 1 in 100 buys wholesale, in a season: does the pick crash, or rank worse than a rule?"""
    world = World.textbook(
        4_000, 3, purchases=Purchases(season=0.4, regularity=2), traits=Traits(rate_spend=0.4, region_spend=0.3)
    )
    shop, draw = Shop.of_world(world), np.random.default_rng(SEED)
    wholesale = draw.random(world.customers + 1) < 0.01
    factor = np.where(wholesale, 50 * (1 + draw.pareto(1.1, wholesale.size)), 1.0)
    shop.days["cents"] = np.rint(shop.days.cents * factor[shop.days.customer_id]).astype("int64")
    closed = [clv.snapshot(shop.table(day, 91), 91) for day in (366, 397, 428, 457, 548)]
    now = clv.snapshot(shop.table(639, 91), 91)
    say("wholesale accounts; gamma-gamma", now.buying.spend.refused or "taken")
    say("  largest share of one customer", f"{now.outcome.max() / now.outcome.sum():.1%}")
    _judged(closed, now, list(clv.READ))


CALM = {"season": 0, "weekend": 1, "trend": 0, "promotions": 0, "coupons": 0}
VIOLATIONS = {
    "textbook (BG/NBD, gamma-gamma)": {},
    "leaves on any day (lifetime)": {"purchases": Purchases(**CALM, lifetime=True)},
    "Erlang-2 gaps": {"purchases": Purchases(**CALM, regularity=2)},
    "rate and spend correlate 0.3": {"traits": Traits(rate_spend=0.3, region_spend=0.3)},
    "a season of 20 %": {"purchases": Purchases(**CALM | {"season": 0.2})},
    "a trend of -20 % a year": {"purchases": Purchases(**CALM | {"trend": -0.2})},
}


@app.command()
def world(seeds: int = 100, number: Annotated[int, typer.Option("--customers")] = 3_000) -> None:
    """Customers within their 80 % intervals, and sums of ten groups of regions, over seeds; what breaks it, too."""
    for name, others in VIOLATIONS.items():
        shares, held, all_held = [], [], []
        for seed in range(seeds):
            shop = Shop.of_world(World.textbook(number, seed, **others))
            closed = [clv.snapshot(shop.table(day, 91), 91) for day in (457, 548)]
            now = clv.snapshot(shop.table(639, 91), 91)
            choice = clv_choice.Choice(pd.DataFrame(), clv.PROBABILISTIC, {}, {})
            model = clv.fit([clv.PROBABILISTIC], closed, now.buying, (), SEED)[0][clv.PROBABILISTIC]
            model = clv_choice.finished(model, closed, clv_choice.totals(closed, choice), 91, SEED)
            segments = shop.segments(now.table)
            inside, (low, high) = _intervals(model, now, segments)
            true = np.bincount(segments, weights=now.outcome, minlength=10)
            low_all, high_all = _intervals(model, now, np.zeros(segments.size, dtype=int))[1]
            shares.append(inside.share)
            held.append(((low <= true) & (true <= high)).mean())
            all_held.append(low_all[0] <= true.sum() <= high_all[0])
        say(
            f"{name}, {seeds} seeds",
            f"customers {np.mean(shares):.3f}, sums of groups {np.mean(held):.2f}, the total {np.mean(all_held):.2f}",
        )


if __name__ == "__main__":
    app()
