"""From mapped tables as they are in their origin to the source that the house works with."""

import hashlib
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import ibis
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts.errors import BrokenContract, Refused
from contracts.secrets import secret
from sources.mapping import SourceMapping
from sources.reading import typed
from sources.source import Source

BLOCK = 64  # bytes: the block of SHA-256, to which HMAC pads its key (RFC 2104)


def events(
    mapping: SourceMapping, con: Backend, raw: Mapping[str, Table], stays: frozenset[str] = frozenset()
) -> Source:
    """Type every table, report all that does not fit in one go, and keep the result on `con`.

    Typed tables are written into DuckDB, so that text is parsed once. Those of `stays`, whose origin can be read again
    at no cost, are left where they are, unless ids are replaced in them.
    """
    _check_formats(mapping)
    key = _key(mapping)
    hidden = mapping.pseudonyms.ids if mapping.pseudonyms else ()
    read = {table.table: typed(table, raw[table.table], hidden) for table in mapping.tables}
    if breaches := [breach for table in read.values() for breach in table.breaches]:
        raise BrokenContract(breaches)
    tables = {}
    for name, table in read.items():
        hashed = [column for column in hidden if column in table.table.columns]
        stay = name in stays and not hashed
        tables[name] = table.table if stay else _kept(con, f"{mapping.name}_{name}", table.table, hashed, key)
    attributes = {name: kind for table in mapping.tables for name, kind in table.attributes.items()}
    return Source(
        mapping.name,
        "events",
        con,
        tables,
        attributes,
        assumes=tuple(_assumes(mapping, read)),
        contract_end=_contract_end(mapping, attributes),
        currency=mapping.keys["currency"],
    )


def _contract_end(mapping: SourceMapping, attributes: Mapping[str, str]) -> str | None:
    named = mapping.keys.get("contract_end")
    if named is not None and attributes.get(named) != "date":
        raise Refused(
            f"{mapping.file.name}: contract_end must be a declared attribute of the kind date, but {named} is "
            f"{attributes.get(named, 'not declared')}. Declare it under attributes of customers: {{{named}: date}}."
        )
    return named


def _check_formats(mapping: SourceMapping) -> None:
    for table in mapping.tables:
        where, form = f"{mapping.file.name}, {table.table}", table.format
        if not form.zone:
            raise Refused(
                f"{where}: the time zone of its times must be stated, but is not. Write `zone: UTC`, or the zone that "
                f"the clocks of the origin show, such as `zone: Europe/Berlin`."
            )
        try:
            ZoneInfo(form.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise Refused(
                f"{where}: zone must be one such as Europe/Berlin, but is {form.zone!r}. Correct it."
            ) from None


def _key(mapping: SourceMapping) -> bytes:
    if not mapping.pseudonyms:
        return b""
    name = mapping.pseudonyms.key_from
    key = secret(name).encode()
    if len(key) < 16:
        raise Refused(
            f"{mapping.file.name}: ids are replaced by a keyed hash, whose key must stand in the environment variable "
            f"{name} with at least 16 characters, but {'is too short' if key else 'does not'}. Set it; keep it secret."
        )
    return key


def _kept(con: Backend, name: str, table: Table, hashed: list[str], key: bytes) -> Table:
    """The table in DuckDB, the ids in the columns `hashed` replaced by HMAC-SHA256 in hexadecimal.

    HMAC is made of DuckDB's own SHA-256, a column at a time. The padded keys are bound, not written into the SQL, and
    the SQL of what is later asked of the table holds neither them nor the ids that were replaced.
    """
    if not hashed:
        return con.create_table(name, table, overwrite=True)
    short = hashlib.sha256(key).digest() if len(key) > BLOCK else key
    inner, outer = (bytes(byte ^ pad for byte in short.ljust(BLOCK, b"\0")) for pad in (0x36, 0x5C))
    digest = 'sha256($outer::BLOB || unhex(sha256($inner::BLOB || encode("{0}")))) AS "{0}"'
    replaced = ", ".join(digest.format(column) for column in hashed)
    read = ibis.to_sql(table, dialect="duckdb")
    con.con.execute(
        f'CREATE OR REPLACE TABLE "{name}" AS SELECT * REPLACE ({replaced}) FROM ({read})',
        {"inner": inner, "outer": outer},
    )
    return con.table(name)


def _assumes(mapping: SourceMapping, read) -> list[str]:
    zones = sorted({table.format.zone for table in mapping.tables})
    said = [
        f"Money is in {mapping.keys['currency']}.",
        f"Times without a zone are of {', '.join(zones)}; they became UTC.",
    ]
    if mapping.pseudonyms:
        said.append(f"{', '.join(mapping.pseudonyms.ids)}: replaced by a keyed hash.")
    return said + [words for table in read.values() for words in table.assumes]
