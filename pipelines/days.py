"""The day tables of a source, kept below data/features: brought up to a day and read by one process at a time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from ibis.expr.types import Table

from contracts.places import data
from features.store import bring_up, opened, take_back
from pipelines.locking import Busy
from sources.source import Source

PATIENCE = 600  # seconds that scoring or a watch waits for another of the same source


class Days(NamedTuple):
    """The tables by name, and how many raw rows were new to them; without any, the raw tables must do."""

    tables: Mapping[str, Table] | None
    added: int


def folder(source: str) -> Path:
    """Where all that is kept of a source's features lies."""
    return data() / "features" / source


@contextmanager
def kept_days(source: Source, until: date, say: Callable[[str], None], patience: int = PATIENCE) -> Iterator[Days]:
    """Day tables that hold what was known before `until`, and maybe more; none of a flat source, which has no days.

    They are what the raw tables of now would give: where the past is another than it was, `say` hears from which day
    on, and they are made anew. Raises `Busy` while another process does the same, `WorldFailed` as `features.store`.
    """
    if source.kind == "flat":
        yield Days(None, 0)
        return
    place = folder(source.name)
    with locked(place, patience):
        for raw, day in take_back(source.tables, place / "days").items():
            say(f"{raw}: rows known on {day} are not those of before; day tables are made anew from {day[:7]}-01 on")
        added = bring_up(source.tables, place / "days", until)
        yield Days(opened(place / "days", source.con), sum(added.values()))


def locked(place: Path, patience: int = 0):
    """Hold the lock of a source's features, after so many seconds at most; raises `Busy` while another process does."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(place / ".lock", timeout=patience).acquire()
    except Timeout:
        raise Busy(f"Another process is writing the features in {place}. Wait for it, or stop it.") from None
