"""What can be refused before anything is written: the source, its contracts, the dates, the leaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ibis

from contracts.boundary import known_before
from contracts.places import root
from contracts.tables import check
from features.identity import column_hashes, features_hash, features_sql
from features.subjects import frame
from pipelines.leaks import refuse_future
from registry.fingerprint import code_digest, file_digest, run_key, table_fingerprint
from sources import open_source
from training_table import plan, refuse_few, refuse_leaks, training_table

CODE = Path(__file__).resolve().parents[1]  # the checkout that runs, whichever project CRM_HOME names


@dataclass(frozen=True)
class Inputs:
    """All that the result of a run follows from, the run key made of it, and what outputs call the source.

    simulated  whether its customers are; `label` then says so
    """

    key: str
    fingerprints: Mapping[str, str]
    columns: Mapping[str, str]
    sql: str
    lock: str
    label: str
    simulated: bool


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
    visible = {
        name: known_before(table, study.as_of) if "known_at" in table.columns else table
        for name, table in source.tables.items()
    }
    fingerprints = {name: table_fingerprint(table) for name, table in visible.items()}
    columns = column_hashes(source.tables, source.attributes, source.contract_end)
    sql = features_sql(source.tables, source.attributes, source.contract_end)
    lock = file_digest(root() / "requirements.lock")
    key = run_key(
        {
            "model": model,
            "parameters": dict(parameters),
            "tables": fingerprints,
            "features": features_hash(columns),
            "lock": lock,
            "code": code_digest(CODE),
            "notebook": file_digest(notebook),
        }
    )
    return Inputs(key, fingerprints, columns, sql, lock, source.label, source.simulated)
