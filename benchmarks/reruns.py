"""Are the same bytes had again? Each model made again elsewhere and otherwise, and one with something changed.

    python benchmarks/reruns.py              # all: three quarters of an hour of one core
    python benchmarks/reruns.py --only credit --only changes

A model is trained and scored by a fresh clone of this repository, in a project of its own, on one thread. `crm rerun`
makes it again by another clone, on one thread and on two, each time under another hash seed, time zone, locale and
folder; of the simulated company and the shop once more with all files of the source shuffled: rows in another order, in
other parts. All of that must be identical. Then one thing is changed: a cell, a row, a parameter; and a package, of
which the older version is in the lock of then and must come back, and is named where nothing can be fetched. Below a
verdict stands what `crm rerun` says differs. CPU seconds are those of a command with all that it starts.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

# what is started inherits it; a thread that waits for another sleeps, or CPU seconds would tell how busy the machine is
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE.parent / "tests"), *(p for p in sys.path if Path(p).resolve() != HERE)]  # a room is `features`
import homes
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

PARTS, SEED = 3, 5
OLDER = "toolz"  # small, pure, and used by what makes the features
FAST = ("-p", "effort=fast")
NO_NETWORK = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


class Case(NamedTuple):
    """A model to train: what its project needs first (a command), and whether its source is of files to shuffle."""

    model: str
    source: str
    as_of: str
    asked: Sequence[str] = FAST
    first: Sequence[str] = ()
    shuffled: bool = False
    threads: Sequence[int] = (1, 2)


SHOP = Case("churn", "shop", homes.AS_OF, homes.FAST, shuffled=True)
CASES = {
    "churn": Case("churn", "complete_journey", "2018-01-02"),
    "clv": Case("clv", "complete_journey", "2018-01-01", ()),
    "response": Case("response", "complete_journey", "2018-01-02"),
    "credit": Case("credit", "german", "2026-07-01"),
    "credit-world": Case(
        "credit",
        "world",
        "2027-01-01",
        first=("world", "--customers", "3000", "--seed", "7", "--days", "1461"),
        shuffled=True,
    ),
    "churn-shop": SHOP,
    "churn-standard": Case("churn", "complete_journey", "2018-01-02", ("-p", "effort=standard"), threads=(2,)),
}


def spent() -> float:
    """CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def elsewhere(folder: Path):
    """Settings of a process, another each time: hash seed, time zone, locale, and the folder it is started in."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()
    zones = cycle(["Asia/Tokyo", "America/St_Johns", "Pacific/Chatham", "Africa/Lagos"])
    spaced = folder / "a folder"
    spaced.mkdir()
    places = cycle([Path("/"), spaced])
    for seed, (locale, zone, place) in enumerate(zip(cycle(known), zones, places, strict=False), start=1):
        settings = {"PYTHONHASHSEED": str(seed * 1009), "TZ": zone, "LC_ALL": locale, "LANG": locale}
        yield settings | {"folder": place}


def clone(of: Path, to: Path) -> Path:
    """A fresh clone, with somebody to commit as."""
    subprocess.run(["git", "clone", "-q", str(of), str(to)], check=True)
    for name, value in (("user.name", "A"), ("user.email", "a@example.org")):
        subprocess.run(["git", "-C", str(to), "config", name, value], check=True)
    return to


def trained(home: Path, house: Path, case: Case, **others) -> None:
    """Train and score a case's model in a project; made champion whatever the gate says of it."""
    where = ("--source", case.source, "--as-of", case.as_of)
    for words in filter(None, [case.first, ("retrain", case.model, *where, *case.asked)]):
        ended = homes.run(home, *words, house=house, **others)
        if ended.code not in (0, 3):
            raise SystemExit(f"crm {' '.join(words)} ended with {ended.code}: {ended.err[-2000:]}")
    if ended.code == 3:
        homes.run(home, "promote", case.model, "1", "--reason", "to be scored", house=house, **others)
    ended = homes.run(home, "score", case.model, *where, house=house, **others)
    if ended.code:
        raise SystemExit(f"crm score {case.model} ended with {ended.code}: {ended.err[-2000:]}")


def line(name: str, setting: str, verdict: str, seconds: float | str) -> None:
    """A row of the table."""
    seconds = seconds if isinstance(seconds, str) else f"{seconds:.0f}"
    print(f"{name:26}{setting:60}{verdict:28}{seconds:>6}", flush=True)


def again(name: str, setting: str, home: Path, house: Path, *asked: str, **others) -> homes.Ended:
    """Make version 1 again and print how it ended, and below it what differs."""
    before = spent()
    ended = homes.run(home, "rerun", f"{name.split()[0]}/1", *asked, house=house, **others)
    verdict, *differences = ended.out.splitlines() or [f"ended with {ended.code}"]
    line(name, setting, verdict.split(":")[0] + " with scores" * (", scores of" in verdict), spent() - before)
    packages = [said.split("packages: ", 1)[1] for said in ended.err.splitlines() if "1/3 packages: " in said]
    for said in [*packages, *(difference.strip() for difference in differences)]:
        print(f"{'':26}  {said}", flush=True)
    if not ended.out.startswith("Identical"):
        print(f"{'':26}  {verdict}{ended.err[-800:] * (not ended.out)}", flush=True)
    return ended


def told(settings: dict) -> str:
    """The settings of a process, for the table."""
    return " ".join([*(settings[name] for name in ("PYTHONHASHSEED", "TZ", "LC_ALL")), settings["folder"].name or "/"])


def same(case: Case, folder: Path) -> int:
    """Make a case's model again in every way; how many were not identical."""
    name, others = f"{case.model} {case.source}", elsewhere(folder)
    house, home, before = clone(homes.HOUSE, folder / "then"), homes.make(folder / "home"), spent()
    trained(home, house, case)
    line(name, f"trained and scored, 1 thread, {' '.join(case.asked[1:2]) or 'its one effort'}", "", spent() - before)
    ways: list[tuple[str, Callable[[], None]]] = [(f"{n} thread{'s' * (n > 1)}", lambda: None) for n in case.threads]
    if case.shuffled:
        ways.append(("shuffled files", lambda: shuffle(home / "data")))
    wrong, now = 0, clone(homes.HOUSE, folder / "now")
    for k, (way, change) in enumerate(ways):
        change()
        settings = next(others)
        threads = str(case.threads[k % len(case.threads)])
        ended = again(name, f"{way}, {told(settings)}", home, now, OMP_NUM_THREADS=threads, **settings)
        wrong += not ended.out.startswith("Identical")
    return wrong


def shuffle(data: Path) -> None:
    """The rows of a project's own files in another order, and where a table is of several parts, in other parts."""
    for file in (data / "shop").glob("*.csv"):
        pd.read_csv(file, dtype=str).sample(frac=1, random_state=SEED).to_csv(file, index=False)
    for table in (data / "raw" / "world").glob("*/"):
        parts = [] if table.name == "truth" else sorted(table.glob("part-*.parquet"))
        if not parts:
            continue
        rows = pa.concat_tables([pq.read_table(part) for part in parts])
        order = np.random.default_rng(SEED).permutation(len(rows))
        for part in parts:
            part.unlink()
        for k in range(PARTS):
            pq.write_table(rows.take(order[k::PARTS]), table / f"part-{k:04d}.parquet")


def changes(folder: Path) -> int:
    """One thing changed at a time, of churn on the shop; how many were told otherwise than they are."""
    house, home = clone(homes.HOUSE, folder / "then"), homes.make(folder / "home")
    trained(home, house, SHOP)
    lines = home / "data" / "shop" / "lines.csv"
    honest, wrong = pd.read_csv(lines, dtype=str), 0
    cell = honest.copy()
    cell.loc[100, "Net"] = "1234.56"
    of_row = f"data: orders: order {honest.Invoice[100]}, product {honest.Article[100]} (customer {honest.Client[100]})"
    for what, rows, asked, wanted in (
        ("one cell changed", cell, (), f"{of_row} has another amount_cents"),
        ("one row removed", honest.drop(index=100), (), f"{of_row} is gone"),
        ("one parameter changed", honest, ("-p", "seed=4"), "parameter: seed was 20180102 and is 4"),
    ):
        rows.to_csv(lines, index=False)
        wrong += wanted not in again("churn shop", what, home, house, *asked).out
    return wrong


def packages(folder: Path) -> int:
    """A package of which the run had an older version; how many of two were told otherwise than they are."""
    house, home = clone(homes.HOUSE, folder / "then"), homes.make(folder / "home")
    lock = house / "requirements.lock"
    present = lock.read_text()
    entry, has = re.search(rf"^{OLDER}==(\S+)(?:.*\\\n)+.*\n", present, re.M).group(0, 1)
    asked = [sys.executable, "-m", "uv", "pip", "compile", "-", "--no-deps", "--generate-hashes", "-q"]
    asked += ["--no-header", "--no-annotate"]
    older = subprocess.run(asked, input=f"{OLDER}<{has}", text=True, capture_output=True, check=True).stdout
    had = re.search(rf"{OLDER}==(\S+)", older)[1]
    commit(house, home, present.replace(entry, older), f"{OLDER} {had}")
    words = ["make", "-s", "packages", f"PYTHON={sys.executable}"]
    subprocess.run(words, cwd=house, check=True, capture_output=True)
    trained(home, house, SHOP, python=house / ".venv" / "bin" / "python")
    commit(house, home, present, f"{OLDER} {has}")
    moved, wrong = f"{OLDER} was {had} and is {has}", 0
    ended = again("churn shop", f"{OLDER} {has} here and {had} in the lock of then", home, house)
    wrong += not ended.out.startswith("Identical") or "package: " in ended.out or moved not in ended.err
    ended = again("churn shop", "the same, and nothing can be fetched", home, house, **NO_NETWORK)
    return wrong + (f"package: {moved}" not in ended.out or "lock: 1 of " not in ended.out)


def commit(house: Path, home: Path, lock: str, message: str) -> None:
    """A lock for the clone, in a commit of its own, and for the project."""
    for place in (house, home):
        (place / "requirements.lock").write_text(lock)
    subprocess.run(["git", "-C", str(house), "commit", "-qam", message], check=True)


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(CASES)}, changes, packages.")] = None,
):
    """Print a row for each model made again; ends with 1 where one was not as it should be."""
    asked = {name: partial(same, case) for name, case in CASES.items()} | {"changes": changes, "packages": packages}
    if unknown := set(only or ()) - set(asked):
        raise SystemExit(f"There is no {', '.join(sorted(unknown))}; there are {', '.join(asked)}.")
    described = ["git", "-C", str(homes.HOUSE), "log", "-1", "--format=%h %s"]
    print(f"commit {subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()}\n")
    line("model, source", "setting", "verdict", "CPU s")
    wrong = 0
    for name in only or asked:
        with tempfile.TemporaryDirectory(prefix="crm-reruns-") as folder:
            wrong += asked[name](Path(folder))
    print(f"\n{wrong} not as they should be; all {spent():,.0f} CPU s")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    typer.run(main)
