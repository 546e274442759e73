"""The tables that a marketer is given, one row a customer: what is expected of each, and what to do."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import WorldFailed
from contracts.files import whole
from contracts.subjects import keys_of

COLUMNS = ["score", "low", "high", "band", "reason_1", "reason_2", "reason_3"]
HIGH, MIDDLE, LOW = "high", "middle", "low"


def band(score: np.ndarray, threshold: float, base_rate: float) -> np.ndarray:
    """high: above the `threshold` at which acting pays; low: below half the base rate; middle: what lies between."""
    return np.select([score > threshold, score < min(base_rate / 2, threshold)], [HIGH, LOW], MIDDLE)


def write_scores(
    rows: pd.DataFrame, source: str, as_of: date, horizon_days: int, version: Mapping, folder: Path
) -> Path:
    """Write folder/model=.../as_of=.../`source`.parquet, in the order of the keys.

    rows     customer_id (application_id, campaign_id), score, low, high, band, reason_1 .. reason_3, and what a model
             says more of each
    version  model, version and run_id (the run's key: equal inputs give equal bytes), written into each row
    """
    keys = keys_of(rows.columns)
    more = [name for name in rows.columns if name not in (*keys, *COLUMNS)]
    table = rows.sort_values(keys, ignore_index=True).assign(valid_until=as_of + timedelta(days=horizon_days))
    return write_table(table[[*keys, *COLUMNS, *more, "valid_until"]], source, as_of, version, folder)


def write_table(rows: pd.DataFrame, name: str, as_of: date, version: Mapping, folder: Path) -> Path:
    """Write rows, with as_of, model, version and run_id in each, to folder/model=.../as_of=.../`name`.parquet.

    The file is whole, or it is not there. Raises `WorldFailed` when the disk does not take it; an older one then stays.
    """
    table = rows.copy()
    for place, (column, value) in enumerate({"as_of": f"{as_of}", **version}.items(), 1):
        table.insert(place, column, value)
    place = folder / f"model={version['model']}" / f"as_of={as_of}"
    try:
        with whole(place / f"{name}.parquet") as file:
            pq.write_table(_as_partitioned(pa.Table.from_pandas(table, preserve_index=False)), file)
            if pq.read_metadata(file).num_rows != len(table):
                raise OSError("fewer rows were written than given")
    except OSError as error:
        raise WorldFailed(
            f"{name}.parquet could not be written to {place}: {error}. An older one is still there."
        ) from error
    return place / f"{name}.parquet"


def _as_partitioned(table: pa.Table) -> pa.Table:
    """model and as_of in the type that Arrow gives to the folders' names, so that a file and the whole folder open."""
    for name in ("as_of", "model"):
        text = table[name].cast(pa.string()).dictionary_encode()
        table = table.set_column(table.column_names.index(name), name, text)
    return table.replace_schema_metadata()
