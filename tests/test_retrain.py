"""`crm retrain` from end to end: what it leaves behind when it goes well, and when it is refused, stopped or killed."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date

import homes
import nbclient
import nbformat
import pytest

from features.identity import features_hash
from registry.fingerprint import folder_digest

RETRAIN = ("retrain", "churn", "--source", "shop", "--as-of")
FAILS = "x = 1\n# %%\n## Models\n# %%\nraise ValueError(f'no such thing as {x}')"
SLEEPS = "import pathlib, time\npathlib.Path('asleep').touch()\ntime.sleep(120)"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return homes.trained(tmp_path_factory)


def versions(home):
    found = homes.client(home).search_model_versions("name = 'churn'")
    return sorted(found, key=lambda v: int(v.version))


def aliases(home):
    return {alias: int(number) for alias, number in homes.client(home).get_registered_model("churn").aliases.items()}


def artifacts(home, run):
    folder = home / "mlruns" / "artifacts" / "churn" / run.info.run_id / "artifacts"
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}, folder


def nothing_unfinished(home):
    left = [*(home / "mlruns" / "stage").glob("*"), *(home / "mlruns").rglob("*.tmp*")]
    assert left == [] and not list((home / "mlruns").glob(".creating-*"))
    assert "RUNNING" not in {run.info.status for run in homes.runs(home)}


def test_a_run_says_what_it_was_made_of_and_what_it_found(trained):
    (run,) = homes.runs(trained)
    assert run.info.status == "FINISHED" and run.info.run_name == "2023-12-03 shop: no champion before"
    metrics, params, tags = run.data.metrics, run.data.params, run.data.tags
    for name in ("test/auc", "test/ece", "test/pr_auc", "naive/auc", "logistic/auc", "test/auc_gain_over_naive"):
        assert metrics[f"{name}/low"] <= metrics[name] <= metrics[f"{name}/high"]
    assert 0.75 < metrics["test/auc"] < 0.95 and metrics["naive/auc"] < metrics["test/auc"]
    asked = {"source": "shop", "as_of": "2023-12-03", "effort": "fast", "origins": "4"}
    assert {name: params[name] for name in asked} == asked
    assert params["horizon_days"] == "28" and tags["crm.test_origin"] == "2023-11-05"
    assert "own rule: Passes: " in tags["mlflow.note.content"] and tags["crm.passed"] == "1"
    assert all(tags[f"crm.{name}"] for name in ("key", "commit", "lock", "features", "sha256", "owner"))
    assert tags["crm.commit"] != "no git"


def test_a_run_keeps_what_its_features_are_made_of(trained):
    (run,) = homes.runs(trained)
    folder = trained / "mlruns" / "artifacts" / "churn" / run.info.run_id / "artifacts"
    columns = json.loads((folder / "features.json").read_text())
    assert {len(sha) for sha in columns.values()} == {64} and "recency_days" in columns
    assert features_hash(columns) == run.data.tags["crm.features"]
    assert "recency_days" in (folder / "features.sql").read_text()


def test_a_run_names_its_tables_by_fingerprints_of_what_was_known(trained):
    import ibis

    from registry.fingerprint import table_fingerprint
    from sources import open_source

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(trained))
        tables = open_source("shop").tables
    (run,) = homes.runs(trained)
    logged = {found.dataset.name: found.dataset.digest for found in run.inputs.dataset_inputs}
    midnight = ibis.literal(date(2023, 12, 3))
    known = {name: t.filter(t.known_at < midnight) if "known_at" in t.columns else t for name, t in tables.items()}
    expected = {name: table_fingerprint(table)[:32] for name, table in known.items()}
    assert {name: logged[name] for name in expected} == expected
    assert set(logged) - set(expected) == {"training_table"}


def test_a_run_keeps_its_notebook_its_page_and_a_model_of_data_only(trained):
    (run,) = homes.runs(trained)
    files, folder = artifacts(trained, run)
    assert {f"notebook/20_churn-shop-2023-12-03.{kind}" for kind in ("ipynb", "html")} <= files
    assert {"figures/roc.png", "figures/calibration.png", "figures/profit.png", "tables/candidates.csv"} <= files
    model = {name for name in files if name.startswith("model/")}
    assert model and {name.rsplit(".", 1)[1] for name in model} <= {"json", "ubj"}
    assert folder_digest(folder / "model") == run.data.tags["crm.sha256"]
    executed = nbformat.read(trained / "mlruns" / "notebooks" / "20_churn-shop-2023-12-03.ipynb", as_version=4)
    assert executed.metadata.papermill.exception is None and executed.metadata.papermill.parameters.origins == 4
    nothing_unfinished(trained)


def test_the_first_that_passes_is_registered_whole_and_is_the_champion(trained):
    (version,) = versions(trained)
    (run,) = homes.runs(trained)
    assert version.run_id == run.info.run_id and run.data.tags["crm.version"] == str(version.version)
    assert version.tags["crm.complete"] == "1" and version.tags["crm.sha256"] == run.data.tags["crm.sha256"]
    assert (version.tags["crm.key"], version.tags["crm.as_of"]) == (run.data.tags["crm.key"], "2023-12-03")
    assert aliases(trained) == {"champion": 1, "challenger": 1}


def test_tags_come_with_the_version_in_one_commit(trained, tmp_path, monkeypatch):
    """Whoever is killed after the version is there leaves it complete: no tag is set afterwards."""
    from mlflow import MlflowClient

    from registry import versions as registered

    home = homes.copy(trained, tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(home))
    monkeypatch.setattr(MlflowClient, "set_model_version_tag", None)
    (run,) = homes.runs(home)
    tags = {"crm.key": "another", "crm.sha256": run.data.tags["crm.sha256"], "crm.as_of": "2023-12-04"}
    made = registered.register("churn", run.info.run_id, tags, "once more")
    assert made.number == 2 and versions(home)[1].tags == {**tags, "crm.complete": "1"}


def test_what_only_looks_like_a_version_is_none(trained, tmp_path, monkeypatch):
    from registry import versions as registered

    home = homes.copy(trained, tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(home))
    homes.client(home).create_model_version("churn", versions(home)[0].source, tags={"crm.as_of": "2023-12-04"})
    assert [version.number for version in registered.versions("churn")] == [1]


def test_the_same_again_adds_no_version(trained, tmp_path):
    home = homes.copy(trained, tmp_path / "home")
    ended = homes.crm(home, *RETRAIN, homes.AS_OF, *homes.FAST)
    assert ended.code == 0 and "churn version 1: AUC" in ended.out and "It is the champion." in ended.out
    assert len(versions(home)) == 1 and aliases(home) == {"champion": 1, "challenger": 1}
    assert [run.info.status for run in homes.runs(home)] == ["FINISHED"] * 2
    nothing_unfinished(home)


def test_another_process_elsewhere_makes_the_same_model_and_scores(trained, tmp_path):
    """Another hash seed, time zone, locale, number of threads, folder and process."""
    away = {"PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    away |= {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    other = homes.make(tmp_path / "another home")
    ended = homes.run(other, *RETRAIN, homes.AS_OF, *homes.FAST, **away)
    assert ended.code == 0, ended.err
    here, there = versions(trained)[0].tags, versions(other)[0].tags
    assert there["crm.sha256"] == here["crm.sha256"] and there["crm.key"] == here["crm.key"]
    copied = homes.copy(trained, tmp_path / "home")
    scores = []
    for home in (copied, other):
        scored = homes.crm(home, "score", "churn", "--source", "shop", "--as-of", homes.AS_OF)
        assert scored.code == 0, scored.err
        scores.append({k: v for k, v in homes.digest(home / "data").items() if k.startswith(("scores", "decisions"))})
    assert scores[0] == scores[1] and len(scores[0]) == 2


def test_cell_by_cell_gives_the_same_model_and_promotes_nothing(trained, tmp_path, monkeypatch):
    """As JupyterLab runs it: from another folder, without the runner."""
    home = homes.copy(trained, tmp_path / "home")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    notebook = nbformat.read(home / "notebooks" / "20_churn.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    cell.source += f'\nsource = "shop"\nas_of = "{homes.AS_OF}"\neffort = "fast"\norigins = 4'
    monkeypatch.setenv("CRM_HOME", str(home))
    monkeypatch.delenv("CRM_STAGE", raising=False)
    nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(elsewhere)}}).execute()
    by_hand, run = homes.runs(home)
    assert by_hand.data.tags["crm.sha256"] == run.data.tags["crm.sha256"]
    assert by_hand.data.tags["crm.by_hand"] == "1" and by_hand.info.run_name == "2023-12-03 shop by hand"
    assert by_hand.info.status == "FINISHED" and by_hand.data.metrics == run.data.metrics
    assert len(versions(home)) == 1 and aliases(home) == {"champion": 1, "challenger": 1}
    assert "only `crm retrain` registers a model" in str(notebook.cells)
    assert list(elsewhere.iterdir()) == []


def test_later_data_make_a_challenger_and_earlier_data_neither(tmp_path):
    home = homes.make(tmp_path / "home", homes.QUICK)
    assert homes.crm(home, *RETRAIN, homes.AS_OF, "-p", "origins=2").code == 0
    later = homes.crm(home, *RETRAIN, homes.LATER, "-p", "origins=2")
    assert later.code == 3 and "The champion stays, version 1; this one is the challenger." in later.out
    assert aliases(home) == {"champion": 1, "challenger": 2}
    earlier = homes.crm(home, *RETRAIN, homes.EARLIER, "-p", "origins=2")
    assert earlier.code == 3 and len(versions(home)) == 3
    assert aliases(home) == {"champion": 1, "challenger": 2}
    assert "It takes no alias. churn: the challenger is version 2 as of 2023-12-10" in earlier.out


def test_one_that_does_not_pass_is_registered_but_not_promoted(tmp_path):
    home = homes.make(tmp_path / "home", homes.QUICK)
    ended = homes.crm(home, *RETRAIN, homes.AS_OF, "-p", "origins=2", "-p", "seed=1")
    assert ended.code == 3 and aliases(home) == {"challenger": 1}
    assert "There is no champion" in ended.out


def test_a_cell_that_raises_is_named_and_nothing_is_registered(tmp_path):
    home = homes.make(tmp_path / "home", FAILS)
    good = home / "mlruns" / "notebooks" / "20_churn-shop-2023-12-03.html"
    good.parent.mkdir(parents=True)
    good.write_text("the last good page")
    ended = homes.crm(home, *RETRAIN, homes.AS_OF, "-p", "origins=2")
    assert ended.code == 1 and "Traceback" not in ended.err and ended.out == ""
    assert "error: 20_churn.ipynb, cell 4 under 'Models': ValueError: no such thing as 1" in ended.err
    (run,) = homes.runs(home)
    assert run.info.status == "FAILED" and "no such thing as 1" in run.data.tags["mlflow.note.content"]
    assert run.info.run_id in ended.err and run.data.params["origins"] == "2"
    files, folder = artifacts(home, run)
    executed = {f"notebook/20_churn-shop-2023-12-03.{kind}" for kind in ("ipynb", "html")}
    assert files == {"features.json", "features.sql", "recipe.json", *executed}
    assert "no such thing as 1" in (folder / "notebook" / "20_churn-shop-2023-12-03.ipynb").read_text()
    assert good.read_text() == "the last good page"
    assert homes.client(home).search_registered_models() == []
    nothing_unfinished(home)


def test_a_notebook_that_hands_nothing_in_has_failed(tmp_path):
    home = homes.make(tmp_path / "home", "x = 1")
    ended = homes.crm(home, *RETRAIN, homes.AS_OF, "-p", "origins=2")
    assert ended.code == 1 and "20_churn.ipynb handed in no record" in ended.err
    assert homes.runs(home)[0].info.status == "FAILED" and homes.client(home).search_registered_models() == []


def asleep(home, process):
    """Wait until the notebook's cell sleeps."""
    for _ in range(1200):
        if (home / "notebooks" / "asleep").exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError("the notebook did not start within two minutes")


def test_a_run_that_is_asked_to_stop_is_closed(tmp_path):
    home = homes.make(tmp_path / "home", SLEEPS)
    process = homes.start(home, *RETRAIN, homes.AS_OF, "-p", "origins=2")
    asleep(home, process)
    busy = homes.crm(home, *RETRAIN, homes.AS_OF, "-p", "origins=2")
    assert busy.code == 4 and busy.err.splitlines()[-1].startswith("busy: Another process is retraining churn on shop")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143 and err.splitlines()[-1].startswith("stopped: on request")
    assert "pipelines/retrain.py" not in err  # the kernel tells of its own end, we show no traceback
    (run,) = homes.runs(home)
    assert run.info.status == "KILLED" and "notebook/20_churn-shop-2023-12-03.ipynb" in artifacts(home, run)[0]
    assert homes.client(home).search_registered_models() == []
    nothing_unfinished(home)


def test_the_next_start_cleans_up_after_a_killed_one(tmp_path):
    home = homes.make(tmp_path / "home", SLEEPS)
    process = homes.start(home, *RETRAIN, homes.AS_OF, "-p", "origins=2")
    asleep(home, process)
    process.kill()
    process.communicate(timeout=60)
    (run,) = homes.runs(home)
    assert run.info.status == "RUNNING" and list((home / "mlruns" / "stage").iterdir())
    rows = home / "data" / "evidence" / "rows" / run.info.run_id
    assert rows.exists()
    homes.rewrite(home, homes.QUICK)
    ended = homes.crm(home, *RETRAIN, homes.AS_OF, "-p", "origins=2")
    assert ended.code == 0
    assert f"found: run {run.info.run_id} was left running by a process that is gone" in ended.err
    assert f"found: stage of an unfinished run removed: churn-shop-{run.info.run_id}" in ended.err
    assert [found.info.status for found in homes.runs(home)] == ["FINISHED", "KILLED"] and not rows.exists()
    nothing_unfinished(home)


def test_several_processes_may_start_on_an_empty_store(tmp_path):
    """Without the lock and the rename, most of them fail, and the store is broken for good."""
    code = "from registry.runs import start, finish; finish(start('churn', 'one of four', {}), 'FINISHED')"
    settings = os.environ | {"CRM_HOME": str(tmp_path), "PYTHONPATH": str(homes.HOUSE / "src")}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=settings, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(process.communicate(timeout=300)[1], process.returncode)[1] for process in started] == [0] * 4
    assert [run.info.status for run in homes.runs(tmp_path)] == ["FINISHED"] * 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlruns"]
    assert list((tmp_path / "mlruns").glob(".creating-*")) == []


def test_a_record_is_written_last_and_says_what_the_model_is(trained):
    (run,) = homes.runs(trained)
    executed = (trained / "mlruns" / "notebooks" / "20_churn-shop-2023-12-03.ipynb").read_text()
    assert f"Handed in: model {run.data.tags['crm.sha256'][:12]}." in json.dumps(json.loads(executed))
