"""The tracking store elsewhere, by one setting: a real PostgreSQL, a tracking server, and several processes at once."""

import os
import subprocess
import sys

import homes
import pandas as pd
import psycopg
import pytest
from postgres import server  # noqa: F401

# what a retraining does to the store, without the training: a run, a model of a file, a version, aliases, the ledger
WRITES = """
import pathlib, sys, tempfile
from pipelines.retrain import _registering
from registry import ledger, runs, versions
from registry.fingerprint import folder_digest
from registry.store import client
source = sys.argv[1]
run_id = runs.start("churn", f"one of several, on {source}", {"crm.source": source})
with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "model").mkdir()
    (pathlib.Path(folder) / "model" / "churn.json").write_text(source)
    sha256 = folder_digest(pathlib.Path(folder) / "model")
    client().log_artifacts(run_id, folder)
tags = {"crm.key": source, "crm.sha256": sha256, "crm.as_of": "2024-01-01", "crm.source": source}
with _registering("churn"):
    version = versions.register("churn", run_id, tags, "a note")
    versions.challenge(version)
    ledger.promote(version, "a test", "a reason")
runs.finish(run_id, "FINISHED")
"""
FOUND = """
from registry import ledger, versions
from registry.store import client
print(len(versions.versions("churn")), ledger.verify("churn"), [r.to for r in ledger.rows("churn")])
print([versions.champion("churn", source).source for source in ("a", "b", "c")])
print({run.info.status for e in client().search_experiments() for run in client().search_runs([e.experiment_id])})
"""
pytestmark = pytest.mark.slow


def python(home, code: str, *words: str, **settings: str) -> subprocess.Popen:
    path = os.pathsep.join([str(homes.HOUSE), str(homes.HOUSE / "src")])
    env = os.environ | {"CRM_HOME": str(home), "PYTHONPATH": path} | settings
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=home, env=env, **pipes)


def all_are_there(home, **settings: str) -> None:
    """Three processes begin at once on a store that nobody has used; none is lost, and the ledger explains each."""
    started = [python(home, WRITES, source, **settings) for source in "abc"]
    ended = [(process.communicate(timeout=600)[1], process.returncode) for process in started]
    assert [code for _, code in ended] == [0] * 3, [said[-600:] for said, code in ended if code]
    out, err = python(home, FOUND, **settings).communicate(timeout=300)
    assert out.splitlines() == ["3 [] ['1', '2', '3']", "['a', 'b', 'c']", "{'FINISHED'}"], out + err[-600:]
    assert not any("database is locked" in said for said, _ in ended)


def test_several_processes_register_at_once_on_the_default_store(tmp_path):
    all_are_there(tmp_path)


@pytest.mark.postgres
def test_several_processes_register_at_once_in_postgresql(tmp_path, server):  # noqa: F811
    all_are_there(tmp_path, MLFLOW_TRACKING_URI=server)
    assert len(list((tmp_path / "mlruns" / "artifacts" / "churn").glob("*/artifacts/model/churn.json"))) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlruns"] and not (tmp_path / "mlruns" / "mlflow.db").exists()


@pytest.mark.postgres
def test_a_whole_retraining_and_its_scores_in_postgresql(tmp_path, server, monkeypatch):  # noqa: F811
    """From check to champion by the command line; the store is the database, and nothing of it lies in the project."""
    home = homes.make(tmp_path / "home", homes.QUICK)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    made = homes.crm(home, "retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, "-p", "origins=2")
    assert made.code == 0 and "It is the champion." in made.out, made.err
    scored = homes.crm(home, "score", "churn", "--source", "shop", "--as-of", homes.AS_OF)
    assert scored.code == 0, scored.err
    assert len(pd.read_parquet(home / "data/scores/model=churn" / f"as_of={homes.AS_OF}" / "shop.parquet")) > 100
    told = homes.crm(home, "ledger", "churn", "--verify")
    assert told.code == 0 and "promoted" in told.out, told
    with psycopg.connect(server) as database:
        statuses = database.execute("SELECT DISTINCT status FROM runs").fetchall()
        aliases = database.execute("SELECT alias, version FROM registered_model_aliases ORDER BY alias").fetchall()
    assert statuses == [("FINISHED",)] and aliases == [("challenger", 1), ("champion", 1)]
    assert not list(home.rglob("*.db")) and not list((home / "mlruns" / "stage").iterdir())


def test_a_server_that_does_not_answer_has_its_exit_code(tmp_path):
    settings = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    ended = homes.run(homes.make(tmp_path / "home"), "runs", **settings)
    assert ended.code == 7 and ended.err.startswith("store gone: ") and "Traceback" not in ended.err, ended.err
    assert len(ended.err.strip().splitlines()) == 1


UNANSWERED = "postgresql://me:{}@127.0.0.1:9/none".format("of-nobody")


@pytest.mark.postgres
def test_a_database_that_does_not_answer_has_its_exit_code(tmp_path):
    ended = homes.run(homes.make(tmp_path / "home"), "runs", MLFLOW_TRACKING_URI=UNANSWERED)
    assert ended.code == 7 and ended.err.startswith("store gone: ") and "Traceback" not in ended.err, ended.err
    assert len(ended.err.strip().splitlines()) == 1 and "of-nobody" not in ended.err
