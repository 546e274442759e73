"""Churn: which candidates are trained, on what, and the model that is registered; `models.candidates` has the rest.

Candidates  base rate; one column (recency, where there is one); logistic regression; boosted trees
Tables      one row a (customer_id, origin), in that order, with `outcome` 1 for churned
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.ranking import auc
from models import boosting, logistic
from models.candidates import (
    BASE_RATE,
    FOLDS,
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

LOGISTIC, BOOSTED = "logistic", "boosted"
CANDIDATES = (BASE_RATE, ONE_COLUMN, LOGISTIC, BOOSTED)  # simplest first
LIGHT = (BASE_RATE, ONE_COLUMN, LOGISTIC)  # those that train in no time
__all__ = [
    "BASE_RATE", "BOOSTED", "CANDIDATES", "LIGHT", "LOGISTIC", "NAIVE", "ONE_COLUMN",
    "Churn", "Evidence", "Split", "fit", "judge", "load", "random_split_auc", "splits",
]  # fmt: skip


class Churn(Fitted):
    """A fitted candidate.

    about  features (hash), horizon_days, active_days, threshold, base_rate, dictionary (column to words), ...
    """

    FILE = "churn.json"
    LOADERS = {
        BASE_RATE: load_constant,
        ONE_COLUMN: logistic.load,
        LOGISTIC: logistic.load,
        BOOSTED: boosting.load,
    }


def judge(
    table: pd.DataFrame,
    columns: Sequence[str],
    horizon_days: int,
    effort: str,
    seed: int,
    by: Sequence[Split] | None = None,
    candidates: Sequence[str] = CANDIDATES,
) -> Evidence:
    """As `models.candidates.judge`, on `columns`."""
    return judge_among(fit, table, columns, horizon_days, effort, seed, by, candidates)


def random_split_auc(table: pd.DataFrame, columns: Sequence[str], seed: int) -> float:
    """AUC of the logistic regression on a fifth of the rows drawn at random: only to show how optimistic that is."""
    unseen = np.random.default_rng(seed).permutation(len(table)) % FOLDS == 0
    foretold = fit(LOGISTIC, table[~unseen], columns, "fast", seed).predict(table[unseen])
    return auc(table.outcome[unseen].to_numpy(), foretold)


def fit(name: str, table: pd.DataFrame, columns: Sequence[str], effort: str, seed: int) -> Churn:
    """One candidate on all rows of `table`; raises `models.folds.TooFewCases` for too few of a class."""
    if name in NAIVE:
        recency = ["recency_days"] if "recency_days" in columns else columns
        return Churn(name, *fit_naive(name, table, recency, seed))
    X, outcome, subjects = table[list(columns)], table.outcome.to_numpy(dtype=float), table.customer_id
    if name == LOGISTIC:
        estimator = logistic.fit(X, outcome, subjects=subjects, seed=seed)
    else:
        estimator = boosting.fit(X, outcome, subjects, effort=effort, seed=seed, threads=threads(len(X)))
    return Churn(name, estimator, tuple(columns))


def load(folder: Path) -> Churn:
    """A saved `Churn`; parses numbers and native booster files, executes nothing of the folder's."""
    return Churn.load(folder)
