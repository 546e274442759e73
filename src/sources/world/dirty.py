"""Raw tables gone wrong in one documented way each, as they do on their way out of real systems.

`DEFECTS` names the ways, `spoil` writes a copy of a world's raw tables with one of them. Every defect breaks a promise
of the contract of its table and no promise of another table, so that a check of contracts can itself be checked.

[1] Rahm & Do (2000), Data Cleaning: Problems and Current Approaches, IEEE Data Engineering Bulletin 23(4).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contracts.errors import Refused
from contracts.tables import CONTRACTS
from sources.world.writer import LABEL, label

_EVERY = 97  # of the rows that can have it, every 97th has the defect, the first among them
_DAY = pa.scalar(86_400_000_000, pa.duration("us"))

Change = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Defect:
    """One way to go wrong.

    says    what is wrong, in words
    table   that has it
    column  that a check should blame; empty where it is the table as a whole
    change  a part of the table -> the same with the defect
    """

    says: str
    table: str
    column: str
    change: Change


def spoil(folder: Path, name: str, out: Path) -> None:
    """Copy those of a world's raw tables that have a contract to the new folder `out`, with the defect of that name.

    Raises `Refused` for a defect that is none, a folder that holds no world or not the table, and an `out` that exists.
    """
    if name not in DEFECTS:
        raise Refused(f"{name} must be the name of a defect, but is none. They are {', '.join(DEFECTS)}.")
    defect, told = DEFECTS[name], label(folder)
    if told is None or not (folder / defect.table).is_dir():
        raise Refused(f"{folder} must hold a world with the table {defect.table}, but does not. Make one: crm world.")
    if out.exists():
        raise Refused(f"{out} must be free, but exists. Choose another folder.")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for table in CONTRACTS:
        if (folder / table).is_dir():
            shutil.copytree(folder / table, unfinished / table)
    for file in sorted((unfinished / defect.table).glob("part-*.parquet")):
        pq.write_table(defect.change(pq.read_table(file)), file)
    # another edition, so that nobody takes the copy for the world
    text = json.dumps(told | {"edition": f"spoilt: {name}"}, indent=1, sort_keys=True)
    (unfinished / LABEL).write_text(text + "\n", encoding="utf-8")
    unfinished.rename(out)


def _some(table: pa.Table, which: np.ndarray | None = None) -> pa.Array:
    """True for every 97th of the rows in question."""
    asked = np.ones(table.num_rows, bool) if which is None else which
    return pa.array(asked & ((np.cumsum(asked) - 1) % _EVERY == 0))


def _put(table: pa.Table, column: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def _set(column: str, value: Callable[[pa.Table], object], which: Callable[[pa.Table], np.ndarray] | None = None):
    """In some rows another value, of the column's own type."""

    def change(table: pa.Table) -> pa.Table:
        rows = _some(table, which(table) if which else None)
        return _put(table, column, pc.if_else(rows, value(table), table[column]))

    return change


def _retyped(column: str, values: Callable[[pa.Table], object]) -> Change:
    """In all rows another type."""
    return lambda table: _put(table, column, values(table))


def _as_text(column: str, end: str) -> Change:
    """An id as text, some of them with an end that does not belong to it."""

    def change(table: pa.Table) -> pa.Table:
        text = pc.cast(table[column], pa.string())
        spoilt = pc.binary_join_element_wise(text, end, "")
        return _put(table, column, pc.if_else(_some(table), spoilt, text))

    return change


def _twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.filter(_some(table))])


def _less(column: str, days: int) -> Callable[[pa.Table], object]:
    return lambda table: pc.subtract(table[column], pc.multiply(_DAY, days))


def _minus(column: str) -> Callable[[pa.Table], object]:
    return lambda table: pc.subtract(-1, pc.abs(table[column]))


def _empty(column: str) -> Callable[[pa.Table], object]:
    return lambda table: pa.scalar(None, table.schema.field(column).type)


def _sales(table: pa.Table) -> np.ndarray:
    return pc.greater_equal(table["amount_cents"], 0).to_numpy()


def _full(column: str) -> Callable[[pa.Table], np.ndarray]:
    return lambda table: pc.is_valid(table[column]).to_numpy()


def _nobody(column: str) -> Callable[[pa.Table], object]:
    """An id that no row of the table referred to has: numbers below zero, or a word."""

    def value(table: pa.Table):
        kind = table.schema.field(column).type
        return _minus(column)(table) if pa.types.is_integer(kind) else pa.scalar("nobody", kind)

    return value


def _currencies(table: pa.Table) -> pa.Array:
    mark = pc.if_else(_some(table), " USD", " EUR")
    return pc.binary_join_element_wise(pc.cast(table["amount_cents"], pa.string()), mark, "")


_TEXT_DATE = _retyped("ordered_at", lambda table: pc.strftime(table["ordered_at"], format="%d.%m.%Y %H:%M"))
_ZONED = _retyped("ordered_at", lambda table: pc.assume_timezone(table["ordered_at"], "UTC"))
_UNITS = _retyped("amount_cents", lambda table: pc.divide(pc.cast(table["amount_cents"], pa.float64()), 100.0))
_YES = _retyped("accepted", lambda table: pc.if_else(table["accepted"], "yes", "no"))

DEFECTS: dict[str, Defect] = {
    "lines_twice": Defect("some order lines were loaded twice", "orders", "order_id", _twice),
    "customers_twice": Defect("some customers were loaded twice", "customers", "customer_id", _twice),
    "applications_twice": Defect("some applications were loaded twice", "applications", "application_id", _twice),
    "instalments_twice": Defect("some instalments were loaded twice", "instalments", "due_at", _twice),
    "negative_quantity": Defect(
        "a sale has a negative quantity", "orders", "quantity", _set("quantity", _minus("quantity"), _sales)
    ),
    "negative_discount": Defect(
        "a sale has a negative discount",
        "orders",
        "discount_cents",
        _set("discount_cents", _minus("discount_cents"), _sales),
    ),
    "known_too_early": Defect(
        "an order was known before it was placed", "orders", "known_at", _set("known_at", _less("ordered_at", 1))
    ),
    "far_future": Defect(
        "an order is of a year that is yet to come",
        "orders",
        "known_at",
        _set("ordered_at", _less("ordered_at", -36_500)),
    ),
    "paid_too_early": Defect(
        "a payment was known before it was made",
        "instalments",
        "known_at",
        _set("known_at", _less("paid_at", 1), _full("paid_at")),
    ),
    "unknown_customers": Defect(
        "an order is of a customer who is nobody", "orders", "customer_id", _set("customer_id", _nobody("customer_id"))
    ),
    "unknown_products": Defect(
        "an order is of a product that is none", "orders", "product_id", _set("product_id", _nobody("product_id"))
    ),
    "unknown_applications": Defect(
        "an instalment is of no application",
        "instalments",
        "application_id",
        _set("application_id", _nobody("application_id")),
    ),
    "unknown_campaigns": Defect(
        "a contact is of no campaign", "contacts", "campaign_id", _set("campaign_id", _nobody("campaign_id"))
    ),
    "blanks_in_ids": Defect("an id is text and ends with a blank", "orders", "order_id", _as_text("order_id", " ")),
    "empty_ids": Defect(
        "an order has no customer", "orders", "customer_id", _set("customer_id", _empty("customer_id"))
    ),
    "empty_times": Defect("an order has no time", "orders", "ordered_at", _set("ordered_at", _empty("ordered_at"))),
    "two_kinds_of_id": Defect(
        "a customer's number is text here and a whole number elsewhere",
        "orders",
        "customer_id",
        _as_text("customer_id", ""),
    ),
    "mixed_currencies": Defect(
        "amounts are text with a currency, not the same in all rows",
        "orders",
        "amount_cents",
        _retyped("amount_cents", _currencies),
    ),
    "units_for_cents": Defect("amounts are units with a point", "orders", "amount_cents", _UNITS),
    "dates_as_text": Defect("times are text, day first", "orders", "ordered_at", _TEXT_DATE),
    "times_with_zone": Defect("times carry a zone", "orders", "ordered_at", _ZONED),
    "flags_as_words": Defect("accepted is yes or no", "applications", "accepted", _YES),
    "column_missing": Defect(
        "the amounts are missing", "orders", "amount_cents", lambda table: table.drop_columns("amount_cents")
    ),
    "column_renamed": Defect(
        "the customer's column has another name",
        "orders",
        "customer_id",
        lambda table: table.rename_columns({"customer_id": "client"}),
    ),
    "no_rows": Defect("the table has a header and no rows", "orders", "", lambda table: table.slice(0, 0)),
    "negative_amount": Defect(
        "less than nothing was asked for", "applications", "amount_cents", _set("amount_cents", _minus("amount_cents"))
    ),
    "negative_term": Defect("a term is negative", "applications", "term", _set("term", _minus("term"))),
    "negative_payment": Defect(
        "less than nothing was paid", "instalments", "paid_cents", _set("paid_cents", _minus("paid_cents"))
    ),
    "certain_propensity": Defect(
        "an arm was drawn with certainty", "contacts", "propensity", _set("propensity", lambda table: pa.scalar(1.0))
    ),
    "not_a_number": Defect(
        "a propensity is not a number", "contacts", "propensity", _set("propensity", lambda table: pa.scalar(np.nan))
    ),
    "negative_cost": Defect(
        "a contact cost less than nothing", "contacts", "cost_cents", _set("cost_cents", _minus("cost_cents"))
    ),
    "closed_too_early": Defect(
        "a case was closed before it was opened",
        "cases",
        "closed_at",
        _set("closed_at", _less("opened_at", 2), _full("closed_at")),
    ),
    "beyond_the_scale": Defect(
        "an answer is beyond the scale",
        "surveys",
        "score",
        _set("score", lambda table: pa.scalar(11, table.schema.field("score").type)),
    ),
    "ends_too_early": Defect(
        "a campaign ends before it starts", "campaigns", "ends_at", _set("ends_at", _less("starts_at", 1))
    ),
}
