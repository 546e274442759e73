"""Values that nothing may repeat, in every attribute of every table of a small source; and where they are looked for.

A canary is held by few customers, so that to name it would be to name them. Texts are looked for in all that was
written; a number is looked for in what leaves for the store, since a customer's own reasons may say it.
"""

import gzip
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

WORD = "Kanari"
NUMBER = 8_765_431.0  # an income that one customer has
MAPPING = """
kind: folder
folder: {folder}
currency: EUR
zone: UTC
tables:
  customers:
    file: customers.csv
    attributes: {{name: category, mail: category, town: category, motto: category, income: number, vip: flag,
                  born: date, place: region, home: group}}
    known_at: known_at
  orders:
    file: lines.csv
    columns: {{order_id: Invoice, customer_id: Client, ordered_at: Date, product_id: Article, amount_cents: Net}}
    known_at: ordered_at + 1 hour
  products: {{file: products.csv, known_at: 2022-01-01}}
  campaigns: {{file: campaigns.csv, known_at: 2022-01-01}}
  contacts: {{file: contacts.csv, known_at: contacted_at + 1 hour}}
  responses: {{file: responses.csv, known_at: responded_at + 1 hour}}
  cases: {{file: cases.csv, known_at: opened_at + 1 hour}}
  surveys: {{file: surveys.csv, known_at: answered_at + 1 hour}}
  visits: {{file: visits.csv, known_at: visited_at + 1 hour}}
"""
FLAT = """
kind: flat
file: {file}
id: client
outcome: bad
positive: "1"
attributes: {{name: category, purpose: category, housing: category, income: number, amount: number, married: flag}}
"""
MONTHLY = [f"2023-{month:02}-01" for month in range(3, 12)]  # campaigns, by the day they began
RARELY = "rarely"  # the one that only those customers were in
RARE = 3  # customers who share a canary, where it is not one's own


def write(home: Path) -> None:
    """The sources `canary` (events) and `loans` (flat) of a project that has the shop."""
    folder = home / "data" / "shop"
    lines = pd.read_csv(folder / "lines.csv")
    clients = np.sort(lines.Client.unique())
    draw = np.random.default_rng(3)
    lines["channel"] = _planted(draw, lines.Client.to_numpy(), ["web", "store"], "channel")
    lines["store_id"] = _planted(draw, lines.Client.to_numpy(), ["s1", "s2", "s3"], "store")
    lines["Article"] = lines.Article.mask(lines.Client <= RARE, 90 + lines.Client)  # bought by nobody else
    lines.to_csv(folder / "lines.csv", index=False)
    _customers(draw, clients).to_csv(folder / "customers.csv", index=False)
    products = np.sort(lines.Article.unique())
    few = np.where(products > 90, [f"{WORD}-category-{p}" for p in products], np.where(products % 2, "food", "other"))
    pd.DataFrame({"product_id": products, "category": few, "department": few, "brand": few}).to_csv(
        folder / "products.csv", index=False
    )
    starts = pd.to_datetime(["2023-02-01", *MONTHLY])
    kinds = [f"{WORD}-kind", *(("letter", "call")[k % 2] for k in range(len(MONTHLY)))]
    pd.DataFrame(
        {"campaign_id": [RARELY, *MONTHLY], "kind": kinds, "starts_at": starts, "ends_at": starts + pd.Timedelta("28D")}
    ).to_csv(folder / "campaigns.csv", index=False)
    contacts = _contacts(draw, clients)
    contacts.to_csv(folder / "contacts.csv", index=False)
    _responses(draw, contacts).to_csv(folder / "responses.csv", index=False)
    for table, time, columns in (
        ("cases", "opened_at", {"kind": ["complaint", "question"]}),
        ("surveys", "answered_at", {"kind": ["phone", "form"]}),
        ("visits", "visited_at", {"channel": ["app", "web"], "step": ["seen", "cart"]}),
    ):
        _events(draw, clients, table, time, columns).to_csv(folder / f"{table}.csv", index=False)
    (home / "data" / "sources" / "canary.yml").write_text(MAPPING.format(folder=folder))
    _loans(draw).to_csv(folder / "loans.csv", index=False)
    (home / "data" / "sources" / "loans.yml").write_text(FLAT.format(file=folder / "loans.csv"))


def found(folder: Path, words: list[str]) -> list[str]:
    """Where one of these words stands in a file below a folder, also inside of zip, gzip, Parquet and SQLite."""
    return [
        f"{file.relative_to(folder)}: {word}"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink()
        for word in _in(file.name, file.read_bytes(), words)
    ]


def _in(name: str, content: bytes, words: list[str]) -> Iterator[str]:
    raw = {word for word in words if word.encode() in content or word.encode("utf-16-le") in content}
    for inner, inside in _inside(name, content):
        raw |= set(_in(inner, inside, words))
    yield from sorted(raw)


def _inside(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            yield from ((inner, packed.read(inner)) for inner in packed.namelist())
    elif content[:2] == b"\x1f\x8b":
        yield name, gzip.decompress(content)
    elif content[:4] == b"PAR1":
        table = pq.read_table(io.BytesIO(content), partitioning=None)
        yield name, f"{table.schema} {table.to_pandas().to_csv()}".encode()
    elif content[:15] == b"SQLite format 3":
        store = sqlite3.connect(":memory:")
        store.deserialize(content)
        yield name, "\n".join(store.iterdump()).encode()


def _planted(draw, clients: np.ndarray, common: list[str], what: str) -> np.ndarray:
    """A common level for most rows; a canary for those of a few customers."""
    return np.where(clients <= RARE, f"{WORD}-{what}", draw.choice(common, len(clients)))


def _customers(draw, clients: np.ndarray) -> pd.DataFrame:
    income = draw.normal(30_000, 5_000, len(clients)).round()
    income[4] = NUMBER
    return pd.DataFrame(
        {
            "customer_id": clients,
            "first_seen_at": "2022-12-31 08:00",
            "known_at": "2022-12-31 09:00",
            "name": [f"{WORD}-name-{c}" for c in clients],
            "mail": [f"{c}@{WORD}.example" for c in clients],
            "town": _planted(draw, clients, ["Ulm", "Aalen", "Bonn"], "town"),
            "motto": np.where(clients <= 30, [f"{WORD}-motto-{c // 4}" for c in clients], ""),
            "income": income,
            "vip": draw.choice(["true", "false"], len(clients)),
            "born": [f"19{40 + c % 50}-07-0{1 + c % 9}" for c in clients],
            "place": _planted(draw, clients, [f"p{k}" for k in range(9)], "place"),
            "home": [f"{WORD}-home-{c // 2}" for c in clients],
            "phone": [f"{WORD}-phone-{c}" for c in clients],  # a column that the mapping does not declare
        }
    )


def _events(draw, clients: np.ndarray, table: str, time: str, columns: dict[str, list[str]]) -> pd.DataFrame:
    who = np.repeat(clients, 3)
    days = draw.integers(5, 330, len(who))
    rows = pd.DataFrame({f"{table.removesuffix('s')}_id": [f"{WORD}{table}{k}" for k in range(len(who))]})
    rows["customer_id"] = who
    rows[time] = pd.Timestamp("2023-01-01 10:00") + pd.to_timedelta(days, "D")
    for name, common in columns.items():
        rows[name] = _planted(draw, who, common, f"{table}-{name}")
    if table == "surveys":
        rows["score"] = draw.integers(0, 11, len(who))
    return rows


def _contacts(draw, clients: np.ndarray) -> pd.DataFrame:
    """Half of the customers each month, a fifth of them held back; a campaign of its own for those of the canaries."""
    asked = draw.random((len(clients), len(MONTHLY))) < 0.5
    row, month = np.nonzero(asked | (clients <= RARE)[:, None])
    who = clients[row]
    campaign = np.where(who <= RARE, RARELY, np.array(MONTHLY)[month])
    rows = pd.DataFrame({"contact_id": [f"{WORD}contact{k}" for k in range(len(who))], "customer_id": who})
    rows["contacted_at"] = pd.to_datetime(np.where(who <= RARE, "2023-02-01", campaign)) + pd.Timedelta("10h")
    rows["channel"] = _planted(draw, who, ["mail", "phone"], "contacts-channel")
    rows["arm"] = draw.choice(["control", "letter"], len(who), p=[0.2, 0.8])
    rows["campaign_id"] = campaign
    return rows.drop_duplicates(["customer_id", "campaign_id"])


def _responses(draw, contacts: pd.DataFrame) -> pd.DataFrame:
    """Of those who got the letter, more of every third customer's."""
    likely = np.where(contacts.customer_id % 3 == 0, 0.5, 0.15) * (contacts.arm == "letter")
    answered = contacts[draw.random(len(contacts)) < likely]
    later = pd.to_timedelta(draw.integers(1, 20, len(answered)), "D")
    return answered[["customer_id", "campaign_id"]].assign(responded_at=answered.contacted_at + later)


def _loans(draw, rows: int = 1200) -> pd.DataFrame:
    income, amount = draw.normal(30_000, 5_000, rows).round(), draw.integers(500, 5_000, rows)
    bad = draw.random(rows) < 1 / (1 + np.exp((income - 22_000) / 3_000 - (amount - 2_000) / 900))
    client = np.arange(1, rows + 1)
    income[4] = NUMBER
    return pd.DataFrame(
        {
            "client": client,
            "name": [f"{WORD}-name-{c}" for c in client],
            "purpose": _planted(draw, client, ["car", "boat", "home"], "purpose"),
            "housing": _planted(draw, client, ["own", "rent"], "housing"),
            "income": income,
            "amount": amount,
            "married": draw.choice(["true", "false"], rows),
            "bad": bad.astype(int),
        }
    )
