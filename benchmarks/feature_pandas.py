"""The columns of `benchmarks/features.py` by pandas, as one who knows pandas well would write them.

    python benchmarks/feature_pandas.py ORDERS PRODUCTS 2023-02-01,2023-03-01 OUT

Only the needed columns are read, days and categories are put to the lines once. At each origin the lines known before
it are filtered, and grouped by customer: over all history for what needs it, then over windows that are cut from one
another, the longest first. "Different" things are rows without duplicates, latest first, so that each is found once
for all windows. No product of these data is known later than its sales.
"""

import sys
from collections.abc import Iterable

import numpy as np
import pandas as pd

WINDOWS, DIFFERENT = (365, 180, 90, 30, 7), (365, 90, 30)
SUMMED = {"lines": "lines", "amount_cents": "spend_cents", "discount_cents": "discount"}
SATURDAY = 5


def main(orders: str, products: str, origins: list[str], out: str) -> None:
    """Write one row for each customer with a known sale and each origin, sorted by both."""
    sold, returned = read(orders, products)
    write((features(sold, returned, pd.Timestamp(origin)) for origin in origins), out)


def write(parts: Iterable[pd.DataFrame], out: str) -> None:
    """One file of what was made at each origin."""
    table = pd.concat(list(parts), ignore_index=True)
    table.sort_values(["customer_id", "origin"], ignore_index=True).to_parquet(out, index=False)


def lines_of(orders: str) -> pd.DataFrame:
    """The columns that are needed; days are counted since 1970."""
    columns = ["customer_id", "order_id", "product_id", "ordered_at", "known_at", "amount_cents", "discount_cents"]
    lines = pd.read_parquet(orders, columns=columns)
    ordered_at, known_at = lines.pop("ordered_at"), lines.pop("known_at")
    lines["day"], lines["known"] = _day(ordered_at), _day(known_at)
    lines["evening"] = ordered_at.dt.hour >= 18
    return lines


def read(orders: str, products: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sales, each with its category, the latest first; and returns."""
    lines = lines_of(orders)
    catalogue = pd.read_parquet(products, columns=["product_id", "category"]).astype({"category": "category"})
    lines = lines.merge(catalogue, on="product_id", how="left")
    sold = lines["amount_cents"] >= 0
    return lines[sold].sort_values("day", ascending=False, kind="stable", ignore_index=True), lines[~sold]


def features(sold: pd.DataFrame, returned: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """One row for each customer with a sale known before the origin."""
    at = day_of(origin)
    seen = seen_at(sold, at)
    table = _ever(seen)
    year = seen[seen["age"] <= 365]
    _windows(table, year)
    counted(table, "products", _different(year, "product_id"), seen.loc[seen["product_id"].notna(), "customer_id"])
    kinds, ever = _different(year, "category"), seen.loc[seen["category"].notna(), "customer_id"]
    counted(table, "categories", kinds, ever, (365, 90))
    favourite(table, year.groupby(["customer_id", "category"], observed=True)["amount_cents"].sum())
    returns(table, seen_at(returned, at).assign(lines=1))
    return finished(table, origin)


def _ever(seen: pd.DataFrame) -> pd.DataFrame:
    """By customer: purchase days and shares over all history."""
    days = seen[["customer_id", "day", "age"]].drop_duplicates(["customer_id", "day"])
    days = days.sort_values(["customer_id", "day"])
    days["gap"] = days.groupby("customer_id", sort=False)["day"].diff()
    days["weekend"] = (days["day"] + 3) % 7 >= SATURDAY
    by = days.groupby("customer_id")
    table = pd.DataFrame(
        {
            "recency_days": by["age"].min(),
            "tenure_days": by["age"].max(),
            "purchases": by.size(),
            "gap_longest": by["gap"].max(),
            "gap_last": by["gap"].last(),
            "gap_deviation": by["gap"].std(),
            "weekend_days": by["weekend"].sum(),
        }
    )
    lines = seen.groupby("customer_id")["evening"]
    table["lines"], table["evening"] = lines.size(), lines.sum()
    windowed(table, "purchase_days", days, WINDOWS)
    return table


def _windows(table: pd.DataFrame, year: pd.DataFrame) -> None:
    near = year
    for w in WINDOWS:
        near = near[near["age"] <= w]
        by = near.groupby("customer_id")
        sums = by[["amount_cents", "discount_cents"]].sum().assign(lines=by.size())
        sums = sums.reindex(table.index, fill_value=0)
        table[[f"{name}_{w}" for name in SUMMED.values()]] = sums[list(SUMMED)].to_numpy()
    windowed(table, "baskets", _different(year, "order_id"), WINDOWS)


def _different(seen: pd.DataFrame, thing: str) -> pd.DataFrame:
    """Of each customer and thing the latest row: the first of them."""
    known = seen.loc[seen[thing].notna(), ["customer_id", thing, "age"]]
    return known.drop_duplicates(["customer_id", thing])


def windowed(table: pd.DataFrame, name: str, seen: pd.DataFrame, windows: Iterable[int]) -> None:
    """Rows of each customer in each window; none is 0."""
    for w in windows:
        seen = seen[seen["age"] <= w]
        table[f"{name}_{w}"] = seen.groupby(table.index.name).size().reindex(table.index, fill_value=0)


def counted(table: pd.DataFrame, name: str, seen: pd.DataFrame, ever: Iterable, windows=DIFFERENT) -> None:
    """The same, null for a customer who is not in `ever`."""
    windowed(table, name, seen, windows)
    has = table.index.isin(pd.unique(ever))
    for w in windows:
        table[f"{name}_{w}"] = table[f"{name}_{w}"].astype("Int64").where(has)


def favourite(table: pd.DataFrame, spent: pd.Series) -> None:
    """From spend by customer and category, in order of names: the first of the largest is the favourite."""
    by = spent.groupby(level=0)
    most, whole = spent.loc[by.idxmax()].reset_index(level=1), by.sum()
    table["favourite_category_365"] = most["category"].reindex(table.index)
    table["favourite_category_share_365"] = ratio(most[spent.name], whole).reindex(table.index)


def returns(table: pd.DataFrame, seen: pd.DataFrame) -> None:
    """Null for one who never returned anything, 0 for one who did before the year."""
    sums = seen[["lines", "amount_cents"]].where(seen["age"] <= 365, 0).groupby(seen[table.index.name]).sum()
    sums = sums.reindex(table.index).astype("Int64")
    table["returns_365"], table["returned_cents_365"] = sums["lines"], -sums["amount_cents"]


def finished(t: pd.DataFrame, origin: pd.Timestamp) -> pd.DataFrame:
    """What follows from counts and sums, beside the keys; the index is the customer."""
    t["x"] = t["purchases"] - 1
    t["t_x"] = t["tenure_days"] - t["recency_days"]
    t["gap_mean"] = ratio(t["t_x"], t["x"])
    t["overdue"] = ratio(t["recency_days"], t["gap_mean"])
    t["weekend_share"] = ratio(t["weekend_days"], t["purchases"])
    t["evening_share"] = ratio(t["evening"], t["lines"])
    for w in (30, 90, 365):
        t[f"basket_cents_{w}"] = ratio(t[f"spend_cents_{w}"], t[f"baskets_{w}"])
        t[f"discount_share_{w}"] = ratio(t[f"discount_{w}"], t[f"spend_cents_{w}"] + t[f"discount_{w}"])
    for w in (90, 365):
        t[f"lines_per_basket_{w}"] = ratio(t[f"lines_{w}"], t[f"baskets_{w}"])
    for name, column in (("days", "purchase_days"), ("spend", "spend_cents")):
        t[f"{name}_trend_30_90"] = ratio(3 * t[f"{column}_30"], t[f"{column}_90"])
        t[f"{name}_trend_90_180"] = ratio(2 * t[f"{column}_90"], t[f"{column}_180"])
    t[["gap_longest", "gap_last"]] = t[["gap_longest", "gap_last"]].astype("Int64")
    t.insert(0, "customer_id", t.index)
    t.insert(1, "origin", np.datetime64(origin, "s"))
    discounts = [f"discount_{w}" for w in WINDOWS]
    return t.drop(columns=["purchases", "weekend_days", "lines", "evening", *discounts])


def seen_at(table: pd.DataFrame, at: int, days: int | None = None) -> pd.DataFrame:
    """The rows known before the day `at`, those of its last `days` days, with their `age`."""
    rows = (table["known"] < at) if days is None else (table["known"] < at) & (table["day"] >= at - days)
    seen = table[rows]
    return seen.assign(age=at - seen["day"])


def day_of(origin: pd.Timestamp) -> int:
    """Counted since 1970."""
    return (origin - pd.Timestamp(0)).days


def ratio(a: pd.Series, b: pd.Series) -> pd.Series:
    """a / b, null where b is 0."""
    return a / b.where(b != 0)


def _day(when: pd.Series) -> np.ndarray:
    return when.to_numpy().astype("datetime64[D]").astype("int32")


if __name__ == "__main__":
    main(*sys.argv[1:3], sys.argv[3].split(","), sys.argv[4])
