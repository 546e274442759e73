"""All blocks beside each other: one row for each (customer_id, origin) of a spine. Joins blocks, adds nothing."""

from collections.abc import Mapping

from ibis.expr.types import Table

from contracts.errors import Refused
from features import baskets, contacts, profile, purchases
from features.as_of import KEYS, beside
from features.dictionary import Column, declared


def customer_table(spine: Table, tables: Mapping[str, Table], attributes: Mapping[str, str]) -> Table:
    """The features of every pair of the spine, from those blocks whose raw tables the source has.

    A count is null, not 0, for a customer without any such history. Raises `Refused` as `column_dictionary` does.
    """
    column_dictionary(tables, attributes)
    blocks = [block(spine) for block, _ in _blocks(tables, attributes)]
    return beside(spine, *blocks)


def column_dictionary(tables: Mapping[str, Table], attributes: Mapping[str, str]) -> dict[str, Column]:
    """What each column of `customer_table` means, by name, in the table's order.

    Raises `Refused` for an attribute that has the name of another column.
    """
    found: dict[str, Column] = {}
    for _, columns in _blocks(tables, attributes):
        if taken := [column.name for column in columns if column.name in found or column.name in KEYS]:
            raise Refused(
                f"A declared attribute must not have the name of a column of features, but {', '.join(taken)} "
                f"does. Give it another name under columns and attributes of the source's yml."
            )
        found |= {column.name: column for column in columns}
    return found


def _blocks(tables, attributes):
    """The blocks that these tables can feed, each with the columns it gives."""
    has = tables.keys()
    if "orders" in has:
        yield lambda spine: purchases.purchases(spine, tables["orders"]), purchases.COLUMNS
        yield lambda spine: baskets.baskets(spine, tables["orders"]), baskets.COLUMNS
    if has >= {"orders", "products"}:
        yield (
            lambda spine: baskets.departments(spine, tables["orders"], tables["products"]),
            baskets.PRODUCT_COLUMNS,
        )
    if "contacts" in has:
        yield lambda spine: contacts.contacts(spine, tables["contacts"]), contacts.CONTACT_COLUMNS
    if "responses" in has:
        yield lambda spine: contacts.responses(spine, tables["responses"]), contacts.RESPONSE_COLUMNS
    if "customers" in has and attributes:
        yield lambda spine: profile.profile(spine, tables["customers"], attributes), declared(attributes, "customers")
