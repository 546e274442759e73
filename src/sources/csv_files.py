"""A CSV file as a table of text: columns by the names in its header, never by position, and nothing inferred."""

import codecs
import csv
import io
import re
from pathlib import Path

import duckdb
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts.errors import Refused
from sources.mapping import Format

LONGEST_HEADER = 1024 * 1024


def open_csv(con: Backend, file: Path, form: Format, scratch: Path) -> Table:
    """The file's cells as text, lazily. A file that is not UTF-8 is rewritten as such into the folder `scratch`.

    Raises `Refused` for an encoding that it does not have, and a header that is empty or names a column twice.
    """
    if codecs.lookup(form.encoding).name != "utf-8":
        file = _as_utf8(file, form.encoding, scratch)
    names = _header(file, form.separator)
    return con.read_csv(
        file,
        auto_detect=False,
        header=True,
        delim=form.separator,
        quote='"',
        escape='"',
        strict_mode=True,
        columns=dict.fromkeys(names, "VARCHAR"),
    )


def _header(file: Path, separator: str) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        try:
            start = stream.read(LONGEST_HEADER)
        except UnicodeDecodeError as failure:
            raise Refused(
                f"{file.name} must be UTF-8, but is not (byte {failure.start + 1:,}). "
                f"Name its `encoding` in the source's yml, such as cp1252, latin-1 or gb18030."
            ) from None
    names = next(csv.reader(io.StringIO(start), delimiter=separator), [])
    if not any(names):
        raise Refused(f"{file.name} must begin with a header, but is empty. Export it again.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"{file.name}: each column must have its own name, but there are two of {', '.join(twice)}.")
    return names


def _as_utf8(file: Path, encoding: str, scratch: Path) -> Path:
    ready = scratch / f"{file.name}.utf-8.csv"
    try:
        with file.open(encoding=encoding, newline="") as coded, ready.open("w", encoding="utf-8", newline="") as plain:
            while block := coded.read(1 << 20):
                plain.write(block)
    except UnicodeDecodeError as failure:
        raise Refused(
            f"{file.name} must be {encoding}, but is not: {failure.reason}. Name its true `encoding`."
        ) from None
    return ready


def refusal(failure: duckdb.Error) -> Refused:
    """What DuckDB found wrong with the lines of a file, without its advice to read on regardless."""
    named = re.search(r"file = (.+)", str(failure))
    origin = Path(named[1].strip()).name if named else "A file"
    said = str(failure).split("Possible")[0].split(" Error: ", 1)[-1].strip().splitlines()
    return Refused(f"{origin} could not be read: {'; '.join(said)[:300]}. Correct the line, or the `separator`.")
