"""Fingerprints on request: of every table of a source, as a run would log them, of files, or those that runs logged."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import ibis
import pandas as pd
from ibis.expr.types import Table

from contracts.boundary import known_before
from contracts.errors import Refused
from contracts.study import day
from registry import about
from registry.fingerprint import table_fingerprint
from sources import open_source
from sources.source import Source

RUN = re.compile(r"[a-z_]+/\d+|[0-9a-f]{8,32}")  # MODEL/VERSION, or digits of an id


class Fingerprinted(NamedTuple):
    """A table's name, its rows, and the 64 digits that its content has."""

    name: str
    rows: int
    fingerprint: str


def visible(source: Source, as_of: date) -> dict[str, Table]:
    """The raw tables of a source as known on a day; those without `known_at` whole."""
    return {
        name: known_before(table, as_of) if "known_at" in table.columns else table
        for name, table in source.tables.items()
    }


def fingerprints(named: Sequence[str], as_of: str | None) -> list[Fingerprinted]:
    """Of each raw table of the one source named, as known on a day if one is given, or of the one table in files.

    Raises `Refused` for files that differ in their columns, are of another kind, or are asked for as of a day.
    """
    if any(Path(name).suffix for name in named) or len(named) > 1:
        if as_of is not None:
            raise Refused("--as-of is for a source: a file does not say when its rows became known. Leave it out.")
        return [_of_files([Path(name) for name in named])]
    source = open_source(named[0])
    tables: Mapping[str, Table] = source.tables if as_of is None else visible(source, day(as_of, "as_of"))
    return [_fingerprinted(name, table) for name, table in sorted(tables.items())]


def names_runs(named: Sequence[str]) -> bool:
    """Whether runs are meant, and neither a source nor files."""
    return all(RUN.fullmatch(name) for name in named)


def of_runs(named: Sequence[str]) -> pd.DataFrame:
    """What each run was trained and tested on: a row a table, a column a run, 32 digits; empty where it had none.

    Raises `Refused` for what names no run.
    """
    return pd.DataFrame({name: about.fingerprints(about.run_named(name)) for name in named}).fillna("").sort_index()


def _of_files(files: Sequence[Path]) -> Fingerprinted:
    """All files are parts of one table. What a folder's name says (`as_of=2024-01-01/`) is no column of it.

    A CSV file has no types, and none is guessed: each cell counts as the text that it is.
    """
    if missing := [str(file) for file in files if not file.is_file()]:
        raise Refused(f"{len(missing)} of {len(files)} files are not there, first {missing[0]}. Correct the paths.")
    kinds = {file.suffix.lower() for file in files}
    if len(kinds) > 1 or not kinds <= {".parquet", ".csv"}:
        raise Refused(f"Files must be all .parquet or all .csv, but are {', '.join(sorted(kinds))}. Name one kind.")
    connection = ibis.duckdb.connect()
    try:
        parts = [_opened(connection, file) for file in files]
        for file, part in zip(files, parts, strict=True):
            _refuse_other_columns(files[0], parts[0], file, part)
        return _fingerprinted(f"{len(files)} files" if len(files) > 1 else str(files[0]), ibis.union(*parts))
    except duckdb.Error as error:
        raise Refused(f"The files must be readable, but are not: {str(error).splitlines()[0]}. Write them anew.") from (
            error
        )


def _opened(connection, file: Path) -> Table:
    if file.suffix.lower() == ".parquet":
        return connection.read_parquet(file, hive_partitioning=False)
    return connection.read_csv(file, all_varchar=True, header=True, hive_partitioning=False)


def _refuse_other_columns(first: Path, promised: Table, file: Path, found: Table) -> None:
    said, says = ([f"{name} {kind}" for name, kind in table.schema().items()] for table in (promised, found))
    if said != says:
        differ = sorted(set(said) ^ set(says)) or ["their order"]
        raise Refused(
            f"Files of one table must have the same columns and types, but {file} and {first} differ in "
            f"{', '.join(differ)}. Take each by itself."
        )


def _fingerprinted(name: str, table: Table) -> Fingerprinted:
    return Fingerprinted(name, int(table.count().to_pyarrow().as_py()), table_fingerprint(table))
