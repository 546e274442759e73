r"""The leak battery: does a score know what it could not have known, though every column of features is honest?

What is examined is the whole way from a training table to the scores of rows that were not learned from: choice of
columns, encoding, candidates, fit and pick. It is called as one function, `foretell(table, parts)`.

Grain    tables have one row a (customer_id, origin), with `outcome` 0 or 1, in the order that `foretell` answers in
parts    boolean masks over the table: rows to learn from, to pick by, and last the test rows
scores   of shape (test rows, k): one column a candidate
Errors   none of its own: a finding is a `Check`; too little data is one with `passed` None

Most checks have no false alarms, since they compare numbers that must be equal. Two are of statistics:

shuffled_outcomes  in 0.27 % of honest runs: three standard errors, which are exact here, on either side
copies             in at most 0.14 %: three standard errors on one side, and a quarter of the twins beyond that

.. math:: \text{Var}(A) = \frac{m + n + 1}{12 m n} - \frac{\sum_j (t_j^3 - t_j)}{12 m n (m + n)(m + n - 1)}

is the variance of the AUC A of m events and n others under permuted outcomes, with t_j rows in tie j [1].

[1] Lehmann (1975), Nonparametrics: Statistical Methods Based on Ranks, section 1.4, (1.35).
[2] Ojala & Garriga (2010), Permutation Tests for Studying Classifier Performance, JMLR 11, section 3.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from evaluation.estimate import Z
from evaluation.gate import Check
from evaluation.ranking import auc, auc_interval

PERMUTATIONS, ERRORS = 5, 3.0
WIDEST = 0.15  # an AUC on shuffled outcomes that may lie further from one half than this proves nothing
ROWS = 400  # of either outcome, that each part of a sample has at most
CLOSE = 1e-9  # of a probability: the last bits of a product depend on the number of rows
FEWEST_TWINS, WORST_SHARE = 10, 0.25
FEWEST_IDS = 100

Parts = tuple[np.ndarray, ...]
Foretell = Callable[[pd.DataFrame, Parts], np.ndarray]


def battery(
    table: pd.DataFrame,
    columns: Sequence[str],
    foretell: Foretell,
    lightly: Foretell,
    splits: Sequence[Parts],
    horizon_days: int,
    id_bound: float,
    seed: int,
) -> list[Check]:
    """All checks of the way from a table to its scores.

    lightly   the same way without its slowest candidates, for the trainings on shuffled outcomes
    splits    the parts of each fold; all are looked at, and the first is trained on
    id_bound  the AUC that the order of ids alone may have

    Costs eight trainings on a sample of at most 400 rows of each part and outcome, and two more where
    ten test rows have a twin.
    """
    few, its_parts = sample(table, splits[0], seed)
    known = np.asarray(foretell(few, its_parts))
    return [
        apart(table, splits, horizon_days),
        id_order(table, id_bound),
        id_again(table, columns),
        shuffled_outcomes(few, lightly, its_parts, seed),
        hidden_outcomes(few, foretell, its_parts, known),
        one_by_one(few, foretell, its_parts, known),
        copies(table, columns, foretell, splits[0], seed),
    ]


def sample(table: pd.DataFrame, parts: Parts, seed: int) -> tuple[pd.DataFrame, Parts]:
    """At most 400 rows of each part and outcome, drawn at random, in the table's order; and their parts.

    Drawing by outcome keeps rare ones, and is harmless: what is asked of the sample holds for any set of rows.
    """
    kept = _drawn(table, parts, seed)
    return table[kept].reset_index(drop=True), tuple(mask[kept] for mask in parts)


def _drawn(table: pd.DataFrame, parts: Parts, seed: int) -> np.ndarray:
    drawn = pd.Series(np.random.default_rng(seed).permutation(len(table)))
    part = pd.Series(np.select(parts, range(len(parts)), -1))
    nth = drawn.groupby([part, table.outcome.reset_index(drop=True)]).rank()
    return ((nth <= ROWS) & (part >= 0)).to_numpy()


def shuffled_outcomes(table: pd.DataFrame, foretell: Foretell, parts: Parts, seed: int) -> Check:
    """Five trainings on outcomes that are dealt out anew [2]: nothing is left to foretell, so the AUC must be one half.

    Each subject gets the outcome of another at the same origin. A subject's outcomes at several origins do not stay
    together: they resemble each other, and a model may learn who left before. Candidates are judged by the mean of
    their ranks, since the pick among them is the base rate, as it should be.
    """
    what, draw, test = "AUC on shuffled outcomes", np.random.default_rng(seed), parts[-1]
    found, variances = [], []
    for _ in range(PERMUTATIONS):
        outcome = table.groupby("origin").outcome.transform(lambda rows: draw.permutation(rows.to_numpy()))
        scores = np.asarray(foretell(table.assign(outcome=outcome), parts))
        ranks = rankdata(np.round(scores, 12), axis=0).mean(axis=1)
        y = outcome.to_numpy(dtype=float)[test]
        if y.min() == y.max():
            return Check(what, "near 0.5", np.nan, np.nan, np.nan, None, "the test rows have one outcome only")
        found.append(auc(y, ranks))
        variances.append(auc_variance(y, ranks))
    value, error = float(np.mean(found)), float(np.sqrt(np.sum(variances)) / PERMUTATIONS)
    limit = f"from {0.5 - ERRORS * error:.3f} to {0.5 + ERRORS * error:.3f}"
    note = (
        "outcomes reach the scores of test rows by way of an encoding, a choice of "
        "columns or of rows: let them learn from the rows to learn from alone"
    )
    if ERRORS * error > WIDEST:
        return Check(what, limit, value, *_around(value, error), None, "too few test rows")
    passed = bool(abs(value - 0.5) <= ERRORS * error)
    return Check(what, limit, value, *_around(value, error), passed, "" if passed else note)


def auc_variance(y: np.ndarray, score: np.ndarray) -> float:
    """Variance of the AUC when outcomes (n,) are permuted among the scores: exact, ties included [1]."""
    events, rows = float(np.sum(y)), float(len(y))
    ties = np.unique(score, return_counts=True)[1].astype(float)
    pairs = 12 * events * (rows - events)
    return float((rows + 1) / pairs - (ties**3 - ties).sum() / (pairs * rows * (rows - 1)))


def hidden_outcomes(table: pd.DataFrame, foretell: Foretell, parts: Parts, known: np.ndarray) -> Check:
    """The scores must stay to the last digit when the outcomes of the test rows are turned round.

    known  the scores of the table as it is
    """
    test = parts[-1]
    turned = table.outcome.where(~test, 1 - table.outcome)
    moved = _moved(known, foretell(table.assign(outcome=turned), parts))
    note = (
        f"first customer {_first(table[test], moved)}; a step has seen the outcomes it is judged by: encode, choose "
        f"and pick by the rows to learn from alone"
    )
    return _share("test rows whose score follows the outcomes of test rows", moved, note)


def one_by_one(table: pd.DataFrame, foretell: Foretell, parts: Parts, known: np.ndarray) -> Check:
    """The score of a test row must stay when half of the other test rows are not there.

    known  the scores of the table as it is
    """
    nth = np.cumsum(parts[-1]) - 1
    kept = ~parts[-1] | (nth % 2 == 0)
    found = foretell(table[kept].reset_index(drop=True), tuple(mask[kept] for mask in parts))
    moved = _moved(np.asarray(known)[::2], found)
    note = (
        f"first customer {_first(table[kept & parts[-1]], moved)}; something is fitted on all rows (a scale, levels, "
        f"a mean): fit it on the rows to learn from"
    )
    return _share("test rows whose score follows other test rows", moved, note)


def copies(table: pd.DataFrame, columns: Sequence[str], foretell: Foretell, parts: Parts, seed: int) -> Check:
    r"""Subjects that are there twice under two ids, once among the test rows and once among the rows to learn from.

    Equal columns alone prove nothing: few columns make many equal rows. But a copy has its outcome copied too. Twins
    foretold p by models that have seen neither agree with the chance p² + (1 - p)² if they are two people, and always
    if they are one. The share of copies among k twins of which A agree is estimated by

    .. math:: (A - \sum e_i) / (k - \sum e_i), \qquad e_i = p_i^2 + (1 - p_i)^2

    and must not surely be above a quarter. That many, since a model too simple for the truth makes honest twins agree
    a little more often than it says. Fewer than ten twins pass: they can move no figure.
    """
    twins = twins_of(table, columns, parts)
    what, limit = "copies among twins on both sides of the split", f"not surely above {WORST_SHARE:g}"
    note = f"{len(twins):,} of {int(parts[-1].sum()):,} test rows have a twin"
    if len(twins) < FEWEST_TWINS:
        return Check(what, limit, 0.0, np.nan, np.nan, True, note)
    p = _by_others(table, columns, foretell, parts, twins, seed)
    y = table.outcome.to_numpy(dtype=float)
    agree, chance = y[twins["at"]] == y[twins.at_learned], p**2 + (1 - p) ** 2
    room = (1 - chance).sum()
    share, error = float((agree - chance).sum() / room), float(np.sqrt((chance * (1 - chance)).sum()) / room)
    passed = bool(share - ERRORS * error <= WORST_SHARE)
    if not passed:
        note += (
            f", first customer {twins.customer_id.iloc[0]}, who is {twins.customer_id_learned.iloc[0]} too; keep one "
            f"of the two in the source"
        )
    return Check(what, limit, share, *_around(share, error), passed, note)


def twins_of(table: pd.DataFrame, columns: Sequence[str], parts: Parts) -> pd.DataFrame:
    """Test rows that are equal in every column to a row that is learned from, of another subject.

    One pair for each pattern of columns: customer_id and customer_id_learned, their positions `at` and `at_learned`,
    and `pattern`, a hash of the columns' values. In the order of the positions.
    """
    rows = pd.DataFrame({"customer_id": table.customer_id.to_numpy(), "at": np.arange(len(table))})
    rows["pattern"] = pd.util.hash_pandas_object(table[list(columns)], index=False).to_numpy()
    test, learned = rows[parts[-1]], rows[_learned(parts)].drop_duplicates(["pattern", "customer_id"])
    test = test.drop_duplicates("pattern")
    pairs = test.merge(learned, on="pattern", suffixes=("", "_learned"))
    return pairs[pairs.customer_id != pairs.customer_id_learned].drop_duplicates("pattern", ignore_index=True)


def _by_others(
    table: pd.DataFrame, columns: Sequence[str], foretell: Foretell, parts: Parts, twins: pd.DataFrame, seed: int
) -> np.ndarray:
    """The probability of each pair by models that learned from no row like it: half of the patterns at a time."""
    pattern = pd.util.hash_pandas_object(table[list(columns)], index=False).to_numpy()
    held = np.where(np.isin(pattern, twins.pattern), pattern % 2, 2)
    p = np.empty(len(table))
    for half in (0, 1):
        asked = np.zeros(len(table), dtype=bool)
        asked[twins["at"][twins.pattern % 2 == half]] = True
        if asked.any():
            kept = asked | _drawn(table, tuple(mask & (held != half) for mask in parts[:-1]), seed)
            masks = tuple((mask & ~asked)[kept] for mask in parts[:-1])
            p[asked] = np.asarray(foretell(table[kept].reset_index(drop=True), (*masks, asked[kept])))[:, -1]
    return p[twins["at"]]


def apart(table: pd.DataFrame, splits: Sequence[Parts], horizon_days: int) -> Check:
    """No row may be judged by a model that learned from its subject at the same origin, or from an outcome that was
    still open at its origin.

    Asked of the rows to pick by, against those learned from, and of the test rows, against both.
    """
    day = pd.to_datetime(table.origin)
    bad = np.zeros(len(table), dtype=bool)
    for parts in splits:
        for k in range(1, len(parts)):
            learned, judged = _learned(parts[: k + 1]), parts[k]
            for origin in day[judged].unique():
                open_then = learned & (day > origin - pd.Timedelta(days=horizon_days)).to_numpy() & (day != origin)
                same = table.customer_id[learned & (day == origin)]
                here = judged & (day == origin).to_numpy()
                bad |= here & (open_then.any() | table.customer_id.isin(same).to_numpy())
    note = (
        f"first customer {_first(table, bad)}; split by origin with a horizon between, and rows of one origin by "
        f"customer"
    )
    return _share("rows judged by what they were learned with", bad, note)


def id_order(table: pd.DataFrame, bound: float) -> Check:
    """Whether the order of ids alone ranks the outcome of the latest origin, surely better than a single column may.

    Ids are no features, but rows that were numbered by outcome hand it to whatever depends on their order.
    """
    last = table[table.origin == table.origin.max()]
    found = auc_interval(last.outcome, _in_order(last.customer_id))
    if found.value < 0.5:
        found = type(found)(1 - found.value, 1 - found.high, 1 - found.low)
    passed = bool(found.low <= bound)
    note = (
        "" if passed else "give ids that were there before the outcome, or shuffle the rows that numbers are given to"
    )
    return Check("AUC of the order of ids", f"not surely above {bound:g}", *found, passed, note)


def id_again(table: pd.DataFrame, columns: Sequence[str]) -> Check:
    """Columns that put a hundred subjects or more into just the order of their ids, or its reverse, without a tie."""
    last = table[table.origin == table.origin.max()]
    place, again = _in_order(last.customer_id), []
    if len(last) >= FEWEST_IDS:
        numbers = [name for name in columns if last[name].dtype == "float64" and last[name].is_unique]
        ranks = {name: last[name].rank().to_numpy() for name in numbers if last[name].notna().all()}
        again = [n for n, rank in ranks.items() if (rank == place).all() or (rank == len(last) + 1 - place).all()]
    note = f"{', '.join(again)}: an id is no feature; take it off the source's attributes" if again else ""
    return Check("columns that are the id again", "none", float(len(again)), np.nan, np.nan, not again, note)


def alone(best: pd.Series, bound: float) -> Check:
    """No attribute that a source promises may rank the outcome better than `bound`; `best` is the AUC of each."""
    what, limit = "AUC of the best attribute alone", f"at most {bound:g}"
    if best.empty:
        return Check(what, limit, 0.5, np.nan, np.nan, True, "the source declares none")
    name, value = best.idxmax(), float(best.max())
    listed = ", ".join(f"{n} ({v:.3f})" for n, v in best[best > bound].items())
    remedy = (
        f"{listed}: known only after the outcome? Then take it off the source's attributes; if it was known at the "
        f"origin, allow it with -p allowed_columns={','.join(best[best > bound].index)}"
    )
    return Check(what, limit, value, np.nan, np.nan, value <= bound, remedy if listed else name)


def _learned(parts: Parts) -> np.ndarray:
    return np.logical_or.reduce(parts[:-1])


def _in_order(ids: pd.Series) -> np.ndarray:
    """The place of each id, from 1: by its number where all are numbers, as text otherwise."""
    numbers = pd.to_numeric(ids.astype(str), errors="coerce")
    return (numbers if numbers.notna().all() else ids.astype(str)).rank().to_numpy()


def _moved(known: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The rows (n,) in which any candidate's score differs."""
    known, found = np.asarray(known), np.asarray(found)
    return ~np.isclose(known, found, rtol=0, atol=CLOSE, equal_nan=True).all(axis=1)


def _share(what: str, bad: np.ndarray, note: str) -> Check:
    share = float(bad.mean()) if len(bad) else np.nan
    return Check(what, "none", share, np.nan, np.nan, not bad.any(), note if bad.any() else "")


def _first(rows: pd.DataFrame, bad: np.ndarray) -> object:
    return rows.customer_id.iloc[int(np.argmax(bad))] if bad.any() else None


def _around(value: float, error: float) -> tuple[float, float]:
    return value - Z * error, value + Z * error
