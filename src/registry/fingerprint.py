"""What tells two tables, or two models, apart: every cell and every type counts; order and file layout do not.

A row's hash is DuckDB's over its cells in the order of the columns, 64 bits. A table is known by its column names and
types, its rows, its nulls a column, and two sums over the rows' hashes, each hash mixed once more, in two ways.

What is equal content: the same names and types in the same order, and the same rows as often. Not part of it: the
order of rows, the files they lie in, whether a column is declared to have no nulls, whether text is stored by a
dictionary, and the unit of a time as long as no digit is lost. -0.0 is 0.0; a NaN is no null, except in pandas, where
it says null.

What it promises. Change one cell of whole numbers, dates or flags and the fingerprint is another for certain: each step
from the cell to its row's hash, and on to the mixed one, is one to one. After any other accident (text changed, values
of two rows swapped, rows lost) the chance that two tables agree is about 2^-64. The mixing matters: DuckDB joins the
hashes of cells by exclusive or, and in a plain sum of them some swaps of two values cancel out; among 100,000 rows
there are such pairs. Sums, unlike an exclusive or of the rows, do not forget a row that occurs twice. It is no seal
against someone who wants two tables to agree: the hash has no key and only 64 bits a row, so that rows can be made to
fit. Against those, compare the sha256 of files.

DuckDB may change its hash with a release. The lock holds the release, and a known answer is among the tests.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import ibis
from ibis.expr.datatypes import DataType
from ibis.expr.operations import InMemoryTable
from ibis.expr.types import Table

# the bits of 1 / golden ratio, so that the second way of mixing starts from other bits than the first
OTHER = 0x9E3779B97F4A7C15


def table_fingerprint(table: Table) -> str:
    """64 hexadecimal digits: the sha256 over names, types, rows, nulls and two sums of the rows' hashes.

    One scan where the table lives, in constant memory: DuckDB where it is DuckDB's, in each of Spark's workers (which
    need duckdb) where it is Spark's, else DuckDB on a stream of what the engine gives. The value is the same on all.
    """
    kinds = kinds_of(table)
    found = _asked(table, lambda rows: _query(kinds, rows), 3 + len(kinds))
    types = [[name, _type(kind)] for name, kind in kinds.items()]
    return digest({"columns": types, "found": [str(value) for value in found if value is not None]})


def column_fingerprints(table: Table) -> dict:
    """What tells where two tables of one name part: `rows`, and for each of `columns` its type and its values.

    The values count as often as they occur, in whichever rows: 32 hexadecimal digits, of the sum of the cells' hashes.
    """
    kinds = kinds_of(table)
    rows, *sums = _asked(table, lambda rows: _columns_query(kinds, rows), 1 + len(kinds))
    columns = {
        name: {"type": _type(kind), "values": digest(str(total))[:32]}
        for (name, kind), total in zip(kinds.items(), sums, strict=True)
    }
    return {"rows": int(rows), "columns": columns}


def kinds_of(table: Table) -> dict[str, DataType]:
    """Each column's type, whether or not it may have nulls."""
    return {name: kind.copy(nullable=True) for name, kind in table.schema().items()}


def _asked(table: Table, query: Callable[[str], str], counts: int) -> Sequence[int]:
    """The one row that a query of `counts` sums, or a few more, has, asked where the table lives."""
    connection = ibis.get_backend(table)
    if connection.name == "pyspark":
        return _on_spark(connection.raw_sql(connection.compile(table)), query("arrived"), counts)
    if connection.name == "duckdb" and not table.op().find(InMemoryTable):
        return connection.raw_sql(query(f"({ibis.to_sql(table, dialect='duckdb')})")).fetchone()
    with duckdb.connect() as own:
        return own.register("arrived", table.to_pyarrow_batches()).execute(query("arrived")).fetchone()


def _columns_query(kinds: Mapping[str, DataType], rows: str) -> str:
    sums = [f"coalesce(sum(hash({cell_sql(name, kind)})), 0)" for name, kind in kinds.items()]
    return f"SELECT {', '.join(['count(*)', *sums])} FROM {rows}"


def _query(kinds: Mapping[str, DataType], rows: str) -> str:
    """Rows, two sums, nulls of each column: all of them sums, so that those of parts of a table add up.

    A time finer than microseconds adds one more: the sum over rows that do have such digits, null where none has.
    """
    places = [f"c{i}" for i in range(len(kinds))]
    cells = ", ".join(f"{cell_sql(name, kind)} AS c{i}" for i, (name, kind) in enumerate(kinds.items()))
    finer = [f"epoch_ns({quoted(name)}) % 1000" for name, kind in kinds.items() if _is_finer(kind)]
    cells = ", ".join([cells, *(f"{digits} AS d{i}" for i, digits in enumerate(finer))])
    counted = [
        "count(*)",
        "coalesce(sum(hash(row_hash)), 0)",
        f"coalesce(sum(hash(xor(row_hash, {OTHER}::UBIGINT))), 0)",
        *(f"count(*) - count({place})" for place in places),
        *(f"sum(hash(row_hash, d{i})) FILTER (WHERE d{i} <> 0)" for i in range(len(finer))),
    ]
    hashed = f"SELECT hash({', '.join(places)}) AS row_hash, * FROM (SELECT {cells} FROM {rows})"
    return f"SELECT {', '.join(counted)} FROM ({hashed})"


def cell_sql(name: str, kind: DataType) -> str:
    """A column in the form that is hashed: text as such, whatever its dictionary, times in microseconds."""
    if kind.is_string():
        return f"{quoted(name)}::VARCHAR"
    if kind.is_timestamp() and kind.scale not in (None, 6):
        return f"{quoted(name)}::TIMESTAMP"
    return quoted(name)


def _type(kind: DataType) -> str:
    return str(kind.copy(scale=None) if kind.is_timestamp() else kind)


def _is_finer(kind: DataType) -> bool:
    return kind.is_timestamp() and (kind.scale or 0) > 6


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _on_spark(frame, query: str, counts: int) -> list[int]:
    """The `counts` numbers that `query` finds in a Spark frame: by DuckDB in each part, where it lies, then added."""

    def counted(batches: Iterator) -> Iterator:  # without a name of ours in it, since the workers have only libraries
        import itertools

        import duckdb
        import pyarrow as pa

        first = next(batches, None)
        if first is None:
            return
        arrived = pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))
        with duckdb.connect(config={"threads": 1}) as own:
            row = own.register("arrived", arrived).sql(query).fetchone()
        yield pa.record_batch({"counted": [",".join(str(value) for value in row)]})

    parts = [row.counted.split(",") for row in frame.mapInArrow(counted, "counted string").collect()]
    return [sum(int(part[i]) for part in parts) for i in range(counts)]


def digest(content) -> str:
    """The sha256 of anything that JSON can say, with its keys in order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def folder_digest(folder: Path) -> str:
    """The sha256 over the name and content of every file below a folder: the identity of a model."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


def file_digest(path: Path) -> str:
    """The sha256 of one file."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def code_files(root: Path) -> dict[str, str]:
    """The sha256 of each file of the project's own code, src and pipelines below `root`, by its path."""
    files = sorted(
        p
        for room in ("src", "pipelines")
        for p in (root / room).rglob("*")
        if p.suffix in {".py", ".yml"} and ".ipynb_checkpoints" not in p.parts
    )
    return {path.relative_to(root).as_posix(): file_digest(path) for path in files}


def run_key(inputs: Mapping) -> str:
    """The name of a run made of what went into it: equal inputs, equal key. 32 hexadecimal digits."""
    return digest(dict(inputs))[:32]
