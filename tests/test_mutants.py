"""Each promise that a kill could break, broken on purpose: what looks for half-written things must turn red.

In place of a kill, a call that raises: what stands in the store at that moment is what a killed process leaves.
"""

import json
import os
import signal
from contextlib import nullcontext
from datetime import date
from pathlib import Path

import filelock
import homes
import ibis
import pandas as pd
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from contracts import files
from contracts.errors import Refused, StoreGone, WorldFailed
from decisions import scores
from pipelines import retrain
from pipelines.locking import Busy
from pipelines.nights import runner, state
from registry import ledger, runs, store, versions
from registry.fingerprint import folder_digest
from registry.store import client
from registry.versions import Version
from sources import csv_files
from sources.mapping import Format


class Cut(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with a store, in which version 1 is the champion and version 2 is only registered; made once."""
    home = tmp_path_factory.mktemp("mutants") / "home"
    (home / "mlruns").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        ledger.promote(registered("1"), "me", "the first")
        registered("2")
    return home


def registered(key: str) -> Version:
    """A version of one small file, with all that belongs to it."""
    run_id = runs.start("churn", f"run {key}", {})
    client().log_text(run_id, key, "model/churn.json")
    runs.finish(run_id, "FINISHED")
    place = client().get_run(run_id).info.artifact_uri.removeprefix("file://")
    tags = {"crm.key": key, "crm.sha256": folder_digest(Path(place) / "model"), "crm.as_of": f"2024-01-0{key}"}
    made = versions.register("churn", run_id, {**tags, "crm.source": "shop"}, "a note")
    versions.challenge(made)
    return made


@pytest.fixture
def home(template, tmp_path, monkeypatch):
    there = homes.copy_store(template, tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(there))
    return there


def champion_and_ledger() -> tuple[int, list[str]]:
    """After the next start has finished what was cut."""
    ledger.finish_cut("churn")
    return versions.champion("churn", "shop").number, ledger.verify("churn")


def cut(*_, **__):
    raise Cut


# --- the ledger comes first, the alias last ---


def test_a_promotion_that_is_cut_after_its_row_is_finished(home, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(type(client()), "set_registered_model_alias", cut)
        ledger.promote(versions.numbered("churn", "2"), "me", "better")
    assert champion_and_ledger() == (2, [])


def test_mutant_the_alias_before_the_ledger(home, monkeypatch):
    """The alias then stands where no row put it, and the next start does not know why."""

    def other_way_round(event, version, by, reason):
        client().set_registered_model_alias(version.model, "champion", str(version.number))
        return ledger._append(event, version, by, reason)

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(ledger, "_move", other_way_round)
        patch.setattr(ledger, "_append", cut)
        ledger.promote(versions.numbered("churn", "2"), "me", "better")
    number, wrong = champion_and_ledger()
    assert number == 2 and "The alias champion is at version 2, but the ledger put it at version 1." in wrong
    with pytest.raises(Refused, match="it was moved past the ledger"):
        ledger.refuse_unexplained(versions.champion("churn", "shop"))


def test_mutant_nobody_finishes_what_was_cut(home, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(type(client()), "set_registered_model_alias", cut)
        ledger.promote(versions.numbered("churn", "2"), "me", "better")
    assert ledger.verify("churn") != []  # what finish_cut would have mended


# --- a version has its tags in one commit, and the files of its sha256 ---


def test_mutant_tags_after_the_version(home):
    """A version that was cut before its last tag is none, for whoever asks for the complete ones."""
    source = client().get_model_version("churn", "2").source
    client().create_model_version("churn", source, tags={"crm.sha256": "x"})
    assert [version.number for version in versions.versions("churn")] == [2, 1]


def test_mutant_files_that_are_not_those_of_the_sha256(home, tmp_path):
    """Registering before the files are whole: they are read back first, and a champion's before it is loaded."""
    source = Path(client().get_model_version("churn", "1").source.removeprefix("file://"))
    (source / "churn.json").write_text("cut")
    with pytest.raises(WorldFailed, match="must have the sha256 .* Nothing of them was loaded"):
        versions.fetch("churn", "shop", tmp_path / "fetched")
    tags = {"crm.key": "3", "crm.sha256": "x" * 64, "crm.as_of": "2024-01-03", "crm.source": "shop"}
    run_id = client().get_model_version("churn", "2").run_id
    with pytest.raises(WorldFailed, match="must have the sha256 xxxxxxxxxxxx"):
        versions.register("churn", run_id, tags, "a note")
    assert len(versions.versions("churn")) == 2


# --- older data do not take an alias ---


def test_mutant_whoever_ends_last_is_right(home, monkeypatch):
    older = Version("churn", 1, "", "1", "", "2024-01-01", "shop")
    with pytest.raises(Refused, match="knows only what was there before 2024-01-01 and does not replace it"):
        versions.challenge(older)
    assert versions.holder("churn", "challenger").number == 2
    monkeypatch.setattr(versions, "holder", lambda model, alias: None)  # the compare of the compare-and-set
    versions.challenge(older)
    monkeypatch.undo()
    monkeypatch.setenv("CRM_HOME", str(home))
    assert versions.holder("churn", "challenger").number == 1


# --- a table is the old one or the new ---


def table(folder, rows: int):
    told = {"model": "churn", "version": rows, "run_id": "x"}
    return scores.write_table(pd.DataFrame({"customer_id": range(rows)}), "shop", date(2024, 1, 1), told, folder)


def test_a_table_that_is_cut_before_its_name_leaves_the_old_one(tmp_path, monkeypatch):
    file = table(tmp_path, 5)
    monkeypatch.setattr(files.os, "replace", cut)
    with pytest.raises(Cut):
        table(tmp_path, 7)
    assert len(pd.read_parquet(file, partitioning=None)) == 5


def test_mutant_a_table_written_in_place(tmp_path, monkeypatch):
    """The old one is gone as soon as the new one is begun."""
    import pyarrow.parquet as pq

    file = table(tmp_path, 5)

    def in_place(rows, _):
        whole = file.read_bytes()
        pq.write_table = real
        pq.write_table(rows, file)
        file.write_bytes(file.read_bytes()[: len(whole) // 2])
        raise Cut

    real = pq.write_table
    monkeypatch.setattr(scores.pq, "write_table", in_place)
    with pytest.raises(Cut):
        table(tmp_path, 7)
    with pytest.raises(Exception, match=r"[Pp]arquet"):
        pd.read_parquet(file, partitioning=None)


def test_mutant_a_state_written_in_place(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    night = state.NightState("nightly", "2024-01-01", (state.StepState("check", said="what it said"),))
    state.write(night)
    file = state.place("nightly", date(2024, 1, 1)) / "state.json"
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(files.os, "replace", cut)
        state.write(state.replace(night, swept=("what was old",)))
    assert state.read("nightly", date(2024, 1, 1)) == night
    file.write_text(file.read_text()[:40])  # what a cut in place would leave
    with pytest.raises(json.JSONDecodeError):
        state.read("nightly", date(2024, 1, 1))


# --- runs of the dead are closed ---


def test_mutant_no_reaper(home, monkeypatch):
    monkeypatch.setattr(runs, "_owner", lambda: "999999999 1.00 1 " + os.uname().nodename)
    run_id = runs.start("churn", "of a process that is gone", {})
    monkeypatch.undo()
    monkeypatch.setenv("CRM_HOME", str(home))
    assert client().get_run(run_id).info.status == "RUNNING"
    assert len(runs.reap()) == 1 and client().get_run(run_id).info.status == "KILLED"


# --- one at a time, and whoever is gone holds nothing ---


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """A project in which this process retrains churn on the shop: it holds the lock, and has staged something."""
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    staged = tmp_path / "mlruns" / "stage" / f"churn-shop-{'a' * 32}"
    with retrain.locked("churn", "shop"):
        staged.mkdir(parents=True)
        yield staged


def second() -> None:
    """What another start of the same does first."""
    with retrain.locked("churn", "shop"):
        retrain.swept("churn", "shop")


def test_a_second_retraining_finds_the_lock(at_work):
    with pytest.raises(Busy, match="Another process is retraining churn on shop"):
        second()
    assert at_work.exists()


def test_mutant_no_lock_is_taken(at_work, monkeypatch):
    """The second one takes what the first is at work on for a leftover."""
    monkeypatch.setattr(filelock.FileLock, "acquire", lambda lock: nullcontext())
    second()
    assert not at_work.exists()


def killed_with(lock) -> None:
    """A process takes a lock and is killed with it."""
    pid = os.fork()
    if pid == 0:
        with lock():
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


NIGHT = state.NightState("shop_night", "2024-01-01", ())


@pytest.mark.parametrize(
    "lock", [lambda: retrain.locked("churn", "shop"), lambda: runner._lock(NIGHT, date(2024, 1, 1))],
    ids=["retraining", "night"],
)  # fmt: skip
def test_the_lock_of_a_killed_process_is_free_and_that_of_a_mutant_is_not(lock, tmp_path, monkeypatch):
    """A lock that is a file which is there, and not what the kernel knows of it, is held by the dead for ever."""
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    killed_with(lock)
    with lock():
        pass

    class There(filelock.FileLock):
        def _acquire(self):
            opened = os.open(f"{self.lock_file}.there", os.O_CREAT | os.O_EXCL)
            self._context.lock_file_fd = opened

    for module in (retrain, runner):
        monkeypatch.setattr(module, "FileLock", There)
    killed_with(lock)
    with pytest.raises((Busy, FileExistsError)), lock():
        pass


# --- the store is whole or not there ---


@pytest.fixture
def cut_creation():
    """Ends the process at the 30th statement of the store's first migration."""
    count = iter(range(10**6))

    def counts(*_):
        if next(count) == 30:
            raise Cut

    event.listen(Engine, "before_cursor_execute", counts)
    yield
    event.remove(Engine, "before_cursor_execute", counts)


def test_a_creation_that_is_cut_leaves_no_store(tmp_path, monkeypatch, cut_creation):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    with pytest.raises(Cut):
        client()
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_mutant_a_store_created_in_place(tmp_path, monkeypatch, cut_creation):
    """It is there from its first table on, and no later start can finish it."""
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    database = tmp_path / "mlruns" / "mlflow.db"
    database.parent.mkdir()
    with pytest.raises(Cut):
        store._first_use(f"sqlite:///{database}")
    assert database.exists()
    with pytest.raises(StoreGone, match="cannot be opened"):
        client().search_experiments()


# --- columns are what their header says ---


def quantities(folder) -> list[str]:
    """The same row in two files, whose columns stand in either order."""
    found = []
    for name, lines in (("a.csv", "amount,quantity\n12.50,1\n"), ("b.csv", "quantity,amount\n1,12.50\n")):
        (folder / name).write_text(lines)
        found += csv_files.open_csv(ibis.duckdb.connect(), folder / name, Format(), folder).quantity.to_list()
    return found


def test_a_column_that_moved_is_found_by_its_name(tmp_path):
    assert quantities(tmp_path) == ["1", "1"]


def test_mutant_no_look_at_the_header(tmp_path, monkeypatch):
    """By position, a sum of money becomes a number of pieces, and nothing is said."""
    monkeypatch.setattr(csv_files, "_header", lambda file, separator: ["quantity", "amount"])
    assert quantities(tmp_path) == ["12.50", "1"]
