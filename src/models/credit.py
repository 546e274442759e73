"""Credit: which candidates foretell default, on what, and the model that is registered; see `models.candidates`.

Candidates  base rate; one column; scorecard; additive (boosted, two columns a tree at most); boosted trees that keep
            to directions; boosted trees that are free; the weighted portfolio. The first three can be read off a
            table, the fourth drawn, the others only asked
Tables      one row a (customer_id, origin), or an (origin, application_id), in that order, with `outcome` 1 for bad
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from models import boosting, logistic, scorecard
from models.binning import Binning, Wish
from models.candidates import (
    BASE_RATE,
    NAIVE,
    ONE_COLUMN,
    Evidence,
    Fitted,
    Split,
    fit_naive,
    load_constant,
    splits,
    threads,
)
from models.candidates import judge as judge_among
from models.encoding import UNSEEN, Encoder
from models.partition import FALLING, MONOTONE, RISING, SHAPES
from models.portfolio import ADDITIVE as SHALLOW

SCORECARD, ADDITIVE, MONOTONE_BOOSTED, BOOSTED, PORTFOLIO = (
    "scorecard", "additive", "boosted, monotone", "boosted", "portfolio",
)  # fmt: skip
CANDIDATES = (BASE_RATE, ONE_COLUMN, SCORECARD, ADDITIVE, MONOTONE_BOOSTED, BOOSTED, PORTFOLIO)  # simplest first
LIGHT = (BASE_RATE, ONE_COLUMN, SCORECARD)  # those that train in no time
__all__ = [
    "ADDITIVE", "BASE_RATE", "BOOSTED", "CANDIDATES", "LIGHT", "MONOTONE_BOOSTED", "NAIVE", "ONE_COLUMN", "PORTFOLIO",
    "SCORECARD", "Credit", "Evidence", "Split", "directions", "fit", "judge", "load", "splits",
    "wishes_in",
]  # fmt: skip


class Credit(Fitted):
    """A fitted candidate; a scorecard's table is `estimator.table`.

    about  features (hash), horizon_days, base_rate, dictionary (column to words), ...
    """

    FILE = "credit.json"
    LOADERS = {
        BASE_RATE: load_constant,
        ONE_COLUMN: logistic.load,
        SCORECARD: scorecard.load,
        **dict.fromkeys((ADDITIVE, MONOTONE_BOOSTED, BOOSTED, PORTFOLIO), boosting.load),
    }


def judge(
    table: pd.DataFrame,
    columns: Sequence[str],
    horizon_days: int,
    effort: str,
    seed: int,
    by: Sequence[Split] | None = None,
    candidates: Sequence[str] = CANDIDATES,
    wishes: Mapping[str, Wish] | None = None,
) -> Evidence:
    """As `models.candidates.judge`, on `columns`, under `wishes`."""
    return judge_among(partial(fit, wishes=wishes), table, columns, horizon_days, effort, seed, by, candidates)


def fit(
    name: str,
    table: pd.DataFrame,
    columns: Sequence[str],
    effort: str,
    seed: int,
    wishes: Mapping[str, Wish] | None = None,
) -> Credit:
    """One candidate on all rows of `table`; raises `models.folds.TooFewCases` for too few of a class.

    effort  fast: the portfolio is a blend of one recipe of trees with two regressions; else as `models.boosting`
    wishes  what is declared of columns: special values, which the scorecard takes, and the shape of their rates, which
            it and the monotone trees take; where no direction is declared, those trees take the scorecard's
    """
    if name in NAIVE:
        return Credit(name, *fit_naive(name, table, columns, seed))
    X, y, subjects = table[list(columns)], table.outcome.to_numpy(dtype=float), table.customer_id
    if name == SCORECARD:
        return Credit(name, scorecard.fit(X, y, subjects, seed=seed, wishes=wishes), tuple(columns))
    if name == PORTFOLIO:
        effort = "blend" if effort == "fast" else effort
        grown = boosting.fit(X, y, subjects, effort=effort, seed=seed, threads=threads(len(X)))
        return Credit(name, grown, tuple(columns))
    ways = {"directions": directions(X, y, wishes, subjects)} if name == MONOTONE_BOOSTED else {}
    kept = {"recipe": SHALLOW} if name == ADDITIVE else ways
    grown = boosting.fit_one(X, y, subjects, **kept, seed=seed, threads=threads(len(X)))
    return Credit(name, grown, tuple(columns))


def wishes_in(text: str) -> dict[str, Wish]:
    """The wishes that a text declares, such as `income:falling,balance:free:-999:-998,limit::-1`.

    Of each column the shape of its rates, which may be left empty, and its special values. Raises `ValueError` for a
    shape, or a special value, that is none, and for a column that stands twice.
    """
    found: dict[str, Wish] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, shape, *specials = [*part.split(":"), ""][: max(2, part.count(":") + 1)]
        if name in found:
            raise ValueError(f"a column has one wish, but {name} has two. Remove one.")
        if shape and shape not in SHAPES:
            raise ValueError(f"the shape of {name} must be one of {', '.join(SHAPES)}, but is {shape!r}. Correct it.")
        try:
            values = tuple(float(special) for special in specials)
        except ValueError:
            raise ValueError(f"special values of {name} must be numbers, but are {specials}. Correct them.") from None
        if not np.isfinite(values).all():
            raise ValueError(f"special values of {name} must be finite, but are {specials}. Missing has its own bin.")
        found[name] = Wish(shape or None, values)
    return found


def directions(
    X: pd.DataFrame,
    y: np.ndarray,
    wishes: Mapping[str, Wish] | None = None,
    subjects: Sequence | None = None,
) -> dict[str, int]:
    """The declared directions, 1 for rising and -1 for falling; where there is none, those of monotone bins."""
    shapes = {name: wish.shape for name, wish in (wishes or {}).items() if name in X}
    if not set(shapes.values()) & {RISING, FALLING}:
        encoder = Encoder.learn(X, subjects)
        bins = Binning.learn(encoder.encode(X, UNSEEN), y, encoder.is_category, undeclared=MONOTONE).columns
        shapes = {name: one.shape for name, one in zip(X, bins, strict=True) if one.cuts}
    ways = {RISING: 1, FALLING: -1}
    return {name: ways[shape] for name, shape in shapes.items() if shape in ways}


def load(folder: Path) -> Credit:
    """A saved `Credit`; parses numbers, tables and native booster files, executes nothing of the folder's."""
    return Credit.load(folder)
