"""How many different things a customer buys, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase known by then
Sees    orders with known_at before the origin
Units   counts of different things
Errors  none of its own
"""

from ibis.expr.types import Table

from features import slots
from features.dictionary import Column, windowed

WINDOWS = (30, 90, 365)
_LINES = {"reads": ("orders",)}
_NEVER = "never bought"
PRODUCTS = windowed("products", "different products", WINDOWS, "count", _NEVER, "variety", **_LINES)
STORES = windowed("stores", "different stores", WINDOWS, "count", "never bought in a known store", "variety", **_LINES)


def different(spine: Table, rows: Table, thing: str, columns: tuple[Column, ...]) -> Table:
    """How many different things each pair of the spine bought in the window of each of the columns."""
    return slots.different(spine, rows, thing, {column.name: column.window for column in columns})
