"""All blocks beside each other: one row for each (customer_id, origin) of a spine. Joins blocks, adds nothing."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from ibis.expr.types import Table

from contracts.errors import Refused
from features import (
    baskets,
    categories,
    contacts,
    payments,
    profile,
    purchases,
    regions,
    relations,
    responses,
    returns,
    service,
    timing,
    variety,
)
from features.as_of import KEYS, apart, beside
from features.day_tables import unsummed
from features.dictionary import Column, declared
from features.timelines import in_categories, timelines

# Columns of orders that nothing else reads
ONLY_FOR = {
    "store_id": variety.STORES,
    "channel": relations.CHANNEL,
    "quantity": (*categories.PRICE, *categories.OWN_BRAND),
}


@dataclass(frozen=True)
class Block:
    """Columns that are made together, and how: from a spine, the columns beside its keys."""

    columns: tuple[Column, ...]
    make: Callable[[Table], Table]


def customer_table(
    spine: Table, tables: Mapping[str, Table], attributes: Mapping[str, str], columns: Collection[str] | None = None
) -> Table:
    """The features of every pair of the spine, from those blocks whose raw tables the source has.

    columns  only these; None is all

    A count is null, not 0, for a customer without any such history. Raises `Refused` as `column_dictionary` does.
    """
    return joined(spine, {**tables, **timelines(unsummed(tables), tables)}, attributes, columns)


def joined(
    spine: Table, made: Mapping[str, Table], attributes: Mapping[str, str], columns: Collection[str] | None = None
) -> Table:
    """The same from timelines that were made before, beside the raw tables that blocks read as they are."""
    wanted = [name for name in _dictionary(made, attributes) if columns is None or name in columns]
    blocks = _blocks(made, attributes, wanted)
    asked = [block.make(spine) for block in blocks if {c.name for c in block.columns} & {*wanted}]
    asked.sort(key=lambda block: len(block.columns))  # DuckDB copies what is beside already: the widest comes last
    return beside(spine, *asked).select(*KEYS, *wanted)


def read_for(tables: Mapping[str, Table], wanted: Collection[str]) -> dict[str, Table]:
    """The same tables without the columns of orders that none of the wanted features reads."""
    if "orders" not in tables:
        return {**tables}
    unread = {name for name, columns in ONLY_FOR.items() if not {c.name for c in columns} & {*wanted}}
    return {**tables, "orders": tables["orders"].drop(*(unread & {*tables["orders"].columns}))}


def column_dictionary(tables: Mapping[str, Table], attributes: Mapping[str, str]) -> dict[str, Column]:
    """What each column of `customer_table` means, by name, in the table's order.

    Raises `Refused` for an attribute that has the name of another column.
    """
    return _dictionary({**tables, **timelines(unsummed(tables), tables)}, attributes)


def _dictionary(made, attributes) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for block in _blocks(made, attributes):
        if taken := [column.name for column in block.columns if column.name in found or column.name in KEYS]:
            raise Refused(
                f"A declared attribute must not have the name of a column of features, but {', '.join(taken)} "
                f"does. Give it another name under columns and attributes of the source's yml."
            )
        found |= {column.name: column for column in block.columns}
    return found


def _blocks(
    made: Mapping[str, Table], attributes: Mapping[str, str], wanted: Collection[str] | None = None
) -> Iterator[Block]:
    """The blocks that these tables can feed; where columns are `wanted`, a block may leave out others."""
    if "purchase_days" in made:
        parts = (purchases, timing, baskets, relations)
        yield Block(
            tuple(column for part in parts for column in part.COLUMNS),
            lambda spine: _one_pass(purchases.seen_days(spine, made["purchase_days"]), parts, wanted),
        )
        yield Block(returns.COLUMNS, lambda spine: returns.returns(spine, made["order_days"]))
        if "channel_days" in made:
            yield Block(relations.CHANNEL, lambda spine: relations.channel(spine, made["channel_days"]))
        yield _different(variety.PRODUCTS, made["product_days"], "product_id")
        if "store_id" in made["order_days"].columns:
            yield _different(variety.STORES, made["order_days"].filter(made["order_days"].lines > 0), "store_id")
    if "product_categories" in made:
        names = made["category_names"]
        yield Block(categories.FIRSTS, lambda spine: categories.firsts(spine, made["new_categories"], names))
        sold = in_categories(made["product_days"], made["product_categories"])
        yield Block(categories.FAVOURITES, lambda spine: categories.favourites(spine, sold, names))
        own_brand = categories.OWN_BRAND if "own_brand" in made["products"].columns else ()
        if "thousandths" in sold.columns:
            yield Block((*categories.PRICE, *own_brand), lambda spine: categories.prices(spine, sold))
    yield from _heard(made)
    yield from _told(made, attributes)


def _heard(made: Mapping[str, Table]) -> Iterator[Block]:
    """What was sent, answered, paid, asked and visited."""
    if "contact_days" in made:
        sent, has = made["contact_days"], made["contacts"].columns
        arms = contacts.ARMS if "arm" in has else ()
        yield Block((*contacts.COLUMNS, *arms), lambda spine: contacts.contacts(spine, sent))
        if "channel" in has:
            yield Block(contacts.CHANNEL, lambda spine: contacts.channel(spine, sent))
    if "response_days" in made:
        yield Block(responses.COLUMNS, lambda spine: responses.responses(spine, made["response_days"]))
        if "value_cents" in made["responses"].columns:
            yield Block(responses.VALUE, lambda spine: responses.value(spine, made["response_days"]))
    if "campaign_answers" in made:
        answers = made["campaign_answers"]
        yield Block(responses.RATE, lambda spine: responses.rate(spine, answers))
        if "campaigns" in made:
            yield Block(responses.KINDS, lambda spine: responses.kinds(spine, answers, made["campaigns"]))
    if "application_days" in made:
        yield Block(payments.APPLICATIONS, lambda spine: payments.applications(spine, made["application_days"]))
    if "instalments_told" in made:
        yield Block(payments.LOANS, lambda spine: payments.loans(spine, made["instalments_told"]))
    if "cases_told" in made:
        kind = service.CASE_KIND if "kind" in made["cases"].columns else ()
        yield Block((*service.CASES, *kind), lambda spine: service.cases(spine, made["cases_told"]))
    if "survey_days" in made:
        yield Block(service.SURVEYS, lambda spine: service.surveys(spine, made["survey_days"]))
    if "visit_days" in made:
        yield Block(service.VISITS, lambda spine: service.visits(spine, made["visit_days"]))


def _told(made: Mapping[str, Table], attributes: Mapping[str, str]) -> Iterator[Block]:
    """What customers told of themselves, and how those of one region or group buy."""
    if "profiles" not in made:
        return
    elsewhere = {*made["applications"].columns} - {*made["customers"].columns} if "applications" in made else ()
    told = {name: kind for name, kind in attributes.items() if name not in elsewhere}
    if columns := declared(told, "customers"):
        own = {column.name: told[column.name] for column in columns}
        yield Block(columns, lambda spine: profile.profile(spine, made["profiles"], own))
    if "purchase_days" not in made:
        return
    for name in (name for name, kind in told.items() if kind == "region"):
        yield Block(
            regions.columns(name),
            lambda spine, name=name: regions.region(spine, made["profiles"], made["purchase_days"], name),
        )
    for name in (name for name, kind in told.items() if kind == "group"):
        yield Block(
            relations.group_columns(name),
            lambda spine, name=name: relations.group(spine, made["profiles"], made["purchase_days"], name),
        )


def _different(columns: tuple[Column, ...], rows: Table, thing: str) -> Block:
    return Block(columns, lambda spine: variety.different(spine, rows, thing, columns))


def _one_pass(seen: Table, parts, wanted: Collection[str] | None) -> Table:
    """The columns of several blocks that count the same rows, counted together.

    Those that are not wanted are left out here: DuckDB leaves out a sum that nobody reads, but not a rank.
    """
    counts = seen.group_by(*KEYS).agg(**{name: value for part in parts for name, value in part.counted(seen).items()})
    counts = apart(counts)
    derived = {name: value for part in parts for name, value in part.derived(counts).items()}
    return counts.select(*KEYS, **{name: value for name, value in derived.items() if wanted is None or name in wanted})
