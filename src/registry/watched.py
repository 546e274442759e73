"""What the watch found of a champion on a day: a run of the experiment `watch`, and a word on the version's page."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from registry.runs import batch_of, start
from registry.store import WATCH, client, exists
from registry.versions import Version
from registry.views import keep_daily_view

ENDS = ("", "/low", "/high")


@dataclass(frozen=True)
class Finding:
    """One champion on one day.

    said              in words; verdict: keep, watch or retrain
    measure           the headline measure, in words; metrics: numbers by name, the same for every model
    checks, columns   the tables that were logged: what was asked, and how far each column moved
    """

    model: str
    version: str
    as_of: str
    verdict: str
    said: str
    measure: str
    metrics: Mapping[str, float]
    checks: pd.DataFrame
    columns: pd.DataFrame


def log(version: Version, as_of: str, label: str, found: Finding, folder: Path) -> str:
    """Log a finding, with the figure and the tables in a folder; the id of its run.

    Metrics have one name whatever the model, so that the runs of a model make a line over the days.
    """
    from mlflow.entities import Metric

    tags = {
        "crm.model": version.model,
        "crm.version": str(version.number),
        "crm.as_of": as_of,
        "crm.source": version.source,
        "crm.measure": found.measure,
        "batch": batch_of(as_of, label),
        "crm.watch": found.verdict,
        "mlflow.note.content": found.said,
    }
    run_id = start(WATCH, f"{version.model} {as_of} {label}: {found.verdict}", tags)
    client().log_batch(run_id, metrics=[Metric(name, float(v), 0, 0) for name, v in found.metrics.items() if v == v])
    client().log_artifacts(run_id, str(folder), WATCH)
    client().set_model_version_tag(version.model, str(version.number), "crm.watch", f"{as_of}: {found.verdict}")
    client().set_terminated(run_id, "FINISHED")
    keep_daily_view()
    return run_id


def findings(source: str, as_of: str) -> list[Finding]:
    """What was found of the champions of a source on days until `as_of`, by model and day.

    A day that was asked twice counts once, as it was found last.
    """
    kept = client().get_experiment_by_name(WATCH) if exists() else None
    if kept is None:
        return []
    asked = f"tags.`crm.source` = '{source}' and attributes.status = 'FINISHED'"
    runs = client().search_runs([kept.experiment_id], asked, max_results=5000, order_by=["start_time ASC"])
    runs = [run for run in runs if run.data.tags["crm.as_of"] <= as_of]
    last = {tuple(run.data.tags[f"crm.{name}"] for name in ("model", "as_of", "version")): run for run in runs}
    return [_finding(last[key]) for key in sorted(last)]


def _finding(run) -> Finding:
    tags, tables = run.data.tags, {}
    with tempfile.TemporaryDirectory() as folder:
        for file in client().list_artifacts(run.info.run_id, WATCH):
            name = Path(file.path).stem.removesuffix("-simulated")
            if file.path.endswith(".csv"):
                tables[name] = pd.read_csv(client().download_artifacts(run.info.run_id, file.path, folder))
    read = {name: tags[f"crm.{name}"] for name in ("model", "version", "as_of", "measure")}
    return Finding(
        **read, verdict=tags["crm.watch"], said=tags["mlflow.note.content"], metrics=run.data.metrics, **tables
    )


def ends(found: Finding, of: str) -> Sequence[float]:
    """The headline measure of a finding with both ends of its interval, `of` promised or since; NaN where not known."""
    return [found.metrics.get(f"{of}{end}", float("nan")) for end in ENDS]
