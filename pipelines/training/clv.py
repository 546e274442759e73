"""The training table of value, and its leak battery."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from contracts.errors import Refused
from evaluation.gate import Check
from evaluation.value import normalised_gini
from features.subjects import frame
from models import clv, clv_choice
from models.likelihood import Degenerate
from pipelines.battery import refuse
from pipelines.kinds import customers
from sources import open_source
from sources.source import Source
from training_table import feature_columns, plan_of_values, value_table

LIGHT = (clv.PAST_RATE, clv.PROBABILISTIC, clv.TWEEDIE)
DATES = ("as_of", "horizon_days", "origins", "history_days")
FEWEST = 20
ROWS = 600  # of each snapshot that the battery trains on
SHUFFLES, ERRORS, DEALT = 2, 3.0, 200  # trainings on shuffled outcomes; standard errors; deals that tell those
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


def again(table: pd.DataFrame, parameters: Mapping, model: clv.Clv) -> clv.Clv:
    """The registered model fitted once more, as the notebook fits it: the pick on all that is closed by `as_of`.

    Its outcomes are later than those of the table, so that they are read anew. The error of totals is taken as it is:
    it is of the candidates on past snapshots, and not of this fit.
    """
    source, days, seed = open_source(parameters["source"]), int(parameters["horizon_days"]), int(parameters["seed"])
    study = plan_of_values(source.tables, *(parameters[name] for name in DATES))[2]
    rows = frame(value_table(source.tables, source.attributes, study, study.closed_origins, parameters["active_days"]))
    closed = [clv.snapshot(part.reset_index(drop=True), study.horizon_days) for _, part in rows.groupby("origin")]
    today = clv.snapshot(customers.subjects(source, parameters, study.as_of), days)
    fitted, _ = clv.fit([model.name], closed, today.buying, model.columns, seed)
    held = clv_choice.held(fitted[model.name], closed, seed)
    return replace(fitted[model.name], held=held, error=model.error, about=model.about)


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
        _shuffled(parts, days, names, seed),
        _none("scores that move with the test's outcomes", ~np.isclose(whole, unseen, rtol=CLOSE, atol=0)),
        _none("scores that move with who is scored beside", ~np.isclose(alone, beside, rtol=CLOSE, atol=1e-3)),
    ]


def _shuffled(parts: list[pd.DataFrame], days: int, names: list[str], seed: int) -> Check:
    """Trees on outcomes that are dealt out anew at each origin: nothing is left to foretell, so the Gini must be zero.

    How far it may be off is told by deals of the test's outcomes among its scores.
    """
    draw, found, errors = np.random.default_rng(seed), [], []
    for _ in range(SHUFFLES):
        dealt = [rows.assign(outcome=draw.permutation(rows.outcome.to_numpy())) for rows in parts]
        score = _foretold(dealt, days, names, seed, (clv.TWEEDIE,))[clv.TWEEDIE].predict(dealt[-1], days)
        y = dealt[-1].outcome.to_numpy(dtype=float)
        found.append(normalised_gini(y, score))
        errors.append(np.std([normalised_gini(draw.permutation(y), score) for _ in range(DEALT)]))
    value, error = float(np.mean(found)), float(np.sqrt(np.sum(np.square(errors))) / SHUFFLES)
    what, limit, passed = "normalised Gini on shuffled outcomes", ERRORS * error, bool(abs(value) <= ERRORS * error)
    note = "" if passed else "outcomes reach the scores of test rows by way of an encoding, or a choice of columns"
    return Check(what, f"from {-limit:.3f} to {limit:.3f}", value, value - 2 * error, value + 2 * error, passed, note)


def _foretold(
    parts: list[pd.DataFrame], days: int, names: list[str], seed: int, candidates: tuple[str, ...] = LIGHT
) -> dict[str, clv.Clv]:
    now = clv.snapshot(parts[-1], days)
    closed = [clv.snapshot(rows, days) for rows in parts[:-1]]
    return clv.fit(candidates, closed, now.buying, names, seed)[0]


def _shortest(table: pd.DataFrame) -> int:
    """Days between the last two origins: the test's outcomes begin when those of the last snapshot end."""
    days = np.sort(pd.to_datetime(table.origin).unique())
    return int((days[-1] - days[-2]) / np.timedelta64(1, "D"))


def _none(what: str, bad: np.ndarray) -> Check:
    note = "a score read what it may not" if bad.any() else ""
    return Check(what, "none", float(bad.mean()), np.nan, np.nan, not bad.any(), note)
