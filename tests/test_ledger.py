"""The ledger: a chain that shows every change, and aliases that follow it, whatever is cut in between."""

import contextlib
import random
import re
import sqlite3
import subprocess
import sys

import homes
import pytest

from contracts.errors import Refused
from registry import ledger, runs, versions
from registry.fingerprint import folder_digest

ONE_BY_ONE = """
import random, sys
from registry import ledger, versions
draw = random.Random(int(sys.argv[1]))
there = versions.versions("churn")
print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    try:
        if draw.random() < 0.6:
            ledger.promote(draw.choice(there), "ann", "by lot")
        else:
            ledger.rollback("churn", "shop", "ann", "by lot")
    except Exception as error:
        if type(error).__name__ != "Refused":
            raise
    print("done", flush=True)
"""


def registered(home, number):
    """A version of the source shop, whose files say its number."""
    run_id = runs.start("churn", f"made {number}", {"mlflow.user": "ann"})
    model = home / "made" / str(number)
    model.mkdir(parents=True)
    (model / "model.json").write_text(str(number))
    from registry.store import client

    client().log_artifacts(run_id, str(model), "model")
    runs.finish(run_id, "FINISHED")
    tags = {"crm.key": str(number), "crm.sha256": folder_digest(model), "crm.as_of": "2024-01-01", "crm.source": "shop"}
    return versions.register("churn", run_id, tags, "Made for a test.")


@pytest.fixture
def three(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    found = [registered(tmp_path, number) for number in range(3)]
    versions.challenge(found[0])
    return tmp_path, found


def champion():
    present = versions.champion("churn", "shop")
    return present.number if present else None


def test_the_list_of_runs_says_which_is_champion(three):
    _, (first, second, third) = three
    for version in (first, second, third):
        runs.tag(version.run_id, {"crm.version": str(version.number)})
    ledger.promote(second, "ann", "better")
    found = {row["version"]: row["aliases"] for row in runs.table_of_runs("churn")}
    assert found == {"1": ["challenger"], "2": ["champion"], "3": []}


def test_a_champion_comes_and_goes_back_by_one_and_by_two(three):
    _, (first, second, third) = three
    for version in (first, second, third):
        ledger.promote(version, "ann", "better")
    assert champion() == 3
    ledger.rollback("churn", "shop", "bob", "complaints")
    assert champion() == 2 and ledger.rolled_back(third).who == "bob" and ledger.rolled_back(second) is None
    ledger.rollback("churn", "shop", "bob", "more of them")
    assert champion() == 1
    with pytest.raises(Refused, match="must have had two champions to go back, but had 1"):
        ledger.rollback("churn", "shop", "bob", "once more")
    ledger.promote(third, "cid", "mended")
    assert champion() == 3 and ledger.rolled_back(third) is None
    events = [(row.event, row.moved_from, row.to) for row in ledger.rows("churn")]
    assert events == [
        ("promoted", "", "1"), ("promoted", "1", "2"), ("promoted", "2", "3"), ("rolled back", "3", "2"),
        ("rolled back", "2", "1"), ("promoted", "1", "3"),
    ]  # fmt: skip
    assert ledger.verify("churn") == []


def test_a_refusal_is_a_row_and_moves_nothing(three):
    _, (first, second, _) = three
    ledger.promote(first, "ann", "the first")
    ledger.refuse(second, "the gate", "not better")
    assert champion() == 1 and [row.event for row in ledger.rows("churn")] == ["promoted", "refused"]
    with pytest.raises(Refused, match="needs a reason"):
        ledger.promote(second, "ann", " ")
    assert len(ledger.rows("churn")) == 2 and ledger.verify("churn") == []


def set_tag(home, name, old, new):
    with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as store, store:
        changed = store.execute("UPDATE tags SET value = ? WHERE key = ? AND value = ?", (new, name, old))
        assert changed.rowcount == 1


def remove_row(home, number):
    with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as store, store:
        found = "SELECT run_uuid FROM tags WHERE key = 'crm.ledger.number' AND value = ?"
        ((run_id,),) = store.execute(found, (str(number),)).fetchall()
        store.execute("DELETE FROM tags WHERE run_uuid = ?", (run_id,))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda home: set_tag(home, "crm.ledger.why", "reason 2", "another"), "Row 2 .* was changed after it was"),
        (lambda home: set_tag(home, "crm.ledger.who", "ann 3", "bob"), "Row 3 .* was changed after it was"),
        (lambda home: set_tag(home, "crm.ledger.number", "2", "7"), "was changed after it was"),
        (lambda home: remove_row(home, 1), "Row 2 .* ought to be row 1: rows before it are gone"),
        (lambda home: remove_row(home, 2), "Row 3 .* ought to be row 2: rows before it are gone"),
        (lambda home: remove_row(home, 3), "remembers row .* rows were taken off the end"),
        (
            lambda home: homes.client(home).delete_run(
                homes.client(home).search_runs(["2"], "tags.`crm.ledger.number` = '3'")[0].info.run_id
            ),
            "was deleted in the tracking store",
        ),
        (
            lambda home: homes.client(home).set_registered_model_alias("churn", "champion", "1"),
            "alias champion is at version 1, but the ledger put it at version 3",
        ),
        (
            lambda home: homes.client(home).delete_registered_model_tag("churn", ledger.HEAD),
            "remembers no row as the last one",
        ),
    ],
)
def test_what_was_changed_or_removed_is_found(three, harm, says):
    home, found = three
    for number, version in enumerate(found, 1):
        ledger.promote(version, f"ann {number}", f"reason {number}")
    assert ledger.verify("churn") == []
    harm(home)
    (first, *_) = [line for line in ledger.verify("churn") if re.search(says, line)] or [None]
    assert first, ledger.verify("churn")
    ended = homes.crm(home, "ledger", "--verify")
    assert ended.code == 3 and first in ended.out


def test_an_alias_that_was_moved_past_the_ledger_scores_nobody(three):
    home, (first, second, _) = three
    ledger.promote(first, "ann", "the first")
    ledger.refuse_unexplained(first)
    homes.client(home).set_registered_model_alias("churn", "champion", "2")
    with pytest.raises(Refused, match="the alias is at version 2 and its last row put version 1 there"):
        ledger.refuse_unexplained(second)
    assert ledger.finish_cut("churn") == [] and champion() == 2  # moved by a person: not ours to move back


@pytest.mark.slow
def test_a_hundred_moves_with_kills_in_between_leave_alias_and_ledger_agreeing(three):
    home, _ = three
    draw, done, kills = random.Random(5), 0, 0
    settings = {"CRM_HOME": str(home), "PYTHONPATH": str(homes.HOUSE / "src"), "PATH": "/usr/bin:/bin"}
    while done < 100:
        command = [sys.executable, "-c", ONE_BY_ONE, str(done), str(100 - done)]
        process = subprocess.Popen(command, cwd=home, env=settings, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        for _ in range(draw.randint(4, 14)):
            done += process.stdout.readline() == "done\n"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(0, 0.05))
        process.kill()
        done += process.communicate()[0].count("done\n")
        kills += process.returncode != 0
        ledger.finish_cut("churn")
        assert ledger.verify("churn") == []
        assert str(champion() or "") == ledger.champion("churn", "shop")
    assert kills >= 5
    statuses = {run.info.status for run in homes.client(home).search_runs(["2"])}
    assert statuses == {"FINISHED"}
