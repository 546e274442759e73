r"""Has what a model is fed, or what it says, moved since training: by more than chance, and by more than matters?

Two samples of subjects are compared column by column. How far is told by the population stability index over the bins
b of training, tenths of a number or levels of a category, with what is missing in a bin of its own:

.. math:: PSI = \sum_b (p_b - q_b) \log (p_b / q_b), \qquad
          E[PSI \mid \text{no drift}] \approx (B - 1) \Big(\frac1n + \frac1m\Big)

The second is what samples of n and m show of nothing at all [1]: at 100 subjects a tenth, which the usual limits of 0.1
and 0.2 take for drift. It is taken off; what is left may be below zero. A normal column that moves by a quarter of its
standard deviation has 0.06.

Whether it is more than chance is asked of two tests a column, ranks for a shift and bins for a change of shape, against
what they find where the subjects are dealt out to the samples anew. The smallest p-value of all columns in each such
deal is what a column's own is compared with [2], so that the chance of any alarm in a quiet month, whatever the number
of columns, their ties and how they hang together, is at most `ALARM`. Subjects who are in both samples make it smaller.

A month in which nothing happened is none in which nothing moved: the days since a campaign grow for everybody. What
a column varied by from one past day to another is usual of it (`varied`), and only what goes well beyond has moved.

[1] Yurdakul & Naranjo (2020), Statistical Properties of the Population Stability Index, Journal of Risk Model
    Validation 14(4).
[2] Westfall & Young (1993), Resampling-Based Multiple Testing, section 2.3: single-step adjusted p-values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtrc, ndtr
from scipy.stats import rankdata

from evaluation.estimate import normal_interval
from evaluation.gate import Check
from evaluation.validation import stability_index

ALARM = 0.002  # the chance that anything is called moved in a month in which nothing did: no deal is as extreme
DEALS = 499
BINS = 10
FEWEST_EXPECTED = 10.0  # in a bin of either sample; rarer ones share one
FEWEST = 50
MOST = 20_000  # subjects of a sample; the rest would find what does not matter
KEEP, WATCH, RETRAIN = "keep", "watch", "retrain"


def drift(then: pd.DataFrame, now: pd.DataFrame, least: float, seed: int) -> pd.DataFrame:
    """A row a column that both tables have, furthest moved first.

    then, now  one row a subject
    least      the stability index, beyond chance, from which a move matters

    Columns: column, psi (beyond chance), p (adjusted for the number of columns), moved (p is at most `ALARM`, and psi
    above `least`), then and now (the median of a number, or the share of the most frequent level), missing_then and
    missing_now (shares). Raises ValueError for fewer than 50 subjects in either.
    """
    if min(len(then), len(now)) < FEWEST:
        raise ValueError(f"drift needs at least {FEWEST} subjects then and now, but has {len(then)} and {len(now)}.")
    draw = np.random.default_rng(seed)
    then, now = (rows.iloc[np.sort(draw.permutation(len(rows))[:MOST])] for rows in (then, now))
    names = [name for name in then.columns if name in now.columns]
    both = pd.concat([then[names], now[names]], ignore_index=True)
    # by tenths of all, not of the earlier sample, or that one would be special among the deals
    bins = [_merged(_bins(both[name]), min(len(then), len(now))) for name in names]
    tests = _Tests(bins, [_ranks(both[name]) for name in names])
    rows = [_described(name, then[name], now[name]) for name in names]
    found = pd.DataFrame(rows).assign(p=_adjusted(tests, len(then), len(now), draw))
    found["moved"] = (found.p <= ALARM) & (found.psi > least)
    return found.sort_values(["moved", "psi", "column"], ascending=[False, False, True], ignore_index=True)


def varied(days: Sequence[pd.DataFrame]) -> pd.Series:
    """The largest stability index, beyond chance, of each column between any two of several days' subjects.

    What moved no further than that has been seen to move so. Empty for fewer than two days of at least 50 subjects.
    """
    there = [rows for rows in days if len(rows) >= FEWEST]
    found = [
        {name: np.subtract(*stability_index(one[name], other[name])) for name in one.columns if name in other.columns}
        for k, one in enumerate(there)
        for other in there[:k]
    ]
    return pd.DataFrame(found).max() if found else pd.Series(dtype=float)


def beyond(found: pd.DataFrame, usual: pd.Series, least: float) -> pd.DataFrame:
    """Drift (`drift`) with a column `usual`, as `varied` gives it; what is not `least` above twice that has not moved.

    Twice, since the largest of a few pairs is surpassed by the next one often enough; in deviations that is 1.4 times.
    """
    usual = found.column.map(usual).fillna(0.0).clip(lower=0)
    return found.assign(usual=usual, moved=found.moved & (found.psi > 2 * usual + least)).sort_values(
        ["moved", "psi", "column"], ascending=[False, False, True], ignore_index=True
    )


class _Tests:
    """Both tests of all columns at once: sums over who is in the sample of now."""

    def __init__(self, bins: Sequence[np.ndarray], ranks: Sequence[np.ndarray]):
        sizes = [int(of.max()) + 1 for of in bins]
        self.starts = np.cumsum([0, *sizes[:-1]])
        self.freedom = np.array(sizes) - 1
        # whole numbers below 2**24 are exact in half the memory, and so are their sums, on any number of threads
        self.inside = np.zeros((len(bins[0]), sum(sizes)), dtype="float32")
        for start, of in zip(self.starts, bins, strict=True):
            self.inside[np.arange(of.size), start + of] = 1
        self.ranks = np.column_stack(ranks)

    def p_values(self, chosen: np.ndarray) -> np.ndarray:
        """The smaller of both tests' p-values, doubled, of shape (k, columns), for deals (k, n + m) of 0 and 1."""
        n, size = chosen[0].sum(), chosen.shape[1]
        share, m = n / size, size - n
        expected = self.inside.sum(axis=0) * share
        off = ((chosen.astype("float32") @ self.inside).astype(float) - expected) ** 2 / (expected * (1 - share))
        chi = np.add.reduceat(off, self.starts, axis=1)
        shape = np.where(self.freedom > 0, chdtrc(np.maximum(1, self.freedom), chi), 1.0)
        spread = np.sqrt(n * m / (size - 1) * self.ranks.var(axis=0))
        shifted = np.abs(chosen @ self.ranks - n * self.ranks.mean(axis=0))
        z = np.divide(shifted, spread, out=np.zeros_like(shifted), where=spread > 0)
        return np.minimum(1, 2 * np.minimum(shape, 2 * ndtr(-z)))


def _adjusted(tests: _Tests, then: int, now: int, draw: np.random.Generator) -> np.ndarray:
    """p-values of the columns, adjusted for their number: against the smallest of all in each deal."""
    chosen = np.concatenate([np.zeros(then), np.ones(now)])
    found = tests.p_values(chosen[None, :])[0]
    beaten = np.zeros(found.size)
    step = max(1, min(DEALS, 5_000_000 // chosen.size))
    for start in range(0, DEALS, step):
        dealt = np.stack([draw.permutation(chosen) for _ in range(min(step, DEALS - start))])
        smallest = tests.p_values(dealt).min(axis=1)
        beaten += (smallest[:, None] <= found * (1 + 1e-9)).sum(axis=0)
    return (1 + beaten) / (1 + DEALS)


def _ranks(both: pd.Series) -> np.ndarray:
    """The rank of each value among all, ties sharing theirs; categories have none.

    What is missing is put in the middle: it says nothing of a shift, and its share is seen by the bins.
    """
    if not _is_number(both) or both.isna().all():
        return np.zeros(len(both))
    return rankdata(both.astype(float).fillna(both.median()))


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _bins(both: pd.Series) -> np.ndarray:
    """The bin of each value: tenths of a number, or levels; the last one is for what is missing."""
    if _is_number(both):
        known = both.dropna().to_numpy(dtype=float)
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if known.size else np.array([])
        found, last = np.searchsorted(edges, both.to_numpy(dtype=float), side="left"), edges.size + 1
    else:
        found, levels = pd.factorize(both, sort=True)
        last = len(levels)
    return np.where(both.isna(), last, found)


def _merged(bins: np.ndarray, smaller: int) -> np.ndarray:
    """The bins of both samples (n + m,), those with too few expected in the smaller sample made one."""
    counts = np.bincount(bins)
    rare = counts * smaller / bins.size < FEWEST_EXPECTED
    places = np.where(rare, counts.size, np.arange(counts.size))
    return np.unique(places[bins], return_inverse=True)[1]


def _described(name: str, then: pd.Series, now: pd.Series) -> dict:
    value, chance = stability_index(then, now)
    if _is_number(then):
        before, after = (float(rows.median()) for rows in (then, now))
    else:
        level = then.astype(object).mode(dropna=True)
        before, after = (float((rows == level.iloc[0]).mean()) if len(level) else np.nan for rows in (then, now))
    missing = {f"missing_{word}": float(rows.isna().mean()) for word, rows in (("then", then), ("now", now))}
    return {"column": name, "psi": value - chance, "then": before, "now": after, **missing}


def growing(then: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """The columns that only ever grow, ages and totals since the beginning, which the calendar alone moves.

    Of nobody who is in both did they fall, and of somebody they rose. What they do to a score is seen in the score.

    then, now  one row a subject, with its id as the index
    """
    both = then.index.intersection(now.index)
    names = [n for n in then.columns if n in now.columns and _is_number(then[n])]
    grown = now.loc[both, names].astype(float) - then.loc[both, names].astype(float)
    told = grown.notna().sum() >= FEWEST
    return [name for name in names if told[name] and grown[name].min() >= 0 and grown[name].max() > 0]


class Decisions(NamedTuple):
    """Subjects who are decided on; how many of them would now be treated otherwise; what hangs on it, in cents."""

    subjects: int
    changed: int
    at_stake_cents: float

    @property
    def share(self) -> float:
        """Of the subjects."""
        return self.changed / self.subjects if self.subjects else 0.0


def decisions(before, after, gain_cents) -> Decisions:
    """Whose action changes, and what keeping the old action would forgo.

    before, after  the action of each subject, (n,), of any kind that can be compared
    gain_cents     what the action of after is expected to bring more than that of before, each (n,)
    """
    changed = np.asarray(before) != np.asarray(after)
    return Decisions(
        changed.size, int(changed.sum()), float(np.abs(np.asarray(gain_cents, dtype=float))[changed].sum())
    )


def fallen(what: str, promised: Sequence[float], now: Sequence[float], most: float) -> Check:
    """Whether a measure is surely below what it was at promotion, by more than `most`: of two independent samples.

    promised, now  value, low and high of the 95 % interval
    """
    drop = promised[0] - now[0]
    half = float(np.hypot(*((ends[2] - ends[1]) / 2 for ends in (promised, now))))
    limit = f"not surely above {most:g}"
    if not np.isfinite([drop, half]).all():
        return Check(what, limit, np.nan, np.nan, np.nan, None, "one of the two has no interval")
    return Check(what, limit, drop, drop - half, drop + half, bool(drop - half <= most))


def share_moved(what: str, then, now, most: float) -> Check:
    """Whether the share of those acted on is surely further than `most` from what it was; two samples of 0 and 1."""
    shares, sizes = zip(*((np.mean(s), np.size(s)) for s in (then, now)), strict=True)
    error = np.sqrt(sum(share * (1 - share) / size for share, size in zip(shares, sizes, strict=True)))
    found = normal_interval(shares[1] - shares[0], error, -1, 1)
    return Check(what, f"not surely beyond {most:g}", *found, bool(found.low <= most and found.high >= -most))


def off(what: str, outcome, foretold, most: float) -> Check:
    """Whether the total of outcomes is surely further than the share `most` from what was foretold, (n,) each."""
    outcome, foretold = np.asarray(outcome, dtype=float), np.asarray(foretold, dtype=float)
    if not foretold.sum() > 0:
        return Check(what, f"not surely off by {most:.0%}", np.nan, np.nan, np.nan, None, "nothing was foretold")
    error = np.sqrt(((outcome - foretold) ** 2).sum()) / foretold.sum()
    found = normal_interval(outcome.sum() / foretold.sum() - 1, error)
    return Check(what, f"not surely off by {most:.0%}", *found, bool(found.low <= most and found.high >= -most))


def verdict(grave: Sequence[Check], mild: Sequence[Check]) -> str:
    """`retrain` where a grave check fails, `watch` where a mild one does, else `keep`; too little data is no alarm."""
    if any(check.passed is False for check in grave):
        return RETRAIN
    return WATCH if any(check.passed is False for check in mild) else KEEP
