"""What customers may spend, each and together: draws shared by all, so that the sum over any segment has its spread.

A draw takes one set of parameters for all customers, and for each her own traits and her own luck. Amounts are scaled
so that each customer's mean is what the chosen model foretells of her. Customers are worked through some at a time:
memory follows their number times the draws, four bytes each, where each one's interval is asked for.

Simulation knows nothing of a season to come or of a market that changes. So intervals, of a total and of a customer,
are widened by the error that totals had on past snapshots: log(true / foretold), with a standard deviation and the
number of snapshots that do not overlap, as a t distribution. A season shifts all customers at once: of one of them it
is a small part of what is not known, of their sum the most of it.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from models import lifetime
from models.lifetime import Lifetime, Traits
from models.likelihood import cells_of
from models.spend import Spend

CHUNK = 2**16
PARAMETER_DRAWS = 20  # sets of parameters; each serves several draws
FACTORS = 101  # quantiles of the error of totals beside each draw of a sum


class Histories(NamedTuple):
    """Customers (n,) as the models of purchases and spend know them; times in days, money in cents.

    x, t_x, T        repeat purchase days, days from the first to the last, days from the first to the origin
    purchases, mean  purchase days that have a price, and their mean
    """

    x: np.ndarray
    t_x: np.ndarray
    T: np.ndarray
    purchases: np.ndarray
    mean: np.ndarray


class TotalError(NamedTuple):
    """How far totals were off in backtests: standard deviation of log(true / foretold), and its degrees of freedom."""

    deviation: float
    freedom: float


class After(NamedTuple):
    """How what comes after the horizon is counted: the rate of discount a day, and the last day, which may be infinite.

    With it the horizon is discounted, too, from its middle.
    """

    delta: float
    until: float = np.inf


class Drawn(NamedTuple):
    """Intervals of customers (n,), and draws (segments, draws) of what each segment spends, without that error."""

    low: np.ndarray
    high: np.ndarray
    totals: np.ndarray


def draws(
    of: Lifetime,
    spend: Spend,
    histories: Histories,
    scale: np.ndarray,
    days: float,
    number: int,
    seed: int,
    after: After | None = None,
):
    """Yields, for some customers at a time, where they are (a slice) and draws of what they spend, (m, number) float32.

    With `after`, yields as well what each draw is expected to spend after the horizon, likewise.

    scale   by which each customer's amounts are multiplied, (n,)
    days    the time ahead
    number  draws; the same seed gives the same ones
    """
    models = of.parameter_draws(min(PARAMETER_DRAWS, number), seed)
    prices = spend.parameter_draws(len(models), seed + 1)
    cells = cells_of(histories.x, histories.t_x, histories.T)
    alive = [model.p_alive(cells.x, cells.t_x, cells.T).astype(np.float32) for model in models]
    for begin in range(0, histories.x.size, CHUNK):
        here = slice(begin, min(begin + CHUNK, histories.x.size))
        x, _, T, bought_before, mean = (values[here] for values in histories)
        generator = np.random.default_rng([seed, begin])
        found = np.empty((x.size, number), dtype=np.float32)
        later = np.empty((x.size, number), dtype=np.float32) if after else None
        for k in range(number):
            at = k % len(models)
            one = lifetime.traits(models[at], alive[at][cells.of[here]], x, T, generator)
            bought, stays = lifetime.purchases(one, days, generator)
            price = prices[at].prices(bought_before, mean, generator)
            paid = prices[at].amounts(bought, price, generator) * scale[here]
            if after is None:
                found[:, k] = paid
                continue
            found[:, k] = paid * np.exp(-after.delta * days / 2)
            later[:, k] = np.where(stays, _after(one, days, after) * price * scale[here], 0.0)
        yield (here, found) if after is None else (here, found, later)


def _after(of: Traits, days: float, after: After) -> np.ndarray:
    """Discounted purchases between `days` and the end by customers of these traits who are there at `days`."""
    falls = np.maximum(of.leaving + after.delta, 1e-12)
    lasting = 1.0 if np.isinf(after.until) else -np.expm1(-falls * max(after.until - days, 0.0))
    return of.rate / falls * lasting * np.exp(-after.delta * days)


def intervals_and_totals(
    of: Lifetime,
    spend: Spend,
    histories: Histories,
    scale: np.ndarray,
    days: float,
    level: float,
    error: TotalError,
    segments: np.ndarray,
    number: int,
    seed: int,
) -> Drawn:
    """The interval of each customer and the draws of each segment's sum, in one pass.

    level     share of draws that an interval holds, in (0, 1)
    error     of totals in the past, which widens the intervals of customers; the sums are for `total_interval` to widen
    segments  number of the segment of each customer, 0 .. K-1, (n,)
    """
    low, high = np.empty(scale.size), np.empty(scale.size)
    totals = np.zeros((int(segments.max(initial=0)) + 1, number))
    for here, found in draws(of, spend, histories, scale, days, number, seed):
        low[here], high[here] = interval(shifted(found, error, seed), level)
        order = np.argsort(segments[here], kind="stable")
        inside = segments[here][order]
        starts = np.flatnonzero(np.append(True, inside[1:] != inside[:-1]))
        totals[inside[starts]] += np.add.reduceat(found[order], starts, axis=0, dtype=np.float64)
    return Drawn(low, high, totals)


def value_totals(
    of: Lifetime,
    spend: Spend,
    histories: Histories,
    worth: np.ndarray,
    days: float,
    after: After,
    segments: np.ndarray,
    number: int,
    seed: int,
) -> np.ndarray:
    """Draws of what each segment is worth: of shape (2, segments, draws), in the horizon and after it, discounted.

    worth     by which each customer's amounts are multiplied: her scale times what is left of a cent, (n,)
    segments  number of the segment of each customer, 0 .. K-1, (n,)
    """
    totals = np.zeros((2, int(segments.max(initial=0)) + 1, number))
    for here, present, later in draws(of, spend, histories, worth, days, number, seed, after):
        np.add.at(totals[0], segments[here], present)
        np.add.at(totals[1], segments[here], later)
    return totals


def shifted(found: np.ndarray, error: TotalError, seed: int) -> np.ndarray:
    """Draws (n, number), each shifted for all customers alike as totals were in the past: one factor a draw.

    The factors are evenly spread quantiles in an order of their own, so that one draw tells nothing of the next.
    """
    if error.deviation == 0:
        return found
    number = found.shape[1]
    order = np.random.default_rng([seed, number]).permutation(number)
    return found * _factors(error, number)[order].astype(np.float32)


def _factors(error: TotalError, number: int) -> np.ndarray:
    """Quantiles (number,) of true by foretold totals."""
    shares = (np.arange(number) + 0.5) / number
    return np.exp(error.deviation * stdtrit(error.freedom, shares)) if error.deviation > 0 else np.ones(1)


def interval(found: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end (n,) of draws (n, number): the middle `level` of them.

    Where more than the lower tail of the draws are zero the interval begins at zero and leaves out the upper tail only:
    the shortest one that holds as many.
    """
    ranked = np.sort(found, axis=1)
    last = found.shape[1] - 1
    tail = (1 - level) / 2
    from_zero = ranked[:, int(np.floor(tail * last))] <= 0
    low = np.where(from_zero, 0.0, _quantile(ranked, tail))
    high = np.where(from_zero, _quantile(ranked, level), _quantile(ranked, 1 - tail))
    return low, high


def _quantile(ranked: np.ndarray, share: float) -> np.ndarray:
    at = share * (ranked.shape[1] - 1)
    below = int(np.floor(at))
    above = min(below + 1, ranked.shape[1] - 1)
    return ranked[:, below] * (1 - (at - below)) + ranked[:, above] * (at - below)


def calibrated_level(found: np.ndarray, outcome: np.ndarray, level: float) -> float:
    """The level at which intervals of these draws (n, number) hold `level` of what was spent (n,).

    Conformal: Romano, Patterson & Candes (2019), Conformalized Quantile Regression, NeurIPS 32. Between 0.5 and 0.995.
    """
    ranked = np.sort(found, axis=1)
    few, many = 0.5, 0.995
    for _ in range(20):
        middle = (few + many) / 2
        low, high = interval(ranked, middle)
        inside = ((outcome >= low) & (outcome <= high)).mean()
        few, many = (middle, many) if inside < level else (few, middle)
    return float((few + many) / 2)


def total_interval(totals: np.ndarray, error: TotalError, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end (segments,) of sums whose draws are (segments, draws), the error of past totals included."""
    spread = (totals[:, :, None] * _factors(error, FACTORS)).reshape(len(totals), -1)
    tail = (1 - level) / 2
    low, high = np.quantile(spread, [tail, 1 - tail], axis=1)
    return low, high
