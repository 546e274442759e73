"""What a customer likes: the favourite category, how much depends on it, and how dear she buys, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase of a known category in the year before
Sees    orders and products with known_at before the origin; the mean price of a category is that of all customers'
        purchases of the year before, known by then
Units   shares; the price level is spend over what the same units cost at the mean prices of their categories
Errors  none of its own
"""

from ibis.expr.types import IntegerValue, Table

from features.as_of import KEYS, ROOM, before, bit_or, ratio, total
from features.dictionary import column, windowed
from features.slots import BITS, SHEET, SLOTS, at_origins, counted, has, met, side_by_side, summed

WINDOW = 365
WINDOWS = (30, 90, WINDOW)
_OF = {"reads": ("orders", "products")}
_PAID = ("spend_cents", "thousandths")
_NEVER = "never bought of a known category"
_NOT_THEN = "has bought nothing of a known category in the window"
FIRSTS = (
    column(
        "days_since_new_category",
        "days since a category was bought for the first time",
        "days",
        _NEVER,
        "new category",
        **_OF,
    ),
    column("first_category", "category bought first", "category", _NEVER, "first category", **_OF),
)
FAVOURITES = (
    *windowed("categories", "different categories", WINDOWS, "count", _NEVER, "variety", **_OF),
    *windowed("favourite_category", "category with most spend", (WINDOW,), "category", _NOT_THEN, "favourite", **_OF),
    *windowed(
        "favourite_category_share",
        "share of spend in the favourite category",
        (WINDOW,),
        "share",
        _NOT_THEN,
        "favourite",
        **_OF,
    ),
    *windowed(
        "category_concentration",
        "sum of the squared shares of the categories",
        (WINDOW,),
        "share",
        _NOT_THEN,
        "favourite",
        **_OF,
    ),
)
PRICE = windowed(
    "price_level", "price paid against the categories' mean", (WINDOW,), "ratio", _NOT_THEN, "price", **_OF
)
OWN_BRAND = windowed(
    "own_brand_share", "share of spend on the shop's own brands", (WINDOW,), "share", _NOT_THEN, "own brand", **_OF
)


def firsts(spine: Table, new_categories: Table, names: Table) -> Table:
    """The columns of `FIRSTS` beside the keys."""
    seen = before(spine, new_categories)
    order = (seen.known * ROOM + seen.day) * ROOM + seen.category
    made = seen.group_by(*KEYS).agg(days_since_new_category=seen.age.min(), first=order.min())
    return made.join(names, made.first % ROOM == names.category).rename(first_category="name").drop("category", "first")


def favourites(spine: Table, sold: Table, names: Table) -> Table:
    """The columns of `FAVOURITES` beside the keys, of sales in categories. Of equal categories, the first by name."""
    each = _by_category(spine, sold, WINDOWS, ("spend_cents",))
    whole = {slot: each[f"spend_cents_{slot}"] // 100 for slot in range(SLOTS)}
    mine = each.group_by(*SHEET).agg(
        bit_or(each[BITS]).name(BITS),
        best=side_by_side(lambda slot: _spend_and_name(each, slot).max()),
        spend=side_by_side(lambda slot: total(each[f"spend_cents_{slot}"])),
        squares=side_by_side(lambda slot: total(whole[slot] * whole[slot])),
        wholes=side_by_side(lambda slot: total(whole[slot])),
        **counted(each[BITS], [f"categories_{w}" for w in WINDOWS]),
    )
    made = at_origins(spine, mine, [name for name in mine.columns if name not in (*SHEET, BITS)])
    made = made.mutate(
        favourite_category_share_365=ratio(made.best // ROOM, made.spend),
        category_concentration_365=ratio(made.squares, made.wholes * made.wholes),
    )
    made = made.left_join(names, ROOM - 1 - made.best % ROOM == names.category)
    return made.rename(favourite_category_365="name").select(*KEYS, *(column.name for column in FAVOURITES))


def _by_category(spine: Table, sold: Table, windows: tuple[int, ...], sums: tuple[str, ...]) -> Table:
    """One row for each sheet, category and, if told, customer: where it counts, and sums of the last window by slot."""
    keys = [name for name in SHEET if name in (*sold.columns, "sheet")]
    seen = met(spine, sold.select(*keys[:-1], "category", "day", "known", *sums), windows)
    last = len(windows)
    return seen.group_by(*keys, "category").agg(
        bit_or(seen[BITS]).name(BITS),
        **{f"{name}_{slot}": summed(seen[name], seen[BITS], slot, last) for name in sums for slot in range(SLOTS)},
    )


def _spend_and_name(each: Table, slot: int) -> IntegerValue:
    """Larger for more spend, then for an earlier name; null for a category without a purchase in the year."""
    spend = each[f"spend_cents_{slot}"] * ROOM + (ROOM - 1 - each.category)
    return has(each[BITS], slot, len(WINDOWS)).ifelse(spend, None)


def prices(spine: Table, sold: Table) -> Table:
    """The columns of `PRICE` and `OWN_BRAND` beside the keys, of sales in categories."""
    sold = sold.mutate(own_cents=sold.spend_cents * sold.own)
    each = _by_category(spine, sold, (WINDOW,), ("spend_cents", "own_cents", "thousandths"))
    days = sold.group_by("category", "day", "known").agg(**{name: total(sold[name]) for name in _PAID})
    everybody = _by_category(spine, days, (WINDOW,), _PAID).drop(BITS)
    each = each.join(everybody, ["sheet", "category"], rname="all_{name}")

    def usual(slot: int) -> IntegerValue:
        cents, thousandths = (each[f"all_{name}_{slot}"] for name in _PAID)
        return (each[f"thousandths_{slot}"].cast("float64") * cents / thousandths.nullif(0)).round().cast("int64")

    mine = each.group_by(*SHEET).agg(
        bit_or(each[BITS]).name(BITS),
        spend=side_by_side(lambda slot: total(each[f"spend_cents_{slot}"])),
        own=side_by_side(lambda slot: total(each[f"own_cents_{slot}"])),
        usual=side_by_side(lambda slot: total(usual(slot))),
    )
    made = at_origins(spine, mine, ("spend", "own", "usual"))
    return made.select(
        *KEYS, price_level_365=ratio(made.spend, made.usual), own_brand_share_365=ratio(made.own, made.spend)
    )
