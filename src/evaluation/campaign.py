r"""What did a past campaign change? From its own control group, adjusted for what was known before the contact.

Each arm's outcome is regressed on columns known before it, by weighted least squares within the arm, and the effect
is the mean of the doubly robust scores (`arm_values`) of the arm less the control's. That is CUPED [1] with as many
columns as are given, done arm by arm [2]: the columns take out noise, and cannot bias what randomisation gives. Without
columns it is the weighted difference of means. Outcomes are 0 or 1, counts or money; arrays have one entry a contact.

[1] Deng, Xu, Kohavi & Walker (2013), Improving the Sensitivity of Online Controlled Experiments by Utilizing
    Pre-Experiment Data, WSDM.
[2] Lin (2013), Agnostic Notes on Regression Adjustments to Experimental Data, Annals of Applied Statistics 7(1).
[3] Fabijan et al. (2019), Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD.
[4] Austin (2009), Balance Diagnostics for Comparing the Distribution of Baseline Covariates, Statistics in Medicine 28.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr

from evaluation.arm_values import arm_values, checked_arms, checked_propensity
from evaluation.comparison import holm
from evaluation.estimate import checked_scores, same_length, subject_codes
from evaluation.gate import Check
from evaluation.policy_value import policy_gain, policy_value

ROWS_A_COLUMN = 20
EVERYBODY = "everybody"
LARGEST_IMBALANCE = 0.1
SURELY_MISMATCHED = 0.001


def adjusted_values(outcome, arm, propensity, before=None) -> np.ndarray:
    """Doubly robust scores of each row under each arm (n, k), the outcome regressed on `before` within each arm.

    outcome, arm, propensity   what followed, which arm (0: control), with which probability that arm was drawn (n,)
    before                     columns of numbers known before the contact (n, p); None: no adjustment

    An arm with fewer than 20 rows for each column is adjusted by none. Raises ValueError as `arm_values`, for an arm
    without rows and for columns that are not finite.
    """
    outcome, arm = checked_scores(outcome, "outcome"), checked_arms(arm)
    same_length(outcome, arm, "arm")
    propensity = checked_propensity(propensity, outcome.size)
    columns = _standardised(before, outcome.size)
    expected = np.empty((outcome.size, int(arm.max()) + 1))
    for a in range(expected.shape[1]):
        drawn = arm == a
        if not drawn.any():
            raise ValueError(f"every arm must have rows, but arm {a} has none. Number the arms that were drawn.")
        enough = drawn.sum() >= ROWS_A_COLUMN * columns.shape[1]
        design = columns if enough else columns[:, :1]
        expected[:, a] = (design * _fitted(design[drawn], outcome[drawn], 1 / propensity[drawn])).sum(axis=1)
    return arm_values(outcome, arm, propensity, expected)


def effects(
    values: Mapping[str, np.ndarray],
    contrasts: Mapping[str, Sequence[int]],
    segments: Mapping[str, np.ndarray],
    subjects=None,
) -> pd.DataFrame:
    """One row an outcome, segment and contrast: the effect per head on the segment's customers.

    values     name of an outcome to the scores of each row under each arm (n, k), the control first
    contrasts  name to arms: the effect of one arm, or the mean of several, such as those of a channel
    segments   name to which rows belong to it, booleans (n,); {} asks about everybody
    subjects   id of the customer of each row: several contacts of one are one witness

    Columns: outcome, segment, contrast, rows, control (mean score without contact), effect, low, high, p_value, and
    p_holm, which is corrected for the number of rows of this table: what is asked together belongs into one.
    """
    found = []
    for outcome, of in values.items():
        codes = subject_codes(subjects, len(of))
        for segment, inside in (segments or {EVERYBODY: np.ones(len(of), bool)}).items():
            who = np.unique(codes[inside], return_inverse=True)[1]
            without = of[inside, 0]
            for name, arms in contrasts.items():
                gain = policy_gain(without, of[inside][:, list(arms)].mean(axis=1), who)
                found.append((outcome, segment, name, int(inside.sum()), without.mean(), *gain))
    names = ["outcome", "segment", "contrast", "rows", "control", "effect", "low", "high", "p_value"]
    table = pd.DataFrame(found, columns=names)
    return table.assign(p_holm=holm(table.p_value) if len(table) else [])


def variance_kept(outcome, arm, propensity, before, subjects=None) -> np.ndarray:
    """The variance of each arm's effect after adjustment over that before it (k - 1,); 0.6 saves 40% of the rows."""
    plain, adjusted = (adjusted_values(outcome, arm, propensity, of) for of in (None, before))
    return np.array(
        [(_width(adjusted, a, subjects) / _width(plain, a, subjects)) ** 2 for a in range(1, plain.shape[1])]
    )


def randomised(arm, propensity, before: pd.DataFrame, names: Sequence[str], subjects=None) -> list[Check]:
    """Two rows for each arm: are there as many rows as its propensity says [3], and are they like all others [4]?

    before  columns of numbers known before the contact, one row a contact
    names   of the arms by number, the control first

    The first fails where as many or as few would come in one of 1,000 campaigns; the second where the mean of a column,
    weighed by propensity, is more than a tenth of a standard deviation away from that of everybody.
    """
    arm = checked_arms(arm)
    propensity = checked_propensity(propensity, arm.size)
    rows = []
    for a, name in enumerate(names):
        weight = np.where(arm == a, 1 / propensity, 0.0)
        share = policy_value(weight, subjects)
        error = max((share.high - share.low) / 2 / 1.959964, 1e-300)
        p_value = float(2 * ndtr(-abs(share.value - 1) / error))
        limit = "as many rows as its propensity says"
        rows.append(Check(f"rows of {name} over those expected", limit, *share, p_value > SURELY_MISMATCHED))
        away = _imbalance(before, weight)
        worst = away.abs().idxmax() if len(away) else ""
        found = float(away[worst]) if worst else 0.0
        limit = f"at most {LARGEST_IMBALANCE:g} standard deviations from everybody"
        note = f"the column furthest off: {worst}" if worst else "no column to compare"
        passed = abs(found) <= LARGEST_IMBALANCE
        rows.append(Check(f"balance of {name}", limit, found, np.nan, np.nan, passed, note))
    return rows


def changed_something(table: pd.DataFrame, false_alarm: float) -> pd.DataFrame:
    """The rows of `effects` that are an effect at all: those whose corrected p-value is below `false_alarm`.

    The rule of notebooks/24_campaign_effect. With no effect whatever it names one in at most that share of campaigns.
    """
    return table[table.p_holm < false_alarm]


def _fitted(design: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted least squares by sums of numpy's own: products by BLAS depend on the threads in their last bits."""
    weighted = design * weight[:, None]
    products = np.array([(weighted * column[:, None]).sum(axis=0) for column in design.T])
    return np.linalg.lstsq(products, (weighted * outcome[:, None]).sum(axis=0), rcond=1e-10)[0]


def _width(values: np.ndarray, a: int, subjects) -> float:
    found = policy_gain(values[:, 0], values[:, a], subjects)
    return found.high - found.low


def _imbalance(before: pd.DataFrame, weight: np.ndarray) -> pd.Series:
    """Weighted mean of each column in an arm less everybody's, in standard deviations; columns that vary only."""
    spread = before.std(ddof=0)
    moved = before.mul(weight, axis=0).sum() / max(weight.sum(), 1e-300) - before.mean()
    return (moved / spread)[spread > 0]


def _standardised(before, n: int) -> np.ndarray:
    """A column of ones, and the columns with mean zero and deviation one; those that do not vary are left out."""
    if before is None:
        return np.ones((n, 1))
    found = np.asarray(before, dtype=float)
    if found.ndim != 2 or len(found) != n or not np.isfinite(found).all():
        raise ValueError(
            f"before must hold finite columns for each of {n:,} rows, but has the shape {found.shape} and "
            f"{int((~np.isfinite(found)).sum()):,} numbers that are not finite. Fill what is missing."
        )
    spread = found.std(axis=0)
    kept = spread > 0
    return np.column_stack([np.ones(n), (found[:, kept] - found[:, kept].mean(axis=0)) / spread[kept]])
