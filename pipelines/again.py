"""Does the same fit give the same bytes? A row of the gate: the registered model, fitted once more on other threads."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from evaluation.gate import Check
from pipelines.kinds import kind_of
from pipelines.training import training_of
from registry import about
from registry.fingerprint import folder_digest

THREADS = "OMP_NUM_THREADS"


def fitted_again(run_id: str, model: str, table: pd.DataFrame, parameters: Mapping) -> list[Check]:
    """The row, where the training of the model says how to fit again; it passes where the files are the same.

    Fitted on one thread where the run had several or did not say, on two where it had one.
    """
    again = getattr(training_of(model), "again", None)
    if again is None:
        return []
    count = 2 if os.environ.get(THREADS) == "1" else 1
    promised = about.about(run_id).sha256
    with tempfile.TemporaryDirectory() as folder, _on(count):
        about.fetch(run_id, "model", Path(folder) / "first")
        first = kind_of(model).load(Path(folder) / "first")
        again(table, parameters, first).save(Path(folder) / "second")
        found = folder_digest(Path(folder) / "second")
    note = f"on {count} thread{'s' * (count > 1)}"
    note += "" if found == promised else f": model {promised[:12]} became {found[:12]}"
    return [
        Check("same bytes when fitted again", "1", float(found == promised), np.nan, np.nan, found == promised, note)
    ]


@contextmanager
def _on(count: int) -> Iterator[None]:
    before = os.environ.get(THREADS)
    os.environ[THREADS] = str(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        os.environ.pop(THREADS) if before is None else os.environ.update({THREADS: before})
