r"""What would each row have brought under each arm? Scores that are right on average, one for each row and arm.

With A the arm that was drawn, e the probability with which it was, Y what followed and m(a) what a model that has not
seen the row expects under arm a:

.. math:: \Gamma_a = m(a) + \frac{1\{A = a\}}{e} (Y - m(a)), \qquad \psi = \Gamma_a - \Gamma_{control}

The mean of the first over any rows that are chosen without looking at Y is the mean outcome had all of them been in
arm a, and that of the second the effect of a. With known e that holds for any m, and a good m makes it less noisy; with
e estimated, it holds where either e or m is right [2]. Without m it is inverse propensity weighting [1]. Outcomes are
0 or 1, counts or money; the scores are in their unit. One score of a row says nothing of that row.

[1] Horvitz & Thompson (1952), A Generalization of Sampling Without Replacement from a Finite Universe, JASA 47.
[2] Robins, Rotnitzky & Zhao (1994), Estimation of Regression Coefficients When Some Regressors Are Not Always Observed,
    JASA 89; as here Dudik, Langford & Li (2011), Doubly Robust Policy Evaluation and Learning, ICML.
"""

import numpy as np

from evaluation.estimate import checked_scores, refuse, same_length


def arm_values(outcome, arm, propensity, expected=None, arms: int | None = None) -> np.ndarray:
    """The score of each row (n) under each arm (k), in the unit of the outcome; (n, k).

    outcome     what followed (n,)
    arm         which arm was drawn: 0 is the control, then 1 to k - 1 (n,)
    propensity  the probability with which *that* arm was drawn, as in the table of contacts (n,), or one number
    expected    what is expected under each arm (n, k), foretold by a model that has not seen the row; None: weighting
    arms        k, where `expected` does not say it; the largest arm seen plus one otherwise

    Raises ValueError for arms that are no such numbers, a propensity outside (0, 1], and shapes that differ.
    """
    outcome, arm = checked_scores(outcome, "outcome"), checked_arms(arm)
    same_length(outcome, arm, "arm")
    propensity = checked_propensity(propensity, outcome.size)
    k = arms or (int(arm.max()) + 1 if expected is None else np.shape(expected)[-1])
    expected = np.zeros((outcome.size, k)) if expected is None else np.asarray(expected, dtype=float)
    if expected.shape != (outcome.size, k) or not np.isfinite(expected).all():
        raise ValueError(
            f"expected must be a finite number for each of {outcome.size:,} rows and {k} arms, but has the shape "
            f"{expected.shape} and {int((~np.isfinite(expected)).sum()):,} numbers that are not finite."
        )
    refuse(arm >= k, arm, f"an arm must be below {k}, the number of arms", "Name every arm in `expected`.")
    values = expected.copy()
    rows = np.arange(outcome.size)
    values[rows, arm] += (outcome - expected[rows, arm]) / propensity
    return values


def effect_scores(outcome, treated, treated_propensity, expected=None) -> np.ndarray:
    """The score of each row's effect where there are two arms, treated less control; (n,).

    outcome, treated     what followed, and whether she was treated, 0 or 1 (n,)
    treated_propensity   the probability of being treated (n,), or one number
    expected             what is expected without and with treatment (n, 2), out of fold; None: weighting

    Raises ValueError as `arm_values`.
    """
    treated = checked_arms(treated)
    refuse(treated > 1, treated, "treated must be 0 or 1", "Compare one arm with the control at a time.")
    given = np.broadcast_to(np.asarray(treated_propensity, dtype=float), treated.shape)
    values = arm_values(outcome, treated, np.where(treated == 1, given, 1 - given), expected, arms=2)
    return values[:, 1] - values[:, 0]


def checked_arms(arm) -> np.ndarray:
    """Arms as whole numbers from 0 on; raises ValueError for anything else."""
    found = checked_scores(arm, "arm")
    refuse(
        (found < 0) | (found != np.rint(found)), found, "an arm must be 0, 1, 2 ...", "Number the arms; control is 0."
    )
    return found.astype(np.int64)


def checked_propensity(propensity, n: int) -> np.ndarray:
    """The probability of what was drawn, one a row (n,); raises ValueError outside (0, 1]."""
    found = np.asarray(propensity, dtype=float)
    if found.shape not in ((), (n,)):
        raise ValueError(f"propensity must be one number or {n:,}, but has the shape {found.shape}.")
    bad = ~((found > 0) & (found <= 1))  # NaN too
    refuse(np.atleast_1d(bad), np.atleast_1d(found), "a propensity must lie in (0, 1]", "Leave out who had no choice.")
    return np.broadcast_to(found, (n,))
