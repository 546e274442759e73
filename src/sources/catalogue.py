"""The sources by name: one yml file each below data/sources."""

import difflib

import ibis
from ibis.backends.duckdb import Backend

from contracts import places
from contracts.errors import Refused
from sources.cdnow import open_cdnow
from sources.complete_journey import open_complete_journey
from sources.database import open_database
from sources.folder import open_folder
from sources.given import open_flat
from sources.mapping import read_mapping
from sources.source import Source
from sources.world.source import open_world


def names() -> list[str]:
    """The names that `open_source` knows, sorted."""
    return sorted(file.stem for file in (places.data() / "sources").glob("*.yml"))


def open_source(name: str, con: Backend | None = None) -> Source:
    """The raw tables of a source, on `con` or on a DuckDB of their own in memory.

    Raises `Refused` for a name, a file or a column that is not there, `BrokenContract` for cells that are not of
    their declared type, `SourceGone` for a source that is not there or does not answer.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        raise Refused(
            f"{name!r} is no source; there are {', '.join(names()) or 'none'}."
            f"{f' Did you mean {near[0]}?' if near else ''} "
            f"A new one is a file {name}.yml in {places.data() / 'sources'}."
        )
    mapping = read_mapping(places.data() / "sources" / f"{name}.yml")
    return _OPENERS[mapping.kind](mapping, con or ibis.duckdb.connect())


def wishes(name: str) -> str:
    """What the yml of a source declares of columns in a scorecard, as the parameter `wishes` writes it.

    Empty where it says nothing, and for a name that is no source, which is refused where it is opened.
    """
    file = places.data() / "sources" / f"{name}.yml"
    return read_mapping(file).wishes if name in names() else ""


_OPENERS = {
    "cdnow": open_cdnow,
    "complete_journey": open_complete_journey,
    "flat": open_flat,
    "folder": open_folder,
    "database": open_database,
    "world": open_world,
}
