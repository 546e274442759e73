"""Some columns of `benchmarks/features.py` by featuretools: those that its primitives say, in its own manner.

    python -P benchmarks/feature_tools.py ORDERS PRODUCTS 2023-02-01,2023-03-01 OUT

Its one time index is `known_at`, so that its windows count days since a line was known. Where every line was known at
once, as in the Complete Journey, these columns are the same as ours; elsewhere only the work is comparable. Windows
of a week and half a year, shares, trends, gaps, favourites and returns are left out: it does less than the others.
"""

import sys

import featuretools as ft
import pandas as pd
from featuretools.primitives import AggregationPrimitive, Count, Max, Min, NumUnique, Sum

WINDOWS = (30, 90, 365)


def main(orders: str, products: str, origins: list[str], out: str) -> None:
    """Write one row for each customer with a known sale and each origin, sorted by both."""
    lines = _lines(orders, products)
    spine = _spine(lines, [pd.Timestamp(origin) for origin in origins])
    es = _entities(lines)
    days = {"days": ("day", NumUnique), "first": ("day", Min), "last": ("day", Max)}
    table = _matrix(es, spine, None, days)
    at = (table["origin"] - pd.Timestamp(0)).dt.days
    table["recency_days"], table["tenure_days"] = at - table.pop("last"), at - table.pop("first")
    table["x"], table["t_x"] = table.pop("days") - 1, table["tenure_days"] - table["recency_days"]
    table["gap_mean"] = table["t_x"] / table["x"].where(table["x"] > 0)
    for w in WINDOWS:
        near = _matrix(es, spine, f"{w} days", _windowed(w))
        table = table.merge(near, on=["customer_id", "origin"])
    table.sort_values(["customer_id", "origin"], ignore_index=True).to_parquet(out, index=False)


def _windowed(w: int) -> dict[str, tuple[str, type[AggregationPrimitive]]]:
    """Name -> column and primitive."""
    asked = {
        f"purchase_days_{w}": ("day", NumUnique),
        f"baskets_{w}": ("order_id", NumUnique),
        f"spend_cents_{w}": ("amount_cents", Sum),
        f"lines_{w}": ("line", Count),
        f"products_{w}": ("product_id", NumUnique),
    }
    return asked | ({f"categories_{w}": ("category", NumUnique)} if w > 30 else {})


def _matrix(es: ft.EntitySet, spine: pd.DataFrame, window: str | None, asked: dict) -> pd.DataFrame:
    made = [
        ft.Feature(es["lines"].ww[column], parent_dataframe_name="customers", primitive=primitive).rename(name)
        for name, (column, primitive) in asked.items()
    ]
    table = ft.calculate_feature_matrix(
        made, es, cutoff_time=spine, training_window=window, include_cutoff_time=False, cutoff_time_in_index=True
    )
    # what has no rows in a window is nothing there: featuretools leaves some of its counts empty
    table = pd.DataFrame(table).astype("float64").fillna(0).astype("int64").reset_index()
    return table.rename(columns={"time": "origin"})


def _entities(lines: pd.DataFrame) -> ft.EntitySet:
    es = ft.EntitySet("shop")
    different = dict.fromkeys(("order_id", "product_id", "category"), "category")
    es.add_dataframe(
        dataframe_name="lines",
        dataframe=lines,
        index="line",
        time_index="known_at",
        logical_types=dict.fromkeys(("customer_id", "order_id", "amount_cents", "day"), "Integer")
        | {"product_id": "IntegerNullable", "category": "Categorical"},
        semantic_tags=different | {"day": ["numeric", "category"]},
    )
    customers = lines[["customer_id"]].drop_duplicates(ignore_index=True)
    es.add_dataframe(dataframe_name="customers", dataframe=customers, index="customer_id")
    return es.add_relationship("customers", "customer_id", "lines", "customer_id")


def _spine(lines: pd.DataFrame, origins: list[pd.Timestamp]) -> pd.DataFrame:
    first = lines.groupby("customer_id", as_index=False)["known_at"].min()
    pairs = [first.loc[first["known_at"] < origin, ["customer_id"]].assign(time=origin) for origin in origins]
    return pd.concat(pairs, ignore_index=True)


def _lines(orders: str, products: str) -> pd.DataFrame:
    """The sales, each with its category and its day, counted since 1970."""
    columns = ["customer_id", "order_id", "product_id", "ordered_at", "known_at", "amount_cents"]
    lines = pd.read_parquet(orders, columns=columns)
    lines = lines[lines["amount_cents"] >= 0]
    catalogue = pd.read_parquet(products, columns=["product_id", "category"]).astype({"category": "category"})
    lines["product_id"] = lines["product_id"].astype("Int64")
    lines = lines.merge(catalogue.astype({"product_id": "Int64"}), on="product_id", how="left")
    lines["day"] = lines.pop("ordered_at").to_numpy().astype("datetime64[D]").astype("int64")
    return lines.assign(line=range(len(lines)))


if __name__ == "__main__":
    main(*sys.argv[1:3], sys.argv[3].split(","), sys.argv[4])
