"""Scoring against erasing: many may score or watch a source at once, but nobody while a customer of it is erased.

A score table, or kept days, begun before an erasure and written after it would bring her back. The kernel frees the
lock of a process that is gone, so that none is stale; the file says who took it last.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.places import mlruns


class Busy(Exception):
    """Another process holds the lock of what this one would do. Exit code 4."""


@contextmanager
def scoring(model: str, source: str) -> Iterator[None]:
    """Held while a model scores or watches a source; raises `Busy` while a customer is erased, with who does it."""
    busy = f"A customer of {source} is being erased by {{}}. Run it again when that is done."
    with _held(model, source, fcntl.LOCK_SH, busy):
        yield


@contextmanager
def erasing(model: str, source: str) -> Iterator[None]:
    """Held while a customer is erased; raises `Busy` while a model scores the source, with who does it."""
    busy = f"{model} is being scored on {source} by {{}}. Wait for it, or stop it, then run this again."
    with _held(model, source, fcntl.LOCK_EX, busy):
        yield


@contextmanager
def _held(model: str, source: str, how: int, busy: str) -> Iterator[None]:
    with open(_file(model, source), "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Busy(busy.format(file.read() or "another process")) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def _file(model: str, source: str) -> Path:
    folder = mlruns() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"scoring-{model}-{source}.lock"
