r"""How likely would those have defaulted whom nobody lent to? Five answers, and the band that they span.

Outcomes are known of the accepted alone, and the accepted were chosen for being good. Each method makes up for it by an
assumption that the data cannot prove; who prints one of their numbers without the band says more than he knows.

accept only    what the accepted teach holds for the rejected of the same form
reweighting    an accepted application counts for all of its acceptance score, 1 / P(accepted | form) [1]
parcelling     a rejected one defaults `PRUDENCE` times as often as accepted ones of its score band, the outcomes are
               dealt out and the model is fitted to all [2]
fuzzy          each rejected one counts as bad with the odds that `accept only` gives it, times `PRUDENCE`, and as good
               with the rest [2]
bivariate      acceptance and default share a cause that no form shows: two probits with correlated errors [3], [4]

.. math:: P(\text{bad} \mid x, \text{rejected}) = \Phi_2(x'\beta, -x'\gamma; -\rho) \big/ \Phi(-x'\gamma)

Without a column that moves acceptance alone, rho rests on the normal shape of the errors; its likelihood is flat, and
so the bivariate method enters the band with both ends of rho's 95 % likelihood interval. `PRUDENCE` was set on other
simulated lenders than those of `benchmarks/rejects.py`, which says how far each method is off, and how often the band
holds the truth.

[1] Hsia (1978), Credit Scoring and the Equal Credit Opportunity Act, Hastings Law Journal 30: augmentation.
[2] Siddiqi (2017), Intelligent Credit Scoring, 2nd edition, chapter 9: parcelling, fuzzy augmentation.
[3] Boyes, Hoffman & Low (1989), An Econometric Analysis of the Bank Credit Scoring Problem, Journal of Econometrics 40.
[4] Heckman (1979), Sample Selection Bias as a Specification Error, Econometrica 47; Hand & Henley (1993), Can Reject
    Inference Ever Work?, IMA Journal of Mathematics Applied in Business and Industry 5.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from models import logistic, selection
from models.design import Design
from models.encoding import UNSEEN, Encoder
from models.folds import TooFewCases, checked_outcome, settled_order

ACCEPT_ONLY, REWEIGHTING, PARCELLING, FUZZY = "accept only", "reweighting", "parcelling", "fuzzy"
BIVARIATE, BIVARIATE_LOW, BIVARIATE_HIGH = "bivariate", "bivariate, rho low", "bivariate, rho high"
METHODS = (ACCEPT_ONLY, REWEIGHTING, PARCELLING, FUZZY, BIVARIATE, BIVARIATE_LOW, BIVARIATE_HIGH)
PRUDENCE = 1.5  # by which the rejected of a score band are worse than its accepted; of odds where they are odds
BANDS = 10
LARGEST_WEIGHT = 20.0  # an application accepted against all odds must not speak for more than so many
FEWEST = 20


class Rejects(NamedTuple):
    """What each method says.

    pd     a row an application, in the order given, a column a method: probability of default
    rho    of the bivariate method: estimate, low and high end of its 95 % likelihood interval; below 0 the lender knew
           more than the form says
    """

    pd: pd.DataFrame
    rho: tuple[float, float, float]

    def band(self) -> pd.DataFrame:
        """low and high (n,): the least and the largest of the methods for each application."""
        return pd.DataFrame({"low": self.pd.min(axis=1), "high": self.pd.max(axis=1)})

    def mean(self, rows: np.ndarray) -> pd.Series:
        """The mean of each method over some applications; its least and largest are the band of that mean."""
        return self.pd[rows].mean()


def infer(X: pd.DataFrame, accepted: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Rejects:
    """What the methods say of all applications.

    X         form and history, a row an application, accepted or not
    accepted  whether it was (n,)
    y         outcomes of the accepted (n,): 1 bad, 0 good; what it says of others is not looked at

    Raises `TooFewCases` for fewer than 20 accepted bad, accepted good or rejected applications.
    """
    accepted = np.asarray(accepted, dtype=bool)
    outcome = checked_outcome(np.asarray(y, dtype=float)[accepted], int(accepted.sum()))
    _refuse_few(outcome, int((~accepted).sum()))
    strength = logistic.fit(X[accepted].reset_index(drop=True), outcome, seed=seed).strength
    encoder = Encoder.learn(X)
    matrix = encoder.encode(X, UNSEEN)
    # in an order of their own, so that neither sums nor dealt outcomes depend on the order in which they came
    order = settled_order(matrix, accepted.astype(float) + np.asarray(y, dtype=float) * accepted, None)
    matrix, answered = matrix[order], accepted[order]
    outcome = np.asarray(y, dtype=float)[order][answered]
    with threadpool_limits(1):
        design = Design.learn(matrix, encoder.is_category).transform(matrix)
        design -= design.mean(axis=0)
        rows = _Rows(design, answered, outcome, strength)
        chance = rows.accept_only()
        found = {ACCEPT_ONLY: chance} | {name: make(rows, chance, seed) for name, make in _BY_WEIGHTS.items()}
        joint = selection.fit(design, answered, outcome, 1 / strength)
        ends = joint.ends()
        for name, model in zip((BIVARIATE, BIVARIATE_LOW, BIVARIATE_HIGH), (joint, *ends), strict=True):
            found[name] = model.default_given_answer(design, answered)
    pd_ = pd.DataFrame(found, index=order)[list(METHODS)].sort_index().set_axis(X.index)
    return Rejects(pd_, (joint.rho, ends[0].rho, ends[1].rho))


class _Rows(NamedTuple):
    """The applications as a regression takes them."""

    design: np.ndarray
    accepted: np.ndarray
    outcome: np.ndarray
    strength: float

    def accept_only(self) -> np.ndarray:
        """Probabilities (n,) by a regression on the accepted alone."""
        return self.fitted(self.design[self.accepted], self.outcome, np.ones(self.outcome.size))

    def fitted(self, design: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Probabilities (n,) by a regression on weighted rows; the penalty is that of the accepted."""
        model = LogisticRegression(solver="newton-cholesky", C=self.strength, max_iter=200)
        model.fit(design, outcome, sample_weight=weight)
        return expit(model.intercept_[0] + self.design @ model.coef_[0])

    def with_rejected(self, bad: np.ndarray) -> np.ndarray:
        """The same on all applications; the rejected count as bad with probability `bad`, and as good with the rest."""
        rejected = self.design[~self.accepted]
        design = np.vstack([self.design[self.accepted], rejected, rejected])
        outcome = np.concatenate([self.outcome, np.ones(bad.size), np.zeros(bad.size)])
        return self.fitted(design, outcome, np.concatenate([np.ones(self.outcome.size), bad, 1 - bad]))


def _reweighted(rows: _Rows, chance: np.ndarray, seed: int) -> np.ndarray:
    answer = LogisticRegression(solver="newton-cholesky", C=rows.strength, max_iter=200)
    answer.fit(rows.design, rows.accepted)
    accepts = expit(answer.intercept_[0] + rows.design[rows.accepted] @ answer.coef_[0])
    weight = np.minimum(1 / accepts, LARGEST_WEIGHT)
    return rows.fitted(rows.design[rows.accepted], rows.outcome, weight * weight.size / weight.sum())


def _parcelled(rows: _Rows, chance: np.ndarray, seed: int) -> np.ndarray:
    """Bands are tenths of all applications by score; one without accepted ones takes what the score says of it."""
    edges = np.quantile(chance, np.linspace(0, 1, BANDS + 1)[1:-1])
    band = np.searchsorted(edges, chance, side="right")
    inside, bad = (np.bincount(band[rows.accepted], of, BANDS) for of in (np.ones(rows.outcome.size), rows.outcome))
    scored = np.bincount(band, chance, BANDS) / np.maximum(np.bincount(band, minlength=BANDS), 1)
    # a band of few accepted is pulled to its score: one default among three is no rate
    rate = (bad + FEWEST * scored) / (inside + FEWEST)
    wanted = np.minimum(PRUDENCE * rate, 0.95)[band[~rows.accepted]]
    draw = np.random.default_rng(seed).random(wanted.size)
    return rows.with_rejected((draw < wanted).astype(float))


def _fuzzy(rows: _Rows, chance: np.ndarray, seed: int) -> np.ndarray:
    return rows.with_rejected(expit(logit(chance[~rows.accepted]) + np.log(PRUDENCE)))


_BY_WEIGHTS: dict[str, Callable[[_Rows, np.ndarray, int], np.ndarray]] = {
    REWEIGHTING: _reweighted,
    PARCELLING: _parcelled,
    FUZZY: _fuzzy,
}


def _refuse_few(outcome: np.ndarray, rejected: int) -> None:
    counts: Sequence[tuple[str, int]] = (
        ("accepted bad", int(outcome.sum())),
        ("accepted good", int((1 - outcome).sum())),
        ("rejected", rejected),
    )
    for what, found in counts:
        if found < FEWEST:
            raise TooFewCases(
                f"Reject inference needs {FEWEST} {what} applications, but there are {found}. Take more of them, or "
                f"say that nothing is known of the rejected."
            )
