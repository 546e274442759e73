"""How a command ends: one exit code for each thing that can go wrong, told by the error and by what caused it."""

import errno
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from contracts.errors import ClockJumped, Refused, SourceChanged, SourceGone, StoreGone, WorldFailed


@dataclass(frozen=True)
class Ending:
    """One way to end.

    word     begins the one line that says why
    meaning  for `crm --help`, the page of a night and docs/exit-codes.md
    again    whether it may end otherwise the next time, so that a night tries the step again
    do       what a person does where it does not pass
    """

    code: int
    word: str
    meaning: str
    again: bool = False
    do: str = ""


DONE = Ending(0, "done", "done", do="nothing")
BUG = Ending(1, "error", "a bug", do="report it, with the traceback that the message names")
REFUSED = Ending(2, "refused", "refused before anything was written", do="what the message says")
KEPT = Ending(3, "done", "done, but the champion stays, or ought not to", do="look at the gate, or at the watch")
BUSY = Ending(4, "busy", "another run holds the lock", True, "wait for it, or stop it")
FAILED = Ending(5, "failed", "a file or the machine failed", True, "restore what the message names")
DISK_FULL = Ending(6, "disk full", "the disk is full", True, "free some; `keep_days` of a night bounds what is kept")
STORE_GONE = Ending(7, "store gone", "the tracking store is gone, locked or not writable", True, "start or restore it")
SOURCE_GONE = Ending(8, "source gone", "the source is not there", True, "bring it back, or correct its path")
SOURCE_CHANGED = Ending(9, "source changed", "the source changed while it was read", True, "run when it is complete")
MEMORY = Ending(10, "out of memory", "memory ran out", True, "give it more, or run less beside it")
CLOCK = Ending(11, "clock jumped", "the clock jumped", True, "set the clock, then run it again")
KILLED = Ending(137, "killed", "killed, as the system does where memory runs out", True, "give it more memory")
STOPPED = Ending(143, "stopped", "stopped on request", do="run it again: a night goes on where it was")
ENDINGS = (DONE, BUG, REFUSED, KEPT, BUSY, FAILED, DISK_FULL, STORE_GONE, SOURCE_GONE, SOURCE_CHANGED, MEMORY, CLOCK,
           KILLED, STOPPED)  # fmt: skip
BY_CODE = {ending.code: ending for ending in ENDINGS}
BY_TYPE = (
    (SourceGone, SOURCE_GONE), (Refused, REFUSED), (StoreGone, STORE_GONE), (SourceChanged, SOURCE_CHANGED),
    (ClockJumped, CLOCK),
)  # fmt: skip

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# what libraries only say in words: SQLite through SQLAlchemy and MLflow, Arrow, DuckDB, a cell of a notebook
FULL = re.compile(r"no space left on device|database or disk is full|disk quota exceeded|file too large", re.I)
SHORT = re.compile(r"MemoryError|out of memory|bad_alloc|cannot allocate memory|unable to allocate", re.I)
STORE = re.compile(
    r"unable to open database file|database is locked|readonly database|no such table|disk I/O error|not a database|"
    r"malformed|connection refused|could not connect|connection failed|max retries exceeded|server closed the|"
    r"connection (is|was) (closed|lost)|terminating connection|API request to .* failed", re.I,
)  # fmt: skip
STORES = ("mlflow", "sqlalchemy", "sqlite3", "psycopg", "requests", "urllib3", "alembic")


def ending_of(error: BaseException) -> Ending:
    """How a command ends that raised this, by the error and all that it came of."""
    chain = list(_chain(error))
    for found in chain:
        if isinstance(found, OSError) and found.errno in NO_SPACE:
            return DISK_FULL
        # a kernel that is killed dies so while a cell runs, or before it has begun
        died = type(found).__name__ == "DeadKernelError" or str(found).startswith("Kernel died before replying")
        if died or isinstance(found, MemoryError | duckdb.OutOfMemoryException):
            return DISK_FULL if FULL.search(str(found)) else MEMORY
    for found in chain:
        if isinstance(found, Refused):
            break  # it says in the words of the source what it did not like, and they may be any
        if FULL.search(str(found)):
            return DISK_FULL
    for kind, ending in BY_TYPE:
        if isinstance(error, kind):
            return ending
    if any(_of_store(found) for found in chain):
        return STORE_GONE
    if type(error).__name__ == "NotebookFailed" and SHORT.search(str(error)):
        return MEMORY
    names = {"Busy": BUSY, "Stopped": STOPPED}
    return names.get(type(error).__name__, FAILED if isinstance(error, WorldFailed | OSError) else BUG)


def line_of(error: BaseException, ending: Ending) -> str:
    """What it says, in one line where a library says it; our own words stay as they are."""
    said = str(error).strip()
    if isinstance(error, Refused | WorldFailed) or ending in (BUSY, STOPPED):
        return said
    first = (said.splitlines() or [type(error).__name__])[0][:300]
    return first if ending is BUG else f"{first.rstrip('.')}. To do: {ending.do}."


def help_line() -> str:
    """All of them, for `crm --help`."""
    return "Exit codes: " + ", ".join(f"{ending.code} {ending.meaning}" for ending in ENDINGS) + "."


def _of_store(error: BaseException) -> bool:
    if isinstance(error, sqlite3.OperationalError | StoreGone):
        return True
    return type(error).__module__.split(".")[0] in STORES and bool(STORE.search(str(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
