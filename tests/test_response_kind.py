"""Response through the pipeline: a world whose letters were drawn by chance, by its commands."""

import json

import homes
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.parameters import complete
from pipelines.report import to_html
from pipelines.run_notebook import run_notebook
from sources.world.parameters import World
from sources.world.writer import write_world

AS_OF = "2024-12-31"
ASKED = ("response", "--source", "world", "--as-of", AS_OF)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with response trained and scored on a world of 2,000 customers."""
    home = homes.make(tmp_path_factory.mktemp("response") / "home")
    write_world(World(2_000, 7), home / "data" / "raw" / "world", lambda _: None)
    ended = homes.crm(home, "retrain", *ASKED, "-p", "effort=fast")
    assert ended.code in (0, 3), ended.err
    return home


@pytest.mark.slow
def test_the_whole_way_of_response(home, tmp_path, monkeypatch):
    """One test, so that one worker alone retrains."""
    an_experiment_is_judged_by_effects(home)
    scores_and_plan_name_customer_and_campaign_and_are_the_same_twice(home)
    the_model_holds_no_customer(home)
    without_a_control_group_there_is_response_only(home, tmp_path, monkeypatch)


def an_experiment_is_judged_by_effects(home):
    (run,) = homes.runs(home)
    found = run.data.metrics
    assert run.data.tags["crm.experiment"] == "1" and found["targeting/auc"] < 0.55
    cents = {"uplift/qini_cents", "uplift/gain_over_none_cents"}
    assert {"uplift/qini", "uplift/qini_gain_over_response"} | cents <= found.keys()
    assert 0.5 < found["test/auc"] < 0.9
    (table,) = (home / "mlruns").glob(f"**/{run.info.run_id}/artifacts/gate/gate-simulated.csv")
    gate = pd.read_csv(table).set_index("check")
    assert gate.loc["same bytes when fitted again", "found"] == 1
    said = run.data.tags["mlflow.note.content"]
    assert "over sending none" in said
    assert ("Send by effect" in said) == (found["uplift/gain_over_none_cents/low"] > 0) == ("No letter" not in said)


def scores_and_plan_name_customer_and_campaign_and_are_the_same_twice(home):
    files = {}
    for _ in range(2):
        ended = homes.crm(home, "score", *ASKED)
        assert ended.code == 0 and "letters" in ended.out, ended.err
        for folder in ("scores", "decisions"):
            (file,) = (home / "data" / folder / "model=response" / f"as_of={AS_OF}").glob("*.parquet")
            assert files.setdefault(folder, file.read_bytes()) == file.read_bytes()
    scores, plan = pd.read_parquet(home_file(home, "scores")), pd.read_parquet(home_file(home, "decisions"))
    assert not scores.duplicated(["customer_id", "campaign_id"]).any() and len(scores) == len(plan)
    assert (scores.low <= scores.score).all() and (scores.score <= scores.high).all()
    assert scores.amount_cents.min() >= 0 and (scores.reason_1 != "").any()
    sent = plan[plan.action == "send"]
    assert sent.customer_id.is_unique and (sent.expected_profit_cents >= 0).all()


def home_file(home, folder):
    (file,) = (home / "data" / folder / "model=response" / f"as_of={AS_OF}").glob("*.parquet")
    return file


def without_a_control_group_there_is_response_only(home, tmp_path, monkeypatch):
    """The control and the propensities are lost: the same page, and not a word of what a letter changes."""
    contacts = home / "data" / "raw" / "world" / "contacts"
    rows = pd.concat([pd.read_parquet(file) for file in sorted(contacts.glob("*.parquet"))])
    kept = rows[rows.arm != "control"].assign(propensity=np.nan)
    (first, *others) = sorted(contacts.glob("*.parquet"))
    for file in others:
        file.unlink()
    pq.write_table(pa.Table.from_pandas(kept, pq.read_schema(first), preserve_index=False), first)
    monkeypatch.setenv("CRM_HOME", str(home))
    monkeypatch.setenv("CRM_STAGE", str(tmp_path / "stage"))
    (tmp_path / "stage").mkdir()
    notebook, executed = home / "notebooks" / "22_response.ipynb", tmp_path / "executed.ipynb"
    asked = {"source": "world", "as_of": AS_OF, "effort": "fast"}
    run_notebook(notebook, executed, complete(notebook, asked), lambda _: None)
    page = to_html(executed).read_text()
    assert "no propensity was logged" in page and "response only" in page and "Whatever chose them" in page
    assert "Not asked: it was no experiment." in page and "margin a head over sending none" not in page
    record = json.loads((tmp_path / "stage" / "record.json").read_text())
    assert record["facts"]["experiment"] == 0 and not any(name.startswith("uplift/") for name in record["metrics"])


def the_model_holds_no_customer(home):
    (model,) = [json.loads(file.read_text()) for file in (home / "mlruns" / "artifacts").rglob("response.json")]
    assert model["about"]["horizon_days"] == 42 and 0 < model["about"]["base_rate"] < 1
    logged = list((home / "mlruns" / "artifacts").rglob("*.csv"))
    assert logged and not any("customer_id" in file.read_text().splitlines()[0] for file in logged)
