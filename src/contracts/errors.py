"""The ways a run ends early. What went wrong, how much of it, where first, and what to do, in words."""

from collections.abc import Iterable
from dataclasses import dataclass


class Refused(Exception):
    """Stopped before anything was written: a parameter, a contract or a leak. Exit code 2."""


class SourceGone(Refused):
    """A file, folder or database of the source is not there, or does not answer. Exit code 8: it may come."""


class WorldFailed(Exception):
    """The disk or a file failed; nothing in the request was wrong. Exit code 5, or that of its kind."""


class StoreGone(WorldFailed):
    """The tracking store cannot be opened, reached or written to. Exit code 7."""


class SourceChanged(WorldFailed):
    """The source was written to while it was read. Exit code 9."""


class ClockJumped(WorldFailed):
    """The machine's clock was set while it mattered. Exit code 11."""


@dataclass(frozen=True)
class Breach:
    """One broken promise of one table.

    table   the raw table
    column  the column, or several in words; empty when the promise is about the table as a whole
    rule    what was promised and what was found, as words that follow the column
    bad     the rows that break it; 0 when no row can be blamed, as with a missing column
    rows    the rows of the table
    first   the offending row with the smallest id, in words; empty when no row can be blamed
    remedy  what to do, as a sentence
    """

    table: str
    column: str
    rule: str
    bad: int
    rows: int
    first: str
    remedy: str

    def __str__(self) -> str:
        found = f" in {self.bad:,} of {self.rows:,} rows, first for {self.first}" if self.bad else ""
        return f"{self.table}: {self.column} {self.rule}{found}. {self.remedy}".replace(":  ", ": ")


class BrokenContract(Refused):
    """Raw tables do not hold what they promise: every broken rule of every table, in one message."""

    def __init__(self, breaches: Iterable[Breach]):
        self.breaches = list(breaches)
        super().__init__("\n".join(map(str, self.breaches)))
