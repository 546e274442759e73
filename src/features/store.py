"""Day tables kept as Parquet, by the day that their rows became known: made once, and appended to from day to day.

    <folder>/manifest.json                               what is kept; written last, and what it does not name is not
    <folder>/<day table>/<from>_<until>_<code>.parquet   the rows known in [from, until), in the order of customers

A file holds at most a month; once a month is over its files are put together, so that years of history are some dozens
of files. `code` is the start of the sha256 of the SQL that the table is made by, and of DuckDB's release: where that
has changed, the table is made anew. A run that was stopped goes on where it was.

What is kept says of each day known how many raw rows it was made of, and the sum of their hashes. `take_back` holds all
of them against the raw rows of today: from the month on in which the first differs, nothing is kept any more, and
`bring_up` makes it anew.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import duckdb
import ibis
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts.boundary import is_known, known_before
from contracts.errors import Refused, WorldFailed
from contracts.files import sweep, whole
from features.day_tables import day_tables
from features.identity import stable_sql

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Kept:
    """One day table as it is kept.

    made   sha256 of the SQL and the columns of the table, and of the release of DuckDB, whose hashes `days` has
    until  ISO date: the rows known before it are kept
    files  their names, earliest first
    days   of the raw rows by ISO day known: how many, and the sum of their hashes
    """

    made: str
    until: str = ""
    files: tuple[str, ...] = ()
    days: Mapping[str, list[int]] = field(default_factory=dict)


def take_back(tables: Mapping[str, Table], folder: Path) -> dict[str, str]:
    """Keep nothing any more of the months from the first on in which raw rows are not those that were kept.

    Gives the first day known whose rows came, went or changed, by raw table. Reads each raw table once, all of it: a
    time that a file was written at would say less. One process at a time may do it. Raises `WorldFailed` as `bring_up`.
    """
    first = {}
    with _world_failing(folder):
        kept = _read(folder)
        for raw, table in tables.items():
            known = _Known(raw, table)
            for name, made in _made_by(raw, table).items():
                if name in kept and kept[name].made == made and (day := _first_changed(kept[name], known)):
                    kept[name] = _before_month(kept[name], day[:7])
                    first[raw] = min(day, first.get(raw, day))
        if first:
            _commit(folder, kept)
    return first


def bring_up(tables: Mapping[str, Table], folder: Path, until: date) -> dict[str, int]:
    """Add the rows that became known since the last time and before `until` to the day tables of these raw tables.

    Gives the number of rows that were new, by raw table. Of a raw table in Parquet in the order of `known_at`,
    the new days alone are read; whether the others are those that were kept, `take_back` finds out. One process at a
    time may do it. Raises `WorldFailed` when the disk does not take the new ones.
    """
    added = {}
    with _world_failing(folder):
        kept = before = _read(folder)
        _sweep(folder, kept)
        wanted = {name: (raw, made) for raw, table in tables.items() for name, made in _made_by(raw, table).items()}
        kept = {name: kept[name] for name in wanted if name in kept}
        if kept.keys() != before.keys():
            _commit(folder, kept)
        known = {raw: _Known(raw, table) for raw, table in tables.items()}
        for name, (raw, made) in wanted.items():
            if name not in kept or kept[name].made != made:
                kept[name] = Kept(made)
            rows = _grown(folder, kept, name, known[raw], until)
            added[raw] = max(rows, added.get(raw, 0))
    return added


def opened(folder: Path, con: Backend) -> dict[str, Table]:
    """The day tables that are kept, by name, lazily: what `features.timelines.timelines` takes.

    Raises `Refused` where nothing is kept.
    """
    kept = _read(folder)
    if not kept:
        raise Refused(f"Day tables must be kept in {folder}, but none are. Bring them up first.")
    return {name: _parquet(con, folder / name, table.files) for name, table in kept.items()}


@contextmanager
def _world_failing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        raise WorldFailed(f"Day tables could not be kept in {folder}: {error}. Free some disk and go on.") from error


def _made_by(raw: str, table: Table) -> dict[str, str]:
    """The sha256 of what each day table of a raw table is made by."""
    found = day_tables({raw: ibis.table(table.schema(), name=raw)})
    said = {name: [stable_sql(t), *(f"{c} {kind}" for c, kind in t.schema().items())] for name, t in found.items()}
    said = {name: "\n".join([*words, duckdb.__version__]) for name, words in said.items()}
    return {name: hashlib.sha256(words.encode()).hexdigest() for name, words in said.items()}


class _Known:
    """A raw table, and what is asked of its rows known in [since, until), found once for all day tables of it."""

    def __init__(self, raw: str, table: Table):
        self.raw, self.table = raw, table
        self.days = cache(self._days)

    def between(self, since: str, until: str) -> Table:
        """The rows, with ISO dates; all before `until` where `since` is empty."""
        past = known_before(self.table, date.fromisoformat(until))
        return past.filter(~is_known(past.known_at, date.fromisoformat(since))) if since else past

    def _days(self, since: str, until: str) -> dict[str, list[int]]:
        """Rows by day known, and the sum of their hashes: a sum, unlike an exclusive-or, counts equal rows.

        Hashed twice: DuckDB joins the hashes of cells by exclusive or, and in a sum of those, values that two rows
        swapped could cancel out. Text is hashed as such, whatever its dictionary.
        """
        kinds = self.table.schema().items()
        cells = ", ".join(f'"{name}"::VARCHAR' if kind.is_string() else f'"{name}"' for name, kind in kinds)
        query = (
            f"SELECT known_at::DATE AS day, count(*), sum(hash(hash({cells}))) "
            f"FROM ({ibis.to_sql(self.between(since, until))}) GROUP BY day ORDER BY day"
        )
        return {day.isoformat(): told for day, *told in ibis.get_backend(self.table).raw_sql(query).fetchall()}


def _first_changed(kept: Kept, known: _Known) -> str | None:
    """The first day known, of those that are kept, whose raw rows are others now."""
    now = known.days("", kept.until)
    return min((day for day in {*now, *kept.days} if now.get(day) != kept.days.get(day)), default=None)


def _before_month(kept: Kept, month: str) -> Kept:
    """The same as it was before a month began."""
    files = tuple(file for file in kept.files if file[:7] < month)
    days = {day: told for day, told in kept.days.items() if day[:7] < month}
    return replace(kept, until=f"{month}-01" if files else "", files=files, days=days)


def _grown(folder: Path, kept: dict[str, Kept], name: str, known: _Known, until: date) -> int:
    """Bring one day table up to `until`, a month at a time; the number of raw rows added."""
    first, last = kept[name].until, until.isoformat()
    if first >= last:
        return 0
    days = known.days(first, last)
    for start, end in _months(days or ({} if kept[name].files else {last: []}), first, until):
        file = f"{start}_{end}_{kept[name].made[:8]}.parquet"
        _write(day_tables({known.raw: known.between(start, end)})[name], folder / name / file)
        now, new = kept[name], {day: told for day, told in days.items() if start <= day < end}
        grown = replace(now, until=end, files=(*now.files, file), days={**now.days, **new})
        kept[name] = _together(folder / name, grown, known.table)
        _commit(folder, kept)
    kept[name] = replace(kept[name], until=last)
    _commit(folder, kept)
    return sum(rows for rows, _ in days.values())


def _months(days: Iterable[str], first: str, until: date) -> Iterator[tuple[str, str]]:
    """Spans of days, [start, end) as ISO dates, each within a month, that hold these days from `first` on."""
    for month in sorted({day[:7] for day in days}):
        begins = date.fromisoformat(f"{month}-01")
        ends = (begins + timedelta(days=31)).replace(day=1)
        yield max(begins.isoformat(), first), min(ends, until).isoformat()


def _together(folder: Path, kept: Kept, table: Table) -> Kept:
    """The same with the files of each month that is over as one; the parts go when the next run sweeps."""
    months = {file[:7]: [f for f in kept.files if f[:7] == file[:7]] for file in kept.files}
    for month, parts in months.items():
        if len(parts) > 1 and kept.until[:7] > month:
            whole = f"{parts[0].split('_')[0]}_{parts[-1].split('_')[1]}_{kept.made[:8]}.parquet"
            _write(_parquet(ibis.get_backend(table), folder, parts), folder / whole)
            months[month] = [whole]
    return replace(kept, files=tuple(file for files in months.values() for file in files))


def _parquet(con: Backend, folder: Path, files) -> Table:
    return con.read_parquet([str(folder / file) for file in files])


def _write(table: Table, file: Path) -> None:
    """One Parquet file, in the order of customers where there are any: whole, or not there."""
    rows = table.order_by("customer_id") if "customer_id" in table.columns else table
    with whole(file) as written:
        rows.to_parquet(written, compression="zstd")


def _read(folder: Path) -> dict[str, Kept]:
    """What is kept; a table that was written by other code under other names is not."""
    file, names = folder / MANIFEST, {f.name for f in fields(Kept)}
    found = json.loads(file.read_text()) if file.exists() else {}
    return {name: Kept(**{**t, "files": tuple(t["files"])}) for name, t in found.items() if t.keys() == names}


def _commit(folder: Path, kept: Mapping[str, Kept]) -> None:
    """The manifest names only tables that were begun: one without a file is none."""
    begun = {name: asdict(table) for name, table in sorted(kept.items()) if table.files}
    with whole(folder / MANIFEST) as written:
        written.write_text(json.dumps(begun, indent=1))


def _sweep(folder: Path, kept: Mapping[str, Kept]) -> None:
    """Remove what an earlier run left: files that were cut, and those put together since."""
    sweep(folder)
    for file in folder.glob("*/*.parquet"):
        if file.name not in _files(kept, file.parent.name):
            file.unlink()


def _files(kept: Mapping[str, Kept], name: str) -> tuple[str, ...]:
    return kept[name].files if name in kept else ()
