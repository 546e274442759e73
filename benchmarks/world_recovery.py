r"""Does maximum likelihood find the numbers that the simulated world was made from?

    python benchmarks/world_recovery.py --seeds 100 --customers 5000

For each seed a textbook world is made, its orders are summed to (x, t_x, T) and mean basket value as an analyst would,
and BG/NBD and gamma-gamma are fitted by maximum likelihood in the logarithms of their parameters. Printed: in how many
seeds all parameters of a model lie within three standard errors of the truth (from the Hessian), and how far each was
off on average, in standard errors. 95 of 100 is the bar; three standard errors on seven parameters allow 98.

[1] Fader, Hardie & Lee (2005), Marketing Science 24(2), eq. (6). [2] Fader & Hardie (2013), brucehardie.com/notes/025.
"""

import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pyarrow as pa
import typer
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from sources.world import retail
from sources.world.latent import traits
from sources.world.parameters import World

STEP = 1e-4  # of the numeric Hessian, in logarithms
CLOSE = 3.0  # standard errors


class Histories(NamedTuple):
    """One entry a customer: repeat purchases, the last one's and the world's end's day since the first, mean cents."""

    x: np.ndarray
    t_x: np.ndarray
    T: np.ndarray
    mean_cents: np.ndarray


class Fit(NamedTuple):
    """Logarithms of the parameters, and their standard errors."""

    estimate: np.ndarray
    error: np.ndarray

    def off(self, truth: np.ndarray) -> np.ndarray:
        """How far each parameter is from the truth, in standard errors."""
        return (self.estimate - np.log(truth)) / self.error


def histories(world: World) -> Histories:
    """What an analyst sums from the order lines of a world of one part; days with their fractions."""
    (part,) = world.parts
    lines = retail.tables(world, traits(world, part))[0]["orders"]
    cents = pa.compute.add(lines["amount_cents"], lines["discount_cents"])
    orders = lines.append_column("cents", cents).group_by(["customer_id", "order_id", "ordered_at"])
    held = orders.aggregate([("cents", "sum")])
    customer, at = np.unique(held["customer_id"].to_numpy(), return_inverse=True)
    day = (held["ordered_at"].to_numpy() - np.datetime64(world.first_day, "us")) / np.timedelta64(1, "D")
    first, last, count = np.full(len(customer), np.inf), np.zeros(len(customer)), np.bincount(at)
    np.minimum.at(first, at, day)
    np.maximum.at(last, at, day)
    return Histories(count - 1, last - first, world.days - first, np.bincount(at, held["cents_sum"].to_numpy()) / count)


def bg_nbd(log_parameters: np.ndarray, seen: Histories) -> float:
    """Minus the log-likelihood of r, alpha, a, b, eq. (6) of [1]."""
    r, alpha, a, b = np.exp(log_parameters)
    stayed = betaln(a, b + seen.x) - (r + seen.x) * np.log(alpha + seen.T)
    left = betaln(a + 1, b + np.maximum(seen.x, 1) - 1) - (r + seen.x) * np.log(alpha + seen.t_x)
    left = np.where(seen.x > 0, left, -np.inf)
    buying = gammaln(r + seen.x) - gammaln(r) + r * np.log(alpha)
    return -float(np.sum(buying + np.logaddexp(stayed, left) - betaln(a, b)))


def gamma_gamma(log_parameters: np.ndarray, seen: Histories) -> float:
    """Minus the log-likelihood of p, q, gamma, eq. (1a) of [2], on all purchases, the first included."""
    p, q, gamma = np.exp(log_parameters)
    n, z = seen.x + 1, seen.mean_cents
    shape = gammaln(p * n + q) - gammaln(p * n) - gammaln(q)
    powers = q * np.log(gamma) + (p * n - 1) * np.log(z) + p * n * np.log(n) - (p * n + q) * np.log(gamma + n * z)
    return -float(np.sum(shape + powers))


def fit(loss, start: np.ndarray, seen: Histories) -> Fit:
    """The maximum of a likelihood in logarithms, from `start`; the errors are of the numeric Hessian there."""
    # beyond the bounds differences of log-betas are lost in rounding
    found = minimize(loss, np.log(start), args=(seen,), method="L-BFGS-B", bounds=[(-10, 12)] * len(start))
    return Fit(found.x, np.sqrt(np.diag(np.linalg.inv(_hessian(loss, found.x, seen)))))


def _hessian(loss, at: np.ndarray, seen: Histories) -> np.ndarray:
    step = STEP * np.eye(len(at))
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    cell = [[sum(s * t * loss(at + s * i + t * j, seen) for s, t in signs) for j in step] for i in step]
    return np.array(cell) / (4 * STEP**2)


def recovered(seed: int, customers: int) -> dict[str, np.ndarray]:
    """By model, how far each parameter of one world was off, in standard errors."""
    world = World.textbook(customers, seed)
    seen, told, spend = histories(world), world.purchases, world.spend
    truth = {"BG/NBD": [told.r, told.alpha, told.a, told.b], "gamma-gamma": [spend.p, spend.q, spend.gamma]}
    away = {"BG/NBD": np.array([1.0, 100.0, 1.0, 1.0]), "gamma-gamma": np.array([2.0, 2.0, 3000.0])}
    return {
        name: fit(loss, away[name], seen).off(np.array(truth[name]))
        for name, loss in (("BG/NBD", bg_nbd), ("gamma-gamma", gamma_gamma))
    }


def main(
    seeds: Annotated[int, typer.Option(help="Worlds, from seed 0 on.")] = 100,
    customers: Annotated[int, typer.Option(help="In each, at most one part.")] = 5_000,
):
    """Print the table."""
    off = [recovered(seed, customers) for seed in range(seeds)]
    for name, symbols in (("BG/NBD", "r alpha a b"), ("gamma-gamma", "p q gamma")):
        of = np.array([seed[name] for seed in off])
        within = int((np.abs(of) < CLOSE).all(axis=1).sum())
        print(f"{name}: all within {CLOSE:g} standard errors in {within} of {seeds} seeds")
        for symbol, z in zip(symbols.split(), of.T, strict=True):
            print(f"  {symbol:6} off by {z.mean():+.2f} on average, standard deviation {z.std():.2f} (1 if honest)")


if __name__ == "__main__":
    typer.run(main)
