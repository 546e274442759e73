"""Does the band of reject inference hold the true default rate of the rejected? On simulated lenders, truth known.

    python benchmarks/rejects.py --customers 20000 --seeds 100

Each seed is another lender with other applicants. The methods see forms, answers, and outcomes of the accepted; the
truth is the mean true probability of default of the rejected. `--insight` says how much the lender's officers see that
no form shows: 0 is nothing, the world's default is 0.2. Printed: each method's bias and spread, and in how many seeds
the truth lies in the band of all methods, and in that of the point estimates alone.
"""

import time
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from evaluation.calibration import wilson
from models.reject_inference import ACCEPT_ONLY, BIVARIATE_HIGH, BIVARIATE_LOW, infer
from sources.world import lending
from sources.world.credit import Credit
from sources.world.latent import traits
from sources.world.parameters import World

NUMBERS = ["income_cents", "employment_years", "existing_loans", "bureau_score", "amount_cents", "term"]


def one(customers: int, seed: int, insight: float) -> dict[str, float]:
    """Mean default probability of the rejected by each method and in truth."""
    world = World(customers, seed, credit=Credit(insight=insight))
    part, latent = world.parts[0], traits(world, world.parts[0])
    asked = lending.tables(world, part, latent)["applications"].to_pandas()
    true = lending.truth(world, part, latent)["applications"].to_pandas()
    form = asked[NUMBERS].astype(float).assign(purpose=asked.purpose, housing=asked.housing)
    accepted = asked.accepted.to_numpy(dtype=bool)
    found = infer(form, accepted, true.bad.to_numpy(dtype=float), seed=seed)
    return found.mean(~accepted).to_dict() | {"truth": true.pd[~accepted].mean(), "rho": found.rho[0]}


def main(
    customers: Annotated[int, typer.Option(help="Of each simulated company; about a quarter apply.")] = 20_000,
    seeds: Annotated[int, typer.Option(help="Companies, from seed 1 on.")] = 100,
    insight: Annotated[float, typer.Option(help="Weight of what officers see beyond the form.")] = 0.2,
):
    """Print bias of each method, and in how many seeds the band holds the truth."""
    started = time.process_time()
    rows = pd.DataFrame([one(customers, seed, insight) for seed in range(1, seeds + 1)])
    methods = rows.drop(columns=["truth", "rho"])
    off = methods.sub(rows.truth, axis=0)
    print(f"{seeds} lenders of {customers:,} customers, insight {insight:g}; true rate of the rejected "
          f"{rows.truth.mean():.3f}; {time.process_time() - started:.0f} CPU s")  # fmt: skip
    print(f"{'method':22} {'mean':>7} {'bias':>8} {'spread':>7} {'RMSE':>7}")
    for name in methods:
        print(f"{name:22} {methods[name].mean():7.3f} {off[name].mean():+8.3f} {off[name].std():7.3f} "
              f"{np.sqrt((off[name] ** 2).mean()):7.3f}")  # fmt: skip
    points = methods.drop(columns=[BIVARIATE_LOW, BIVARIATE_HIGH])
    for what, of in (("band of all methods", methods), ("point estimates alone", points)):
        low, high = of.min(axis=1), of.max(axis=1)
        held = int(((low <= rows.truth) & (rows.truth <= high)).sum())
        ends = wilson(held / seeds, seeds)
        print(f"{what}: holds the truth in {held} of {seeds} seeds ({ends[0]:.0%} to {ends[1]:.0%}); mean band "
              f"{low.mean():.3f} to {high.mean():.3f}")  # fmt: skip
    print(f"{ACCEPT_ONLY} alone is within 0.01 of the truth in {int((off[ACCEPT_ONLY].abs() < 0.01).sum())} of {seeds}")


if __name__ == "__main__":
    typer.run(main)
