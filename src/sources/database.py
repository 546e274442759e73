"""A database that Ibis can read (DuckDB, SQLite, PostgreSQL), mapped to raw tables by a yml file. It is only read.

A DuckDB file is attached read-only and read where it lies. Tables of the others are copied into DuckDB, a batch of
rows at a time: the features then run on one engine, and the database is asked once.
"""

import difflib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import ibis
from ibis.backends import BaseBackend
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table, Value

from contracts import places
from contracts.errors import Refused, SourceGone
from contracts.secrets import secret
from sources.folder import existing
from sources.mapped import events
from sources.mapping import SourceMapping, TableMapping
from sources.reading import columns_read
from sources.source import Source, stamps

SCHEMES = ("duckdb", "sqlite", "postgres", "postgresql")
BATCH = 100_000  # rows on their way from a database into DuckDB


def open_database(mapping: SourceMapping, con: Backend) -> Source:
    """The tables of the database with the types of their contracts.

    Raises `Refused` for a URL or table that is not there, `BrokenContract` for cells of another type, and
    `SourceGone` for a database that does not answer.
    """
    url = _url(mapping)
    where, scheme = mapping.file.name, urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise Refused(
            f"{where}: the URL must begin with {', '.join(f'{s}://' for s in SCHEMES)}, but does not. Correct it."
        )
    with _answering(where, scheme):
        if scheme == "duckdb":
            file = _file(where, url)
            before = stamps([file])
            raw = {t.table: table for t, table in _attached(mapping, con, file)}
            return replace(events(mapping, con, raw, stays=frozenset(raw)), stamps=before)
        origin = _read_only(where, scheme, url)
        try:
            before = stamps([_file(where, url)] if scheme == "sqlite" else [])
            raw = {t.table: _copied(mapping, con, origin, t) for t in mapping.tables}
            return replace(events(mapping, con, raw), stamps=before)
        finally:
            origin.disconnect()


def _url(mapping: SourceMapping) -> str:
    """The URL, from the yml or from the environment variable that the yml names; a password only from the latter."""
    where, told, variable = mapping.file.name, mapping.keys.get("url"), mapping.keys.get("url_from")
    if (told is None) == (variable is None):
        raise Refused(f"{where}: either url or url_from must be there, and not both. Keep one.")
    if told is not None and urlsplit(told).password:
        raise Refused(
            f"{where}: a password must not stand in a file, but url holds one. "
            f"Put the URL into an environment variable and name that variable as url_from."
        )
    url = told if told is not None else secret(variable)
    if not url:
        raise Refused(
            f"{where}: the environment variable {variable} must hold the database's URL, but does not. Set it."
        )
    return url


def _file(where: str, url: str) -> Path:
    """The file of a URL: `duckdb:///abs/olute.db`, or `duckdb://data/relative.db` to the project's root."""
    parts = urlsplit(url)
    return existing(where, (places.root() / unquote(parts.netloc + parts.path)).resolve())


def _read_only(where: str, scheme: str, url: str) -> BaseBackend:
    if scheme == "sqlite":
        origin = ibis.sqlite.connect(_file(where, url))
        origin.con.execute("PRAGMA query_only = ON")
        return origin
    origin = ibis.connect(url.replace("postgresql://", "postgres://", 1))
    origin.raw_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").close()
    return origin


def _attached(mapping: SourceMapping, con: Backend, file: Path) -> Iterator[tuple[TableMapping, Table]]:
    catalog = f"origin_{mapping.name}"
    if catalog not in con.list_catalogs():
        con.attach(str(file), name=catalog, read_only=True)
    for table in mapping.tables:
        schema, _, name = table.origin.rpartition(".")
        place = (catalog, schema or "main")
        _refuse_absent(mapping, table, name, con.list_tables(database=place))
        yield table, con.table(name, database=place)


def _copied(mapping: SourceMapping, con: Backend, origin: BaseBackend, table: TableMapping) -> Table:
    """The columns that the mapping reads, copied into DuckDB under a name of their own."""
    schema, _, name = table.origin.rpartition(".")
    place = {"database": schema} if schema else {}
    _refuse_absent(mapping, table, name, origin.list_tables(**place))
    there = origin.table(name, **place)
    cells = {column: _portable(origin, there[column]) for column in there.columns if column in columns_read(table)}
    # a table without any of them is copied whole, so that the error can say what it has
    batches = there.select(**cells or {column: there[column] for column in there.columns}).to_pyarrow_batches(
        chunk_size=BATCH
    )
    copy = f"{mapping.name}_{table.table}_as_is"
    con.con.register("arriving", batches)
    try:
        con.con.execute(f'CREATE OR REPLACE TABLE "{copy}" AS SELECT * FROM arriving')
    finally:
        con.con.unregister("arriving")
    return con.table(copy)


def _portable(origin: BaseBackend, cell: Value) -> Value:
    """A cell in a type that Arrow has. SQLite lets any cell hold any type: only text holds them all."""
    kind = cell.type()
    plain = kind.is_numeric() or kind.is_boolean() or kind.is_date() or kind.is_timestamp()
    return cell if plain and origin.name != "sqlite" else cell.cast("string")


def _refuse_absent(mapping: SourceMapping, table: TableMapping, name: str, there: list[str]) -> None:
    if name not in there:
        near = difflib.get_close_matches(name, there, 1)
        raise Refused(
            f"{mapping.file.name}, {table.table}: the table {table.origin} must be in the database, but is not"
            f"{f'; did you mean {near[0]}' if near else ''}. There are {', '.join(sorted(there)[:20]) or 'none'}."
        )


@contextmanager
def _answering(where: str, scheme: str) -> Iterator[None]:
    """What a driver says of a database that is gone, locked or broken becomes `SourceGone`."""
    errors = {"duckdb": (duckdb.IOException,), "sqlite": (sqlite3.Error,)}.get(scheme)
    if errors is None:
        import psycopg  # only who reads from PostgreSQL needs its driver

        errors = (psycopg.Error,)
    try:
        yield
    except errors as failure:
        said = str(failure).strip().splitlines()[0]
        raise SourceGone(f"{where}: the database does not answer: {said}. Start it, or correct the URL.") from failure
