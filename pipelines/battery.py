"""The leak battery of every retraining: the training table and the whole way to its scores, before anything is written.

What it asks is in `evaluation.leakage`; what features know is asked by `pipelines.leaks`. The model's own code is
trained with, by the least effort: whoever plants a leak in the choice of columns, the encoding, the fit or the pick
plants it there. It is for models of outcomes that are 0 or 1.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd

from contracts.errors import Refused
from evaluation import leakage
from evaluation.gate import Check
from models.folds import TooFewCases
from sources.source import Source
from training_table import feature_columns, single_column_auc


def battery(
    source: Source, table: pd.DataFrame, parameters: Mapping, trainer: ModuleType | SimpleNamespace
) -> list[Check]:
    """All checks of a training table and of what is learned from it; raises `Refused` that lists those that fail.

    trainer  a module such as `models.churn`: its CANDIDATES, LIGHT (those that are quick), Split, splits and judge

    A check that has too little data is among the others, and is for the gate to judge.
    """
    table = table.sort_values(["origin", "customer_id"], kind="stable", ignore_index=True)
    columns, horizon, seed = feature_columns(table), parameters["horizon_days"], int(parameters["seed"])
    allowed = [name.strip() for name in parameters["allowed_columns"].split(",")]
    told = [name for name in source.attributes if name in columns and name not in allowed]
    bound = parameters["leak_bound_flat" if source.kind == "flat" else "leak_bound_events"]
    last = table[table.origin == table.origin.max()]  # what was overwritten since tells most of the latest outcomes
    alone = single_column_auc(last)  # without categories of too many levels for so few
    checks = [leakage.alone(alone[alone.index.isin(told)], parameters["leak_bound_flat"])]
    try:
        splits = trainer.splits(table, horizon, seed)
        free = [name for name in columns if name not in allowed]
        ways = [_way(trainer, horizon, seed, columns, names) for names in (trainer.CANDIDATES, trainer.LIGHT)]
        checks += leakage.battery(table, free, *ways, splits, horizon, bound, seed)
    except TooFewCases as error:
        checks.append(Check("AUC on shuffled outcomes", "near 0.5", *(np.nan,) * 3, None, str(error)))
    refuse(checks)
    return checks


def refuse(checks: Sequence[Check]) -> None:
    """Raises `Refused` where a check fails: each with its limit, what was found, and what to do."""
    failed = [check for check in checks if check.passed is False]
    if failed:
        listed = "; ".join(f"{c.what} is {c.found:.3f}, but must be {c.limit} ({c.note})" for c in failed)
        raise Refused(f"The leak battery must find nothing, but {len(failed)} of {len(checks)} checks do: {listed}.")


def _way(
    trainer: ModuleType | SimpleNamespace,
    horizon_days: int,
    seed: int,
    columns: Sequence[str],
    candidates: Sequence[str],
) -> leakage.Foretell:
    """From a table to the scores of its test rows, by each candidate and by the pick among them."""

    def foretell(table: pd.DataFrame, parts: leakage.Parts) -> np.ndarray:
        split = trainer.Split(*parts)
        found = trainer.judge(table, columns, horizon_days, "fast", seed, [split], candidates)
        return found.test[[*candidates, found.pick]].to_numpy()

    return foretell
