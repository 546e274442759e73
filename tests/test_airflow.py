"""The DAG file that `crm schedule` writes, loaded and executed by Airflow itself, in an environment of its own."""

import json
import os
import subprocess

import homes
import pytest
from conftest import unavailable

from pipelines.endings import DONE, ENDINGS, KEPT

AIRFLOW = homes.HOUSE / ".venv" / "airflow" / "bin" / "python"
MONDAY, TUESDAY = "2023-12-04", "2023-12-05"
CODES = ",".join(f"{ending.code}" for ending in ENDINGS if ending not in (DONE, KEPT))
NIGHT = """
source: shop
models: [churn, clv]
at: "03:30"
again: {times: 2, after_seconds: 60}
keep_days: 30
steps:
  check: {run: "check {source}"}
  retrain: {run: "retrain {model} --source {source} --as-of {as_of}", needs: [check], weekdays: [mon]}
  score: {run: "score {model} --source {source} --as-of {as_of}", needs: [check, retrain]}
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What Airflow says of the file, and of the step `check` that it executed on the shop."""
    if not AIRFLOW.exists():
        unavailable("no Airflow beside the environment; `make airflow` installs it")
    folder = tmp_path_factory.mktemp("airflow")
    home = homes.make(folder / "home")
    (home / "pipelines").mkdir()
    (home / "pipelines" / "shop_night.yml").write_text(NIGHT)
    ended = homes.run(home, "schedule", "shop_night", "--for", "airflow")
    assert ended.code == 0, ended.err
    (folder / "dags").mkdir()
    (folder / "dags" / "crm.py").write_text(ended.out)
    its_own = {"AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PATH": os.environ["PATH"]}
    its_own |= {"PYTHONPATH": os.pathsep.join([str(homes.HOUSE), str(homes.HOUSE / "src")]), "HOME": str(folder)}
    asked = [
        AIRFLOW,
        homes.HOUSE / "tests" / "airflow_reads.py",
        folder / "dags",
        f"{MONDAY},{TUESDAY}",
        "check",
        CODES,
    ]
    read = subprocess.run([*map(str, asked)], env=its_own, cwd=folder, capture_output=True, text=True, timeout=600)
    assert read.returncode == 0, read.stdout + read.stderr
    return json.loads(read.stdout.strip().splitlines()[-1])


def test_airflow_loads_a_task_a_step_in_the_order_of_needs(told):
    assert told["errors"] == {} and told["dag"] == "crm_shop_night"
    assert told["catchup"] is False and told["at_once"] == 1
    after = {name: task["after"] for name, task in told["tasks"].items()}
    assert after == {
        "check": [], "retrain_churn": ["check"], "retrain_clv": ["check"],
        "score_churn": ["check", "retrain_churn"], "score_clv": ["check", "retrain_clv"],
    }  # fmt: skip
    assert {task["retries"] for task in told["tasks"].values()} == {2}


def test_its_tasks_are_the_commands_that_a_person_would_type(told):
    monday, tuesday = told["tasks"]["score_churn"]["commands"]
    assert "pipelines score churn --source shop --as-of 2023-12-04 ||" in monday
    assert "--as-of 2023-12-05 ||" in tuesday


def test_it_executes_one(told):
    assert "shop: 1 tables keep their contracts" in told["ran"]


def test_a_step_that_is_not_due_ends_well_and_does_nothing(told):
    """Whatever language the machine speaks."""
    for command, due in zip(told["tasks"]["retrain_churn"]["commands"], (True, False), strict=True):
        loud = command.replace("-m pipelines", "-c 'print(\"ran\")' ")
        ended = subprocess.run(["bash", "-c", loud], capture_output=True, text=True, env={"LC_ALL": "zh_CN.UTF-8"})
        assert (ended.returncode, ended.stdout) == (0, "ran\n" if due else "")


def test_a_champion_that_stays_is_no_failure_and_all_else_is(told):
    command, _ = told["tasks"]["score_churn"]["commands"]
    for code, ended in ((0, 0), (3, 0), (2, 2), (5, 5), (137, 137)):
        run = command.replace("-m pipelines", f"-c 'raise SystemExit({code})' ")
        assert subprocess.run(["bash", "-c", run]).returncode == ended


def test_what_would_end_the_same_way_again_is_not_tried_again(told):
    """As in a night by hand: Airflow does not retry a task that raised its AirflowFailException."""
    for ending in (ending for ending in ENDINGS if ending not in (DONE, KEPT)):
        raised = "AirflowException" if ending.again else "AirflowFailException"
        assert told["raised"][f"{ending.code}"] == raised, ending
    assert told["raised"]["2"] == "AirflowFailException"
