r"""BG/NBD and MBG/NBD: how often a customer buys, and whether she still does, where dropout comes after a purchase.

While alive a customer buys at the rate :math:`\lambda \sim \mathrm{Gamma}(r, \alpha)`; after each purchase she drops
out with probability :math:`p \sim \mathrm{Beta}(a, b)`. With m = x in the BG/NBD [1] and m = x + 1 in the MBG/NBD [2],
where she may drop out after her first purchase too,

.. math:: L = \frac{B(a, b+m)}{B(a,b)}\frac{\Gamma(r+x)\,\alpha^r}{\Gamma(r)}
    \Big[(\alpha+T)^{-(r+x)} + \delta_{m>0}\frac{a}{b+m-1}(\alpha+t_x)^{-(r+x)}\Big] \qquad [1, eq. 6]

So the BG/NBD calls a customer who bought once alive for ever, however long she has been silent: P(alive) is 1 at x = 0.
The MBG/NBD does not, and is to be preferred where many buy once.

[1] Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2): 275-284.
[2] Batislam, Denizel & Filiztekin (2007), Int. J. of Research in Marketing 24(3): 201-209; Hoppe & Wagner (2007).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, expit, gammaln

from models.likelihood import Cells, Fit, cells_of, each_x, maximise, over_customers, refuse_no_repeats, searches
from models.quadrature import beta_nodes

NAMES = ("r", "alpha", "a", "b")
NODES = 32


@dataclass(frozen=True)
class BgNbd:
    """Fitted parameters; times are in the unit of those that it was fitted to.

    first   whether a customer may drop out after her first purchase: the MBG/NBD
    """

    r: float
    alpha: float
    a: float
    b: float
    first: bool = False

    def p_alive(self, x, t_x, T) -> np.ndarray:
        """The probability that a customer has not dropped out at T [1, eq. 11 of the note on P(alive)]."""
        x, t_x, T = _floats(x, t_x, T)
        m = x + self.first
        with np.errstate(divide="ignore"):
            odds = np.log(self.a) - np.log(np.maximum(self.b + m - 1, 0))
        odds = np.where(m > 0, odds, -np.inf) + (self.r + x) * np.log((self.alpha + T) / (self.alpha + t_x))
        return expit(-odds)

    def expected(self, time: float, x, t_x, T) -> np.ndarray:
        r"""Purchases expected in the `time` after T, of customers with these histories [1, eq. 10].

        :math:`P(alive) \, E_p\{[1 - (1 + p t / (\alpha + T))^{-(r+x)}] / p\}` with p ~ Beta(a, b + m): the mean over p
        replaces the hypergeometric function, which is singular at a = 1 and overflows for frequent buyers.
        """
        cells = cells_of(x, t_x, T)
        p, weight = beta_nodes(np.full(cells.x.size, self.a), self.b + cells.x + self.first, NODES)
        grown = np.log1p(p * (time / (self.alpha + cells.T))[:, None])
        bought = (-np.expm1(-(self.r + cells.x)[:, None] * grown) / p * weight).sum(axis=1)
        return (self.p_alive(cells.x, cells.t_x, cells.T) * bought)[cells.of]

    def expected_new(self, time) -> np.ndarray:
        """Purchases after the first expected of a new customer by `time` (any shape) [1, eq. 9]."""
        time = np.asarray(time, dtype=float)
        p, weight = beta_nodes(np.array([self.a]), np.array([self.b + self.first]), NODES)
        grown = np.log1p(time[..., None] * p[0] / self.alpha)
        mean = (-np.expm1(-self.r * grown) / p[0] * weight[0]).sum(axis=-1)
        return mean * (self.b / (self.a + self.b) if self.first else 1.0)


def log_likelihood(parameters: np.ndarray, cells: Cells, first: bool) -> tuple[float, np.ndarray]:
    """The sum over customers and its gradient by (r, alpha, a, b)."""
    level, slope = of_cells(parameters, cells, first)
    return over_customers(cells, level), np.array([over_customers(cells, part) for part in slope])


def of_cells(parameters, cells: Cells, first: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """The log-likelihood (k,) of a customer of each cell, and its derivatives, four of (k,).

    Parameters may be numbers, or alpha and a of shape (k,), one for each cell.
    """
    r, alpha, a, b = parameters
    # special functions are taken once for each x where the parameters are the same for all
    x, at = each_x(cells) if np.ndim(a) == 0 else (cells.x, slice(None))
    m = x + first
    counted = gammaln(r + x) - gammaln(r) + gammaln(a + b) + gammaln(b + m) - gammaln(b) - gammaln(a + b + m)
    with np.errstate(divide="ignore", invalid="ignore"):
        dead = np.where(m > 0, np.log(a) - np.log(b + m - 1), -np.inf)
    by_r = digamma(r + x) - digamma(r)
    by_a = digamma(a + b) - digamma(a + b + m)
    by_b = by_a + digamma(b + m) - digamma(b)
    until_end, until_last, power = alpha + cells.T, alpha + cells.t_x, r + cells.x
    end = np.log(until_end)
    silent = end - np.log(until_last)
    gone = dead[at] + power * silent  # log of the odds of having dropped out
    share = expit(gone)
    likelier = np.maximum(gone, 0) - np.log(np.maximum(share, 1 - share))  # log(1 + odds), which cannot overflow
    level = counted[at] + r * np.log(alpha) - power * end + likelier
    with np.errstate(divide="ignore"):
        lost = np.where(m > 0, 1 / (b + m - 1), 0.0)
    slope = [
        by_r[at] + np.log(alpha) - end + share * silent,
        r / alpha - power * ((1 - share) / until_end + share / until_last),
        by_a[at] + share / a,
        by_b[at] - share * lost[at],
    ]
    return level, slope


def fit(x, t_x, T, first: bool = False) -> tuple[BgNbd, Fit]:
    """The parameters that make these customers likeliest, and how sure they are.

    Raises `Degenerate` where nobody bought twice, where purchase rates or dropout do not differ between customers, or
    where dropout cannot be told from slow buying; `NotConverged`.
    """
    cells = cells_of(x, t_x, T)
    refuse_no_repeats(cells)
    rate = over_customers(cells, cells.x) / over_customers(cells, cells.T)
    start = {"r": 0.5, "alpha": 0.5 / rate, "a": 1.0, "b": 2.5}
    found = maximise(*searches(lambda values, some: log_likelihood(values, some, first), cells, NAMES, start))
    return BgNbd(**found.parameters, first=first), found


def _floats(*arrays) -> list[np.ndarray]:
    return [np.asarray(values, dtype=float) for values in arrays]
