"""Which learner ranks best those whom a treatment changes, told by rows that it had not seen.

The measure is the doubly robust Qini, out of fold, averaged over the arms; the plain response model is among the
rivals, since on some campaigns it ranks best. From the simplest up, a learner must beat the best simpler one by more
than a standard error of the difference; so ties go to the simpler, as everywhere in this project.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.estimate import Z
from evaluation.uplift import qini_difference, qini_interval
from models.uplift import BASES, Fitted, Uplift
from models.uplift_learners import CLASS, LEARNERS, RESPONSE


class Picked(NamedTuple):
    """model: the one that the rule takes; contest: one row a learner, simplest first."""

    model: Uplift
    contest: pd.DataFrame


def pick(fitted: Fitted, subjects: Sequence | None = None) -> Picked:
    """The learner that the rule takes, and the contest: learner, base, qini with its interval, rival, gain, its
    standard error, and the doubly robust loss.

    The response model has no effects to be wrong about, so no loss; class transformation is shown, never taken.
    """
    effect = fitted.scores[:, 1:] - fitted.scores[:, :1]
    ranked = sorted(fitted.models, key=lambda name: (LEARNERS.index(name[0]), BASES.index(name[1])))
    rows, best = [], ranked[0]
    for name in ranked:
        said, rival = fitted.effects[name], fitted.effects[best]
        gain, error = _gain(effect, said, rival, subjects)
        row = {"learner": name[0], "base": name[1], **_measured(effect, said, subjects)}
        row |= {"rival": " ".join(best[::-1]), "gain": gain, "error": error}
        row["loss"] = np.nan if name[0] == RESPONSE else float(((effect - said) ** 2).mean())
        rows.append(row)
        if gain > error and name[0] != CLASS:
            best = name
    return Picked(fitted.models[best], pd.DataFrame(rows))


def _gain(effect, said, rival, subjects) -> tuple[float, float]:
    """Difference in Qini, mean over the arms, and its standard error, which counts the arms as one: they share rows."""
    each = [qini_difference(e, s, r, subjects) for e, s, r in zip(effect.T, said.T, rival.T, strict=True)]
    return float(np.mean([d.value for d in each])), float(np.mean([(d.high - d.low) / 2 / Z for d in each]))


def _measured(effect, said, subjects) -> dict[str, float]:
    each = np.mean([qini_interval(e, s, subjects) for e, s in zip(effect.T, said.T, strict=True)], axis=0)
    return dict(zip(("qini", "low", "high"), each.tolist(), strict=True))
