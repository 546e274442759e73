"""What a raw table can promise, and how a promise is checked without reading a row into Python.

All row rules of a table are counted in one aggregate; only those that are broken are asked, in a second one, for
their first row. A key and a reference to another table cost one grouping and one join each.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import BooleanValue, Table

from contracts.errors import Breach

# kind of a column -> whether a type is of it, and how the kind is said
KINDS: Mapping[str, tuple[Callable[[dt.DataType], bool], str]] = {
    "id": (lambda t: t.is_string() or t.is_integer(), "an id (text or whole number)"),
    "time": (lambda t: t.is_timestamp() and t.timezone is None, "a time in UTC without a zone (timestamp)"),
    "whole": (lambda t: t.is_integer(), "a whole number"),
    "number": (lambda t: t.is_numeric() and not t.is_boolean(), "a number"),
    "category": (lambda t: t.is_string(), "a category (text)"),
    "flag": (lambda t: t.is_boolean(), "a flag (true or false)"),
    "date": (lambda t: t.is_date() or t.is_timestamp(), "a date"),
    "region": (lambda t: t.is_string(), "a region (text)"),
    "group": (lambda t: t.is_string() or t.is_integer(), "a group (text or whole number)"),
}


@dataclass(frozen=True)
class Column:
    """A column: its kind, whether a cell may be empty, whether the column may be absent altogether."""

    name: str
    kind: str
    may_be_empty: bool = False
    may_be_absent: bool = False


@dataclass(frozen=True)
class Rule:
    """A promise about each row.

    column  the column it is about
    says    what was promised and what was found, as words that follow the column
    broken  true for a row that breaks it; null counts as kept, for emptiness is a rule of its own
    remedy  what to do, as a sentence
    needs   the columns that `broken` reads
    shows   what to show of the first offender beside its id: word -> column
    """

    column: str
    says: str
    broken: Callable[[Table], BooleanValue]
    remedy: str
    needs: tuple[str, ...]
    shows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contract:
    """What a raw table promises.

    grain    what a row is, as a word
    subject  the column by which an offending row is named
    columns  all that are promised; a table may hold more
    keys     the columns that together name one row; the first set that is present counts, none means no promise
    refers   column -> the table that must hold its value, under the same name
    """

    table: str
    grain: str
    subject: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    rules: tuple[Rule, ...] = ()
    refers: Mapping[str, str] = field(default_factory=dict)


def shape_breaches(contract: Contract, table: Table) -> Iterator[Breach]:
    """Columns that are absent, all in one breach, and columns of another type."""
    has = table.schema()
    absent = [c.name for c in contract.columns if not c.may_be_absent and c.name not in has]
    if absent:
        yield _whole(
            contract.table,
            ", ".join(absent),
            f"must be among the columns, but {_are(absent)} not",
            f"The table has {', '.join(has)}. Rename the columns, or map them in the source's yml.",
        )
    for column in contract.columns:
        if column.name in has and not _fits(column, has):
            yield _whole(
                contract.table,
                column.name,
                f"must be {KINDS[column.kind][1]}, but is {has[column.name]}",
                "Declare its type in the source's yml, or cast it in the adapter.",
            )


def sound(contract: Contract, table: Table) -> set[str]:
    """The columns that are there with their promised type: only rules about these can be asked."""
    has = table.schema()
    promised = {c.name: c for c in contract.columns}
    return {name for name in has if name not in promised or _fits(promised[name], has)}


def row_breaches(contract: Contract, table: Table) -> Iterator[Breach]:
    """Rules that rows break, and a table without rows."""
    usable = sound(contract, table)
    rules = [rule for rule in (*_column_rules(contract, table), *contract.rules) if usable.issuperset(rule.needs)]
    counts = {f"rule_{i}": table.count(where=rule.broken(table)) for i, rule in enumerate(rules)}
    found = table.aggregate(rows=table.count(), **counts).to_pyarrow().to_pylist()[0]
    if found["rows"] == 0:
        yield _whole(
            contract.table, "", "must hold rows, but is empty", "Load it, or leave the table out of the source."
        )
    broken = {i: rule for i, rule in enumerate(rules) if found[f"rule_{i}"]}
    if not broken:
        return
    shown = {i: _shown(contract, rule, usable) for i, rule in broken.items()}
    firsts = {f"rule_{i}": _row(table, shown[i]).min(where=rule.broken(table)) for i, rule in broken.items()}
    first = table.aggregate(**firsts).to_pyarrow().to_pylist()[0]
    for i, rule in broken.items():
        bad, rows = found[f"rule_{i}"], found["rows"]
        yield Breach(contract.table, rule.column, rule.says, bad, rows, _say(first[f"rule_{i}"], shown[i]), rule.remedy)


def key_breaches(contract: Contract, table: Table) -> Iterator[Breach]:
    """Rows that share what should name one of them."""
    usable = sound(contract, table)
    key = next((key for key in contract.keys if usable.issuperset(key)), None)
    if key is None:
        return
    copies = table.group_by(*key).agg(copies=table.count()).filter(lambda t: t.copies > 1)
    shown = {_word(column): column for column in _first(contract.subject, key)} | {"rows": "copies"}
    found = copies.aggregate(bad=copies.copies.sum(), first=_row(copies, shown).min()).to_pyarrow().to_pylist()[0]
    if found["bad"]:
        one = " and ".join(key)
        yield Breach(
            contract.table,
            one,
            f"must name one {contract.grain}, but {'do' if len(key) > 1 else 'does'} not",
            int(found["bad"]),
            table.count().execute(),
            _say(found["first"], shown),
            "Remove what was loaded twice; if the rows differ in fact, give each an id of its own or add them up.",
        )


def orphan_breaches(contract: Contract, table: Table, others: Mapping[str, tuple[Contract, Table]]) -> Iterator[Breach]:
    """Rows that refer to a row of another table that is not there; nothing where the other table is not there."""
    usable = sound(contract, table)
    for column, other in contract.refers.items():
        if other not in others or column not in usable or column not in sound(*others[other]):
            continue
        held = others[other][1][column]
        if _family(held.type()) != _family(table[column].type()):
            yield _whole(
                contract.table,
                column,
                f"must be of the type it has in {other}, {held.type()}, but is {table[column].type()}",
                "Give the id one type in all tables of the source.",
            )
            continue
        lost = table.filter(~_empty(column, table[column].type().is_string())(table)).anti_join(
            others[other][1], column
        )
        shown = {_word(c): c for c in _first(contract.subject, [column, *_key(contract, usable)]) if c in usable}
        found = lost.aggregate(bad=lost.count(), first=_row(lost, shown).min()).to_pyarrow().to_pylist()[0]
        if found["bad"]:
            yield Breach(
                contract.table,
                column,
                f"must be in {other}, but is not",
                found["bad"],
                table.count().execute(),
                _say(found["first"], shown),
                f"Load the missing {other}, or leave these rows out in the source.",
            )


def _column_rules(contract: Contract, table: Table) -> Iterator[Rule]:
    """The rules that follow from what each column is."""
    has = table.schema()
    for column in contract.columns:
        name = column.name
        if name not in has or not _fits(column, has):
            continue
        text = has[name].is_string() and column.kind == "id"
        if not column.may_be_empty:
            yield Rule(
                name,
                "must not be empty, but is",
                _empty(name, text),
                "Ask the source for the missing values; do not fill them with one made up.",
                (name,),
            )
        if text:
            yield Rule(
                name,
                "must not begin or end with a blank, but does",
                lambda t, name=name: (t[name] != t[name].strip()) & (t[name].strip() != ""),
                "Trim the id in the source: two spellings of one id would be two of them.",
                (name,),
                {name: name},
            )
        if has[name].is_floating():
            yield Rule(
                name,
                "must be finite, but is not",
                lambda t, name=name: t[name].isnan() | t[name].isinf(),
                "Leave the cell empty where the number is not known.",
                (name,),
                {name: name},
            )


def _empty(name: str, text: bool) -> Callable[[Table], BooleanValue]:
    if text:
        return lambda t: t[name].isnull() | (t[name].strip() == "")
    return lambda t: t[name].isnull()


def _fits(column: Column, has: ibis.Schema) -> bool:
    dtype = has[column.name]
    return KINDS[column.kind][0](dtype) or (dtype.is_null() and column.may_be_empty)


def _family(dtype: dt.DataType) -> str:
    return "text" if dtype.is_string() else "whole number"


def _key(contract: Contract, usable: set[str]) -> tuple[str, ...]:
    return next((key for key in contract.keys if usable.issuperset(key)), ())


def _first(subject: str, columns) -> list[str]:
    """The columns once each, the subject before the others where it is among them."""
    return sorted(dict.fromkeys(columns), key=lambda column: column != subject)


def _shown(contract: Contract, rule: Rule, usable: set[str]) -> dict[str, str]:
    """Word -> column of what names the first offender: the subject, or the key where the subject is what is wrong."""
    by = [contract.subject] if contract.subject != rule.column and contract.subject in usable else []
    names = by or [column for column in _key(contract, usable) if column != rule.column]
    return {_word(name): name for name in names if name not in rule.shows.values()} | dict(rule.shows)


def _row(table: Table, shown: Mapping[str, str]):
    """A struct whose order is that of its columns: the smallest is the first offender, ties broken by what is shown."""
    return ibis.struct({f"part_{i}": table[column] for i, column in enumerate(shown.values())})


def _say(row: Mapping, shown: Mapping[str, str]) -> str:
    """`customer 7 (known 2024-01-01 00:00, happened 2024-01-02 00:00)`."""
    said = [f"{word} {_value(row[f'part_{i}'])}" for i, word in enumerate(shown)]
    return said[0] + (f" ({', '.join(said[1:])})" if said[1:] else "")


def _value(value) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, str):
        return value if value.strip() == value != "" and len(value) <= 64 else repr(value[:64])
    return str(value)


def _word(column: str) -> str:
    return column.removesuffix("_id").replace("_", " ")


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _whole(table: str, column: str, says: str, remedy: str) -> Breach:
    return Breach(table, column, says, 0, 0, "", remedy)
