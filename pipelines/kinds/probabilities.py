"""What kinds share whose models foretell whether something happens: outcome 0 or 1, score a probability."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from contracts.subjects import keys_of
from evaluation import gate as gates
from evaluation import summary
from evaluation.estimate import Estimate
from evaluation.gate import Check
from evaluation.ranking import auc_interval
from features.dictionary import Column
from models.reasons import reasons
from pipelines.kinds import Model

LEVEL = 0.9  # of the interval around a score
Selected = Callable[[np.ndarray, Mapping], np.ndarray]


def gains(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Every measure of `evaluation.summary.gains`; AUC first."""
    y = rows.outcome.to_numpy(dtype=float)
    found = summary.gains(y, rows.champion, rows.score, rows.customer_id, seed)
    return pd.DataFrame([(name, *d) for name, d in found.items()], columns=["measure", "gain", "low", "high", "p"])


def measured(rows: pd.DataFrame) -> Estimate:
    """The AUC of `score` with its interval."""
    return auc_interval(rows.outcome.to_numpy(dtype=float), rows.score.to_numpy(), rows.customer_id)


def slices(rows: pd.DataFrame, selected: np.ndarray) -> pd.DataFrame:
    """The declared groups of the test rows."""
    y, groups = rows.outcome.to_numpy(dtype=float), rows[[n for n in rows.columns if n.startswith("slice_")]]
    champion = rows.champion.to_numpy() if "champion" in rows else None
    return gates.slices(y, rows.score, groups, selected, champion, rows.customer_id)


def gate(rows: pd.DataFrame, rule: Mapping, selected: np.ndarray, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """As `evaluation.gate.gate`."""
    return gates.gate(rows, rule, selected, seed)


def scored(model: Model, table: pd.DataFrame, bands: Selected) -> pd.DataFrame:
    """Keys, probability, interval, band and three reasons of each row of features."""
    low, high = model.interval(table, LEVEL)
    keys = [name for name in keys_of(table.columns) if name != "origin"]
    rows = table[keys].assign(score=model.predict(table), low=low, high=high)
    rows["band"] = bands(rows.score.to_numpy(), model.about)
    return rows.join(why(model, table, model.about))


def why(model: Model, table: pd.DataFrame, about: Mapping) -> pd.DataFrame:
    """reason_1 .. reason_3 of each row, in the words of the dictionary; a column it lacks goes by its own name."""
    words = dictionary(model, about)
    return reasons(
        model.contributions(table),
        model.named(table),
        topics={name: words[name].topic for name in model.columns},
        words={name: words[name].say for name in model.columns},
    )


def dictionary(model: Model, about: Mapping) -> dict[str, Column]:
    """What each column means, as a model was told; one that it was not goes by its own name."""
    words = {n: Column(**{**c, "reads": tuple(c["reads"])}) for n, c in about["dictionary"].items()}
    return words | {n: Column(n, n, "count", "", n, None, ()) for n in model.columns if n not in words}
