r"""Who is approved, who is refused in error, and who gets how much: by groups that no model has seen.

.. math:: AIR_g = \frac{\text{share approved of } g}{\text{share approved of the reference}}

The reference is the group of which most are approved among those large enough to judge. The interval of the ratio is
Katz's, on the logarithm; a ratio is held against a lender only where its whole interval lies below four fifths, and a
group of fewer than 100 is too few to judge.

[1] Equal Employment Opportunity Commission (1978), Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4:
    the four-fifths rule.
[2] Katz et al. (1978), Obtaining Confidence Intervals for the Risk Ratio in Cohort Studies, Biometrics 34.
"""

import numpy as np
import pandas as pd

from evaluation.calibration import wilson
from evaluation.estimate import Z, checked_scores, in_unit_interval, normal_interval, same_length

FEWEST, FOUR_FIFTHS = 100, 0.8
FAIR, ADVERSE, TOO_FEW, UNCLEAR = "no adverse impact", "adverse impact", "too few to judge", "not clear"
CUT_OFFS = 101


def fairness(groups, approved, y=None, limit=None) -> pd.DataFrame:
    """A row a group, largest first.

    groups    a name for each application (n,)
    approved  whether each is (n,)
    y         outcomes (n,), 1 bad, NaN where nobody knows; limit: cents granted (n,)

    Columns: group, applications, approved with its interval; good_refused, the share refused of those known to be good,
    and bad_approved, the bad rate of those approved, each with its interval; limit, the mean of those approved, with
    an interval; ratio, the adverse impact ratio, with its interval; verdict.
    """
    names, code = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    approved = checked_scores(approved, "approved") > 0
    y = np.full(code.size, np.nan) if y is None else np.asarray(y, dtype=float)
    limit = np.full(code.size, np.nan) if limit is None else np.asarray(limit, dtype=float)
    for name, column in (("approved", approved), ("outcome", y), ("limit", limit)):
        same_length(code, column, name)
    rows = [_row(name, code == k, approved, y, limit) for k, name in enumerate(names)]
    found = _ratios(pd.DataFrame(rows))
    return found.sort_values(["applications", "group"], ascending=[False, True], ignore_index=True)


def worst_ratio(groups, approved) -> float:
    """The smallest adverse impact ratio among groups that are large enough to judge; NaN where fewer than two are."""
    code = np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    size = np.bincount(code)
    share = np.bincount(code, np.asarray(approved, dtype=float)) / size
    judged = share[size >= FEWEST]
    return float(judged.min() / judged.max()) if judged.size > 1 and judged.max() > 0 else float("nan")


def fairer_cut_offs(groups, p, profit) -> pd.DataFrame:
    """A row a cut-off: cut_off, share approved, ratio (the worst group's), profit (cents) and cost, what it is short of
    the most profitable one. One cut-off holds for everybody: no group is treated by another rule.

    p, profit  probability of default, and cents that a loan is expected to bring (n,)
    """
    p, profit = in_unit_interval(p), checked_scores(profit, "profit")
    same_length(p, profit, "profit")
    cut_offs = np.unique(np.quantile(p, np.linspace(0.01, 1, CUT_OFFS - 1)))
    rows = []
    for cut in cut_offs:
        approved = p <= cut
        rows.append((cut, approved.mean(), worst_ratio(groups, approved), profit[approved].sum()))
    found = pd.DataFrame(rows, columns=["cut_off", "share", "ratio", "profit"])
    return found.assign(cost=found.profit.max() - found.profit)


def _row(name: str, inside: np.ndarray, approved, y, limit) -> dict:
    known = inside & ~np.isnan(y)
    row = {"group": name, "applications": int(inside.sum())}
    parts = {
        "approved": approved[inside],
        "good_refused": ~approved[known & (y == 0)],
        "bad_approved": y[known & approved],
    }
    for what, of in parts.items():
        share = of.mean() if of.size else np.nan
        low, high = wilson(share, max(of.size, 1))
        row |= {what: share, f"{what}_low": float(low), f"{what}_high": float(high)}
    granted = limit[inside & approved]
    granted = granted[~np.isnan(granted)]
    ends = (np.nan,) * 3
    if granted.size > 1:
        ends = normal_interval(granted.mean(), granted.std(ddof=1) / np.sqrt(granted.size), 0)
    return row | dict(zip(("limit", "limit_low", "limit_high"), ends, strict=True))


def _ratios(found: pd.DataFrame) -> pd.DataFrame:
    judged = found.applications >= FEWEST
    empty = found.assign(ratio=np.nan, ratio_low=np.nan, ratio_high=np.nan, verdict=TOO_FEW)
    if not judged.any() or not (found.approved[judged] > 0).any():
        return empty
    best = found.loc[found.approved[judged].idxmax()]
    ratio = found.approved / best.approved
    hits, best_hits = found.approved * found.applications, best.approved * best.applications
    error = np.sqrt(
        np.maximum(1 / np.maximum(hits, 0.5) - 1 / found.applications + 1 / best_hits - 1 / best.applications, 0)
    )
    error = error.where(found.group != best.group, 0.0)
    low, high = ratio * np.exp(-Z * error), ratio * np.exp(Z * error)
    verdict = np.select([~judged, high < FOUR_FIFTHS, ratio >= FOUR_FIFTHS], [TOO_FEW, ADVERSE, FAIR], UNCLEAR)
    return found.assign(ratio=ratio, ratio_low=low, ratio_high=high, verdict=verdict)
