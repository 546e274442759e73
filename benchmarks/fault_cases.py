"""The other faults of `faults.py`: writers and the store's creation killed, full disks, a store that is gone, old data
that finishes last, a promotion that is cut, and many retrainings at once."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pandas as pd
from fault_night import (
    COUNTER,
    DAY,
    EARLIER,
    NEXT,
    ORIGINS,
    Nights,
    crm,
    ended,
    fork,
    homes,
    logged,
    night,
    seen,
    wait,
)  # fmt: skip

from contracts import erasing, spreadsheets
from decisions.scores import write_table
from pipelines import gate
from pipelines.nights import state
from registry import evidence, ledger, runs, store, versions
from sources import packaged

SOURCES = 8


# --- writers ---


def writers(nights: Nights, kills: int, draw: random.Random) -> Iterator[tuple[str, int, list[str]]]:
    """Each writer of tables, killed: a reader finds the old table or the new one, and the next writer ends well.

    Half of the kills are before an event, each in turn, the others at random moments.
    """
    for name, write in WRITERS.items():
        yield from _killed_writer(name, write, nights, kills, draw)


def _rows(n: int) -> pd.DataFrame:
    number = range(n)
    return pd.DataFrame({"customer_id": number, "score": [k / n for k in number], "outcome": [k % 2 for k in number]})


def _scores(home: Path, n: int) -> None:
    write_table(_rows(n), "shop", date(2024, 1, 1), {"model": "churn", "version": n, "run_id": "x"}, home / "data")


def _evidence(home: Path, n: int) -> None:
    runs.tag = lambda *_: None
    stage = home / "given"
    stage.mkdir(exist_ok=True)
    _rows(n).assign(origin=pd.Timestamp("2024-01-01"), naive=0.5).to_parquet(stage / "evidence.parquet", index=False)
    evidence.keep("a_run", stage)


def _digests(home: Path, n: int) -> None:
    import pyarrow as pa

    evidence.keep_rows("a_run", {name: pa.Table.from_pandas(_rows(n)) for name in ("orders", "customers")})


def _comparison(home: Path, n: int) -> None:
    gate.write_rows(_rows(n), "a_run")


def _state(home: Path, n: int) -> None:
    steps = tuple(state.StepState(f"step {k}", said="what it said " * 50) for k in range(n // 1000))
    state.write(state.NightState("faulty", "2024-01-01", steps))


def _list(home: Path, n: int) -> None:
    spreadsheets.write_csv(_rows(n), home / "list.csv")


def _packaged(home: Path, n: int) -> None:
    packaged._write(_rows(n), home / "data" / "raw" / "of_a_package.parquet")


def _erased(home: Path, n: int) -> None:
    file = home / "data" / "raw" / "table.parquet"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _rows(n).to_parquet(file)
        return
    erasing.parquet_without(file, {"customer_id": {"7"}})


def _features(home: Path, n: int) -> int:
    return crm("features", "shop", "--as-of", DAY if n < MANY else NEXT, "--out", str(home / "features.parquet"))


FEW, MANY = 50_000, 70_000
WRITERS: dict[str, Callable[[Path, int], int | None]] = {
    "scores": _scores, "evidence": _evidence, "digests of rows": _digests, "comparison": _comparison,
    "state of a night": _state, "list for a spreadsheet": _list, "packaged data": _packaged,
    "table without a person": _erased, "features and day tables": _features,
}  # fmt: skip


def _killed_writer(name, write, nights, kills, draw):
    home, old = nights.fresh(), nights.home.parent / "old"
    shutil.rmtree(old, ignore_errors=True)

    def written(rows: int) -> Callable[[], int]:
        return logged(lambda: write(home, rows) or 0, nights.log)

    assert wait(fork(written(FEW), home)) == 0, nights.log.read_text()
    shutil.copytree(home, old)
    before, clock = _visible(home), time.monotonic()
    assert wait(fork(written(MANY), home)) == 0, nights.log.read_text()
    took, events, after = time.monotonic() - clock, COUNTER.counted(), _visible(home)
    assert before != after, f"{name}: the writer must change something"
    for k in range(kills):
        _again_from(old, home)
        pid = fork(written(MANY), home, 0 if k % 2 else 1 + k // 2 % events)
        if k % 2:
            time.sleep(draw.uniform(0, took))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        wait(pid)
        wrong = _torn(home, before, after)
        again = ended(home, lambda: write(home, MANY) or 0)
        wrong += [f"next run: it ended with {again.code}: {again.said[-200:]}"] * (again.code != 0)
        wrong += [f"next run: other tables than without a kill: {path}" for path in _other(_visible(home), after)]
        left = list(home.rglob("*.tmp"))
        yield f"killed: {name}", 1, wrong + [f"left behind: {path.relative_to(home)}" for path in left]


def _visible(home: Path) -> dict[str, str]:
    """Digests of what a reader sees: not what is hidden or temporary, and not what the writers are given.

    Of day tables, a reader sees the files that the manifest names, and their rows in any order.
    """
    found = {k: v for k, v in homes.digest(home).items() if not k.startswith(("given", "mlruns/locks"))}
    seen = {k: v for k, v in found.items() if not k.endswith(".tmp") and "/." not in f"/{k}"}
    for manifest in home.rglob("manifest.json"):
        place = str(manifest.parent.relative_to(home))
        seen = {k: v for k, v in seen.items() if not k.startswith(f"{place}/")}
        for name, table in json.loads(manifest.read_text()).items():
            seen |= {f"{place}/{name}/{file}": _rows_of(manifest.parent / name / file) for file in table["files"]}
    return seen


def _rows_of(file: Path) -> str:
    """A digest of a table's rows in any order; of one that cannot be read, what is wrong."""
    try:
        return str(pd.util.hash_pandas_object(pd.read_parquet(file), index=False).sum())
    except Exception as error:
        return f"unreadable: {error}"


def _torn(home: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The tables that are neither the old ones nor the new ones, and those that are gone though both have them."""
    now = _visible(home)
    torn = [path for path, sha in now.items() if sha not in (before.get(path), after.get(path))]
    return [f"torn: {path}" for path in [*torn, *(p for p in before if p in after and p not in now)]]


def _other(now: dict[str, str], after: dict[str, str]) -> list[str]:
    return [path for path in {*now, *after} if now.get(path) != after.get(path)]


# --- the store ---


def creation(nights: Nights, kills: int, draw: random.Random) -> Iterator[tuple[str, int, list[str]]]:
    """The store's first use, killed; the next start must find or make one that works."""
    home = nights.home

    def create() -> int:
        return len(store.client().search_experiments()) * 0

    shutil.rmtree(home, ignore_errors=True)
    took = ended(home, create).seconds
    for _ in range(kills):
        shutil.rmtree(home, ignore_errors=True)
        pid = fork(logged(create, nights.log), home)
        time.sleep(draw.uniform(0, took))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        wait(pid)
        again = ended(home, create)
        wrong = [f"next run: {' '.join(again.said.split())[-200:]}"] * (again.code != 0)
        left = [path.name for path in (home / "mlruns").glob(".creating-*")]
        yield "killed: creation of the store", 1, wrong + [f"left behind: {name}" for name in left]


def gone(nights: Nights, resumed: Callable[[Nights], list[str]]) -> Iterator[tuple[str, int, list[str]]]:
    """The store made unavailable for a night, in each way; then it is there again."""
    for how, spoil in SPOILT.items():
        home = nights.fresh()
        tries(home, 0)
        db, away = home / "mlruns" / "mlflow.db", home.parent / "mlflow.db"
        shutil.copyfile(db, away)
        with spoil(db):
            found = ended(home, lambda: night(NEXT))
        wrong = [f"it ended with {found.code}, not 7: {found.said[-300:]}"] * (found.code != 7)
        wrong += [f"its line is not the first: {found.said[-300:]}"] * ("FAILED: faulty" not in found.said)
        shutil.rmtree(db) if db.is_dir() else db.unlink(missing_ok=True)
        shutil.copyfile(away, db)
        away.unlink()
        tries(home, 40)
        yield f"store {how}", 1, wrong + resumed(nights)


def tries(home: Path, times: int) -> None:
    """How often the night of a project tries a step again."""
    file = home / "pipelines" / "faulty.yml"
    file.write_text(file.read_text().replace("times: 40", "times: 0") if not times else _again(file, times))


def _again(file: Path, times: int) -> str:
    return file.read_text().replace("times: 0", f"times: {times}")


@contextlib.contextmanager
def _removed(db: Path):
    db.unlink()
    yield


@contextlib.contextmanager
def _folder(db: Path):
    db.unlink()
    db.mkdir()
    yield


@contextlib.contextmanager
def _garbage(db: Path):
    db.write_bytes(b"not a database" * 1000)
    yield


@contextlib.contextmanager
def _held(db: Path):
    with contextlib.closing(sqlite3.connect(db, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        yield
        held.execute("ROLLBACK")


SPOILT = {"removed": _removed, "a folder": _folder, "overwritten": _garbage, "locked by another": _held}


# --- the disk ---


def full(nights: Nights, resumed: Callable[[Nights], list[str]]) -> Iterator[tuple[str, int, list[str]]]:
    """A disk with room for a tenth of what a night writes, two tenths, and so on; then with enough."""
    home = nights.fresh()
    used = _size(home)
    wait(fork(logged(lambda: night(NEXT), nights.log), home))
    grows = _size(home) - used
    for tenth in range(10):
        shutil.rmtree(home)
        home.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(home)], capture_output=True
        ).returncode:
            print("no disk can be made small here: it takes root and a mount")
            return
        try:
            shutil.copytree(nights.template, home, dirs_exist_ok=True)
            tries(home, 0)
            stat = os.statvfs(home)
            room = (stat.f_blocks - stat.f_bfree) * stat.f_frsize + grows * tenth // 10
            subprocess.run(["mount", "-o", f"remount,size={room}", str(home)], check=True)
            found = ended(home, lambda: night(NEXT))
            wrong = [f"it ended with {found.code}, not 6: {found.said[-300:]}"] * (found.code not in (0, 6))
            wrong += ["it has no line of its own"] * (
                found.code == 6 and not re.search(r"^(disk full|FAILED.* the disk is full): ", found.said, re.M)
            )
            wrong += seen(home, nights.expected)
            subprocess.run(["mount", "-o", "remount,size=1g", str(home)], check=True)
            tries(home, 40)
            yield "disk full, 10 levels", 1, wrong + resumed(nights)
        finally:
            subprocess.run(["umount", "-l", str(home)], check=True)


def _size(folder: Path) -> int:
    return sum(-(-p.stat().st_size // 4096) * 4096 for p in folder.rglob("*") if p.is_file())


# --- order ---


def at_once(nights: Nights, rounds: int) -> Iterator[tuple[str, int, list[str]]]:
    """Eight retrainings at once, of a model on as many sources: each ends well, and none is lost."""
    for _ in range(rounds):
        home = nights.fresh()
        for k in range(SOURCES):
            shutil.copy(home / "data" / "sources" / "shop.yml", home / "data" / "sources" / f"shop{k}.yml")
        logs = [home.parent / f"said{k}.txt" for k in range(SOURCES)]
        started = [fork(logged(_retrained(f"shop{k}"), log), home) for k, log in enumerate(logs)]
        codes = [wait(pid) for pid in started]
        said = [" ".join(log.read_text().split())[-200:] for log in logs]
        ends = zip(codes, said, strict=True)
        wrong = [f"next run: one of eight ended with {code}: {text}" for code, text in ends if code not in (0, 3)]
        yield "eight retrainings at once", SOURCES, wrong + _eight(home)


def _retrained(source: str) -> Callable[[], int]:
    return lambda: crm("retrain", "churn", "--source", source, "--as-of", NEXT, *ORIGINS)


def _eight(home: Path) -> list[str]:
    """Each of eight sources has a version, and an alias of its own that the ledger explains."""
    with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as db:
        query = "SELECT count(DISTINCT value) FROM model_version_tags WHERE key = 'crm.source' AND value LIKE 'shop_'"
        (found,) = db.execute(query).fetchone()
        (running,) = db.execute("SELECT count(*) FROM runs WHERE status <> 'FINISHED'").fetchone()
    wrong = [f"{SOURCES - found} of {SOURCES} versions were lost"] * (found != SOURCES)
    return wrong + [f"RUNNING: {running} did not finish"] * (running > 0) + _stands(home, ["1"])


def same_at_once(nights: Nights, rounds: int) -> Iterator[tuple[str, int, list[str]]]:
    """Eight starts of one night: one runs, seven find its lock and name its holder."""
    for _ in range(rounds):
        home = nights.fresh()
        pids = [fork(logged(lambda: night(NEXT), home.parent / f"said{k}.txt"), home) for k in range(8)]
        codes = sorted(wait(pid) for pid in pids)
        said = [(home.parent / f"said{k}.txt").read_text() for k in range(8)]
        wrong = [f"they ended with {codes}"] * (codes != [0, *[4] * 7])
        wrong += ["no holder named"] * (sum("is running (process" in text for text in said) != 7)
        yield "eight starts of one night", 8, wrong + seen(home, nights.expected)


def stale(nights: Nights, cuts: int, draw: random.Random) -> Iterator[tuple[str, int, list[str]]]:
    """A retraining on older data that ends last, cut or not, takes no alias."""
    after = _night_over(nights)

    def older() -> int:
        return crm("retrain", "churn", "--source", "shop", "--as-of", EARLIER, *ORIGINS)

    for k in range(cuts):
        _again_from(after, nights.home)
        if k % 2:
            wait(fork(logged(older, nights.log), nights.home, draw.randrange(1, 130)))
        found = ended(nights.home, older)
        wrong = [f"next run ended with {found.code}: {found.said[-200:]}"] * (found.code != 3)
        yield "older data that finish last", 1, wrong + _stands(nights.home, ["2"])


def moves(nights: Nights, most: int) -> Iterator[tuple[str, int, list[str]]]:
    """A promotion and a rollback, cut at each event; the next start finishes what was begun, or it was not."""
    after = _night_over(nights)
    commands = (
        ("promote", "churn", "1", "--reason", "why not"),
        ("rollback", "churn", "--source", "shop", "--reason", "no"),
    )
    for words in commands:
        for at in range(1, most + 1):
            _again_from(after, nights.home)
            code = wait(fork(logged(lambda words=words: crm(*words), nights.log), nights.home, at))
            if code != -signal.SIGKILL:
                break
            wrong = seen(nights.home, nights.expected) + _stands(nights.home, ["1", "2"])
            yield f"killed at events: {words[0]}", 1, wrong


def _night_over(nights: Nights) -> Path:
    after = nights.home.parent / "after"
    if not after.exists():
        nights.fresh()
        wait(fork(logged(lambda: night(NEXT), nights.log), nights.home))
        shutil.copytree(nights.home, after)
    return after


def _again_from(after: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(after, home)


def _stands(home: Path, champions: list[str]) -> list[str]:
    """What is wrong with the ledger and its alias once the next start has finished what was cut."""
    found = home.parent / "stands.json"
    found.unlink(missing_ok=True)

    def ask() -> int:
        for _ in runs.reap():
            pass
        ledger.finish_cut("churn")
        best = versions.champion("churn", "shop")
        wrong = [f"ledger: {line}" for line in ledger.verify("churn")]
        wrong += [f"the champion is {best and best.number}"] * (best is None or str(best.number) not in champions)
        found.write_text(json.dumps(wrong))
        return 0

    said = ended(home, ask).said
    return json.loads(found.read_text()) if found.exists() else [f"next run: {said[-300:]}"]
