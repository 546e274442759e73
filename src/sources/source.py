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
    attributes        the declared attributes of customers (flat: of `given`): number, category, flag or date
    known_afterwards  flat: columns known only after the outcome, refused as features; not in `tables`
    contract_end      the declared date attribute that says when a contract ends, where churn is the end of a contract
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
