r"""How well amounts are foretold that are zero for most and large for few: order, level, and money by tenths.

Not by absolute error: to say zero for everybody is hard to beat by it where most buy nothing. Order is judged by the
normalised Gini coefficient and by what the best tenth turned out to spend; level by the bias of the total and by the
root of the mean squared error. All are invariant to the order of rows; equal scores share what they got.

.. math:: G(y, s) = 1 - 2 \int_0^1 L_s(u)\,du, \qquad \text{normalised } G(y, s) / G(y, y)

with :math:`L_s` the share of all money that the share u of customers with the lowest scores spent.

[1] Frees, Meyers & Cummings (2011), Summarizing Insurance Scores Using a Gini Index, JASA 106(495).
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.bootstrap import drawn_subjects, interval
from evaluation.comparison import Difference, difference_of_draws
from evaluation.estimate import Estimate, checked_scores, refuse, same_length, subject_codes

DRAWS = 500
MEASURES = ("gini", "top_decile", "bias", "rmse")
LIMITS = {"gini": (-1, 1), "top_decile": (0, 1), "bias": (-1, np.inf), "rmse": (0, np.inf)}
LARGER_IS_BETTER = ("gini", "top_decile")  # of rmse and of the size of the bias the smaller is better


class Coverage(NamedTuple):
    """Outcomes inside their intervals, of how many, and the share with its 95 % interval (Wilson's)."""

    inside: int
    of: int
    share: float
    low: float
    high: float


def checked_values(y, *foretold) -> tuple[np.ndarray, ...]:
    """Amounts and what was foretold of them as floats of one length; raises ValueError for negative or no money."""
    outcome = checked_scores(y, "outcome")
    found = [checked_scores(one, "foretold amount") for one in foretold]
    for one in found:
        same_length(outcome, one, "foretold amount")
        refuse(one < 0, one, "a foretold amount must not be negative", "Cut it at zero.")
    refuse(outcome < 0, outcome, "an amount must not be negative", "Count sales, and returns apart.")
    if outcome.sum() <= 0:
        raise ValueError(f"Some of {outcome.size:,} customers must have spent, but none has. Take a longer horizon.")
    return outcome, *found


def normalised_gini(y, score) -> float:
    """From -1 to 1: 1 where customers are ranked as they turned out to spend, 0 where at random; 0 if all spent alike.

    y, score  what each customer spent, and the score that ranks her, of shape (n,)
    """
    outcome = checked_values(y)[0]
    score = checked_scores(score)
    same_length(outcome, score, "score")
    return _Ranking(outcome, score).gini(np.ones(outcome.size))


def top_decile_share(y, score) -> float:
    """The share of all money that the tenth of customers with the highest scores spent; ties share evenly."""
    outcome = checked_values(y)[0]
    return _Ranking(outcome, checked_scores(score)).top(np.ones(outcome.size), 0.1)


def bias(y, foretold) -> float:
    """By which share the foretold total is above the true one."""
    outcome, said = checked_values(y, foretold)
    return float(said.sum() / outcome.sum() - 1)


def rmse(y, foretold) -> float:
    """Root of the mean squared error, in the unit of the amounts."""
    outcome, said = checked_values(y, foretold)
    return float(np.sqrt(((outcome - said) ** 2).mean()))


def measures_of_value(y, foretold, subjects=None, seed: int = 0) -> dict[str, Estimate]:
    """gini, top_decile, bias and rmse, each with the interval of 500 bootstrap draws of subjects from `seed`."""
    outcome, said = checked_values(y, foretold)
    codes = subject_codes(subjects, outcome.size)
    measure = _Measures(outcome, said)
    value = measure(np.ones(outcome.size))
    drawn = np.array([measure(weight) for weight in _resamples(outcome, codes, seed)])
    return {name: interval(value[k], drawn[:, k], *LIMITS[name]) for k, name in enumerate(MEASURES)}


def value_gains(y, first, second, subjects=None, seed: int = 0) -> dict[str, Difference]:
    """By how much `second` is better than `first` in each measure, positive where it is, on the same draws.

    Of the bias the size counts, of both errors the smaller is better.
    """
    outcome, first, second = checked_values(y, first, second)
    codes = subject_codes(subjects, outcome.size)
    one, other = _Measures(outcome, first), _Measures(outcome, second)

    def gain(weight):
        a, b = one(weight), other(weight)
        a[2], b[2] = abs(a[2]), abs(b[2])
        sign = [1 if name in LARGER_IS_BETTER else -1 for name in MEASURES]
        return np.multiply(sign, np.subtract(b, a))

    value = gain(np.ones(outcome.size))
    drawn = np.array([gain(weight) for weight in _resamples(outcome, codes, seed)])
    return {name: difference_of_draws(value[k], drawn[:, k]) for k, name in enumerate(MEASURES)}


def _resamples(outcome: np.ndarray, codes: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Row weights of `DRAWS` draws of subjects; one in which nobody spent measures nothing and is left out."""
    return (weight for weight in drawn_subjects(codes, DRAWS, seed) if weight @ outcome > 0)


def deciles(y, foretold) -> pd.DataFrame:
    """One row a tenth of the customers by what was foretold, the highest first.

    Columns: tenth, customers, foretold and spent (means), low and high (95 % interval of the mean spent), share (of all
    money). Ties are broken by position.
    """
    outcome, said = checked_values(y, foretold)
    order = np.argsort(-said, kind="stable")
    rows = []
    for tenth, at in enumerate(np.array_split(order, min(10, outcome.size)), 1):
        mean, error = outcome[at].mean(), outcome[at].std(ddof=1) / np.sqrt(at.size) if at.size > 1 else np.nan
        rows.append(
            {
                "tenth": tenth,
                "customers": at.size,
                "foretold": said[at].mean(),
                "spent": mean,
                "low": max(0.0, mean - 1.96 * error),
                "high": mean + 1.96 * error,
                "share": outcome[at].sum() / outcome.sum(),
            }
        )
    return pd.DataFrame(rows)


def coverage(y, low, high) -> Coverage:
    """How many outcomes lie in [low, high], ends included, with Wilson's interval of the share."""
    outcome, low, high = (checked_scores(values) for values in (y, low, high))
    inside = int(((outcome >= low) & (outcome <= high)).sum())
    n, share, z = outcome.size, inside / outcome.size, 1.959963984540054
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Coverage(inside, n, share, float(middle - half), float(middle + half))


def of_candidates(y, foretold: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row a candidate, in the order given: candidate and the four measures, without intervals."""
    outcome = checked_values(y)[0]
    rows = []
    for name, said in foretold.items():
        found = _Measures(outcome, checked_values(y, said)[1])(np.ones(outcome.size))
        rows.append({"candidate": name, **dict(zip(MEASURES, found, strict=True))})
    return pd.DataFrame(rows)


class _Ranking:
    """Rows sorted once by score; a draw is weights of rows."""

    def __init__(self, outcome: np.ndarray, score: np.ndarray):
        self.order = np.argsort(score, kind="stable")
        ranked = score[self.order]
        self.starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        self.best = None if np.array_equal(outcome, score) else _Ranking(outcome, outcome)
        self.money = outcome[self.order]

    def gini(self, weight: np.ndarray) -> float:
        own = self._area(weight)
        most = own if self.best is None else self.best._area(weight)
        return float(own / most) if most > 1e-12 else 0.0

    def top(self, weight: np.ndarray, share: float) -> float:
        rows, money = self._groups(weight)
        upto = np.append(0.0, np.cumsum(rows[::-1])) / rows.sum()
        return float(np.interp(share, upto, np.append(0.0, np.cumsum(money[::-1])) / money.sum()))

    def _area(self, weight: np.ndarray) -> float:
        """Twice the area between the diagonal and the curve of concentration."""
        rows, money = self._groups(weight)
        curve = np.append(0.0, np.cumsum(money)) / money.sum()
        return float(1 - (rows * (curve[1:] + curve[:-1])).sum() / rows.sum())

    def _groups(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ranked = weight[self.order]
        return np.add.reduceat(ranked, self.starts), np.add.reduceat(ranked * self.money, self.starts)


class _Measures:
    def __init__(self, outcome: np.ndarray, said: np.ndarray):
        self.outcome, self.said = outcome, said
        self.ranking, self.squares = _Ranking(outcome, said), (outcome - said) ** 2

    def __call__(self, weight: np.ndarray) -> list[float]:
        total = weight @ self.outcome
        return [
            self.ranking.gini(weight),
            self.ranking.top(weight, 0.1),
            float(weight @ self.said / total - 1),
            float(np.sqrt(weight @ self.squares / weight.sum())),
        ]
