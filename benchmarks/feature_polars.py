"""The columns of `benchmarks/features.py` by Polars, as one who knows Polars well would write them.

    python -P benchmarks/feature_polars.py straight ORDERS PRODUCTS 2023-02-01,2023-03-01 OUT

The file is scanned lazily, by the streaming engine, into tables that are summed to days and sorted: `straight` for each
origin, of the lines known before it; `prepared` once, for all origins. One origin is then one lazy query: a filter,
which keeps the order, so that "different" is a comparison with the neighbouring row, and group-bys of small integers.
"""

import sys
from datetime import date

import polars as pl
from polars import col

WINDOWS = (7, 30, 90, 180, 365)
SATURDAY = 6
BY_DAY = ("customer", "day", "known")
SUMS = {"purchase_days": "new", "spend_cents": "spend", "lines": "lines", "discount": "discount"}


def main(how: str, orders: str, products: str, origins: list[str], out: str) -> None:
    """Write one row for each customer with a known sale and each origin, sorted by both."""
    days = [date.fromisoformat(origin) for origin in origins]
    if how == "prepared":
        tables = prepare(orders, products, days[-1])
        parts = [features(day, **tables).collect() for day in days]
    else:
        parts = [features(day, **prepare(orders, products, day)).collect() for day in days]
    pl.concat(parts).sort("customer_id", "origin").write_parquet(out)


def prepare(orders: str, products: str, before: date) -> dict[str, pl.LazyFrame]:
    """The tables that an origin filters, of the lines known before a day, in memory.

    Days are counted since 1970, categories in order of name.
    """
    catalogue = pl.scan_parquet(products).select(
        "product_id", "category", code=col("category").rank("dense").cast(pl.UInt16)
    )
    lines = (
        pl.scan_parquet(orders)
        .select(
            "order_id",
            "product_id",
            "amount_cents",
            "discount_cents",
            customer="customer_id",
            day=_day("ordered_at"),
            known=_day("known_at"),
            evening=col("ordered_at").dt.hour() >= 18,
        )
        .filter(col("known") < (before - date(1970, 1, 1)).days)
    )
    sold, returned = lines.filter(col("amount_cents") >= 0), lines.filter(col("amount_cents") < 0)
    days = sold.group_by(BY_DAY).agg(
        lines=pl.len().cast(pl.Int64),
        evening=col("evening").sum().cast(pl.Int64),
        spend=col("amount_cents").sum(),
        discount=col("discount_cents").sum(),
    )
    rung = sold.filter(col("product_id").is_not_null()).select("customer", "product_id", "day", "known")
    named = sold.join(catalogue.drop_nulls("code"), on="product_id")
    tables = {
        "days": days.sort(BY_DAY),
        "baskets": sold.select("customer", "order_id", "day", "known").unique().sort("customer", "order_id", "day"),
        "products": rung.sort("customer", "product_id", "day"),
        "categories": named.group_by("customer", "code", "day", "known")
        .agg(spend=col("amount_cents").sum())
        .sort("customer", "code", "day"),
        "returns": returned.group_by(BY_DAY).agg(lines=pl.len().cast(pl.Int64), cents=-col("amount_cents").sum()),
        "names": catalogue.select("code", favourite_category_365="category").drop_nulls().unique(),
    }
    made = {name: table.collect(engine="streaming") for name, table in tables.items()}
    return {name: table.lazy() for name, table in made.items()}


def features(origin: date, days, baskets, products, categories, returns, names) -> pl.LazyFrame:
    """One row for each customer with a sale known before the origin."""
    at = (origin - date(1970, 1, 1)).days
    table = _purchases(_seen(days, at))
    blocks = [
        _counted(_last(_seen(baskets, at, 365), "order_id"), "baskets", WINDOWS),
        _counted(_last(_seen(products, at, 365), "product_id"), "products", (30, 90, 365)),
        _counted(_last(_seen(categories, at, 365), "code"), "categories", (90, 365)),
        _favourite(_seen(categories, at, 365), names),
        _seen(returns, at)
        .group_by("customer")
        .agg(returns_365=_within("lines", 365).sum(), returned_cents_365=_within("cents", 365).sum()),
    ]
    for block in blocks:
        table = table.join(block, on="customer", how="left")
    counts = [f"{name}_{w}" for name, ws in (("baskets", WINDOWS), ("products", (30, 90, 365))) for w in ws]
    table = table.with_columns(pl.col(*counts, "categories_90", "categories_365").fill_null(0))
    return _ratios(table).select(
        pl.col("customer").alias("customer_id"), pl.lit(origin).alias("origin"), pl.all().exclude(_INNER)
    )


def _purchases(seen: pl.LazyFrame) -> pl.LazyFrame:
    """By customer: what the days themselves tell, over all history and by window."""
    first = col("customer") != col("customer").shift().fill_null(-1)
    new = first | (col("day") != col("day").shift())  # else the same day, known later
    seen = seen.with_columns(
        new=new.cast(pl.Int64), gap=pl.when(new & ~first).then(col("day") - col("day").shift()).cast(pl.Int64)
    )
    weekend = (col("new") == 1) & ((col("day") + 3) % 7 + 1 >= SATURDAY)
    seen = seen.with_columns(
        weekend=weekend.cast(pl.Int64),
        square=col("gap") ** 2,
        **{f"{name}_{w}": _within(of, w) for w in WINDOWS for name, of in SUMS.items()},
    )
    summed = [f"{name}_{w}" for w in WINDOWS for name in SUMS]
    return seen.group_by("customer").agg(
        col("age").min().alias("recency_days"),
        col("age").max().alias("tenure_days"),
        col("new").sum().alias("purchases"),
        col("gap").max().alias("gap_longest"),
        col("gap").drop_nulls().last().alias("gap_last"),
        col("gap").sum().alias("gaps"),
        col("square").sum().alias("squares"),
        col("weekend", "lines", "evening", *summed).sum(),
    )


def _favourite(seen: pl.LazyFrame, names: pl.LazyFrame) -> pl.LazyFrame:
    """Of equal ones the first by name: the order of the rows."""
    spent = seen.group_by("customer", "code").agg(col("spend").sum())
    best = spent.group_by("customer").agg(
        code=col("code").filter(col("spend") == col("spend").max()).min(),
        favourite_category_share_365=_ratio(col("spend").max(), col("spend").sum()),
    )
    return best.join(names, on="code", how="left").drop("code")


def _counted(last: pl.LazyFrame, name: str, windows: tuple[int, ...]) -> pl.LazyFrame:
    marked = last.select("customer", *[(col("age") <= w).cast(pl.Int64).alias(f"{name}_{w}") for w in windows])
    return marked.group_by("customer").agg(pl.all().sum())


def _ratios(table: pl.LazyFrame) -> pl.LazyFrame:
    n = col("purchases") - 1
    table = table.with_columns(
        x=n,
        t_x=col("tenure_days") - col("recency_days"),
        gap_mean=_ratio(col("tenure_days") - col("recency_days"), n),
        gap_deviation=_ratio(n * col("squares") - col("gaps") ** 2, pl.when(n >= 2).then(n * (n - 1))).sqrt(),
        weekend_share=_ratio(col("weekend"), col("purchases")),
        evening_share=_ratio(col("evening"), col("lines")),
    )
    basket = {f"basket_cents_{w}": _ratio(col(f"spend_cents_{w}"), col(f"baskets_{w}")) for w in (30, 90, 365)}
    lines = {f"lines_per_basket_{w}": _ratio(col(f"lines_{w}"), col(f"baskets_{w}")) for w in (90, 365)}
    shares = {
        f"discount_share_{w}": _ratio(col(f"discount_{w}"), col(f"spend_cents_{w}") + col(f"discount_{w}"))
        for w in (30, 90, 365)
    }
    trends = {
        f"{name}_trend_{a}_{b}": _ratio(b // a * col(f"{column}_{a}"), col(f"{column}_{b}"))
        for name, column in (("days", "purchase_days"), ("spend", "spend_cents"))
        for a, b in ((30, 90), (90, 180))
    }
    return table.with_columns(
        overdue=_ratio(col("recency_days"), col("gap_mean")), **basket, **lines, **shares, **trends
    )


def _seen(table: pl.LazyFrame, at: int, days: int | None = None) -> pl.LazyFrame:
    """The rows known before the day `at`, those of its last `days` days, with their `age`."""
    near = pl.lit(True) if days is None else col("day") >= at - days
    return table.filter((col("known") < at) & near).with_columns(age=at - col("day"))


def _last(seen: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    """Of each customer and kind, which lie beside each other, the latest row."""
    differs = (col("customer") != col("customer").shift(-1)) | (col(kind) != col(kind).shift(-1))
    return seen.filter(differs.fill_null(True))


def _within(name: str, days: int) -> pl.Expr:
    return pl.when(col("age") <= days).then(col(name)).otherwise(0)


def _ratio(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    return a / pl.when(b != 0).then(b)


def _day(name: str) -> pl.Expr:
    return col(name).dt.date().cast(pl.Int32)


_INNER = [
    "customer",
    "purchases",
    "gaps",
    "squares",
    "weekend",
    "lines",
    "evening",
    *[f"discount_{w}" for w in WINDOWS],
]

if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4].split(","), sys.argv[5])
