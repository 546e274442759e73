"""Is a challenger good enough? One row a question, with the limit that was set before looking.

A row passes, fails, or finds too little data to judge, which is not a pass. What is asked, in this order:

gain         is it surely better than the champion, and than the naive rule, on the same rows?
calibration  do its probabilities mean what they say: slope, intercept, error, on a later period than it learnt from?
stability    are its scores of these rows spread as the champion's are, beyond what chance shows of so many?
slices       is it surely wrong, or surely worse than the champion, for any declared group?

Arrays are of shape (n,), one entry a test row.

[1] Cox (1958), Two Further Applications of a Model for Binary Regression, Biometrika 45: slope and intercept.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

from evaluation.calibration import calibration_error_null, log_odds, recalibration, reliability, wilson
from evaluation.comparison import Difference, auc_difference
from evaluation.estimate import LEVEL, Estimate, checked_probabilities, normal_interval, subject_codes
from evaluation.validation import stability_index

FEWEST_ROWS, FEWEST_OF_A_CLASS = 100, 10


class Check(NamedTuple):
    """One row of a gate.

    what     the question, in a few words
    limit    what was promised, before looking
    found    the value, with the ends of its 95% interval (NaN where it has none)
    passed   None where there is not enough data to judge, which is not a pass
    note     what a reader must know beside it
    """

    what: str
    limit: str
    found: float
    low: float
    high: float
    passed: bool | None
    note: str = ""


def passes(checks: Sequence[Check]) -> bool:
    """Whether every row does; too little data to judge is not enough, and neither is no row at all."""
    return bool(checks) and all(check.passed is True for check in checks)


def said(checks: Sequence[Check]) -> str:
    """The gate in one or two sentences: what stands in the way, with its numbers, or that nothing does."""
    failed = [check for check in checks if check.passed is False]
    unclear = [check for check in checks if check.passed is None]
    if not failed and not unclear:
        return f"The gate is passed: all {len(checks)} checks."
    sentences = [f"{_numbers(check)}, but must be {check.limit}" for check in failed]
    sentences += [
        f"not enough data to judge: {check.what}{f' ({check.note})' if check.note else ''}" for check in unclear
    ]
    return f"The gate is not passed: {'; '.join(sentences)}."


def _numbers(check: Check) -> str:
    if np.isnan(check.found):
        return f"{check.what}: {check.note}"
    around = "" if np.isnan(check.low) else f" ({check.low:.3f} to {check.high:.3f})"
    return f"{check.what} is {check.found:.3f}{around}"


def surely_above(what: str, gain: Difference, margin: float) -> Check:
    """Whether the whole interval of a paired difference lies above the margin."""
    limit = f"surely above {margin:g}"
    return Check(what, limit, gain.value, gain.low, gain.high, bool(gain.low > margin))


def within(what: str, found: Estimate, least: float, most: float) -> Check:
    """Whether a value lies within its limits; one whose interval is wider than these says nothing."""
    limit = f"from {least:g} to {most:g}"
    if not np.isfinite(found).all():
        return Check(what, limit, *found, None, "the predictions are all equal, or separate the outcomes")
    if found.high - found.low > most - least:
        return Check(what, limit, *found, None, "its interval is wider than the limits")
    return Check(what, limit, *found, bool(least <= found.value <= most))


def spread_alike(score, champion, most: float) -> Check:
    """Whether the stability index of two models' scores of the same rows, less what chance shows, is at most `most`.

    Where chance alone may show half of the limit, nothing can be said.
    """
    value, chance = stability_index(champion, score)
    what, limit = "move of the scores from the champion's", f"at most {most:g} beyond chance"
    if chance > most / 2:
        return Check(what, limit, value - chance, np.nan, np.nan, None, f"chance alone shows {chance:.2f}")
    return Check(what, limit, value - chance, np.nan, np.nan, bool(value - chance <= most))


def calibrated(y, p, largest_error: float, slope: Sequence[float], intercept: Sequence[float], seed: int) -> list:
    """Three rows: slope, intercept at slope one, and calibration error.

    The error may be as large as `largest_error`, or as what a perfect model of this size shows by chance in 95 of 100
    cases. Its note names the tenth of the rows that is furthest off.
    """
    y, p = checked_probabilities(y, p)
    try:
        slope_found = recalibration(y, p).slope
    except ValueError:
        slope_found = Estimate(np.nan, np.nan, np.nan)
    most = max(largest_error, calibration_error_null(p, seed).upper)
    bins = reliability(y, p)
    error = float((bins.rows * np.abs(bins.observed - bins.predicted)).sum() / bins.rows.sum())
    worst = int(np.argmax(np.abs(bins.observed - bins.predicted)))
    note = (
        f"worst: {bins.predicted[worst]:.3f} predicted, {bins.observed[worst]:.3f} observed "
        f"({bins.low[worst]:.3f} to {bins.high[worst]:.3f}) of {bins.rows[worst]:,}"
    )
    return [
        within("calibration slope", slope_found, *slope),
        within("calibration intercept", calibration_intercept(y, p), *intercept),
        Check("calibration error", f"at most {most:.3f}", error, np.nan, np.nan, bool(error <= most), note),
    ]


def calibration_intercept(y, p) -> Estimate:
    """What must be added to all log-odds so that as many events are predicted as happened; 0 for a perfect model [1].

    The interval is from the information at the maximum.
    """
    y, p = checked_probabilities(y, p)
    x, shift = log_odds(p), 0.0
    for _ in range(50):
        chance = expit(x + shift)
        step = (y - chance).sum() / max((chance * (1 - chance)).sum(), 1e-12)
        shift += np.clip(step, -2, 2)
        if abs(step) < 1e-10:
            break
    chance = expit(x + shift)
    return normal_interval(shift, 1 / np.sqrt(max((chance * (1 - chance)).sum(), 1e-12)))


def slices(y, p, groups: pd.DataFrame, selected, champion=None, subjects=None) -> pd.DataFrame:
    """One row a declared group and level, largest first.

    y, p, selected  outcome, probability, and whether the row would be acted on
    groups          a text column for each group
    champion        the champion's probability of the same rows, where there is one

    Columns: slice, rows, events; selected with its interval; predicted, observed, error (observed minus predicted)
    with an interval at a level corrected for the number of slices judged (Bonferroni); gain (in AUC over the champion)
    likewise; judged: whether there are 100 rows, and ten of either outcome.
    """
    y, p = checked_probabilities(y, p)
    codes, selected = subject_codes(subjects, y.size), np.asarray(selected, dtype=float)
    members = [
        (f"{name.removeprefix('slice_')} = {level}", (groups[name] == level).to_numpy())
        for name in groups.columns
        for level in sorted(groups[name].unique())
    ]
    judged = [_enough(y[inside]) for _, inside in members]
    z = float(ndtri(1 - (1 - LEVEL) / 2 / max(1, sum(judged))))
    rows = []
    for (name, inside), enough in zip(members, judged, strict=True):
        row = {"slice": name, **_rates(y[inside], p[inside], selected[inside], z), "judged": enough}
        if champion is not None:
            gain = _gain(y[inside], p[inside], np.asarray(champion)[inside], codes[inside], z) if enough else None
            row |= dict(zip(("gain", "gain_low", "gain_high"), gain or (np.nan,) * 3, strict=True))
        rows.append(row)
    found = pd.DataFrame(rows)
    return found.sort_values(["rows", "slice"], ascending=[False, True], ignore_index=True) if rows else found


def _enough(y: np.ndarray) -> bool:
    return y.size >= FEWEST_ROWS and min(y.sum(), (1 - y).sum()) >= FEWEST_OF_A_CLASS


def _rates(y: np.ndarray, p: np.ndarray, selected: np.ndarray, z: float) -> dict:
    share, rate, predicted = selected.mean(), y.mean(), p.mean()
    low, high = wilson(share, y.size)
    half = z * np.sqrt(max((p * (1 - p)).sum(), 1e-12)) / y.size
    return {
        "rows": y.size,
        "events": int(y.sum()),
        "selected": share,
        "selected_low": float(low),
        "selected_high": float(high),
        "predicted": predicted,
        "observed": rate,
        "error": rate - predicted,
        "error_low": rate - predicted - half,
        "error_high": rate - predicted + half,
    }


def _gain(y, p, champion, codes, z: float) -> tuple[float, float, float]:
    found = auc_difference(y, p, champion, codes)
    widen = z / float(ndtri((1 + LEVEL) / 2))
    return (
        found.value,
        found.value - (found.value - found.low) * widen,
        found.value + (found.high - found.value) * widen,
    )


def stable(found: pd.DataFrame, largest_error: float, least_gain: float) -> list[Check]:
    """A row on the error of the slices of `slices`, and one on the gain where there is a champion.

    A slice fails when the whole of its interval lies beyond the limit. The worst is the value; the notes name it, the
    smallest, and how many were too small to judge. No declared group is no row.
    """
    if found.empty:
        return []
    judged = found[found.judged]
    small = found.iloc[-1]
    rest = f"smallest: {small.slice} with {small.rows:,} rows; {len(found) - len(judged)} of {len(found)} too few"
    limit = f"surely nowhere beyond {largest_error:g}"
    if judged.empty:
        return [Check("error of the worst slice", limit, np.nan, np.nan, np.nan, None, rest)]
    far = np.maximum(judged.error_low - largest_error, -largest_error - judged.error_high)
    worst = judged.loc[far.idxmax()]
    ends = (worst.error, worst.error_low, worst.error_high)
    checks = [Check("error of the worst slice", limit, *ends, bool(far.max() <= 0), f"{worst.slice}; {rest}")]
    if "gain" in judged:
        worst = judged.loc[judged.gain_high.idxmin()]
        ends = (worst.gain, worst.gain_low, worst.gain_high)
        passed = bool(worst.gain_high >= least_gain)
        checks.append(
            Check("gain of the worst slice", f"surely nowhere below {least_gain:g}", *ends, passed, worst.slice)
        )
    return checks


def gate(rows: pd.DataFrame, rule: Mapping, selected, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """All rows that follow from the test rows, and the table of slices.

    rows      outcome, score, naive, customer_id, `champion` where there is one, and `slice_...` columns
    rule      gain_margin, calibration_slope, calibration_intercept, largest_calibration_error, slice_error, slice_gain,
              and score_shift where the scores may not be spread otherwise than the champion's
    selected  whether each row would be acted on
    """
    y, p, subjects = rows.outcome.to_numpy(dtype=float), rows.score.to_numpy(), rows.customer_id
    champion = rows.champion.to_numpy() if "champion" in rows else None
    checks = []
    if champion is not None:
        gain = auc_difference(y, p, champion, subjects)
        checks.append(surely_above("gain in AUC over the champion", gain, rule["gain_margin"]))
        checks += [spread_alike(p, champion, rule["score_shift"])] if "score_shift" in rule else []
    naive = auc_difference(y, p, rows.naive.to_numpy(), subjects)
    checks.append(surely_above("gain in AUC over the naive rule", naive, 0))
    error, slope, intercept = (
        rule[f"{name}"] for name in ("largest_calibration_error", "calibration_slope", "calibration_intercept")
    )
    checks += calibrated(y, p, error, slope, intercept, seed)
    groups = rows[[name for name in rows.columns if name.startswith("slice_")]]
    found = slices(y, p, groups, selected, champion, subjects)
    return checks + stable(found, rule["slice_error"], rule["slice_gain"]), found


def shown(checks: Sequence[Check]) -> pd.DataFrame:
    """The rows for a reader, all text: check, limit, found, interval, passed (yes, no, not enough data), note."""
    return pd.DataFrame(
        {
            "check": [c.what for c in checks],
            "limit": [c.limit for c in checks],
            "found": ["" if np.isnan(c.found) else _number(c.found) for c in checks],
            "interval": ["" if np.isnan(c.low) else f"{_number(c.low)} to {_number(c.high)}" for c in checks],
            "passed": [{True: "yes", False: "no", None: "not enough data"}[c.passed] for c in checks],
            "note": [c.note for c in checks],
        }
    )


def _number(value: float) -> str:
    """Counts and sums of money whole, what is a share or a difference with four digits."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4f}"
