r"""Maximum likelihood of the models that count: customers alike are one cell, gradients are exact, guesses are refused.

The likelihood of a customer depends on three numbers only: purchases after the first, x; when the last of them was,
:math:`t_x`; and how long she has been watched, T. Customers with equal numbers are a *cell*, counted once, so that cost
follows the number of different histories and not that of customers.

All parameters are positive and are searched as logarithms. Standard errors are those of the inverse Hessian, which is
taken by central differences of the exact gradient, and carried to the parameters by the delta method.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

STEP = 1e-5  # of a central difference, in logarithms
FLAT = 1e-3  # of the mean gradient a customer, beyond which a maximum is none
WIDEST = 12.0  # a logarithm further out than this has gone to its bound
ENOUGH = 10_000  # cells that a search begins with
NEAR = 0.05  # a step of Newton's, in logarithms, after which the curvature is still that from before
UNSURE = 1.0  # a standard error above the estimate itself, where a parameter has no more customers to tell it


Rise = Callable[[np.ndarray], tuple[float, np.ndarray]]


class NotConverged(Exception):
    """The search ended where the likelihood still rises: there is no estimate."""


class Degenerate(Exception):
    """The data do not tell the parameters: says which, and what to use instead."""


class Cells(NamedTuple):
    """Different histories (x, t_x, T) in ascending order, how many customers have each, and which each customer has.

    x   (k,) purchases after the first      t_x  (k,) time of the last, from the first; 0 where x is 0
    T   (k,) time watched, from the first   n    (k,) customers      of   (customers,) index of the cell
    """

    x: np.ndarray
    t_x: np.ndarray
    T: np.ndarray
    n: np.ndarray
    of: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Estimates by name, their standard errors, the log-likelihood, and the covariance of the logarithms (k, k)."""

    parameters: Mapping[str, float]
    errors: Mapping[str, float]
    log_likelihood: float
    covariance: np.ndarray

    def draws(self, number: int, seed: int) -> list[dict[str, float]]:
        """Parameters as they might be too: normal in logarithms, `number` of them."""
        centre = np.log(list(self.parameters.values()))
        found = np.random.default_rng(seed).multivariate_normal(centre, self.covariance, number, method="eigh")
        return [dict(zip(self.parameters, row, strict=True)) for row in np.exp(found)]


def cells_of(x, t_x, T) -> Cells:
    """The cells of customers (customers,); raises `Degenerate` for histories that cannot be.

    A purchase after the first lies after it and not after the end: 0 < t_x <= T where x > 0, else t_x = 0.
    """
    x, t_x, T = (np.asarray(values, dtype=float) for values in (x, t_x, T))
    _refuse_odd(x, t_x, T)
    order, new = _ordered(x, t_x, T)
    first = np.flatnonzero(new)
    n = np.diff(np.append(first, x.size))
    of = np.empty(x.size, dtype=np.int64)
    of[order] = np.repeat(np.arange(first.size), n)
    some = order[first]
    return Cells(x[some], t_x[some], T[some], n.astype(float), of)


def _refuse_odd(x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> None:
    possible = (x >= 0) & (x == np.floor(x)) & (T > 0) & ~np.isinf(x) & ~np.isinf(T)  # which nothing missing is
    possible &= (t_x >= 0) & (t_x <= T) & ((x > 0) == (t_x > 0))
    if not possible.all():
        at = int(np.argmin(possible))
        raise Degenerate(
            f"A history must have whole x >= 0, T > 0 and 0 < t_x <= T (t_x = 0 where x = 0), but "
            f"{x.size - possible.sum():,} of {x.size:,} have not, first customer {at}: x {x[at]:g}, t_x {t_x[at]:g}, "
            f"T {T[at]:g}. Count one purchase a day, and nobody before her first."
        )


def _ordered(x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Customers by x, then t_x, then T, then where they stand; and whether each, so ordered, is the first of her cell.

    Whole days, which histories mostly are, fit into one number with the place beside them: to sort those is ten times
    faster than to sort by three columns.
    """
    place = np.arange(x.size)
    limits = [int(values.max(initial=0)).bit_length() for values in (x, t_x, T, place)]
    if sum(limits) < 64 and all((values == np.floor(values)).all() for values in (t_x, T)):
        key = x.astype(np.int64)
        for values, bits in zip((t_x, T, place), limits[1:], strict=True):
            key = (key << bits) | values.astype(np.int64)
        key.sort()
        order, told = key & ((1 << limits[3]) - 1), [key >> limits[3]]
    else:
        order = np.lexsort((T, t_x, x))
        told = [x[order], t_x[order], T[order]]
    new = np.ones(x.size, dtype=bool)
    new[1:] = np.logical_or.reduce([values[1:] != values[:-1] for values in told])
    return order, new


def each_x(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """The different x of cells, ascending, and which of them each cell (k,) has: special functions are taken once."""
    first = np.flatnonzero(np.append(True, cells.x[1:] != cells.x[:-1])) if cells.x.size else np.zeros(0, dtype=int)
    return cells.x[first], np.repeat(np.arange(first.size), np.diff(np.append(first, cells.x.size)))


def over_customers(cells: Cells, values: np.ndarray) -> float:
    """The sum over customers of values of their cells (k,); the same on any number of threads, which a dot is not."""
    return float((cells.n * values).sum())


def refuse_no_repeats(cells: Cells) -> None:
    """Raises `Degenerate` where no customer bought twice, or there are none."""
    if not (cells.x > 0).any():
        raise Degenerate(
            f"Some customers must have bought again, but none of {int(cells.n.sum()):,} did. Watch them for longer, or "
            f"use the rate of all."
        )


def searches(of: Callable[[np.ndarray, Cells], tuple], cells: Cells, names: tuple[str, ...], start: Mapping) -> tuple:
    """What `maximise` takes, for a likelihood of parameters and cells."""
    some = Cells(*sampled(cells[:4]), cells.of[:0])
    return lambda values: of(values, cells), names, start, cells.n.sum(), lambda values: of(values, some)


def sampled(values: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Arrays (k,) thinned to about `ENOUGH` entries, evenly over their order."""
    return tuple(array[:: max(array.size // ENOUGH, 1)] for array in values)


def maximise(rise: Rise, names: tuple[str, ...], start: Mapping[str, float], many: float, first: Rise) -> Fit:
    """The parameters that make the data likeliest.

    rise   of parameters (k,), in the order of `names`: the log-likelihood and its gradient (k,) by the parameters
    many   the customers behind it, by whose number what is flat is judged
    first  the same of fewer customers, where the search begins; all of them are then looked at a dozen times, not fifty

    Raises `NotConverged`, or `Degenerate` where a parameter runs to a bound or its error is larger than itself.
    """
    fall = _in_logs(rise, many)
    begin = np.log([start[name] for name in names])
    logs = _searched(_in_logs(first, many), begin)
    logs, hessian = _newton(fall, logs)
    if hessian is None:
        logs, hessian = _newton(fall, _searched(fall, begin))
    _refuse_bounds(logs, names)
    level, slope = fall(logs)
    if hessian is None or not np.isfinite(level) or np.abs(slope).max() > FLAT:
        raise NotConverged(f"The likelihood of {', '.join(names)} still rises where the search ended.")
    return _fit(names, logs, -level * many, hessian * many)


def _in_logs(rise: Rise, many: float) -> Rise:
    def fall(logs):
        values = np.exp(logs)
        level, slope = rise(values)
        return -level / many, -slope * values / many

    return fall


def _searched(fall: Rise, begin: np.ndarray) -> np.ndarray:
    bounds = [(-WIDEST, WIDEST)] * begin.size
    return minimize(fall, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-13}).x


def _newton(fall: Rise, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The maximum near these logarithms, and its Hessian; None for it where the steps do not lead down."""
    for _ in range(6):
        hessian = _hessian(fall, logs)
        level, slope = fall(logs)
        if not (np.isfinite(hessian).all() and np.linalg.eigvalsh(hessian).min() > 0):
            return logs, None if np.abs(slope).max() > FLAT else hessian
        step = np.linalg.solve(hessian, slope)
        if np.abs(step).max() > 1 or fall(logs - step)[0] > level + 1e-12:
            return logs, None if np.abs(slope).max() > FLAT else hessian
        logs = logs - step
        if np.abs(step).max() < NEAR:
            return logs - np.linalg.solve(hessian, fall(logs)[1]), hessian
    return logs, None


def _fit(names: tuple[str, ...], logs: np.ndarray, level: float, hessian: np.ndarray) -> Fit:
    curved = np.linalg.eigvalsh(hessian)
    if curved.min() <= 0:
        raise Degenerate(f"The likelihood is flat in some direction of {', '.join(names)}: the data do not tell them.")
    covariance = np.linalg.inv(hessian)
    relative = np.sqrt(np.diag(covariance))
    if relative.max() > UNSURE:
        at = int(np.argmax(relative))
        raise Degenerate(
            f"{names[at]} must be told by the data, but it is {np.exp(logs[at]):.3g} with a standard error of "
            f"{relative[at]:.1f} times itself. Use a model without it, or watch the customers for longer."
        )
    values = np.exp(logs)
    return Fit(
        dict(zip(names, values.tolist(), strict=True)),
        dict(zip(names, (values * relative).tolist(), strict=True)),
        float(level),
        covariance,
    )


def _hessian(fall, logs: np.ndarray) -> np.ndarray:
    """Central differences of the exact gradient, made symmetric."""
    steps = np.eye(logs.size) * STEP
    rows = np.stack([(fall(logs + step)[1] - fall(logs - step)[1]) / (2 * STEP) for step in steps])
    return (rows + rows.T) / 2


def _refuse_bounds(logs: np.ndarray, names: tuple[str, ...]) -> None:
    out = np.abs(logs) > WIDEST - 0.01
    if out.any():
        name = names[int(np.argmax(out))]
        raise Degenerate(
            f"{name} runs to {'nothing' if logs[np.argmax(out)] < 0 else 'infinity'}: the customers do not differ in "
            f"what it describes, or the data do not show it."
        )
