"""The leak check at run time: features made again without the future, and compared.

A few customers are taken out of a source as a company of their own, small enough to be made several times. At the
first, a middle and the last origin its raw tables are copied without the rows that became known from the origin on:
those are gone, so no code can read them. What is made of the copy must equal what is made of the whole. Columns that
look at other customers (mean prices, ranks) are thereby compared among the same customers.

Grain   the pairs of a spine
Sees    everything, to compare
Errors  `Refused`, with the columns that differ, how many pairs, the first one by id, and what to do
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis.expr.types import Table

from contracts.errors import Refused
from contracts.tables import CONTRACTS
from features.as_of import KEYS, day_number
from features.subjects import frame

PAIRS = 200
LATEST = 15  # days by which `delayed` lets rows come late, at most
CLOSE = 1e-9  # of its size, that a float may differ by: a user's sum of floats depends on the order of its rows

Make = Callable[[Table, Mapping[str, Table]], Table]


class Company(NamedTuple):
    """A few customers with all their rows.

    pairs    customer_id and origin, at three origins at most
    tables   their raw tables, as copies on one connection; a table that is about no customer is whole
    """

    pairs: pd.DataFrame
    tables: Mapping[str, Table]


class Compared(NamedTuple):
    """What a comparison that found no difference has looked at.

    columns   how many
    pairs     how many
    origins   which
    taken     the rows that became known from an origin on and were taken away, added up over the origins
    unproven  columns with one value or none in all pairs: that they are equal proves nothing
    """

    columns: int
    pairs: int
    origins: tuple[date, ...]
    taken: int
    unproven: tuple[str, ...]


def company(spine: Table, tables: Mapping[str, Table], pairs: int = PAIRS) -> Company:
    """About `pairs` pairs of the spine, at its first, a middle and its last origin, and the tables of their customers.

    Customers are taken in the order of the md5 of their ids, so that the sample is the same every time.
    """
    asked = spine.select(*KEYS)
    days = sorted(asked.origin.as_table().distinct().to_pyarrow()["origin"].to_pylist())
    origins = sorted({days[0], days[len(days) // 2], days[-1]}) if days else []
    asked = asked.filter(asked.origin.isin(origins))
    digest = asked.customer_id.cast("string").hexdigest("md5")
    nth = ibis.row_number().over(group_by="origin", order_by=digest)
    first = asked.mutate(nth=nth).filter(lambda t: t.nth < -(-pairs // max(1, len(origins))))
    found = first.select(*KEYS).order_by(*KEYS).to_pyarrow().to_pandas(date_as_object=True)
    con = next(iter(tables.values())).get_backend()
    who = _put("company", first.select("customer_id").distinct(), con)
    return Company(found, {name: _theirs(tables, name, who).cache() for name in tables})


def recomputed(of: Company, make: Make) -> Compared:
    """Compare what `make(spine, tables)` gives on whole tables and on tables cut at each origin.

    make  gives a table with columns beside customer_id and origin; a pair it leaves out counts as missing

    Raises `Refused` where they differ, and for a `make` that gives no such table.
    """
    whole = _made(of.pairs, of.tables, make)
    origins = tuple(sorted(of.pairs.origin.unique()))
    cuts = [_cut(of.pairs[of.pairs.origin == origin], of.tables, origin, make) for origin in origins]
    again = pd.concat([found for found, _ in cuts], ignore_index=True).sort_values(list(KEYS), ignore_index=True)
    _refuse(
        whole,
        again,
        "when what became known from the origin on is taken away",
        "cut",
        "Something known later has been read: filter every raw table that the column reads by known_at before the "
        "origin (features.as_of.before does) prior to ranking, averaging or taking the latest.",
    )
    names = [name for name in whole.columns if name not in KEYS]
    unproven = tuple(name for name in names if whole[name].nunique(dropna=False) < 2)
    return Compared(len(names), len(whole), origins, sum(taken for _, taken in cuts), unproven)


def unordered(of: Company, make: Make) -> None:
    """Raises `Refused` where what `make` gives depends on the order in which rows happen to lie in the raw tables."""
    _refuse(
        _made(of.pairs, of.tables, make),
        _made(of.pairs, {name: _shuffled(table) for name, table in of.tables.items()}, make),
        "when the rows of the raw tables are put into another order",
        "in another order",
        "Break ties by an id, and take no first or last row without an order.",
    )


def delayed(of: Company) -> Company:
    """The same company, had its rows become known up to fifteen days later: each customer's and product's by its own.

    Where a source says that all is known at once, only this tells when a thing happened from when it was known.
    """

    def later(name: str, table: Table) -> Table:
        days = table[CONTRACTS[name].subject].hash().abs() % (LATEST + 1)
        return table.mutate(known_at=table.known_at + days.as_interval("D"))

    return of._replace(tables={name: later(name, table).cache() for name, table in of.tables.items()})


def compiled(make: Make) -> Make:
    """The same `make`, for one comparison: compiled once, since the tables compared bear the same names each time.

    Only for a `make` that computes nothing before its result is asked for.
    """
    kept = []

    def made(spine: Table, tables: Mapping[str, Table]) -> Table:
        con = spine.get_backend()
        if not kept:
            kept.append(con.compile(make(spine, tables)))
        con.raw_sql(f"CREATE OR REPLACE TEMP TABLE leaks_made AS {kept[0]}")
        return con.table("leaks_made")

    return made


def _theirs(tables: Mapping[str, Table], name: str, who: Table) -> Table:
    """The rows of these customers, found by way of the table referred to where a table does not name them itself."""
    table, refers = tables[name], CONTRACTS[name].refers
    if "customer_id" in table.columns:
        return table.semi_join(who, "customer_id")
    above = [(key, other) for key, other in refers.items() if "customer_id" in tables[other].columns]
    for key, other in above:
        table = table.semi_join(tables[other].semi_join(who, "customer_id"), key)
    return table


def _cut(pairs: pd.DataFrame, tables: Mapping[str, Table], origin: date, make: Make) -> tuple[pd.DataFrame, int]:
    """What is made at an origin of tables without what was known from it on, and how many rows those were.

    An auditor has a ruler of his own: not `contracts.boundary`, but at least one whole day from known to origin.
    """
    day = (origin - date(1970, 1, 1)).days
    left = {name: table.filter(day - day_number(table.known_at) >= 1) for name, table in tables.items()}
    made = _made(pairs, left, make)
    return made, sum(_rows(table) for table in tables.values()) - sum(_rows(table) for table in left.values())


def _rows(table: Table) -> int:
    return table.count().to_pyarrow().as_py()


def _made(pairs: pd.DataFrame, tables: Mapping[str, Table], make: Make) -> pd.DataFrame:
    """A row for each of the pairs, in key order, made of copies of the tables."""
    con = next(iter(tables.values())).get_backend()
    spine = _put("spine", ibis.memtable(pairs), con)
    made = make(spine, {name: _put(name, table, con) for name, table in tables.items()})
    found = frame(_sound(made))
    if found.duplicated(list(KEYS)).any():
        twice = found[found.duplicated(list(KEYS))].iloc[0]
        raise Refused(
            f"The columns must have one row for each customer_id and origin, but customer {twice.customer_id} at "
            f"{twice.origin} has several. Group them by customer_id and origin."
        )
    return pairs.merge(found, on=list(KEYS), how="left").sort_values(list(KEYS), ignore_index=True)


def _sound(made) -> Table:
    if not isinstance(made, Table) or not {*KEYS} < {*made.columns}:
        found = f"a table of {', '.join(made.columns)}" if isinstance(made, Table) else f"a {type(made).__name__}"
        raise Refused(
            f"A function of features must return an Ibis table with columns beside customer_id and origin, but "
            f"returned {found}. Keep the spine's keys in it."
        )
    return made


def _put(name: str, table: Table, con) -> Table:
    """A copy under a name that is the same each time."""
    return con.create_table(f"leaks_{name}", table, temp=True, overwrite=True)


def _shuffled(table: Table) -> Table:
    numbered = table.mutate(leaks_nth=ibis.row_number())
    return numbered.order_by(numbered.leaks_nth.cast("string").hexdigest("md5")).drop("leaks_nth")


def _refuse(one: pd.DataFrame, other: pd.DataFrame, when: str, otherwise: str, remedy: str) -> None:
    names = [name for name in one.columns if name not in KEYS]
    wrong = pd.DataFrame({name: _unequal(one[name], other[name]) for name in names})
    columns = [name for name in names if wrong[name].any()]
    if not columns:
        return
    at = wrong.any(axis=1).idxmax()
    name = next(name for name in columns if wrong[name][at])
    raise Refused(
        f"No column of features may change {when}, but {len(columns)} of {len(names)} do, in "
        f"{wrong.any(axis=1).sum():,} of {len(one):,} pairs: {', '.join(columns)}. First for customer "
        f"{one.customer_id[at]} at {one.origin[at]}, whose {name} is {_said(one[name][at])}, but "
        f"{_said(other[name][at])} {otherwise}. {remedy}"
    )


def _unequal(one: pd.Series, other: pd.Series) -> np.ndarray:
    missing = one.isna().to_numpy()
    wrong = missing != other.isna().to_numpy()
    both = ~missing & ~wrong
    here, there = one.to_numpy()[both], other.to_numpy()[both]
    if one.dtype == "float64" and other.dtype == "float64":
        wrong[both] = ~np.isclose(here, there, rtol=CLOSE, atol=0)
    else:
        wrong[both] = here != there
    return wrong


def _said(value) -> str:
    return "missing" if value is None or value != value else f"{value:g}" if isinstance(value, float) else str(value)
