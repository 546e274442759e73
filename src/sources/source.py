"""A source once it is open: raw tables under the names of the contracts, and what was assumed to make them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts.errors import SourceChanged


@dataclass(frozen=True)
class Source:
    """Raw tables on one DuckDB connection, lazily: nothing is read before a result is asked for.

    name              as `open_source` takes it
    kind              "events" (tables with times) or "flat" (the table `given` alone, outcome included)
    con               the connection that the tables live on
    tables            the canonical raw tables of contracts.tables, by name
    attributes        the declared attributes of customers (flat: of `given`): number, category, flag, date, region (a
                      place) or group (the id of a household or a company)
    known_afterwards  flat: columns known only after the outcome, refused as features; not in `tables`
    simulated         whether nobody of its customers lives: what is made of it says so, by `label`
    contract_end      the declared date attribute that says when a contract ends, where churn is the end of a contract
    currency          the code of the money, empty where the source does not say
    stamps            size and time of change of each file that it is read from, before it was read
    assumes           what the source does not say and the adapter took for granted, each in a sentence
    """

    name: str
    kind: str
    con: Backend
    tables: Mapping[str, Table]
    attributes: Mapping[str, str] = field(default_factory=dict)
    known_afterwards: tuple[str, ...] = ()
    assumes: tuple[str, ...] = ()
    contract_end: str | None = None
    simulated: bool = False
    currency: str = ""
    stamps: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    def refuse_changed(self) -> None:
        """Raises `SourceChanged` where a file is not as it was when the source was opened."""
        now = stamps(self.stamps)
        if changed := [file.name for file, stamp in self.stamps.items() if now[file] != stamp]:
            raise SourceChanged(
                f"{', '.join(changed)} of {self.name} changed while it was read. Nothing was registered or scored. Run "
                f"again when it is complete; put new files in place by renaming them, so that none is seen half-made."
            )

    def money(self, cents: float, sign: str = "") -> str:
        """Cents as a reader writes them, `1,234.50 EUR`; with `sign` "+", a gain bears it too."""
        return f"{cents / 100:{sign},.2f} {self.currency}".rstrip()

    @property
    def label(self) -> str:
        """The name by which all that is made of the source is called: `world-simulated` where nobody lives."""
        return f"{self.name}-simulated" if self.simulated else self.name


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of change of files, minus one for those that are gone."""
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return -1, -1
    return found.st_size, found.st_mtime_ns
