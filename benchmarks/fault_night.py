"""A night that costs seconds, to be killed many times; and what must hold.

Every process is forked from one that has imported everything. What writes nothing is computed once: the preflight
(contracts, leak battery, training table), and the record that the notebook hands in; pages and pictures are a line. All
that writes is the real code: runner, lock, reaper, store, logging, gate, registering, aliases, ledger, scores, states.
The notebook either hands its record in from the runner's process, or is executed by Papermill in a kernel of its own.

An *event* is a file opened for writing, renamed, removed or made below the project, or a commit to the store.
"""

import contextlib
import gc
import hashlib
import io
import json
import mmap
import os
import re
import shutil
import signal
import sqlite3
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import NoReturn

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_DISABLE_AGENT_HINT="true", MPLBACKEND="Agg")
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"
HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE.parent / "tests"), *(p for p in sys.path if Path(p).resolve() != HERE)]  # a room is `features`

import homes
import matplotlib.pyplot  # noqa: F401  imported once, for all that are forked
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import nbconvert  # noqa: F401
import nbformat
import pandas as pd
import papermill  # noqa: F401
import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine

from contracts import tables as contracts
from contracts.files import whole
from pipelines import __main__ as command_line
from pipelines import gate, retrain, score  # noqa: F401
from pipelines.kinds import churn
from pipelines.nights import definition, report, runner  # noqa: F401
from registry.fingerprint import digest, folder_digest
from sources import open_source, reading

EARLIER, DAY, NEXT = homes.EARLIER, homes.AS_OF, homes.LATER
NIGHT = """
source: shop
models: [churn]
at: "03:30"
again: {times: 40, after_seconds: 1}
keep_days: 30
steps:
  check: {run: "check {source}"}
  retrain:
    run: "retrain {model} --source {source} --as-of {as_of}"
    needs: [check]
    parameters: {origins: 2}
  score: {run: "score {model} --source {source} --as-of {as_of}", needs: [check, retrain]}
"""
# hands in what was fitted before, file by file, the record last, as `registry.record.write` does
HANDS_IN = """
import os, pathlib, shutil, time
stage, kept = pathlib.Path(os.environ["CRM_STAGE"]), pathlib.Path("../records") / as_of
for name in ("model", "judged"):
    shutil.copytree(kept / name, stage / name)
shutil.copy(kept / "evidence.parquet", stage)
time.sleep(0.2)
shutil.copy(kept / "record.json", stage)
"""
WEAK = homes.QUICK.replace("feature_columns(table)[:5]", "[n for n in feature_columns(table) if 'weekend' in n][:1]")
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.copyfile", "shutil.rmtree")


class Counter:
    """How many events there were, in all processes of a night; kills its group before the one asked for."""

    def __init__(self):
        self.shared, self.home, self.names = mmap.mmap(-1, 16), "", None
        sys.addaudithook(self._audit)
        event.listen(Engine, "before_cursor_execute", self._writes)
        event.listen(Engine, "commit", self._commits)

    def arm(self, home: Path, at: int, names: Path | None = None) -> None:
        """Count from here on; `at` is the event that is not reached, 0 for none; `names` is a file to list them in."""
        self.shared[:] = struct.pack("qq", 0, at)
        self.home, self.names = str(home), names

    def counted(self) -> int:
        """The events so far."""
        return struct.unpack("qq", self.shared[:])[0]

    def happens(self, name: str) -> None:
        """An event is about to happen."""
        if not self.home:
            return
        count, at = struct.unpack("qq", self.shared[:])
        self.shared[:] = struct.pack("qq", count + 1, at)
        if self.names:
            with open(os.open(self.names, os.O_APPEND | os.O_WRONLY | os.O_CREAT), "w") as file:
                file.write(f"{count + 1} {name}\n")
        if count + 1 == at:
            os.killpg(0, signal.SIGKILL)

    @staticmethod
    def _writes(connection, _cursor, statement, *_) -> None:
        if re.match(r"\s*(insert|update|delete|create|alter)", statement, re.IGNORECASE):
            connection.info["wrote"] = statement.split("(")[0].strip()[:60]

    def _commits(self, connection) -> None:
        if wrote := connection.info.pop("wrote", ""):
            self.happens(f"commit {wrote}".replace("\n", " "))

    def _audit(self, name: str, told: tuple) -> None:
        if not self.home or not told or not isinstance(told[0], str | os.PathLike):
            return
        path = os.fspath(told[0])
        if not isinstance(path, str) or not path.startswith(self.home) or path == str(self.names):
            return
        writes = name == "open" and (told[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if name in EVENTS or writes:
            self.happens(f"{name} {path.removeprefix(self.home)}")


COUNTER = Counter()


@dataclass(frozen=True)
class Ended:
    """How a forked command ended: its exit code, what it said, seconds."""

    code: int
    said: str
    seconds: float


def fork(action: Callable[[], int], home: Path, at: int = 0, names: Path | None = None) -> int:
    """Start `action` in a group of its own, with the project as CRM_HOME; the process id."""
    COUNTER.arm(home, at, names)
    pid = os.fork()
    if pid:
        COUNTER.home = ""
        return pid

    def alone() -> int:
        os.setsid()
        os.environ["CRM_HOME"] = str(home)
        return action()

    _end_with(alone)


def _end_with(action: Callable[[], int]) -> NoReturn:
    """End this process, a fork, with the exit code that `action` gives."""
    code = 1
    try:
        code = action()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float = 300) -> int:
    """Its exit code; a process that takes longer is killed with its group, and that is an error."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"a process did not end within {seconds:.0f} s")


def crm(*words: str) -> int:
    """The command line in this process; its exit code."""
    sys.argv = ["crm", *words]
    try:
        command_line.main()
    except SystemExit as ended:
        return ended.code or 0
    return 0


def ended(home: Path, action: Callable[[], int], at: int = 0) -> Ended:
    """`fork` and wait, with what it says."""
    log, clock = home.parent / "said.txt", time.monotonic()
    code = wait(fork(logged(action, log), home, at))
    return Ended(code, log.read_text(errors="replace"), time.monotonic() - clock)


def logged(action: Callable[[], int], log: Path) -> Callable[[], int]:
    """The same with all that it says in a file."""

    def run() -> int:
        _to(log)
        return action()

    return run


def _to(log: Path) -> None:
    """What this process says goes into a file."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    command_line.err.file = sys.stderr
    command_line.out.file = sys.stdout


def night(as_of: str) -> int:
    """`crm run faulty --as-of`, whose steps are forked and not started anew."""
    runner._command = _forked
    return crm("run", "faulty", "--as-of", as_of)


def _forked(step: definition.Step, as_of, folder: Path) -> tuple[int, str]:
    log = folder / f"{step.name.replace(' ', '-')}.log"

    def logged() -> int:
        _to(log)
        return crm(*step.command(as_of))

    pid = os.fork()
    if pid == 0:
        _end_with(logged)
    (folder / "step.pid").write_text(str(pid))
    try:
        status = os.waitpid(pid, 0)[1]
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    return runner.ending(os.waitstatus_to_exitcode(status), log)


def without_kernel(notebook: Path, executed: Path, parameters, say, stage=None) -> None:
    """In place of `run_notebook`: the cells, in this process."""
    book = nbformat.read(notebook, as_version=4)
    os.environ["CRM_STAGE"] = str(stage)
    here = os.getcwd()
    os.chdir(notebook.parent)
    try:
        space = {}
        for cell in (c for c in book.cells if c.cell_type == "code"):
            exec(cell.source, space)
            space |= parameters if "parameters" in cell.metadata.get("tags", []) else {}
    finally:
        os.chdir(here)
        os.environ.pop("CRM_STAGE")
    nbformat.write(book, executed)


WIDE = {"score_shift": 100, "largest_calibration_error": 1, "calibration_slope": [-100, 100]}
WIDE |= {"calibration_intercept": [-100, 100], "slice_error": 1, "slice_gain": -1}
ORIGINS = ("-p", "origins=2")


class Nights:
    """A project whose champion is a weak model of DAY, ready for the night of NEXT, as often as it is asked for.

    home      where it lies, always at the same place; template: a copy that nobody touches
    expected  the digests of all tables that the night must leave, as it did once without a fault
    events    what happened then, in order; seconds: how long it took
    """

    def __init__(self, folder: Path):
        self.home, self.template, self.log = folder / "home", folder / "template", folder / "log.txt"
        self._given()
        self._went_well(3, "retrain", "churn", "--source", "shop", "--as-of", DAY, *ORIGINS)
        self._went_well(0, "promote", "churn", "1", "--reason", "the first, and weak on purpose")
        self._went_well(0, "score", "churn", "--source", "shop", "--as-of", DAY)
        os.rename(self.home, self.template)
        gc.collect()
        gc.freeze()  # what is there is not looked at again in each process, and so not copied either
        self.fresh()
        churn.gains = _once(churn.gains, folder)
        names, clock = folder / "events.txt", time.monotonic()
        code = wait(fork(logged(lambda: night(NEXT), self.log), self.home, 0, names))
        assert code == 0, f"the night must end well without a fault, but ended with {code}"
        self.seconds = time.monotonic() - clock
        self.events = [line.partition(" ")[2].strip() for line in names.read_text().splitlines()]
        self.expected = tables(self.home)
        wrong = [*seen(self.home, self.expected), *settled(self.home, self.expected)]
        assert wrong == [], wrong

    def fresh(self) -> Path:
        """The project as it was before the night."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.template, self.home)
        return self.home

    def _went_well(self, code: int, *words: str) -> None:
        found = ended(self.home, lambda: crm(*words))
        assert found.code == code, (words, found)

    def _given(self) -> None:
        """The project, the inputs of each day computed once, and the records that its notebook hands in."""
        from pipelines.parameters import complete, for_source, notebook_of

        homes.make(self.home, HANDS_IN)
        (self.home / "pipelines").mkdir()
        (self.home / "pipelines" / "faulty.yml").write_text(NIGHT)
        os.environ["CRM_HOME"] = str(self.home)
        inputs = {}
        for day, cells in ((EARLIER, WEAK), (DAY, WEAK), (NEXT, homes.QUICK)):
            notebook = notebook_of("churn")
            told = {**for_source("churn", "shop"), "origins": "2", "source": "shop", "as_of": day}
            parameters = complete(notebook, told)
            inputs[day] = retrain.preflight("churn", parameters, notebook)
            stage = self.home / "records" / day
            stage.mkdir(parents=True)
            _executed(parameters, f"CELLS = {cells!r}\nexec(CELLS)", stage)
        asked = gate.rule_of  # the shop has too few customers to tell how well calibrated a model is
        gate.rule_of = lambda *told: asked(*told) | WIDE
        self._remembered(parameters)
        retrain.preflight = lambda model, parameters, notebook: _of(inputs[parameters["as_of"]], parameters["source"])
        retrain.run_notebook = without_kernel

    @staticmethod
    def _remembered(about) -> None:
        """What writes nothing and is the same each time, and what only makes a page or a picture pretty."""
        source, days = open_source("shop"), [date.fromisoformat(day) for day in (DAY, NEXT)]
        columns, frames = churn.columns(source), {day: churn.subjects(source, about, day) for day in days}
        retrain.fitted_again = lambda *_: []
        retrain.to_html, gate.forest = _page, lambda gains, title, file: file.write_bytes(b"a picture")
        yaml.safe_load = lambda text: yaml.load(text, yaml.CSafeLoader)  # the same, ten times as fast
        churn.columns = lambda source: dict(columns)
        churn.subjects = lambda source, about, origin, days=None: frames[origin].copy()
        for module in (reading, contracts):
            module.row_breaches = lambda *_: iter(())  # the preflight has counted them, and there were none


def _of(inputs, source: str):
    """The same for a source that holds the same under another name."""
    return inputs if source == "shop" else replace(inputs, key=digest([inputs.key, source]))


def _once(gains: Callable, folder: Path) -> Callable:
    """`gains` of the same rows, computed once for all processes; its bootstrap is a third of a night."""

    def known(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        told = rows[["champion", "score", "outcome"]].to_numpy(dtype=float).tobytes()
        file = folder / f"gains-{seed}-{hashlib.sha256(told).hexdigest()}.parquet"
        if not file.exists():
            with whole(file) as written:
                gains(rows, seed).to_parquet(written)
        return pd.read_parquet(file)

    return known


def _page(executed: Path) -> Path:
    """In place of `to_html`."""
    file = executed.with_suffix(".html")
    file.write_text("a page")
    return file


def _executed(parameters, cells: str, stage: Path) -> None:
    """Run cells with parameters, where `hand_in` stages its record in a folder."""
    os.environ["CRM_STAGE"] = str(stage)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(cells, dict(parameters))
    os.environ.pop("CRM_STAGE")


# --- what must hold, at any moment and once the next start is over ---


def tables(home: Path) -> dict[str, str]:
    """The digests of all score tables and plans of a project, by path."""
    return {k: v for k, v in homes.digest(home / "data").items() if re.match(r"(scores|decisions)/.*\.parquet$", k)}


def seen(home: Path, expected: dict[str, str]) -> list[str]:
    """What a reader who comes in now finds half-written: nothing may be, whatever was killed.

    Every version has its tags and the files of its sha256; every alias points to such a version; every table is the
    one expected, or not there; every state is whole.
    """
    wrong, store = [], home / "mlruns" / "mlflow.db"
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        if (found := db.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            wrong.append(f"store: {found}")
        tags: dict = {}
        for name, number, key, value in db.execute("SELECT name, version, key, value FROM model_version_tags"):
            tags.setdefault((name, number), {})[key] = value
        sources = db.execute("SELECT name, version, source FROM model_versions").fetchall()
        aliases = db.execute("SELECT name, alias, version FROM registered_model_aliases").fetchall()
    good = set()
    for name, number, source in sources:
        told, place = tags.get((name, number), {}), Path(source.removeprefix("file://"))
        if told.get("crm.complete") != "1" or not place.is_dir() or folder_digest(place) != told.get("crm.sha256"):
            wrong.append(f"half-registered: {name} version {number}")
        else:
            good.add((name, number))
    wrong += [
        f"alias {alias} of {name} points to no whole version" for name, alias, n in aliases if (name, n) not in good
    ]
    for path, sha256 in tables(home).items():
        if expected.get(path) != sha256:
            wrong.append(f"torn: {path}")
    for file in (home / "mlruns" / "nights").glob("*/*/state.json"):
        try:
            json.loads(file.read_text())
        except ValueError:
            wrong.append(f"torn: {file.relative_to(home)}")
    return wrong


def settled(home: Path, expected: dict[str, str]) -> list[str]:
    """What the next start, once over, has left of a fault: nothing may be, and all that was asked for is there."""
    found = home.parent / "settled.json"
    found.unlink(missing_ok=True)

    def ask() -> int:
        from mlflow.entities import ViewType

        from registry import ledger, versions
        from registry.store import client

        every = [e.experiment_id for e in client().search_experiments()]
        runs = client().search_runs(every, "", ViewType.ALL, max_results=1000)
        wrong = [f"RUNNING: {run.info.run_id}" for run in runs if run.info.status == "RUNNING"]
        wrong += [f"ledger: {line}" for line in ledger.verify("churn")]
        numbers = [v.number for v in versions.versions("churn")]
        wrong += [f"versions are {numbers}, and not 2 and 1"] * (numbers != [2, 1])
        best = versions.champion("churn", "shop")
        wrong += [f"the champion is {best and best.number}, and not 2"] * (best is None or best.number != 2)
        found.write_text(json.dumps(wrong))
        return 0

    wait(fork(ask, home))
    wrong = json.loads(found.read_text()) if found.exists() else ["the store cannot be asked"]
    there = tables(home)
    wrong += [f"missing: {path}" for path in expected if path not in there]
    left = [p for p in home.rglob("*") if re.search(r"\.tmp$|/stage/.|/\.creating-", str(p))]
    return wrong + [f"left behind: {path.relative_to(home)}" for path in left]
