r"""Who is still a customer and how often she will buy: the richest model that the data tell, and draws of it.

Tried in this order, each only where the one before is refused, with the reason kept:

Pareto/NBD  she may drop out at any moment, also after one purchase only
MBG/NBD     she may drop out after each purchase, the first included
NBD         no measurable churn: she buys on at her rate for ever

A draw takes parameters as they might be too, then whether she is still there, then her own traits given her history:

.. math:: \lambda \mid x, T \sim \mathrm{Gamma}(r + x, \alpha + T), \quad \mu \mid T \sim \mathrm{Gamma}(s, \beta + T),
          \quad p \mid x \sim \mathrm{Beta}(a, b + x + 1)

which are independent of each other for who is alive, and then what she does: all of it, so that sums over any customers
have the right spread. Times are days.

Schmittlein, Morrison & Colombo (1987), Management Science 33(1), section 3; Fader & Hardie (2005), notes/009.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from models import bg_nbd, nbd, pareto_nbd
from models.bg_nbd import BgNbd
from models.likelihood import Degenerate, Fit, NotConverged
from models.nbd import Nbd
from models.pareto_nbd import ParetoNbd

PARETO, MBG, NBD = "Pareto/NBD", "MBG/NBD", "NBD"
FITS = {PARETO: pareto_nbd.fit, MBG: lambda x, t_x, T: bg_nbd.fit(x, t_x, T, first=True), NBD: nbd.fit}
Model = ParetoNbd | BgNbd | Nbd


class Traits(NamedTuple):
    """One draw of customers (n,): whether each is there, her rate of buying, and her rate of leaving, both a day.

    stops   after how many more purchases she leaves (infinite: not after a purchase)
    """

    here: np.ndarray
    rate: np.ndarray
    leaving: np.ndarray
    stops: np.ndarray


@dataclass(frozen=True)
class Lifetime:
    """The model that was taken, how sure its parameters are, and why those before it in the order were not."""

    name: str
    model: Model
    fit: Fit
    refused: Mapping[str, str] = field(default_factory=dict)

    def parameter_draws(self, number: int, seed: int) -> list[Model]:
        """The model as it might be too, `number` of them."""
        return [_model(self.name, values) for values in self.fit.draws(number, seed)]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for `from_json`."""
        return {
            "name": self.name,
            "parameters": dict(self.fit.parameters),
            "errors": dict(self.fit.errors),
            "log_likelihood": self.fit.log_likelihood,
            "covariance": self.fit.covariance.tolist(),
            "refused": dict(self.refused),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Lifetime":
        """The lifetime that `to_json` wrote."""
        found = Fit(
            stored["parameters"],
            stored["errors"],
            stored["log_likelihood"],
            np.array(stored["covariance"], dtype=float),
        )
        return cls(stored["name"], _model(stored["name"], stored["parameters"]), found, stored["refused"])


def fit(x, t_x, T) -> Lifetime:
    """The first model of the order that the histories (n,) tell; raises `Degenerate` with all reasons where none is."""
    refused: dict[str, str] = {}
    for name, of in FITS.items():
        try:
            model, found = of(x, t_x, T)
        except (Degenerate, NotConverged) as error:
            refused[name] = str(error)
        else:
            return Lifetime(name, model, found, refused)
    raise Degenerate("No model of purchases is told by these customers. " + " ".join(refused.values()))


def one_time_buyers(x, t_x, T, silent: Sequence[float]) -> pd.DataFrame:
    """How each model calls one who bought once and was silent for so many days since: model, silent, p_alive, refused.

    Each is fitted to the histories (n,); where it has no estimate, p_alive is missing and `refused` says why.
    """
    fits = {PARETO: pareto_nbd.fit, "BG/NBD": bg_nbd.fit, MBG: FITS[MBG], NBD: nbd.fit}
    none, days, rows = np.zeros(len(silent)), np.asarray(silent, dtype=float), []
    for name, of in fits.items():
        try:
            alive, why = of(x, t_x, T)[0].p_alive(none, none, days), ""
        except (Degenerate, NotConverged) as error:
            alive, why = np.full(days.size, np.nan), str(error)
        rows.append(pd.DataFrame({"model": name, "silent": days, "p_alive": alive, "refused": why}))
    return pd.concat(rows, ignore_index=True)


def traits(model: Model, alive: np.ndarray, x: np.ndarray, T: np.ndarray, draw: np.random.Generator) -> Traits:
    """What customers (n,) with these histories may be like, one draw, given P(alive) of each."""
    here = draw.random(x.size) < alive
    rate = draw.standard_gamma(model.r + x) / (model.alpha + T)
    never = np.full(x.size, np.inf)
    if isinstance(model, ParetoNbd):
        return Traits(here, rate, draw.standard_gamma(model.s, x.size) / (model.beta + T), never)
    if isinstance(model, BgNbd):
        leaves = np.maximum(draw.beta(model.a, model.b + x + model.first), 1e-12)
        # the number of a geometric distribution by its inverse, so that each customer takes one random number
        stops = np.ceil(np.log(1 - draw.random(x.size)) / np.log1p(-np.minimum(leaves, 1 - 1e-12)))
        return Traits(here, rate, rate * leaves, np.maximum(stops, 1))
    return Traits(here, rate, np.zeros(x.size), never)


def purchases(of: Traits, days: float, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Purchases (n,) in the next `days` by customers of these traits, and whether each is still there afterwards."""
    span, here = np.full(of.rate.size, float(days)), of.here.copy()
    if np.isinf(of.stops).all() and of.leaving.any():
        leaves = draw.standard_exponential(of.rate.size) / np.maximum(of.leaving, 1e-300)
        span, here = np.minimum(span, leaves), here & (leaves > days)
    bought = draw.poisson(np.where(of.here, of.rate * span, 0.0)).astype(float)
    return np.minimum(bought, of.stops), here & (bought < of.stops)


def _model(name: str, values: Mapping[str, float]) -> Model:
    if name == PARETO:
        return ParetoNbd(**values)
    return BgNbd(**values, first=True) if name == MBG else Nbd(**values)
