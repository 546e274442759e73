"""`crm features`: day tables brought up to a day, and from them the features of a source's population, as one file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from contracts.coverage import refuse_uncovered
from contracts.errors import Refused
from contracts.places import data
from contracts.study import day, looking_back
from contracts.tables import check
from features.dictionary import Column
from features.store import bring_up, kept_until, opened
from features.subjects import dictionary, population_kept, told_by
from features.writing import engine, write_features
from pipelines.locking import Busy
from pipelines.parameters import complete, for_source, notebook_of
from sources import open_source
from sources.source import Source

MODEL = "churn"  # whose population is taken
SHARE = 2  # one part of so many of the machine's memory, where nothing else is said


@dataclass(frozen=True)
class Written:
    """Where the features are, how many rows, and how many raw rows were new to the day tables."""

    path: Path
    rows: int
    added: int


def features(
    source_name: str,
    as_of: str,
    origins: int,
    spacing_days: int,
    out: Path | None,
    memory_mb: int | None,
    say: Callable[[str], None],
) -> Written:
    """Write the features of a source's population at `as_of`, and at earlier origins so many days apart.

    out        None is data/features/<source>/as_of=<day>/features.parquet
    memory_mb  what DuckDB may take; None is half of the machine's. More goes to a folder that is removed at the end

    Raises `Refused` for a broken contract, a flat source, orders that stop before the day, a day before the one that
    is kept already where the past was rewritten, or when nobody is there; `Busy` while another process does the same.
    """
    at = looking_back(day(as_of, "as_of"), origins, spacing_days)
    folder = data() / "features" / source_name
    memory = memory_mb or psutil.virtual_memory().total // 2**20 // SHARE
    with engine(data() / "features", memory) as con:
        say("1/3 checking the source and its contracts")
        source = open_source(source_name, con)
        values = complete(notebook_of(MODEL), {**for_source(MODEL, source_name), "source": source_name, "as_of": as_of})
        _refuse(source)
        check(source.tables, source.attributes)
        if "orders" in source.tables:
            refuse_uncovered(source.tables["orders"], at[-1], values["horizon_days"])
        with locked(folder):
            known = kept_until(folder / "days")
            say(f"2/3 bringing day tables up to {as_of}" + (f" from {known}" if known else ""))
            added = bring_up(source.tables, folder / "days", at[-1])
            days = opened(folder / "days", con)
            spine = population_kept(days, at, values["active_days"], source.contract_end)
            say("3/3 writing features")
            path = out or folder / f"as_of={as_of}" / "features.parquet"
            told = told_by(source.attributes, source.contract_end)
            rows = write_features(spine, source.tables, told, path, days=days)
    return Written(path, rows, sum(added.values()))


def described(source_name: str) -> dict[str, Column]:
    """The dictionary of the columns of a source's features, by name."""
    source = open_source(source_name)
    return dictionary(source.tables, source.attributes, source.contract_end)


def _refuse(source: Source) -> None:
    if source.kind == "flat":
        raise Refused(
            f"{source.name} is flat: its features are the attributes that it declares, one row a customer, and there "
            f"is no history to look back on. `crm features {source.name} --describe` lists them."
        )


def locked(folder: Path):
    """Hold the lock of a source's features; raises `Busy` while another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout:
        raise Busy(f"Another process is writing the features in {folder}. Wait for it, or stop it.") from None
