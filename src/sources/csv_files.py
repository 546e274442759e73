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
LONGEST_CELL = 120  # characters of a line that a message shows
# encodings in which any byte is a character, so that no wrong one fails
ONE_BYTE = ("latin-1", "cp1252", "iso8859-15", "cp850", "cp437", "mac-roman")
RUNS = re.compile(rb"[\x80-\xff]+")
FEWEST_RUNS, PAIRED = 3, 0.9


def open_csv(con: Backend, file: Path, form: Format, scratch: Path) -> Table:
    """The file's cells as text, lazily.

    A file that is not UTF-8, or whose lines end now in one way and now in another, is rewritten into the folder
    `scratch`. Raises `Refused` for an encoding that it does not have or that its bytes speak against, and for a header
    that is empty, has a column without a name or names one twice.
    """
    with file.open("rb") as stream:
        start = stream.read(LONGEST_HEADER)
    coded = codecs.lookup(form.encoding).name != "utf-8"
    if coded:
        _refuse_pairs(file, form.encoding, start)
    if coded or (b"\r\n" in start and re.search(rb"(?<!\r)\n", start)):
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
    try:
        names = next(csv.reader(io.StringIO(start, newline=""), delimiter=separator), [])
    except csv.Error as failure:
        raise Refused(
            f"{file.name} must begin with a header, but its first line cannot be read: {failure}. Export it again."
        ) from None
    if not any(names):
        raise Refused(f"{file.name} must begin with a header, but is empty. Export it again.")
    if any("\0" in name for name in names):
        raise Refused(
            f"{file.name} must be UTF-8, but its header holds bytes of zero, as UTF-16 and UTF-32 have them. Name its "
            f"`encoding` in the source's yml, such as utf-16 or utf-32."
        )
    if not all(name.strip() for name in names):
        nth = next(k for k, name in enumerate(names, 1) if not name.strip())
        raise Refused(
            f"{file.name}: each column must have a name, but column {nth} of {len(names)} has none. Name it in the "
            f"header."
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"{file.name}: each column must have its own name, but there are two of {', '.join(twice)}.")
    return names


def _as_utf8(file: Path, encoding: str, scratch: Path) -> Path:
    ready = scratch / f"{file.name}.utf-8.csv"
    try:
        with file.open(encoding=encoding, newline="") as coded, ready.open("w", encoding="utf-8", newline="") as plain:
            while block := coded.read(1 << 20):
                block += coded.read(1) if block.endswith("\r") else ""  # a line's end is in one block
                plain.write(block.replace("\r\n", "\n"))
    except UnicodeDecodeError as failure:
        raise Refused(
            f"{file.name} must be {encoding}, but is not: {failure.reason}. Name its true `encoding`."
        ) from None
    return ready


def _refuse_pairs(file: Path, encoding: str, start: bytes) -> None:
    """Chinese in two bytes a character, read as one byte each, gives no error and no names either."""
    if codecs.lookup(encoding).name not in {codecs.lookup(name).name for name in ONE_BYTE}:
        return
    lengths = [len(run) for run in RUNS.findall(start)]
    pairs = sum(length % 2 == 0 for length in lengths)
    if len(lengths) >= FEWEST_RUNS and pairs >= PAIRED * len(lengths):
        raise Refused(
            f"{file.name} must be {encoding}, but {pairs:,} of its first {len(lengths):,} words beyond ASCII have an "
            f"even number of bytes: they look like two bytes a character. Name its true `encoding`, such as gb18030."
        )


def refusal(failure: duckdb.Error) -> Refused:
    """What DuckDB found wrong with the lines of a file, without its advice to read on regardless."""
    named = re.search(r"file = (.+)", str(failure))
    origin = Path(named[1].strip()).name if named else "A file"
    said = str(failure).split("Possible")[0].split(" Error: ", 1)[-1].strip().splitlines()
    shown = [line if len(line) <= LONGEST_CELL else f"{line[:LONGEST_CELL]}..." for line in said if line]
    return Refused(f"{origin} could not be read: {'; '.join(shown)[:500]}. Correct the line, or the `separator`.")
