r"""How the lender has decided so far: a score of the form, an officer who sees more than the form, and exceptions.

An application is accepted when s + noise e > c, where s = weighed standard scores of what the form says (no file counts
as average) + insight z; a share `overrides` of decisions is then turned round. The cut-off c is that at which exactly a
share `accepts` of all applications is accepted in expectation. With `insight` 0 the rejected are missing at random
given the form; otherwise they are not, and no method that sees the form alone can make up for it [1].

[1] Hand & Henley (1993), Can reject inference ever work?, IMA Journal of Mathematics Applied in Business and
    Industry 5.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from sources.world.applicants import STRENGTHS, Applications, prior
from sources.world.credit import Credit
from sources.world.draws import choice, normal, uniform


class Decisions(NamedTuple):
    """What the lender decided, arrays of shape (n,).

    score        of the form, in standard deviations of its parts
    probability  of being accepted, given the form and true strength
    accepted     what was drawn
    multiple     of the amount asked for that is granted; drawn blindly, for the rejected what it would have been
    """

    score: np.ndarray
    probability: np.ndarray
    accepted: np.ndarray
    multiple: np.ndarray


def decide(credit: Credit, seed: int, asked: Applications) -> Decisions:
    """The lender's answer to each application."""
    who, slot = asked.customer_id, asked.slot
    score = credit.weigh_income * asked.scores["income"] - credit.weigh_burden * asked.scores["burden"]
    score = score + credit.weigh_bureau * np.where(np.isnan(asked.bureau), 0.0, asked.scores["bureau"])
    margin = score + credit.insight * asked.strength - cut_off(credit)
    turned = uniform(seed, "override", who, slot) < credit.overrides
    keeps = margin + credit.noise * normal(seed, "officer", who, slot) > 0
    chance = ndtr(margin / credit.noise) if credit.noise > 0 else (margin > 0).astype(float)
    return Decisions(
        score=score,
        probability=credit.overrides + (1 - 2 * credit.overrides) * chance,
        accepted=keeps ^ turned,
        multiple=np.array(credit.limits)[choice(credit.limit_shares, uniform(seed, "limit", who, slot))],
    )


@cache
def cut_off(credit: Credit) -> float:
    """c, from the distribution of strength among applicants and that of the scores given strength."""
    kept = (credit.accepts - credit.overrides) / (1 - 2 * credit.overrides)
    return brentq(lambda c: _above(credit, c) - kept, -50.0, 50.0)


def _above(credit: Credit, c: float) -> float:
    """Share of applications whose score, insight and noise together exceed c."""
    found = 0.0
    for share, bureau in ((credit.no_file, 0.0), (1 - credit.no_file, credit.weigh_bureau)):
        parts = (
            (bureau, credit.loads_bureau),
            (credit.weigh_income, credit.loads_income),
            (-credit.weigh_burden, credit.loads_burden),
        )
        mean = (sum(w * loads for w, loads in parts) + credit.insight) * STRENGTHS
        spread = np.sqrt(sum(w**2 * (1 - loads**2) for w, loads in parts) + credit.noise**2)
        found += share * float(prior(credit) @ ndtr((mean - c) / spread))
    return found
