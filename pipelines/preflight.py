"""What can be refused before anything is written: the source, its contracts, the dates, the leaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd

from contracts.places import root
from contracts.tables import check
from evaluation.gate import Check
from features.identity import column_hashes, features_hash, features_sql
from features.subjects import frame
from pipelines.battery import battery
from pipelines.fingerprints import visible
from pipelines.leaks import refuse_future
from registry.fingerprint import digest, run_key, table_fingerprint
from registry.recipe import recipe
from sources import open_source
from training_table import plan, refuse_few, refuse_leaks, training_table

CODE = Path(__file__).resolve().parents[1]  # the checkout that runs, whichever project CRM_HOME names


@dataclass(frozen=True)
class Inputs:
    """All that the result of a run follows from, the run key made of it, and what outputs call the source.

    recipe     what tells this run from another, file by file and column by column
    simulated  whether its customers are; `label` then says so
    table      the training table, for those who judge without building it again
    checks     what the leak battery asked, and did not find
    """

    key: str
    fingerprints: Mapping[str, str]
    columns: Mapping[str, str]
    sql: str
    recipe: Mapping
    label: str
    simulated: bool
    table: pd.DataFrame
    checks: Sequence[Check]


def preflight(model: str, parameters: Mapping, notebook: Path) -> Inputs:
    """Open the source, check its contracts and the training table; raises `Refused` and its kinds, writes nothing."""
    source = open_source(parameters["source"])
    check(source.tables, source.attributes)
    dates = ("as_of", "horizon_days", "origins", "spacing_days", "active_days")
    study = plan(source.tables, *(parameters[name] for name in dates))
    table = frame(
        training_table(source.tables, source.attributes, study, parameters["active_days"], source.contract_end)
    )
    bound = parameters["leak_bound_flat" if source.kind == "flat" else "leak_bound_events"]
    refuse_few(table)
    refuse_leaks(table, bound, parameters["allowed_columns"].split(","))
    refuse_future(source, ibis.memtable(table[["customer_id", "origin"]]))
    checks = battery(source, table, parameters)
    tables = visible(source, study.as_of)
    fingerprints = {name: table_fingerprint(table) for name, table in tables.items()}
    columns = column_hashes(source.tables, source.attributes, source.contract_end)
    sql = features_sql(source.tables, source.attributes, source.contract_end)
    made_of = recipe(source.label, parameters, tables, fingerprints, files_of(notebook))
    key = run_key(
        {
            "model": model,
            "parameters": dict(parameters),
            "tables": fingerprints,
            "features": features_hash(columns),
            "lock": made_of["lock"],
            "code": digest(made_of["code"]),
            "notebook": digest(made_of["notebook"]),
        }
    )
    # it follows from the rest, so it is no part of the key, but tells a reviewer where two runs part
    logged = fingerprints | {"training_table": table_fingerprint(ibis.memtable(table))}
    return Inputs(key, logged, columns, sql, made_of, source.label, source.simulated, table, checks)


def files_of(notebook: Path) -> dict[str, Path]:
    """The files that a run follows from: the code that runs, the notebook, the project's lock."""
    return {"code": CODE, "notebook": notebook, "lock": root() / "requirements.lock"}
