"""Twenty honest pipelines that look suspicious: what a leak battery must let pass, or nobody will leave it switched on.

Each is a project with a source, made by its number alone, and what is asked on the command line. Ten are flat files
and ten are shops; among them are ids in the order of arrival, columns that nearly tell the outcome, customers who are
alike in every column, rare outcomes, and nothing to tell at all.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import homes
import numpy as np
import pandas as pd
import shop

FLAT = """
kind: flat
file: data/patients.csv
id: no
outcome: came_back
positive: "yes"
zone: UTC
attributes: {{{attributes}}}
"""
SHOP, FILE = "shop", "patients"


def patients(seed: int = 1, rows: int = 500, noise: int = 0, rate: float = -0.9, told: float = 1.0) -> pd.DataFrame:
    """Rows of a flat file: three columns that tell something, one that tells nothing, and `noise` more of these.

    rate   the log-odds of coming back at the mean of the columns; told: how much these say, as a factor
    """
    draw = np.random.default_rng(seed)
    found = pd.DataFrame({"no": draw.permutation(rows) + 1000, "age": draw.normal(50, 15, rows).round(1)})
    found["stays"], found["ward"] = draw.poisson(2, rows), draw.choice(list("ABCDEF"), rows)
    found["shoe"] = draw.normal(41, 2, rows).round(2)
    chance = 1 / (1 + np.exp(-(told * (0.04 * (found.age - 50) + 0.5 * (found.stays - 2)) + rate)))
    found["came_back"] = np.where(draw.random(rows) < chance, "yes", "no")
    more = pd.DataFrame(draw.normal(size=(noise, rows)).T.round(3)).add_prefix("n")
    return pd.concat([found, more], axis=1)


def write_flat(home: Path, rows: pd.DataFrame, kinds: Mapping[str, str] | None = None) -> None:
    """The rows as the source `patients` of a project; a column is a number, or a category where it holds text."""
    told = [name for name in rows.columns if name not in ("no", "came_back")]
    kind = {n: "number" if pd.api.types.is_numeric_dtype(rows[n]) else "category" for n in told} | dict(kinds or {})
    rows.to_csv(home / "data" / "patients.csv", index=False)
    listed = ", ".join(f"{name}: {kind[name]}" for name in told)
    (home / "data" / "sources" / "patients.yml").write_text(FLAT.format(attributes=listed))


def flat(
    change: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame] | None = None,
    seed: int = 1,
    kinds: Mapping[str, str] | None = None,
    **made,
) -> Callable[[Path], None]:
    """A flat file, changed by `change`; `kinds` of columns that are neither numbers nor categories."""

    def write(home: Path) -> None:
        rows = patients(seed, **made)
        write_flat(home, rows if change is None else change(rows, np.random.default_rng(seed + 100)), kinds)

    return write


def back(rows: pd.DataFrame) -> np.ndarray:
    """Whether each came back."""
    return (rows.came_back == "yes").to_numpy()


def as_they_came(rows, draw):
    """Numbered in the order of age, which tells something: an id that follows an honest column."""
    return rows.sort_values("age", ignore_index=True).assign(no=lambda t: np.arange(len(t)) + 1)


def alike(rows, draw):
    """Two columns of few levels, so that most rows are another's twin in everything but the outcome."""
    return rows.assign(age=(rows.age // 20).astype(int), stays=rows.stays.clip(upper=2)).drop(columns=["shoe", "ward"])


def told_by_few(rows, draw):
    """A rare flag that is nearly always right, as a diagnosis is."""
    return rows.assign(diagnosis=np.where(back(rows) & (draw.random(len(rows)) < 0.1), 1, 0))


def with_gaps(rows, draw):
    """A measurement that is taken of one in three."""
    return rows.assign(pressure=rows.age.mul(0.5).add(100 + draw.normal(0, 9, len(rows))).where(rows.no % 3 == 0))


def many_levels(rows, draw):
    """A category with a level for every eight rows."""
    return rows.assign(doctor=[f"d{k}" for k in draw.integers(0, len(rows) // 8, len(rows))])


def in_order_of_age(rows, draw):
    """The file is sorted by a column that tells something; ids are not."""
    return rows.sort_values("age", ignore_index=True)


def counters(rows, draw):
    """A number on each file, unique and without a gap, that is not the id's order."""
    return rows.assign(file_number=draw.permutation(len(rows)))


def shops(
    seed: int, change: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame] | None = None, **files
) -> Callable[[Path], None]:
    """A shop of a seed, its lines changed by `change`; `customers` also writes that table, made of the lines."""

    def write(home: Path) -> None:
        (home / "data" / "sources" / "shop.yml").unlink()
        file = home / "data" / "shop" / "lines.csv"
        file.unlink()
        file.parent.rmdir()
        shop.write_shop(home, seed)
        draw = np.random.default_rng(seed + 100)
        lines = pd.read_csv(file, parse_dates=["Date"])
        if change is not None:
            lines = change(lines, draw)
            lines.to_csv(file, index=False)
        for name, made in files.items():
            rows, mapping = made(lines, draw)
            rows.to_csv(file.with_name(f"{name}.csv"), index=False)
            source = home / "data" / "sources" / "shop.yml"
            source.write_text(source.read_text() + mapping)

    return write


def at_night(lines, draw):
    """Customers buy from eleven at night to nine in the morning, on both sides of every origin."""
    return lines.assign(Date=lines.Date - pd.Timedelta(hours=10))


def with_returns(lines, draw):
    """One line in ten is a return."""
    return lines.assign(Net=lines.Net.where(draw.random(len(lines)) > 0.1, -lines.Net))


def in_parts(lines, draw):
    """Whole days only, and several lines a day that are alike."""
    again = lines.sample(frac=0.3, random_state=1).assign(Invoice=lambda t: t.Invoice + 1_000_000)
    return pd.concat([lines, again]).assign(Date=lambda t: t.Date.dt.normalize())


def season(lines, draw):
    """Twice as many lines in summer: outcomes of one origin are rarer than of another."""
    return lines[(draw.random(len(lines)) < 0.5) | lines.Date.dt.month.between(6, 9)]


def by_arrival(lines, draw):
    """Clients are numbered by their first line, so that a higher number is a younger customer."""
    first = lines.groupby("Client").Date.min().rank(method="first").astype(int)
    return lines.assign(Client=lines.Client.map(first))


CUSTOMERS = """  customers:
    file: customers.csv
    columns: {customer_id: Client, first_seen_at: Told}
    attributes: {town: category, status: number}
    known_at: first_seen_at + 1 hour
"""


def told_anew(lines, draw):
    """A town and a number for each client, told again in the course of the year when she moves."""
    clients = np.sort(lines.Client.unique())
    first = pd.DataFrame({"Client": clients, "Told": "2023-01-01 00:00:00"})
    first["town"], first["status"] = draw.choice(["A", "B", "C"], len(first)), draw.integers(0, 9, len(first))
    moved = first.sample(frac=0.5, random_state=1).assign(Told="2023-11-20 00:00:00", town="D")
    return pd.concat([first, moved]), CUSTOMERS


def loyal(lines, draw):
    """A number that follows how often a client had bought by summer, as a loyalty scheme has."""
    clients = np.sort(lines.Client.unique())
    bought = lines[lines.Date < "2023-07-01"].Client.value_counts().reindex(clients).fillna(0)
    rows = pd.DataFrame({"Client": clients, "Told": "2023-07-02 00:00:00", "town": "A", "status": bought.to_numpy()})
    return rows, CUSTOMERS


# name: the source, how it is written into a project, what is asked beside effort=fast
HONEST = {
    "1 a flat file": (FILE, flat(), ()),
    "2 numbered in the order of age": (FILE, flat(as_they_came, 2), ()),
    "3 most rows have a twin": (FILE, flat(alike, 3, rows=900), ()),
    "4 a flag that is rare and nearly sure": (FILE, flat(told_by_few, 4, rows=800), ()),
    "5 a measurement of one in three": (FILE, flat(with_gaps, 5), ()),
    "6 a category of many levels": (FILE, flat(many_levels, 6, rows=700), ()),
    "7 a file in the order of a column": (FILE, flat(in_order_of_age, 7), ()),
    "8 one in fourteen comes back": (FILE, flat(None, 8, rows=1000, rate=-3.2), ()),
    "9 nothing tells anything": (FILE, flat(counters, 9, told=0.0, rate=0.0), ()),
    "10 more columns than tell": (FILE, flat(None, 10, noise=40, told=2.0), ()),
    "11 a shop": (SHOP, shops(8), ("-p", "origins=4")),
    "12 another shop, weeks apart": (SHOP, shops(12), ("-p", "origins=4", "-p", "spacing_days=14")),
    "13 a single training origin": (SHOP, shops(13), ("-p", "origins=1")),
    "14 a shop at night": (SHOP, shops(14, at_night), ("-p", "origins=3")),
    "15 returns": (SHOP, shops(15, with_returns), ("-p", "origins=3")),
    "16 whole days and lines that are alike": (SHOP, shops(16, in_parts), ("-p", "origins=3")),
    "17 a season": (SHOP, shops(17, season), ("-p", "origins=4")),
    "18 clients numbered as they arrive": (SHOP, shops(18, by_arrival), ("-p", "origins=3")),
    "19 attributes told anew": (SHOP, shops(19, customers=told_anew), ("-p", "origins=3")),
    "20 an attribute that follows the past": (SHOP, shops(20, customers=loyal), ("-p", "origins=3")),
}


def make(home: Path, name: str) -> Path:
    """A project with the honest source of this name in it."""
    homes.make(home)
    HONEST[name][1](home)
    return home


def parameters(source: str, asked: Sequence[str]) -> dict[str, str]:
    """The parameters of an honest pipeline's run, by name."""
    return {"source": source, "as_of": homes.AS_OF, "effort": "fast", **dict(word.split("=") for word in asked[1::2])}
