"""A person taken out of the files of a source, as far as they lie in the project; and what is left, in words."""

import codecs
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis

from contracts import places
from contracts.erasing import parquet_without, rewritten
from contracts.errors import Refused
from contracts.tables import CONTRACTS
from sources.catalogue import names
from sources.csv_files import open_csv
from sources.folder import existing, inside, open_file, reading
from sources.mapped import _key
from sources.mapping import Format, SourceMapping, TableMapping, read_mapping

SUBJECTS = ("customer_id", "application_id")


@dataclass(frozen=True)
class Person:
    """Whom an erasure is about: the ids that outputs know her by, and where her raw rows are.

    ids    by column, customer_id and application_id: as in the files, and as the keyed hash that replaces them
    files  of the source: file, the column in it, the ids there, how its cells are written
    kept   what of the source cannot be erased here, a sentence each
    """

    source: str
    ids: Mapping[str, frozenset[str]]
    files: Sequence[tuple[Path, str, frozenset[str], Format]]
    kept: Sequence[str]

    @property
    def words(self) -> list[str]:
        """All her ids, longest first, as texts may name them."""
        return sorted({one for ids in self.ids.values() for one in ids}, key=lambda one: (-len(one), one))


def person(source: str, customer: str) -> Person:
    """A customer of a source, whether or not it still has rows of hers; raises `Refused` for a name that is none."""
    if source not in names():
        raise Refused(f"{source!r} is no source; there are {', '.join(names()) or 'none'}.")
    if not customer.strip():
        raise Refused("An id must not be empty. Give that of the customer.")
    mapping = read_mapping(places.data() / "sources" / f"{source}.yml")
    raw = {"customer_id": frozenset({customer.strip()})}
    if mapping.kind == "folder":
        found = _in_folder(mapping, raw)
    elif mapping.kind == "flat" and "file" in mapping.keys and "id" in mapping.keys:
        file = existing(mapping.file.name, (places.root() / str(mapping.keys["file"])).resolve())
        found = raw, [(file, str(mapping.keys["id"]), raw["customer_id"], mapping.format)]
    else:
        why = f"{source} is read from {_origin(mapping)}, which is only read: remove her there, or she comes back"
        return Person(source, _known_as(mapping, raw), (), (why,))
    ids, files = found
    ours = [one for one in files if one[0].is_relative_to(places.root())]
    kept = [
        f"{file} lies outside of the project, whose files alone are changed: remove her there, or she comes back"
        for file in dict.fromkeys(one[0] for one in files if one not in ours)
    ]
    return Person(source, _known_as(mapping, ids), tuple(ours), tuple(kept))


def erase_raw(one: Person) -> dict[str, int]:
    """Take her rows out of the source's files; how many, by file. Applications go after what refers to them."""
    removed: dict[str, int] = {}
    for file, column, ids, form in one.files:
        if file.suffix == ".parquet":
            count = parquet_without(file, {column: ids})
        else:
            count = _csv_without(file, column, ids, form)
        removed[file.name] = removed.get(file.name, 0) + count
    return removed


def raw_rows(one: Person) -> int:
    """How many rows of hers the files hold."""
    return sum(len(_cells(file, column, ids, form)) for file, column, ids, form in one.files)


def _in_folder(mapping: SourceMapping, raw: Mapping[str, frozenset[str]]):
    """Her ids, her applications' among them, and the files with the column that each is looked for in."""
    folder = (places.root() / str(mapping.keys["folder"])).resolve()
    files = {t.table: inside(mapping.file.name, folder, t.origin) for t in mapping.tables}
    ids, found = dict(raw), []
    for table in mapping.tables:
        if table.table == "applications":
            hers = _cells(files[table.table], _column(table, "customer_id"), raw["customer_id"], table.format,
                          _column(table, "application_id"))  # fmt: skip
            ids["application_id"] = frozenset(hers)
    # what refers to an application goes first, while she is still found by it
    for subject in reversed(SUBJECTS):
        for table in mapping.tables:
            if ids.get(subject) and subject in {c.name for c in CONTRACTS[table.table].columns}:
                found.append((files[table.table], _column(table, subject), ids[subject], table.format))
    return ids, sorted(found, key=lambda one: one[0] == files.get("applications"))


def _column(table: TableMapping, name: str) -> str:
    return table.columns.get(name, name)


def _cells(file: Path, column: str, ids: frozenset[str], form: Format, of: str | None = None) -> list[str]:
    """The cells of `of`, or of the column itself, in the rows that have one of the ids."""
    con = ibis.duckdb.connect()
    with reading(con) as scratch:
        table = open_file(con, file, form, scratch)
        if column not in table.columns:
            return []
        rows = table.filter(table[column].cast("string").strip().isin(sorted(ids)))
        return [str(cell).strip() for cell in rows.select(of or column).to_pyarrow().column(0).to_pylist()]


def _csv_without(file: Path, column: str, ids: frozenset[str], form: Format) -> int:
    """Other rows keep their cells and their order; quotes that a cell does not need may go."""
    hers = len(_cells(file, column, ids, form))
    if not hers:
        return 0
    con = ibis.duckdb.connect()
    with rewritten(file) as temporary, reading(con) as scratch:
        table = open_csv(con, file, form, scratch)
        named = table[column].strip()
        rows = table.filter(named.isnull() | ~named.isin(sorted(ids)))
        plain = scratch / "plain.csv"
        rows.to_csv(plain, header=True, delim=form.separator, quote='"', escape='"')
        encoding = codecs.lookup(form.encoding).name
        with plain.open(encoding="utf-8", newline="") as read, temporary.open("w", -1, encoding, newline="") as written:
            while block := read.read(1 << 20):
                written.write(block)
    return hers


def _known_as(mapping: SourceMapping, raw: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The ids, and beside them what the keyed hash makes of those that the source replaces."""
    hidden = mapping.pseudonyms.ids if mapping.pseudonyms else ()
    key = _key(mapping)
    return {
        name: ids | {hmac.digest(key, one.encode(), "sha256").hex() for one in ids} if name in hidden else ids
        for name, ids in raw.items()
    }


def _origin(mapping: SourceMapping) -> str:
    if mapping.kind == "database":
        return "a database"
    return "a file without ids" if mapping.keys.get("file") else "an installed package or a simulated world"
