r"""A master scale: grades of probability of default that mean the same in every run, and the tests of each.

Edges lie evenly in log-odds; neighbours are pooled until the rates observed rise from grade to grade and each grade
holds enough loans and defaults to say so. A grade's probability is that of its loans, shrunk to what was foretold.

Tests of a grade with n loans, d defaults and probability p, of loans that the model had not seen:

.. math:: \text{binomial} = P(X \ge d), X \sim B(n, p), \qquad \text{Jeffreys} = P(\pi \le p), \pi \sim
          \text{Beta}(d + \tfrac12, n - d + \tfrac12)

A small value says that the grade is riskier than promised; both are one-sided, and as if loans were independent.

[1] Tasche (2008), Validation of Internal Rating Systems and PD Estimates, in The Analytics of Risk Model Validation.
[2] European Central Bank (2019), Instructions for Reporting the Validation Results of Internal Models, section 2.5.3:
    the Jeffreys test.
[3] Ayer et al. (1955), An Empirical Distribution Function for Sampling with Incomplete Information: pooling.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.special import bdtrc, betainc

from evaluation.calibration import log_odds, wilson
from evaluation.comparison import holm
from evaluation.estimate import checked_probabilities, in_unit_interval

STEP = 0.35  # of log-odds between two edges before pooling: risk doubles in two
FEWEST_LOANS, FEWEST_BAD = 50, 5
NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHRINK = 20.0  # a grade's own loans weigh as much as what was foretold when there are so many


class MasterScale(NamedTuple):
    """Grades from the least risky on.

    edges  probabilities at which the next grade begins, rising; one fewer than grades
    pd     the probability of default of each grade, rising
    """

    edges: tuple[float, ...]
    pd: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """A, B, C, ...: the least risky first."""
        return tuple(NAMES[: len(self.pd)])

    def grade(self, p) -> np.ndarray:
        """The position of the grade of each probability, of shape (n,)."""
        return np.searchsorted(np.array(self.edges), in_unit_interval(p), side="right")

    def name(self, p) -> np.ndarray:
        """The grade of each probability as a letter, of shape (n,)."""
        return np.array(self.names)[self.grade(p)]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, for `from_json`."""
        return {"edges": list(self.edges), "pd": list(self.pd)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The scale that `to_json` wrote."""
        return cls(tuple(stored["edges"]), tuple(stored["pd"]))


def master_scale(y, p, step: float = STEP, fewest_loans: int = FEWEST_LOANS, fewest_bad: int = FEWEST_BAD):
    """The `MasterScale` of outcomes and probabilities that were foretold of them, both (n,).

    Of loans that the model was fitted to, the rates are optimistic: give foretold ones.
    """
    y, p = checked_probabilities(y, p)
    x = np.floor(log_odds(p) / step)
    numbers, cell = np.unique(x, return_inverse=True)
    loans, bad, foretold = (np.bincount(cell, of) for of in (np.ones(y.size), y, p))
    starts = _pooled(loans, bad, fewest_loans, fewest_bad)
    loans, bad, foretold = (np.add.reduceat(of, starts) for of in (loans, bad, foretold))
    rate = (bad + SHRINK * foretold / loans) / (loans + SHRINK)
    edges = 1 / (1 + np.exp(-numbers[starts[1:]] * step))
    return MasterScale(tuple(edges.tolist()), tuple(np.maximum.accumulate(rate).tolist()))


def _pooled(loans: np.ndarray, bad: np.ndarray, fewest_loans: int, fewest_bad: int) -> np.ndarray:
    """Where each grade starts, after pooling the cells that are too small or out of order with a neighbour."""
    starts, groups = [], []
    for at, (n, d) in enumerate(zip(loans, bad, strict=True)):  # of cells, a few dozen
        starts.append(at)
        groups.append([n, d])
        while len(groups) > 1 and (
            groups[-1][1] / groups[-1][0] <= groups[-2][1] / groups[-2][0]
            or groups[-2][0] < fewest_loans
            or groups[-2][1] < fewest_bad
        ):
            n, d = groups.pop()
            groups[-1] = [groups[-1][0] + n, groups[-1][1] + d]
            starts.pop()
    while len(groups) > 1 and (
        groups[-1][0] < fewest_loans
        or groups[-1][1] < fewest_bad
        or groups[-1][1] / groups[-1][0] <= groups[-2][1] / groups[-2][0]
    ):
        n, d = groups.pop()
        groups[-1] = [groups[-1][0] + n, groups[-1][1] + d]
        starts.pop()
    return np.array(starts)


def grade_tests(y, p, scale: MasterScale) -> pd.DataFrame:
    """A row a grade that holds loans.

    grade, loans, bad, foretold (the grade's probability), observed with its interval, binomial and jeffreys as above,
    holm (the binomial one, corrected for the number of grades), and riskier: whether that is below 0.05.
    """
    y, p = checked_probabilities(y, p)
    grade = scale.grade(p)
    size = len(scale.pd)
    loans, bad = (np.bincount(grade, of, size) for of in (np.ones(y.size), y))
    held = np.flatnonzero(loans)
    n, d, promised = loans[held], bad[held], np.array(scale.pd)[held]
    low, high = wilson(d / n, n)
    found = pd.DataFrame(
        {
            "grade": np.array(scale.names)[held],
            "loans": n.astype(int),
            "bad": d.astype(int),
            "foretold": promised,
            "observed": d / n,
            "low": low,
            "high": high,
            "binomial": np.where(d > 0, bdtrc(np.maximum(d - 1, 0), n.astype(int), promised), 1.0),
            "jeffreys": betainc(d + 0.5, n - d + 0.5, promised),
        }
    )
    found["holm"] = holm(found.binomial)
    return found.assign(riskier=found.holm < 0.05)
