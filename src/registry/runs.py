"""Runs: opened by the runner, filled from what a notebook handed in, closed whatever happens."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from evaluation.gate import passes
from registry import recipe, record
from registry.fingerprint import digest
from registry.store import WATCH, client, experiment, model_experiments

ENDS = ("", "/low", "/high")


def start(model: str, name: str, tags: Mapping[str, str]) -> str:
    """Open a run in the model's experiment, owned by this process; its id."""
    owner = {"crm.owner": _owner(), "mlflow.runName": name}
    return client().create_run(experiment(model), tags={**tags, **owner}, run_name=name).info.run_id


def batch_of(as_of: str, label: str) -> str:
    """The tag `batch` that joins the runs of all models, and the watches, of one source and day."""
    return f"{as_of} {label}"


def log_parameters(run_id: str, parameters: Mapping) -> None:
    """What the run was asked for, by the names that the notebook declares."""
    from mlflow.entities import Param

    client().log_batch(run_id, params=[Param(key, str(value)) for key, value in sorted(parameters.items())])


def log(run_id: str, stage: Path) -> dict:
    """All that a notebook handed in: metrics with both ends of their intervals, figures, tables, facts, verdict."""
    from mlflow.entities import Metric, RunTag

    found = record.read(stage)
    metrics = []
    for name, (value, low, high) in found["metrics"].items():
        metrics += [
            Metric(key, v, 0, 0) for key, v in ((name, value), (f"{name}/low", low), (f"{name}/high", high)) if v == v
        ]
    tags = {
        "mlflow.note.content": found["verdict"],
        "crm.sha256": found["sha256"],
        "crm.judged": found["judged"],
        "crm.passed": str(int(found["passed"])),
        "crm.headline": found["headline"],
        **{f"crm.{key}": str(value) for key, value in found["facts"].items()},
    }
    client().log_batch(run_id, metrics=metrics, tags=[RunTag(key, value) for key, value in tags.items()])
    for folder in ("model", "judged", "figures", "tables"):
        if (stage / folder).is_dir():
            client().log_artifacts(run_id, str(stage / folder), folder)
    return found


def log_judged(run_id: str, folder: Path, checks: Sequence, gains: Mapping[str, tuple[float, float, float]]) -> None:
    """What the gate found: its files, the gains over the champion with both ends, and whether it was passed."""
    from mlflow.entities import Metric

    found = {f"gain/{name}{end}": v for name, ends in gains.items() for end, v in zip(ENDS, ends, strict=True)}
    client().log_batch(run_id, metrics=[Metric(key, float(v), 0, 0) for key, v in found.items() if v == v])
    client().log_artifacts(run_id, str(folder), "gate")
    tag(run_id, {"crm.gate": "passed" if passes(checks) else "not passed"})


def log_datasets(run_id: str, fingerprints: Mapping[str, str], source: str) -> None:
    """Each table by our fingerprint (its first 32 digits: MLflow takes 36), since MLflow's own ignores most rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(name, fingerprint[:32], "crm", f'{{"source": "{source}"}}'), [InputTag("mlflow.data.context", name)]
        )
        for name, fingerprint in sorted(fingerprints.items())
    ]
    client().log_inputs(run_id, inputs)


def log_features(run_id: str, columns: Mapping[str, str], sql: str) -> None:
    """What the features are made of: features.json, the sha256 of each column, and features.sql, all in one."""
    client().log_text(run_id, json.dumps(dict(columns), indent=1), "features.json")
    client().log_text(run_id, sql, "features.sql")


def log_recipe(run_id: str, made_of: Mapping) -> None:
    """What the run is made of (`registry.recipe`), so that it can be made again and compared."""
    client().log_text(run_id, json.dumps(made_of, indent=1), recipe.FILE)
    tag(run_id, {"crm.recipe": digest(made_of)})


def tag(run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run."""
    for key, value in tags.items():
        client().set_tag(run_id, key, value)


def log_file(run_id: str, file: Path, folder: str) -> None:
    """One file as an artifact of a run, below `folder`."""
    client().log_artifact(run_id, str(file), folder)


def finish(run_id: str, status: str, note: str = "") -> None:
    """Close a run as FINISHED, FAILED or KILLED, with one line on why where it is not the first.

    What a run kept beside the data goes, where it made no version that could be compared.
    """
    if status != "FINISHED" and not client().search_model_versions(f"run_id = '{run_id}'"):
        from registry import evidence

        evidence.remove(run_id)
    if note:
        client().set_tag(run_id, "mlflow.note.content", note)
    client().set_terminated(run_id, status)


def reap() -> list[str]:
    """Close the runs whose process is gone as KILLED; says what was found, a line each."""
    said = []
    for run in _all_runs("attributes.status = 'RUNNING'", [*model_experiments(), *_watched()]):
        owner = run.data.tags.get("crm.owner")
        if owner and not _alive(owner):
            finish(run.info.run_id, "KILLED", "The process that made this run is gone; closed by the next start.")
            said.append(f"run {run.info.run_id} was left running by a process that is gone: closed as KILLED")
    return said


def _watched() -> list[str]:
    """The id of the experiment `watch`, where there is one."""
    found = client().get_experiment_by_name(WATCH)
    return [found.experiment_id] if found else []


def _all_runs(condition: str, experiments: Sequence[str]) -> list:
    found, token = [], None
    while experiments:
        page = client().search_runs(experiments, condition, page_token=token)
        found, token = found + list(page), page.token
        if not token:
            break
    return found


def table_of_runs(model: str | None = None) -> list[dict]:
    """The finished, failed and running runs, newest first: what `crm runs` prints."""
    rows, named = [], _named()
    for run in sorted(_all_runs("", model_experiments()), key=lambda r: -r.info.start_time):
        tags, metrics = run.data.tags, run.data.metrics
        name = client().get_experiment(run.info.experiment_id).name
        measure = tags.get("crm.headline", record.HEADLINE)
        if model in (None, name):
            rows.append(
                {
                    "model": name,
                    "run": run.info.run_name,
                    "status": run.info.status,
                    "version": tags.get("crm.version", ""),
                    "aliases": named.get((name, tags.get("crm.version")), []),
                    "measure": measure,
                    "value": metrics.get(f"test/{measure}"),
                    "low": metrics.get(f"test/{measure}/low"),
                    "high": metrics.get(f"test/{measure}/high"),
                    "run_id": run.info.run_id,
                    "verdict": tags.get("mlflow.note.content", ""),
                }
            )
    return rows


def _named() -> dict[tuple[str, str], list[str]]:
    """The aliases of each version that has any, by model and number."""
    named = {}
    for model in client().search_registered_models():
        for alias, number in sorted(model.aliases.items()):
            named.setdefault((model.name, str(number)), []).append(alias)
    return named


def _owner() -> str:
    """This process, so that no later one with the same number is taken for it."""
    return f"{os.getpid()} {psutil.Process().create_time():.2f} {int(psutil.boot_time())} {os.uname().nodename}"


def _alive(owner: str) -> bool:
    pid, started, _, host = owner.split()
    if host != os.uname().nodename:
        return True  # another machine's: not ours to judge
    try:
        found = psutil.Process(int(pid))
        # one that ended stays listed until its parent asks for it, and a container's first process may never ask
        return found.status() != psutil.STATUS_ZOMBIE and abs(found.create_time() - float(started)) < 1
    except psutil.NoSuchProcess:
        return False
