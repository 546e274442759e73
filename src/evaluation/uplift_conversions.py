r"""The same ranking in the numbers of other libraries, for those who compare: scikit-uplift 0.5.1 and causalml 0.18.

They count the arms within the top k of n rows, N and Y being rows and outcome sums of an arm there, where ours weighs
every row by the probability of its arm. With a(g) the area between a curve and its chord over shares of the rows (what
the Qini is of G), A(g) the whole area, and

.. math:: g(k) = \frac{k}{n} \Big(\frac{Y_T}{N_T} - \frac{Y_C}{N_C}\Big), \qquad
          h(k) = \frac1n \Big(Y_T - Y_C \frac{N_T}{N_C}\Big)

| theirs | from these curves | beside ours |
|---|---|---|
| scikit-uplift `uplift_auc_score` | a(g) / a(g of the perfect order) | a(g) tends to the Qini |
| scikit-uplift `qini_auc_score` | a(h) / a(h of the perfect order) | a(h) tends to the Qini times the share treated |
| scikit-uplift `uplift_at_k`, overall | g(k) n / k | tends to `uplift_at` |
| causalml `auuc_score`, raw | n (n A(g) + g(n) / 2) / (n + 1) | n times the AUUC, nearly |
| causalml `auuc_score` | that, divided by n abs(g(n)) | AUUC over the average effect |
| causalml `qini_score`, raw | n^2 a(h) / (n + 1) | n times the Qini times the share treated |
| causalml `qini_score` | that, divided by n abs(h(n)) | Qini over the average effect |

"Tends to" holds where arms are drawn with one probability for all; where it differs from row to row, theirs is biased.
The perfect order is of binary outcomes, so scikit-uplift's numbers are of them alone; causalml's take any. Equal scores
are stepped over as scikit-uplift does; causalml takes them in the order of the rows, so that its numbers of tied scores
are of that order and cannot be had here.
"""

from typing import NamedTuple

import numpy as np

from evaluation.arm_values import checked_arms
from evaluation.estimate import checked_outcomes, checked_scores, refuse, same_length
from evaluation.tie_groups import tie_groups


class Counted(NamedTuple):
    """Rows of each arm and sums of their outcomes down to the end of each group of equal scores; each (g + 1,)."""

    treated: np.ndarray
    control: np.ndarray
    of_treated: np.ndarray
    of_control: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Of all rows, from 0 to 1."""
        rows = self.treated + self.control
        return rows / rows[-1]

    def gain(self) -> np.ndarray:
        """g: difference of the arms' means in the top, times its share; an arm not met yet has the mean zero."""
        return (_ratio(self.of_treated, self.treated) - _ratio(self.of_control, self.control)) * self.share

    def radcliffe(self) -> np.ndarray:
        """h: the treated's sum less the control's, blown up to as many rows; for each head of all."""
        rows = self.treated[-1] + self.control[-1]
        return (self.of_treated - self.of_control * _ratio(self.treated, self.control)) / rows


def counted(outcome, treated, score) -> Counted:
    """The arms counted down the ranking; outcome of any kind, treated 0 or 1, score (n,).

    Raises ValueError for an arm without rows.
    """
    outcome, treated, score = _checked(outcome, treated, score)
    groups = tie_groups(score)
    columns = (treated, 1 - treated, outcome * treated, outcome * (1 - treated))
    return Counted(*(np.concatenate([[0], np.cumsum(groups.total(of))]) for of in columns))


def counted_qini(outcome, treated, score) -> float:
    """a(g): the area above the chord of the gain per head, its arms counted."""
    found = counted(outcome, treated, score)
    return above_chord(found.share, found.gain())


def scikit_uplift_auuc(outcome, treated, score) -> float:
    """scikit-uplift's `uplift_auc_score`, of outcomes 0 or 1."""
    treated_buys = 2 * (np.asarray(outcome) == np.asarray(treated))
    return _of_perfect(outcome, treated, score, treated_buys + _second_key(outcome, treated), Counted.gain)


def scikit_uplift_qini(outcome, treated, score) -> float:
    """scikit-uplift's `qini_auc_score` with its `negative_effect`, of outcomes 0 or 1."""
    helped = np.asarray(outcome, dtype=float) * (2 * np.asarray(treated, dtype=float) - 1)
    return _of_perfect(outcome, treated, score, helped, Counted.radcliffe)


def scikit_uplift_at(outcome, treated, score, share: float) -> float:
    """scikit-uplift's `uplift_at_k`, overall, of scores that differ; share in (0, 1)."""
    found = _untied(outcome, treated, score)
    rows = int((found.share.size - 1) * share)
    return float(found.gain()[rows] / found.share[rows])


def causalml_auuc(outcome, treated, score, normalised: bool = True) -> float:
    """causalml's `auuc_score`, of scores that differ."""
    found = _untied(outcome, treated, score)
    both = (found.treated > 0) & (found.control > 0)
    lift = _filled(found.gain() / np.maximum(found.share, 1e-300), both)
    gain = lift * found.share
    n = gain.size - 1
    value = n * (n * np.trapezoid(gain, found.share) + gain[-1] / 2) / (n + 1)
    return float(value / abs(n * gain[-1]) if normalised else value)


def causalml_qini(outcome, treated, score, normalised: bool = True) -> float:
    """causalml's `qini_score`, of scores that differ."""
    found = _untied(outcome, treated, score)
    curve = _filled(found.radcliffe(), found.control > 0)
    n = curve.size - 1
    value = n**2 * above_chord(found.share, curve) / (n + 1)
    return float(value / abs(n * curve[-1]) if normalised else value)


def above_chord(share: np.ndarray, curve: np.ndarray) -> float:
    """The area between a curve that starts at zero and the straight line to its end."""
    return float(np.trapezoid(curve - share * curve[-1], share))


def _of_perfect(outcome, treated, score, perfect, curve) -> float:
    checked_outcomes(outcome)
    ours, best = counted(outcome, treated, score), counted(outcome, treated, perfect)
    return above_chord(ours.share, curve(ours)) / above_chord(best.share, curve(best))


def _second_key(outcome, treated) -> np.ndarray:
    """How scikit-uplift orders the middle of its perfect curve."""
    outcome, treated = np.asarray(outcome), np.asarray(treated)
    bought_alone, not_moved = ((outcome == 1) & (treated == 0)).sum(), ((outcome == 0) & (treated == 1)).sum()
    return outcome if bought_alone > not_moved else treated


def _filled(curve: np.ndarray, met: np.ndarray) -> np.ndarray:
    """causalml draws a straight line from zero to the first row at which the arms that it needs have been met."""
    place = np.concatenate([[0], np.flatnonzero(met)])
    return np.interp(np.arange(curve.size), place, np.concatenate([[0], curve[met]]))


def _untied(outcome, treated, score) -> Counted:
    found = counted(outcome, treated, score)
    if found.share.size <= np.size(outcome):
        raise ValueError(
            f"scores must differ, but {np.size(outcome) + 1 - found.share.size:,} of {np.size(outcome):,} repeat "
            "another: the number asked for hangs on the order of the rows then. Use `uplift.qini`."
        )
    return found


def _checked(outcome, treated, score) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outcome, treated, score = checked_scores(outcome, "outcome"), checked_arms(treated), checked_scores(score)
    same_length(outcome, treated, "treated")
    same_length(outcome, score, "score")
    refuse(treated > 1, treated, "treated must be 0 or 1", "Compare one arm with the control at a time.")
    if treated.min() == treated.max():
        raise ValueError(f"both arms must have rows, but all {treated.size:,} have treated = {treated[0]}.")
    return outcome, treated.astype(float), score


def _ratio(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(part, of, out=np.zeros(of.size), where=of > 0)
