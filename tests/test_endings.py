"""Each thing that can go wrong has an exit code and a line of its own, and a night says it in the first line."""

import errno
import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import homes
import nbformat
import psutil
import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from contracts.errors import BrokenContract, ClockJumped, Refused, SourceChanged, SourceGone, StoreGone, WorldFailed
from pipelines import clock, endings
from pipelines.endings import ENDINGS, ending_of
from pipelines.locking import Busy
from pipelines.nights import report, runner, state
from pipelines.nights.definition import Step
from pipelines.nights.state import FAILED, LOOK, NightState, StepState
from pipelines.retrain import Stopped
from pipelines.run_notebook import NotebookFailed
from registry import ledger, runs, store
from registry.versions import Version

DOC = Path(__file__).parents[1] / "docs" / "exit-codes.md"


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


def full() -> OSError:
    """What the system says of a disk without space."""
    with pytest.raises(OSError) as raised, open("/dev/full", "w") as file:
        file.write("x")
        file.flush()
    return raised.value


def locked(words: str) -> OperationalError:
    return OperationalError("INSERT INTO runs", {}, sqlite3.OperationalError(words))


class DeadKernelError(RuntimeError):
    """nbclient's, by name."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("a bug"), 1),
        (FileNotFoundError("gone"), 5),
        (Refused("no"), 2),
        (BrokenContract([]), 2),
        (Refused("a customer called No space left on device"), 2),
        (Busy("held"), 4),
        (WorldFailed("the file was cut"), 5),
        (full(), 6),
        (caused(WorldFailed("scores could not be written"), full()), 6),
        (OSError(errno.EDQUOT, "quota"), 6),
        (caused(MlflowException("(sqlite3.OperationalError) database or disk is full"), locked("disk")), 6),
        (duckdb.IOException("Could not write file: No space left on device"), 6),
        (NotebookFailed("20_churn, cell 4: OSError: [Errno 28] No space left on device"), 6),
        (StoreGone("no answer"), 7),
        (locked("database is locked"), 7),
        (locked("unable to open database file"), 7),
        (MlflowException("API request to http://127.0.0.1:1/api failed: Max retries exceeded with url"), 7),
        (SourceGone("no file"), 8),
        (SourceChanged("it grew"), 9),
        (MemoryError(), 10),
        (duckdb.OutOfMemoryException("failed to allocate"), 10),
        (DeadKernelError("Kernel died"), 10),
        (RuntimeError("Kernel died before replying to kernel_info"), 10),
        (NotebookFailed("20_churn, cell 4: MemoryError: "), 10),
        (ClockJumped("set back"), 11),
        (Stopped("on request"), 143),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_error_has_its_exit_code(error, code):
    assert ending_of(error).code == code


def test_a_line_of_a_library_is_one_line_and_says_what_to_do():
    said = endings.line_of(locked("database is locked"), endings.STORE_GONE)
    assert "database is locked" in said and said.endswith("To do: start or restore it.") and "\n" not in said
    assert endings.line_of(Refused("one\ntwo"), endings.REFUSED) == "one\ntwo"
    assert endings.line_of(MemoryError(), endings.MEMORY).startswith("MemoryError. To do: ")


def test_the_page_lists_what_the_command_line_can_end_with():
    rows = "".join(
        f"| {e.code} | `{e.word}:` | {e.meaning} | {'yes' if e.again else 'no'} | {e.do} |\n" for e in ENDINGS
    )
    assert rows in DOC.read_text(), f"docs/exit-codes.md must hold:\n{rows}"
    assert len({ending.code for ending in ENDINGS}) == len(ENDINGS)


def test_a_full_disk_ends_a_command_with_its_code_and_no_traceback(tmp_path, monkeypatch):
    """Also where the traceback itself could not be written."""
    import sources

    monkeypatch.setattr(sources, "names", full_write)
    home = homes.make(tmp_path / "home")
    ended = homes.crm(home, "sources")
    assert ended.code == 6 and ended.err.startswith("disk full: [Errno 28] No space left on device. To do: free some")
    assert "Traceback" not in ended.err and ended.out == ""


def full_write():
    raise full()


# --- what a night makes of them ---


def failed(code: int, said: str) -> NightState:
    return NightState("nightly", "2024-01-01", (StepState("retrain churn", FAILED, exit_code=code, said=said),))


@pytest.mark.parametrize("ending", [e for e in ENDINGS if e.code not in (0, 3)], ids=lambda e: e.word)
def test_the_first_line_of_the_report_says_it_in_the_words_of_its_ending(ending):
    said = f"UserWarning: of a library\n{ending.word}: the one reason\nmore"
    line = report.first_line(failed(ending.code, said))
    assert line == f"FAILED: nightly as of 2024-01-01: retrain churn: {ending.meaning}: the one reason"


def test_what_may_pass_is_tried_again_and_the_rest_is_not():
    assert set(runner.AGAIN) == {4, 5, 6, 7, 8, 9, 10, 11, 137}


def test_a_watch_that_asks_for_a_look_is_no_champion_that_stays():
    watch = Step("watch churn", ("watch", "churn"), (), ())
    assert runner._state(watch, 3) == LOOK and runner._state(watch, 0) == state.DONE
    said = "Watch churn version 1 (2024-01-01) on 2024-02-01: days without a review 91."
    seen = NightState("nightly", "2024-02-01", (StepState("watch churn", LOOK, exit_code=3, tries=1, said=said),))
    assert seen.exit_code == 3
    assert report.first_line(seen) == "Done: nightly as of 2024-02-01: to be looked at (watch churn)."
    assert "days without a review 91" in report._person(seen) and "champion stays" not in report._person(seen)


# --- where they come from ---


def test_a_process_that_ended_but_was_not_asked_for_is_gone():
    """As under a first process of a container that asks for nobody."""
    pid = os.fork()
    if pid == 0:
        time.sleep(0.2)
        os._exit(0)
    owner = f"{pid} {psutil.Process(pid).create_time():.2f} {int(psutil.boot_time())} {os.uname().nodename}"
    assert runs._alive(owner)
    time.sleep(0.5)
    assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE and not runs._alive(owner)
    os.waitpid(pid, 0)


def test_a_store_that_is_gone_is_not_begun_anew_beside_its_artifacts(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "mlruns" / "artifacts" / "churn" / "a_run").mkdir(parents=True)
    with pytest.raises(StoreGone, match="is gone, but the artifacts beside it are there. Restore it from a copy"):
        store.client()
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


@pytest.mark.parametrize("change", [lambda f: f.write_text(f.read_text() + "x"), Path.unlink], ids=["grown", "gone"])
def test_a_source_that_changes_after_it_was_opened_is_noticed(tmp_path, monkeypatch, change):
    from sources import open_source

    home = homes.make(tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(home))
    opened = open_source("shop")
    opened.refuse_changed()
    change(home / "data" / "shop" / "lines.csv")
    with pytest.raises(SourceChanged, match="lines.csv of shop changed while it was read. Nothing was registered"):
        opened.refuse_changed()


def test_a_file_of_a_source_that_is_not_there_has_its_own_code(tmp_path):
    home = homes.make(tmp_path / "home")
    (home / "data" / "shop" / "lines.csv").unlink()
    ended = homes.crm(home, "check", "shop")
    assert ended.code == 8 and ended.err.startswith("source gone: shop.yml: the file ")


@pytest.mark.parametrize("jump", [-3600, 3600, 61])
def test_a_clock_that_was_set_meanwhile_is_noticed(monkeypatch, jump):
    before, real = clock.offset(), time.time
    clock.refuse_jump(before)
    monkeypatch.setattr(clock.time, "time", lambda: real() + jump)
    with pytest.raises(
        ClockJumped, match=rf"jumped by \{jump:+,.0f}.* seconds while this ran".replace("3600", "3,600")
    ):
        clock.refuse_jump(before)


def test_the_ledger_takes_no_row_before_its_last(monkeypatch):
    ahead = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    names = dict.fromkeys(ledger.Row.__dataclass_fields__, "")
    last = ledger.Row(**{**names, "number": 1, "when": ahead})
    monkeypatch.setattr(ledger, "rows", lambda model: [last])
    monkeypatch.setattr(ledger, "_write", None)
    version = Version("churn", 2, "run", "key", "sha", "2024-01-01", "shop")
    with pytest.raises(ClockJumped, match="The last row of the ledger of churn is of .* but the clock says"):
        ledger._append(ledger.PROMOTED, version, "me", "a reason")


@pytest.mark.parametrize("name, kind", [("SourceChanged", SourceChanged), ("TooFewCases", Refused)])
def test_what_a_cell_raises_keeps_its_ending(tmp_path, monkeypatch, name, kind):
    """A source that goes while the notebook reads it, or has too few cases, is not a bug of the notebook."""
    from papermill.exceptions import PapermillExecutionError

    from pipelines import run_notebook

    def raises(*_, **__):
        raise PapermillExecutionError(1, 1, "x", name, "lines.csv changed", [])

    played = SimpleNamespace(PapermillExecutionError=PapermillExecutionError, execute_notebook=raises)
    monkeypatch.setattr(run_notebook, "_papermill", lambda: played)
    monkeypatch.setattr(run_notebook, "_failed_cell", lambda executed: "cell 2")
    notebook = homes.HOUSE / "notebooks" / "20_churn.ipynb"
    with pytest.raises(kind, match=r"lines.csv changed\s.20_churn.ipynb, cell 2"):
        run_notebook.run_notebook(notebook, tmp_path / "executed.ipynb", {}, print)


@pytest.mark.slow
def test_what_a_kernel_logs_of_itself_is_in_no_log_of_a_night(tmp_path, capfd):
    """It is interrupted before it is asked to end, and where that meets it at work it says so as an error."""
    from pipelines.run_notebook import run_notebook

    cells = [
        nbformat.v4.new_code_cell("a = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell('get_ipython().kernel.log.error("KeyboardInterrupt caught in kernel.")'),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "paper.ipynb")
    run_notebook(tmp_path / "paper.ipynb", tmp_path / "executed.ipynb", {}, print)
    assert "KeyboardInterrupt" not in capfd.readouterr().err
