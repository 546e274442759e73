r"""Pareto/NBD: how often a customer buys, and whether she still does, where dropout comes at any moment.

While alive a customer buys at the rate :math:`\lambda \sim \mathrm{Gamma}(r, \alpha)`, and she drops out at the rate
:math:`\mu \sim \mathrm{Gamma}(s, \beta)`. From [1, eq. 18], with the mean over the moment of dropout left to integrate,

.. math:: L = \frac{\Gamma(r+x)\,\alpha^r \beta^s}{\Gamma(r)} \Big[(\alpha+T)^{-(r+x)} (\beta+T)^{-s}
    + s \int_{t_x}^{T} (\alpha+y)^{-(r+x)} (\beta+y)^{-(s+1)}\,dy \Big]

which is taken by Gauss-Legendre quadrature in :math:`\log(\min(\alpha,\beta)+y)`, where it is smooth: no hypergeometric
function, whose many forms lose their digits for frequent buyers. A customer who bought once and has been silent since
may have dropped out: P(alive) falls with her silence.

[1] Schmittlein, Morrison & Colombo (1987), Counting Your Customers, Management Science 33(1): 1-24;
    Fader & Hardie (2005), A Note on Deriving the Pareto/NBD Model, brucehardie.com/notes/009.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, expit, gammaln, roots_legendre

from models.likelihood import Cells, Fit, cells_of, each_x, maximise, over_customers, refuse_no_repeats, searches

NAMES = ("r", "alpha", "s", "beta")
NODES = ((1.0, 10), (6.0, 16), (60.0, 32), (np.inf, 64))  # as many where the integrand falls by less than exp(-steep)
CHUNK = 2**15  # cells at a time, so that their nodes stay in the cache


@dataclass(frozen=True)
class ParetoNbd:
    """Fitted parameters; times are in the unit of those that it was fitted to."""

    r: float
    alpha: float
    s: float
    beta: float

    def p_alive(self, x, t_x, T) -> np.ndarray:
        """The probability that a customer has not dropped out at T."""
        cells = cells_of(x, t_x, T)
        return expit(-_gone_in_parts((self.r, self.alpha, self.s, self.beta), cells)[0])[cells.of]

    def expected(self, time: float, x, t_x, T) -> np.ndarray:
        """Purchases expected in the `time` after T, of customers with these histories [1, eq. 41 of the note]."""
        x, T = np.asarray(x, dtype=float), np.asarray(T, dtype=float)
        lived = self._lived(time, self.beta + T)
        return self.p_alive(x, t_x, T) * (self.r + x) * (self.beta + T) / (self.alpha + T) * lived

    def expected_new(self, time) -> np.ndarray:
        """Purchases after the first expected of a new customer by `time` (any shape) [1, eq. 17]."""
        return self.r * self.beta / self.alpha * self._lived(np.asarray(time, dtype=float), self.beta)

    def _lived(self, time, beta):
        """The time that a customer who is alive stays so within the next `time`, over beta; smooth at s = 1."""
        passed, power = np.log1p(time / beta), self.s - 1
        return passed if abs(power) < 1e-12 else -np.expm1(-power * passed) / power


def log_likelihood(parameters: np.ndarray, cells: Cells) -> tuple[float, np.ndarray]:
    """The sum over customers and its gradient by (r, alpha, s, beta)."""
    level, slope = of_cells(parameters, cells)
    return over_customers(cells, level), np.array([over_customers(cells, part) for part in slope])


def of_cells(parameters, cells: Cells) -> tuple[np.ndarray, list[np.ndarray]]:
    """The log-likelihood (k,) of a customer of each cell, and its derivatives, four of (k,).

    Parameters may be numbers, or alpha and beta of shape (k,), one for each cell.
    """
    r, alpha, s, beta = parameters
    x, at = each_x(cells)
    counted, by_count = (gammaln(r + x) - gammaln(r))[at], (digamma(r + x) - digamma(r))[at]
    gone, moved = _gone_in_parts(parameters, cells)
    share, power = expit(gone), r + cells.x
    log_a, log_b = np.log(alpha + cells.T), np.log(beta + cells.T)
    level = counted + r * np.log(alpha) + s * np.log(beta) - power * log_a - s * log_b + np.logaddexp(0, gone)
    slope = [
        by_count + np.log(alpha) - log_a + share * moved[0],
        r / alpha - power / (alpha + cells.T) + share * moved[1],
        np.log(beta) - log_b + share * moved[2],
        s / beta - s / (beta + cells.T) + share * moved[3],
    ]
    return level, slope


def fit(x, t_x, T) -> tuple[ParetoNbd, Fit]:
    """The parameters that make these customers likeliest, and how sure they are.

    Raises `Degenerate` where nobody bought twice, where purchase rates or dropout do not differ between customers, or
    where dropout cannot be told from slow buying; `NotConverged`.
    """
    cells = cells_of(x, t_x, T)
    refuse_no_repeats(cells)
    bought, watched = (over_customers(cells, values) / cells.n.sum() for values in (cells.x, cells.T))
    rate = bought / watched
    start = {"r": 0.5, "alpha": 0.5 / rate, "s": 0.6, "beta": 0.4 * watched}
    found = maximise(*searches(log_likelihood, cells, NAMES, start))
    return ParetoNbd(**found.parameters), found


def _gone_in_parts(parameters, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """`_gone` of some cells at a time."""
    gone, moved = np.empty(cells.x.size), np.empty((4, cells.x.size))
    for begin in range(0, cells.x.size, CHUNK):
        here = slice(begin, begin + CHUNK)
        gone[here], moved[:, here] = _gone(_at(parameters, here), _cut(cells, here))
    return gone, moved


def _at(parameters, here) -> list:
    """The parameters of some cells: numbers are those of all."""
    return [value if np.ndim(value) == 0 else value[here] for value in parameters]


def _cut(cells: Cells, here) -> Cells:
    return Cells(*(values[here] for values in cells[:4]), cells.of[:0])


def _gone(parameters, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """The log of the odds of having dropped out (k,), and its derivatives (4, k) by the parameters."""
    r, alpha, s, beta = parameters
    steep = (r + cells.x) * np.log((alpha + cells.T) / (alpha + cells.t_x))
    steep += s * np.log((beta + cells.T) / (beta + cells.t_x))
    gone, moved, least = np.empty(cells.x.size), np.empty((4, cells.x.size)), -np.inf
    for most, nodes in NODES:
        some = np.flatnonzero((steep > least) & (steep <= most))
        if some.size:
            gone[some], moved[:, some] = _odds(_at(parameters, some), _cut(cells, some), nodes)
        least = most
    return gone, moved


def _odds(parameters, cells: Cells, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    r"""log of :math:`s \int_{t_x}^T ((\alpha+T)/(\alpha+y))^{r+x} ((\beta+T)/(\beta+y))^s / (\beta+y) dy`."""
    r, alpha, s, beta = parameters
    least = np.minimum(alpha, beta)
    root, weight = roots_legendre(nodes)
    low, high = np.log(least + cells.t_x), np.log(least + cells.T)
    half = (high - low) / 2
    moved = np.exp((low + half)[:, None] + half[:, None] * root)  # least + y
    from_a, from_b = (moved + np.reshape(value - least, (-1, 1)) for value in (alpha, beta))
    log_a = np.log((alpha + cells.T)[:, None] / from_a)
    log_b = np.log((beta + cells.T)[:, None] / from_b)
    power = (r + cells.x)[:, None]
    exponent = power * log_a + s * log_b - np.log(from_b / moved)
    most = exponent.max(axis=1, keepdims=True, initial=-np.inf)
    mass = np.exp(exponent - most) * weight
    whole = mass.sum(axis=1)
    with np.errstate(divide="ignore"):
        gone = np.log(s) + np.log(half) + most[:, 0] + np.log(whole)  # minus infinity where t_x = T
    mass /= whole[:, None]
    # where t_x = T the odds are zero, and so is their share of the gradient
    by_alpha = power[:, 0] * (1 / (alpha + cells.T) - (mass / from_a).sum(axis=1))
    by_beta = s / (beta + cells.T) - (s + 1) * (mass / from_b).sum(axis=1)
    return gone, np.stack([(mass * log_a).sum(axis=1), by_alpha, 1 / s + (mass * log_b).sum(axis=1), by_beta])
