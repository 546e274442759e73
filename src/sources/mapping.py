"""The yml file of a source, read strictly: names and types that are not known stop it before any data are read.

Every scalar is text until its key says otherwise (YAML would make 83 of 00123 and false of no). Duplicate keys,
anchors and files above 64 KiB are refused. Where a key can stand for the whole source or for one table, the table's
counts.
"""

import codecs
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path

import yaml

from contracts.errors import Refused
from contracts.tables import CONTRACTS, DESCRIBED

KINDS = ("number", "category", "flag", "date", "region", "group")
LARGEST = 64 * 1024
_DELAYED = re.compile(r"(\w+) \+ (\d+) (hour|day)s?")


@dataclass(frozen=True)
class Format:
    """How the cells of a file or a database table are written.

    encoding        of a CSV file
    separator       between the columns of a CSV file
    decimal         the decimal mark of numbers written as text
    thousands       the mark between groups of three digits, empty for none
    times, dates    as strptime writes them; empty for ISO 8601
    zone            the time zone of times that do not carry their own; there is no default
    cents_per_unit  cents in one unit of the amounts of money: 100 for euros, 1 for cents
    empty           the words that stand for an empty cell
    """

    encoding: str = "utf-8"
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    times: str = ""
    dates: str = ""
    zone: str = ""
    cents_per_unit: str = "100"
    empty: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class KnownAt:
    """When a row reached us: at the time in `column`, or `hours` after `event`, or on `day` for all rows."""

    column: str = ""
    event: str = ""
    hours: int = 0
    day: str = ""


@dataclass(frozen=True)
class TableMapping:
    """One raw table: where it is, and what its columns are called and mean there.

    origin      the file in the folder, or the table in the database
    columns     name in the contract -> name in the origin; a name that is not here is the same in both
    attributes  declared attribute -> its kind, one of KINDS
    known_at    when a row reached us
    units       column -> what one unit of the origin is in the table's; for money, in cents
    format      how cells are written
    """

    table: str
    origin: str
    columns: Mapping[str, str]
    attributes: Mapping[str, str]
    known_at: KnownAt
    units: Mapping[str, float]
    format: Format


@dataclass(frozen=True)
class Pseudonyms:
    """Which ids are replaced by a keyed hash, and the environment variable that holds the key."""

    key_from: str
    ids: tuple[str, ...] = ("customer_id",)


@dataclass(frozen=True)
class SourceMapping:
    """A yml file: its kind, the keys that its adapter reads, and its tables if it has any."""

    name: str
    kind: str
    keys: Mapping[str, object]
    format: Format
    tables: tuple[TableMapping, ...] = ()
    pseudonyms: Pseudonyms | None = None
    file: Path = field(default=Path())

    @property
    def wishes(self) -> str:
        """What is declared of how columns count in a scorecard, as the parameter `wishes` writes it; empty if nothing.

        Raises `Refused` for a key that is none, and for a name or a value that cannot be so written.
        """
        said = []
        for name, told in self.keys.get("wishes", {}).items():
            where = f"{self.file.name}, wishes of {name}"
            if not isinstance(told, dict):
                raise Refused(f"{where}: must be names with values, but is {told!r}. Write {{shape: falling}}.")
            _check_keys(where, told, (), _WISH)
            parts = [name, told.get("shape", ""), *map(str, told.get("specials", []))]
            if wrong := [part for part in parts if re.search(r"[:,]", part)]:
                raise Refused(f"{where}: must hold neither : nor , but {wrong[0]!r} does. Rename it in the file.")
            said.append(":".join(parts))
        return ",".join(said)


FORMAT_KEYS = tuple(f.name for f in fields(Format))
# kind -> the type of each key that it may hold; the first tuple names those it must
_FLAT = {
    "dataset": str,
    "file": str,
    "id": str,
    "outcome": str,
    "positive": str,
    "known_afterwards": list,
    "attributes": dict,
    "units": dict,
    "wishes": dict,
}
_MAPPED = {"currency": str, "pseudonyms": dict, "tables": dict, "contract_end": str, "wishes": dict}
SHAPES: Mapping[str, tuple[tuple[str, ...], Mapping[str, type]]] = {
    "cdnow": (("dataset",), {"dataset": str}),
    "complete_journey": ((), {}),
    "flat": (("outcome", "positive"), _FLAT),
    "folder": (("folder", "currency", "tables"), _MAPPED | {"folder": str}),
    "database": (("currency", "tables"), _MAPPED | {"url": str, "url_from": str}),
    "world": (("folder",), {"folder": str, "wishes": dict}),
}
_WISH = {"shape": str, "specials": list}
_TABLE = {"file": str, "table": str, "columns": dict, "attributes": dict, "known_at": str, "units": dict}
_SAID = {str: "text", list: "a list", dict: "names with values"}


def read_mapping(file: Path) -> SourceMapping:
    """The yml file of a source; raises `Refused` with the file, the key and what may stand there."""
    name = file.stem
    raw = _parse(file)
    kind = raw.pop("kind", None)
    if not isinstance(kind, str) or kind not in SHAPES:
        raise Refused(f"{file.name}: kind must be one of {', '.join(SHAPES)}, but is {kind!r}. Correct it.")
    needed, allowed = SHAPES[kind]
    _check_keys(file.name, raw, needed, {**allowed, **_FORMAT_TYPES})
    own = Format(**_format(file.name, raw))
    tables = tuple(_table(file.name, kind, table, told, own) for table, told in raw.get("tables", {}).items())
    if "tables" in needed and not tables:
        raise Refused(f"{file.name}: tables must name at least one raw table, but names none. Add it.")
    told = raw.get("pseudonyms")
    return SourceMapping(name, kind, raw, own, tables, _pseudonyms(file.name, told) if told else None, file)


class _Strict(yaml.BaseLoader):
    """Text only, no duplicate keys, no anchors."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise Refused(f"{self.name}: a source's yml must not use anchors (*), but does. Write the value out.")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise Refused(f"{self.name}: each key must stand once, but {', '.join(twice)} stands twice. Remove one.")
        return super().construct_mapping(node, deep)


def _parse(file: Path) -> dict:
    if file.stat().st_size > LARGEST:
        raise Refused(f"{file.name}: a source's yml must be below 64 KiB, but is larger. Remove what is no mapping.")
    try:
        loader = _Strict(file.read_text(encoding="utf-8"))
        loader.name = file.name
        raw = loader.get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as failure:
        where = getattr(failure, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise Refused(f"{file.name} must be YAML, but is not{line}. Correct its spelling.") from failure
    if not isinstance(raw, dict):
        raise Refused(f"{file.name} must hold names with values, but does not. Begin with a kind.")
    return raw


_FORMAT_TYPES = {f.name: list if f.name == "empty" else str for f in fields(Format)}


def _check_keys(where: str, raw: Mapping, needed, allowed: Mapping[str, type]) -> None:
    for key in raw:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            raise Refused(
                f"{where}: {key} is not known here{f'; did you mean {near[0]}?' if near else '.'} "
                f"It may hold {', '.join(allowed)}."
            )
        if not isinstance(raw[key], allowed[key]):
            raise Refused(f"{where}: {key} must be {_SAID[allowed[key]]}, but is {raw[key]!r}. Correct it.")
    if absent := [key for key in needed if key not in raw]:
        raise Refused(f"{where}: {', '.join(absent)} must be there, but {'are' if absent[1:] else 'is'} not. Add it.")


def _format(where: str, raw: Mapping) -> dict:
    """The keys of `Format` that are there, each of them possible."""
    try:
        codecs.lookup(raw.get("encoding", "utf-8"))
    except LookupError:
        raise Refused(
            f"{where}: encoding must be one such as cp1252, but is {raw['encoding']!r}. Correct it."
        ) from None
    for key in ("separator", "decimal", "thousands"):
        if key in raw and len(raw[key]) != 1:
            raise Refused(f"{where}: {key} must be one character, but is {raw[key]!r}. Correct it.")
    if "cents_per_unit" in raw:
        number(where, "cents_per_unit", raw["cents_per_unit"])
    return {key: tuple(raw[key]) if key == "empty" else raw[key] for key in FORMAT_KEYS if key in raw}


def _table(file: str, kind: str, table: str, told, own: Format) -> TableMapping:
    where = f"{file}, {table}"
    if table not in CONTRACTS or table == "given":
        raise Refused(f"{file}: {table} is no raw table. There are {', '.join(t for t in CONTRACTS if t != 'given')}.")
    if not isinstance(told, dict):
        raise Refused(f"{where}: must be names with values, but is {told!r}. Name at least its file or table.")
    origin = {"folder": "file", "database": "table"}[kind]
    _check_keys(
        where,
        told,
        (origin, "known_at"),
        {k: t for k, t in {**_TABLE, **_FORMAT_TYPES}.items() if k not in {"file", "table"} - {origin}},
    )
    attributes = read_attributes(where, told.get("attributes", {}))
    if attributes and table not in DESCRIBED:
        raise Refused(f"{where}: attributes belong to customers or applications. Move them there.")
    known = {column.name for column in CONTRACTS[table].columns} - {"known_at"} | attributes.keys()
    for part in ("columns", "units"):
        if unknown := [name for name in told.get(part, {}) if name not in known]:
            raise Refused(
                f"{where}: {', '.join(unknown)} in {part} must be a column of {table} or a declared attribute, but is "
                f"not. There are {', '.join(sorted(known))}; write the name on the left, the origin's on the right."
            )
    units = {name: number(where, f"units of {name}", value) for name, value in told.get("units", {}).items()}
    merged = Format(**{key: getattr(own, key) for key in FORMAT_KEYS} | _format(where, told))
    return TableMapping(
        table,
        told[origin],
        told.get("columns", {}),
        attributes,
        _known_at(where, table, told["known_at"]),
        units,
        merged,
    )


def read_attributes(where: str, told: Mapping[str, str]) -> dict[str, str]:
    """The declared attributes with their kinds; raises `Refused` for a kind that is none."""
    for name, kind in told.items():
        if kind not in KINDS:
            raise Refused(f"{where}: attribute {name} must be one of {', '.join(KINDS)}, but is {kind!r}. Correct it.")
    return dict(told)


def _known_at(where: str, table: str, told: str) -> KnownAt:
    if delayed := _DELAYED.fullmatch(told):
        event, amount, unit = delayed.groups()
        times = [c.name for c in CONTRACTS[table].columns if c.kind == "time" and c.name != "known_at"]
        if event not in times:
            raise Refused(
                f"{where}: known_at must count from a time of {table}, but {event} is none. "
                f"There {'are' if times[1:] else 'is'} {', '.join(times) or 'none: name a column, or a date'}."
            )
        return KnownAt(event=event, hours=int(amount) * (24 if unit == "day" else 1))
    if re.fullmatch(r"\d{4}-\d\d-\d\d", told):
        try:
            return KnownAt(day=date.fromisoformat(told).isoformat())
        except ValueError:
            raise Refused(f"{where}: known_at {told} is no date. Correct it.") from None
    if "+" in told:
        raise Refused(
            f"{where}: known_at must be a column, a date, or an event with a delay such as 'ordered_at + 1 day' or "
            f"'ordered_at + 6 hours', but is {told!r}. Correct it."
        )
    return KnownAt(column=told)


def number(where: str, what: str, text: str) -> float:
    """A positive number from its text; raises `Refused`."""
    if not re.fullmatch(r"\d+(\.\d+)?", str(text)) or float(text) == 0:
        raise Refused(f"{where}: {what} must be a positive number such as 100 or 0.001, but is {text!r}. Correct it.")
    return float(text)


def _pseudonyms(file: str, told: Mapping) -> Pseudonyms:
    _check_keys(f"{file}, pseudonyms", told, ("key_from",), {"key_from": str, "ids": list})
    return Pseudonyms(told["key_from"], tuple(told.get("ids", ("customer_id",))))
