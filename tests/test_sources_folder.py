"""A folder of files by its mapping: what the yml says is what is read, and nothing else passes."""

import hashlib
import hmac
import os
from pathlib import Path

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sources
from contracts.errors import BrokenContract, Refused
from contracts.promises import Column
from contracts.tables import check
from sources.mapping import Format
from sources.reading import read

CUSTOMERS = "Nr;Seit;Alter;Ort\nA1;01.02.2024 09:00;34,5;Köln\nA2;03.02.2024 10:00;1.234,5;\n"
LINES = (
    "order_id,product_id,customer_id,ordered_at,quantity,amount_cents,booked\n"
    "1,p1,A1,2024-07-01 09:00,2,12.50,2024-07-02 00:00\n"
    "1,p2,A1,2024-07-01 09:00,1,-2.05,2024-07-02 00:00\n"
    "2,p1,A2,2024-07-03 09:00:00+05:00,1,1e2,2024-07-04 00:00\n"
)
SHOP = """
kind: folder
folder: files
currency: EUR
zone: Europe/Berlin
tables:
  customers:
    file: customers.csv
    separator: ";"
    decimal: ","
    thousands: "."
    times: "%d.%m.%Y %H:%M"
    columns: {customer_id: Nr, first_seen_at: Seit, age: Alter, town: Ort}
    attributes: {age: number, town: category}
    known_at: first_seen_at + 1 day
  orders:
    file: lines.csv
    known_at: booked
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A function that opens the shop after replacing text in its yml or its files."""
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "data" / "sources").mkdir(parents=True)
    (tmp_path / "files").mkdir()

    def opened(*, yml=SHOP, customers=CUSTOMERS, lines=LINES, encoding="utf-8"):
        (tmp_path / "data" / "sources" / "shop.yml").write_text(yml)
        (tmp_path / "files" / "customers.csv").write_text(customers, encoding=encoding)
        (tmp_path / "files" / "lines.csv").write_text(lines)
        return sources.open_source("shop")

    opened.files = tmp_path / "files"
    return opened


def rows(source, table: str, *columns: str) -> list[tuple]:
    found = source.tables[table].order_by(*source.tables[table].columns[:3]).to_pyarrow().to_pylist()
    return [tuple(str(row[column]) for column in columns) for row in found]


def test_a_shop_is_read_as_its_mapping_says(shop):
    """Berlin is two hours ahead of UTC in July and one in February; a time with an offset keeps its own."""
    source = shop()
    check(source.tables, source.attributes)
    assert rows(source, "customers", "customer_id", "first_seen_at", "known_at", "age", "town") == [
        ("A1", "2024-02-01 08:00:00", "2024-02-02 08:00:00", "34.5", "Köln"),
        ("A2", "2024-02-03 09:00:00", "2024-02-04 09:00:00", "1234.5", "None"),
    ]
    assert rows(source, "orders", "order_id", "ordered_at", "amount_cents", "known_at", "store_id") == [
        ("1", "2024-07-01 07:00:00", "1250", "2024-07-01 22:00:00", "None"),
        ("1", "2024-07-01 07:00:00", "-205", "2024-07-01 22:00:00", "None"),
        ("2", "2024-07-03 04:00:00", "10000", "2024-07-03 22:00:00", "None"),
    ]
    assert source.attributes == {"age": "number", "town": "category"}
    assert source.assumes == (
        "Money is in EUR.",
        "Times without a zone are of Europe/Berlin; they became UTC.",
        "customers: a row was known 24 hours after first_seen_at, as the yml declares, not the origin.",
        "orders: discount_cents, channel, store_id are not given, and empty.",
    )


def test_units_empty_words_and_a_day_from_which_all_was_known(shop):
    more = "    cents_per_unit: 1\n    units: {quantity: 0.001}\n    empty: [NA, '-']\n"
    yml = SHOP.replace("    known_at: booked\n", "    known_at: 2024-07-09\n" + more)
    source = shop(yml=yml, lines=LINES.replace("12.50", "1250").replace("-2.05", "-205").replace(",2,1250", ",NA,1250"))
    check(source.tables, source.attributes)
    assert rows(source, "orders", "quantity", "amount_cents", "known_at") == [
        ("None", "1250", "2024-07-09 00:00:00"),
        ("0.001", "-205", "2024-07-09 00:00:00"),
        ("0.001", "100", "2024-07-09 00:00:00"),
    ]
    assert "orders: every row was known from 2024-07-09 on, as the yml declares, not the origin." in source.assumes


def test_a_mark_of_byte_order_is_no_part_of_a_name(shop):
    assert rows(shop(lines="\ufeff" + LINES), "orders", "order_id")[0] == ("1",)


def test_columns_are_found_by_name_in_any_order(shop):
    head, *lines = LINES.splitlines()
    swapped = "\n".join(",".join(reversed(line.split(","))) for line in (head, *lines)) + "\n"
    assert rows(shop(), "orders", "order_id", "amount_cents") == rows(
        shop(lines=swapped), "orders", "order_id", "amount_cents"
    )


def test_parquet_gives_what_csv_gives(shop):
    from_csv = rows(shop(), "orders", "order_id", "customer_id", "amount_cents", "ordered_at")
    frame = pd.read_csv(shop.files / "lines.csv")
    frame["ordered_at"] = ["2024-07-01 09:00", "2024-07-01 09:00", "2024-07-03 06:00"]
    for column in ("ordered_at", "booked"):
        frame[column] = pd.to_datetime(frame[column])
    frame.to_parquet(shop.files / "lines.parquet")
    source = shop(yml=SHOP.replace("lines.csv", "lines.parquet"))
    assert rows(source, "orders", "order_id", "customer_id", "amount_cents", "ordered_at") == from_csv


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030", "utf-16"])
def test_other_encodings_are_read_as_declared(shop, encoding):
    towns = CUSTOMERS.replace("ö", "é")
    source = shop(
        yml=SHOP.replace('decimal: ","', f'decimal: ","\n    encoding: {encoding}'), customers=towns, encoding=encoding
    )
    assert rows(source, "customers", "town")[0] == ("Kéln",)


def test_ids_become_a_keyed_hash_that_cannot_be_read_back(shop, monkeypatch):
    """HMAC-SHA256 as Python's hmac computes it, also for a key longer than the block it is padded to."""
    for key in ("sixteen letters!", "k" * 100):
        monkeypatch.setenv("SHOP_KEY", key)
        source = shop(yml=SHOP + "pseudonyms: {key_from: SHOP_KEY}\n")
        check(source.tables, source.attributes)
        expected = {hmac.new(key.encode(), name.encode(), hashlib.sha256).hexdigest() for name in ("A1", "A2")}
        for table in source.tables.values():
            assert set(table.customer_id.to_pyarrow().to_pylist()) == expected
            assert key not in ibis.to_sql(table)


def test_without_its_key_nothing_is_read(shop, monkeypatch):
    monkeypatch.delenv("SHOP_KEY", raising=False)
    with pytest.raises(Refused, match="environment variable SHOP_KEY with at least 16 characters, but does not"):
        shop(yml=SHOP + "pseudonyms: {key_from: SHOP_KEY}\n")


def test_an_id_to_be_replaced_is_in_no_message(shop, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "sixteen letters!")
    with pytest.raises(BrokenContract) as raised:
        shop(yml=SHOP + "pseudonyms: {key_from: SHOP_KEY}\n", lines=LINES.replace("-2.05", "x"))
    assert "first for order 1 (product p2, amount_cents x)" in str(raised.value)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (
            "12.50",
            "12.505",
            (
                "amount_cents must be a number such as 1234.5, without a part of a cent, but is not in 1 of 3 rows, "
                "first for customer A1 (amount_cents 12.505)"
            ),
        ),
        ("12.50", "1_0", "first for customer A1 (amount_cents 1_0)"),
        ("12.50", "1e400", "first for customer A1 (amount_cents 1e400)"),
        (",2,12.50", ",inf,12.50", "quantity must be a number such as 1234.5, but is not in 1 of 3 rows"),
        (
            "2024-07-01 09:00",
            "2024-02-30 09:00",
            "ordered_at must be a time such as 2024-01-31 17:05:00, but is not in 2 of 3",
        ),
        (
            "2024-07-01 09:00",
            "01/07/2024",
            "ordered_at must be a time such as 2024-01-31 17:05:00, but is not in 2 of 3 rows",
        ),
        ("2024-07-01 09:00", "24-07-01", "first for customer A1 (ordered_at 24-07-01)"),
        (
            "1,p1,A1",
            "1,p1,1.23E+11",
            "must be an id that no spreadsheet has shortened, in plain characters, but is not in 1 of 3 rows",
        ),
        (
            "order_id,product_id",
            "order,product_id",
            ("orders: order_id must be among the columns of lines.csv, but is not. It has order, product_id"),
        ),
        (
            "order_id,product_id",
            "product_id,product_id",
            "each column must have its own name, but there are two of product_id",
        ),
        ("12.50", "12.50,9", "lines.csv could not be read: CSV Error on Line: 2"),
        (LINES, "", "lines.csv must begin with a header, but is empty"),
        (LINES, LINES.splitlines()[0] + "\n", "orders: must hold rows, but is empty"),
    ],
)
def test_a_cell_that_is_not_what_it_should_be_is_named(shop, was, becomes, says):
    assert was in LINES
    with pytest.raises(Refused) as raised:
        shop(lines=LINES.replace(was, becomes))
    assert says in str(raised.value)


def test_all_columns_of_all_tables_are_reported_at_once(shop):
    with pytest.raises(BrokenContract) as raised:
        shop(customers=CUSTOMERS.replace("34,5", "34.5").replace("01.02.", "31.02."), lines=LINES.replace("12.50", "x"))
    assert [(b.table, b.column) for b in raised.value.breaches] == [
        ("customers", "first_seen_at"),
        ("customers", "age"),
        ("orders", "amount_cents"),
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("lines.csv", "../lines.csv", "must lie inside"),
        ("lines.csv", "/etc/passwd", "must lie inside"),
        ("lines.csv", "linse.csv", "must be there, but is not. Correct the path."),
        ("lines.csv", "linked.csv", "must lie inside"),
        ("zone: Europe/Berlin\n", "", "the time zone of its times must be stated, but is not. Write `zone: UTC`"),
        ("Europe/Berlin", "Europe/Berln", "zone must be one such as Europe/Berlin, but is 'Europe/Berln'"),
        ("decimal:", "decimals:", "decimals is not known here; did you mean decimal?"),
        ("booked", "bocked", "orders: bocked must be among the columns of lines.csv, but is not"),
        ("booked", "ordered_at + 1 dy", "known_at must be a column, a date, or an event with a delay"),
        ("first_seen_at + 1", "seen_at + 1", "known_at must count from a time of customers, but seen_at is none"),
        (
            "age: number",
            "age: numbr",
            "attribute age must be one of number, category, flag, date, region, group, but is 'numbr'",
        ),
        ("currency: EUR\n", "", "currency must be there, but is not. Add it."),
        ("  orders:", "  order:", "order is no raw table. There are customers, orders,"),
        ("folder: files", "folder: files\nfolder: x", "each key must stand once, but folder stands twice"),
        ("kind: folder", "kind: &a folder\nzone: *a", "must not use anchors"),
        (
            "kind: folder",
            "kind: fodler",
            "kind must be one of cdnow, complete_journey, flat, folder, database, world, but is 'fodler'",
        ),
        ("kind: folder", "kind: [folder", "must be YAML, but is not at line"),
        (
            "{customer_id: Nr",
            "{customer: Nr",
            "customer in columns must be a column of customers or a declared attribute",
        ),
        ("kind: folder", "kind: folder\nencoding: utf-99", "encoding must be one such as cp1252, but is 'utf-99'"),
        ("kind: folder", "kind: folder\ncents_per_unit: many", "cents_per_unit must be a positive number"),
        ("kind: folder", "kind: folder\n# " + "x" * 70_000, "must be below 64 KiB"),
    ],
)
def test_a_mapping_is_read_strictly(shop, was, becomes, says):
    assert was in SHOP
    (shop.files.parent / "elsewhere.csv").write_text(LINES)
    os.symlink(shop.files.parent / "elsewhere.csv", shop.files / "linked.csv")
    with pytest.raises(Refused) as raised:
        shop(yml=SHOP.replace(was, becomes))
    assert says in str(raised.value)


def test_the_ten_lines_of_the_readme_are_read(shop):
    text = (Path(__file__).parents[1] / "data" / "README.md").read_text()
    yml = text.split("```yaml")[1].split("```")[0]
    assert len(yml.strip().splitlines()) <= 10
    head = "Invoice,Client,Date,Article,Net\n"
    source = shop(yml=yml.replace("/data/shop", "files"), lines=head + "1,A1,2024-07-01,p1,12.50\n")
    check(source.tables)
    assert rows(source, "orders", "ordered_at", "known_at") == [("2024-07-01 00:00:00", "2024-07-02 00:00:00")]


@settings(max_examples=50, deadline=None)
@given(cents=st.integers(-(10**12), 10**12), marks=st.sampled_from([(".", ""), (",", "."), (".", ","), (",", " ")]))
def test_an_amount_survives_every_way_of_writing_it(cents, marks):
    """The law: written with any marks and read again, an amount is the same number of cents."""
    decimal, thousands = marks
    text = f"{abs(cents) // 100:,}".replace(",", thousands) + decimal + f"{abs(cents) % 100:02d}"
    cell = ibis.literal("-" * (cents < 0) + text)
    found = read(Column("amount_cents", "whole"), "amount", cell, Format(decimal=decimal, thousands=thousands))
    assert ibis.duckdb.connect().execute(found.value) == cents


def test_the_end_of_a_contract_must_be_a_declared_date(shop):
    told = SHOP.replace("attributes: {age: number", "attributes: {Ende: date, age: number").replace(
        "times: ", 'dates: "%d.%m.%Y"\n    times: '
    )
    customers = CUSTOMERS.replace("Ort\n", "Ort;Ende\n").replace("Köln\n", "Köln;01.08.2024\n").replace("5;\n", "5;;\n")
    assert shop(yml=told + "contract_end: Ende\n", customers=customers).contract_end == "Ende"
    with pytest.raises(Refused, match="contract_end must be a declared attribute of the kind date, but age is number"):
        shop(yml=SHOP + "contract_end: age\n")


def test_a_day_without_a_clock_stays_that_day_in_any_zone(shop):
    """Berlin's midnight is 22:00 or 23:00 of the day before in UTC: an order of the origin's own day would be known."""
    lines = LINES.replace("2024-07-01 09:00", "2024-07-01")
    found = rows(shop(lines=lines), "orders", "ordered_at")
    assert ("2024-07-01 00:00:00",) in found and not any(day.startswith("2024-06-30") for (day,) in found)
