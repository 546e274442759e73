r"""BG/BB: buying or not on each of n occasions, such as a yearly appeal for donations.

While alive a customer buys on an occasion with probability :math:`p \sim \mathrm{Beta}(\alpha, \beta)`; before each
occasion she drops out with probability :math:`\theta \sim \mathrm{Beta}(\gamma, \delta)`.

.. math:: L = \frac{B(\alpha+x, \beta+n-x)}{B(\alpha,\beta)}\frac{B(\gamma,\delta+n)}{B(\gamma,\delta)}
    + \sum_{i=0}^{n-t_x-1}\frac{B(\alpha+x, \beta+t_x-x+i)}{B(\alpha,\beta)}
    \frac{B(\gamma+1,\delta+t_x+i)}{B(\gamma,\delta)} \qquad [1, eq. 4]

One who never bought after joining may have dropped out at once: P(alive) falls with each occasion that passes.

[1] Fader, Hardie & Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting, Marketing Science
    29(6): 1086-1108.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betaln, digamma, logsumexp

from models.likelihood import Degenerate, Fit, maximise

NAMES = ("alpha", "beta", "gamma", "delta")


class Occasions(NamedTuple):
    """Different histories: x purchases, the last at occasion t_x (0 for none), of n; and the customers of each."""

    x: np.ndarray
    t_x: np.ndarray
    n: np.ndarray
    customers: np.ndarray


@dataclass(frozen=True)
class BgBb:
    """Fitted parameters."""

    alpha: float
    beta: float
    gamma: float
    delta: float

    def p_alive(self, x, t_x, n) -> np.ndarray:
        """The probability that a customer will be alive at occasion n + 1 [1, eq. 11]."""
        x, n = np.asarray(x, dtype=float), np.asarray(n, dtype=float)
        terms = _terms(self._vector(), Occasions(x, np.asarray(t_x, dtype=float), n, np.ones(x.shape)))[0]
        bought = betaln(self.alpha + x, self.beta + n - x) - betaln(self.alpha, self.beta)
        stayed = betaln(self.gamma, self.delta + n + 1) - betaln(self.gamma, self.delta)
        return np.exp(bought + stayed - logsumexp(terms, axis=1))

    def expected(self, occasions: int, x, t_x, n) -> np.ndarray:
        """Purchases expected on the next `occasions`, of customers with these histories [1, eq. 13]."""
        x, n = np.asarray(x, dtype=float), np.asarray(n, dtype=float)
        ahead = n[..., None] + np.arange(1, occasions + 1)
        stays = np.exp(betaln(self.gamma, self.delta + ahead) - betaln(self.gamma, self.delta + n + 1)[..., None])
        mean = (self.alpha + x) / (self.alpha + self.beta + n)
        return self.p_alive(x, t_x, n) * mean * stays.sum(axis=-1)

    def _vector(self) -> np.ndarray:
        return np.array([self.alpha, self.beta, self.gamma, self.delta])


def log_likelihood(parameters: np.ndarray, seen: Occasions) -> tuple[float, np.ndarray]:
    """The sum over customers and its gradient by (alpha, beta, gamma, delta)."""
    terms, slopes = _terms(parameters, seen)
    level = logsumexp(terms, axis=1)
    share = np.exp(terms - level[:, None])
    return float(seen.customers @ level), np.array([seen.customers @ (share * slope).sum(axis=1) for slope in slopes])


def fit(x, t_x, n, customers) -> tuple[BgBb, Fit]:
    """The parameters that make these customers likeliest, and how sure they are; one entry a history, with its count.

    Raises `Degenerate` for histories that cannot be, where nobody bought, or where the data do not tell a parameter;
    `NotConverged`.
    """
    seen = Occasions(*(np.asarray(values, dtype=float) for values in (x, t_x, n, customers)))
    odd = (seen.x > seen.t_x) | (seen.t_x > seen.n) | ((seen.x > 0) != (seen.t_x > 0)) | (seen.x < 0)
    if odd.any():
        at = int(np.argmax(odd))
        raise Degenerate(
            f"A history must have x <= t_x <= n, and t_x = 0 just where x = 0, but {odd.sum():,} of {odd.size:,} have "
            f"not, first {at}: x {seen.x[at]:g}, t_x {seen.t_x[at]:g}, n {seen.n[at]:g}."
        )
    if not (seen.x > 0).any():
        raise Degenerate("Some customers must have bought after they joined, but none did. Use the rate of all.")
    start = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "delta": 2.0}

    def whole(values):
        return log_likelihood(values, seen)

    found = maximise(whole, NAMES, start, seen.customers.sum(), whole)
    return BgBb(**found.parameters), found


def _terms(parameters: np.ndarray, seen: Occasions) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logs of the ways to such a history (k, 1 + most), minus infinity for those there are not, and their gradients.

    The first: alive after all. The others: dropped out before occasion t_x + i + 1.
    """
    alpha, beta, gamma, delta = parameters
    x, t_x, n = (values[:, None] for values in (seen.x, seen.t_x, seen.n))
    i = np.arange(int((seen.n - seen.t_x).max(initial=0)))[None, :]
    possible = np.hstack([np.ones_like(x, dtype=bool), i < n - t_x])
    missed = np.hstack([n - x, t_x - x + i])
    lost = np.hstack([np.zeros_like(x), np.ones_like(t_x + i)])
    kept = np.hstack([n, t_x + i])
    a, b, g, d = alpha + x, beta + np.maximum(missed, 0), gamma + lost, delta + kept
    terms = betaln(a, b) - betaln(alpha, beta) + betaln(g, d) - betaln(gamma, delta)
    bought, stayed = digamma(a + b), digamma(g + d)
    ever, always = digamma(alpha + beta), digamma(gamma + delta)
    slopes = [
        digamma(a) - bought - digamma(alpha) + ever,
        digamma(b) - bought - digamma(beta) + ever,
        digamma(g) - stayed - digamma(gamma) + always,
        digamma(d) - stayed - digamma(delta) + always,
    ]
    return np.where(possible, terms, -np.inf), slopes
