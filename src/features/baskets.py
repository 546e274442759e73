"""What a customer's baskets are like: their size and the price taken off, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase known by then
Sees    orders with known_at before the origin; no returns
Units   lines a basket; shares of the price before discount
Errors  none of its own
"""

from ibis.expr.types import Table, Value

from features.as_of import none_is_zero, ratio
from features.dictionary import windowed

_NOT_THEN = "has not bought in the window"
COLUMNS = (
    *windowed(
        "lines_per_basket",
        "order lines for each basket",
        (90, 365),
        "ratio",
        _NOT_THEN,
        "basket value",
        reads=("orders",),
    ),
    *windowed(
        "discount_share",
        "share of the price taken off",
        (30, 90, 365),
        "share",
        _NOT_THEN,
        "discount",
        reads=("orders",),
    ),
)


def counted(seen: Table) -> dict[str, Value]:
    """What one pass over `purchases.seen_days` counts for this block, beside what `purchases` counts."""
    return {f"discount_{w}": none_is_zero(seen.discount_cents, seen.age <= w) for w in (30, 90, 365)}


def derived(t: Table) -> dict[str, Value]:
    """The columns of `COLUMNS` from what was counted."""
    return {
        **{f"lines_per_basket_{w}": ratio(t[f"lines_{w}"], t[f"baskets_{w}"]) for w in (90, 365)},
        **{
            f"discount_share_{w}": ratio(t[f"discount_{w}"], t[f"spend_cents_{w}"] + t[f"discount_{w}"])
            for w in (30, 90, 365)
        },
    }
