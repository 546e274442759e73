r"""Does the score put those first whom the treatment changes most? One definition, for buyers and for money alike.

A row has a score and an effect score psi (`arm_values`), in the unit of the outcome: from inverse propensity weighting,
or doubly robust. Equal scores are one group, taken evenly, so that no measure depends on the order of the rows. With
G(q) what treating the top share q of n heads adds, for each head of all n:

.. math:: G(q) = \frac1n \sum_{i \in top(q)} \psi_i, \quad \bar\psi = G(1), \quad
          Qini = \int_0^1 \big(G(q) - q \bar\psi\big) dq, \quad AUUC = \int_0^1 G(q) dq = Qini + \bar\psi / 2

Per head, neither divided by the treated nor by a perfect curve; times 10,000 it is what a mailing of ten thousand gains
on average over all depths. Since psi is right on average whatever the shares of the arms, so is the Qini. With m_i the
middle rank of i's group as a share (0 best, 1 worst) the Qini is the mean of psi (1/2 - m): a covariance. And

.. math:: TOC(q) = G(q) / q - \bar\psi, \qquad AUTOC = \int_0^1 TOC(q) dq

`uplift_conversions` turns the same data into the numbers of other libraries.

[1] Radcliffe (2007), Using Control Groups to Target on Predicted Lift, Direct Marketing Analytics Journal: Qini.
[2] Yadlowsky, Fleming, Shah, Brunskill & Wager (2021), Evaluating Treatment Prioritization Rules via Rank-Weighted
    Average Treatment Effects: TOC, AUTOC, doubly robust scores in them.
[3] Hoeffding (1948), A Class of Statistics with Asymptotically Normal Distribution: the error of the Qini, whose ranks
    are drawn too.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from evaluation.bootstrap import drawn_subjects, interval
from evaluation.comparison import Difference, difference_of_draws
from evaluation.estimate import Estimate, checked_scores, normal_interval, refuse, same_length, subject_codes
from evaluation.tie_groups import at_shares, tie_groups

DRAWS = 500
SHARES = np.linspace(0, 1, 101)
DEPTHS = (0.1, 0.2, 0.3)
EXACT = ("average_effect", "qini", "auuc")
RESAMPLED = (*(f"uplift_{depth * 100:.0f}" for depth in DEPTHS), "autoc")


class Curve(NamedTuple):
    """What treating the top `share` adds for each head of all; at_random: a share drawn blindly; each (k,)."""

    share: np.ndarray
    gained: np.ndarray
    at_random: np.ndarray


def qini(effect, score) -> float:
    """The area between the curve of the ranking and that of chance, per head, in the unit of `effect`; both (n,).

    Zero where all scores are equal, and on average for a score that says nothing; below zero for a harmful one.
    """
    effect, score = _checked(effect, score)
    return _Ranked(effect, score).exact(np.ones(effect.size))[1]


def auuc(effect, score) -> float:
    """The area under the curve of the ranking, per head: the Qini and half the average effect."""
    effect, score = _checked(effect, score)
    return _Ranked(effect, score).exact(np.ones(effect.size))[2]


def qini_interval(effect, score, subjects=None) -> Estimate:
    """The Qini with its 95% interval in closed form [3], clustered by subject; O(n log n)."""
    effect, score = _checked(effect, score)
    value, error, _ = _exact(effect, score, subjects)
    return normal_interval(value[1], error[1])


def qini_difference(effect, first, second, subjects=None) -> Difference:
    """Qini of the ranking `first` minus that of `second` on the same rows, in closed form, clustered by subject.

    Rankings that are alike differ by zero, with a p-value of one.
    """
    effect, first = _checked(effect, first)
    _, second = _checked(effect, second)
    (one, _, influence), (other, _, of_other) = (_exact(effect, score, subjects) for score in (first, second))
    value, error = one[1] - other[1], _error(influence[1] - of_other[1], effect.size)
    scale = max(1e-300, float(np.abs(influence[1]).max()))
    if error < 1e-12 * scale:
        return Difference(*normal_interval(value, error), float(abs(value) < 1e-12 * scale))
    return Difference(*normal_interval(value, error), float(2 * ndtr(-abs(value) / error)))


def uplift_at(effect, score, share: float) -> float:
    """The average effect in the top `share`, in (0, 1]; a group that is cut counts evenly."""
    _check_share(share)
    effect, score = _checked(effect, score)
    return float(_Ranked(effect, score).gained(np.ones(effect.size), share) / share)


def uplift_curve(effect, score, shares=SHARES) -> Curve:
    """G(q) at each of `shares` in [0, 1], and q times the average effect."""
    effect, score = _checked(effect, score)
    shares = checked_scores(shares, "shares")
    return Curve(shares, _Ranked(effect, score).gained(np.ones(effect.size), shares), shares * effect.mean())


def toc(effect, score, shares=SHARES[1:]) -> np.ndarray:
    """By how much the average effect in each of the top `shares` in (0, 1] exceeds that of all; (k,)."""
    curve = uplift_curve(effect, score, shares)
    return curve.gained / curve.share - np.mean(effect)


def autoc(effect, score) -> float:
    """The area under the TOC [2], which weighs the best few more than the Qini does."""
    effect, score = _checked(effect, score)
    return _Ranked(effect, score).autoc(np.ones(effect.size))


def uplift_measures(effect, score, subjects=None, seed: int = 0) -> dict[str, Estimate]:
    """average_effect, qini, auuc, uplift_10, uplift_20, uplift_30 and autoc, each with its 95% interval.

    effect, score, subjects  effect score, ranking score, and id of the subject of each row (n,)

    The first three are averages and have their intervals in closed form; those of the others, which hang on where the
    top ends, come from 500 draws of subjects from `seed`.
    """
    effect, score = _checked(effect, score)
    value, error, _ = _exact(effect, score, subjects)
    found = {name: normal_interval(v, e) for name, v, e in zip(EXACT, value, error, strict=True)}
    ranked, codes = _Ranked(effect, score), subject_codes(subjects, effect.size)
    point = ranked.resampled(np.ones(effect.size))
    drawn = np.array([ranked.resampled(weight) for weight in drawn_subjects(codes, DRAWS, seed)])
    return found | {name: interval(point[k], drawn[:, k]) for k, name in enumerate(RESAMPLED)}


def uplift_gains(effect, first, second, subjects=None, seed: int = 0) -> dict[str, Difference]:
    """By how much `second` ranks better than `first` on the same rows, in each measure but the average effect.

    Paired: Qini and AUUC, which differ alike, in closed form; the others from 500 draws of subjects, each of which
    measures both rankings.
    """
    difference = qini_difference(effect, second, first, subjects)
    effect, first = _checked(effect, first)
    _, second = _checked(effect, second)
    one, other, codes = _Ranked(effect, first), _Ranked(effect, second), subject_codes(subjects, effect.size)

    def gain(weight):
        return np.subtract(other.resampled(weight), one.resampled(weight))

    value = gain(np.ones(effect.size))
    drawn = np.array([gain(weight) for weight in drawn_subjects(codes, DRAWS, seed)])
    found = {"qini": difference, "auuc": difference}
    return found | {name: difference_of_draws(value[k], drawn[:, k]) for k, name in enumerate(RESAMPLED)}


class _Ranked:
    """Rows sorted once by falling score, so that a draw of weights costs O(n). Weights are of the rows as given."""

    def __init__(self, effect: np.ndarray, score: np.ndarray):
        self.effect, self.groups = effect, tie_groups(score)

    def totals(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and effect of each group, best first."""
        return self.groups.total(weight), self.groups.total(weight * self.effect)

    def exact(self, weight: np.ndarray) -> tuple[float, float, float]:
        """The measures of EXACT."""
        size, total = self.totals(weight)
        rows = size.sum()
        middle = (np.cumsum(size) - size / 2) / rows
        mean, area = total.sum() / rows, (total * (0.5 - middle)).sum() / rows
        return float(mean), float(area), float(area + mean / 2)

    def gained(self, weight: np.ndarray, shares) -> np.ndarray:
        """G at each of the shares."""
        size, total = self.totals(weight)
        return at_shares(size, total, shares) / size.sum()

    def autoc(self, weight: np.ndarray) -> float:
        """Between the ends a and b of a group G is straight, with slope s: the integral of G/q has a closed form."""
        size, total = self.totals(weight)
        held = size > 0
        size, total = size[held], total[held]
        end, gained = np.cumsum(size), np.cumsum(total)
        start, before = end[:-1], gained[:-1]
        return float(((before - total[1:] / size[1:] * start) * np.log(end[1:] / start)).sum() / end[-1])

    def resampled(self, weight: np.ndarray) -> np.ndarray:
        """The measures of RESAMPLED."""
        depths = np.array(DEPTHS)
        return np.append(self.gained(weight, depths) / depths, self.autoc(weight))


def _exact(effect: np.ndarray, score: np.ndarray, subjects) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The measures of EXACT (3,), their standard errors (3,), and what each subject moves them by, times n (3, K)."""
    groups, n = tie_groups(score), effect.size
    size, total = groups.total(np.ones(n)), groups.total(effect)
    middle = (np.cumsum(size) - size / 2) / n
    below = total.sum() - np.cumsum(total) + total / 2  # a row more on top pushes these down
    area = float((total * (0.5 - middle)).sum() / n)
    mean = float(total.sum() / n)
    of_mean = effect - mean
    of_area = effect * groups.of_rows(0.5 - middle) - groups.of_rows(below / n)
    of_area = of_area - of_area.mean()
    moved = np.array([of_mean, of_area, of_area + of_mean / 2])
    if subjects is not None:
        codes = subject_codes(subjects, n)
        moved = np.array([np.bincount(codes, of) for of in moved])
    return np.array([mean, area, area + mean / 2]), np.array([_error(of, n) for of in moved]), moved


def _error(moved: np.ndarray, n: int) -> float:
    """The standard error of an average over n rows from what each subject moves it by (K,)."""
    if moved.size < 2:
        raise ValueError(f"an interval needs at least two subjects, but has {moved.size}.")
    return float(np.sqrt(moved.size / (moved.size - 1) * (moved**2).sum()) / n)


def _checked(effect, score) -> tuple[np.ndarray, np.ndarray]:
    effect, score = checked_scores(effect, "effect"), checked_scores(score)
    same_length(effect, score, "score")
    return effect, score


def _check_share(share: float) -> None:
    refuse(
        np.array([not 0 < share <= 1]), np.array([share]), "a share must lie in (0, 1]", "Write ten per cent as 0.1."
    )
