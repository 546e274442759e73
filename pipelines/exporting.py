"""`crm export`: the plan of a day, or its scores, as a list that a spreadsheet may open."""

from pathlib import Path

import pandas as pd

from contracts.errors import Refused, WorldFailed
from contracts.places import data
from contracts.spreadsheets import write_csv
from contracts.study import day
from pipelines.parameters import notebook_of
from sources import names

KINDS = {"plan": "decisions", "scores": "scores"}


def export(model: str, source: str, as_of: str, what: str, out: Path) -> int:
    """Write `what` of a day to a CSV file; the number of rows.

    Raises `Refused` for a name that there is none of, for what was not scored on that day, and for a file that is no
    .csv or is there already; `WorldFailed` when the disk does not take it.
    """
    notebook_of(model)
    day(as_of, "as_of")
    if source not in names() or what not in KINDS:
        raise Refused(
            f"--source must be one of {', '.join(names())} and --what one of {', '.join(KINDS)}, but are {source!r} "
            f"and {what!r}. Correct them."
        )
    if out.suffix != ".csv" or out.exists():
        found = "is there already" if out.exists() else "ends otherwise"
        raise Refused(f"--out must be a new file that ends in .csv, but {out} {found}. Choose another name.")
    folder = data() / KINDS[what] / f"model={model}" / f"as_of={as_of}"
    found = [file for file in (folder / f"{source}.parquet", folder / f"{source}-simulated.parquet") if file.exists()]
    if not found:
        raise Refused(
            f"{model} must have scored {source} as of {as_of}, but there is no {folder / source}.parquet. Run `crm "
            f"score {model} --source {source} --as-of {as_of}`."
        )
    rows = pd.read_parquet(found[0], partitioning=None)
    try:
        write_csv(rows, out)
    except OSError as error:
        raise WorldFailed(f"{out} could not be written: {error}. Choose another place.") from error
    return len(rows)
