"""What a customer likes: the favourite category, how much depends on it, and how dear she buys, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a purchase of a known category in the year before
Sees    orders and products with known_at before the origin; the mean price of a category is that of all customers'
        purchases of the year before, known by then
Units   shares; the price level is spend over what the same units cost at the mean prices of their categories
Errors  none of its own
"""

from ibis import _
from ibis.expr.types import Table

from features.as_of import KEYS, before, ratio, total
from features.dictionary import column, windowed
from features.timelines import ROOM

WINDOW = 365
WINDOWS = (30, 90, WINDOW)
_OF = {"reads": ("orders", "products")}
_NEVER = "never bought of a known category"
_NOT_THEN = "has bought nothing of a known category in the window"
COLUMNS = (
    column(
        "days_since_new_category",
        "days since a category was bought for the first time",
        "days",
        _NEVER,
        "new category",
        **_OF,
    ),
    column("first_category", "category bought first", "category", _NEVER, "first category", **_OF),
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


def favourites(spine: Table, category_days: Table, new_categories: Table, names: Table) -> Table:
    """The columns of `COLUMNS` beside the keys. Of equal categories, the first by name."""
    ever = _firsts(spine, new_categories)
    year = _year(spine, category_days)
    made = ever.left_join(year, list(KEYS)).select(
        *KEYS,
        "days_since_new_category",
        "first",
        "best",
        *(year[f"categories_{w}"].fill_null(0).name(f"categories_{w}") for w in WINDOWS),
        favourite_category_share_365=ratio(year.best // ROOM, year.spend),
        category_concentration_365=ratio(year.squares, year.wholes * year.wholes),
    )
    first, best = names.view(), names.view()
    made = made.join(first, made.first % ROOM == first.category).drop("category").rename(first_category="name")
    made = made.left_join(best, ROOM - 1 - made.best % ROOM == best.category)
    return made.rename(favourite_category_365="name").select(*KEYS, *(column.name for column in COLUMNS))


def _firsts(spine: Table, new_categories: Table) -> Table:
    seen = before(spine, new_categories)
    order = (seen.known * ROOM + seen.day) * ROOM + seen.category
    return seen.group_by(*KEYS).agg(days_since_new_category=seen.age.min(), first=order.min())


def _year(spine: Table, category_days: Table) -> Table:
    seen = before(spine, category_days).filter(_.age <= WINDOW)
    each = seen.group_by(*KEYS, "category").agg(spend=total(_.spend_cents), youngest=_.age.min())
    whole = each.spend // 100
    return each.group_by(*KEYS).agg(
        **{f"categories_{w}": each.count(where=each.youngest <= w) for w in WINDOWS},
        best=(each.spend * ROOM + (ROOM - 1 - each.category)).max(),
        spend=total(each.spend),
        squares=total(whole * whole),
        wholes=total(whole),
    )


def prices(spine: Table, category_days: Table) -> Table:
    """The columns of `PRICE` and `OWN_BRAND` beside the keys."""
    mean = mean_prices(spine, category_days)
    seen = before(spine, category_days).filter(_.age <= WINDOW)
    seen = seen.join(mean, ["origin", "category"])
    usual = (seen.thousandths.cast("float64") * seen.all_cents / seen.all_thousandths.nullif(0)).round().cast("int64")
    made = seen.group_by(*KEYS).agg(spend=total(seen.spend_cents), own=total(seen.own_cents), usual=total(usual))
    return made.select(
        *KEYS, price_level_365=ratio(made.spend, made.usual), own_brand_share_365=ratio(made.own, made.spend)
    )


def mean_prices(spine: Table, category_days: Table) -> Table:
    """What all customers paid and took of each category in the year before each origin, as known at it."""
    days = category_days.group_by("category", "day", "known").agg(
        spend=total(_.spend_cents), thousandths=total(_.thousandths)
    )
    origins = spine.select("origin").distinct()
    pairs = origins.cross_join(days.select("category").distinct()).rename(customer_id="category")
    seen = before(pairs, days.rename(customer_id="category")).filter(_.age <= WINDOW)
    return seen.group_by("origin", category=seen.customer_id).agg(
        all_cents=total(seen.spend), all_thousandths=total(seen.thousandths)
    )
