"""The training table of value, and its leak battery."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from contracts.errors import Refused
from evaluation.gate import Check
from evaluation.value import normalised_gini
from features.subjects import frame
from models import clv
from models.likelihood import Degenerate
from pipelines.battery import refuse
from sources.source import Source
from training_table import feature_columns, plan_of_values, value_table

LIGHT = (clv.PAST_RATE, clv.PROBABILISTIC, clv.TWEEDIE)
DATES = ("as_of", "horizon_days", "origins", "history_days")
FEWEST = 20
ROWS = 600  # of each snapshot that the battery trains on
CLOSE = 1e-6  # of an amount: the last bits of a product depend on the number of rows


def training(source: Source, parameters: Mapping) -> pd.DataFrame:
    """One row for each (customer_id, origin) of the snapshots closed when the test begins, and of the test.

    Outcomes are cents, of a snapshot's days or, at the test origin, of the horizon.
    """
    test, before, _ = plan_of_values(source.tables, *(parameters[name] for name in DATES))
    active = parameters["active_days"]
    closed = value_table(source.tables, source.attributes, before, before.closed_origins, active)
    last = value_table(source.tables, source.attributes, test, (test.test_origin,), active)
    table = pd.concat([frame(closed), frame(last)], ignore_index=True)
    for origin, rows in table.groupby("origin"):
        if (found := int((rows.outcome > 0).sum())) < FEWEST:
            raise Refused(
                f"At least {FEWEST} customers must have bought after each origin, but {found} of {len(rows):,} have "
                f"after {origin}. Take another horizon or a wider population."
            )
    return table


def battery(source: Source, table: pd.DataFrame, parameters: Mapping) -> list[Check]:
    """What must hold of the way to values; raises `Refused` that lists the checks that fail."""
    checks = [_alone(table, float(parameters["leak_bound"])), *_by_light_models(table, parameters)]
    refuse(checks)
    return checks


def _alone(table: pd.DataFrame, bound: float) -> Check:
    """No column may rank what follows nearly as what follows does itself."""
    last = table[table.origin == table.origin.max()]
    y = last.outcome.to_numpy(dtype=float)
    numbers = [name for name in feature_columns(table) if last[name].dtype == "float64"]
    found = {name: abs(normalised_gini(y, last[name].fillna(-1).to_numpy())) for name in numbers}
    name = max(found, key=found.get)
    limit = f"at most {bound:g}"
    note = name if found[name] <= bound else f"{name}: was it written after the outcome? Take it off the source"
    what, passed = "normalised Gini of the best column alone", found[name] <= bound
    return Check(what, limit, found[name], np.nan, np.nan, passed, note)


def _by_light_models(table: pd.DataFrame, parameters: Mapping) -> list[Check]:
    """Amounts foretold of the test rows: the same whatever its outcomes are, and of one whoever is beside her."""
    seed, names = int(parameters["seed"]), feature_columns(table)
    days = min(int(parameters["horizon_days"]), _shortest(table))
    some = table.groupby("origin", group_keys=False).sample(frac=1, random_state=seed).groupby("origin").head(ROWS)
    some = some.sort_values(["origin", "customer_id"], kind="stable")
    parts = [rows.reset_index(drop=True) for _, rows in some.groupby("origin")]
    try:
        known = _foretold(parts, days, names, seed)
    except Degenerate as error:
        return [Check("scores that move with the test's outcomes", "none", *(np.nan,) * 3, None, str(error))]
    hidden = [*parts[:-1], parts[-1].assign(outcome=0)]
    blind = _foretold(hidden, days, names, seed)
    alone = np.array([model.predict(parts[-1].head(1), days)[0] for model in known.values()])
    beside = np.array([model.predict(parts[-1], days)[0] for model in known.values()])
    whole, unseen = (
        np.stack([model.predict(rows[-1], days) for model in found.values()])
        for found, rows in ((known, parts), (blind, hidden))
    )
    return [
        _none("scores that move with the test's outcomes", ~np.isclose(whole, unseen, rtol=CLOSE, atol=0)),
        _none("scores that move with who is scored beside", ~np.isclose(alone, beside, rtol=CLOSE, atol=1e-3)),
    ]


def _foretold(parts: list[pd.DataFrame], days: int, names: list[str], seed: int) -> dict[str, clv.Clv]:
    now = clv.snapshot(parts[-1], days)
    closed = [clv.snapshot(rows, days) for rows in parts[:-1]]
    return clv.fit(LIGHT, closed, now.buying, names, seed)[0]


def _shortest(table: pd.DataFrame) -> int:
    """Days between the last two origins: the test's outcomes begin when those of the last snapshot end."""
    days = np.sort(pd.to_datetime(table.origin).unique())
    return int((days[-1] - days[-2]) / np.timedelta64(1, "D"))


def _none(what: str, bad: np.ndarray) -> Check:
    note = "a score read what it may not" if bad.any() else ""
    return Check(what, "none", float(bad.mean()), np.nan, np.nan, not bad.any(), note)
