r"""A scorecard as a table of points: everybody starts with the base, and each column adds the points of its bin.

.. math:: \text{score} = \text{base} + \sum_c \text{points}_c, \qquad
          \log\frac{1 - p}{p} = \log\text{odds} + (\text{score} - \text{score}_0) \frac{\ln 2}{\text{PDO}}

The points are whole numbers and the table is the model: the probability p of the outcome follows from the score alone,
so that a person may edit the table, and a database that adds it up comes to the same. More points, less risk.

Table   one row a bin: the base; for each column its ranges in order (`low` < value <= `high`) or groups of levels, then
        special values, missing, and for a category what was not seen before
Errors  BrokenTable for a table that does not give every value exactly one bin

Siddiqi (2017), Intelligent Credit Scoring, 2nd edition, chapter 10: scaling by points to double the odds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.special import expit

from models.binning import MISSING, NO_LEVEL, Binning, Bins
from models.encoding import UNSEEN, Encoder
from models.partition import FREE
from models.woe import WOELogistic

BASE, RANGE, LEVELS, SPECIAL, ABSENT, NEW = "base", "range", "levels", "special", "missing", "unseen"
COLUMNS = ["column", "kind", "low", "high", "levels", "bin", "rows", "outcomes", "rate", "woe", "points"]
WRITTEN = ["column", "kind", "low", "high", "levels", "rows", "outcomes", "points"]  # what a table must have


class BrokenTable(ValueError):
    """A table of points that leaves a value without a bin, or with two."""


class Scale(NamedTuple):
    """At `score` the odds against the outcome are `odds` to 1, and every `pdo` points double them."""

    pdo: float = 20.0
    score: float = 600.0
    odds: float = 50.0

    @property
    def factor(self) -> float:
        """Points for a factor e of the odds."""
        return self.pdo / float(np.log(2))

    @property
    def offset(self) -> float:
        """The score at odds of 1 to 1."""
        return self.score - self.factor * float(np.log(self.odds))

    def logit(self, score: np.ndarray) -> np.ndarray:
        """Log-odds of the outcome at a score, of the same shape."""
        return (self.offset - score) / self.factor

    def points(self, logit: float | np.ndarray) -> float | np.ndarray:
        """The score of log-odds, not rounded."""
        return self.offset - self.factor * logit


@dataclass(frozen=True)
class PointsTable:
    """Columns with their bins and points; `rate` is the base rate that weights of evidence are shown against."""

    encoder: Encoder
    bins: tuple[Bins, ...]
    points: tuple[tuple[int, ...], ...]
    base: int
    rate: float
    scale: Scale

    @classmethod
    def of(cls, line: WOELogistic, encoder: Encoder, scale: Scale) -> Self:
        """A regression on weights of evidence in points; a column whose bins all have 0 is left out."""
        weights, factors = line.evidence.weights, np.asarray(line.coefficients)
        each = [np.rint(-scale.factor * c * w).astype(int) for c, w in zip(factors, weights, strict=True)]
        kept = [position for position, points in enumerate(each) if points.any()]
        base = line.base - float(np.dot(factors, line.means))
        names = tuple(encoder.columns[position] for position in kept)
        return cls(
            Encoder(names, {name: encoder.levels[name] for name in names if name in encoder.levels}),
            tuple(line.evidence.columns[position] for position in kept),
            tuple(tuple(each[position].tolist()) for position in kept),
            int(np.rint(scale.points(base))),
            line.evidence.rate,
            scale,
        )

    def places(self, X: pd.DataFrame) -> pd.DataFrame:
        """The bin of each cell: 0 not seen before, 1 missing, then special values, then ranges or groups in order."""
        matrix = self.encoder.encode(X, UNSEEN, np.float64)
        found = {name: bins.place(matrix[:, k]) for k, (name, bins) in enumerate(self._columns)}
        return pd.DataFrame(found, index=X.index)

    def each(self, X: pd.DataFrame) -> pd.DataFrame:
        """The points of each column, whole numbers, of shape (n, columns)."""
        places = self.places(X)
        found = {name: np.asarray(points)[places[name]] for name, points in zip(places, self.points, strict=True)}
        return pd.DataFrame(found, index=X.index, dtype="int64")

    def score(self, X: pd.DataFrame) -> np.ndarray:
        """Whole numbers, of shape (n,)."""
        return self.base + self.each(X).to_numpy().sum(axis=1)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Probability of the outcome, of shape (n,): that of the score."""
        return expit(self.scale.logit(self.score(X)))

    def to_frame(self) -> pd.DataFrame:
        """The table, of `COLUMNS`; levels are a list in JSON, a range that ends nowhere has no `low` or `high`."""
        rows = [{"column": "", "kind": BASE, "bin": "everybody", "points": self.base}]
        weights = Binning(self.bins, self.rate).weights
        for (name, bins), points, weight in zip(self._columns, self.points, weights, strict=True):
            for place, shown in _shown(bins, self.encoder.levels.get(name)):
                counts = {"rows": bins.rows[place], "outcomes": bins.outcomes[place]}
                rows.append({"column": name, **shown, **counts, "woe": weight[place], "points": points[place]})
        table = pd.DataFrame(rows, columns=COLUMNS).astype({"points": "int64", "rows": "Int64", "outcomes": "Int64"})
        rate = table.outcomes.astype("float64") / table.rows.astype("float64")
        return table.assign(rate=rate.where(table.rows > 0))

    @classmethod
    def from_frame(cls, table: pd.DataFrame, rate: float, scale: Scale) -> Self:
        """The model that a table describes, as written or as edited; of its columns those of `WRITTEN` are read.

        Raises `BrokenTable` for a value without a bin or with two, and for points that are not whole numbers.
        """
        _require(set(WRITTEN) <= set(table.columns), "", f"must have the columns {', '.join(WRITTEN)}", "Add them.")
        whole = pd.to_numeric(table.points, errors="coerce")
        wrong = table[whole.isna() | (whole % 1 != 0)]
        _require(wrong.empty, "" if wrong.empty else wrong.column.iloc[0], "must have whole points", "Round them.")
        table = table.assign(points=whole.astype("int64"))
        base = table[table.kind == BASE]
        _require(len(base) == 1, "", f"must have one row of kind {BASE}, but has {len(base)}", "Keep one.")
        names = tuple(dict.fromkeys(table.column[table.kind != BASE]))
        read = {name: _read(name, table[(table.column == name) & (table.kind != BASE)]) for name in names}
        levels = {name: one[0] for name, one in read.items() if one[0] is not None}
        bins, points = (tuple(one[k] for one in read.values()) for k in (1, 2))
        return cls(Encoder(names, levels), bins, points, int(base.points.iloc[0]), rate, scale)

    @property
    def _columns(self) -> list[tuple[str, Bins]]:
        return list(zip(self.encoder.columns, self.bins, strict=True))


def _shown(bins: Bins, levels: Sequence[str] | None) -> list[tuple[int, dict]]:
    """Place and description of each bin of a column, in the table's order."""
    found = []
    if bins.cuts is None:
        for group in range(max(bins.groups, default=-1) + 1):
            names = [level for level, of in zip(levels or (), bins.groups, strict=True) if of == group]
            text = json.dumps(names, ensure_ascii=False)
            said = ", ".join(map(_readable, names))
            found.append((bins.first + group, {"kind": LEVELS, "levels": text, "bin": said}))
    else:
        ends = [None, *bins.cuts, None]
        for number, (low, high) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            found.append((bins.first + number, {"kind": RANGE, "low": low, "high": high, "bin": _range(low, high)}))
    for number, special in enumerate(bins.specials):
        found.append((2 + number, {"kind": SPECIAL, "low": special, "high": special, "bin": f"{special:.12g}"}))
    found.append((MISSING, {"kind": ABSENT, "bin": "missing"}))
    return found + ([(NO_LEVEL, {"kind": NEW, "bin": "not seen before"})] if bins.cuts is None else [])


def _readable(level: str) -> str:
    """A level on one line: what is not printed is escaped, as it would end a row of the written table."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in level)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "any" if high is None else f"up to {high:.12g}"
    return f"above {low:.12g}" if high is None else f"above {low:.12g}, up to {high:.12g}"


def _read(name: str, rows: pd.DataFrame) -> tuple[tuple[str, ...] | None, Bins, tuple[int, ...]]:
    """Levels (None: a number), bins and points of one column."""
    of = {kind: rows[rows.kind == kind] for kind in (RANGE, LEVELS, SPECIAL, ABSENT, NEW)}
    strange = sorted(set(rows.kind) - set(of))
    _require(not strange, name, f"has rows of kind {', '.join(strange)}", f"Kinds are {', '.join(of)}.")
    _require(len(of[ABSENT]) == 1, name, f"must have one row of kind {ABSENT}", "Say what a missing value counts.")
    category = not of[LEVELS].empty or of[RANGE].empty
    _require(len(of[NEW]) == category, name, f"must have one row of kind {NEW} if it is a category, else none",
             "Say what a level counts that was not seen before.")  # fmt: skip
    if category:
        _require(of[SPECIAL].empty and of[RANGE].empty, name, "has levels and numbers", "Keep one kind.")
        return _category(name, of)
    return None, *_number(name, of)


def _number(name: str, of: Mapping[str, pd.DataFrame]) -> tuple[Bins, tuple[int, ...]]:
    ranges = of[RANGE]
    low, high = (pd.to_numeric(ranges[end]).to_numpy(dtype=float) for end in ("low", "high"))
    tiled = np.isnan(low[0]) and np.isnan(high[-1]) and (low[1:] == high[:-1]).all() and (np.diff(high[:-1]) > 0).all()
    _require(bool(tiled), name, "must have ranges of which each begins where the one before it ends, the first without "
             "`low`, the last without `high`", "Close the gap or the overlap.")  # fmt: skip
    specials = pd.to_numeric(of[SPECIAL].low).to_numpy(dtype=float)
    _require(len(set(specials)) == len(specials) and not np.isnan(specials).any(), name,
             "must have one row for each special value, the value in `low`", "Keep one of each.")  # fmt: skip
    blank = pd.DataFrame({"rows": [0], "outcomes": [0], "points": [0]})  # no number is a level that was not seen
    counts = _counts([blank, of[ABSENT], of[SPECIAL], ranges])
    return Bins(tuple(high[:-1].tolist()), (), tuple(specials.tolist()), FREE, *counts[:2]), counts[2]


def _category(name: str, of: Mapping[str, pd.DataFrame]) -> tuple[tuple[str, ...], Bins, tuple[int, ...]]:
    names = [json.loads(text) for text in of[LEVELS]["levels"]]
    group = {level: number for number, several in enumerate(names) for level in several}
    _require(len(group) == sum(map(len, names)), name, "must have each level in one row only", "Leave one of them.")
    levels = tuple(sorted(group))
    counts = _counts([of[NEW], of[ABSENT], of[LEVELS]])
    return levels, Bins(None, tuple(group[level] for level in levels), (), FREE, *counts[:2]), counts[2]


def _counts(parts: Sequence[pd.DataFrame]) -> list[tuple[int, ...]]:
    """Rows, outcomes and points of the bins, in the order of their places."""
    table = pd.concat([part[["rows", "outcomes", "points"]] for part in parts]).apply(pd.to_numeric).fillna(0)
    return [tuple(table[what].astype("int64").tolist()) for what in ("rows", "outcomes", "points")]


def _require(kept: bool, column: str, what: str, remedy: str) -> None:
    if not kept:
        raise BrokenTable(f"The table of points{f', column {column},' if column else ''} {what}. {remedy}")
