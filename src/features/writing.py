"""A table of features as one Parquet file, for any number of customers in a bounded memory.

Customers are taken in ranges of their ids, as many at a time as there are threads, so that no thread waits for another
in the middle of a range: what a range needs is computed, written and forgotten.
A range's rows are in the order of (customer_id, origin), so that the whole file is. Columns that compare a customer
with others (`comparing`) are computed before, of all at once. The bytes are the same for any memory and any number of
threads.
"""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path

import duckdb
import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from contracts.boundary import known_before
from contracts.errors import WorldFailed
from contracts.files import scratch, settle
from features import categories, regions, relations, responses
from features.as_of import KEYS, beside
from features.customer_table import column_dictionary, joined, read_for
from features.day_tables import unsummed
from features.timelines import timelines

CELL_BYTES = 50  # of memory for each cell of a range, counting what its sums need
ROW_BYTES = 150  # and for each row of what is read for it
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
RANGE_ROWS = 3_000_000  # and no more are read for it: sums of fewer stay nearer to the processor
FEWEST_ROWS = 250_000  # for less it is not worth it that each thread has a range
GROUP_ROWS = 2**16  # of the file, for any ranges
LINES = "lines"  # the database in which timelines are kept: in memory, and in the spill folder where that is too small
RANGE = "range_"  # before the name of a table, a view of it in one range of customers
COMPARING = frozenset(
    column.name
    for columns in (relations.COLUMNS, categories.PRICE, categories.OWN_BRAND, responses.RATE, responses.KINDS)
    for column in columns
)


@contextmanager
def engine(folder: Path, memory_mb: int, threads: int | None = None) -> Iterator[Backend]:
    """A DuckDB that takes at most so much memory, and puts what is more into a folder in `folder`, removed at the end.

    What has been made and waits to be written is beside that, up to a quarter more.

    threads  None takes all of the machine's
    """
    settings = {"threads": threads} if threads else {}
    with scratch(folder, "spill") as spill:
        con = ibis.duckdb.connect(memory_limit=f"{memory_mb}MB", temp_directory=str(spill), **settings)
        try:
            with suppress(duckdb.InvalidInputException):  # where the limit is more than the machine has
                # kept when free: the system takes long to give it anew
                con.raw_sql("SET block_allocator_memory = '50%'")
            yield con
        finally:
            con.disconnect()


def comparing(attributes: Mapping[str, str]) -> frozenset[str]:
    """The names of the columns that compare a customer with others, who must be known all at once."""
    makers = {"region": regions.columns, "group": relations.group_columns}
    return COMPARING | {c.name for name, kind in attributes.items() if kind in makers for c in makers[kind](name)}


def write_features(
    spine: Table,
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    out: Path,
    columns: Collection[str] | None = None,
    days: Mapping[str, Table] | None = None,
) -> int:
    """Write the features of every pair of the spine to `out`, in the order of (customer_id, origin); the rows written.

    spine    on the connection of the tables, whose memory limit (`engine`) says how many customers are taken at once
    columns  only these; None is all
    days     the day tables, where they are kept (`features.store.opened`); None makes them

    The file is whole, or it is not there. Raises `Refused` as `column_dictionary` does, `WorldFailed` when memory or
    disk run out.
    """
    con = ibis.get_backend(spine)
    try:
        with scratch(out.parent, out.name) as place:
            con.raw_sql(f"ATTACH ':memory:' AS {LINES}")
            try:
                rows = _Writing(con, spine, tables, attributes, columns, days).write(place / "out.parquet")
            finally:
                con.raw_sql(f"DETACH {LINES}")
            settle(place / "out.parquet", out)
    except (OSError, duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise WorldFailed(f"{out.name} could not be written to {out.parent}: {error} Free memory or disk.") from error
    return rows


class _Writing:
    """The steps of `write_features`, on tables of the database `LINES` and views of one range of customers."""

    def __init__(self, con, spine, tables, attributes, columns, days):
        self.con, self.attributes, self.at_work = con, attributes, []
        self.spine = self._kept("spine", spine.order_by(*KEYS))
        self.wanted = [c for c in column_dictionary(tables, attributes) if columns is None or c in columns]
        self.tables = read_for(tables, self.wanted)
        made = timelines(_named(days or unsummed(self.tables)), self.tables)
        self.lazy = {**self.tables, **made}
        self.ready = self._joined(_named({**made, "spine": self.spine}), set(self.wanted) - comparing(attributes))
        self.needed = self._needed(made)
        self.ranges = self._ranges(days or tables)
        self.days = self._kept_in_order(days or self._unsummed())

    def write(self, file: Path) -> int:
        """All ranges to one file; the number of rows."""
        lines = self._timelines()
        compared = self._compared(lines)
        seen = {**lines, "spine": self.spine, **({} if compared is None else {"compared": compared})}
        parts = [] if compared is None else [_named(seen)["compared"]]
        sql = ibis.to_sql(beside(self.ready, *parts).select(*KEYS, *self.wanted).order_by(*KEYS), dialect="duckdb")
        with closing(self._side_by_side(partial(self._rows, sql), self._each(seen))) as ranges:
            rows = _to_parquet(ranges, file)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        return rows

    def _unsummed(self) -> dict[str, Table]:
        """The day tables of what was known before the last origin."""
        until = self.spine.origin.max().to_pyarrow().as_py()
        return unsummed({name: known_before(table, until) for name, table in self.tables.items()})

    def _kept_in_order(self, days: Mapping[str, Table]) -> dict[str, Table]:
        """Those that are read, in the order of customers: neighbours are then summed in half the time."""
        return {name: self._kept(name, _in_order(days[name])) for name in sorted(self.needed & {*days})}

    def _rows(self, sql: str, views: Iterable[str]) -> pa.Table:
        """The rows of one range of customers, by a connection of its own, which has views of its own."""
        with self.con.con.cursor() as con:
            self.at_work.append(con)
            try:
                for view in views:
                    con.execute(view)
                return con.execute(sql).to_arrow_table(GROUP_ROWS)
            finally:
                self.at_work.remove(con)

    def _side_by_side(self, work: Callable[[list[str]], pa.Table], each: Iterable[list[str]]) -> Iterator[pa.Table]:
        """What `work` makes of each, in their order, on all threads at once, each with one of its own.

        To be closed: where nobody wants the rest, what is at work is stopped, and the caller's threads are given back.
        """
        with _one_thread_each(self.con) as threads, ThreadPoolExecutor(threads) as pool:
            ahead = deque()
            try:
                for views in each:
                    ahead.append(pool.submit(work, views))
                    if len(ahead) > threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for con in [*self.at_work]:
                    with suppress(duckdb.Error):  # ended meanwhile
                        con.interrupt()
                raise

    def _timelines(self) -> dict[str, Table]:
        """What blocks read, of all customers: day tables as they are, timelines made a range of customers at a time."""
        made = timelines(_named(self.days), self.tables)
        made = {name: table for name, table in made.items() if name in self.needed and name not in self.days}
        once = {name: self._kept(name, table) for name, table in made.items() if "customer_id" not in table.columns}
        steps = {name: ibis.to_sql(_in_order(made[name]), dialect="duckdb") for name in made if name not in once}
        for number, views in enumerate(self._each(self.days)):
            for view in views:
                self.con.raw_sql(view)
            for name, query in steps.items():
                into = f"INSERT INTO {LINES}.{name}" if number else f"CREATE TABLE {LINES}.{name} AS"
                self.con.raw_sql(f"{into} {query}")
        kept = {name: self.con.table(name, database=(LINES, "main")) for name in steps}
        return self.days | once | kept

    def _needed(self, made: Mapping[str, Table]) -> set[str]:
        """The names of the timelines that the wanted columns read, and of the day tables that either reads."""
        read = _reads(self.ready)
        if names := self._names_compared():
            read |= _reads(self._joined(_named({**made, "spine": self.spine}), names))
        return read.union(*(_reads(made[name]) for name in read & {*made}))

    def _compared(self, lines: Mapping[str, Table]) -> Table | None:
        """The columns that compare customers, of all of them, or None where none is wanted."""
        if not (names := self._names_compared()):
            return None
        return self._kept("compared", self._joined({**lines, "spine": self.spine}, names).order_by(*KEYS))

    def _names_compared(self) -> list[str]:
        return [name for name in self.wanted if name in comparing(self.attributes)]

    def _joined(self, made: Mapping[str, Table], names: Collection[str]) -> Table:
        """The columns of these names, of the spine and the timelines among what is `made`."""
        return joined(made["spine"], {**self.lazy, **made}, self.attributes, names)

    def _ranges(self, tables: Mapping[str, Table]) -> list[tuple]:
        """The first customer_id of each range, and of the next; None for the ends. `tables` are read for them."""
        pairs = self.spine.count().execute()
        rows = sum(table.count().execute() for table in tables.values())
        need = pairs * len(self.wanted) * CELL_BYTES + rows * ROW_BYTES
        threads = _threads(self.con)
        room = _memory(self.con) // (threads + 1)  # one is written while the others are made
        many = max(-(-need // room), -(-rows // RANGE_ROWS), min(threads, rows // FEWEST_ROWS))
        ids = self.spine.select("customer_id").distinct()
        ids = ids.mutate(at=ibis.row_number().over(order_by=ids.customer_id))
        each = max(-(-ids.count().execute() // many), 1)
        firsts = ids.filter((ids.at % each == 0) & (ids.at > 0)).order_by("at").customer_id.to_pyarrow().to_pylist()
        return list(zip([None, *firsts], [*firsts, None], strict=True))

    def _each(self, tables: Mapping[str, Table]) -> Iterator[list[str]]:
        """What points the views of these tables at one range after the other."""
        for ends in self.ranges:
            yield [_view(name, _within(table, tables, *ends)) for name, table in tables.items()]

    def _kept(self, name: str, table: Table) -> Table:
        self.con.raw_sql(f"CREATE TABLE {LINES}.{name} AS {ibis.to_sql(table)}")
        return self.con.table(name, database=(LINES, "main"))


def _within(table: Table, tables: Mapping[str, Table], first, following) -> Table:
    """The rows of the customers in a range: those of her applications, and all of a table that names no customer."""
    if "customer_id" not in table.columns:
        if "application_id" not in table.columns:
            return table
        return table.semi_join(_within(tables["application_days"], tables, first, following), "application_id")
    table = table if first is None else table.filter(table.customer_id >= first)
    return table if following is None else table.filter(table.customer_id < following)


def _view(name: str, table: Table) -> str:
    return f"CREATE OR REPLACE TEMP VIEW {RANGE}{name} AS {ibis.to_sql(table)}"


def _named(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Tables that stand for these in one range of customers."""
    return {name: ibis.table(table.schema(), name=f"{RANGE}{name}") for name, table in tables.items()}


def _reads(table: Table) -> set[str]:
    """The names of the tables that stand for others in an expression."""
    return {named.name.removeprefix(RANGE) for named in table.op().find(ops.UnboundTable)}


def _in_order(table: Table) -> Table:
    return table.order_by("customer_id") if "customer_id" in table.columns else table


def _memory(con: Backend) -> int:
    """The bytes of memory that a connection may take."""
    number, unit = _setting(con, "memory_limit").split()
    return int(float(number) * UNITS[unit])


def _threads(con: Backend) -> int:
    return int(_setting(con, "threads"))


def _setting(con: Backend, name: str):
    return con.raw_sql(f"SELECT current_setting('{name}')").fetchone()[0]


@contextmanager
def _one_thread_each(con: Backend) -> Iterator[int]:
    """Each statement takes one thread; how many there are."""
    threads = _threads(con)
    con.raw_sql("SET threads = 1")
    try:
        yield threads
    finally:
        con.raw_sql(f"SET threads = {threads}")


def _to_parquet(ranges: Iterator[pa.Table], file: Path) -> int:
    """The rows of one range after the other, in row groups of `GROUP_ROWS` wherever one ends; the number of rows."""
    waiting = next(ranges)
    rows = len(waiting)
    names = [field.name for field in waiting.schema if pa.types.is_string(field.type)]
    how = {"compression": "snappy", "use_dictionary": names, "write_statistics": [*KEYS]}
    with pq.ParquetWriter(file, waiting.schema, **how) as writer:
        for table in chain(ranges, [waiting.slice(0, 0)]):
            whole = len(waiting) // GROUP_ROWS * GROUP_ROWS
            for first in range(0, whole, GROUP_ROWS):
                writer.write_table(waiting.slice(first, GROUP_ROWS).combine_chunks(), GROUP_ROWS)
            waiting = pa.concat_tables([waiting.slice(whole), table])
            rows += len(table)
        writer.write_table(waiting.combine_chunks(), GROUP_ROWS)
    return rows
