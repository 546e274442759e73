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

from contracts.spreadsheets import write_csv
from contracts.subjects import keys_of
from registry.fingerprint import folder_digest

EVIDENCE = "evidence.parquet"
TEST_COLUMNS = ("customer_id", "origin", "outcome", "score", "naive")
HEADLINE = "auc"


@dataclass(frozen=True)
class Record:
    """One model with the evidence for it.

    model     what was fitted; it has `save(folder)` and writes numbers and native booster files only
    test      what it was judged by, a row a (customer_id, origin), or an application or campaign of one: outcome, score
              and naive, what was foretold of it by models that had not seen the row, and a text column `slice_...` for
              each declared group; it holds customers, so that it is kept beside the scores and not in the store
    metrics   name (`test/auc`) to (value, low, high)
    passed    whether the notebook's rule, fixed before looking, was kept
    verdict   the same in words, one or two sentences
    facts     what else identifies the run: fingerprints, hash of the features' SQL, counts
    figures   name to matplotlib figure
    tables    name to a table of aggregates; never a customer's row
    simulated whether nobody of the customers lives: verdict, figures and tables then say so
    judged    the model as it was fitted without the test rows, so that it can be judged again beside a later one;
              None where there is not one such
    headline  the metric below `test/` that stands for the run in a list
    """

    model: object
    test: pd.DataFrame
    metrics: Mapping[str, tuple[float, float, float]]
    passed: bool
    verdict: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    simulated: bool = False
    judged: object = None
    headline: str = HEADLINE


def hand_in(record: Record, model: str, as_of: str, source: str) -> str:
    """Stage the record for the runner, or log it as an unpromoted run when opened by hand; says which."""
    if stage := os.environ.get("CRM_STAGE"):
        return write(record, Path(stage))
    from registry import evidence, runs

    with tempfile.TemporaryDirectory() as folder:
        write(record, Path(folder))
        run_id = runs.start(model, f"{as_of} {source} by hand", {"crm.by_hand": "1", "crm.as_of": as_of})
        runs.log(run_id, Path(folder))
        evidence.keep(run_id, Path(folder))
        runs.finish(run_id, "FINISHED")
    return f"Logged by hand as run {run_id}; only `crm retrain` registers a model."


def write(record: Record, stage: Path) -> str:
    """The record as files: model/, judged/, figures/, tables/, evidence.parquet, and record.json last.

    Last, so that a cut one is seen. Raises ValueError for test rows that are not what `Record.test` says.
    """
    _check_test(record.test)
    record.model.save(stage / "model")
    if record.judged is not None:
        record.judged.save(stage / "judged")
    rows = record.test.sort_values(keys_of(record.test.columns), kind="stable", ignore_index=True)
    rows.to_parquet(stage / EVIDENCE, index=False)
    for name, figure in record.figures.items():
        (stage / "figures").mkdir(exist_ok=True)
        if record.simulated:
            figure.text(1, 1, "simulated", ha="right", va="bottom", color="0.4", fontsize="small")
        figure.savefig(stage / "figures" / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    for name, table in record.tables.items():
        (stage / "tables").mkdir(exist_ok=True)
        write_csv(table, stage / "tables" / f"{name}{'-simulated' * record.simulated}.csv")
    content = {
        "sha256": folder_digest(stage / "model"),
        "judged": folder_digest(stage / "judged") if record.judged is not None else "",
        "metrics": {name: [float(v) for v in estimate] for name, estimate in record.metrics.items()},
        "passed": bool(record.passed),
        "verdict": f"{'Simulated customers. ' * record.simulated}{record.verdict}",
        "simulated": record.simulated,
        "headline": record.headline,
        "facts": dict(record.facts),
    }
    (stage / "record.json").write_text(json.dumps(content, indent=1, sort_keys=True))
    return f"Handed in: model {content['sha256'][:12]}."


def _check_test(test: pd.DataFrame) -> None:
    """The columns are all there, a row is there once, and nothing is missing."""
    missing = [name for name in TEST_COLUMNS if name not in test.columns]
    if missing:
        raise ValueError(f"Record.test must hold {', '.join(TEST_COLUMNS)}, but {', '.join(missing)} is not there.")
    twice = test.duplicated(keys_of(test.columns))
    if twice.any():
        first = test.customer_id[twice].iloc[0]
        raise ValueError(
            f"Record.test must hold a ({', '.join(sorted(keys_of(test.columns)))}) once, but {twice.sum():,} of "
            f"{len(test):,} rows are repeated, first customer {first}. Judge a row by one model."
        )
    empty = test[list(TEST_COLUMNS)].isna().any(axis=1)
    if empty.any():
        raise ValueError(
            f"Record.test must have no gaps, but {empty.sum():,} of {len(test):,} rows have one, first customer "
            f"{test.customer_id[empty].iloc[0]}. Leave out rows without an outcome."
        )


def read(stage: Path) -> dict:
    """The content of record.json; raises `FileNotFoundError` when the notebook handed nothing in."""
    return json.loads((stage / "record.json").read_text())
