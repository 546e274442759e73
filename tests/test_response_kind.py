"""Response through the pipeline: a world whose letters were drawn by chance, by its commands."""

import json

import homes
import pandas as pd
import pytest

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
def test_the_whole_way_of_response(home):
    """One test, so that one worker alone retrains."""
    an_experiment_is_judged_by_effects(home)
    scores_and_plan_name_customer_and_campaign_and_are_the_same_twice(home)
    the_model_holds_no_customer(home)


def an_experiment_is_judged_by_effects(home):
    (run,) = homes.runs(home)
    found = run.data.metrics
    assert run.data.tags["crm.experiment"] == "1" and found["targeting/auc"] < 0.55
    cents = {"uplift/qini_cents", "uplift/gain_over_none_cents"}
    assert {"uplift/qini", "uplift/qini_gain_over_response"} | cents <= found.keys()
    assert 0.5 < found["test/auc"] < 0.9
    assert "over sending none" in run.data.tags["mlflow.note.content"]


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


def the_model_holds_no_customer(home):
    (model,) = [json.loads(file.read_text()) for file in (home / "mlruns" / "artifacts").rglob("response.json")]
    assert model["about"]["horizon_days"] == 42 and 0 < model["about"]["base_rate"] < 1
    logged = list((home / "mlruns" / "artifacts").rglob("*.csv"))
    assert logged and not any("customer_id" in file.read_text().splitlines()[0] for file in logged)
