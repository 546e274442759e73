"""Same data? A table's fingerprint sees every cell and type, and neither the order of rows nor what holds them."""

from datetime import date
from importlib.util import find_spec

import homes
import ibis
import numpy as np
import pandas as pd
import pytest
import shop
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.boundary import known_before
from pipelines.fingerprints import fingerprints
from registry.fingerprint import table_fingerprint
from sources import open_source

ROWS = pd.DataFrame(
    {
        "customer_id": [1, 2, 3, 3],
        "amount_cents": [100, 250, None, None],
        "refund_cents": [0, 250, 7, 7],
        "day": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03"]).astype("datetime64[us]"),
        "vip": [True, False, True, True],
    }
).astype({"amount_cents": "Int64"})
# every kind of column that raw tables and training tables have, with what is missing in each
KINDS = pd.DataFrame(
    {
        "customer_id": ["a", "b", 'c, "d"', "ü"],
        "lines": pd.array([1, None, -3, 2**62], dtype="Int64"),
        "small": np.array([1, 2, 3, 4], dtype="int32"),
        "ratio": [0.5, np.nan, -0.0, 1e300],
        "at": pd.to_datetime(["2024-02-29 23:59:59.999999", None, "1970-01-01", "2024-07-01"], format="ISO8601"),
        "day": [date(2024, 2, 29), None, date(1969, 12, 31), date(2024, 7, 1)],
        "vip": pd.array([True, False, None, True], dtype="boolean"),
        "town": pd.Categorical(["Rome", None, "Oslo", "Rome"]),
    }
).astype({"at": "datetime64[us]"})
KNOWN_ANSWER = "8952a1d95b3aa7e323592cd8ede93f23d686b5bdcba269eb5b85a9b5d9a1bbe0"


def fingerprint(rows: pd.DataFrame) -> str:
    return table_fingerprint(ibis.duckdb.connect().create_table("t", rows))


def changed(column, value, row=3):
    rows = ROWS.copy()
    rows.loc[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("the last row's number", changed("refund_cents", 8)),
        ("the last row's flag", changed("vip", False)),
        ("all flags", ROWS.assign(vip=~ROWS.vip)),
        ("a date by a day", changed("day", pd.Timestamp("2024-01-04"))),
        ("a date by a microsecond", changed("day", pd.Timestamp("2024-01-03 00:00:00.000001"))),
        ("all dates by a day", ROWS.assign(day=ROWS.day + pd.Timedelta(days=1))),
        ("a null for a zero", changed("amount_cents", 0)),
        ("a type", ROWS.astype({"refund_cents": "float64"})),
        ("a narrower type", ROWS.astype({"refund_cents": "int32"})),
        ("text for numbers", ROWS.astype({"refund_cents": "str"})),
        ("a date for a time", ROWS.assign(day=ROWS.day.dt.date)),
        ("a time with a zone", ROWS.assign(day=ROWS.day.dt.tz_localize("UTC"))),
        ("two columns' values", ROWS.assign(amount_cents=ROWS.refund_cents, refund_cents=ROWS.amount_cents)),
        ("two columns' places", ROWS[["customer_id", "refund_cents", "amount_cents", "day", "vip"]]),
        ("two columns' names", ROWS.rename(columns={"customer_id": "refund_cents", "refund_cents": "customer_id"})),
        ("a column's name", ROWS.rename(columns={"vip": "VIP"})),
        ("a row left out", ROWS.iloc[:3]),
        ("an equal row more", pd.concat([ROWS, ROWS.iloc[3:]])),
        ("two equal rows more", pd.concat([ROWS, ROWS.iloc[2:]])),
        ("values of two rows swapped", ROWS.assign(refund_cents=[250, 0, 7, 7])),
    ],
)
def test_a_fingerprint_sees(what, rows):
    assert fingerprint(rows) != fingerprint(ROWS), what


def test_a_fingerprint_does_not_forget_rows_that_occur_twice():
    """The exclusive or of equal hashes is nothing, whichever row it is that occurs twice."""
    assert fingerprint(ROWS.iloc[[0, 0, 2]]) != fingerprint(ROWS.iloc[[1, 1, 2]])


def test_a_swap_of_two_labels_that_a_plain_sum_of_hashes_does_not_see():
    """DuckDB's hash of a row is the mixed hash of the first cell, exclusive or that of the second.

    Where two ids agree in the bits in which the hashes of true and false differ, their labels can be swapped. Of
    100,000 customers 83 such pairs; of one of them, 245 and 75552, the labels are swapped here.
    """
    con = ibis.duckdb.connect()
    con.raw_sql("CREATE TABLE told AS SELECT range AS customer_id, range % 7 = 0 AS left_us FROM range(100000)")
    con.raw_sql("CREATE TABLE swapped AS FROM told")
    con.raw_sql("UPDATE swapped SET left_us = NOT left_us WHERE customer_id IN (245, 75552)")
    plain = "SELECT sum(hash(customer_id, left_us)) FROM "
    assert con.raw_sql(plain + "told").fetchone() == con.raw_sql(plain + "swapped").fetchone(), "no longer so"
    assert table_fingerprint(con.table("told")) != table_fingerprint(con.table("swapped"))


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)))
def test_a_fingerprint_does_not_see_the_order_of_rows(order):
    assert fingerprint(ROWS.iloc[order]) == fingerprint(ROWS)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_cell_is_changed_the_fingerprint_is_another(data):
    rows = KINDS.astype(object).where(KINDS.notna(), None)
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(list(rows.columns)))
    others = {
        "customer_id": st.text(max_size=3),
        "lines": st.integers(-(2**63), 2**63 - 1),
        "small": st.integers(-(2**31), 2**31 - 1),
        "ratio": st.floats(allow_nan=False),
        "at": st.datetimes().map(pd.Timestamp).map(lambda t: t.as_unit("us")),
        "day": st.dates(),
        "vip": st.booleans(),
        "town": st.sampled_from(["Rome", "Oslo", ""]),
    }
    value = data.draw(others[column] if column in ("customer_id", "small") else st.none() | others[column])
    before = rows.loc[row, column]
    rows.loc[row, column] = value
    found = fingerprint(rows.astype(dict(KINDS.dtypes) | {"town": "str"}))
    assert (found == fingerprint(KINDS)) == (value == before)


def test_a_fingerprint_is_of_the_content_not_of_the_table_or_the_threads():
    con = ibis.duckdb.connect(threads=2)
    big = pd.concat([ROWS.assign(customer_id=k) for k in range(3000)])
    con.create_table("another", big)
    assert table_fingerprint(con.table("another")) == fingerprint(big)


def test_an_empty_table_has_a_fingerprint():
    assert fingerprint(ROWS.iloc[:0]) != fingerprint(ROWS.iloc[:0].drop(columns="vip"))
    assert fingerprint(ROWS.iloc[:0][["vip", "day"]]) != fingerprint(ROWS.iloc[:0][["day", "vip"]])


def test_the_fingerprint_of_a_small_table_is_the_one_that_was_published():
    """Whoever sees this fail has a DuckDB that hashes otherwise: fingerprints of before compare with none of after."""
    assert fingerprint(KINDS) == KNOWN_ANSWER


def test_pandas_and_parquet_of_any_writer_have_one_fingerprint(tmp_path):
    con = ibis.duckdb.connect()
    expected = fingerprint(KINDS)
    KINDS.to_parquet(tmp_path / "pandas.parquet")
    con.create_table("kinds", KINDS).to_parquet(tmp_path / "duckdb.parquet")
    con.raw_sql("CREATE TABLE enums AS SELECT * REPLACE (town::ENUM('Oslo', 'Rome') AS town) FROM kinds")
    found = {
        "a frame in memory": table_fingerprint(ibis.memtable(KINDS)),
        "pandas": table_fingerprint(con.read_parquet(tmp_path / "pandas.parquet")),
        "duckdb": table_fingerprint(con.read_parquet(tmp_path / "duckdb.parquet")),
        "text by number": table_fingerprint(con.table("enums")),
        "part of an expression": table_fingerprint(con.table("kinds").mutate(more=1).drop("more")),
    }
    assert found == dict.fromkeys(found, expected)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_the_unit_of_a_time_is_no_content_as_long_as_no_digit_is_lost(tmp_path, unit):
    whole = KINDS[["customer_id", "at"]].assign(at=KINDS["at"].dt.floor("s"))
    whole.astype({"at": f"datetime64[{unit}]"}).to_parquet(tmp_path / "times.parquet")
    assert table_fingerprint(ibis.duckdb.connect().read_parquet(tmp_path / "times.parquet")) == fingerprint(whole)


def test_digits_below_a_microsecond_count():
    con = ibis.duckdb.connect()
    for name, time in (("one", "0000001"), ("two", "000000001"), ("three", "000000002"), ("none", "0")):
        con.raw_sql(f"CREATE TABLE {name} AS SELECT TIMESTAMP_NS '2024-01-01 00:00:00.{time}' AS at")
    assert len({table_fingerprint(con.table(name)) for name in ("one", "two", "three", "none")}) == 4


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pyspark") is None, reason="PySpark is not installed")
def test_spark_counts_the_same_in_its_workers(tmp_path):
    """Parquet, whose times have no zone; a frame of pandas, whose times Spark keeps in the session's; no row at all."""
    from sources.spark import connect_spark

    con = ibis.duckdb.connect()
    many = pd.concat([KINDS.assign(small=np.int32(k)) for k in range(500)], ignore_index=True)
    con.create_table("many", many).to_parquet(tmp_path / "many.parquet")
    spark = connect_spark()
    try:
        parquet = spark.read_parquet(str(tmp_path / "many.parquet"), table_name="many")
        plain = many[["customer_id", "small", "at"]]
        spark._session.createDataFrame(plain).repartition(3).createOrReplaceTempView("plain")
        found = [parquet, spark.table("plain"), parquet.filter(parquet.small < 0)]
        none = con.table("many").filter(ibis._.small < 0)
        expected = [fingerprint(many), fingerprint(plain), table_fingerprint(none)]
        assert [table_fingerprint(table) for table in found] == expected
        assert table_fingerprint(parquet.filter(parquet.small > 0)) not in expected
    finally:
        spark.disconnect()


def test_csv_by_its_contract_and_the_same_rows_from_parquet(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "data" / "sources").mkdir(parents=True)
    shop.write_shop(tmp_path)
    folder = tmp_path / "data" / "shop"
    csv = table_fingerprint(open_source("shop").tables["orders"])
    pd.read_csv(folder / "lines.csv", parse_dates=["Date"]).iloc[::-1].to_parquet(folder / "lines.parquet")
    yml = tmp_path / "data" / "sources" / "shop.yml"
    yml.write_text(yml.read_text().replace("lines.csv", "lines.parquet"))
    assert table_fingerprint(open_source("shop").tables["orders"]) == csv


@pytest.mark.slow
def test_ten_million_rows(tmp_path):
    """One label of the last row, one date, all flags, a type, two columns; the order of rows and of files."""
    con = ibis.duckdb.connect()
    con.raw_sql("SET preserve_insertion_order = false")
    last, parts = 9_999_999, [tmp_path / f"{k}.parquet" for k in range(4)]
    made = "range AS customer_id, DATE '2023-01-01' + (range % 700)::INT AS day, range % 3 = 0 AS vip, "
    made += "range % 7 = 0 AS left_us"
    for k, part in enumerate(parts):
        con.raw_sql(f"COPY (SELECT {made} FROM range({k * 2_500_000}, {(k + 1) * 2_500_000})) TO '{part}'")

    def of(columns: str, files=parts, end: str = "") -> str:
        rows = f"read_parquet({[str(file) for file in files]})"
        return table_fingerprint(con.sql(f"SELECT {columns} FROM {rows} {end}"))

    before = of("*")
    seen = {
        "a label": of(f"* REPLACE (left_us <> (customer_id = {last}) AS left_us)"),
        "a day": of(f"* REPLACE (day + (customer_id = {last // 2})::INT AS day)"),
        "a flag": of("* REPLACE (NOT vip AS vip)"),
        "a type": of("* REPLACE (customer_id::DOUBLE AS customer_id)"),
        "two columns": of("* REPLACE (vip AS left_us, left_us AS vip)"),
        "their places": of("customer_id, day, left_us, vip"),
    }
    assert before not in seen.values() and len(set(seen.values())) == len(seen)
    assert of("*", parts[::-1]) == before, "the order of files"
    assert of("*", end="ORDER BY customer_id * 7919 % 10000019") == before, "the order of rows"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return homes.make(tmp_path_factory.mktemp("fingerprints") / "home")


def test_the_command_prints_each_table_of_a_source_as_known_on_the_day(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        tables = open_source("shop").tables
    expected = [
        f"{table_fingerprint(known)}  {name} ({known.count().execute():,} rows)"
        for name, table in sorted(tables.items())
        for known in [known_before(table, date(2023, 12, 3))]
    ]
    ended = homes.crm(home, "fingerprint", "shop", "--as-of", "2023-12-03")
    assert (ended.code, ended.out.splitlines()) == (0, expected), ended.err
    whole = homes.crm(home, "fingerprint", "shop")
    assert whole.code == 0 and table_fingerprint(tables["orders"]) in whole.out
    assert whole.out != ended.out, "the day decides what counts"


def test_the_command_takes_files_as_parts_of_one_table_in_any_order(home, tmp_path):
    place = tmp_path / "as_of=2024-01-01"  # what a folder's name says is no column
    place.mkdir()
    KINDS.iloc[:1].to_parquet(place / "one.parquet")
    KINDS.iloc[1:].to_parquet(place / "two.parquet")
    for files in (["one", "two"], ["two", "one"]):
        ended = homes.crm(home, "fingerprint", *[str(place / f"{file}.parquet") for file in files])
        assert (ended.code, ended.out) == (0, f"{fingerprint(KINDS)}  2 files (4 rows)\n"), ended.err


def test_a_csv_file_counts_as_text(tmp_path):
    """Nothing is guessed: 7 and 07 are the same number, and not the same content."""
    found = {}
    for text in ("7", "07"):
        (tmp_path / f"{text}.csv").write_text(f"customer_id,lines\na,{text}\n")
        found[text] = fingerprints([str(tmp_path / f"{text}.csv")], None)[0].fingerprint
    assert found["7"] == fingerprint(pd.DataFrame({"customer_id": ["a"], "lines": ["7"]})) != found["07"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one.parquet", "--as-of", "2024-01-01"], "--as-of is for a source"),
        (["one.parquet", "gone.parquet"], "1 of 2 files are not there, first"),
        (["one.parquet", "cells.csv"], "all .parquet or all .csv"),
        (["one.parquet", "wider.parquet"], "differ in lines float64, lines int64"),
        (["one.parquet", "turned.parquet"], "differ in their order"),
        (["broken.parquet"], "must be readable"),
        (["nowhere"], "'nowhere' is no source"),
    ],
)
def test_the_command_refuses(home, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    KINDS.to_parquet("one.parquet")
    KINDS.astype({"lines": "float64"}).to_parquet("wider.parquet")
    KINDS[KINDS.columns[::-1]].to_parquet("turned.parquet")
    (tmp_path / "cells.csv").write_text("customer_id\na\n")
    (tmp_path / "broken.parquet").write_text("PAR1")
    ended = homes.crm(home, "fingerprint", *words)
    assert ended.code == 2 and said in ended.err and not ended.out
