"""Seventeen leaks that are planted, each on the way that a retraining takes, and twenty honest pipelines.

A leak is in the source's files, or in the code of the house as it is changed here for one test; `crm retrain` meets
it, and must refuse through the check that ought to find it, before anything is written.
"""

from collections.abc import Callable

import homes
import honest
import numpy as np
import pandas as pd
import pytest
from honest import CUSTOMERS, back
from planted import mutate

from features import as_of
from models import candidates
from pipelines.parameters import complete, notebook_of
from pipelines.preflight import preflight

# --- a flat file, and what may be wrong with it ---


def duration(rows, draw):
    return rows.assign(duration=draw.normal(2.0 * back(rows), 1).round(4))


def closed_at(rows, draw):
    days = pd.Timestamp("2023-03-01") + pd.to_timedelta(draw.integers(0, 90, len(rows)), "D")
    return rows.assign(closed_at=pd.Series(days.strftime("%Y-%m-%d"), rows.index).where(back(rows)))


def numbered_by_outcome(rows, draw):
    order = np.argsort(np.argsort(back(rows) + draw.normal(0, 0.35, len(rows))))
    return rows.assign(no=1000 + order)


def id_again(rows, draw):
    return rows.assign(account=rows.no * 7 + 11)


def counted_twice(rows, draw):
    again = rows.sample(frac=0.4, random_state=1).assign(no=lambda t: t.no + 50_000)
    return pd.concat([rows, again], ignore_index=True)


# --- a shop that also knows its customers ---


def with_customers(home, status_later: bool = False) -> None:
    """Customers with a town, told anew when they move; `status` is noise, or one that was overwritten later on."""
    folder, draw = home / "data" / "shop", np.random.default_rng(3)
    lines = pd.read_csv(folder / "lines.csv", parse_dates=["Date"])
    last = lines.groupby("Client").Date.max()
    first = pd.DataFrame({"Client": last.index, "Told": "2023-01-01 00:00:00"})
    first["town"], first["status"] = draw.choice(["A", "B", "C"], len(first)), draw.integers(0, 9, len(first))
    if status_later:
        bought = lines[lines.Date.between("2023-11-05", homes.AS_OF)].Client
        gone = ~last.index.isin(bought)
        first["status"] = np.where(draw.random(len(first)) < 0.9, gone, ~gone).astype(int)
    moved = first.sample(frac=0.5, random_state=1).assign(Told="2023-11-20 00:00:00", town="D")
    pd.concat([first, moved]).to_csv(folder / "customers.csv", index=False)
    file = home / "data" / "sources" / "shop.yml"
    file.write_text(file.read_text() + CUSTOMERS)


def at_night(home) -> None:
    """The shop's customers buy from eleven at night to nine in the morning."""
    file = home / "data" / "shop" / "lines.csv"
    lines = pd.read_csv(file, parse_dates=["Date"])
    lines.assign(Date=lines.Date - pd.Timedelta(hours=10)).to_csv(file, index=False)


# --- the seventeen ---

CUT = "when what became known from the origin on is taken away"
LOOP = "    for split in splits(table, horizon_days, seed) if by is None else by:\n"
ENCODED = """    table = table.assign(ward=table.groupby(table.age.round()).outcome.transform("mean"))
"""
CHOSEN = """    tells = table[columns].corrwith(table.outcome, numeric_only=True).abs()
    columns = list(tells.nlargest(10).index)
"""
SCALED = """    numbers = [name for name in columns if table[name].dtype == float]
    table = table.assign(**{name: table[name].rank(pct=True) for name in numbers})
"""
# or what is yet to come would have an age below one, which bits and windows cannot hold
AGES = ("seen.at - seen.day", "ibis.greatest(seen.at - seen.day, 1)")
NO_BOUND = ("-p", "leak_bound_events=1")


def in_code(function: Callable, *changes: tuple[str, str]) -> Callable:
    return lambda home, patch: mutate(patch, function, *changes)


def in_file(change: Callable | None = None, **others) -> Callable:
    write = honest.flat(change, **others)
    return lambda home, patch: write(home)


def night_slip(home, patch):
    at_night(home)
    mutate(patch, as_of.stamped, ("events.known_at)", "events.known_at - ibis.interval(hours=8))"))
    mutate(patch, as_of.before, AGES)


def future_row(home, patch):
    with_customers(home)
    changes = ("seen[until].isnull() | ~is_known(seen[until], seen.at)", "seen[until].isnull()")
    mutate(patch, as_of.still, changes)
    mutate(patch, as_of.known, ("is_known(rows.known, at.at)", "rows.known > 0"))
    mutate(patch, as_of.before, AGES)


def both(*plants: Callable) -> Callable:
    return lambda home, patch: [plant(home, patch) for plant in plants]


# name: the source, how it is planted, the words that the refusal must have, what else is asked on the command line
PLANTED = {
    "1 recency without a cutoff": (
        "shop",
        both(in_code(as_of.known, ("is_known(rows.known, at.at)", "rows.known > 0")), in_code(as_of.before, AGES)),
        CUT, NO_BOUND,
    ),
    "2 known one day later counts": (
        "shop",
        both(
            in_code(as_of.known, ("is_known(rows.known, at.at)", "is_known(rows.known, at.at + 1)")),
            in_code(as_of.before, AGES),
        ),
        CUT, NO_BOUND,
    ),
    "3 a clock that is eight hours slow": ("shop", night_slip, CUT, NO_BOUND),
    "4 a status that was overwritten after the outcome": (
        "shop", lambda home, patch: with_customers(home, True), "AUC of the best attribute alone is 0.", (),
    ),
    "5 the duration of the contact": ("patients", in_file(duration), "do: duration (0.", ()),
    "6 ids numbered by outcome": ("patients", in_file(numbered_by_outcome), "AUC of the order of ids is 0.", ()),
    "7 target encoding on all rows": (
        "patients", both(in_file(), in_code(candidates.judge, (LOOP, ENCODED + LOOP))),
        "AUC on shuffled outcomes", (),
    ),
    "8 customers twice over the split": (
        "patients", in_file(counted_twice), "copies among twins on both sides of the split", (),
    ),
    "9 columns chosen on all rows": (
        "patients", both(in_file(noise=150, rows=1000), in_code(candidates.judge, (LOOP, CHOSEN + LOOP))),
        "AUC on shuffled outcomes", (),
    ),
    "10 a date that only those have who left": (
        "patients", in_file(closed_at, kinds={"closed_at": "date"}), "do: closed_at (1.000)", (),
    ),
    "11 recency from the last day in the table": (
        "shop", in_code(as_of.before, ("seen.at - seen.day", "seen.day.max().over(ibis.window()) + 1 - seen.day")),
        CUT, NO_BOUND,
    ),
    "12 the id as a column": ("patients", in_file(id_again), "columns that are the id again is 1.000", ()),
    "13 a scale fitted on all rows": (
        "patients", both(in_file(), in_code(candidates.judge, (LOOP, SCALED + LOOP))),
        "test rows whose score follows other test rows", (),
    ),
    "14 the pick by the test rows": (
        "patients", both(in_file(), in_code(candidates.judge, ("pd.concat(validated)", "pd.concat(tested)"))),
        "test rows whose score follows the outcomes of test rows", (),
    ),
    "15 a row of the future of what is told anew": ("shop", future_row, CUT, NO_BOUND),
    "16 outcomes that overlap the test": (
        "shop", in_code(candidates.splits, ("timedelta(days=horizon_days)", "timedelta(days=1)")),
        "rows judged by what they were learned with", ("-p", "spacing_days=14"),
    ),
    "17 a customer on both sides": (
        "shop",
        in_code(candidates.splits, ("half == 0, half == 1", "True, True")),
        "rows judged by what they were learned with", ("-p", "origins=1"),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_refused_before_anything_is_written(name, tmp_path, monkeypatch):
    source, plant, words, asked = PLANTED[name]
    home = homes.make(tmp_path / "home")
    plant(home, monkeypatch)
    before = homes.digest(home)
    asked = (*asked, *(() if "origins=1" in asked else ("-p", "origins=4")), "-p", "effort=fast")
    ended = homes.crm(home, "retrain", "churn", "--source", source, "--as-of", homes.AS_OF, *asked)
    assert (ended.code, words in " ".join(ended.err.split())) == (2, True), ended
    assert homes.digest(home) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", honest.HONEST)
def test_an_honest_pipeline_is_not_refused(name, tmp_path, monkeypatch):
    """All that `crm retrain` asks before it writes; nothing fails, and no check has too little data either."""
    home = honest.make(tmp_path / "home", name)
    monkeypatch.setenv("CRM_HOME", str(home))
    source, _, asked = honest.HONEST[name]
    notebook = notebook_of("churn")
    checks = preflight("churn", complete(notebook, honest.parameters(source, asked)), notebook).checks
    assert len(checks) >= 8 and all(check.passed for check in checks), checks
