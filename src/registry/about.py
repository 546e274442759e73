"""What a run says of itself, read back: parameters, what it was judged by, and its files, checked by their sha256."""

import csv
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import Refused
from registry.store import client, exists, model_experiments
from registry.versions import download, versions

SHA_OF = {"model": "crm.sha256", "judged": "crm.judged"}


@dataclass(frozen=True)
class About:
    """One run. Texts are empty where it did not get that far.

    name            how it is called in a sentence: its version where it is registered, with its as_of
    judged          sha256 of the model fitted without the test rows
    test_subjects   fingerprint of who was judged; test_outcomes: with what happened; test_origin: as a date
    """

    run_id: str
    model: str
    name: str
    status: str
    version: str
    as_of: str
    key: str
    sha256: str
    judged: str
    test_origin: str
    test_subjects: str
    test_outcomes: str
    user: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def about(run_id: str) -> About:
    """A run by its id; raises `Refused` when there is none."""
    from mlflow.exceptions import MlflowException

    try:
        run = client().get_run(run_id)
    except MlflowException:
        raise Refused(f"There is no run {run_id!r} in this store. `crm runs` lists them.") from None
    tags = run.data.tags
    model = client().get_experiment(run.info.experiment_id).name
    version, as_of = tags.get("crm.version", ""), tags.get("crm.as_of", "")
    name = f"{model} version {version} ({as_of})" if version else f"{model} as of {as_of} (run {run_id[:8]})"
    keys = ("key", "sha256", "judged", "test_origin", "test_subjects", "test_outcomes")
    read = {key: tags.get(f"crm.{key}", "") for key in keys}
    return About(
        run_id=run_id,
        model=model,
        name=name,
        status=run.info.status,
        version=version,
        as_of=as_of,
        user=tags.get("mlflow.user", ""),
        parameters=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(tags),
        **read,
    )


def run_named(text: str) -> str:
    """The id of the run that a person means: an id, the first eight digits or more of one, or MODEL/VERSION.

    Raises `Refused` when there is none, or when several begin so.
    """
    if not exists():
        raise Refused("There are no runs yet. `crm retrain` makes one.")
    if "/" in text:
        model, _, number = text.partition("/")
        there = versions(model)
        found = [v.run_id for v in there if str(v.number) == number]
        if there and not found:
            raise Refused(f"{text!r} must name a version, but {model} has {_listed([v.number for v in there])}.")
    else:
        runs = client().search_runs(model_experiments(), max_results=5000) if len(text) >= 8 else []
        found = [run.info.run_id for run in runs if run.info.run_id.startswith(text)]
    if len(found) != 1:
        raise Refused(
            f"{text!r} must name one run, by eight digits of its id or more, or as MODEL/VERSION, but names "
            f"{len(found)}. `crm runs` lists them."
        )
    return found[0]


def _listed(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return (
            f"version {numbers[0]} only. One that is alone is judged beside the naive rule: its page says how it stands"
        )
    return f"versions {min(numbers)} to {max(numbers)}"


def gate(run_id: str) -> list[dict[str, str]]:
    """The checks that the gate asked of a run: check, limit, found, interval, passed; empty where it asked none."""
    if "crm.gate" not in client().get_run(run_id).data.tags:
        return []
    (table,) = (file.path for file in client().list_artifacts(run_id, "gate") if file.path.startswith("gate/gate"))
    with _opened(run_id, table) as file:
        rows = list(csv.DictReader(file.read_text().splitlines()))
    return [{name: text for name, text in row.items() if name != "note"} for row in rows]


def fingerprints(run_id: str) -> dict[str, str]:
    """What a run was trained and tested on: the first 32 digits of each table's fingerprint, by its name."""
    run = client().get_run(run_id)
    found = {given.dataset.name: given.dataset.digest for given in run.inputs.dataset_inputs}
    tested = {"test subjects": "crm.test_subjects", "test outcomes": "crm.test_outcomes"}
    return found | {name: run.data.tags[tag][:32] for name, tag in tested.items() if tag in run.data.tags}


def content(run_id: str, path: str) -> Mapping:
    """A JSON file among a run's artifacts."""
    with _opened(run_id, path) as file:
        return json.loads(file.read_text())


@contextmanager
def _opened(run_id: str, path: str) -> Iterator[Path]:
    from mlflow.artifacts import download_artifacts

    place = f"{client().get_run(run_id).info.artifact_uri}/{path}"
    with tempfile.TemporaryDirectory() as folder:
        yield Path(download_artifacts(artifact_uri=place, dst_path=folder))


def fetch(run_id: str, part: str, folder: Path) -> None:
    """The files of a run's `model` or `judged` in a folder; raises `WorldFailed` when they are not those it logged."""
    run = client().get_run(run_id)
    folder.mkdir(parents=True, exist_ok=True)
    download(f"{run.info.artifact_uri}/{part}", folder, run.data.tags[SHA_OF[part]])
