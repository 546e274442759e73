r"""NBD: how often a customer buys, where nobody ever drops out; for those whose dropout the data do not show.

She buys at the rate :math:`\lambda \sim \mathrm{Gamma}(r, \alpha)` for ever, so that

.. math:: L = \frac{\Gamma(r+x)}{\Gamma(r)} \frac{\alpha^r}{(\alpha+T)^{r+x}}, \qquad
          E[X(T, T+t)] = \frac{r+x}{\alpha+T}\,t \qquad [1]

A customer who bought once and has been silent since is alive for certain, and is expected to buy ever more rarely.

[1] Ehrenberg (1959), The Pattern of Consumer Purchases, Applied Statistics 8(1): 26-41.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from models.likelihood import Cells, Fit, cells_of, each_x, maximise, over_customers, refuse_no_repeats, searches

NAMES = ("r", "alpha")


@dataclass(frozen=True)
class Nbd:
    """Fitted parameters; times are in the unit of those that it was fitted to."""

    r: float
    alpha: float

    def p_alive(self, x, t_x, T) -> np.ndarray:
        """One for everybody: there is no dropout here."""
        return np.ones(np.shape(x))

    def expected(self, time: float, x, t_x, T) -> np.ndarray:
        """Purchases expected in the `time` after T, of customers with these histories."""
        return (self.r + np.asarray(x, dtype=float)) / (self.alpha + np.asarray(T, dtype=float)) * time

    def expected_new(self, time) -> np.ndarray:
        """Purchases after the first expected of a new customer by `time` (any shape)."""
        return self.r / self.alpha * np.asarray(time, dtype=float)


def log_likelihood(parameters: np.ndarray, cells: Cells) -> tuple[float, np.ndarray]:
    """The sum over customers and its gradient by (r, alpha)."""
    r, alpha = parameters
    x, at = each_x(cells)
    end = np.log(alpha + cells.T)
    level = (gammaln(r + x) - gammaln(r))[at] + r * np.log(alpha) - (r + cells.x) * end
    by_r = (digamma(r + x) - digamma(r))[at] + np.log(alpha) - end
    by_alpha = r / alpha - (r + cells.x) / (alpha + cells.T)
    return over_customers(cells, level), np.array([over_customers(cells, part) for part in (by_r, by_alpha)])


def fit(x, t_x, T) -> tuple[Nbd, Fit]:
    """The parameters that make these customers likeliest, and how sure they are; t_x plays no part.

    Raises `Degenerate` where nobody bought twice or all buy at one rate; `NotConverged`.
    """
    cells = cells_of(x, t_x, T)
    refuse_no_repeats(cells)
    rate = over_customers(cells, cells.x) / over_customers(cells, cells.T)
    found = maximise(*searches(log_likelihood, cells, NAMES, {"r": 0.5, "alpha": 0.5 / rate}))
    return Nbd(**found.parameters), found
