"""Day tables kept by the day known: appended to or made at once, they give the features of the raw rows."""

import json
import os
import subprocess
import threading
from datetime import date, timedelta
from pathlib import Path

import every_table
import homes
import ibis
import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
import shop

from contracts import files
from contracts.boundary import known_before
from contracts.errors import Refused, WorldFailed
from features import store, writing
from features.as_of import spine_of
from features.customer_table import customer_table, joined
from features.day_tables import day_tables
from features.store import bring_up, opened, take_back
from features.subjects import frame
from features.timelines import timelines
from features.writing import comparing, engine, write_features

START, DAYS = pd.Timestamp("2024-01-20"), 60
ENDS = [date(2024, 2, 3), date(2024, 2, 4), date(2024, 2, 5), date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 12)]


class Killed(BaseException):
    """As by a signal: no handler of errors is meant for it."""


def drawn(seed: int = 3, lines: int = 600, customers: int = 20) -> dict[str, pd.DataFrame]:
    """Orders of 60 days of which a third reach us late, and products of which half are named late."""
    draw = np.random.default_rng(seed)
    order = np.arange(lines) // 2
    customer, at = draw.integers(0, customers, lines)[order], draw.integers(0, DAYS * 24 * 60, lines)[order]
    ordered = START + pd.to_timedelta(at, "min")
    orders = pd.DataFrame(
        {
            "order_id": order,
            "customer_id": customer,
            "ordered_at": ordered,
            "product_id": draw.integers(0, 12, lines),
            "quantity": draw.integers(1, 4, lines).astype("float64"),
            "amount_cents": draw.integers(-300, 3000, lines),
            "discount_cents": draw.integers(0, 90, lines),
            "channel": draw.choice(["till", "web"], lines),
            "store_id": draw.integers(0, 3, lines),
            "known_at": ordered + pd.to_timedelta(draw.choice([0, 0, 2, 5 * 24], lines), "h"),
        }
    )
    products = pd.DataFrame(
        {
            "product_id": np.arange(12),
            "category": [f"category {i % 4}" for i in range(12)],
            "known_at": START + pd.to_timedelta(np.where(np.arange(12) % 2, -900, draw.integers(0, DAYS, 12)), "D"),
        }
    )
    return {"orders": orders, "products": products}


@pytest.fixture
def con():
    return ibis.duckdb.connect(threads=1)


@pytest.fixture
def tables(con):
    return every_table.on(con, "raw", drawn())


def features_from(folder: Path, tables, con, origins, attributes=()) -> pd.DataFrame:
    """The features by what is kept in a folder."""
    attributes = dict(attributes)
    days = opened(folder, con)
    spine = spine_of(tables["orders"], origins)
    return frame(joined(spine, {**tables, **timelines(days, tables)}, attributes))


def in_full(tables, origins, attributes=()) -> pd.DataFrame:
    """The same from the raw tables."""
    return frame(customer_table(spine_of(tables["orders"], origins), tables, dict(attributes)))


def rows_of(table) -> pd.DataFrame:
    rows = table.to_pandas()
    return rows.sort_values(list(rows.columns), ignore_index=True)


def content(folder: Path, con) -> dict[str, pd.DataFrame]:
    return {name: rows_of(table) for name, table in opened(folder, con).items()}


def same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], check_dtype=False)


def test_what_is_kept_gives_the_features_of_the_raw_rows_day_after_day(tables, con, tmp_path):
    """Late facts, late products, days without a run, months that end: always as if it were computed in full."""
    for end in (ENDS[0], *ENDS[-3:]):
        bring_up(tables, tmp_path, end)
        origins = (end - timedelta(days=20), end)
        pd.testing.assert_frame_equal(features_from(tmp_path, tables, con, origins), in_full(tables, origins))
        assert take_back(tables, tmp_path) == {}


def test_appended_day_by_day_or_made_at_once_is_the_same(tables, con, tmp_path):
    first, last = ENDS[0], ENDS[-1]
    for day in range((last - first).days + 1):
        bring_up(tables, tmp_path / "daily", first + timedelta(days=day))
    bring_up(tables, tmp_path / "once", last)
    same(content(tmp_path / "daily", con), content(tmp_path / "once", con))
    known = {name: known_before(table, last) for name, table in tables.items()}
    same(content(tmp_path / "once", con), {name: rows_of(table) for name, table in day_tables(known).items()})
    bring_up(tables, tmp_path / "daily", last + timedelta(days=1))
    february = [file.name for file in (tmp_path / "daily" / "order_days").glob("2024-02-*")]
    assert len(february) == 1, "a month that is over is one file"


@pytest.mark.slow
def test_every_raw_table_is_kept(con, tmp_path):
    tables = every_table.on(con, "raw", every_table.drawn())
    origins = (every_table.ORIGIN - timedelta(days=200), every_table.ORIGIN)
    for end in origins:
        bring_up(tables, tmp_path, end)
    found = features_from(tmp_path, tables, con, origins, every_table.ATTRIBUTES)
    pd.testing.assert_frame_equal(found, in_full(tables, origins, every_table.ATTRIBUTES))


def test_a_fact_lies_in_the_file_of_the_day_it_became_known(tables, con, tmp_path):
    for end in ENDS:
        bring_up(tables, tmp_path, end)
    late = 0
    for file in (tmp_path / "order_days").glob("*.parquet"):
        start, end = (date.fromisoformat(part) for part in file.name.split("_")[:2])
        rows = pd.read_parquet(file)
        known = pd.to_datetime(rows.known, unit="D")
        assert known.between(str(start), str(end - timedelta(days=1))).all()
        assert rows.customer_id.is_monotonic_increasing
        late += int((pd.to_datetime(rows.day, unit="D") < str(start)).sum())
    assert late > 5


def test_nothing_is_done_where_all_is_there(tables, tmp_path):
    assert set(bring_up(tables, tmp_path, ENDS[0]).values()) != {0}
    before = homes.digest(tmp_path)
    for end in (ENDS[0], ENDS[0] - timedelta(days=3)):
        assert set(bring_up(tables, tmp_path, end).values()) == {0}
    assert homes.digest(tmp_path) == before


def test_what_the_killed_left_goes_where_nothing_is_new(tables, tmp_path):
    bring_up(tables, tmp_path, ENDS[-1])
    process = subprocess.Popen(["true"])
    process.wait()
    left = [tmp_path / f".manifest.json.{process.pid}.tmp", tmp_path / "order_days" / f".x.parquet.{process.pid}.tmp"]
    for file in left:
        file.write_text("half")
    bring_up(tables, tmp_path, ENDS[-1])
    assert not any(file.exists() for file in left)


def test_only_what_became_known_since_is_added(tables, tmp_path):
    bring_up(tables, tmp_path, ENDS[0])
    rows = tables["orders"].to_pandas()
    new = int(((rows.known_at >= str(ENDS[0])) & (rows.known_at < str(ENDS[1]))).sum())
    assert bring_up(tables, tmp_path, ENDS[1]) == {"orders": new} and new > 0


@pytest.mark.parametrize("write", range(12))
def test_a_kill_at_any_write_loses_nothing(tables, con, tmp_path, monkeypatch, write):
    """Whatever was written before the kill, the next run gives what one without a kill gives."""
    bring_up(tables, tmp_path / "killed", ENDS[0])
    written, settle = [], files.settle

    def dying(temporary, file):
        written.append(file)
        if len(written) > write:
            raise Killed
        settle(temporary, file)

    monkeypatch.setattr(files, "settle", dying)
    with pytest.raises(Killed):
        bring_up(tables, tmp_path / "killed", ENDS[-1])
    monkeypatch.setattr(files, "settle", settle)
    opened(tmp_path / "killed", con)
    bring_up(tables, tmp_path / "killed", ENDS[-1])
    bring_up(tables, tmp_path / "whole", ENDS[0])
    bring_up(tables, tmp_path / "whole", ENDS[-1])
    same(content(tmp_path / "killed", con), content(tmp_path / "whole", con))
    bring_up(tables, tmp_path / "killed", ENDS[-1])  # sweeps
    kept = json.loads((tmp_path / "killed" / "manifest.json").read_text())
    found = {file.name for file in (tmp_path / "killed").glob("*/*")}
    assert found == {file for table in kept.values() for file in table["files"]}


def _removed(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    return orders.drop(past[0])


def _added(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    return pd.concat([orders, orders.loc[past[:1]].assign(order_id=99_999)])


def _all_removed(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    return orders.drop(past)


def _twice(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    return pd.concat([orders, orders.loc[past[:1]]])


def _another_cell(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    return orders.assign(amount_cents=orders.amount_cents.mask(orders.index == past[0], 7))


def _swapped(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    """The products of two rows of one day: as many rows, of the same values."""
    one, other = past[0], next(i for i in past if orders.product_id[i] != orders.product_id[past[0]])
    return orders.assign(product_id=orders.product_id.rename({one: other, other: one}).reindex(orders.index))


def _gone_over(orders: pd.DataFrame, past: pd.Index) -> pd.DataFrame:
    """One that is known a day later than it was."""
    return orders.assign(known_at=orders.known_at.mask(orders.index == past[0], orders.known_at + pd.Timedelta("1D")))


@pytest.mark.parametrize("changed", [_removed, _all_removed, _added, _twice, _another_cell, _swapped, _gone_over])
@pytest.mark.parametrize("day", ["2024-01-25", "2024-02-28", "2024-03-11"])
def test_a_past_that_has_changed_is_found_and_made_anew(con, tmp_path, changed, day):
    """Weeks ago or yesterday, whatever happened to a row: the months before it stay, and the rest is as if made now."""
    frames, folder = drawn(), tmp_path / "kept"
    bring_up(every_table.on(con, "before", frames), folder, ENDS[-1])
    assert take_back(every_table.on(con, "before", frames), folder) == {}
    orders, before = frames["orders"], homes.digest(folder)
    past = orders.index[orders.known_at.dt.floor("D") == day]
    frames["orders"] = changed(orders, past)
    now = every_table.on(con, "after", frames)
    assert take_back(now, folder) == {"orders": day}
    bring_up(now, folder, ENDS[-1])
    bring_up(now, tmp_path / "once", ENDS[-1])
    same(content(folder, con), content(tmp_path / "once", con))
    earlier = {name for name in before if name.split("/")[-1][:7] < day[:7]}
    assert before.items() >= {name: homes.digest(folder)[name] for name in earlier}.items()
    assert take_back(now, folder) == {}


def test_a_late_row_is_no_change_of_the_past(con, tmp_path):
    frames = drawn()
    bring_up(every_table.on(con, "before", frames), tmp_path, ENDS[1])
    late = frames["orders"].iloc[:1].assign(order_id=99_999, known_at=pd.Timestamp(ENDS[1]) + pd.Timedelta("1h"))
    frames["orders"] = pd.concat([frames["orders"], late])
    now = every_table.on(con, "after", frames)
    assert take_back(now, tmp_path) == {}
    bring_up(now, tmp_path, ENDS[2])
    pd.testing.assert_frame_equal(features_from(tmp_path, now, con, (ENDS[2],)), in_full(now, (ENDS[2],)))


def test_another_release_of_the_engine_makes_all_anew(tables, con, tmp_path, monkeypatch):
    """Its hashes may be others: they are not compared, and nothing that they are of is kept."""
    bring_up(tables, tmp_path, ENDS[1])
    before = content(tmp_path, con)
    monkeypatch.setattr(store.duckdb, "__version__", "99.0")
    assert take_back(tables, tmp_path) == {}
    assert bring_up(tables, tmp_path, ENDS[1])["orders"] > 0
    same(content(tmp_path, con), before)
    assert take_back(tables, tmp_path) == {} and set(bring_up(tables, tmp_path, ENDS[1]).values()) == {0}


def test_a_table_that_the_source_has_no_more_is_kept_no_more(con, tmp_path):
    frames = every_table.drawn()
    some = {name: frames[name] for name in ("orders", "products", "visits")}
    bring_up(every_table.on(con, "before", some), tmp_path, ENDS[0])
    del some["visits"]
    bring_up(every_table.on(con, "after", some), tmp_path, ENDS[0])
    assert content(tmp_path, con).keys() == {"order_days", "product_days"}


def test_what_other_code_has_kept_in_its_way_is_not_read(tables, con, tmp_path):
    bring_up(tables, tmp_path, ENDS[1])
    before, file = content(tmp_path, con), tmp_path / store.MANIFEST
    old = {name: {**table, "recent": {}} for name, table in json.loads(file.read_text()).items()}
    file.write_text(json.dumps(old))
    with pytest.raises(Refused, match="none are. Bring them up first"):
        opened(tmp_path, con)
    assert take_back(tables, tmp_path) == {}
    bring_up(tables, tmp_path, ENDS[1])
    same(content(tmp_path, con), before)


def test_tables_of_other_code_are_made_anew(tables, con, tmp_path, monkeypatch):
    bring_up(tables, tmp_path, ENDS[1])
    before, changed = homes.digest(tmp_path / "product_days"), store.day_tables

    def doubled(raw):
        return {name: t.mutate(lines=t.lines * 2) if name == "order_days" else t for name, t in changed(raw).items()}

    monkeypatch.setattr(store, "day_tables", doubled)
    added = bring_up(tables, tmp_path, ENDS[1])
    assert added["orders"] > 0 and homes.digest(tmp_path / "product_days") == before
    known = {name: known_before(table, ENDS[1]) for name, table in tables.items()}
    same({"order_days": content(tmp_path, con)["order_days"]}, {"order_days": rows_of(doubled(known)["order_days"])})


def test_nothing_kept_is_refused(con, tmp_path):
    with pytest.raises(Refused, match="none are. Bring them up first"):
        opened(tmp_path, con)


def written(tmp_path, name, frames, origins, attributes, memory=1000, threads=1, columns=None) -> Path:
    """A file of features, by an engine of its own."""
    out = tmp_path / f"{name}.parquet"
    with engine(tmp_path, memory, threads) as con:
        raw = every_table.on(con, "raw", frames)
        write_features(spine_of(raw["orders"], origins), raw, attributes, out, columns)
        assert con.raw_sql("SELECT current_setting('threads')").fetchone() == (threads,), "the caller's are taken"
    assert {file.name for file in tmp_path.iterdir()} == {f.name for f in tmp_path.glob("*.parquet")}, "left behind"
    return out


def test_a_limit_above_what_the_machine_has_is_taken_as_it_is(tmp_path):
    with engine(tmp_path, 2 * psutil.virtual_memory().total // 2**20 + 4096, 1) as con:
        assert con.raw_sql("SELECT 1").fetchone() == (1,)


@pytest.mark.slow
def test_customers_in_many_ranges_have_the_features_of_all_at_once(con, tmp_path, monkeypatch):
    """Also those that compare them; in key order; the same bytes on one thread as on two."""
    frames, given = every_table.drawn(), every_table.ATTRIBUTES
    origins = (every_table.ORIGIN - timedelta(days=200), every_table.ORIGIN)
    each, seen = writing._Writing._each, []
    monkeypatch.setattr(writing._Writing, "_each", lambda self, t: seen.append(len(self.ranges)) or each(self, t))
    monkeypatch.setattr(writing, "GROUP_ROWS", 64)
    at_once = written(tmp_path, "at_once", frames, origins, given)
    assert seen == [1, 1] and pq.ParquetFile(at_once).num_row_groups == 4
    monkeypatch.setattr(writing, "FEWEST_ROWS", 10)
    by_two = written(tmp_path, "by_two", frames, origins, given, threads=2)
    assert seen[2:] == [2, 2], "each thread has a range"
    monkeypatch.setattr(writing, "CELL_BYTES", 100_000)
    ranges = written(tmp_path, "ranges", frames, origins, given, threads=2)
    assert min(seen[4:]) >= 3
    assert ranges.read_bytes() == by_two.read_bytes() == at_once.read_bytes()
    keys = list(pd.read_parquet(ranges, columns=["customer_id", "origin"]).itertuples(index=False, name=None))
    assert keys == sorted(keys)
    full = in_full(every_table.on(con, "raw", frames), origins, given)
    pd.testing.assert_frame_equal(frame(ibis.memtable(pq.read_table(ranges))), full)
    assert comparing(given) <= {*full.columns} and full[list(comparing(given))].notna().any().all()


def test_some_columns_are_those_of_all(tmp_path):
    frames, names = drawn(), ["x", "price_level_365", "favourite_category_365", "rfm"]
    some = pd.read_parquet(written(tmp_path, "some", frames, tuple(ENDS), {}, columns=names))
    every = pd.read_parquet(written(tmp_path, "every", frames, tuple(ENDS), {}))
    assert set(some.columns) == {"customer_id", "origin", *names}
    pd.testing.assert_frame_equal(some, every[some.columns])


def test_a_file_is_whole_or_the_older_one(tmp_path, monkeypatch, capfd):
    """And what is at work on ranges that nobody wants any more has ended; nothing is said on the side."""
    out = written(tmp_path, "features", drawn(), (ENDS[0],), {})
    before = out.read_bytes()

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(writing, "GROUP_ROWS", 8)
    monkeypatch.setattr(writing, "RANGE_ROWS", 50)
    monkeypatch.setattr(writing.pq.ParquetWriter, "write_table", full_disk)
    with engine(tmp_path, 1000, 2) as con:
        raw = every_table.on(con, "raw", drawn())
        with pytest.raises(WorldFailed, match="No space left") as failed:
            write_features(spine_of(raw["orders"], (ENDS[1],)), raw, {}, out)
        assert con.raw_sql("SELECT current_setting('threads')").fetchone() == (2,) and failed
        assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
    assert out.read_bytes() == before and os.listdir(tmp_path) == ["features.parquet"]
    assert not capfd.readouterr().err


@pytest.mark.slow
def test_a_table_larger_than_memory_is_written(tmp_path):
    """It takes several times the smaller memory: customers are taken in ranges, and the bytes are the same."""
    for name, frame_ in drawn(lines=300_000, customers=5000).items():
        frame_.astype({c: "datetime64[us]" for c in frame_ if frame_[c].dtype.kind == "M"}).to_parquet(
            tmp_path / f"{name}.parquet"
        )
    files = []
    for memory in (100, 4000):
        with engine(tmp_path, memory, 1) as con:
            raw = {name: con.read_parquet(tmp_path / f"{name}.parquet") for name in ("orders", "products")}
            files.append(tmp_path / f"{memory}.parquet")
            assert write_features(spine_of(raw["orders"], tuple(ENDS)), raw, {}, files[-1]) == 30_000
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return homes.make(tmp_path_factory.mktemp("features") / "home")


@pytest.mark.slow
def test_the_command_writes_the_features_of_the_population(home):
    for as_of in (homes.EARLIER, homes.AS_OF):
        code, out, err = homes.crm(home, "features", "shop", "--as-of", as_of)
        assert code == 0, err
        file = home / "data" / "features" / "shop" / f"as_of={as_of}" / "features.parquet"
        assert str(file) in out.replace("\n", "")
    lines = pd.read_csv(home / "data" / "shop" / "lines.csv", parse_dates=["Date"])
    known = lines[lines.Date + pd.Timedelta(hours=1) < homes.AS_OF]
    active = known[known.Date.dt.normalize() >= pd.Timestamp(homes.AS_OF) - pd.Timedelta(days=91)]
    found = pd.read_parquet(file)
    assert list(found.customer_id) == sorted(active.Client.astype(str).unique())
    spend = known.groupby(known.Client.astype(str)).Net.sum().mul(100).round()
    in_year = found.set_index("customer_id").spend_cents_365
    assert (in_year == spend[in_year.index]).all(), "the shop is younger than a year"
    assert {p.name for p in file.parents[1].iterdir()} == {"days", f"as_of={homes.EARLIER}", file.parent.name, ".lock"}
    assert shop.CUSTOMERS > len(found) > 50


@pytest.mark.slow
def test_the_command_describes_and_refuses(home):
    code, out, _ = homes.crm(home, "features", "shop", "--describe")
    assert code == 0 and "recency_days" in out and "never bought" in out
    code, _, err = homes.crm(home, "features", "shop")
    assert code == 2 and "one of the two" in err
    code, _, err = homes.crm(home, "features", "shop", "--as-of", homes.AS_OF, "--origins", "0")
    assert code == 2 and "origins must be at least 1" in err
    code, _, err = homes.crm(home, "features", "shop", "--as-of", "2025-01-20")
    assert code == 2 and "The orders must reach up to" in err
    code, _, err = homes.crm(home, "features", "german", "--as-of", homes.AS_OF)
    assert code == 2 and "is flat" in err
