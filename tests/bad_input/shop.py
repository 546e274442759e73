"""A small sound shop in files, and how one of them is spoilt: what the battery of bad input draws its cases from."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

YML = """kind: folder
folder: files
currency: EUR
zone: UTC
tables:
  orders:
    file: orders.csv
    known_at: ordered_at + 1 hour
  customers:
    file: customers.csv
    attributes: {name: category, age: number}
    known_at: first_seen_at + 1 hour
"""
ORDERS = [["order_id", "customer_id", "ordered_at", "product_id", "quantity", "amount_cents"]] + [
    [str(k), f"{k % 12:05d}", f"2024-0{1 + k % 6}-{1 + k % 27:02d} 09:{k:02d}", f"p{k % 7}", "1", f"{5 + k}.50"]
    for k in range(60)
]
CUSTOMERS = [["customer_id", "first_seen_at", "name", "age"]] + [
    [f"{k:05d}", "2023-12-01 08:00", f"Ann {k}", str(30 + k)] for k in range(12)
]
FILES = {"orders.csv": ORDERS, "customers.csv": CUSTOMERS}
Spoil = Callable[[Path], None]


class Case(NamedTuple):
    """One bad input.

    what    in words, as the table in the docs has it
    spoil   what is done to the files of a sound shop
    says    what the refusal must say, each part of it; empty: it is tolerated
    why     of what is tolerated: what it is taken for; then `sees` is asked of the opened source
    """

    what: str
    spoil: Spoil
    says: tuple[str, ...] = ()
    why: str = ""
    sees: Callable | None = None


def write(home: Path) -> None:
    """The sound shop below a project's folder."""
    (home / "data" / "sources").mkdir(parents=True)
    (home / "files").mkdir()
    (home / "data" / "sources" / "shop.yml").write_text(YML)
    for name, rows in FILES.items():
        (home / "files" / name).write_text(text(rows))


def text(rows: list[list[str]], separator: str = ",") -> str:
    """Rows as CSV, cells as they are."""
    return "".join(separator.join(row) + "\n" for row in rows)


def put(name: str, content: str | bytes) -> Spoil:
    """A file with other content."""
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda home: (home / "files" / name).write_bytes(raw) and None


def cell(name: str, column: str, value: str, row: int = 3) -> Spoil:
    """One cell of one row is another; row 3 is that of customer 00002."""
    rows = [list(r) for r in FILES[name]]
    rows[row][rows[0].index(column)] = value
    return put(name, text(rows))


def order(column: str, value: str) -> Spoil:
    """A cell of order 2, of customer 00002."""
    return cell("orders.csv", column, value)


def customer(column: str, value: str) -> Spoil:
    """A cell of customer 00002."""
    return cell("customers.csv", column, value)


def line(number: int, content: str) -> Spoil:
    """A line of the orders; the header is line 1."""
    lines = text(ORDERS).splitlines()
    lines[number - 1] = content
    return put("orders.csv", "\n".join(lines) + "\n")


def columns(change: Callable[[list[str]], list[str]], name: str = "orders.csv") -> Spoil:
    """Every row of a file changed alike, the header too."""
    return put(name, text([change(list(row)) for row in FILES[name]]))


def yml(was: str, becomes: str) -> Spoil:
    """The mapping with other words in it."""
    assert was in YML, was
    return lambda home: (home / "data" / "sources" / "shop.yml").write_text(YML.replace(was, becomes)) and None


def both(*spoils: Spoil) -> Spoil:
    """One after the other."""
    return lambda home: [spoil(home) for spoil in spoils] and None
