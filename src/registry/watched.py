"""What the watch found of a champion on a day: a run of the experiment `watch`, and a word on the version's page."""

from collections.abc import Mapping
from pathlib import Path

from registry.runs import batch_of, start
from registry.store import WATCH, client
from registry.versions import Version
from registry.views import keep_daily_view


def log(
    version: Version, as_of: str, label: str, verdict: str, said: str, metrics: Mapping[str, float], folder: Path
) -> str:
    """Log a finding with its figure and tables; the id of its run.

    Metrics have one name whatever the model, so that the runs of a model make a line over the days.
    """
    from mlflow.entities import Metric

    tags = {
        "crm.model": version.model,
        "crm.version": str(version.number),
        "crm.as_of": as_of,
        "batch": batch_of(as_of, label),
        "crm.watch": verdict,
        "mlflow.note.content": said,
    }
    run_id = start(WATCH, f"{version.model} {as_of} {label}: {verdict}", tags)
    client().log_batch(run_id, metrics=[Metric(name, float(v), 0, 0) for name, v in metrics.items() if v == v])
    client().log_artifacts(run_id, str(folder), "watch")
    client().set_model_version_tag(version.model, str(version.number), "crm.watch", f"{as_of}: {verdict}")
    client().set_terminated(run_id, "FINISHED")
    keep_daily_view()
    return run_id
