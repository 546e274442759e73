"""How loans age: roll rates between buckets of days past due, and vintages by the quarter that they were applied in.

A panel is a row a loan and month on book, as `outcomes.delinquency` makes it: application_id, origin, month,
days_past_due. Tables in, tables out; shares lie in [0, 1], their intervals are Wilson's, as if loans were independent.

[1] Siddiqi (2017), Intelligent Credit Scoring, 2nd edition, chapter 4: roll rates show from where on hardly anybody
    comes back, which is what makes a loan bad; vintages show by when those who go bad have gone.
"""

import numpy as np
import pandas as pd

from evaluation.calibration import wilson

EDGES = (1, 30, 60, 90)  # days past due from which a bucket begins
BUCKETS = ("current", "1-29", "30-59", "60-89", "90+")


def bucket(days) -> np.ndarray:
    """The position in `BUCKETS` of each number of days past due."""
    return np.searchsorted(EDGES, np.asarray(days, dtype=float), side="right")


def roll_rates(panel: pd.DataFrame) -> pd.DataFrame:
    """A row a bucket: `loans` seen in it and again a month later, and the share that was then in each bucket.

    `worse` is the share in a worse bucket, `low` and `high` its interval.
    """
    here = panel[["application_id", "month"]].assign(now=bucket(panel.days_past_due))
    later = here.assign(month=here.month - 1).rename(columns={"now": "then"})
    both = here.merge(later, on=["application_id", "month"])
    size = len(BUCKETS)
    counts = np.bincount(both.now * size + both.then, minlength=size * size).reshape(size, size)
    loans = counts.sum(axis=1)
    shares = np.divide(counts, loans[:, None], out=np.full(counts.shape, np.nan), where=loans[:, None] > 0)
    found = pd.DataFrame(shares, columns=list(BUCKETS)).assign(bucket=BUCKETS, loans=loans)
    found["worse"] = [shares[k, k + 1 :].sum() if loans[k] else np.nan for k in range(size)]
    found["low"], found["high"] = wilson(found.worse.to_numpy(), np.maximum(loans, 1))
    return found[["bucket", "loans", *BUCKETS, "worse", "low", "high"]]


def vintages(panel: pd.DataFrame, past_due: int) -> pd.DataFrame:
    """A row a quarter of applications and month on book: `loans`, and the share `bad` that had ever been `past_due`
    days late by then, with its interval. Only months that all loans of the quarter have reached.
    """
    seen = panel.sort_values(["application_id", "month"], kind="stable")
    quarter = pd.to_datetime(seen.origin).dt.to_period("Q").astype(str)
    ever = (seen.days_past_due >= past_due).groupby(seen.application_id).cummax()
    rows = seen.assign(vintage=quarter, ever=ever.astype(int))
    found = rows.groupby(["vintage", "month"]).ever.agg(loans="size", bad="mean").reset_index()
    full = rows.groupby("vintage").application_id.nunique()
    found = found[found.loans == found.vintage.map(full)].reset_index(drop=True)
    found["low"], found["high"] = wilson(found.bad.to_numpy(), found.loans.to_numpy())
    return found


def worst_of(panel: pd.DataFrame) -> pd.DataFrame:
    """A row a bucket: of the loans that had been at worst in it by half of their months, the share that was 90 days
    late later. It says from where on a loan is neither good nor bad: an indeterminate.
    """
    seen = panel.assign(bucket=bucket(panel.days_past_due))
    months = seen.groupby("application_id").month.transform("max")
    early = seen[seen.month <= months / 2].groupby("application_id").bucket.max()
    late = seen[seen.month > months / 2].groupby("application_id").bucket.max()
    both = pd.DataFrame({"early": early, "late": late}).dropna().astype(int)
    later = both.late.eq(len(BUCKETS) - 1).groupby(both.early).agg(["size", "mean"]).reindex(range(len(BUCKETS)))
    low, high = wilson(later["mean"].to_numpy(), later["size"].fillna(1).to_numpy())
    return pd.DataFrame(
        {"bucket": BUCKETS, "loans": later["size"].fillna(0).astype(int), "bad_later": later["mean"], "low": low,
         "high": high}
    )  # fmt: skip
