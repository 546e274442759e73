r"""Acceptance and default as two probits with correlated errors, where default is seen of the accepted alone.

.. math:: A = [\gamma_0 + z'\gamma + v > 0], \quad B = [\beta_0 + z'\beta + u > 0], \quad corr(u, v) = \rho

.. math:: \ell = \sum_{\text{rejected}} \log \Phi(-g) + \sum_{\text{accepted bad}} \log \Phi_2(b, g; \rho)
          + \sum_{\text{accepted good}} \log \Phi_2(-b, g; -\rho)

with g and b the two indices. rho is at most 0: a lender who looks beyond the form accepts those who are better than it
says, so what else makes for acceptance makes against default. Coefficients but the intercepts carry a ridge penalty.
The bivariate normal integral is Plackett's, by Gauss-Legendre in the arc sine of t [2]:
Phi2(h, k; r) = Phi(h) Phi(k) + Int_0^r phi2(h, k; t) dt.

[1] Boyes, Hoffman & Low (1989), An Econometric Analysis of the Bank Credit Scoring Problem, Journal of Econometrics 40:
    censored bivariate probit. Meng & Schmidt (1985), On the Cost of Partial Observability in the Bivariate Probit
    Model, International Economic Review 26.
[2] Drezner & Wesolowsky (1990), On the Computation of the Bivariate Normal Integral, Journal of Statistical Computation
    and Simulation 35; Genz (2004), Statistics and Computing 14.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import log_ndtr, ndtr, ndtri

NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
MOST = 0.9  # correlations beyond it are not looked at
TINY = 1e-12  # the integral is exact to less; nothing is taken to be rarer
FARTHEST = 7.0  # an index beyond it is as good as certain
HALF_CHI2 = 0.5 * 3.841458820694124  # 95 % of chi-squared with one degree of freedom
PROBIT = 1.6  # by which a logit's coefficients are larger than a probit's, nearly


def bivariate_normal(h: np.ndarray, k: np.ndarray, rho: float) -> np.ndarray:
    """P(X <= h, Y <= k) for standard normals with correlation `rho` in (-1, 1); absolute error below 1e-9 to |rho| 0.9.

    h, k  arrays of shape (n,)
    """
    half = np.arcsin(rho) / 2
    angle = half * (NODES + 1)
    sine, cosine2 = np.sin(angle), np.cos(angle) ** 2
    away = (h * h + k * k)[:, None] - 2 * (h * k)[:, None] * sine
    area = np.exp(-away / (2 * cosine2)) @ WEIGHTS * half / (2 * np.pi)
    return np.clip(ndtr(h) * ndtr(k) + area, 0.0, 1.0)


class Selection(NamedTuple):
    """A fitted pair of probits.

    answer, default  intercept, then a coefficient for each column of the design
    rho              correlation of what neither shows, from -0.9 to 0
    ridge            penalty on the coefficients
    data             design, accepted, outcome of the accepted: what the likelihood is of
    """

    answer: np.ndarray
    default: np.ndarray
    rho: float
    ridge: float
    data: tuple[np.ndarray, np.ndarray, np.ndarray]

    def default_given_answer(self, design: np.ndarray, accepted: np.ndarray) -> np.ndarray:
        """Probability of default of each application given its form and the answer it got, of shape (n,)."""
        g, b = _index(self.answer, design), _index(self.default, design)
        side = np.where(accepted, 1.0, -1.0)
        joint = np.where(accepted, bivariate_normal(b, g, self.rho), bivariate_normal(b, -g, -self.rho))
        return np.clip(joint / np.maximum(ndtr(side * g), TINY), 0.0, 1.0)

    def ends(self) -> tuple["Selection", "Selection"]:
        """The models at both ends of rho's 95 % profile-likelihood interval."""
        best = _loss(_joined(self), *self.data, self.ridge)[0]

        def beyond(rho):
            return _at(rho, self)[1] - best - HALF_CHI2

        found = []
        for end in (-MOST, 0.0):
            inside = end == self.rho or beyond(end) <= 0
            rho = end if inside else brentq(beyond, *sorted((self.rho, end)), xtol=0.01)
            found.append(_at(rho, self)[0])
        return found[0], found[1]


def fit(design: np.ndarray, accepted: np.ndarray, outcome: np.ndarray, ridge: float) -> Selection:
    """Penalised maximum likelihood by L-BFGS with analytic gradient, from rho = 0, which is its largest value.

    design    (n, d), centred; accepted (n,) booleans; outcome (accepted.sum(),) of 0 and 1
    ridge     penalty on the coefficients, as 1 / C of a logistic regression
    """
    data = (design, np.asarray(accepted, dtype=bool), np.asarray(outcome, dtype=float))
    start = np.zeros(2 * (design.shape[1] + 1) + 1)
    start[0], start[design.shape[1] + 1] = ndtri(accepted.mean()), ndtri(outcome.mean())
    ridge *= PROBIT**2
    bounds = [(None, None)] * (start.size - 1) + [(np.arctanh(-MOST), 0.0)]
    most = {"maxiter": 500}
    found = minimize(_loss, start, args=(*data, ridge), jac=True, method="L-BFGS-B", bounds=bounds, options=most)
    return _parted(found.x, ridge, data)


def _at(rho: float, model: Selection) -> tuple[Selection, float]:
    """The likeliest pair with that correlation, and its negative log-likelihood."""
    fixed = np.arctanh(rho)

    def loss(x):
        value, slope = _loss(np.append(x, fixed), *model.data, model.ridge)
        return value, slope[:-1]

    found = minimize(loss, _joined(model)[:-1], jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return _parted(np.append(found.x, fixed), model.ridge, model.data), float(found.fun)


def _loss(x, design, accepted, outcome, ridge) -> tuple[float, np.ndarray]:
    width = design.shape[1] + 1
    answer, default = x[:width], x[width:-1]
    rho = np.clip(np.tanh(x[-1]), -MOST, MOST)
    g, b = _index(answer, design), _index(default, design[accepted])
    sign = 2 * outcome - 1
    h, k, r = sign * b, g[accepted], sign * rho
    p = np.maximum(_both(h, k, r), TINY)
    spread = np.sqrt(1 - rho**2)
    by_h = _density(h) * ndtr((k - r * h) / spread) / p
    by_k = _density(k) * ndtr((h - r * k) / spread) / p
    by_r = np.exp(-(h * h - 2 * r * h * k + k * k) / (2 * (1 - rho**2))) / (2 * np.pi * spread) / p
    of_g = np.empty(g.size)
    of_g[accepted] = by_k
    of_g[~accepted] = -np.exp(-(g[~accepted] ** 2) / 2 - log_ndtr(-g[~accepted])) / np.sqrt(2 * np.pi)
    of_b = sign * by_h
    value = -np.log(p).sum() - log_ndtr(-g[~accepted]).sum()
    value += ridge / 2 * ((answer[1:] ** 2).sum() + (default[1:] ** 2).sum())
    slope = np.concatenate(
        [
            [-of_g.sum()],
            ridge * answer[1:] - design.T @ of_g,
            [-of_b.sum()],
            ridge * default[1:] - design[accepted].T @ of_b,
            [-(sign * by_r).sum() * (1 - rho**2)],
        ]
    )
    return value, slope


def _both(h: np.ndarray, k: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Phi2 where `r` takes two values only, one the negative of the other."""
    found, up = np.empty(h.size), r >= 0
    for rows in (up, ~up):
        if rows.any():
            found[rows] = bivariate_normal(h[rows], k[rows], float(r[rows][0]))
    return found


def _index(parameters: np.ndarray, design: np.ndarray) -> np.ndarray:
    return np.clip(parameters[0] + design @ parameters[1:], -FARTHEST, FARTHEST)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _joined(model: Selection) -> np.ndarray:
    return np.concatenate([model.answer, model.default, [np.arctanh(model.rho)]])


def _parted(x: np.ndarray, ridge: float, data) -> Selection:
    width = data[0].shape[1] + 1
    return Selection(x[:width], x[width:-1], float(np.clip(np.tanh(x[-1]), -MOST, MOST)), ridge, data)
