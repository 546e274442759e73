"""Tables drawn as text, so that a test shows its data the way a reader would write them down."""

from datetime import date, datetime

import ibis
import pytest
from ibis.expr.types import Table


@pytest.fixture
def table():
    """A function from a drawing to a table on DuckDB."""
    return draw


def draw(text: str, **types: str) -> Table:
    """The table that `text` draws: names, a ruler, then a line for each row, columns parted by bars.

    A cell is a whole number, a number, a date, a time or text, whichever it looks like first; an empty one is null.
    `types` gives the Ibis type of a column where its looks deceive.
    """
    head, _, *lines = [line for line in text.splitlines() if line.strip()]
    names = [name.strip() for name in head.split("|")]
    rows = [[_cell(cell.strip()) for cell in line.split("|")] for line in lines]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    schema = {name: types.get(name) or _type(cells) for name, cells in columns.items()}
    columns = {n: [c if c is None or schema[n] != "string" else str(c) for c in cells] for n, cells in columns.items()}
    con = ibis.get_backend()
    made = ibis.util.gen_name("drawn")
    con.create_table(made, schema=ibis.schema(schema), temp=True)
    if rows:
        marks = ", ".join("?" * len(names))
        con.con.executemany(f'INSERT INTO "{made}" VALUES ({marks})', list(zip(*columns.values(), strict=True)))
    return con.table(made)


def _cell(text: str):
    if not text:
        return None
    for read in (int, float, date.fromisoformat, datetime.fromisoformat):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _type(cells: list) -> str:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int}:
        return "int64"
    if kinds <= {int, float}:
        return "float64"
    if kinds == {bool}:
        return "boolean"
    if kinds == {date}:
        return "date"
    return "timestamp" if kinds <= {date, datetime} else "string"
