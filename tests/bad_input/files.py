"""Bad files: encodings, separators, cut and disguised ones, and columns that are not what the mapping says."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import pandas as pd

from bad_input.shop import CUSTOMERS, ORDERS, YML, Case, both, columns, customer, line, put, text, yml

SOUND = text(ORDERS)
NAMED = [[*row[:2], "王芳" if k else row[2], row[3]] for k, row in enumerate(CUSTOMERS)]
ACCENTED = [[*row[:2], "Jürgen" if k else row[2], row[3]] for k, row in enumerate(CUSTOMERS)]
CUSTOMER_FILE = "    file: customers.csv"
NOT_UTF8 = ("customers.csv must be UTF-8, but is not (byte", "Name its `encoding`")
NOT_THERE = ("must be among the columns of orders.csv, but",)


def coded(encoding: str):
    return yml(CUSTOMER_FILE, f"{CUSTOMER_FILE}\n    encoding: {encoding}")


def late(home: Path) -> None:
    many = "".join(f"9{k:05d},2023-12-01 08:00,x,4\n" for k in range(90_000))
    rows = (text(CUSTOMERS) + many).encode() + "99,2023-12-01 08:00,Jürgen,4\n".encode("latin-1")
    (home / "files" / "customers.csv").write_bytes(rows)


def named(name: str, content: bytes):
    """The orders in a file of another name."""
    return both(yml("file: orders.csv", f"file: {name}"), put(name, content))


def parquet(home: Path, cut: int = 0, **changed) -> None:
    rows = pd.DataFrame(ORDERS[1:], columns=ORDERS[0]).assign(amount_cents=lambda t: t.amount_cents.astype(float))
    rows = rows.assign(quantity=1, ordered_at=lambda t: pd.to_datetime(t.ordered_at)).assign(**changed)
    kept = io.BytesIO()
    rows.to_parquet(kept, index=False)
    raw = kept.getvalue()
    (home / "files" / "orders.parquet").write_bytes(raw[: len(raw) - cut])
    file = home / "data" / "sources" / "shop.yml"
    file.write_text(file.read_text().replace("orders.csv", "orders.parquet"))


def slipped(home: Path) -> None:
    with zipfile.ZipFile(home / "files" / "orders.zip", "w") as archive:
        archive.writestr("../evil.csv", SOUND)
    yml("file: orders.csv", "file: orders.zip")(home)


def instead(make):
    def spoil(home: Path) -> None:
        file = home / "files" / "orders.csv"
        file.unlink()
        make(file)

    return spoil


def renamed(name: str):
    def spoil(home: Path) -> None:
        (home / "files" / "orders.csv").rename(home / "files" / name)
        yml("file: orders.csv", f'file: "{name}"')(home)

    return spoil


def total(source) -> int:
    """All rows of orders were read, for their 2,100 euros."""
    orders = source.tables["orders"]
    found = orders.aggregate(rows=orders.count(), cents=orders.amount_cents.sum()).to_pyarrow().to_pylist()[0]
    return (found["rows"], int(found["cents"])) == (60, 210_000)


def names(source) -> set[str]:
    return set(source.tables["customers"].name.to_pyarrow().to_pylist())


FILES = [
    Case("a mark of byte order (BOM)", put("orders.csv", b"\xef\xbb\xbf" + SOUND.encode()), (), "left out", total),
    Case("GBK, not declared", put("customers.csv", text(NAMED).encode("gbk")), NOT_UTF8),
    Case(
        "GBK, declared",
        both(put("customers.csv", text(NAMED).encode("gbk")), coded("gb18030")),
        (),
        "read as declared",
        lambda s: "王芳" in names(s),
    ),
    Case(
        "GBK, declared as latin-1",
        both(put("customers.csv", text(NAMED).encode("gbk")), coded("latin-1")),
        ("customers.csv must be latin-1, but 12 of its first 12 words", "look like two bytes a character"),
    ),
    Case(
        "UTF-8, declared as cp1252",
        both(put("customers.csv", text(NAMED)), coded("cp1252")),
        ("customers.csv must be cp1252",),
    ),
    Case("Latin-1, not declared", put("customers.csv", text(ACCENTED).encode("latin-1")), NOT_UTF8),
    Case(
        "Latin-1, declared",
        both(put("customers.csv", text(ACCENTED).encode("latin-1")), coded("latin-1")),
        (),
        "read as declared",
        lambda s: "Jürgen" in names(s),
    ),
    Case("UTF-16, not declared", put("orders.csv", SOUND.encode("utf-16")), ("orders.csv must be UTF-8, but is not",)),
    Case(
        "UTF-8, with one line of Latin-1",
        put("customers.csv", text(CUSTOMERS).encode() + b"99,2023-12-01 08:00,J\xfc,4\n"),
        NOT_UTF8,
    ),
    Case(
        "the same after 90,000 lines", late, ("customers.csv could not be read: CSV Error on Line: 90014", "not utf-8")
    ),
    Case(
        "declared as ASCII, but is not",
        both(put("customers.csv", text(ACCENTED)), coded("ascii")),
        ("customers.csv must be ascii, but is not",),
    ),
    Case("an encoding that there is none of", coded("utf-9"), ("encoding must be one such as cp1252, but is 'utf-9'",)),
    Case("a file of no bytes", put("orders.csv", b""), ("orders.csv must begin with a header, but is empty",)),
    Case("a header and no rows", put("orders.csv", text(ORDERS[:1])), ("orders: must hold rows, but is empty",)),
    Case(
        "no header",
        put("orders.csv", text(ORDERS[1:])),
        ("order_id, customer_id, ordered_at, amount_cents", *NOT_THERE),
    ),
    Case("a line of notes above the header", put("orders.csv", "# export of May\n" + SOUND), NOT_THERE),
    Case("a column twice", columns(lambda row: [*row, row[5]]), ("there are two of amount_cents",)),
    Case("a column without a name", put("orders.csv", SOUND.replace("quantity", "")), ("column 5 of 6 has none",)),
    Case("a comma too many, late", line(51, "49,00001,2024-02-23 09:49,p0,1,54.50,9"), ("Line: 51", "Found: 7")),
    Case("a line too short, late", line(51, "49,00001,2024-02-23 09:49"), ("Line: 51", "Found: 3")),
    Case(
        "a line of sums at the end",
        put("orders.csv", SOUND + "Total,,,,,1234.50\n"),
        ("customer_id must not be empty, but is in 1 of 61 rows, first for order Total",),
    ),
    Case("empty lines at the end", put("orders.csv", SOUND + "\n\n"), (), "left out", total),
    Case(
        "semicolons and decimal commas, not declared",
        put("orders.csv", text(ORDERS, ";").replace(".50", ",50")),
        NOT_THERE,
    ),
    Case("tabs, not declared", put("orders.csv", text(ORDERS, "\t")), NOT_THERE),
    Case(
        "a separator of two characters",
        yml("zone: UTC", 'zone: UTC\nseparator: "||"'),
        ("separator must be one character",),
    ),
    Case("a quote that is not closed", customer("name", '"Ann'), ("customers.csv could not be read", "Line: 4")),
    Case(
        "a byte of zero in a name",
        customer("name", "A\x00n"),
        ("name must be text without control characters, but is not in 1 of 12 rows, first for customer 00002",),
    ),
    Case("an escape for a terminal in a name", customer("name", "\x1b[31mAnn"), ("text without control characters",)),
    Case(
        "a line's end within quotes", customer("name", '"An\nn"'), (), "part of the cell", lambda s: "An\nn" in names(s)
    ),
    Case("lines that end as Windows ends them", put("orders.csv", SOUND.replace("\n", "\r\n")), (), "read", total),
    Case("lines that end now so, now so", put("orders.csv", SOUND.replace("\n", "\r\n", 30)), (), "read", total),
    Case(
        "UTF-32, not declared",
        put("orders.csv", SOUND.encode("utf-32-le")),
        ("must be UTF-8, but its header holds bytes of zero", "such as utf-16 or utf-32"),
    ),
    Case("lines that end in CR alone", put("orders.csv", SOUND.replace("\n", "\r")), (), "read", total),
    Case(
        "a column's name of 200,000 characters",
        put("orders.csv", "x" * 200_000 + "," + SOUND),
        ("must begin with a header, but its first line cannot be read", "field larger than field limit"),
    ),
    Case(
        "a cell of five million characters",
        customer("name", "x" * 5_000_000),
        ("Line: 4", "Maximum line size of 2000000 bytes exceeded"),
    ),
    Case(
        "gzip, cut",
        named("orders.csv.gz", gzip.compress(SOUND.encode())[:200]),
        ("must end in .csv, .tsv, .txt or .parquet",),
    ),
    Case(
        "gzip that calls itself CSV",
        put("orders.csv", gzip.compress(SOUND.encode())),
        ("orders.csv must be UTF-8, but is not",),
    ),
    Case(
        "gzip that would grow a thousandfold",
        named("orders.csv.gz", gzip.compress(b"0" * 10_000_000)),
        ("must end in .csv",),
    ),
    Case("a zip with a path out of the folder", slipped, ("orders.zip must end in .csv, .tsv, .txt or .parquet",)),
    Case("a spreadsheet", named("orders.xlsx", b"PK\x03\x04"), ("orders.xlsx must end in .csv",)),
    Case("Parquet without its end", lambda home: parquet(home, 20), ("must be Parquet, but cannot be read as such",)),
    Case(
        "Parquet whose times became numbers",
        lambda home: parquet(home, ordered_at=range(60)),
        ("ordered_at must be a time, but is not in 60 of 60 rows, first for customer 00000",),
    ),
    Case(
        "Parquet whose amounts became text",
        lambda home: parquet(home, amount_cents=["x"] * 60),
        ("amount_cents must be a number", "in 60 of 60 rows"),
    ),
    Case(
        "CSV that calls itself Parquet",
        named("orders.parquet", SOUND.encode()),
        ("must be Parquet, but cannot be read",),
    ),
    Case(
        "a folder in place of a file",
        instead(lambda file: file.mkdir()),
        ("must be there, but is not. Correct the path",),
    ),
    Case("a pipe in place of a file", instead(os.mkfifo), ("must be there, but is not. Correct the path",)),
    Case(
        "a link out of the folder",
        instead(lambda file: file.symlink_to("/etc/passwd")),
        ("must lie inside", "but does not"),
    ),
    Case(
        "a path out of the folder",
        yml("file: orders.csv", "file: ../../etc/passwd"),
        ("must lie inside", "but does not"),
    ),
    Case("an absolute path", yml("file: orders.csv", "file: /etc/passwd"), ("must lie inside", "but does not")),
    Case("a file that is gone", lambda home: (home / "files" / "orders.csv").unlink(), ("must be there, but is not",)),
    Case("a name with blanks and Chinese", renamed("订单 1 月.csv"), (), "read", total),
    Case("a name with a pattern in it", yml("file: orders.csv", 'file: "*.csv"'), ("must be there, but is not",)),
    Case(
        "columns missing",
        columns(lambda row: row[:2] + row[3:5]),
        ("ordered_at, amount_cents must be among the columns",),
    ),
    Case("columns in another order", columns(lambda row: [row[1], row[0], *row[2:]]), (), "found by name", total),
    Case(
        "a column renamed",
        put("orders.csv", SOUND.replace("amount_cents", "amount")),
        ("amount_cents must be among", "It has"),
    ),
    Case("a column in capitals", put("orders.csv", SOUND.replace("order_id", "Order_ID")), ("order_id must be among",)),
    Case("a column with blanks around its name", put("orders.csv", SOUND.replace("order_id", " order_id ")), NOT_THERE),
    Case("a column too many", columns(lambda row: [*row, "x"]), (), "not read", total),
    Case("a formula for a column's name", columns(lambda row: [*row, "=cmd|' /C calc'!A0"]), (), "not read", total),
    Case(
        "an attribute that is declared and not there", yml("age: number", "weight: number"), ("weight must be among",)
    ),
    Case("no time zone", yml("zone: UTC\n", ""), ("the time zone of its times must be stated, but is not",)),
    Case(
        "a time zone that there is none of",
        yml("zone: UTC", "zone: Mars/Base"),
        ("zone must be one such as Europe/Berlin",),
    ),
    Case(
        "YAML that builds an object",
        yml("currency: EUR", "currency: !!python/object/apply:os.system [id]"),
        ("currency must be text",),
    ),
    Case("YAML with an anchor", yml("currency: EUR", "currency: &a EUR\nx: *a"), ("must not use anchors",)),
    Case("YAML with a key twice", yml("zone: UTC", "zone: UTC\nzone: CET"), ("zone stands twice",)),
    Case("YAML that would read `no` as false", yml("currency: EUR", "currency: no"), (), "text", total),
    Case(
        "YAML with a key that there is none of",
        yml("zone: UTC", "zoen: UTC"),
        ("zoen is not known here; did you mean zone?",),
    ),
    Case("YAML that is none", yml("kind: folder", "kind: [folder"), ("must be YAML, but is not at line",)),
    Case("YAML of more than 64 KiB", yml("kind: folder", f"kind: folder\n# {'x' * 70_000}"), ("must be below 64 KiB",)),
    Case(
        "YAML that is not UTF-8",
        lambda home: (home / "data" / "sources" / "shop.yml").write_bytes(b"# \xe9\n" + YML.encode()) and None,
        ("must be YAML, but is not",),
    ),
    Case(
        "YAML of a thousand brackets in each other",
        yml("currency: EUR", "currency: " + "[" * 5_000),
        ("must be YAML, but is not",),
    ),
    Case("a kind that is no word", yml("kind: folder", "kind: {a: b}"), ("kind must be one of", "but is {'a': 'b'}")),
    Case("a table that there is none of", yml("  orders:", "  ordres:"), ("ordres is no raw table",)),
    Case("a kind of source that there is none of", yml("kind: folder", "kind: flodder"), ("kind must be one of",)),
    Case(
        "SQL in the name of a table's file",
        yml("file: orders.csv", """file: "x'); DROP TABLE y; --.csv" """),
        ("must be there, but is not",),
    ),
    Case(
        "shell in the name of a file",
        yml("file: orders.csv", 'file: "$(touch pwned).csv"'),
        ("must be there, but is not",),
    ),
]
