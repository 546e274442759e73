"""A source once it is open: raw tables under the names of the contracts, and what was assumed to make them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ibis.backends.duckdb import Backend
from ibis.expr.types import Table


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

    def money(self, cents: float, sign: str = "") -> str:
        """Cents as a reader writes them, `1,234.50 EUR`; with `sign` "+", a gain bears it too."""
        return f"{cents / 100:{sign},.2f} {self.currency}".rstrip()

    @property
    def label(self) -> str:
        """The name by which all that is made of the source is called: `world-simulated` where nobody lives."""
        return f"{self.name}-simulated" if self.simulated else self.name
