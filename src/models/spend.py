"""What a purchase of a customer is worth, where the data tell it: gamma-gamma, or else her own mean.

The gamma-gamma model is taken on all purchases, the first included. Where it has no estimate, or one whose mean over
customers is infinite (a few wholesale accounts can do that), a customer is worth what she paid so far, and one of
whom nothing is known the mean of all purchases; a purchase then varies as an exponential distribution does.
Amounts are in the unit of the means, cents in this house.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import gamma_gamma
from models.gamma_gamma import GammaGamma
from models.likelihood import Degenerate, Fit, NotConverged

GAMMA, OWN = "gamma-gamma", "own mean"


@dataclass(frozen=True)
class Spend:
    """How purchases are priced: the model, or the mean of all purchases where there is none, and why.

    name     "gamma-gamma" or "own mean"
    refused  why there is no gamma-gamma model; empty where there is
    """

    name: str
    average: float
    model: GammaGamma | None = None
    fit: Fit | None = None
    refused: str = ""

    def expected(self, x, mean) -> np.ndarray:
        """The mean purchase expected of customers with `x` purchases of this `mean`, (n,); x = 0: nothing known."""
        if self.model is not None:
            return self.model.expected(x, mean)
        return np.where(np.asarray(x) > 0, mean, self.average)

    def parameter_draws(self, number: int, seed: int) -> list["Spend"]:
        """The same as it might be too; an own mean has no parameters. q stays above one, where the mean is finite."""
        if self.model is None or self.fit is None:
            return [self] * number
        drawn = [GammaGamma(**values) for values in self.fit.draws(number, seed)]
        kept = [model if model.q > 1.05 else self.model for model in drawn]
        return [Spend(GAMMA, self.average, model, self.fit) for model in kept]

    def prices(self, x, mean, draw: np.random.Generator) -> np.ndarray:
        """The mean purchase (n,) that these customers may have, one draw."""
        if self.model is None:
            return self.expected(x, mean)
        p, q, v = self.model.p, self.model.q, self.model.v
        rate = draw.standard_gamma(p * x + q) / (v + np.where(x > 0, x * mean, 0.0))
        return p / np.maximum(rate, 1e-300)

    def amounts(self, bought, prices, draw: np.random.Generator) -> np.ndarray:
        """What `bought` purchases (n,) at these mean prices come to, one draw; zero for none."""
        shape = 1.0 if self.model is None else self.model.p
        some = np.flatnonzero(bought > 0)
        paid = np.zeros(bought.size)
        paid[some] = draw.standard_gamma(shape * bought[some]) / shape * prices[some]
        return paid

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for `from_json`."""
        stored: dict[str, Any] = {"name": self.name, "average": self.average, "refused": self.refused}
        if self.fit is not None:
            stored |= {"parameters": dict(self.fit.parameters), "errors": dict(self.fit.errors)}
            stored |= {"log_likelihood": self.fit.log_likelihood, "covariance": self.fit.covariance.tolist()}
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Spend":
        """The pricing that `to_json` wrote."""
        if stored["name"] == OWN:
            return cls(OWN, stored["average"], refused=stored["refused"])
        found = Fit(stored["parameters"], stored["errors"], stored["log_likelihood"], np.array(stored["covariance"]))
        return cls(GAMMA, stored["average"], GammaGamma(**stored["parameters"]), found, stored["refused"])


def fit(x, mean) -> Spend:
    """From `x` purchases of this `mean`, both (n,); a mean of zero tells nothing and is left out.

    Raises `Degenerate` where no customer ever paid.
    """
    x, mean = np.asarray(x, dtype=float), np.asarray(mean, dtype=float)
    paid = (x > 0) & (mean > 0)
    if not paid.any():
        raise Degenerate(
            f"Some customers must have paid for a purchase, but none of {x.size:,} has. Check the amounts."
        )
    average = float(np.average(mean[paid], weights=x[paid]))
    try:
        model, found = gamma_gamma.fit(x[paid], mean[paid])
    except (Degenerate, NotConverged) as error:
        return Spend(OWN, average, refused=str(error))
    if model.q <= 1.05:
        return Spend(OWN, average, refused=f"q is {model.q:.3g}: the mean over customers would be infinite, or nearly.")
    return Spend(GAMMA, average, model, found)
