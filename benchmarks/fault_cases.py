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
from fault_night import DAY, EARLIER, NEXT, ORIGINS, Nights, crm, ended, fork, homes, logged, night, seen, wait

from decisions.scores import write_table
from pipelines import gate
from pipelines.nights import state
from registry import evidence, ledger, runs, store, versions

SOURCES = 8


# --- writers ---


def writers(nights: Nights, kills: int, draw: random.Random) -> Iterator[tuple[str, int, list[str]]]:
    """Each writer of tables, killed at random moments: a reader finds the old file or the new one, never another."""
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


def _features(home: Path, n: int) -> None:
    crm("features", "shop", "--as-of", DAY if n < 60_000 else NEXT, "--out", str(home / "features.parquet"))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "scores": _scores, "evidence": _evidence, "digests of rows": _digests, "comparison": _comparison,
    "state of a night": _state, "features and day tables": _features,
}  # fmt: skip


def _killed_writer(name, write, nights, kills, draw):
    home, old = nights.fresh(), nights.home.parent / "old"
    shutil.rmtree(old, ignore_errors=True)
    wait(fork(logged(lambda: write(home, 50_000) or 0, nights.log), home))
    shutil.copytree(home, old)
    before, clock = _visible(home), time.monotonic()
    wait(fork(logged(lambda: write(home, 70_000) or 0, nights.log), home))
    took, after = time.monotonic() - clock, _visible(home)
    assert before != after, f"{name}: the writer must change something"
    for _ in range(kills):
        shutil.rmtree(home)
        shutil.copytree(old, home)
        pid, moment = fork(logged(lambda: write(home, 70_000) or 0, nights.log), home), draw.uniform(0, took)
        time.sleep(moment)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        wait(pid)
        now = _visible(home)
        torn = [path for path, sha in now.items() if sha not in (before.get(path), after.get(path))]
        torn += [path for path in before if path in after and path not in now]
        yield f"killed: {name}", 1, [f"torn: {path}" for path in torn if not _manifest(home, path)]


def _visible(home: Path) -> dict[str, str]:
    """Digests of what a reader sees: not what is hidden or temporary, and not what the writers are given."""
    found = {k: v for k, v in homes.digest(home).items() if not k.startswith(("given", "mlruns/locks"))}
    return {k: v for k, v in found.items() if not k.endswith(".tmp") and "/." not in f"/{k}"}


def _manifest(home: Path, path: str) -> bool:
    """A manifest of day tables between two of its commits: whole, and naming only files that are there."""
    file = home / path
    if file.name != "manifest.json" or not file.exists():
        return False
    told = json.loads(file.read_text())
    return all((file.parent / name / part).is_file() for name, table in told.items() for part in table["files"])


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
