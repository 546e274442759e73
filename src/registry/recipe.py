"""What a run is made of, file by file and column by column, so that one made again can be told from it, and by what."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from ibis.expr.types import Table

from registry.fingerprint import code_files, column_fingerprints, file_digest

FILE = "recipe.json"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==", re.M)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GONE = "nothing"
NO_ROWS: Mapping[str, Sequence[str]] = MappingProxyType({})


def recipe(
    label: str,
    parameters: Mapping,
    tables: Mapping[str, Table],
    fingerprints: Mapping[str, str],
    files: Mapping[str, Path],
) -> dict:
    """All that a result follows from, in words that JSON can say.

    label         what outputs call the source, which tells of simulated customers
    tables        the raw tables as visible at as_of, with their `fingerprints`
    files         code: the checkout; notebook and lock: the files that the run takes

    Keys: label; parameters; data (a table: fingerprint, rows, and type and values of each column); code and notebook
    (a file: its sha256); lock; packages (a name of the lock: the version that is installed); threads; platform.
    """
    return {
        "label": label,
        "parameters": dict(parameters),
        "data": {n: {"fingerprint": fingerprints[n], **column_fingerprints(table)} for n, table in tables.items()},
        "code": code_files(files["code"]),
        "notebook": {f"notebooks/{files['notebook'].name}": file_digest(files["notebook"])},
        "lock": file_digest(files["lock"]),
        "packages": packages(files["lock"]),
        "threads": {**{name: os.environ.get(name, "not set") for name in THREADS}, "processors": os.cpu_count()},
        "platform": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}".strip(),
            "instructions": " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])),
        },
    }


def packages(lock: Path) -> dict[str, str]:
    """A name of the lock: the version that is installed here."""
    return {name: _installed(name) for name in sorted(PINNED.findall(lock.read_text(encoding="utf-8")))}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def differences(then: Mapping, now: Mapping, rows: Mapping[str, Sequence[str]] = NO_ROWS) -> list[str]:
    """Where two recipes part, a sentence each: data, parameters, code, lock, packages, threads, platform.

    rows  table to what is told of its rows that differ, which may name customers
    """
    said = []
    for name in sorted({*then["data"], *now["data"]}):
        lines = _in_table(name, then["data"].get(name), now["data"].get(name))
        said += [f"data: {line}" for line in [*lines, *(f"{name}: {line}" for line in rows.get(name, ()))]]
    said += _named("parameter", then["parameters"], now["parameters"])
    for part in ("code", "notebook"):
        said += [f"code: {name} is another" for name in _other(then[part], now[part])]
    if then["lock"] != now["lock"]:
        said.append("lock: requirements.lock is another")
    for word, part in (("package", "packages"), ("threads", "threads"), ("platform", "platform")):
        said += _named(word, then[part], now[part])
    return said


def _other(then: Mapping, now: Mapping) -> list[str]:
    return [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]


def _named(word: str, then: Mapping, now: Mapping) -> list[str]:
    return [f"{word}: {n} was {then.get(n, GONE)} and is {now.get(n, GONE)}" for n in _other(then, now)]


def _in_table(name: str, then: Mapping | None, now: Mapping | None) -> list[str]:
    """Rows, columns, types, values; the last that can differ is which values stand together, or the columns' order."""
    if then is None or now is None:
        return [f"{name} is {'new' if then is None else 'gone'}"]
    if then["fingerprint"] == now["fingerprint"]:
        return []
    said, columns = [], {**then["columns"], **now["columns"]}
    if then["rows"] != now["rows"]:
        said.append(f"{name} had {then['rows']:,} rows and has {now['rows']:,}")
    for column in columns:
        was, found = then["columns"].get(column), now["columns"].get(column)
        if was is None or found is None:
            said.append(f"{name}.{column} is {'new' if was is None else 'gone'}")
        elif was["type"] != found["type"]:
            said.append(f"{name}.{column} was {was['type']} and is {found['type']}")
        elif was["values"] != found["values"] and then["rows"] == now["rows"]:
            said.append(f"{name}.{column} holds other values in as many rows")
    if said:
        return said
    if list(then["columns"]) != list(now["columns"]):
        return [f"{name} has its columns in another order"]
    return [f"{name} has the same values in each column, but in other rows"]


class Result(NamedTuple):
    """What a run gave: the sha256 of its model, of the model it was judged by, of its scores of the test rows; metrics.

    Not among the metrics are the gains over the champion of that day, which follow from the rest and from another run.
    """

    model: str
    judged: str
    scores: str
    metrics: Mapping[str, float]


def result(tags: Mapping[str, str], metrics: Mapping[str, float]) -> Result:
    """The result in a run's tags and metrics."""
    own = {name: value for name, value in metrics.items() if not name.startswith("gain/")}
    return Result(*(tags.get(f"crm.{name}", "") for name in ("sha256", "judged", "evidence")), own)


def compared(then: Result, now: Result) -> tuple[list[str], list[str]]:
    """What is the same to the last bit, and what is not, in words."""
    same, other = [], []
    for word, was, found in zip(("model", "judged model", "test scores"), then, now, strict=False):
        (same if was == found else other).append(f"{word} {was[:12]}" + (f" is now {found[:12]}" * (was != found)))
    names = sorted({*then.metrics, *now.metrics})
    moved = [name for name in names if then.metrics.get(name) != now.metrics.get(name)]
    if not moved:
        return [*same, f"{len(names)} metrics"], other
    first = f"{moved[0]} was {then.metrics.get(moved[0])} and is {now.metrics.get(moved[0])}"
    return same, [*other, f"{len(moved)} of {len(names)} metrics, first {first}"]
