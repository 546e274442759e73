"""A company that nobody has: every raw table there is, drawn from its contract, with late facts and rows told anew.

What the tables hold follows from `contracts.tables` alone, so that a table or column that is added there is drawn too.
"""

from collections.abc import Mapping
from datetime import date

import ibis
import numpy as np
import pandas as pd
from ibis.expr.types import Table

from contracts.promises import Column, Contract
from contracts.tables import CONTRACTS

ORIGIN = date(2024, 3, 1)
MIDNIGHT = pd.Timestamp(ORIGIN)
ATTRIBUTES = {
    "age": "number",
    "segment": "category",
    "newsletter": "flag",
    "member_since": "date",
    "town": "region",
    "household": "group",
}
CUSTOMERS = 100
NEWCOMER = CUSTOMERS - 1  # who has no order at all
NAMES = [name for name in CONTRACTS if name != "given"]
LINES = {"orders": 4000, "products": 60, "campaigns": 12, "customers": 250, "applications": 220, "instalments": 2200}
OTHERS = 900
FIRST, LAST = -800, 60  # days around the origin in which things happen
FURTHER = 1_000_000  # above all ids
ANEW = ("customers", "instalments", "cases")  # told anew under the same id
# what the kind of a column does not say
BETWEEN = {
    "amount_cents": (100, 6000),
    "score": (0, 11),
    "term": (3, 13),
    "age": (18, 90),
    "quantity": (1, 5),
    "discount_cents": (0, 400),
}


def drawn(seed: int = 5) -> dict[str, pd.DataFrame]:
    """All raw tables but `given`, by name."""
    draw = np.random.default_rng(seed)
    found = {}
    for name in NAMES:
        rows, kept = LINES.get(name, OTHERS), CONTRACTS[name]
        extra = tuple(Column(a, kind) for a, kind in ATTRIBUTES.items()) if name == "customers" else ()
        frame = pd.DataFrame({c.name: _cells(draw, kept, c, rows) for c in (*kept.columns, *extra)})
        found[name] = _in_order(draw, kept, frame)
        if name in ANEW:
            some = found[name].sample(frac=0.6, random_state=seed)
            found[name] = _keyed(kept, pd.concat([found[name], told_anew(some, some.known_at + pd.Timedelta("9D"))]))
    return found


def told_anew(rows: pd.DataFrame, known_at) -> pd.DataFrame:
    """The same cases, instalments or customers, known later: closed or paid by then, attributes another's."""
    ends = {name: known_at for name in ("closed_at", "paid_at") if name in rows}
    return _changed(rows).assign(known_at=known_at, **ends)


def told_more(name: str, rows: pd.DataFrame, known_at: pd.Series, lag: pd.Series) -> pd.DataFrame:
    """Further rows like these with other values and ids, known at `known_at`, and happened `lag` before that.

    Every other one is of a further product, campaign or application, too.
    """
    kept = CONTRACTS[name]
    times = [c for c in rows if c != "known_at" and rows[c].dtype.kind == "M" and c not in ATTRIBUTES]
    made = _changed(rows).assign(known_at=known_at)
    if times:
        shift = known_at - lag - rows[times].max(axis=1)
        made = made.assign(**{c: rows[c] + shift for c in times})
    ids = [c for key in kept.keys[:1] for c in key if c in rows and c.endswith("_id") and c not in kept.refers]
    # a row that is named by what it refers to alone would be the same row again
    odd = np.arange(len(rows)) % 2 if ids or not kept.keys else 1
    further = {c: rows[c] + FURTHER * odd for c in kept.refers if c != "customer_id"}
    return made.assign(**further, **{c: rows[c] + FURTHER for c in ids if name != "customers"})


def _changed(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with other values: larger amounts, the next row's categories, flags turned round."""
    made = {}
    for name, cells in rows.items():
        if name in ("propensity", "discount", "score", "paid_cents") or pd.api.types.is_string_dtype(cells):
            made[name] = np.roll(cells, 1)
        elif cells.dtype == bool:
            made[name] = ~cells
        elif cells.dtype.kind in "if" and not name.endswith("_id"):
            made[name] = cells * 2 + (name == "age") * 7
        elif name in ATTRIBUTES:
            made[name] = cells - pd.Timedelta("33D")
    return rows.assign(**made)


def on(con, name: str, frames: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """These tables on a connection."""
    return {
        table: con.create_table(f"{name}_{table}", ibis.memtable(_typed(rows)), temp=True, overwrite=True)
        for table, rows in frames.items()
    }


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype({c: "datetime64[us]" for c in rows if rows[c].dtype.kind == "M"}).reset_index(drop=True)


def _cells(draw, kept: Contract, column: Column, rows: int):
    name, kind = column.name, column.kind
    if name == "customer_id":
        return np.arange(rows) % CUSTOMERS if kept.table == "customers" else draw.integers(0, NEWCOMER, rows)
    if name == "order_id":
        return np.arange(rows) // 2
    if kind == "id" and name in kept.refers:
        return draw.integers(0, LINES[kept.refers[name]], rows)
    if kind == "id" and name == kept.subject:
        return np.arange(rows) % LINES.get(kept.table, rows)
    if kind in ("id", "group"):
        return np.arange(rows) if any(name in key for key in kept.keys) else draw.integers(0, 6, rows)
    if kind in ("time", "date"):
        return MIDNIGHT + pd.to_timedelta(draw.integers(FIRST * 24 * 60, LAST * 24 * 60, rows), "min")
    if kind == "flag":
        return draw.random(rows) < 0.5
    if name == "arm":
        return draw.choice(["control", "letter", "call"], rows)
    if kind in ("category", "region"):
        return draw.choice([f"{name} {i}" for i in range(4)], rows)
    least, most = BETWEEN.get(name, (1, 3000))
    if name in ("propensity", "discount"):
        return draw.uniform(0.1, 0.9, rows)
    return draw.integers(least, most, rows).astype("float64" if kind == "number" else "int64")


def _in_order(draw, kept: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    """Times as the contract wants them: what follows comes later, and is known at once, hours or weeks after."""
    spread = pd.to_timedelta(draw.integers(0, 20 * 24, len(rows)), "h")
    if kept.table == "orders":  # an order is placed at one time, at one place, by one customer
        first = rows.groupby("order_id")[["customer_id", "ordered_at", "store_id", "channel"]].transform("first")
        returned = draw.random(len(rows)) < 0.15
        rows = rows.assign(**first, amount_cents=rows.amount_cents.mask(returned, -rows.amount_cents))
    for start, end in (("starts_at", "ends_at"), ("opened_at", "closed_at"), ("due_at", "paid_at")):
        if end in rows:
            rows[end] = rows[start] + spread
            if end != "ends_at":
                rows[end] = rows[end].where(draw.random(len(rows)) < 0.6)
    happened = [c.name for c in kept.columns if c.kind == "time" and c.name not in ("known_at", "due_at", "ends_at")]
    late = pd.to_timedelta(draw.choice([0, 0, 0, 1, 30, 24 * 12], len(rows)), "h")
    if happened:
        rows["known_at"] = rows[happened].max(axis=1)
    if "due_at" in rows:  # planned two months before it is due
        rows["known_at"] = rows.known_at.fillna(rows.due_at - pd.Timedelta("60D"))
    rows["known_at"] += late
    if kept.table == "products":  # most are known from the first, others come late
        days = np.where(draw.random(len(rows)) < 0.6, FIRST, draw.integers(-200, LAST, len(rows)))
        rows["known_at"] = MIDNIGHT + pd.to_timedelta(days, "D")
    return _keyed(kept, rows)


def _keyed(kept: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    key = next((key for key in kept.keys if set(key) <= {*rows}), None)
    return (rows.drop_duplicates(list(key)) if key else rows).reset_index(drop=True)
