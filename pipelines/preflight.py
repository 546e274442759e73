"""What can be refused before anything is written: the source, its contracts, the dates, the leaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr.types import Table

from contracts.places import root
from contracts.study import day
from contracts.tables import check, named_by
from evaluation.gate import Check
from features.identity import features_hash
from pipelines.fingerprints import visible
from pipelines.kinds import kind_of
from pipelines.leaks import refuse_future
from pipelines.training import training_of
from registry.fingerprint import digest, run_key, table_fingerprint
from registry.recipe import recipe
from registry.row_digest import row_digest
from sources import open_source
from sources.source import Source

CODE = Path(__file__).resolve().parents[1]  # the checkout that runs, whichever project CRM_HOME names


@dataclass(frozen=True)
class Inputs:
    """All that the result of a run follows from, the run key made of it, and what outputs call the source.

    recipe     what tells this run from another, file by file and column by column
    simulated  whether its customers are; `label` then says so
    rows       the digest of each raw table's rows, so that changed ones can be named
    table      the training table, for those who judge without building it again
    checks     what the leak battery asked, and did not find
    source     as it was opened, to ask later whether it still is so
    """

    key: str
    fingerprints: Mapping[str, str]
    columns: Mapping[str, str]
    sql: str
    recipe: Mapping
    label: str
    simulated: bool
    rows: Mapping[str, pa.Table]
    table: pd.DataFrame
    checks: Sequence[Check]
    source: Source


def preflight(model: str, parameters: Mapping, notebook: Path) -> Inputs:
    """Open the source, check its contracts and the training table; raises `Refused` and its kinds, writes nothing."""
    source = open_source(parameters["source"])
    check(source.tables, source.attributes)
    kind, training = kind_of(model), training_of(model)
    table = training.training(source, parameters)
    refuse_future(source, ibis.memtable(table[["customer_id", "origin"]].drop_duplicates()))
    checks = training.battery(source, table, parameters)
    tables = visible(source, day(parameters["as_of"], "as_of"))
    fingerprints = {name: table_fingerprint(table) for name, table in tables.items()}
    columns, sql = kind.columns(source), kind.sql(source)
    rows = {name: row_digest(table, names_of(name, table)) for name, table in tables.items()}
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
    source.refuse_changed()
    logged = fingerprints | {"training_table": table_fingerprint(ibis.memtable(table))}
    return Inputs(key, logged, columns, sql, made_of, source.label, source.simulated, rows, table, checks, source)


def names_of(name: str, table: Table) -> list[str]:
    """The columns by which a row of a raw table is called."""
    key, subject = named_by(name, table.columns)
    return [*key, subject]


def files_of(notebook: Path) -> dict[str, Path]:
    """The files that a run follows from: the code that runs, the notebook, the project's lock."""
    return {"code": CODE, "notebook": notebook, "lock": root() / "requirements.lock"}
