"""From the cells of a file or a database to the types of a contract: every cell that does not fit is counted and named.

Nothing is inferred and nothing is rounded in silence. Text that is read as a number, a time or a flag must have that
form entirely; what does not is a broken contract with its count and first offender, for all columns in one scan.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import ibis
from ibis.expr.types import BooleanValue, StringValue, Table, TimestampValue, Value

from contracts.errors import Breach
from contracts.promises import Column, Contract, Rule, row_breaches
from contracts.tables import CONTRACTS
from sources.mapping import Format, TableMapping

FLAGS = {
    "true": True,
    "yes": True,
    "y": True,
    "t": True,
    "1": True,
    "false": False,
    "no": False,
    "n": False,
    "f": False,
    "0": False,
}
# a clock time followed by an offset; a date alone ends in digits too
OFFSET = r":\d{2}(\.\d+)?\s*(Z|[+-]\d{2}(:?\d{2})?)$"
ISO_TIME = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|[+-]\d{2}(:?\d{2})?)?)?$"
ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
SHORTENED = r"^\d(\.\d+)?[eE]\+\d+$"
# what nobody sees in an id, or sees as something else: control, zero width, direction, full width
UNSEEN = r"[\x00-\x1f\x7f-\x{9f}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{206f}\x{feff}\x{ff01}-\x{ff5e}]"
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
LARGEST = 3e38  # what a boosted model can hold
# a tenth of a thousandth of a cent: what floating point may lose of an amount, and no more
LOST = 1e-4


@ibis.udf.scalar.builtin
def try_strptime(text: str, form: str) -> ibis.dtype("timestamp"):
    """DuckDB's own: null where the text has another form."""


@ibis.udf.scalar.builtin
def nfc_normalize(text: str) -> str:
    """DuckDB's own: letters with their accents composed."""


@ibis.udf.scalar.builtin(name="timezone")
def at_zone(zone: str, time: ibis.dtype("timestamp")) -> ibis.dtype("timestamp('UTC')"):
    """DuckDB's own: the moment that a clock in `zone` showed as `time`."""


@ibis.udf.scalar.builtin(name="timezone")
def clock_at(zone: str, moment: ibis.dtype("timestamp('UTC')")) -> ibis.dtype("timestamp"):
    """DuckDB's own: what a clock in `zone` showed at a moment."""


@dataclass(frozen=True)
class Read:
    """A column of the contract as read: the origin's column, the value, and what is wrong with a cell, if anything."""

    column: Column
    origin: str
    value: Value
    broken: BooleanValue | None
    must: str
    remedy: str


@dataclass(frozen=True)
class TypedTable:
    """A raw table with the contract's names and types, what is wrong with its cells, and what was assumed."""

    table: Table
    breaches: tuple[Breach, ...]
    assumes: tuple[str, ...]


def typed(mapping: TableMapping, raw: Table, hidden: tuple[str, ...] = ()) -> TypedTable:
    """The table of `mapping` out of `raw`, whose columns are as in the origin. Reads the data once, for the counts.

    hidden  ids that no message may show
    """
    contract = CONTRACTS[mapping.table]
    wanted = [*contract.columns, *(Column(name, kind, True) for name, kind in mapping.attributes.items())]
    if absent := _absent(mapping, wanted, raw):
        return TypedTable(raw, (absent,), ())
    reads, empty = [], []
    for column in wanted:
        origin = mapping.columns.get(column.name, column.name)
        if column.name == "known_at":
            continue
        if origin in raw.columns:
            reads.append(read(column, origin, raw[origin], mapping.format, mapping.units.get(column.name)))
        elif not column.may_be_absent:
            empty.append(column)
    if mapping.known_at.column:
        reads.append(
            read(Column("known_at", "time"), mapping.known_at.column, raw[mapping.known_at.column], mapping.format)
        )
    breaches = tuple(cell_breaches(contract, raw, reads, hidden))
    table = raw.select(**{r.column.name: r.value for r in reads}, **{c.name: _nothing(c) for c in empty})
    return TypedTable(_with_known_at(table, mapping), breaches, tuple(_assumes(mapping, empty)))


def columns_read(mapping: TableMapping) -> set[str]:
    """The columns of the origin that `typed` would read if they are there."""
    wanted = [column.name for column in CONTRACTS[mapping.table].columns if column.name != "known_at"]
    return {mapping.columns.get(name, name) for name in (*wanted, *mapping.attributes)} | {mapping.known_at.column} - {
        ""
    }


def read(column: Column, origin: str, cell: Value, form: Format, unit: float | None = None) -> Read:
    """How a cell of the origin becomes one of the contract. Text that stands for nothing becomes null."""
    if cell.type().is_string():
        cell = cell.strip()
        cell = cell.nullif("") if form.empty == ("",) else ibis.cases((cell.isin(["", *form.empty]), None), else_=cell)
    value, fits, must, remedy = _READERS[column.kind](column, cell, form, unit)
    broken = None if fits is None else cell.notnull() & ~fits
    return Read(column, origin, value, broken, must, remedy)


def cell_breaches(contract: Contract, raw: Table, reads: list[Read], hidden: tuple[str, ...] = ()) -> Iterator[Breach]:
    """One breach for each column with cells that do not fit, all counted in one scan."""
    checked = {f"broken_{i}": r.broken for i, r in enumerate(reads) if r.broken is not None}
    ids = {r.column.name: r.value for r in reads if r.column.kind == "id" and r.column.name not in hidden}
    cells = {f"cell_{i}": raw[r.origin].cast("string") for i, r in enumerate(reads) if r.broken is not None}
    rules = tuple(
        Rule(
            r.column.name,
            f"must be {r.must}, but is not",
            lambda t, i=i: t[f"broken_{i}"],
            r.remedy,
            (f"broken_{i}",),
            {r.origin: f"cell_{i}"},
        )
        for i, r in enumerate(reads)
        if r.broken is not None
    )
    asked = replace(contract, columns=(), rules=rules, keys=tuple(k for k in contract.keys if set(k) <= ids.keys()))
    yield from row_breaches(asked, raw.select(**ids, **cells, **checked))


def _id(column, cell, form, unit):
    if cell.type().is_string():
        plain = ~cell.re_search(UNSEEN) & (nfc_normalize(cell) == cell)
        return (
            cell,
            ~cell.re_search(SHORTENED) & plain,
            "an id that no spreadsheet has shortened, in plain characters",
            "Export the column as text, and let the source clean it: two spellings of one id are two ids.",
        )
    return (
        cell.cast("string"),
        None if cell.type().is_integer() else ibis.literal(False),
        "text or a whole number",
        ("Export the id as text: a number with decimals loses digits."),
    )


def _time(column, cell, form, unit):
    if cell.type().is_string():
        has_offset = cell.re_search(OFFSET)
        if form.times:
            clock = try_strptime(cell, form.times)
            return (
                _utc(clock, form) if "%H" in form.times or "%I" in form.times else clock,
                clock.notnull(),
                f"a time written as {form.times}",
                "Correct `times` or the cells.",
            )
        moment = clock_at("UTC", cell.try_cast("timestamp('UTC')"))
        plain = cell.try_cast("timestamp")
        value = ibis.ifelse(cell.re_search(ISO_DATE), plain, ibis.ifelse(has_offset, moment, _utc(plain, form)))
        return (
            value,
            cell.re_search(ISO_TIME) & value.notnull(),
            "a time such as 2024-01-31 17:05:00",
            ("Write `times` in the source's yml, as strptime does: '%d.%m.%Y %H:%M'."),
        )
    if cell.type().is_timestamp():
        return (clock_at("UTC", cell) if cell.type().timezone else _utc(cell, form)), None, "", ""
    if cell.type().is_date():
        return cell.cast("timestamp"), None, "", ""
    return ibis.null("timestamp"), ibis.literal(False), "a time", "Store it as a timestamp or as text."


def _date(column, cell, form, unit):
    if not cell.type().is_string():
        fits = cell.type().is_date() or cell.type().is_timestamp()
        return (
            cell.cast("date") if fits else ibis.null("date"),
            None if fits else ibis.literal(False),
            "a date",
            ("Store it as a date or as text."),
        )
    if form.dates:
        value = try_strptime(cell, form.dates)
        return value.cast("date"), value.notnull(), f"a date written as {form.dates}", "Correct `dates` or the cells."
    value = cell.try_cast("date")
    return (
        value,
        cell.re_search(ISO_DATE) & value.notnull(),
        "a date such as 2024-01-31",
        ("Write `dates` in the source's yml, as strptime does: '%d.%m.%Y'."),
    )


def _utc(clock: TimestampValue, form: Format) -> TimestampValue:
    return clock if form.zone == "UTC" else clock_at("UTC", at_zone(form.zone, clock))


def _plain(cell: StringValue, form: Format) -> tuple[StringValue, BooleanValue, str]:
    """A number's text with the marks of a computer, whether it had the marks of `form`, and an example of them."""
    point, group = re.escape(form.decimal), re.escape(form.thousands)
    whole = rf"(\d+|\d{{1,3}}({group}\d{{3}})+)" if form.thousands else r"\d+"
    fits = cell.re_search(rf"^[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?$")
    plain = cell.replace(form.thousands, "") if form.thousands else cell
    return plain.replace(form.decimal, "."), fits, f"1{form.thousands}234{form.decimal}5"


def _number(column, cell, form, unit):
    if cell.type().is_string():
        plain, fits, example = _plain(cell, form)
        value = plain.try_cast("float64")
        fits = fits & value.notnull() & ~value.isinf() & (value.abs() < LARGEST)
        must = f"a number such as {example}"
    elif cell.type().is_numeric() and not cell.type().is_boolean():
        value, fits, must = cell, None, ""
    else:
        value, fits, must = ibis.null("float64"), ibis.literal(False), "a number"
    return (
        value * unit if unit else value,
        fits,
        must,
        "Correct `decimal` and `thousands` in the source's yml, or the cells.",
    )


def _whole(column, cell, form, unit):
    """Whole numbers; amounts of money are counted in cents, and one with a part of a cent is refused, not rounded."""
    scale = unit or (float(form.cents_per_unit) if column.name.endswith("_cents") else 1.0)
    value, fits, must, remedy = _number(column, cell, form, None)
    scaled = value.cast("float64") * scale
    whole = scaled.try_cast("int64")  # the nearest whole number, null where there is none
    exact = whole.notnull() & ((scaled - whole).abs() <= LOST) & (whole.abs() < 2**53)
    if column.name.endswith("_cents"):
        must = f"{must or 'a number'}, without a part of a cent"
        remedy = f"{remedy.removesuffix('.')}. One unit is taken as {scale:g} cents."
    else:
        must = "a whole number"
    fits = exact if fits is None else fits & exact
    return ibis.ifelse(exact, whole, None), fits, must, remedy


def _category(column, cell, form, unit):
    if not cell.type().is_string():
        return cell.cast("string"), None, "", ""
    return cell, ~cell.re_search(CONTROL), "text without control characters", "Export it again, or clean it there."


def _flag(column, cell, form, unit):
    if cell.type().is_boolean():
        return cell, None, "", ""
    word = cell.cast("string").lower()
    value = ibis.cases(*((word == said, ibis.literal(meant)) for said, meant in FLAGS.items()))
    return (
        value,
        word.isin(list(FLAGS)),
        f"one of {', '.join(FLAGS)}",
        "Declare it as a category, or map it in the source.",
    )


_READERS = {
    "id": _id,
    "time": _time,
    "date": _date,
    "number": _number,
    "whole": _whole,
    "category": _category,
    "flag": _flag,
    "region": _category,
    "group": _id,
}
_TYPES = {
    "id": "string",
    "time": "timestamp",
    "date": "date",
    "number": "float64",
    "whole": "int64",
    "category": "string",
    "flag": "boolean",
    "region": "string",
    "group": "string",
}


def _nothing(column: Column) -> Value:
    return ibis.null(_TYPES[column.kind])


def _absent(mapping: TableMapping, wanted: list[Column], raw: Table) -> Breach | None:
    """All columns that must be in the origin and are not, by the names they should have there."""
    names = {c.name: mapping.columns.get(c.name, c.name) for c in wanted if c.name != "known_at"}
    must = [
        names[c.name]
        for c in wanted
        if c.name in names
        and (not (c.may_be_empty or c.may_be_absent) or c.name in mapping.columns or c.name in mapping.attributes)
    ]
    must += [mapping.known_at.column] if mapping.known_at.column else []
    if not (absent := [name for name in dict.fromkeys(must) if name not in raw.columns]):
        return None
    is_not = "is not" if len(absent) == 1 else "are not"
    return Breach(
        mapping.table,
        ", ".join(absent),
        f"must be among the columns of {mapping.origin}, but {is_not}",
        0,
        0,
        "",
        f"It has {', '.join(raw.columns)}. Name them under `columns`, as {wanted[0].name}: name in {mapping.origin}.",
    )


def _with_known_at(table: Table, mapping: TableMapping) -> Table:
    known = mapping.known_at
    if known.event:
        return table.mutate(known_at=table[known.event] + ibis.interval(hours=known.hours))
    return table.mutate(known_at=ibis.timestamp(known.day)) if known.day else table


def _assumes(mapping: TableMapping, empty: list[Column]) -> Iterator[str]:
    known = mapping.known_at
    if known.event:
        delay = f"{known.hours} hours after {known.event}" if known.hours else f"as soon as it happened ({known.event})"
        yield f"{mapping.table}: a row was known {delay}, as the yml declares, not the origin."
    if known.day:
        yield f"{mapping.table}: every row was known from {known.day} on, as the yml declares, not the origin."
    if empty:
        names = ", ".join(column.name for column in empty)
        yield f"{mapping.table}: {names} {'is' if len(empty) == 1 else 'are'} not given, and empty."
