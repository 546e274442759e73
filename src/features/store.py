"""Day tables kept as Parquet, by the day that their rows became known: made once, and appended to from day to day.

    <folder>/manifest.json                               what is kept; written last, and what it does not name is not
    <folder>/<day table>/<from>_<until>_<code>.parquet   the rows known in [from, until), in the order of customers

A file holds at most a month; once a month is over its files are put together, so that years of history are some dozens
of files. `code` is the start of the sha256 of the SQL that the table is made by: where that has changed, the table is
made anew. A run that was stopped goes on where it was.

What was known must not change. Noticed, and refused: a row that came into the past or left it (raw rows are counted by
the day known), and other cells in the rows of the last `RECENT` days. Not noticed: other cells in older rows.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import duckdb
import ibis
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts.boundary import is_known, known_before
from contracts.errors import Refused, WorldFailed
from contracts.files import whole
from features.day_tables import day_tables
from features.identity import stable_sql

RECENT = 7  # days
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Kept:
    """One day table as it is kept.

    made    sha256 of the SQL and the columns of the table
    until   ISO date: the rows known before it are kept
    files   their names, earliest first
    rows    raw rows by ISO day known
    recent  the sum of the raw rows' hashes by ISO day known, of the last days; none while a run is under way
    engine  the version of DuckDB, whose hashes they are
    """

    made: str
    until: str = ""
    files: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    recent: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""


def bring_up(tables: Mapping[str, Table], folder: Path, until: date) -> dict[str, int]:
    """Add the rows that became known since the last time and before `until` to the day tables of these raw tables.

    Gives the number of rows that were new, by raw table. Of a raw table in Parquet in the order of `known_at`,
    the new days alone are read, and the `known_at` of the others. One process at a time may do it. Raises `Refused`
    where the rows of past days are not those that were kept, `WorldFailed` when the disk does not take the new ones.
    """
    added = {}
    try:
        kept = _read(folder)
        _sweep(folder, kept)
        wanted = {name: (raw, made) for raw, table in tables.items() for name, made in _made_by(raw, table).items()}
        kept = {name: kept[name] for name in wanted if name in kept}
        known = {raw: _Known(raw, table) for raw, table in tables.items()}
        for name, (raw, made) in wanted.items():
            if name not in kept or kept[name].made != made:
                kept[name] = Kept(made)
            rows = _grown(folder, kept, name, known[raw], until)
            added[raw] = max(rows, added.get(raw, 0))
    except (OSError, duckdb.IOException) as error:
        raise WorldFailed(f"Day tables could not be kept in {folder}: {error}. Free some disk and go on.") from error
    return added


def opened(folder: Path, con: Backend) -> dict[str, Table]:
    """The day tables that are kept, by name, lazily: what `features.timelines.timelines` takes.

    Raises `Refused` where nothing is kept.
    """
    kept = _read(folder)
    if not kept:
        raise Refused(f"Day tables must be kept in {folder}, but none are. Run `crm features` first.")
    return {name: _parquet(con, folder / name, table.files) for name, table in kept.items()}


def kept_until(folder: Path) -> date | None:
    """The day before which every table that is kept knows all; None where nothing is kept."""
    days = [table.until for table in _read(folder).values()]
    return date.fromisoformat(min(days)) if days else None


def _made_by(raw: str, table: Table) -> dict[str, str]:
    """The sha256 of what each day table of a raw table is made by."""
    found = day_tables({raw: ibis.table(table.schema(), name=raw)})
    said = {name: [stable_sql(t), *(f"{c} {kind}" for c, kind in t.schema().items())] for name, t in found.items()}
    return {name: hashlib.sha256("\n".join(words).encode()).hexdigest() for name, words in said.items()}


class _Known:
    """A raw table, and what is asked of its rows known in [since, until), found once for all day tables of it."""

    def __init__(self, raw: str, table: Table):
        self.raw, self.table = raw, table
        self.rows, self.by_day, self.hashes = cache(self._rows), cache(self._by_day), cache(self._hashes)

    def between(self, since: str, until: str) -> Table:
        """The rows, with ISO dates; all before `until` where `since` is empty."""
        past = known_before(self.table, date.fromisoformat(until))
        return past.filter(~is_known(past.known_at, date.fromisoformat(since))) if since else past

    def _rows(self, since: str, until: str) -> int:
        return self.between(since, until).count().execute()

    def _by_day(self, since: str, until: str) -> dict[str, int]:
        counts = (
            self.between(since, until).group_by(day=lambda t: t.known_at.cast("date")).agg(rows=lambda t: t.count())
        )
        return {row["day"].isoformat(): row["rows"] for row in counts.order_by("day").to_pyarrow().to_pylist()}

    def _hashes(self, since: str, until: str) -> dict[str, str]:
        """The sum of the hashes of all rows by day known: a sum, unlike an exclusive-or, counts equal rows."""
        names = ", ".join(f'"{name}"' for name in self.table.columns)
        rows = ibis.to_sql(self.between(since, until))
        query = f"SELECT known_at::DATE AS day, sum(hash({names})::HUGEINT) FROM ({rows}) GROUP BY day"
        return {day.isoformat(): str(total) for day, total in ibis.get_backend(self.table).raw_sql(query).fetchall()}


def _grown(folder: Path, kept: dict[str, Kept], name: str, known: _Known, until: date) -> int:
    """Bring one day table up to `until`, a month at a time; the number of raw rows added."""
    first, last = kept[name].until, until.isoformat()
    if first >= last:
        return 0
    if first:
        _refuse_rewritten(folder, known, kept[name])
    rows = known.by_day(first, last)
    for start, end in _months(rows or ({} if kept[name].files else {last: 0}), first, until):
        days = {day: n for day, n in rows.items() if start <= day < end}
        file = f"{start}_{end}_{kept[name].made[:8]}.parquet"
        _write(day_tables({known.raw: known.between(start, end)})[name], folder / name / file)
        now = kept[name]
        grown = replace(now, until=end, files=(*now.files, file), rows={**now.rows, **days}, recent={}, engine="")
        kept[name] = _together(folder / name, grown, known.table)
        _commit(folder, kept)
    hashes = known.hashes((until - timedelta(days=RECENT)).isoformat(), last)
    kept[name] = replace(kept[name], until=last, recent=hashes, engine=duckdb.__version__)
    _commit(folder, kept)
    return sum(rows.values())


def _months(rows: Mapping[str, int], first: str, until: date) -> Iterator[tuple[str, str]]:
    """Spans of days, [start, end) as ISO dates, each within a month, that hold the days of `rows` from `first` on."""
    for month in sorted({day[:7] for day in rows}):
        begins = date.fromisoformat(f"{month}-01")
        ends = (begins + timedelta(days=31)).replace(day=1)
        yield max(begins.isoformat(), first), min(ends, until).isoformat()


def _refuse_rewritten(folder: Path, known: _Known, kept: Kept) -> None:
    """Raises `Refused` where the raw rows of past days are not as many as were kept, or the latest have other cells."""
    stayed = f"{known.raw}: the rows known before {kept.until} must stay as they were"
    found = known.rows("", kept.until)
    if found != sum(kept.rows.values()):
        rows = known.by_day("", kept.until)
        day = min(day for day in {*rows, *kept.rows} if rows.get(day, 0) != kept.rows.get(day, 0))
        raise Refused(
            f"{stayed}, {sum(kept.rows.values()):,} of them, but there are {found:,}, first on {day}: "
            f"{kept.rows.get(day, 0):,} then, {rows.get(day, 0):,} now. Give late rows the known_at at which they "
            f"reached you; if history was corrected, remove {folder} to start anew."
        )
    if kept.engine != duckdb.__version__:
        return
    since = (date.fromisoformat(kept.until) - timedelta(days=RECENT)).isoformat()
    hashes = known.hashes(since, kept.until)
    if hashes != kept.recent:
        day = min(day for day in {*hashes, *kept.recent} if hashes.get(day) != kept.recent.get(day))
        raise Refused(
            f"{stayed}, but those of {day} have other values. A correction is a row of its own, with its own "
            f"known_at; if history was corrected, remove {folder} to start anew."
        )


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
    file = folder / MANIFEST
    if not file.exists():
        return {}
    return {name: Kept(**{**t, "files": tuple(t["files"])}) for name, t in json.loads(file.read_text()).items()}


def _commit(folder: Path, kept: Mapping[str, Kept]) -> None:
    """The manifest names only tables that were begun: one without a file is none."""
    begun = {name: asdict(table) for name, table in sorted(kept.items()) if table.files}
    with whole(folder / MANIFEST) as written:
        written.write_text(json.dumps(begun, indent=1))


def _sweep(folder: Path, kept: Mapping[str, Kept]) -> None:
    """Remove what an earlier run left: files that were cut, and those put together since."""
    for file in folder.glob("*/*"):
        if file.suffix == ".tmp" or (file.suffix == ".parquet" and file.name not in _files(kept, file.parent.name)):
            file.unlink()


def _files(kept: Mapping[str, Kept], name: str) -> tuple[str, ...]:
    return kept[name].files if name in kept else ()
