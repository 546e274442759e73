"""What do features cost, against the same columns by those that anyone would try first?

    python benchmarks/features.py --case journey --case 10M
    python benchmarks/features.py --case 100M --contender ours --origins 1
    python benchmarks/features.py --scaling
    python benchmarks/features.py --check

For each customer with a known sale, at each of twelve monthly origins (or the last of them), each contender writes
the columns of `COLUMNS` to a Parquet file, sorted by customer and origin. Each runs alone, in a process of its own with
two threads (pandas has one, and so has ours where it says so), from the files on disk to the file on disk: preparation
counts. Printed for each case: seconds on the clock and of the processors, peak memory, bytes read, rows and columns
out, and the ratio of processor seconds to those of ours that ran first.
featuretools makes fewer columns, and says so by their number. pandas and Polars are there as one writes them, with a
pass over the lines for each origin, and prepared, with sums by day that are sorted once put to work by hand for just
these columns.

`--check` says instead whether all have made equal tables: whole numbers, names and nulls exactly, others to 1e-9.
`--scaling` prints what ours costs a line from 1 M to 100 M lines, and what twelve origins cost against one.

Orders are generated (`feature_data.py`) in the ignored `data/raw/benchmark`, where environments of peers are made too.
What cannot be installed is "not here"; more than 15 minutes of a processor, or 12 GB, is
"did not finish".
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from feature_children import HERE, Cost, NotHere, interpreter, run
from feature_data import FOLDER, JOURNEY, Files, files, number

KEYS = ["customer_id", "origin"]
WINDOWS, LONG = (7, 30, 90, 180, 365), (30, 90, 365)
WINDOWED = {
    **dict.fromkeys(("purchase_days", "baskets", "spend_cents", "lines"), WINDOWS),
    **dict.fromkeys(("discount_share", "basket_cents", "products"), LONG),
    **dict.fromkeys(("lines_per_basket", "categories"), (90, 365)),
    **dict.fromkeys(("favourite_category", "favourite_category_share", "returns", "returned_cents"), (365,)),
    **dict.fromkeys(("days_trend", "spend_trend"), ("30_90", "90_180")),
}
COLUMNS = [
    *("recency_days", "tenure_days", "x", "t_x", "overdue", "weekend_share", "evening_share"),
    *("gap_mean", "gap_deviation", "gap_longest", "gap_last"),
    *(f"{name}_{w}" for name, windows in WINDOWED.items() for w in windows),
]
SCALES, CHECKED, TOLERANCE = ("1M", "10M", "100M"), "1M", 1e-9
OURS = "ours"


class Contender(NamedTuple):
    """A script of this folder, what it is told first, and the environment of `peers.txt` that it runs in."""

    script: str
    work: tuple[str, ...] = ()
    environment: str = ""
    cases: tuple[str, ...] = ()  # that it is measured in unless asked for by name; none is all
    fewer: bool = False  # makes some of the columns only


CONTENDERS = {
    OURS: Contender("feature_ours.py", ("features",)),
    "ours, one thread": Contender("feature_ours.py", ("single",)),
    "pandas": Contender("feature_pandas.py"),
    "pandas, prepared": Contender("feature_pandas_prepared.py"),
    "polars": Contender("feature_polars.py", ("straight",), environment="polars"),
    "polars, prepared": Contender("feature_polars.py", ("prepared",), environment="polars"),
    "featuretools": Contender("feature_tools.py", environment="featuretools", cases=(JOURNEY, "1M"), fewer=True),
    "ours on spark": Contender("feature_ours.py", ("spark",), cases=("10M",)),
    "ours, days kept": Contender("feature_ours.py", ("keep",), cases=("10M", "100M")),
    "ours, days checked": Contender("feature_ours.py", ("check",), cases=("10M", "100M")),
    "ours, one day more": Contender("feature_ours.py", ("increment",), cases=("10M", "100M")),
    "ours, of days kept": Contender("feature_ours.py", ("kept",), cases=("10M", "100M")),
}


def origins(case: str, many: int) -> list[str]:
    """The first days of twelve months, from a month into the second year of the data on; the `many` last."""
    first = "2017-02-01" if case == JOURNEY else "2023-02-01"
    return [f"{day:%Y-%m-%d}" for day in pd.date_range(first, periods=12, freq="MS")[-many:]]


def made(case: str) -> Files:
    """The files of a case, made by a process of its own: `features` is the project's room there, not this file."""
    subprocess.run([sys.executable, "-P", str(HERE / "feature_data.py"), case], check=True, stdout=subprocess.DEVNULL)
    return files(case)


def measure(name: str, case: str, many: int) -> tuple[Cost, Path]:
    """Run one contender on one case; raises `NotHere`. The files are read once before, so that all find them cached."""
    contender, given = CONTENDERS[name], made(case)
    python = interpreter(contender.environment)
    out = FOLDER / "out" / f"{case}-{many}-{name.replace(',', '').replace(' ', '-')}.parquet"
    out.parent.mkdir(exist_ok=True)
    out.unlink(missing_ok=True)
    for file in given:
        with file.open("rb") as bytes_of:
            while bytes_of.read(2**24):
                pass
    told = [*contender.work, *map(str, given), ",".join(origins(case, many)), str(out)]
    columns = [",".join(COLUMNS)] if contender.script == CONTENDERS[OURS].script else []
    return run([python, "-P", str(HERE / contender.script), *told, *columns]), out


def table(case: str, names: list[str], many: int) -> None:
    """Print what each contender cost, the first of them the measure of the others."""
    print(f"\n{case}: {_lines(case)} lines, {many} origins, {len(COLUMNS)} columns", flush=True)
    print(
        f"{'':20}{'wall s':>9}{'cpu s':>9}{'of ours':>9}{'GB':>7}{'GB read':>9}{'of disk':>9}{'rows':>12}{'columns':>9}"
    )
    ours = None
    for name in names:
        try:
            cost, out = measure(name, case, many)
        except NotHere as absent:
            print(f"{name:20}  not here: {absent}", flush=True)
            continue
        ours = cost.cpu if ours is None and name.startswith(OURS) and not cost.failed else ours
        ratio = f"{cost.cpu / ours:8.2f}x" if ours else f"{'-':>9}"
        spent = f"{name:20}{cost.wall:9.1f}{cost.cpu:9.1f}{ratio}{cost.memory:7.2f}{cost.asked:9.2f}{cost.disk:9.2f}"
        found = pq.read_metadata(out) if out.exists() and not cost.failed else None  # to keep days makes no features
        size = f"{found.num_rows:12,}{found.num_columns - len(KEYS):9}" if found else f"  {cost.failed}"
        print(spent + size, flush=True)


def scaling() -> None:
    """Print what ours costs a line, and twelve origins against one."""
    print(f"\nours, {len(COLUMNS)} columns")
    print(f"{'lines':8}{'origins':>9}{'wall s':>9}{'cpu s':>9}{'cpu ns a line':>15}{'GB':>7}", flush=True)
    for case in SCALES:
        spent = {}
        for many in (1, 12):
            cost, _ = measure(OURS, case, many)
            spent[many] = cost.cpu
            each = cost.cpu / number(case) * 1e9
            print(
                f"{case:8}{many:9}{cost.wall:9.1f}{cost.cpu:9.1f}{each:15.0f}{cost.memory:7.2f}  {cost.failed}",
                flush=True,
            )
        print(f"{case:8} twelve origins cost {spent[12] / spent[1]:.2f} times one", flush=True)


def check(case: str, names: list[str]) -> bool:
    """Print whether the contenders have made equal tables; the first that ran is what the others are held against."""
    first, equal = None, True
    for name in names:
        try:
            cost, out = measure(name, case, 12)
        except NotHere as absent:
            print(f"{name}: not here: {absent}", flush=True)
            continue
        if cost.failed:
            print(f"{name}: {cost.failed}", flush=True)
            equal = False
            continue
        if not out.exists():
            continue  # keeps days, of which another makes features
        found = read(out)
        if first is None:
            first, reference = name, found
            print(f"{case}: all are held against {name}, {len(found):,} rows", flush=True)
        wrong = differences(reference, found)
        if not CONTENDERS[name].fewer:
            wrong += [f"{column} is missing" for column in COLUMNS if column not in found.columns]
        equal &= not wrong
        shared = len(found.columns) - len(KEYS)
        print(f"{name}: {shared} columns " + ("equal" if not wrong else "differ: " + "; ".join(wrong)), flush=True)
    return equal


def differences(expected: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """In words: the columns that nobody asked for, and those whose nulls or values are others."""
    if len(expected) != len(found):
        return [f"{len(expected):,} rows expected, {len(found):,} found"]
    wrong = [f"{name} is unknown" for name in found.columns if name not in [*KEYS, *COLUMNS]]
    for name in [column for column in found.columns if column in expected.columns]:
        a, b = expected[name], found[name]
        if name == "origin":
            a, b = pd.to_datetime(a), pd.to_datetime(b)
        if pd.api.types.is_float_dtype(a) or pd.api.types.is_float_dtype(b):
            a, b = a.to_numpy(dtype=float, na_value=np.nan), b.to_numpy(dtype=float, na_value=np.nan)
            other = ~np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        else:
            other = _values(a) != _values(b)
        if other.any():
            at = int(np.argmax(other))
            keys = ", ".join(f"{expected[key].iloc[at]}" for key in KEYS)
            wrong.append(f"{name} in {other.sum():,} rows, first of {keys}: {a[at]} expected, {b[at]} found")
    return wrong


def read(out: Path) -> pd.DataFrame:
    """A contender's table; whole numbers stay whole beside nulls, whoever wrote them."""
    whole = {pa.int8(): pd.Int8Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    return pq.read_table(out).to_pandas(ignore_metadata=True, types_mapper=whole.get)


def _values(column: pd.Series) -> np.ndarray:
    return column.astype(object).where(column.notna(), None).to_numpy()


def _lines(case: str) -> str:
    return f"{pq.read_metadata(made(case).orders).num_rows:,}"


def main(
    case: Annotated[list[str] | None, typer.Option(help="journey, 100K, 1M, 10M or 100M; may be given again.")] = None,
    contender: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(CONTENDERS)}; may be given again.")
    ] = None,
    many: Annotated[
        int, typer.Option("--origins", min=1, max=12, help="How many of the twelve origins, the last ones.")
    ] = 12,
    check_equal: Annotated[bool, typer.Option("--check", help="Only say whether all make equal tables.")] = False,
    scale: Annotated[bool, typer.Option("--scaling", help="Only ours, from 1 M to 100 M lines.")] = False,
) -> None:
    """Print what features cost. Without a case: journey and 10M."""
    unknown = [name for name in contender or [] if name not in CONTENDERS]
    if unknown:
        print(f"contender must be of {', '.join(CONTENDERS)}, but is {', '.join(unknown)}.", file=sys.stderr)
        raise typer.Exit(2)
    if scale:
        scaling()
    elif check_equal:
        alike = [
            check(one, contender or [OURS, *(name for name in CONTENDERS if name.startswith(("pandas", "polars")))])
            for one in case or [CHECKED]
        ]
        raise typer.Exit(0 if all(alike) else 1)
    else:
        for one in case or [JOURNEY, "10M"]:
            fitting = [name for name, c in CONTENDERS.items() if not c.cases or one in c.cases]
            table(one, contender or fitting, many)


if __name__ == "__main__":
    typer.run(main)
