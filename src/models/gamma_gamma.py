r"""Gamma-gamma: what a purchase of a customer is worth, when she is known by a few of them.

A purchase is :math:`\mathrm{Gamma}(p, \nu)` with :math:`\nu \sim \mathrm{Gamma}(q, v)` across customers, so that the
mean :math:`\bar z` of x purchases has

.. math:: f(\bar z) = \frac{\Gamma(px+q)}{\Gamma(px)\Gamma(q)}
    \frac{v^q \bar z^{px-1} x^{px}}{(v + x\bar z)^{px+q}} \qquad [1, eq. 1a], \qquad
    E[\zeta \mid \bar z, x] = \frac{p(v + x\bar z)}{px+q-1} \qquad [1, eq. 5]

It takes what a customer spends to be independent of how often she buys.

[1] Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, brucehardie.com/notes/025.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from models.likelihood import Degenerate, Fit, maximise, sampled

NAMES = ("p", "q", "v")


@dataclass(frozen=True)
class GammaGamma:
    """Fitted parameters; v is in the unit of money that it was fitted to."""

    p: float
    q: float
    v: float

    @property
    def population_mean(self) -> float:
        """The mean purchase of a customer of whom nothing is known; raises `Degenerate` where it is infinite."""
        if self.q <= 1:
            raise Degenerate(f"q is {self.q:.3g}, and must be above 1: else the mean over customers is infinite.")
        return self.p * self.v / (self.q - 1)

    def expected(self, x, mean) -> np.ndarray:
        """The mean purchase expected of customers with `x` purchases of this `mean`; x = 0 gives the population's."""
        x, mean = np.asarray(x, dtype=float), np.asarray(mean, dtype=float)
        paid = np.where(x > 0, x * mean, 0.0)
        if self.q <= 1 and (x == 0).any():
            return np.broadcast_to(self.population_mean, x.shape)  # refuses
        return self.p * (self.v + paid) / (self.p * x + self.q - 1)


def log_likelihood(parameters: np.ndarray, x: np.ndarray, mean: np.ndarray) -> tuple[float, np.ndarray]:
    """The sum over customers (n,) with x > 0 purchases of this mean, and its gradient by (p, q, v)."""
    p, q, v = parameters
    px, paid = p * x, x * mean
    whole = np.log(v + paid)
    level = gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(v) + (px - 1) * np.log(mean) + px * np.log(x)
    level -= (px + q) * whole
    by_p = x * (digamma(px + q) - digamma(px) + np.log(paid) - whole)
    by_q = digamma(px + q) - digamma(q) + np.log(v) - whole
    by_v = q / v - (px + q) / (v + paid)
    return float(level.sum()), np.array([by_p.sum(), by_q.sum(), by_v.sum()])


def fit(x, mean) -> tuple[GammaGamma, Fit]:
    """The parameters that make these means likeliest; customers without a purchase are left out.

    x      (n,) purchases that the mean is of: all of them, the first included, ranks better than the repeats alone
    mean   (n,) their mean, above 0 where x is; raises `Degenerate` otherwise, and where no customer has two
    """
    x, mean = np.asarray(x, dtype=float), np.asarray(mean, dtype=float)
    some = x > 0
    x, mean = x[some], mean[some]
    if (bad := ~(np.isfinite(mean) & (mean > 0))).any():
        at = int(np.argmax(bad))
        raise Degenerate(
            f"The mean of purchases must be above 0, but {bad.sum():,} of {x.size:,} are not, first {mean[at]:g} of "
            f"{x[at]:g} purchases. Leave purchases without a price out."
        )
    if not (x > 1).any():
        raise Degenerate("Some customers must have bought twice, or their own spread cannot be told from that of all.")
    middle = float(np.average(mean, weights=x))
    start = {"p": 4.0, "q": 4.0, "v": 3.0 * middle / 4.0}
    some = sampled((x, mean))
    whole, part = lambda values: log_likelihood(values, x, mean), lambda values: log_likelihood(values, *some)
    found = maximise(whole, NAMES, start, x.size, part)
    return GammaGamma(**found.parameters), found
