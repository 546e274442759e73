"""A database by its mapping: DuckDB and SQLite files, and a PostgreSQL server that the test starts for itself."""

import socket
import sqlite3
import subprocess
import sys

import duckdb
import pytest
from postgres import server  # noqa: F401

import sources
from contracts.errors import BrokenContract, Refused, SourceGone
from contracts.tables import check
from sources.database import _read_only

ROWS = [
    (1, 7, "2024-07-01 09:00:00", 11, 1, 12.5, "2024-07-02 00:00:00"),
    (1, 7, "2024-07-01 09:00:00", 12, 2, 2.05, "2024-07-02 00:00:00"),
    (2, 8, "2024-07-03 09:00:00", 11, 1, -12.5, "2024-07-04 00:00:00"),
]
TABLE = """create table sales (order_id integer, customer_id integer, placed timestamp, product_id integer,
           quantity integer, price {money}, booked timestamp)"""
YML = """
kind: database
{url}
currency: EUR
zone: UTC
tables:
  orders:
    table: sales
    columns: {{ordered_at: placed, amount_cents: price}}
    known_at: booked
"""


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """A function that opens the sales of a database by its URL."""
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "data" / "sources").mkdir(parents=True)

    def opened(url: str, was="", becomes=""):
        text = YML.format(url=url).replace(was, becomes) if was else YML.format(url=url)
        (tmp_path / "data" / "sources" / "shop.yml").write_text(text)
        return sources.open_source("shop")

    return opened


@pytest.fixture
def sqlite_file(tmp_path):
    with sqlite3.connect(tmp_path / "shop.sqlite") as con:
        con.execute(TABLE.format(money="real"))
        con.executemany("insert into sales values (?, ?, ?, ?, ?, ?, ?)", ROWS)
    con.close()
    return tmp_path / "shop.sqlite"


@pytest.fixture
def duckdb_file(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(TABLE.format(money="decimal(12, 2)"))
        con.executemany("insert into sales values (?, ?, ?, ?, ?, ?, ?)", ROWS)
    return tmp_path / "shop.duckdb"


def holds_the_sales(source) -> bool:
    check(source.tables)
    found = source.tables["orders"].order_by("order_id", "product_id").to_pyarrow().to_pylist()
    return [
        (r["order_id"], r["customer_id"], str(r["ordered_at"]), r["amount_cents"], str(r["known_at"])) for r in found
    ] == [
        ("1", "7", "2024-07-01 09:00:00", 1250, "2024-07-02 00:00:00"),
        ("1", "7", "2024-07-01 09:00:00", 205, "2024-07-02 00:00:00"),
        ("2", "8", "2024-07-03 09:00:00", -1250, "2024-07-04 00:00:00"),
    ]


def test_sqlite(mapped, sqlite_file):
    assert holds_the_sales(mapped(f"url: sqlite://{sqlite_file}"))


def test_duckdb(mapped, duckdb_file):
    assert holds_the_sales(mapped(f"url: duckdb://{duckdb_file}"))


def test_a_url_relative_to_the_project(mapped, duckdb_file):
    (duckdb_file.parent / "data" / "shop.duckdb").write_bytes(duckdb_file.read_bytes())
    assert holds_the_sales(mapped("url: duckdb://data/shop.duckdb"))


def test_a_duckdb_file_cannot_be_written_to(mapped, duckdb_file):
    source = mapped(f"url: duckdb://{duckdb_file}")
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        source.con.con.execute("insert into origin_shop.main.sales select * from origin_shop.main.sales")


def test_sqlite_holds_any_type_in_any_cell_and_is_told_so(mapped, sqlite_file):
    with sqlite3.connect(sqlite_file) as con:
        con.execute("update sales set price = 'dear' where product_id = 12")
    con.close()
    with pytest.raises(
        BrokenContract, match=r"amount_cents must be .* in 1 of 3 rows, first for customer 7 \(price dear\)"
    ):
        mapped(f"url: sqlite://{sqlite_file}")


@pytest.mark.parametrize(
    ("url", "was", "becomes", "says"),
    [
        (
            "url: duckdb://{}",
            "table: sales",
            "table: sale",
            "the table sale must be in the database, but is not; did you mean sales",
        ),
        ("url: duckdb://{}", "ordered_at: placed", "ordered_at: put", "orders: put must be among the columns of sale"),
        ("url: duckdb://{}.gone", "", "", "must be there, but is not. Correct the path."),
        ("url: oracle://{}", "", "", "the URL must begin with duckdb://, sqlite://, postgres://"),
        ("url: postgres://me:secret@localhost/shop", "", "", "a password must not stand in a file, but url holds one"),
        ("url_from: SHOP_URL", "", "", "the environment variable SHOP_URL must hold the database's URL, but does not"),
        ("", "", "", "either url or url_from must be there, and not both"),
    ],
)
def test_what_cannot_be_read_is_refused(mapped, duckdb_file, monkeypatch, url, was, becomes, says):
    monkeypatch.delenv("SHOP_URL", raising=False)
    with pytest.raises(Refused) as raised:
        mapped(url.format(duckdb_file), was, becomes)
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_duckdb_file_that_another_process_writes_to(mapped, duckdb_file):
    hold = (
        f"import duckdb, sys; con = duckdb.connect({str(duckdb_file)!r}); print('held', flush=True); sys.stdin.read()"
    )
    writer = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout.readline() == b"held\n"
        with pytest.raises(SourceGone, match="the database does not answer"):
            mapped(f"url: duckdb://{duckdb_file}")
    finally:
        writer.communicate()


def test_a_server_that_is_not_there(mapped):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceGone, match="the database does not answer"):
        mapped(f"url: postgres://me@127.0.0.1:{port}/shop")


@pytest.mark.postgres
def test_postgresql(mapped, server, monkeypatch):  # noqa: F811
    psycopg = pytest.importorskip("psycopg", reason="psycopg is a developers' dependency")
    with psycopg.connect(server) as con:
        con.execute("create schema till")
        con.execute(TABLE.format(money="numeric(12, 2)").replace("sales", "till.sales"))
        con.cursor().executemany("insert into till.sales values (%s, %s, %s, %s, %s, %s, %s)", ROWS)
    monkeypatch.setenv("SHOP_URL", server)
    assert holds_the_sales(mapped("url_from: SHOP_URL", "table: sales", "table: till.sales"))
    with pytest.raises(Refused, match="the table till.sale must be in the database, but is not; did you mean sales"):
        mapped("url_from: SHOP_URL", "table: sales", "table: till.sale")
    origin = _read_only("shop.yml", "postgres", server)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        origin.raw_sql("delete from till.sales")
    origin.disconnect()


def test_sqlite_cannot_be_written_to(sqlite_file):
    origin = _read_only("shop.yml", "sqlite", f"sqlite://{sqlite_file}")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        origin.con.execute("delete from sales")
    origin.disconnect()
