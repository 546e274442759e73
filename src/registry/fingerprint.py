"""What tells two tables, or two models, apart: every row and every type counts; order and file layout do not."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import ibis
from ibis.expr.types import Table


def table_fingerprint(table: Table) -> str:
    """The sha256 over column names, types, null counts, the number of rows and the sum of all rows' hashes.

    A sum, unlike an exclusive-or, does not forget a row that occurs twice. 64 hexadecimal digits.
    """
    connection = ibis.get_backend(table)
    columns = ", ".join(f'"{name}"' for name in table.columns)
    nulls = ", ".join(f'count(*) - count("{name}")' for name in table.columns)
    query = f"SELECT count(*), sum(hash({columns})::HUGEINT), {nulls} FROM ({ibis.to_sql(table, dialect='duckdb')})"
    found = connection.raw_sql(query).fetchone()
    content = {"types": {name: str(kind) for name, kind in table.schema().items()}, "found": [str(v) for v in found]}
    return digest(content)


def digest(content) -> str:
    """The sha256 of anything that JSON can say, with its keys in order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def folder_digest(folder: Path) -> str:
    """The sha256 over the name and content of every file below a folder: the identity of a model."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


def file_digest(path: Path) -> str:
    """The sha256 of one file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def code_digest(root: Path) -> str:
    """The sha256 over the project's own code: src and pipelines below `root`."""
    files = sorted(
        p
        for room in ("src", "pipelines")
        for p in (root / room).rglob("*")
        if p.suffix in {".py", ".yml"} and ".ipynb_checkpoints" not in p.parts
    )
    return digest({path.relative_to(root).as_posix(): file_digest(path) for path in files})


def run_key(inputs: Mapping) -> str:
    """The name of a run made of what went into it: equal inputs, equal key. 32 hexadecimal digits."""
    return digest(dict(inputs))[:32]
