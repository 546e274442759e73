r"""How often does the gate promote a model that is no better, and how often one that is? On the simulated world.

    python benchmarks/gate.py --customers 20000 --seeds 200

Each customer of the world has a true probability of leaving: Bayes' rule with her own traits and her silence. Outcomes
are drawn from it anew in each seed, and two models foretell them, each from a blurred sight of the true log-odds,
turned into probabilities by what is true of its hundredths in another draw, so that both are calibrated. Their true AUC
follows from the probabilities alone:

.. math:: A = \sum_{i,j} p_i (1 - p_j) \, [s_i > s_j] \Big/ \sum_{i,j} p_i (1 - p_j)

Equal models have equal blur, drawn independently; for a gain, the champion's is widened until the AUC differ by it.
Asked is the whole gate of `pipelines/parameters.yml`, beside the rule "the higher AUC wins"; and where the champion is
old, so that one surely not worse by `refresh_margin` takes its place, of an equal one and of a better champion.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.optimize import brentq
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also in the processes that make the world
from headroom import HORIZON, foreseen, made, seen  # it takes this folder off the path again

from evaluation.calibration import log_odds, wilson
from evaluation.gate import gate, passes
from evaluation.ranking import auc
from pipelines.gate import rule_of
from pipelines.parameters import declared, notebook_of

BINS, BLUR, NAIVE_BLUR, GAIN, SELECTED = 100, 1.0, 4.0, 0.02, 0.5


def truth(customers: int, seed: int) -> np.ndarray:
    """The true probability of leaving of `customers` who bought in the 91 days before the world's last horizon."""
    with tempfile.TemporaryDirectory() as folder:
        known = made(customers * 4, seed, Path(folder))
        start = known.world.days - HORIZON
        bought = start - seen(known, start)["last"].to_numpy() <= 91
        here = np.flatnonzero(bought)
        if here.size < customers:
            raise SystemExit(f"{customers:,} customers are needed, but only {here.size:,} are active.")
        here = np.sort(np.random.default_rng(seed).choice(here, customers, replace=False))
        return 1 - foreseen(known, start, start + HORIZON, here, False)[1]


def foretold(p: np.ndarray, width: float, draw: np.random.Generator) -> np.ndarray:
    """Calibrated probabilities (n,) of a model that sees the log-odds of `p` through noise of this width."""
    learnt, asked = (log_odds(p) + draw.normal(0, width, p.size) for _ in range(2))
    order = np.argsort(learnt)
    seen_at, rate = ([part.mean() for part in np.array_split(of[order], BINS)] for of in (learnt, p))
    return expit(np.interp(asked, seen_at, log_odds(np.maximum.accumulate(rate))))


def true_auc(p: np.ndarray, score: np.ndarray) -> float:
    """The AUC that is expected of a score over all outcomes."""
    rows = pd.DataFrame({"event": p, "none": 1 - p}).groupby(score).sum()
    below = rows.none.cumsum() - rows.none
    return float((rows.event * (below + rows.none / 2)).sum() / (p.sum() * (1 - p).sum()))


def wider(p: np.ndarray, gain: float) -> float:
    """The blur whose true AUC is `gain` below that of `BLUR`, by the same draws of noise."""

    def mean_auc(width):
        return np.mean([true_auc(p, foretold(p, width, np.random.default_rng(k))) for k in range(10)])

    best = mean_auc(BLUR)
    return brentq(lambda width: best - mean_auc(width) - gain, BLUR, 8, xtol=0.01)


def ended(p: np.ndarray, blur: float, champions: float, seeds: int, rule: dict) -> pd.DataFrame:
    """A row a seed: whether the gate promotes, whether the higher AUC would, and what of the gate did not pass."""
    rows = []
    for seed in range(seeds):
        draw = np.random.default_rng([seed, 17])
        outcome = (draw.random(p.size) < p).astype(int)
        score, champion, naive = (foretold(p, w, draw) for w in (blur, champions, NAIVE_BLUR))
        table = pd.DataFrame({"customer_id": np.arange(p.size), "outcome": outcome, "score": score, "naive": naive})
        checks, _ = gate(table.assign(champion=champion), rule, score > SELECTED, seed)
        failed = {check.what: check.passed is not True for check in checks}
        rows.append({"gate": passes(checks), "higher AUC": auc(outcome, score) > auc(outcome, champion)} | failed)
    return pd.DataFrame(rows)


def main(
    customers: Annotated[int, typer.Option(help="Test customers.")] = 20_000,
    seeds: Annotated[int, typer.Option(help="Draws of outcomes and models.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the world.")] = 7,
):
    """Print how often each rule promotes, with Wilson intervals, and which check stood in the way."""
    rule = rule_of("churn", declared(notebook_of("churn")))  # before the world becomes the project
    p = truth(customers, seed)
    print(f"{customers:,} customers, {p.mean():.1%} leave; rule: {rule}")
    old, far = rule | {"gain_margin": rule["refresh_margin"]}, wider(p, GAIN)
    for name, widths, asked in (
        (f"equal, blur {BLUR:g} both", (BLUR, BLUR), rule),
        (f"gain {GAIN:g} AUC", (BLUR, far), rule),
        ("equal, and the champion is old", (BLUR, BLUR), old),
        (f"loss {GAIN:g} AUC, and the champion is old", (far, BLUR), old),
    ):
        started = time.perf_counter()
        found = ended(p, *widths, seeds, asked)
        took = time.perf_counter() - started
        aucs = [np.mean([true_auc(p, foretold(p, w, np.random.default_rng(k))) for k in range(10)]) for w in widths]
        print(f"\n{name} (true AUC {aucs[0]:.3f}, the champion's {aucs[1]:.3f}), {took:.0f} s")
        for what in ("gate", "higher AUC"):
            low, high = wilson(found[what].mean(), seeds)
            print(f"  {what:12} promotes {found[what].mean():6.1%} ({low:.1%} to {high:.1%}) of {seeds}")
        stood = found.drop(columns=["gate", "higher AUC"]).mean()
        print("  not passed:", ", ".join(f"{what} {share:.1%}" for what, share in stood.items()))


if __name__ == "__main__":
    typer.run(main)
