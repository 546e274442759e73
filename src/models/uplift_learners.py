r"""What the learners of an effect are made of, each K times, number k without fold k.

With m_a(x) the mean outcome under arm a, e_a the probability of arm a, both at x, and arm 0 the control, an effect
tau_a(x) is learnt

- S: from one regression on the columns and the arm: :math:`m(x, a) - m(x, 0)`
- T: from two: :math:`m_a - m_0`
- X [1]: from what is missing: :math:`Y - m_0` of the treated, :math:`m_a - Y` of the control, weighted by the share of
  the other
- R [2]: from residuals, with w = e_a / (e_a + e_0) on the rows of both arms:
  :math:`(Y - w m_a - (1 - w) m_0) / (A - w)`, weighted by :math:`(A - w)^2`
- DR [3]: from effect scores that are right on average if either the means or the propensities are (`arm_values`)
- class transformation [4]: from the same with all means 0; a yardstick, and a noisy one
- response: not at all. What is expected of a customer under the mix of arms that was drawn, as who would answer most

Means that a second stage learns from are foretold by regressions that have seen neither the row's fold nor fold k, so
that fold k judges the whole of what was learnt without it.

[1] Künzel, Sekhon, Bickel & Yu (2019), Metalearners for Estimating Heterogeneous Treatment Effects, PNAS 116(10).
[2] Nie & Wager (2021), Quasi-oracle Estimation of Heterogeneous Treatment Effects, Biometrika 108(2).
[3] Kennedy (2023), Towards Optimal Doubly Robust Estimation of Heterogeneous Causal Effects, EJS 17(2).
[4] Jaskowski & Jaroszewicz (2012), Uplift Modeling for Clinical Trial Data; Athey & Imbens (2016), PNAS 113(27).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evaluation.arm_values import arm_values
from models.line_means import Line, Lines
from models.tree_means import Tree, Trees

RESPONSE, T, S, X, DR, R, CLASS = "response", "T", "S", "X", "DR", "R", "class transformation"
LEARNERS = (RESPONSE, T, S, X, DR, R, CLASS)  # simplest first
SECOND_STAGE = (X, DR, R)
Regression = Tree | Line
Base = Trees | Lines


class Trial(NamedTuple):
    """Rows in a settled order: who was given what, with which probability, and what followed.

    outcome     what is learnt from (n,)
    arm         0 is the control, then 1 to arms - 1 (n,)
    propensity  of each arm (n, arms)
    fold        0 to K - 1 (n,)
    two_part    whether the mean is taken as the share that is not 0 times the mean of those
    """

    outcome: np.ndarray
    arm: np.ndarray
    propensity: np.ndarray
    fold: np.ndarray
    two_part: bool

    @property
    def arms(self) -> int:
        """How many, the control included."""
        return self.propensity.shape[1]

    @property
    def shares(self) -> np.ndarray:
        """The share of rows in each arm (arms,)."""
        return np.bincount(self.arm, minlength=self.arms) / len(self.arm)


@dataclass(frozen=True)
class Term:
    """One summand of an effect: a weight times the product of regressions, named."""

    weight: float
    factors: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Learnt:
    """A learner K times over.

    regressions  by name, number k without fold k
    effects      for each arm above the control the terms that add up to its effect
    """

    regressions: Mapping[str, Sequence[Regression]]
    effects: tuple[tuple[Term, ...], ...]

    def of_fold(self, base: Base, k: int) -> np.ndarray:
        """Effects of the rows of fold k by what has not seen them, of shape (rows, arms - 1)."""
        said = {name: base.of_fold(bags[k], k) for name, bags in self.regressions.items()}
        return added(self.effects, said)

    def bag(self, k: int, matrix: np.ndarray) -> np.ndarray:
        """Effects of new rows by what was learnt without fold k, of shape (rows, arms - 1)."""
        return added(self.effects, {name: bags[k].predict(matrix) for name, bags in self.regressions.items()})


def added(effects: Sequence[Sequence[Term]], said: Mapping[str, np.ndarray]) -> np.ndarray:
    """The effects of each arm above the control, from what each regression says."""
    columns = [sum(term.weight * np.prod([said[f] for f in term.factors], axis=0) for term in of) for of in effects]
    return np.column_stack(columns)


class Means:
    """The mean outcome under each arm, of one base, out of fold: without each fold, and without each two."""

    def __init__(self, base: Base, trial: Trial):
        self.base, self.trial, self._folds = base, trial, range(int(trial.fold.max()) + 1)
        self.regressions: dict[str, list[Regression]] = {}
        self._settings: dict[str, float] = {}
        for a in range(trial.arms):
            for name, target, rows in self._parts(a):
                self.regressions[name], self._settings[name] = base.bags(target, rows)
        self.out_of_fold = self._stack(lambda name, k: base.of_fold(self.regressions[name][k], k))

    def factors(self, a: int) -> tuple[str, ...]:
        """The names of the regressions whose product is the mean of arm a."""
        return (f"some_{a}", f"amount_{a}") if self.trial.two_part else (f"mean_{a}",)

    def inner(self) -> np.ndarray:
        """What a second stage may learn from, of shape (K, n, arms).

        [k, i] is foretold by a regression that has seen neither fold k nor the fold of row i.
        """
        pairs = {name: self.base.without_pairs(target, rows, self._settings[name])
                 for a in range(self.trial.arms) for name, target, rows in self._parts(a)}  # fmt: skip

        def said(name: str, out: int, k: int) -> np.ndarray:
            of = self.regressions[name][k] if out == k else pairs[name][min(out, k), max(out, k)]
            return self.base.of_fold(of, k)

        return np.stack([self._stack(lambda name, k, out=out: said(name, out, k)) for out in self._folds])

    def _parts(self, a: int):
        """Name, target and rows of each regression behind the mean of arm a."""
        given, y = self.trial.arm == a, self.trial.outcome
        if self.trial.two_part:
            return [(f"some_{a}", (y != 0).astype(float), given), (f"amount_{a}", y, given & (y != 0))]
        return [(f"mean_{a}", y, given)]

    def _stack(self, say) -> np.ndarray:
        """The means of each row and arm (n, arms), where `say(name, k)` tells what a regression says of fold k."""
        found = np.empty((len(self.trial.arm), self.trial.arms))
        for k in self._folds:
            rows = self.trial.fold == k
            for a in range(self.trial.arms):
                found[rows, a] = np.prod([say(name, k) for name in self.factors(a)], axis=0)
        return found


def learn(learner: str, base: Base, trial: Trial, means: Means, inner: np.ndarray | None) -> Learnt:
    """One learner of `LEARNERS`; `inner` is needed by those of `SECOND_STAGE`."""
    others = range(1, trial.arms)
    if learner == RESPONSE:
        mix = tuple(Term(float(share), means.factors(a)) for a, share in enumerate(trial.shares))
        return Learnt(means.regressions, (mix,) * len(others))
    if learner == T:
        return Learnt(means.regressions, _contrasts(means.factors, others))
    if learner == S:
        return _s_learner(base, trial)
    if learner == X:
        return _x_learner(base, trial, inner)
    regressions, weights = {}, None
    for a in others:
        target, rows = _pseudo_effects(learner, trial, inner, a)
        if learner == R:
            w = trial.propensity[:, a] / (trial.propensity[:, a] + trial.propensity[:, 0])
            weights = ((trial.arm == a) - w) ** 2
        regressions[f"effect_{a}"], _ = base.bags(target, rows, weights)
    return Learnt(regressions, tuple((Term(1.0, (f"effect_{a}",)),) for a in others))


def _contrasts(factors, others) -> tuple[tuple[Term, ...], ...]:
    return tuple((Term(1.0, factors(a)), Term(-1.0, factors(0))) for a in others)


def _s_learner(base: Base, trial: Trial) -> Learnt:
    """Amounts are not parted here: the arm, a column among many, would be lost twice."""
    by_arm = base.with_arm(trial.outcome, trial.arm, trial.arms)
    regressions = {f"mean_{a}": bags for a, bags in enumerate(by_arm)}
    return Learnt(regressions, _contrasts(lambda a: (f"mean_{a}",), range(1, trial.arms)))


def _x_learner(base: Base, trial: Trial, inner: np.ndarray) -> Learnt:
    regressions, effects, y = {}, [], trial.outcome
    for a in range(1, trial.arms):
        treated, control = trial.arm == a, trial.arm == 0
        regressions[f"treated_{a}"], _ = base.bags(y - inner[:, :, 0], treated)
        regressions[f"control_{a}"], _ = base.bags(inner[:, :, a] - y, control)
        share = float(treated.sum() / (treated.sum() + control.sum()))
        effects.append((Term(share, (f"control_{a}",)), Term(1 - share, (f"treated_{a}",))))
    return Learnt(regressions, tuple(effects))


def _pseudo_effects(learner: str, trial: Trial, inner: np.ndarray | None, a: int):
    """What an effect is regressed on (n,) or (K, n), and the rows that count (None: all)."""
    y, arm, e = trial.outcome, trial.arm, trial.propensity
    drawn = e[np.arange(len(arm)), arm]
    if learner == R:
        w = e[:, a] / (e[:, a] + e[:, 0])
        expected = w * inner[:, :, a] + (1 - w) * inner[:, :, 0]
        return (y - expected) / ((arm == a) - w), (arm == a) | (arm == 0)
    if learner == DR:
        values = (arm_values(y, arm, drawn, expected) for expected in inner)
        return np.stack([of[:, a] - of[:, 0] for of in values]), None
    values = arm_values(y, arm, drawn, arms=trial.arms)
    return values[:, a] - values[:, 0], None
