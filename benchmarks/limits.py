"""A limit for each of a million customers under one loss budget: how long, how near to the bound, what it is worth.

    python benchmarks/limits.py --customers 1000000

Customers ask for amounts and carry risks as lenders see them: amounts lognormal, log-odds of default normal, exposure
and risk answering to the limit. The budget is a share of what everybody's own best limit would lose. Beside ours stands
the rule that most lenders use: the same multiple for everybody up to a risk grade, best first, until the budget is
spent. Then thousands of small books are compared with every plan there is.
"""

import time
from itertools import product
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from decisions.limits import best_limits
from evaluation.lending import Terms, expected_loss, exposure_cents, loan_profit, risk_at

MENU = (0.5, 0.75, 1.0, 1.25, 1.5)
TERMS = Terms(0.09, 0.5, 0.8, 500, usage=0.75, usage_elasticity=0.6, risk_elasticity=0.8)


def book(customers: int, seed: int, menu=MENU) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected profit and loss (n, k) of each limit of the menu, and the probability of default at the asked one."""
    draw = np.random.default_rng(seed)
    asked = np.rint(draw.lognormal(13.5, 0.7, (customers, 1)))
    pd_ = 1 / (1 + np.exp(-draw.normal(-3, 1, (customers, 1))))
    limit = asked * np.array(menu)
    exposure = exposure_cents(asked, limit, TERMS)
    risk = risk_at(np.broadcast_to(pd_, limit.shape).ravel(), np.broadcast_to(asked, limit.shape).ravel(),
                   limit.ravel(), TERMS).reshape(limit.shape)  # fmt: skip
    profit = loan_profit(risk.ravel(), exposure.ravel(), TERMS).reshape(limit.shape)
    return profit, expected_loss(risk, exposure, TERMS), pd_[:, 0]


def every_plan(profit, loss, budget: float) -> float:
    """The best of all plans of a small book."""
    profit, loss = (np.hstack([np.zeros((len(part), 1)), part]) for part in (profit, loss))
    plans = np.array(list(product(range(profit.shape[1]), repeat=len(profit))))
    rows = np.arange(len(profit))
    gained, spent = profit[rows, plans].sum(axis=1), loss[rows, plans].sum(axis=1)
    return gained[spent <= budget].max()


def main(
    customers: Annotated[int, typer.Option(help="In the large book.")] = 1_000_000,
    share: Annotated[float, typer.Option(help="Of the loss of everybody's own best limits that may be run.")] = 0.4,
    small: Annotated[int, typer.Option(help="Small books to compare with every plan.")] = 1_000,
):
    """Print seconds, use of the budget, distance to the bound, the usual rule, and the small books."""
    profit, loss, pd_ = book(customers, 1)
    own = profit.argmax(axis=1)
    lost = np.where(profit.max(axis=1) > 0, loss[np.arange(customers), own], 0)
    budget = share * lost.sum()
    wall, cpu = time.perf_counter(), time.process_time()
    found = best_limits(profit, loss, np.ones(profit.shape, bool), budget)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{customers:,} customers x {len(MENU)} limits: {wall:.1f} s, {cpu:.1f} CPU s")
    print(f"budget used {found.loss / budget:.7%}; distance to the bound "
          f"{(found.bound - found.profit) / found.bound:.1e} of it; one more cent of loss brings "
          f"{found.shadow_price:.3f}")  # fmt: skip
    print(pd.Series(found.binding).value_counts().to_string())
    order = np.argsort(pd_, kind="stable")
    usual = max(profit[order[np.cumsum(loss[order, k]) <= budget], k].sum() for k in range(len(MENU)))
    print(f"the usual rule, one multiple down to a cut-off: {usual / found.profit:.1%} of the profit")
    off = []
    for seed in range(small):
        little, losses, _ = book(5, seed + 10, MENU[::2])
        best = every_plan(little, losses, 0.4 * losses[:, -1].sum())
        off.append(1 - best_limits(little, losses, np.ones(little.shape, bool), 0.4 * losses[:, -1].sum()).profit / best
                   if best > 0 else 0.0)  # fmt: skip
    print(f"{small:,} books of 5 customers: largest shortfall from the best of every plan {max(off):.1e}")


if __name__ == "__main__":
    typer.run(main)
