"""Who is asked about and what was known of them: the rows that training and scoring share.

An event source gives its customers at each origin, with the features built by the blocks. A flat source gives each of
its subjects once, with the attributes it declares; what it declares as known only afterwards is left out, by name.
"""

import hashlib
from collections.abc import Mapping
from datetime import date

import ibis
import pandas as pd
from ibis.expr.types import Table

from features.customer_table import column_dictionary, customer_table
from features.dictionary import Column, declared
from features.population import buyers, under_contract
from features.profile import in_days


def population(
    tables: Mapping[str, Table], origins: tuple[date, ...], active_days: int, contract_end: str | None = None
) -> Table:
    """The spine: who is asked about at each origin, as a temporary table, since every block reads it.

    Those who bought in the `active_days` before an origin; with the name of a contract's end in `contract_end`, those
    under contract; all subjects of a flat source, at its one origin.
    """
    if "given" in tables:
        (origin,) = origins
        return tables["given"].select("customer_id", origin=ibis.literal(origin))
    if contract_end:
        spine = under_contract(tables["customers"], origins, contract_end)
    else:
        spine = buyers(tables["orders"], origins, active_days)
    connection = ibis.get_backend(spine)
    name = f"spine_{hashlib.sha256(ibis.to_sql(spine).encode()).hexdigest()[:16]}"
    if name not in connection.list_tables():
        connection.create_table(name, spine, temp=True)
    return connection.table(name)


def subjects(
    spine: Table, tables: Mapping[str, Table], attributes: Mapping[str, str], contract_end: str | None = None
) -> Table:
    """One row for each (customer_id, origin) of the spine: the columns of `dictionary` beside the keys."""
    told = _told(attributes, contract_end)
    if "given" in tables:
        return in_days(spine.join(tables["given"].select("customer_id", *told), "customer_id"), told)
    return customer_table(spine, tables, told)


def features_hash(tables: Mapping[str, Table], attributes: Mapping[str, str], contract_end: str | None = None) -> str:
    """The sha256 of the SQL that the columns compile to, whatever the spine, the machine and the place of the data."""
    named = {name: ibis.table(table.schema(), name=name) for name, table in tables.items()}
    asked = next(named[name] for name in ("given", "orders", "customers") if name in named)
    spine = ibis.table({"customer_id": asked.customer_id.type(), "origin": "date"}, name="spine")
    made = subjects(spine, named, attributes, contract_end)
    return hashlib.sha256(ibis.to_sql(made, dialect="duckdb").encode()).hexdigest()


def dictionary(
    tables: Mapping[str, Table], attributes: Mapping[str, str], contract_end: str | None = None
) -> dict[str, Column]:
    """What each column of `subjects` means, by name, in the table's order."""
    told = _told(attributes, contract_end)
    if "given" not in tables:
        return column_dictionary(tables, told)
    return {column.name: column for column in declared(told, "given")}


def _told(attributes: Mapping[str, str], contract_end: str | None) -> dict[str, str]:
    """The attributes that are features: the end of a contract is its outcome."""
    return {name: kind for name, kind in attributes.items() if name != contract_end}


def frame(table: Table) -> pd.DataFrame:
    """The rows in key order: numbers as float64, categories as text, missing as nan, `origin` as a date.

    The order is part of the promise: a boosted model's bytes depend on it.
    """
    rows = table.order_by("origin", "customer_id").to_pyarrow().to_pandas(date_as_object=True)
    for name in rows.columns.difference(["customer_id", "origin", "outcome"]):
        kind = table[name].type()
        if kind.is_numeric() or kind.is_boolean():
            rows[name] = rows[name].astype("float64")
        else:
            rows[name] = rows[name].astype("str").where(rows[name].notna())
    return rows.reset_index(drop=True)
