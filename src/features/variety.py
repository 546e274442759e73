"""How many different things a customer buys, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase known by then
Sees    orders with known_at before the origin
Units   counts of different things
Errors  none of its own
"""

from ibis.expr.types import Table

from features.as_of import KEYS, before, none_is_zero, still
from features.dictionary import windowed

WINDOWS = (30, 90, 365)
_LINES = {"reads": ("orders",)}
_NEVER = "never bought"
PRODUCTS = windowed("products", "different products", WINDOWS, "count", _NEVER, "variety", **_LINES)
STORES = windowed("stores", "different stores", WINDOWS, "count", "never bought in a known store", "variety", **_LINES)


def different(spine: Table, last: Table, things: str) -> Table:
    """How many different things were bought in each window, from a timeline `last_...`; columns `{things}_{days}`."""
    seen = still(before(spine, last), "replaced")
    return seen.group_by(*KEYS).agg(**{f"{things}_{w}": none_is_zero(seen.things, seen.age <= w) for w in WINDOWS})
