"""`crm features`: day tables brought up to a day, and from them the features of a source's population, as one file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from contracts.coverage import refuse_uncovered
from contracts.errors import Refused
from contracts.places import data
from contracts.study import day, looking_back
from contracts.tables import check
from features.dictionary import Column
from features.subjects import dictionary, population_kept, told_by
from features.writing import engine, write_features
from pipelines.days import folder, kept_days
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

    Raises `Refused` for a broken contract, a flat source, or orders that stop before the day; `Busy` while another
    process does the same, `WorldFailed` as `features.store` and `features.writing` do.
    """
    at = looking_back(day(as_of, "as_of"), origins, spacing_days)
    memory = memory_mb or psutil.virtual_memory().total // 2**20 // SHARE
    with engine(data() / "features", memory) as con:
        say("1/3 checking the source and its contracts")
        source = open_source(source_name, con)
        values = complete(notebook_of(MODEL), {**for_source(MODEL, source_name), "source": source_name, "as_of": as_of})
        _refuse(source)
        check(source.tables, source.attributes)
        if "orders" in source.tables:
            refuse_uncovered(source.tables["orders"], at[-1], values["horizon_days"])
        say(f"2/3 bringing day tables up to {as_of}")
        with kept_days(source, at[-1], say, patience=0) as days:
            spine = population_kept(days.tables, at, values["active_days"], source.contract_end)
            say("3/3 writing features")
            path = out or folder(source_name) / f"as_of={as_of}" / "features.parquet"
            told = told_by(source.attributes, source.contract_end)
            rows = write_features(spine, source.tables, told, path, days=days.tables)
    return Written(path, rows, days.added)


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
