"""Is a challenger that foretells amounts good enough? The rows of the gate, as `evaluation.gate` has for probabilities.

gain    is its normalised Gini surely above the champion's, and the naive rule's, on the same rows?
total   is the foretold total within limits of the true one?
slices  is any declared group surely foretold worse than the limit, or surely ranked worse than by the champion?

Arrays are of shape (n,), one entry a test row, in cents.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtri

from evaluation.estimate import LEVEL
from evaluation.gate import FEWEST_ROWS, Check, stable, surely_above
from evaluation.value import checked_values, measures_of_value, value_gains

FEWEST_BUYERS = 10


def gate(rows: pd.DataFrame, rule: Mapping, selected: np.ndarray, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """All rows that follow from the test rows, and the table of slices.

    rows      outcome, score, naive, customer_id, `champion` where there is one, and `slice_...` columns
    rule      gain_margin, largest_bias, slice_error, slice_gain
    selected  whether each row would be acted on
    """
    y, foretold = checked_values(rows.outcome.to_numpy(dtype=float), rows.score.to_numpy())
    checks = []
    if "champion" in rows:
        gain = value_gains(y, rows.champion.to_numpy(), foretold, rows.customer_id, seed)["gini"]
        checks.append(surely_above("gain in normalised Gini over the champion", gain, rule["gain_margin"]))
    naive = value_gains(y, rows.naive.to_numpy(), foretold, rows.customer_id, seed)["gini"]
    checks.append(surely_above("gain in normalised Gini over the naive rule", naive, 0))
    level = measures_of_value(y, foretold, rows.customer_id, seed)["bias"]
    most = rule["largest_bias"]
    checks.append(Check("bias of the total", f"from {-most:g} to {most:g}", *level, bool(abs(level.value) <= most)))
    found = slices(rows, selected, seed)
    return [*checks, *stable(found, rule["slice_error"], rule["slice_gain"])], found


def slices(rows: pd.DataFrame, selected: np.ndarray, seed: int) -> pd.DataFrame:
    """One row a declared group and level, largest first.

    Columns: slice, rows, events (customers who bought), selected (share), predicted and observed (mean cents), error
    (observed over predicted, less one) with an interval at a level corrected for the number of groups judged
    (Bonferroni); gain (in normalised Gini over the champion) likewise; judged: whether there are 100 rows and ten
    buyers.
    """
    groups = [name for name in rows.columns if name.startswith("slice_")]
    members = [
        (f"{name.removeprefix('slice_')} = {level}", (rows[name] == level).to_numpy())
        for name in groups
        for level in sorted(rows[name].unique())
    ]
    judged = [_enough(rows.outcome[inside]) for _, inside in members]
    z = float(ndtri(1 - (1 - LEVEL) / 2 / max(1, sum(judged))))
    found = []
    for (name, inside), enough in zip(members, judged, strict=True):
        some = rows[inside]
        row = {"slice": name, **_means(some, selected[inside], z), "judged": enough}
        if "champion" in rows:
            gain = _gain(some, z, seed) if enough else (np.nan,) * 3
            row |= dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True))
        found.append(row)
    table = pd.DataFrame(found)
    return table.sort_values(["rows", "slice"], ascending=[False, True], ignore_index=True) if found else table


def _enough(outcome: pd.Series) -> bool:
    return len(outcome) >= FEWEST_ROWS and (outcome > 0).sum() >= FEWEST_BUYERS


def _means(rows: pd.DataFrame, selected: np.ndarray, z: float) -> dict:
    y, foretold = rows.outcome.to_numpy(dtype=float), rows.score.to_numpy()
    said = max(foretold.mean(), 1e-9)
    half = z * (y - foretold).std(ddof=1) / np.sqrt(y.size) / said if y.size > 1 else np.nan
    error = y.mean() / said - 1
    return {
        "rows": y.size,
        "events": int((y > 0).sum()),
        "selected": float(np.mean(selected)),
        "predicted": foretold.mean(),
        "observed": y.mean(),
        "error": error,
        "error_low": error - half,
        "error_high": error + half,
    }


def _gain(rows: pd.DataFrame, z: float, seed: int) -> tuple[float, float, float]:
    y = rows.outcome.to_numpy(dtype=float)
    found = value_gains(y, rows.champion.to_numpy(), rows.score.to_numpy(), rows.customer_id, seed)["gini"]
    widen = z / float(ndtri((1 + LEVEL) / 2))
    return (
        found.value,
        found.value - (found.value - found.low) * widen,
        found.value + (found.high - found.value) * widen,
    )
