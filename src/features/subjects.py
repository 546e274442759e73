"""Who is asked about and what was known of them: the rows that training and scoring share.

An event source gives its customers at each origin, with the features built by the blocks. A flat source gives each of
its subjects once, with the attributes it declares; what it declares as known only afterwards is left out, by name.
"""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import ibis
from ibis.expr.types import Table

from contracts.subjects import keys_of
from features.customer_table import column_dictionary, joined
from features.day_tables import unsummed
from features.dictionary import Column, declared
from features.population import active, buyers, under_contract
from features.profile import in_days
from features.timelines import timelines

if TYPE_CHECKING:  # who writes a table to a file needs no pandas
    import pandas as pd


def population(
    tables: Mapping[str, Table],
    origins: tuple[date, ...],
    active_days: int,
    contract_end: str | None = None,
    days: Mapping[str, Table] | None = None,
) -> Table:
    """The spine: who is asked about at each origin, computed once, since every block reads it.

    Those who bought in the `active_days` before an origin; with the name of a contract's end in `contract_end`, those
    under contract; all subjects of a flat source, at its one origin. `days` as for `subjects`.
    """
    if "given" in tables:
        (origin,) = origins
        return tables["given"].select("customer_id", origin=ibis.literal(origin))
    if days:
        spine = population_kept(days, origins, active_days, contract_end)
    elif contract_end:
        spine = under_contract(tables["customers"], origins, contract_end)
    else:
        spine = buyers(tables["orders"], origins, active_days)
    return spine.cache()


def population_kept(
    days: Mapping[str, Table], origins: tuple[date, ...], active_days: int, contract_end: str | None = None
) -> Table:
    """The same spine of an event source from its day tables, lazily."""
    if contract_end:
        return under_contract(days["profile_days"], origins, contract_end)
    orders = days["order_days"]
    return active(orders.filter(orders.lines > 0), origins, active_days)


def subjects(
    spine: Table,
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    contract_end: str | None = None,
    days: Mapping[str, Table] | None = None,
) -> Table:
    """One row for each (customer_id, origin) of the spine: the columns of `dictionary` beside the keys.

    days  the day tables, where they are kept (`features.store.opened`); None makes them of the raw tables

    Day tables and timelines are computed at once and kept, in the order of customers, as long as the result is.
    """
    told = told_by(attributes, contract_end)
    if "given" in tables:
        return given_to(spine, tables["given"], told)
    days = {name: table.cache() for name, table in (days or unsummed(tables)).items()}
    lines = {name: table if name in days else _kept(table) for name, table in timelines(days, tables).items()}
    return joined(spine, {**tables, **lines}, told)


def _kept(table: Table) -> Table:
    """Neighbours in the table are then neighbours in memory when they are summed up: half the time."""
    return (table.order_by("customer_id") if "customer_id" in table.columns else table).cache()


def given_to(spine: Table, given: Table, told: Mapping[str, str]) -> Table:
    """The declared attributes of a flat source beside the keys."""
    names = [column.name for column in declared(told, "given")]
    return in_days(spine.join(given.select("customer_id", *names), "customer_id"), told).select(*spine.columns, *names)


def dictionary(
    tables: Mapping[str, Table], attributes: Mapping[str, str], contract_end: str | None = None
) -> dict[str, Column]:
    """What each column of `subjects` means, by name, in the table's order."""
    told = told_by(attributes, contract_end)
    if "given" not in tables:
        return column_dictionary(tables, told)
    return {column.name: column for column in declared(told, "given")}


def told_by(attributes: Mapping[str, str], contract_end: str | None) -> dict[str, str]:
    """The attributes that are features: the end of a contract is its outcome."""
    return {name: kind for name, kind in attributes.items() if name != contract_end}


def frame(table: Table) -> "pd.DataFrame":
    """The rows in key order: numbers as float64, categories as text, missing as nan, `origin` as a date.

    The order is part of the promise: a boosted model's bytes depend on it.
    """
    keys = keys_of(table.columns)
    rows = table.order_by(*keys).to_pyarrow().to_pandas(date_as_object=True)
    for name in rows.columns.difference([*keys, "outcome"]):
        kind = table[name].type()
        if kind.is_numeric() or kind.is_boolean():
            rows[name] = rows[name].astype("float64")
        else:
            rows[name] = rows[name].astype("str").where(rows[name].notna())
    return rows.reset_index(drop=True)
