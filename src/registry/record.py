"""What a notebook hands in: the only thing that leaves it.

Under the runner the record is staged in the folder that CRM_STAGE names, and the runner alone registers and promotes.
Opened by hand, the notebook logs the same to the store as a run that nobody can promote.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from registry.fingerprint import folder_digest


@dataclass(frozen=True)
class Record:
    """One model with the evidence for it.

    model     what was fitted; it has `save(folder)` and writes numbers and native booster files only
    metrics   name (`test/auc`) to (value, low, high)
    passed    whether the notebook's rule, fixed before looking, was kept
    verdict   the same in words, one or two sentences
    facts     what else identifies the run: fingerprints, hash of the features' SQL, counts
    figures   name to matplotlib figure
    tables    name to a table of aggregates; never a customer's row
    simulated whether nobody of the customers lives: verdict, figures and tables then say so
    """

    model: object
    metrics: Mapping[str, tuple[float, float, float]]
    passed: bool
    verdict: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    simulated: bool = False


def hand_in(record: Record, model: str, as_of: str, source: str) -> str:
    """Stage the record for the runner, or log it as an unpromoted run when opened by hand; says which."""
    if stage := os.environ.get("CRM_STAGE"):
        return write(record, Path(stage))
    from registry import runs

    with tempfile.TemporaryDirectory() as folder:
        write(record, Path(folder))
        run_id = runs.start(model, f"{as_of} {source} by hand", {"crm.by_hand": "1", "crm.as_of": as_of})
        runs.log(run_id, Path(folder))
        runs.finish(run_id, "FINISHED")
    return f"Logged by hand as run {run_id}; only `crm retrain` registers a model."


def write(record: Record, stage: Path) -> str:
    """The record as files: model/, figures/, tables/, and record.json last, so that a cut one is seen."""
    record.model.save(stage / "model")
    for name, figure in record.figures.items():
        (stage / "figures").mkdir(exist_ok=True)
        if record.simulated:
            figure.text(1, 1, "simulated", ha="right", va="bottom", color="0.4", fontsize="small")
        figure.savefig(stage / "figures" / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    for name, table in record.tables.items():
        (stage / "tables").mkdir(exist_ok=True)
        table.to_csv(stage / "tables" / f"{name}{'-simulated' * record.simulated}.csv", index=False)
    content = {
        "sha256": folder_digest(stage / "model"),
        "metrics": {name: [float(v) for v in estimate] for name, estimate in record.metrics.items()},
        "passed": bool(record.passed),
        "verdict": f"{'Simulated customers. ' * record.simulated}{record.verdict}",
        "simulated": record.simulated,
        "facts": dict(record.facts),
    }
    (stage / "record.json").write_text(json.dumps(content, indent=1, sort_keys=True))
    return f"Handed in: model {content['sha256'][:12]}."


def read(stage: Path) -> dict:
    """The content of record.json; raises `FileNotFoundError` when the notebook handed nothing in."""
    return json.loads((stage / "record.json").read_text())
