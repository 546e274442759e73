"""What a source holds, in one glance."""

import pandas as pd
from ibis.expr.types import Table

from sources.source import Source

# the time a row of each table is about; the other tables have none of their own
HAPPENED = {
    "customers": "first_seen_at",
    "orders": "ordered_at",
    "campaigns": "starts_at",
    "contacts": "contacted_at",
    "responses": "responded_at",
    "applications": "applied_at",
    "instalments": "due_at",
    "cases": "opened_at",
    "surveys": "answered_at",
    "visits": "visited_at",
}


def describe(source: Source) -> pd.DataFrame:
    """One row for each raw table: table, rows, first and last date, columns; the assumptions in `.attrs["assumes"]`."""
    held = pd.DataFrame([_row(name, table) for name, table in source.tables.items()])
    held.attrs["assumes"] = list(source.assumes)
    return held


def _row(name: str, table: Table) -> dict:
    time = HAPPENED.get(name)
    dates = {"first_date": table[time].min(), "last_date": table[time].max()} if time else {}
    found = table.aggregate(rows=table.count(), **dates).execute().iloc[0]
    return {
        "table": name,
        "rows": int(found["rows"]),
        "first_date": found["first_date"].date() if time else None,
        "last_date": found["last_date"].date() if time else None,
        "columns": ", ".join(table.columns),
    }
