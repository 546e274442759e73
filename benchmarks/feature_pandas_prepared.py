"""The columns of `feature_pandas.py` by pandas again, with the idea that ours rests on: no line is touched twice.

    python benchmarks/feature_pandas_prepared.py ORDERS PRODUCTS 2023-02-01,2023-03-01 OUT

Ids become codes; the lines are summed to days and sorted once, for all origins. One origin is then a filter, which
keeps the order, so that "different" is a comparison with the neighbouring row and a group-by of codes needs no hashing.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parent))

from feature_pandas import (
    SATURDAY,
    WINDOWS,
    counted,
    day_of,
    favourite,
    finished,
    lines_of,
    returns,
    seen_at,
    windowed,
    write,
)

SUMMED = {
    "purchase_days": "purchase_days",
    "amount_cents": "spend_cents",
    "lines": "lines",
    "discount_cents": "discount",
}


def main(orders: str, products: str, origins: list[str], out: str) -> None:
    """Write one row for each customer with a known sale and each origin, sorted by both."""
    ids, tables = prepare(orders, products)
    write((features(ids, pd.Timestamp(origin), **tables) for origin in origins), out)


def prepare(orders: str, products: str) -> tuple[pd.Index, dict[str, pd.DataFrame]]:
    """Customers in order of their ids, and the tables that every origin filters."""
    lines = lines_of(orders)
    ids, lines["customer"] = _codes(lines.pop("customer_id"))
    goods, lines["product"] = _codes(lines.pop("product_id"))
    sold = lines["amount_cents"] >= 0
    returned, lines = lines[~sold], lines[sold]

    catalogue = pd.read_parquet(products, columns=["product_id", "category"]).set_index("product_id")
    category = catalogue["category"].astype("category").reindex(goods)  # its categories are in order of their names
    # a product that is not known is the code -1, which takes the last entry: no category
    codes = np.append(category.cat.codes, np.int8(-1))[lines["product"].to_numpy()]
    lines["category"] = pd.Categorical.from_codes(codes, dtype=category.dtype)
    named, rung = lines[codes >= 0], lines[lines["product"] >= 0]
    day = ["customer", "day", "known"]
    tables = {
        "days": lines.groupby(day, as_index=False).agg(
            lines=("evening", "size"),
            evening=("evening", "sum"),
            amount_cents=("amount_cents", "sum"),
            discount_cents=("discount_cents", "sum"),
        ),
        "baskets": _in_order(lines[["customer", "order_id", "day", "known"]].drop_duplicates()),
        "products": _in_order(rung[["customer", "product", "day", "known"]]),
        "categories": named.groupby(["customer", "category", "day", "known"], as_index=False, observed=True).agg(
            amount_cents=("amount_cents", "sum")
        ),
        "returned": returned.groupby(day, as_index=False).agg(
            lines=("amount_cents", "size"), amount_cents=("amount_cents", "sum")
        ),
    }
    for name in ("products", "categories"):  # when anything of them was first known of a customer
        tables[f"first_{name}"] = tables[name].groupby("customer")["known"].min()
    return ids, tables


def features(
    ids, origin, days, baskets, products, categories, returned, first_products, first_categories
) -> pd.DataFrame:
    """One row for each customer with a sale known before the origin."""
    at = day_of(origin)
    table = _purchases(seen_at(days, at))
    windowed(table, "baskets", _last(seen_at(baskets, at, 365), "order_id"), WINDOWS)
    counted(table, "products", _last(seen_at(products, at, 365), "product"), first_products.index[first_products < at])
    year, ever = seen_at(categories, at, 365), first_categories.index[first_categories < at]
    counted(table, "categories", _last(year, "category"), ever, (365, 90))
    favourite(table, year.groupby(["customer", "category"], observed=True)["amount_cents"].sum())
    returns(table, seen_at(returned, at))
    return finished(table.set_index(ids[table.index]), origin)


def _purchases(seen: pd.DataFrame) -> pd.DataFrame:
    """By customer: what the days themselves tell, over all history and by window."""
    new = _differs(seen["customer"]) | _differs(seen["day"])  # else the same day, known later
    seen["purchase_days"] = new.astype("int64")
    bought = seen.loc[new, ["customer", "day", "age"]]
    bought["gap"] = bought["age"].shift() - bought["age"]
    bought.loc[_differs(bought["customer"]), "gap"] = np.nan
    bought["square"] = bought["gap"] ** 2
    bought["weekend"] = (bought["day"] + 3) % 7 >= SATURDAY
    by = bought.groupby("customer", sort=False)
    table = pd.DataFrame(
        {
            "recency_days": by["age"].min(),
            "tenure_days": by["age"].max(),
            "purchases": by.size(),
            "gap_longest": by["gap"].max(),
            "gap_last": by["gap"].last(),
            "weekend_days": by["weekend"].sum(),
        }
    )
    gaps = by[["gap", "square"]].sum()
    n = table["purchases"] - 1
    spread = (n * gaps["square"] - gaps["gap"] ** 2) / (n * (n - 1))
    table["gap_deviation"] = np.sqrt(spread.where(n >= 2))
    table[["lines", "evening"]] = seen.groupby("customer", sort=False)[["lines", "evening"]].sum()
    for w in WINDOWS:
        seen = seen[seen["age"] <= w]
        sums = seen.groupby("customer", sort=False)[list(SUMMED)].sum().reindex(table.index, fill_value=0)
        table[[f"{name}_{w}" for name in SUMMED.values()]] = sums.to_numpy()
    return table


def _last(seen: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Of each customer and kind, which lie beside each other, the latest row."""
    return seen[_differs(seen["customer"], -1) | _differs(seen[kind], -1)]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[np.lexsort([table[name].to_numpy() for name in table.columns[2::-1]])]


def _differs(column: pd.Series, step: int = 1) -> pd.Series:
    codes = column.cat.codes if isinstance(column.dtype, pd.CategoricalDtype) else column
    return codes != codes.shift(step)


def _codes(column: pd.Series) -> tuple[pd.Index, np.ndarray]:
    codes, found = pd.factorize(column, sort=True)
    return pd.Index(found), codes.astype("int32")


if __name__ == "__main__":
    main(*sys.argv[1:3], sys.argv[3].split(","), sys.argv[4])
