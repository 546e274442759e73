"""What of old runs goes, and which never do: the bound on what runs and versions take up.

A run goes whole: its version, its artifacts, its test rows, its record in the store. None goes that may still be asked
for: the version of any alias, those that the last rows of the ledger moved from and to, and as many champions back as
`BACK` rollbacks reach. Rows of the ledger stay for ever, with the gate, the fingerprints and the sha256 of a version.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from contracts.places import mlruns
from registry import evidence, ledger
from registry.store import WATCH, client, exists

BACK = 2  # rollbacks in a row that find the version they go back to


@dataclass(frozen=True)
class Removed:
    """How many runs and watches of a model went, and which of its versions."""

    model: str
    runs: int
    versions: Sequence[int]


def remove_runs(model: str, source: str, before: date) -> Removed:
    """Remove the runs of a model on a source, and its watches, that are as of a day before `before`.

    The caller holds the lock of the model on the source. A version goes first, so that nobody is offered one without
    its files; what is cut goes on with the next call. Runs that a person began by hand stay.
    """
    if not exists():
        return Removed(model, 0, ())
    with ledger.held():
        kept = _protected(model)
        numbers = _numbers(model)
        old = [run for run in _runs(model) if _is_old(run, source, before)]
        old = [run for run in old if numbers.get(run.info.run_id) not in kept]
        for run in old:
            if run.info.run_id in numbers:
                client().delete_model_version(model, str(numbers[run.info.run_id]))
    watches = (run for run in _runs(WATCH) if run.data.tags.get("crm.model") == model)
    old += [run for run in watches if _is_old(run, source, before)]
    for run in old:
        _remove(run)
    return Removed(model, len(old), sorted(numbers[run.info.run_id] for run in old if run.info.run_id in numbers))


def _protected(model: str) -> set[int]:
    """The numbers of the versions that stay, whatever their age."""
    named = [str(number) for found in client().search_registered_models(f"name = '{model}'")
             for number in found.aliases.values() if found.name == model]  # fmt: skip
    return {int(number) for number in (*named, *ledger.reachable(model, BACK))}


def _numbers(model: str) -> dict[str, int]:
    """The version of each run that made one, whole or not."""
    found, token = {}, None
    while True:
        page = client().search_model_versions(f"name = '{model}'", max_results=1000, page_token=token)
        found |= {version.run_id: int(version.version) for version in page}
        token = page.token
        if not token:
            return found


def _is_old(run, source: str, before: date) -> bool:
    tags = run.data.tags
    ours = "crm.owner" in tags and tags.get("crm.source") == source and run.info.status != "RUNNING"
    return ours and "" < tags.get("crm.as_of", "") < before.isoformat()


def _remove(run) -> None:
    """Its files beside the data, its artifacts, and its record: last, since all the others are found by it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run_id = run.info.run_id
    evidence.remove(run_id)
    get_artifact_repository(run.info.artifact_uri).delete_artifacts()
    for folder in (mlruns() / "artifacts").glob(f"*/{run_id}"):
        folder.rmdir()
    if run.info.lifecycle_stage == "active":
        client().delete_run(run_id)
    if for_good := _for_good():
        for_good(run_id)


def _for_good() -> Callable[[str], None] | None:
    """What `mlflow gc` deletes the record of a run with; None behind a server, whose owner has to run that."""
    return getattr(client()._tracking_client.store, "_hard_delete_run", None)


def _runs(experiment: str) -> Iterator:
    """The runs of an experiment, also those deleted in the store, where they can be removed from it for good."""
    from mlflow.entities import ViewType

    kept, token = client().get_experiment_by_name(experiment), None
    which = ViewType.ALL if _for_good() else ViewType.ACTIVE_ONLY
    while kept is not None:
        page = client().search_runs([kept.experiment_id], "", which, page_token=token)
        yield from page
        token = page.token
        if not token:
            break
