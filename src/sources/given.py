"""Flat sources: one row a subject, with attributes and an outcome that were handed over together, and no events."""

from collections.abc import Mapping
from pathlib import Path

import ibis
import ibis.expr.datatypes as dt
from ibis.backends.duckdb import Backend
from ibis.expr.types import Column as Cells
from ibis.expr.types import IntegerColumn, Table

from contracts import places
from contracts.errors import BrokenContract, Refused
from contracts.promises import Column
from contracts.tables import GIVEN
from sources.folder import existing, open_file, reading
from sources.mapping import Format, SourceMapping, number, read_attributes
from sources.packaged import parquet_of
from sources.reading import cell_breaches, read
from sources.source import Source, stamps

NO_ID = "The data hold no id: the number of the row is the id."
ROW = "row number"
AS_IS = Format()


def open_flat(mapping: SourceMapping, con: Backend) -> Source:
    """The flat source of a yml file: a data set of an installed package, or a CSV or Parquet file of the user's."""
    keys, where = mapping.keys, mapping.file.name
    if ("dataset" in keys) == ("file" in keys):
        raise Refused(f"{where}: either dataset or file must be there, and not both. Keep one.")
    path = parquet_of(keys["dataset"]) if "dataset" in keys else existing(where, places.root() / keys["file"])
    return open_given(
        mapping.name,
        path,
        outcome=keys["outcome"],
        positive=keys["positive"],
        id=keys.get("id"),
        known_afterwards=tuple(keys.get("known_afterwards", ())),
        attributes=read_attributes(where, keys.get("attributes", {})),
        units={name: number(where, f"units of {name}", unit) for name, unit in keys.get("units", {}).items()},
        form=mapping.format,
        con=con,
    )


def open_given(
    name: str,
    path: str | Path,
    *,
    outcome: str,
    positive: object,
    id: str | None = None,
    known_afterwards: tuple[str, ...] = (),
    attributes: Mapping[str, str] | None = None,
    units: Mapping[str, float] | None = None,
    form: Format = AS_IS,
    con: Backend | None = None,
) -> Source:
    """The rows of a file as the table `given`: customer_id, attributes, outcome (1 where it equals `positive`).

    path              a Parquet file, or a CSV file, of which the attributes must be declared
    id                the column that names the subject; without one, the number of the row, from 1
    known_afterwards  columns that were known only after the outcome; they do not reach the table
    attributes        number, category, flag or date by column; without it, all columns, as a Parquet file's types say
    units             column -> what one unit of the file is in the table's
    form              how cells are written

    An outcome that is missing stays missing. Raises `Refused` for a file or a column that is not there, and
    `BrokenContract` for cells that are not as declared.
    """
    con = con or ibis.duckdb.connect()
    file = existing(name, Path(path))
    if file.suffix != ".parquet" and not attributes:
        raise Refused(f"{name}: a CSV file does not say what its columns are. Declare them under `attributes`.")
    with reading(con) as scratch:
        before = stamps([file])
        raw, id = _with_id(con, file, id, form, scratch)
        apart = list(dict.fromkeys([id, outcome, *known_afterwards]))
        _refuse_absent(name, raw, [*apart, *(attributes or ())])
        kinds = dict(attributes) if attributes else _kinds(name, raw.drop(*apart))
        _refuse_forbidden(name, kinds, apart)
        given = _given(raw, id, outcome, _positive(name, raw[outcome], positive), kinds, units or {}, form)
        if file.suffix != ".parquet":
            given = con.create_table(f"{name}_given", given, overwrite=True)
    assumes = (NO_ID,) if id == ROW else ()
    opened = Source(name, "flat", con, {"given": given}, kinds, tuple(known_afterwards), assumes, stamps=before)
    opened.refuse_changed()
    return opened


def _with_id(con: Backend, file: Path, id: str | None, form: Format, scratch: Path) -> tuple[Table, str]:
    """The file as a table, and its id; the number of the row is added where there is none."""
    if id is not None:
        return open_file(con, file, form, scratch), id
    if file.suffix == ".parquet":
        raw = con.read_parquet(file, file_row_number=True)
        return raw.mutate(**{ROW: raw.file_row_number + 1}).drop("file_row_number"), ROW
    raw = open_file(con, file, form, scratch)
    return raw.mutate(**{ROW: ibis.row_number() + 1}), ROW


def _given(raw: Table, id: str, outcome: str, positive: IntegerColumn, kinds, units, form: Format) -> Table:
    """The table `given`; raises `BrokenContract` for the cells of all columns that are not as declared."""
    reads = [read(Column("customer_id", "id"), id, raw[id], form)]
    reads += [read(Column(name, kind, True), name, raw[name], form, units.get(name)) for name, kind in kinds.items()]
    if breaches := list(cell_breaches(GIVEN, raw, reads)):
        raise BrokenContract(breaches)
    # an id that is a number stays one: nobody pads the number of a row
    values = {r.column.name: r.value for r in reads} | ({"customer_id": raw[id]} if raw[id].type().is_integer() else {})
    return raw.select(**values, outcome=positive)


def _refuse_forbidden(name: str, kinds, apart) -> None:
    if forbidden := [column for column in kinds if column in apart]:
        raise Refused(
            f"{name}: {', '.join(forbidden)} must not be an attribute, but is declared as one. The id, the outcome and "
            f"what was known only afterwards are no features: remove it from attributes."
        )
    if taken := [column for column in kinds if column in {c.name for c in GIVEN.columns}]:
        raise Refused(
            f"{name}: {', '.join(taken)} must not name an attribute, but is declared to: it has a meaning of its own. "
            f"Rename the column in the file, or declare the attributes without it."
        )


def _refuse_absent(name: str, raw: Table, wanted) -> None:
    if absent := [column for column in wanted if column not in raw.columns]:
        raise Refused(
            f"{name}: {', '.join(absent)} must be among the columns, but "
            f"{'is' if len(absent) == 1 else 'are'} not. The file has {', '.join(raw.columns)}. Correct the yml."
        )


def _kinds(name: str, raw: Table) -> dict[str, str]:
    """What each column is, by its type; the order is the file's."""
    kinds = {column: _kind(dtype) for column, dtype in raw.schema().items()}
    if unknown := [column for column, kind in kinds.items() if kind is None]:
        raise Refused(
            f"{name}: an attribute must be a number, a category, a flag or a date, but {', '.join(unknown)} is none: "
            f"{', '.join(str(raw[column].type()) for column in unknown)}. Declare the attributes that are."
        )
    return kinds


def _kind(dtype: dt.DataType) -> str | None:
    if dtype.is_boolean():
        return "flag"
    if dtype.is_numeric():
        return "number"
    if dtype.is_string():
        return "category"
    return "date" if dtype.is_date() or dtype.is_timestamp() else None


def _positive(name: str, cells: Cells, positive: object) -> IntegerColumn:
    """1 where the column equals `positive`, 0 where it holds the one other value, null where it is missing."""
    said = cells.cast("string").strip().nullif("")
    values = said.name("value").as_table().distinct().filter(lambda t: t.value.notnull()).order_by("value").limit(11)
    found = [row["value"] for row in values.to_pyarrow().to_pylist()]
    if str(positive) not in found or len(found) != 2:
        shown = ", ".join(map(repr, found[:10])) + (", ..." if found[10:] else "")
        raise Refused(
            f"{name}: the outcome {cells.get_name()} must have two values, one of them {str(positive)!r}, but has "
            f"{shown or 'none'}. Correct `positive`, or map the values in the file."
        )
    return (said == str(positive)).cast("int64")
