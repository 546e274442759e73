"""What a fingerprint of every cell costs beside one scan, and what MLflow's own digest does not see.

    python benchmarks/fingerprint.py --rows 100000000

Generated order lines, eight columns (whole numbers, times, dates, text, a flag), as Parquet of ten million rows each.
Three times each, the fastest counts, beside the least one can do to look at every column: a scan that takes count, min
and max. Then the cases of `seen`: what changed, and whether the fingerprint and MLflow's digest became another; these
on ten million rows, of which MLflow is given a pandas frame.
"""

import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import ibis
import typer

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from registry.fingerprint import table_fingerprint

A_FILE = 10_000_000
LINES = """
    range AS order_id, range * 7919 % 2000003 AS customer_id, DATE '2023-01-01' + (range * 31 % 730)::INT AS day,
    TIMESTAMP '2023-01-01' + to_seconds(range * 104729 % 63072000) AS ordered_at,
    'p' || range * 31 % 50000 AS product_id,
    range * 1299709 % 100000 AS amount_cents, range % 3 = 0 AS vip, (range % 7 = 0)::TINYINT AS outcome
"""
LAST = A_FILE - 1
SEEN = {
    "one label, last row": f"* REPLACE (if(order_id = {LAST}, 1 - outcome, outcome)::TINYINT AS outcome)",
    "all labels after row 10,000": "* REPLACE (if(order_id > 10000, 1 - outcome, outcome)::TINYINT AS outcome)",
    "one date by a day": f"* REPLACE (day + (order_id = {LAST})::INT AS day)",
    "all dates by a year": "* REPLACE (day + 365 AS day)",
    "a boolean inverted": "* REPLACE (NOT vip AS vip)",
    "a type (int64 to double)": "* REPLACE (amount_cents::DOUBLE AS amount_cents)",
    "two columns swapped": "* REPLACE (customer_id AS amount_cents, amount_cents AS customer_id)",
}


def main(
    rows: Annotated[int, typer.Option(help="How many; whole files of ten million.")] = 100_000_000,
    within: Annotated[Path | None, typer.Option(help="A folder with room; the system's for temporary files.")] = None,
):
    """Make the lines, measure, print, remove them."""
    with tempfile.TemporaryDirectory(dir=within) as folder:
        con = ibis.duckdb.connect(temp_directory=folder)
        con.raw_sql("SET preserve_insertion_order = false")
        files = _write(con, Path(folder), max(1, rows // A_FILE))
        _speed(con, files)
        _seen(con, files[:1])


def _write(con, folder: Path, parts: int) -> list[str]:
    files = [str(folder / f"{k}.parquet") for k in range(parts)]
    for k, file in enumerate(files):
        con.raw_sql(f"COPY (SELECT {LINES} FROM range({k * A_FILE}, {(k + 1) * A_FILE})) TO '{file}'")
    size = sum(os.path.getsize(file) for file in files) / 1e6
    print(
        f"{parts * A_FILE:,} rows, {parts} files, {size:,.0f} MB of Parquet, {len(os.sched_getaffinity(0))} processors"
    )
    return files


def _speed(con, files: list[str]) -> None:
    table = con.sql(f"FROM read_parquet({files})")
    ends = ", ".join(f'min("{name}"), max("{name}")' for name in table.columns)
    scan = f"SELECT count(*), {ends} FROM read_parquet({files})"
    seconds, own = {}, []
    for _ in range(3):  # in turns, so that whatever else the machine does meets both
        for name, asked in (
            ("scan", lambda: con.raw_sql(scan).fetchall()),
            ("fingerprint", lambda: own.append(table_fingerprint(table))),
            ("files reversed", lambda: own.append(table_fingerprint(con.sql(f"FROM read_parquet({files[::-1]})")))),
        ):
            seconds[name] = min(seconds.get(name, float("inf")), _timed(asked))
    for name, took in seconds.items():
        print(f"{name:16} {took:7.2f} s   {took / seconds['scan']:.2f} of a scan")
    print(f"the same value in all {len(own)}: {len(set(own)) == 1}")
    print(f"memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB at most")


def _seen(con, files: list[str]) -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.data.pandas_dataset import from_pandas

    warnings.simplefilter("ignore")
    rows = f"FROM read_parquet({files})"

    def ours(columns: str, end: str = "") -> str:
        return table_fingerprint(con.sql(f"SELECT {columns} {rows} {end}"))

    def theirs(columns: str, end: str = "ORDER BY order_id") -> str:
        return from_pandas(con.raw_sql(f"SELECT {columns} {rows} {end}").df()).digest

    before = ours("*"), theirs("*")
    print(f"\n{'changed':30} {'fingerprint':14} MLflow's digest")
    for what, columns in SEEN.items():
        _tell(what, before, ours(columns), theirs(columns))
    order = "ORDER BY order_id * 7919 % 10000019"
    _tell("nothing but the order of rows", before, ours("*", order), theirs("*", order))


def _tell(what: str, before: tuple[str, str], *after: str) -> None:
    said = ["another" if old != new else "the same" for old, new in zip(before, after, strict=True)]
    print(f"{what:30} {said[0]:14} {said[1]}", flush=True)


def _timed(asked: Callable[[], object]) -> float:
    begun = time.monotonic()
    asked()
    return time.monotonic() - begun


if __name__ == "__main__":
    typer.run(main)
