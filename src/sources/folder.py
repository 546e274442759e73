"""A folder of CSV or Parquet files, mapped to raw tables by a yml file."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts import places
from contracts.errors import Refused, SourceGone, WorldFailed
from sources.csv_files import open_csv, refusal
from sources.mapped import events
from sources.mapping import Format, SourceMapping
from sources.source import Source, stamps


def open_folder(mapping: SourceMapping, con: Backend) -> Source:
    """The tables of the folder with the types of their contracts: CSV is read into `con`, Parquet stays where it is.

    Raises `Refused` for a file outside the folder, `SourceGone` for one that is missing, `SourceChanged` for one that
    is written to meanwhile, `BrokenContract` for cells of another type.
    """
    folder = (places.root() / mapping.keys["folder"]).resolve()
    files = {table.table: inside(mapping.file.name, folder, table.origin) for table in mapping.tables}
    with reading(con) as scratch:
        before = stamps(files.values())
        raw = {t.table: open_file(con, files[t.table], t.format, scratch) for t in mapping.tables}
        stays = frozenset(table for table, file in files.items() if file.suffix == ".parquet")
        source = replace(events(mapping, con, raw, stays), stamps=before)
        source.refuse_changed()
    return source


def inside(where: str, folder: Path, name: str) -> Path:
    """The file of that name in the folder, links followed; raises `Refused` where it is missing or elsewhere."""
    file = (folder / name).resolve()
    if not file.is_relative_to(folder):
        raise Refused(f"{where}: {name} must lie inside {folder}, but does not. Correct `file` or `folder`.")
    return existing(where, file)


def existing(where: str, file: Path) -> Path:
    """The file if it is one; raises `Refused`, and `SourceGone` where nothing is there."""
    if not file.exists():
        raise SourceGone(
            f"{where}: the file {file} must be there, but is not. Correct the path. If it was there, bring it back."
        )
    if not file.is_file():
        raise Refused(f"{where}: the file {file} must be there, but is not. Correct the path.")
    return file


@contextmanager
def reading(con: Backend) -> Iterator[Path]:
    """A scratch folder while files are read; what DuckDB says of their lines becomes a `Refused`."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            yield Path(scratch)
        except duckdb.OutOfMemoryException as failure:
            raise WorldFailed(f"Memory or disk ran out while files were read: {failure}. Free some.") from failure
        except (duckdb.InvalidInputException, duckdb.IOException) as failure:
            raise refusal(failure) from failure


def open_file(con: Backend, file: Path, form: Format, scratch: Path) -> Table:
    """A file as a table, lazily, by its ending; raises `Refused` for another than .csv, .tsv, .txt and .parquet."""
    if file.suffix in (".csv", ".tsv", ".txt"):
        return open_csv(con, file, form, scratch)
    if file.suffix == ".parquet":
        try:
            return con.read_parquet(file)
        except duckdb.Error as failure:
            raise Refused(f"{file.name} must be Parquet, but cannot be read as such. Export it again.") from failure
    raise Refused(f"{file.name} must end in .csv, .tsv, .txt or .parquet. Export it as one of them.")
