"""Whom a treatment changes, and by how much: every learner over linear and boosted bases, and one that is registered.

Each learner is fitted five times, each time without one fifth of the subjects: an effect is the mean of the five, the
five compared give its interval, and the fifth that each has not seen says how good it is. Learners of one base share
its regressions, so that all of them cost little more than the dearest.

Grain    one row a contact, columns float64 or categories; arms 0 (the control), 1, ...; effects in the outcome's unit
Outcome  binary (0 or 1), count, or amount: revenue or margin, any sign, mostly 0. An amount is learnt in two parts,
         whether it is 0 and how much if not. Counts and amounts are pulled in to the `TAIL` of those that are not 0,
         since one wholesale buyer would make the effect of her neighbours; what judges sees them as they are
Same     the same rows in any order, on any number of threads, give the same model to the byte
Errors   TooFewCases, MissingColumns, UnusableColumns; ValueError for arms, propensities or outcomes that are none
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from evaluation.arm_values import arm_values, checked_arms
from models.encoding import UNSEEN, Encoder
from models.folds import TooFewCases, checked_outcome, grouped_folds, settled_order
from models.line_means import Line, Lines
from models.tree_means import Tree, Trees
from models.uplift_learners import CLASS, LEARNERS, SECOND_STAGE, Learnt, Means, Term, Trial, learn

LINEAR, BOOSTED = Lines.name, Trees.name
BASES = (LINEAR, BOOSTED)  # simplest first
BINARY, COUNT, AMOUNT = "binary", "count", "amount"
KINDS = (BINARY, COUNT, AMOUNT)
DEFAULT = tuple((learner, base) for base in BASES for learner in LEARNERS if learner != CLASS)
FOLDS, FEWEST = 5, 50
TAIL = 0.99
CONTENT = "uplift.json"


@dataclass(frozen=True, eq=False)
class Uplift:
    """One learner over one base, fitted: effects of each arm above the control, in the outcome's unit."""

    learner: str
    base: str
    encoder: Encoder
    learnt: Learnt

    @property
    def name(self) -> str:
        """Base and learner, as a table shows them."""
        return f"{self.base} {self.learner}"

    def effect(self, X: pd.DataFrame) -> np.ndarray:
        """The effect of each arm above the control, of shape (n, arms - 1)."""
        return self.bags(X).mean(axis=0)

    def bags(self, X: pd.DataFrame) -> np.ndarray:
        """The same by each of the K fits, of shape (K, n, arms - 1)."""
        matrix = self.encoder.encode(X, UNSEEN)
        return np.stack([self.learnt.bag(k, matrix) for k in range(FOLDS)])

    def interval(self, X: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high end of the effect by the delete-a-group jackknife: how far other subjects would have moved it.

        It holds no bias of a learner that pulls effects together. Raises `ValueError` for a level outside (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie between 0 and 1, but is {level}. Give 0.95 for 95 %.")
        bags = self.bags(X)
        centre = bags.mean(axis=0)
        half = stdtrit(FOLDS - 1, (1 + level) / 2) * np.sqrt((FOLDS - 1) * bags.var(axis=0))
        return centre - half, centre + half

    def save(self, folder: Path) -> None:
        """JSON and XGBoost's own files below `folder`; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        stored = {
            name: [one.save(folder, f"{name}_{k}") for k, one in enumerate(bags)]
            for name, bags in self.learnt.regressions.items()
        }
        effects = [[{"weight": t.weight, "factors": list(t.factors)} for t in terms] for terms in self.learnt.effects]
        content = {"learner": self.learner, "base": self.base, "encoder": self.encoder.to_json()}
        content |= {"regressions": stored, "effects": effects}
        (folder / CONTENT).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(folder: Path) -> Uplift:
    """A saved `Uplift`; parses JSON and XGBoost's files, executes nothing of the folder's."""
    content = json.loads((folder / CONTENT).read_text(encoding="utf-8"))
    encoder = Encoder.from_json(content["encoder"])
    regressions = {
        name: [_load_one(one, folder, f"{name}_{k}", encoder.is_category) for k, one in enumerate(bags)]
        for name, bags in content["regressions"].items()
        if set(name) <= _LETTERS
    }
    effects = tuple(tuple(Term(t["weight"], tuple(t["factors"])) for t in terms) for terms in content["effects"])
    return Uplift(content["learner"], content["base"], encoder, Learnt(regressions, effects))


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def _load_one(stored: Mapping, folder: Path, name: str, is_category: np.ndarray) -> Tree | Line:
    return Line.load(stored) if stored["kind"] == "line" else Tree.load(stored, folder, name, is_category)


@dataclass(frozen=True, eq=False)
class Fitted:
    """All learners on the same rows; arrays are in the order of the rows as given.

    models    by learner and base, simplest first
    effects   out of fold, by learner and base: each (n, arms - 1)
    expected  the mean outcome under each arm, out of fold, by the base that foretells it better (n, arms)
    scores    of each row and arm (`arm_values`), of the outcome as it is (n, arms): what judges
    """

    models: Mapping[tuple[str, str], Uplift]
    effects: Mapping[tuple[str, str], np.ndarray]
    expected: np.ndarray
    scores: np.ndarray


def fit(
    X: pd.DataFrame,
    outcome: Sequence,
    arm: Sequence,
    propensity: np.ndarray,
    subjects: Sequence | None = None,
    *,
    kind: str = BINARY,
    learners: Sequence[tuple[str, str]] = DEFAULT,
    seed: int = 0,
    threads: int = 1,
) -> Fitted:
    """Learn from rows `X`, what followed, the arm of each, and the probability of each arm (n, arms).

    subjects  whom the rows are about (None: one a row); `threads` changes the time only
    """
    y = _checked(outcome, len(X), kind)
    arm, propensity = checked_arms(arm), _checked_propensity(propensity, arm)
    codes = np.arange(len(y)) if subjects is None else pd.factorize(pd.Series(subjects), sort=True)[0]
    _refuse_few(arm, codes, propensity.shape[1])
    encoder = Encoder.learn(X, subjects)
    given = encoder.encode(X, UNSEEN)
    order = settled_order(np.column_stack([given, arm, propensity]), y, subjects)
    fold = grouped_folds((arm[order] > 0).astype(float), codes[order], FOLDS, seed)
    learnt_from = pulled_in(y[order], kind)
    trial = Trial(learnt_from, arm[order], propensity[order], fold, kind == AMOUNT)
    models, effects, expected = {}, {}, {}
    for base_name in BASES:
        wanted = [learner for learner in LEARNERS if (learner, base_name) in learners]
        if not wanted:
            continue
        if base_name == BOOSTED:
            base = Trees(given[order], encoder.is_category, fold, seed, threads)
        else:
            base = Lines(given[order], encoder.is_category, fold)
        means = Means(base, trial)
        inner = means.inner() if set(wanted) & {*SECOND_STAGE} else None
        expected[base_name] = means.out_of_fold
        for learner in wanted:
            learnt = learn(learner, base, trial, means, inner)
            models[learner, base_name] = Uplift(learner, base_name, encoder, learnt)
            effects[learner, base_name] = _out_of_fold(learnt, base, trial)
    best = min(expected, key=lambda name: _missed(expected[name], trial))
    back = np.argsort(order)
    scores = arm_values(y[order], trial.arm, _of_drawn(trial), expected[best])
    return Fitted(models, {name: of[back] for name, of in effects.items()}, expected[best][back], scores[back])


def pulled_in(outcome: np.ndarray, kind: str) -> np.ndarray:
    """Counts and amounts with those beyond the `TAIL` of their sign, among those that are not 0, moved to it."""
    if kind == BINARY:
        return outcome
    ends = [np.quantile(side, TAIL) if len(side) else 0.0 for side in (-outcome[outcome < 0], outcome[outcome > 0])]
    return np.clip(outcome, -ends[0], ends[1])


def _out_of_fold(learnt: Learnt, base: Trees | Lines, trial: Trial) -> np.ndarray:
    found = np.empty((len(trial.arm), trial.arms - 1))
    for k in range(FOLDS):
        found[trial.fold == k] = learnt.of_fold(base, k)
    return found


def _of_drawn(trial: Trial) -> np.ndarray:
    return trial.propensity[np.arange(len(trial.arm)), trial.arm]


def _missed(expected: np.ndarray, trial: Trial) -> float:
    """Squared error of the mean of the arm that was drawn."""
    return float(((trial.outcome - expected[np.arange(len(trial.arm)), trial.arm]) ** 2).mean())


def _checked(outcome: Sequence, rows: int, kind: str) -> np.ndarray:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but is {kind!r}. Choose one of them.")
    if kind == BINARY:
        return checked_outcome(outcome, rows)
    y = np.asarray(outcome, dtype=float)
    wrong = ~np.isfinite(y) | ((y < 0) | (y != np.rint(y)) if kind == COUNT else False)
    if y.shape != (rows,) or wrong.any():
        found = f"{y[wrong][0]} in position {int(np.argmax(wrong))}" if y.shape == (rows,) else f"shape {y.shape}"
        raise ValueError(f"The outcome must be {'a count' if kind == COUNT else 'finite'}, but there is {found}.")
    return y


def _checked_propensity(propensity: np.ndarray, arm: np.ndarray) -> np.ndarray:
    e = np.asarray(propensity, dtype=float)
    if e.ndim != 2 or len(e) != len(arm) or e.shape[1] <= arm.max() or e.shape[1] < 2:
        raise ValueError(f"propensity must have a row for each of {len(arm):,} and a column for each arm: {e.shape}.")
    wrong = ~((e > 0) & (e < 1)).all(axis=1) | (np.abs(e.sum(axis=1) - 1) > 1e-6)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"Propensities must lie between 0 and 1 and sum to 1, but do not in {wrong.sum():,} of {len(e):,} rows, "
            f"first in position {at} ({', '.join(f'{v:.3g}' for v in e[at])}). Leave out who had no choice."
        )
    return e


def _refuse_few(arm: np.ndarray, subjects: np.ndarray, arms: int) -> None:
    for a in range(arms):
        found = len(np.unique(subjects[arm == a]))
        if found < FEWEST:
            raise TooFewCases(f"At least {FEWEST} subjects must be in each arm, but {found} are in arm {a}. Join arms.")
