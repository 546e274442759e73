"""What a customer's baskets held, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with an order line known by then
Sees    orders with known_at before the origin; products as they stand (their table is a dictionary, not a history)
Units   counts, shares; discounts and amounts in integer cents
Errors  none of its own
"""

from ibis import _
from ibis.expr.types import Table

from features.as_of import KEYS, before, ratio, sales, total
from features.dictionary import windowed

_LINES = ("orders",)
_BOTH = ("orders", "products")
_NONE = "has not bought in the window"
COLUMNS = (
    *windowed(
        "products", "different products", (30, 90), unit="count", null="never bought", reads=_LINES, topic="variety"
    ),
    *windowed("stores", "different stores", (90,), unit="count", null="never bought", reads=_LINES, topic="variety"),
    *windowed(
        "lines_per_basket",
        "order lines for each basket",
        (90,),
        unit="ratio",
        null=_NONE,
        reads=_LINES,
        topic="basket value",
    ),
    *windowed(
        "discount_share",
        "share of the price taken off",
        (90, 365),
        unit="share",
        null=_NONE,
        reads=_LINES,
        topic="discount",
    ),
)
PRODUCT_COLUMNS = (
    *windowed(
        "departments",
        "different departments",
        (30, 90),
        unit="count",
        null="never bought",
        reads=_BOTH,
        topic="variety",
    ),
    *windowed(
        "favourite_share",
        "share of spend in the favourite department",
        (90,),
        unit="share",
        null=_NONE,
        reads=_BOTH,
        topic="variety",
    ),
)


def baskets(spine: Table, orders: Table) -> Table:
    """The columns of `COLUMNS` beside the keys."""
    lines = sales(orders).mutate(day=orders.ordered_at.date(), known_at=orders.known_at.date())
    days = lines.group_by("customer_id", "day", "known_at", "product_id", "order_id", "store_id").agg(
        spend=total(_.amount_cents), discount=total(_.discount_cents), lines=_.count()
    )
    seen = before(spine, days, "day").filter(_.age <= 365)
    near = {w: seen.age <= w for w in (30, 90, 365)}
    counted = seen.group_by(*KEYS).agg(
        **{f"products_{w}": seen.product_id.nunique(where=near[w]) for w in (30, 90)},
        stores_90=seen.store_id.nunique(where=near[90]),
        orders_90=seen.order_id.nunique(where=near[90]),
        lines_90=total(seen.lines, near[90]),
        **{f"spend_{w}": total(seen.spend, near[w]) for w in (90, 365)},
        **{f"discount_{w}": total(seen.discount, near[w]) for w in (90, 365)},
    )
    return counted.select(
        *KEYS,
        "products_30",
        "products_90",
        "stores_90",
        lines_per_basket_90=ratio(counted.lines_90, counted.orders_90),
        **{
            f"discount_share_{w}": ratio(counted[f"discount_{w}"], counted[f"spend_{w}"] + counted[f"discount_{w}"])
            for w in (90, 365)
        },
    )


def departments(spine: Table, orders: Table, products: Table) -> Table:
    """The columns of `PRODUCT_COLUMNS` beside the keys; a line whose product is not in the table counts nowhere."""
    named = sales(orders).join(products.select("product_id", "department"), "product_id")
    lines = named.mutate(day=named.ordered_at.date(), known_at=named.known_at.date())
    days = lines.group_by("customer_id", "day", "known_at", "department").agg(spend=total(_.amount_cents))
    seen = before(spine, days, "day").filter(_.age <= 90)
    each = seen.group_by(*KEYS, "department").agg(spend_90=total(_.spend), youngest=_.age.min())
    counted = each.group_by(*KEYS).agg(
        departments_30=each.count(where=each.youngest <= 30),
        departments_90=each.count(),
        most=each.spend_90.max(),
        all_spend=total(each.spend_90),
    )
    return counted.select(
        *KEYS, "departments_30", "departments_90", favourite_share_90=ratio(counted.most, counted.all_spend)
    )
