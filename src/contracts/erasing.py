"""A person taken out of a file: her rows of a table, her id in a text. The file is the one before or the one after.

What is done twice changes nothing the second time, so that an erasure that was cut is begun again.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.files import whole

ERASED = "(erased)"
LEAST = 6  # characters from which an id is one wherever it stands; a shorter one is part of other numbers and words
TEXTS = {".ipynb", ".html", ".md", ".txt", ".log", ".json", ".csv", ".sql", ".yml"}


def parquet_without(
    file: Path, ids: Mapping[str, Collection[str]], settle: Callable[[Path], None] | None = None
) -> int:
    """Take the rows out of a Parquet file that have one of `ids`, by column; how many. Columns it has not are skipped.

    settle  is told of the new file before it takes the place of the old one
    """
    schema = pq.read_schema(file)
    named = [name for name in ids if name in schema.names and ids[name]]
    if not has_rows(file, ids):
        return 0
    removed = 0
    with rewritten(file) as temporary:
        with pq.ParquetFile(file) as read, pq.ParquetWriter(temporary, schema) as written:
            for batch in read.iter_batches():
                kept = batch.filter(pc.invert(_hers(batch, named, ids)))
                removed += batch.num_rows - kept.num_rows
                written.write_batch(_plain(kept, schema))
        if settle:
            settle(temporary)
    return removed


def text_without(file: Path, ids: Collection[str]) -> int:
    """Put `ERASED` in place of ids in a file of text; how many there were."""
    before = file.read_text(encoding="utf-8", errors="surrogateescape")
    after, count = without(before, ids)
    if count:
        with rewritten(file) as written:
            written.write_text(after, encoding="utf-8", errors="surrogateescape")
    return count


def without(text: str, ids: Collection[str]) -> tuple[str, int]:
    """The text with `ERASED` for each id, and how many there were.

    An id of fewer than `LEAST` characters is taken out where messages of ours name a customer: `customer 17`.
    """
    count = 0
    for one in ids:
        begins, ends = (r"(?<![\w-])", r"(?![\w-])") if len(one) >= LEAST else (r"(?<=customer )", r"(?!\w)")
        text, found = re.subn(f"{begins}{re.escape(one)}{ends}", ERASED, text)
        count += found
    return text, count


@contextmanager
def rewritten(file: Path) -> Iterator[Path]:
    """`whole`, with the rights of the file that it takes the place of."""
    with whole(file) as temporary:
        yield temporary
        temporary.chmod(file.stat().st_mode & 0o777)


def has_rows(file: Path, ids: Mapping[str, Collection[str]]) -> bool:
    """Whether a Parquet file has a row with one of `ids`, by column."""
    named = [name for name in ids if name in pq.read_schema(file).names and ids[name]]
    with pq.ParquetFile(file) as read:
        return bool(named) and any(
            pc.any(_hers(batch, named, ids)).as_py() for batch in read.iter_batches(columns=named)
        )


def _hers(batch: pa.RecordBatch, named: list[str], ids: Mapping[str, Collection[str]]) -> pa.Array:
    found = pa.array(np.zeros(batch.num_rows, dtype=bool))
    for name in named:
        texts = pc.utf8_trim_whitespace(batch.column(name).cast(pa.string()))
        found = pc.or_(found, pc.fill_null(pc.is_in(texts, pa.array(sorted(ids[name]), pa.string())), False))
    return found


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A dictionary of words keeps those that no row has any more: it is made anew."""
    columns = [
        column.cast(column.type.value_type).dictionary_encode().cast(kind.type)
        if pa.types.is_dictionary(column.type)
        else column
        for column, kind in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
