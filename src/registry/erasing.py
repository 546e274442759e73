"""A person taken out of what the store and the runs keep: evidence, digests of rows, notes; and what stays, in words.

Of the store only texts that name her are changed, and never the ledger, whose rows are chained. A run whose evidence
was changed is tagged `crm.erased`, so that nobody takes it for what it was.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pandas as pd

from contracts.erasing import parquet_without, without
from contracts.places import data, mlruns
from registry import runs
from registry.evidence import fingerprints
from registry.fingerprint import file_digest
from registry.store import LEDGER, client, exists

ERASED = "crm.erased"


def erase_evidence(source: str, ids: Mapping[str, Collection[str]], when: str) -> int:
    """Take her test rows out of the evidence of the source's runs, whose tags then say what it is now; how many.

    The tags come first: a run that was cut in between is refused by its readers, and mended by the next erasure.
    """
    removed = 0
    for file in sorted((data() / "evidence").glob("*.parquet")):
        if run := _run(file.stem, source):
            removed += parquet_without(file, ids, lambda new, run=run: _retag(run.info.run_id, new, when))
    return removed


def erase_digests(source: str, when: str) -> int:
    """Remove the digests of raw rows of the source's runs, out of which a row that is gone could be named; how many."""
    removed = 0
    for folder in sorted((data() / "evidence" / "rows").glob("*")):
        if run := _run(folder.name, source):
            runs.tag(run.info.run_id, {ERASED: when})
            shutil.rmtree(folder)
            removed += 1
    return removed


def erase_notes(ids: Collection[str]) -> int:
    """Take her ids out of notes, tags and names in the store; how many there were."""
    count = 0
    for run in _all_runs():
        for key, value in run.data.tags.items():
            said, found = without(value, ids)
            if found:
                runs.tag(run.info.run_id, {key: said})
                count += found
    for version in client().search_model_versions(max_results=1000) if exists() else []:
        said, found = without(version.description or "", ids)
        if found:
            client().update_model_version(version.name, version.version, said)
            count += found
        for key, value in version.tags.items():
            said, found = without(value, ids)
            if found:
                client().set_model_version_tag(version.name, version.version, key, said)
                count += found
    return count


def compact() -> None:
    """Write the store's file anew, without what was overwritten in it; a server's store is its owner's to compact."""
    database = mlruns() / "mlflow.db"
    if os.environ.get("MLFLOW_TRACKING_URI") or not database.exists():
        return
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as store:
        store.execute("PRAGMA secure_delete = ON")
        store.execute("VACUUM")


def remaining(source: str, ids: Collection[str]) -> Iterator[str]:
    """What of her stays in the store, and why, a sentence each."""
    if not exists():
        return
    made = client().search_model_versions(max_results=1000)
    found = sorted((v.name, int(v.version)) for v in made if v.tags.get("crm.source") == source)
    if found:
        listed = ", ".join(f"{name}/{number}" for name, number in found)
        yield (
            f"models trained on {source} while she was in it ({listed}): numbers that follow from all customers, no "
            f"row of hers and no level that fewer than 20 share. Retrain to have one that never saw her"
        )
        yield (
            "fingerprints of tables and test rows in the runs: hashes over all rows, out of which nobody can be read. "
            "They no longer fit the data, and `crm rerun` says that rows were erased"
        )
    kept = client().get_experiment_by_name(LEDGER)
    for run in client().search_runs([kept.experiment_id]) if kept else []:
        if any(without(value, ids)[1] for value in run.data.tags.values()):
            row, model = (run.data.tags.get(f"crm.ledger.{name}") for name in ("number", "model"))
            yield (
                f"row {row} of the ledger of {model}, which names her: rows are chained, and a changed one could not "
                f"be told from a forged one"
            )


def runs_of(source: str) -> list[str]:
    """The ids of the runs of a source, and of those that do not say of which they are."""
    return [run.info.run_id for run in _all_runs() if run.data.tags.get("crm.source", source) == source]


def _run(run_id: str, source: str):
    """A run, if it is of the source, or does not say of which."""
    from mlflow.exceptions import MlflowException

    try:
        run = client().get_run(run_id)
    except MlflowException:
        return None
    return run if run.data.tags.get("crm.source", source) == source else None


def _retag(run_id: str, new: Path, when: str) -> None:
    found = fingerprints(pd.read_parquet(new))
    tags = {"crm.evidence": file_digest(new), ERASED: when}
    tags |= {"crm.test_subjects": found["test subjects"], "crm.test_outcomes": found["test outcomes"]}
    runs.tag(run_id, tags)


def _all_runs() -> Iterator:
    if not exists():
        return
    for kept in client().search_experiments():
        token = ""
        while kept.name != LEDGER:
            page = client().search_runs([kept.experiment_id], page_token=token or None)
            yield from page
            token = page.token
            if not token:
                break
