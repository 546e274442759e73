"""The gate of a retraining: the challenger beside the champion and what was promised, before an alias moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.errors import Refused
from contracts.files import whole
from contracts.places import data
from contracts.spreadsheets import write_csv
from contracts.study import day
from evaluation import gate
from evaluation.gate import Check
from pipelines.compare import Comparison, compare
from pipelines.figures import forest, strategies
from pipelines.kinds import kind_of
from pipelines.parameters import settings
from registry import about, evidence, runs
from registry.versions import Version


@dataclass(frozen=True)
class Judged:
    """How the gate ended: its rows, the comparison with the champion where there is one, and the slices."""

    checks: Sequence[Check]
    comparison: Comparison | None
    slices: pd.DataFrame

    @property
    def passed(self) -> bool:
        """Whether every row passes."""
        return gate.passes(self.checks)

    @property
    def said(self) -> str:
        """In a sentence or two, the comparison first."""
        return f"{f'{self.comparison.verdict} ' if self.comparison else ''}{gate.said(self.checks)}"


def judge(
    run_id: str, champion: Version | None, table: pd.DataFrame, parameters: Mapping, more: Sequence[Check] = ()
) -> Judged:
    """Ask everything of a run that is logged and has kept its test rows.

    champion  the version in use, if another
    table     the features of the test rows, among others
    more      rows that were found out elsewhere: leaks, bytes
    """
    model = about.about(run_id).model
    kind, rule = kind_of(model), rule_of(model, parameters)
    age = 0 if champion is None else (day(parameters["as_of"], "as_of") - day(champion.as_of, "as_of")).days
    stale = age >= settings()["watch"]["review_days"]
    if stale:
        rule |= {"gain_margin": rule["refresh_margin"]}
    rows, comparison, alone = evidence.read(run_id), None, []
    if champion is not None:
        try:
            comparison = compare(champion.run_id, run_id, table)
            rows = comparison.rows
        except Refused as error:
            what, nothing = f"gain in {kind.HEADLINE[1]} over the champion", (np.nan,) * 3
            alone = [Check(what, "both on the same rows", *nothing, None, str(error))]
    known = about.content(run_id, f"model/{model}.json")["about"]
    checks, slices = kind.gate(rows, rule, known, int(parameters["seed"]))
    if stale:
        checks = [_of_stale(check, age) for check in checks]
    return Judged([*alone, *checks, *more], comparison, slices)


def _of_stale(check: Check, age: int) -> Check:
    """The row of the gain with why less is asked: one that learnt from what the champion knew is not surely better."""
    if not check.what.endswith("over the champion"):
        return check
    return check._replace(note=f"the champion is {age} days old, so that one surely not worse takes its place")


def rule_of(model: str, parameters: Mapping) -> dict:
    """The rule of a model in parameters.yml, with what the run declares of it in place of a name."""
    rule = settings()["models"][model]["gate"]
    return {name: parameters[value] if isinstance(value, str) else value for name, value in rule.items()}


def log_judged(run_id: str, judged: Judged, stage: Path, simulated: bool) -> None:
    """The gate, the slices and the comparison in the run: metrics, tables, a figure; who changes band in data/."""
    ending = "-simulated" * simulated
    folder = stage / "gate"
    folder.mkdir()
    tables = {"gate": gate.shown(judged.checks), "slices": judged.slices}
    if comparison := judged.comparison:
        tables |= {"gains": comparison.gains, "bands": comparison.bands}
        forest(comparison.gains, "Is the challenger better than the champion?", folder / "gains.png")
        write_rows(comparison.changed, run_id)
        _draw_strategies(run_id, comparison.rows, folder)
    for name, table in tables.items():
        write_csv(table, folder / f"{name}{ending}.csv")
    gains = {g.measure: (g.gain, g.low, g.high) for g in judged.comparison.gains.itertuples()} if comparison else {}
    runs.log_judged(run_id, folder, judged.checks, gains)


def _draw_strategies(run_id: str, rows: pd.DataFrame, folder: Path) -> None:
    """What acting on each share would have brought by either model, where the kind says so."""
    run = about.about(run_id)
    drawn = getattr(kind_of(run.model), "strategies", None)
    if drawn:
        known = about.content(run_id, f"model/{run.model}.json")["about"]
        strategies(drawn(rows, known, int(run.parameters["seed"])), folder / "strategies.png")


def write_rows(changed: pd.DataFrame, run_id: str) -> Path:
    """Who changes band, with reasons: data/comparisons/`run_id`.parquet."""
    place = data() / "comparisons" / f"{run_id}.parquet"
    with whole(place) as file:
        changed.to_parquet(file, index=False)
    return place
