"""The columns of `benchmarks/features.py` by the project itself.

python -P benchmarks/feature_ours.py features ORDERS PRODUCTS 2023-02-01,2023-03-01 OUT
"""

import sys
from datetime import date
from pathlib import Path

import ibis
from ibis import _

from contracts.boundary import is_known
from features.as_of import spine_of
from features.customer_table import customer_table

THREADS, MEMORY = 2, "8GB"


def features(orders: str, products: str, origins: list[str], out: str, columns: list[str]) -> None:
    """Write one row for each customer with a known sale and each origin, sorted by both."""
    spill = str(Path(out).with_suffix(".spill"))
    con = ibis.duckdb.connect(threads=THREADS, memory_limit=MEMORY, temp_directory=spill)
    tables = {"orders": con.read_parquet(orders), "products": con.read_parquet(products)}
    sold = tables["orders"].filter(_.amount_cents >= 0)
    first = sold.group_by("customer_id").agg(known_at=_.known_at.min())
    pairs = spine_of(first, tuple(map(date.fromisoformat, origins))).join(first, "customer_id")
    known = pairs.filter(is_known(pairs.known_at, pairs.origin.cast("timestamp"))).select("customer_id", "origin")
    spine = con.create_table("spine", known, temp=True)
    table = customer_table(spine, tables, {}, columns)
    table.order_by("customer_id", "origin").to_parquet(out)


def increment(orders: str, products: str, origins: list[str], out: str, columns: list[str]) -> None:
    """A new day's lines added to aggregates that were kept, and the features of one origin read from them."""
    raise SystemExit("not built yet")


def spark(orders: str, products: str, origins: list[str], out: str, columns: list[str]) -> None:
    """`features` on Spark local[2]."""
    raise SystemExit("not built yet")


if __name__ == "__main__":
    work = {"features": features, "increment": increment, "spark": spark}[sys.argv[1]]
    work(*sys.argv[2:4], sys.argv[4].split(","), sys.argv[5], sys.argv[6].split(","))
