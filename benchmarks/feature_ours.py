"""The columns of `benchmarks/features.py` by the project itself.

    python -P benchmarks/feature_ours.py features ORDERS PRODUCTS 2023-02-01,2023-03-01 OUT x,t_x

`features` makes all from the raw lines, `single` with one thread, as pandas has. The others are the daily job: `keep`
sums the lines known before the day before the last origin to day tables, `check` holds them against the lines,
`increment` appends that day, `kept` makes the features of the origins from what is kept. They are run in this order.
`spark` is `features` on Spark, from the same expressions.
"""

import gc

gc.set_threshold(100_000, 50, 100)  # as the command line does, before it imports what it needs

import shutil
import sys
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from pathlib import Path

import ibis
from ibis import _
from ibis.expr.types import Table

from contracts.boundary import is_known
from features.as_of import KEYS, spine_of
from features.customer_table import customer_table
from features.store import bring_up, opened, take_back
from features.writing import engine, write_features

THREADS, MEMORY_MB = 2, 8_000


def features(tables: Mapping[str, Table], origins: list[date], out: Path, columns: Collection[str]) -> None:
    """From the raw lines to the file."""
    write_features(_spine(tables, origins), tables, {}, out, columns)


def keep(tables: Mapping[str, Table], origins: list[date], out: Path, columns: Collection[str]) -> None:
    """Day tables of all that was known a day before the last origin; what was kept before goes."""
    shutil.rmtree(_folder(out), ignore_errors=True)
    bring_up(tables, _folder(out), origins[-1] - timedelta(days=1))


def check(tables: Mapping[str, Table], origins: list[date], out: Path, columns: Collection[str]) -> None:
    """Whether the lines are still those that were kept."""
    assert not take_back(tables, _folder(out))


def increment(tables: Mapping[str, Table], origins: list[date], out: Path, columns: Collection[str]) -> None:
    """The lines of one day more."""
    bring_up(tables, _folder(out), origins[-1])


def kept(tables: Mapping[str, Table], origins: list[date], out: Path, columns: Collection[str]) -> None:
    """Features of the origins from the day tables."""
    days = opened(_folder(out), ibis.get_backend(tables["orders"]))
    write_features(_spine(tables, origins), tables, {}, out, columns, days)


def spark(tables: Mapping[str, Table], origins: list[date], out: Path, columns: Collection[str]) -> None:
    """`features` on Spark, whose files are put together to one."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    parts = out.with_suffix(".parts")
    table = customer_table(_spine(tables, origins), tables, {}, columns)
    table.order_by(*KEYS).to_parquet(parts, mode="overwrite")
    pq.write_table(ds.dataset(parts).to_table().sort_by([(key, "ascending") for key in KEYS]), out)
    shutil.rmtree(parts)


def _spine(tables: Mapping[str, Table], origins: list[date]) -> Table:
    """Each customer with a sale known before an origin, and that origin."""
    sold = tables["orders"].filter(_.amount_cents >= 0)
    first = sold.group_by("customer_id").agg(known_at=_.known_at.min())
    pairs = spine_of(first, tuple(origins)).join(first, "customer_id")
    return pairs.filter(is_known(pairs.known_at, pairs.origin.cast("timestamp"))).select(*KEYS)


def _folder(out: Path) -> Path:
    """Where one case's day tables are kept, for the works that share them."""
    return out.parent / f"{out.stem.split('-')[0]}-days"


def main(work: str, orders: str, products: str, origins: str, out: str, columns: str) -> None:
    """Do one of the works."""
    told = [date.fromisoformat(day) for day in origins.split(",")], Path(out), columns.split(",")
    if work == "spark":  # the others don't pay for what it needs
        from sources.spark import connect_spark

        con = connect_spark()
        spark({"orders": con.read_parquet(orders), "products": con.read_parquet(products)}, *told)
        return
    with engine(Path(out).parent, MEMORY_MB, 1 if work == "single" else THREADS) as con:
        tables = {"orders": con.read_parquet(orders), "products": con.read_parquet(products)}
        daily = {"keep": keep, "check": check, "increment": increment, "kept": kept}
        ({"features": features, "single": features} | daily)[work](tables, *told)


if __name__ == "__main__":
    main(*sys.argv[1:])
