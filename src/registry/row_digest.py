"""Which rows of a table are others than they were, without a copy of it: a digest of fixed size, to be taken apart.

Each row is put into one cell of each of three parts, by its hash; a cell keeps how many rows it got, and of all of them
the exclusive or of the rows' hashes, of each column's cells' hashes, and of those numbers that name a row. Two
digests of one table, cell by cell minus each other, hold only the rows that differ. Where a cell is left with one row,
that row is known and is taken out of its other two cells, until nothing is left [1, 2]. Up to about 1,200 rows come out
so (a changed one counts twice), whatever the size of the table; beyond, none is named.

A row that is there now is named in full. Of one that is gone, ids are known that are whole numbers, also when written
as text, and whatever else another row still holds. The digest of a table of a few rows tells most of their keys: it is
kept beside the scores and never leaves for the tracking store.

[1] Eppstein, Goodrich, Uyeda & Varghese (2011), What's the Difference? Efficient Set Reconciliation without Prior
    Context, SIGCOMM, section 3.
[2] Goodrich & Mitzenmacher (2011), Invertible Bloom Lookup Tables, Allerton: with three parts a digest of m cells gives
    up m / 1.22 rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import ibis
import numpy as np
import pyarrow as pa
from ibis.expr.operations import InMemoryTable
from ibis.expr.types import Table

from registry.fingerprint import OTHER, cell_sql, kinds_of, quoted

PARTS, CELLS = 3, 512
NOTHING = -(2**63)  # stands for an empty cell among whole numbers
SHOWN = 5
HELD = ("rows", "row", "seal")


@dataclass(frozen=True)
class Row:
    """A row that differs.

    there   1 in the digest of then, -1 in that of now
    row     its hash
    hashes  of each column's cell, by the column's name
    values  of its key and its subject, where they are whole numbers
    """

    there: int
    row: int
    hashes: Mapping[str, int]
    values: Mapping[str, int]


def row_digest(table: Table, names: Sequence[str]) -> pa.Table:
    """The digest, one row a cell that is not empty.

    Columns: cell, rows, row, seal; `of NAME` for each column of the table; `value NAME` for those of `names`, the key
    and the subject, that may be whole numbers.
    """
    kinds = kinds_of(table)
    held = [f"of {name}" for name in kinds] + [f"value {name}" for name in _numbered(kinds, names)]
    sums = ", ".join(f"bit_xor({quoted(name)}) AS {quoted(name)}" for name in (*HELD[1:], *held))
    place = f"(part * {CELLS} + (place >> (part * 20)) % {CELLS})::INTEGER"
    with _asked(table) as (connection, rows):
        return connection.execute(
            f"SELECT {place} AS cell, count(*) AS rows, {sums} FROM "
            f"(SELECT *, hash(row) AS place, hash(xor(row, {OTHER}::UBIGINT)) AS seal "
            f"FROM ({_hashed(kinds, names, rows)})), (SELECT unnest(range({PARTS}))::INTEGER AS part) "
            f"GROUP BY cell ORDER BY cell"
        ).to_arrow_table()


def other_rows(then: pa.Table, table: Table, key: Sequence[str], subject: str) -> list[str]:
    """The rows of a table that are others than in the digest of then, a sentence each.

    None where the columns have other names: then no row is the same.

    key      the columns that together name a row; subject: the one that says whom it is about
    """
    names = list(dict.fromkeys([*key, subject]))
    now = row_digest(table, names)
    if then.schema.remove_metadata() != now.schema.remove_metadata():
        return []
    found = _taken_apart(then, now)
    if found is None:
        return [
            f"more than about {PARTS * CELLS * 4 // 5:,} rows differ (a changed one counts twice): too many to name"
        ]
    before = {_key(row, key): row for row in found if row.there > 0}
    after = {_key(row, key): row for row in found if row.there < 0}
    changed = [(before[k], after[k]) for k in before if k in after]
    alone = [row for k, row in (before | after).items() if k not in before or k not in after]
    with _asked(table) as (connection, rows):
        called = _called(connection, rows, kinds_of(table), names, found)
    return [
        *_listed([_changed(old, new, called, key, subject) for old, new in changed]),
        *_listed([f"{_said(row, called, key, subject)} is gone" for row in alone if row.there > 0]),
        *_listed([f"{_said(row, called, key, subject)} is new" for row in alone if row.there < 0]),
    ]


def _numbered(kinds: Mapping, names: Sequence[str]) -> dict[str, str]:
    """Of those columns that name a row, the SQL of the whole number in each, by the column's name.

    Text that is a number and nothing else is one: `00123` is not, since the number would not give it back.
    """
    found = {}
    for name in (name for name in kinds if name in names):
        number = f"TRY_CAST({quoted(name)} AS BIGINT)"
        if kinds[name].is_string():
            number = f"CASE WHEN {number}::VARCHAR = {quoted(name)}::VARCHAR THEN {number} END"
        if kinds[name].is_string() or kinds[name].is_integer():
            found[name] = f"coalesce({number}, {NOTHING})"
    return found


def _hashed(kinds: Mapping, names: Sequence[str], rows: str) -> str:
    """Each row with its own hash, that of each cell, and the whole numbers that name it."""
    hashes = [f"hash({cell_sql(name, kind)}) AS {quoted(f'of {name}')}" for name, kind in kinds.items()]
    values = [f"{number} AS {quoted(f'value {name}')}" for name, number in _numbered(kinds, names).items()]
    cells = ", ".join(cell_sql(name, kind) for name, kind in kinds.items())
    return f"SELECT {', '.join([f'hash({cells}) AS row', *hashes, *values])} FROM {rows}"


@contextmanager
def _asked(table: Table) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A DuckDB connection and the words that stand for the table's rows in it."""
    backend = ibis.get_backend(table)
    if backend.name == "duckdb" and not table.op().find(InMemoryTable):
        yield backend.con, f"({ibis.to_sql(table, dialect='duckdb')})"
        return
    with duckdb.connect() as own:
        own.register("arrived", table.to_pyarrow())
        yield own, "arrived"


def _taken_apart(then: pa.Table, now: pa.Table) -> list[Row] | None:
    """The rows in one of the digests only; None where they are too many."""
    columns = [name for name in then.column_names if name not in ("cell", "rows")]
    left = {name: np.zeros(PARTS * CELLS, dtype="int64") for name in ("rows", *columns)}
    for side, digest in ((1, then), (-1, now)):
        at = digest["cell"].to_numpy()
        left["rows"][at] += side * digest["rows"].to_numpy()
        for name in columns:
            left[name][at] ^= digest[name].to_numpy().view("int64")
    found = []
    while len(alone := _alone(left)):
        for cell in alone:
            if abs(left["rows"][cell]) != 1:  # taken out together with another cell of its own
                continue
            row = {name: int(left[name][cell]) for name in left}
            found.append(_row(row))
            for other in _places(np.array([row["row"]]))[0]:
                left["rows"][other] -= row["rows"]
                for name in columns:
                    left[name][other] ^= row[name]
    return None if any(rest.any() for rest in left.values()) else found


def _alone(left: Mapping[str, np.ndarray]) -> np.ndarray:
    """The cells that hold one row: its seal is that of its hash, and it belongs here."""
    cells = np.flatnonzero(np.abs(left["rows"]) == 1)
    if not len(cells):
        return cells
    row = left["row"][cells]
    sealed = _hash(np.bitwise_xor(row.view("uint64"), np.uint64(OTHER))) == left["seal"][cells].view("uint64")
    return cells[sealed & (_places(row) == cells[:, None]).any(axis=1)]


def _places(rows: np.ndarray) -> np.ndarray:
    """The cell of each row hash (n,) in each part, of shape (n, parts)."""
    mixed = _hash(rows.view("uint64"))
    shifted = [(mixed >> np.uint64(20 * part)) % np.uint64(CELLS) for part in range(PARTS)]
    return np.stack([part * CELLS + at.astype("int64") for part, at in enumerate(shifted)], axis=1)


def _hash(numbers: np.ndarray) -> np.ndarray:
    """DuckDB's own, so that a row is looked for where it was put."""
    with duckdb.connect() as own:
        own.register("arrived", pa.table({"number": numbers}))
        return own.execute("SELECT hash(number) AS found FROM arrived").to_arrow_table()["found"].to_numpy()


def _row(found: Mapping[str, int]) -> Row:
    unsigned = {name: value % 2**64 for name, value in found.items()}
    return Row(
        found["rows"],
        unsigned["row"],
        {name[3:]: value for name, value in unsigned.items() if name.startswith("of ")},
        {name[6:]: value for name, value in found.items() if name.startswith("value ")},
    )


def _key(row: Row, key: Sequence[str]) -> tuple[int, ...]:
    return tuple(row.hashes[name] for name in key)


def _called(connection, rows: str, kinds: Mapping, names: Sequence[str], found: Sequence[Row]) -> dict[str, dict]:
    """For each name column what the cells with the found hashes hold, by the hash, as far as a row still has it."""
    called = {}
    for name in names:
        wanted = sorted({row.hashes[name] for row in found})
        asked = (
            f"SELECT hash({cell_sql(name, kinds[name])}) AS of, any_value({quoted(name)})::VARCHAR AS said FROM {rows} "
            f"WHERE hash({cell_sql(name, kinds[name])}) IN ({', '.join(map(str, wanted)) or 'NULL'}) GROUP BY 1"
        )
        told = connection.execute(asked).fetchall()
        numbers = {row.hashes[name]: row.values[name] for row in found if row.values.get(name, NOTHING) != NOTHING}
        called[name] = {of: str(number) for of, number in numbers.items()} | {int(of): said for of, said in told}
    return called


def _said(row: Row, called: Mapping[str, Mapping], key: Sequence[str], subject: str) -> str:
    """`order 100, product 5 (customer 7)`; what no row holds any more is not known."""

    def word(name: str) -> str:
        return f"{name.removesuffix('_id').replace('_', ' ')} {called[name].get(row.hashes[name], 'not known')}"

    rest = "" if subject in key else f" ({word(subject)})"
    return f"{', '.join(word(name) for name in key)}{rest}"


def _changed(old: Row, new: Row, called: Mapping[str, Mapping], key: Sequence[str], subject: str) -> str:
    columns = [name for name in old.hashes if old.hashes[name] != new.hashes[name]]
    return f"{_said(new, called, key, subject)} has another {', '.join(columns)}"


def _listed(sentences: Sequence[str]) -> list[str]:
    """The first few in order, and how many more."""
    ordered = sorted(sentences)
    rest = len(ordered) - SHOWN
    return ordered[:SHOWN] + ([f"and {rest:,} more like these"] if rest > 0 else [])
