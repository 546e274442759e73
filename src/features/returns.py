"""What a customer brought back, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a return known by then
Sees    order lines of negative amount with known_at before the origin
Units   order lines, integer cents (positive), whole days
Errors  none of its own
"""

from ibis.expr.types import Table

from features.as_of import KEYS, before, none_is_zero
from features.dictionary import column, windowed

_NEVER = "has returned nothing"
_OF = {"reads": ("orders",)}
COLUMNS = (
    *windowed("returns", "returned order lines", (90, 365), "count", _NEVER, "returns", **_OF),
    *windowed("returned_cents", "value returned", (90, 365), "cents", _NEVER, "returns", **_OF),
    column("days_since_return", "days since the last return", "days", _NEVER, "returns", **_OF),
)


def returns(spine: Table, order_days: Table) -> Table:
    """The columns of `COLUMNS` beside the keys."""
    seen = before(spine, order_days.filter(order_days.returned_lines > 0))
    return seen.group_by(*KEYS).agg(
        **{f"returns_{w}": none_is_zero(seen.returned_lines, seen.age <= w) for w in (90, 365)},
        **{f"returned_cents_{w}": none_is_zero(seen.returned_cents, seen.age <= w) for w in (90, 365)},
        days_since_return=seen.age.min(),
    )
