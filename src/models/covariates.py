r"""Models of purchases whose customers differ in what is known of them from the start: channel, region, age.

Each covariate multiplies a scale by a factor for each unit of it, for good: with factors g and h of covariates z and w,

.. math:: \alpha_i = \alpha \prod_j g_j^{-z_{ij}}, \qquad \beta_i = \beta \prod_j h_j^{-w_{ij}} \; (Pareto/NBD),
          \qquad a_i = a \prod_j h_j^{w_{ij}} \; (BG/NBD, MBG/NBD)

so that the mean rate of buying is g times, and the rate (or the odds) of dropout h times, as high for one unit more.
Covariates must be known when the customer comes, and are best of a size near one: a flag, or standardised numbers.
Customers with equal histories and covariates are one cell.

A one-time buyer who has been silent for long is treated as by the model without covariates: alive for ever by the
BG/NBD, less and less likely alive by the MBG/NBD and the Pareto/NBD.

Fader & Hardie (2007), Incorporating Time-Invariant Covariates into the Pareto/NBD and BG/NBD Models,
brucehardie.com/notes/019.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models import bg_nbd, pareto_nbd
from models.bg_nbd import BgNbd
from models.likelihood import Cells, Degenerate, Fit, cells_of, maximise, over_customers, refuse_no_repeats
from models.pareto_nbd import ParetoNbd

PARETO, BG, MBG = "Pareto/NBD", "BG/NBD", "MBG/NBD"
SCALE = {PARETO: ("alpha", "beta", -1.0), BG: ("alpha", "a", 1.0), MBG: ("alpha", "a", 1.0)}


@dataclass(frozen=True)
class WithCovariates:
    """A fitted model: `base` for a customer with zeros, and the factors of a unit of each covariate, (j,) each."""

    name: str
    base: ParetoNbd | BgNbd
    on_rate: np.ndarray
    on_dropout: np.ndarray

    def p_alive(self, x, t_x, T, rate: np.ndarray, dropout: np.ndarray) -> np.ndarray:
        """The probability that a customer has not dropped out at T; covariates (n, j) as in `fit`."""
        return self._each("p_alive", (), x, t_x, T, rate, dropout)

    def expected(self, time: float, x, t_x, T, rate: np.ndarray, dropout: np.ndarray) -> np.ndarray:
        """Purchases expected in the `time` after T."""
        return self._each("expected", (time,), x, t_x, T, rate, dropout)

    def _each(self, what: str, first: tuple, x, t_x, T, rate, dropout) -> np.ndarray:
        """By profile of covariates: customers of one profile share one plain model."""
        x, t_x, T = (np.asarray(values, dtype=float) for values in (x, t_x, T))
        profiles, of = np.unique(np.hstack([_matrix(rate, x), _matrix(dropout, x)]), axis=0, return_inverse=True)
        found = np.empty(x.size)
        for k, profile in enumerate(profiles):
            here = np.flatnonzero(of.ravel() == k)
            model = self._for(profile[: self.on_rate.size], profile[self.on_rate.size :])
            found[here] = getattr(model, what)(*first, x[here], t_x[here], T[here])
        return found

    def _for(self, rate: np.ndarray, dropout: np.ndarray) -> ParetoNbd | BgNbd:
        buys, leaves, sign = SCALE[self.name]
        values = dict(vars(self.base))
        values[buys] *= float(np.exp(-rate @ np.log(self.on_rate)))
        values[leaves] *= float(np.exp(sign * dropout @ np.log(self.on_dropout)))
        return type(self.base)(**values)


def fit(
    name: str, x, t_x, T, rate: np.ndarray, dropout: np.ndarray, names: Sequence[str]
) -> tuple[WithCovariates, Fit]:
    """The parameters and factors that make these customers likeliest, and how sure they are.

    name     Pareto/NBD, BG/NBD or MBG/NBD
    rate     (n, j) what the rate of buying may depend on;  dropout  (n, k) what leaving may; either may have no column
    names    what the j + k factors are called in the `Fit`

    Raises `Degenerate` as the plain models do, and for a covariate that is not finite or the same for all;
    `NotConverged`.
    """
    x = np.asarray(x, dtype=float)
    z, w = _matrix(rate, x), _matrix(dropout, x)
    _refuse_odd(np.hstack([z, w]), names)
    cells, z, w = _cells(x, t_x, T, z, w)
    refuse_no_repeats(cells)
    plain = _plain(name, cells)
    start = {**plain, **dict.fromkeys(names, 1.0)}
    rise = lambda values: log_likelihood(name, values, cells, z, w)  # noqa: E731
    found = maximise(rise, tuple(start), start, cells.n.sum(), rise)
    base = {key: found.parameters[key] for key in plain}
    model = ParetoNbd(**base) if name == PARETO else BgNbd(**base, first=name == MBG)
    factors = np.array([found.parameters[one] for one in names])
    return WithCovariates(name, model, factors[: z.shape[1]], factors[z.shape[1] :]), found


def log_likelihood(
    name: str, values: np.ndarray, cells: Cells, z: np.ndarray, w: np.ndarray
) -> tuple[float, np.ndarray]:
    """The sum over customers and its gradient by the four parameters and the factors; z (k, j), w (k, j') of cells."""
    four, on_rate, on_dropout = values[:4], values[4 : 4 + z.shape[1]], values[4 + z.shape[1] :]
    buys = np.exp(-(z * np.log(on_rate)).sum(axis=1))
    sign = SCALE[name][2]
    leaves = np.exp(sign * (w * np.log(on_dropout)).sum(axis=1))
    if name == PARETO:
        at = (four[0], four[1] * buys, four[2], four[3] * leaves)
        level, by = pareto_nbd.of_cells(at, cells)
        moved = 3
    else:
        at = (four[0], four[1] * buys, four[2] * leaves, four[3])
        level, by = bg_nbd.of_cells(at, cells, name == MBG)
        moved = 2
    by[1], by[moved] = by[1] * buys, by[moved] * leaves
    slope = [over_customers(cells, one) for one in by]
    slope += [-over_customers(cells, by[1] * column) * four[1] / g for column, g in zip(z.T, on_rate, strict=True)]
    slope += [
        sign * over_customers(cells, by[moved] * column) * four[moved] / h
        for column, h in zip(w.T, on_dropout, strict=True)
    ]
    return over_customers(cells, level), np.array(slope)


def _matrix(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=float).reshape(x.size, -1) if np.size(values) else np.zeros((x.size, 0))


def _refuse_odd(whole: np.ndarray, names: Sequence[str]) -> None:
    if whole.shape[1] != len(names):
        raise Degenerate(f"There are {whole.shape[1]} covariates, but {len(names)} names. Name each of them.")
    for name, column in zip(names, whole.T, strict=True):
        if not np.isfinite(column).all() or column.min() == column.max():
            raise Degenerate(
                f"The covariate {name} must be finite and differ between customers, but is not or does not. Leave it "
                f"out, or fill it."
            )


def _cells(x, t_x, T, z: np.ndarray, w: np.ndarray) -> tuple[Cells, np.ndarray, np.ndarray]:
    """Cells of equal histories and covariates; checks histories as `cells_of` does."""
    cells_of(x, t_x, T)
    whole = np.column_stack([x, np.asarray(t_x, dtype=float), np.asarray(T, dtype=float), z, w])
    rows, of, n = np.unique(whole, axis=0, return_inverse=True, return_counts=True)
    return (
        Cells(rows[:, 0], rows[:, 1], rows[:, 2], n.astype(float), of.ravel()),
        rows[:, 3 : 3 + z.shape[1]],
        rows[:, 3 + z.shape[1] :],
    )


def _plain(name: str, cells: Cells) -> dict[str, float]:
    """Where the search begins: the model without covariates; its refusals hold here too."""
    told = (cells.x[cells.of], cells.t_x[cells.of], cells.T[cells.of])
    found = pareto_nbd.fit(*told)[1] if name == PARETO else bg_nbd.fit(*told, first=name == MBG)[1]
    return dict(found.parameters)
