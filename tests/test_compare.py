"""`crm compare` and the gate of a retraining, on two runs of one model."""

import re
from types import SimpleNamespace

import homes
import pandas as pd
import pytest

from evaluation.comparison import Difference
from pipelines.compare import _said

RETRAIN = ("retrain", "churn", "--source", "shop", "--as-of")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two versions of one column, the second a week later: equal rankings, other probabilities."""
    home = homes.make(tmp_path_factory.mktemp("two") / "home", homes.QUICK)
    ended = [homes.crm(home, *RETRAIN, day, "-p", "origins=2") for day in (homes.AS_OF, homes.LATER)]
    return home, ended


def test_one_that_is_not_surely_better_does_not_replace_the_champion(two):
    home, (first, second) = two
    assert (first.code, second.code) == (0, 3), (first, second)
    assert "churn as of 2023-12-10 (run " in second.out and "cannot be told from churn version 1" in second.out
    assert "The champion stays, version 1; this one is the challenger." in second.out
    run = homes.runs(home)[0]
    assert run.data.tags["crm.gate"] == "not passed"
    # the rankings are equal but for the few beyond the outermost knots, which are tied
    assert run.data.metrics["gain/auc"] == pytest.approx(0, abs=1e-4)
    assert run.data.metrics["gain/brier/low"] <= run.data.metrics["gain/brier"] <= run.data.metrics["gain/brier/high"]
    files = {file.path for file in homes.client(home).list_artifacts(run.info.run_id, "gate")}
    assert {"gate/gate.csv", "gate/gains.csv", "gate/gains.png", "gate/bands.csv"} <= files
    told = homes.crm(home, "ledger", "churn", "--verify")
    assert told.code == 0 and "2 rows, and the chain holds" in told.out
    assert "churn version 2 refused, so that there stays version 1 (shop)" in told.out


def test_a_comparison_lists_who_changes_band_and_keeps_them_out_of_the_store(two):
    home, _ = two
    ended = homes.crm(home, "compare", "churn/1", "churn/2")
    assert ended.code == 0 and "was scored anew as it was before its own test of 2023-11-05" in ended.out
    (count,) = re.findall(r"([\d,]+) change band", ended.out)
    run = homes.runs(home)[0]
    changed = pd.read_parquet(home / "data" / "comparisons" / f"{run.info.run_id}.parquet")
    assert len(changed) == int(count.replace(",", "")) and (changed.band_first != changed.band_second).all()
    assert homes.crm(home, "compare", "churn/1", run.info.run_id[:8]).out == ended.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("churn/2", "churn/1"), "the first was tested at 2023-11-12, later than the second's 2023-11-05"),
        (("churn/1", "churn/1"), "A run is compared with another"),
        (("churn/1", "churn/7"), "'churn/7' must name a version, but churn has versions 1 to 2."),
        (("churn/1", "abc"), "must name one run"),
    ],
)
def test_what_cannot_be_compared_fairly_is_refused(two, words, says):
    ended = homes.crm(two[0], "compare", *words)
    assert ended.code == 2 and says in ended.err


def test_whether_two_runs_saw_the_same_data_is_told_by_table(two):
    own = homes.crm(two[0], "fingerprint", "churn/1")
    assert own.code == 0 and {"orders", "training_table", "test subjects"} <= set(re.findall(r"  (.*)", own.out))
    both = homes.crm(two[0], "fingerprint", "churn/1", "churn/2")
    (orders,) = re.findall(r"(.*)  orders", own.out)
    assert both.code == 3 and f"differs  orders: {orders} in churn/1, " in both.out
    assert "Not the same data: 4 of 4 tables differ." in both.out
    twice = homes.crm(two[0], "fingerprint", "churn/1", homes.runs(two[0])[1].info.run_id)
    assert twice.code == 0 and f"Same data: all {len(own.out.splitlines())} tables." in twice.out
    assert homes.crm(two[0], "fingerprint", "churn/7").code == 2


def test_test_rows_that_were_changed_compare_nothing(two, tmp_path):
    home = homes.copy(two[0], tmp_path / "home")
    run = homes.runs(home)[0]
    file = home / "data" / "evidence" / f"{run.info.run_id}.parquet"
    rows = pd.read_parquet(file)
    rows.assign(outcome=1 - rows.outcome).to_parquet(file, index=False)
    ended = homes.crm(home, "compare", "churn/1", "churn/2")
    assert ended.code == 2 and "they were changed. Restore them, or train it again." in ended.err
    file.unlink()
    assert "but are gone" in homes.crm(home, "compare", "churn/1", "churn/2").err


def test_one_as_good_takes_the_place_of_a_champion_that_is_old(two, tmp_path, monkeypatch):
    """A model learnt from what the champion knew cannot be better by it: only the calendar would ever replace that."""
    from pipelines import gate

    aged = gate.settings() | {"watch": gate.settings()["watch"] | {"review_days": 7}}
    monkeypatch.setattr(gate, "settings", lambda: aged)
    home = homes.copy(two[0], tmp_path / "home")
    found = gate_of(homes.crm(home, *RETRAIN, homes.LATER, "-p", "origins=2", "-p", "seed=2"), home)
    (row,) = found[found.check == "gain in AUC over the champion"].itertuples()
    assert row.limit == "surely above -0.005" and row.passed == "yes"
    assert row.note == "the champion is 7 days old, so that one surely not worse takes its place"
    (row,) = gate_of(two[1][1], two[0])[lambda rows: rows.check == "gain in AUC over the champion"].itertuples()
    assert row.limit == "surely above 0" and row.passed == "no"


def gate_of(ended, home) -> pd.DataFrame:
    """The gate's rows of the newest run."""
    assert ended.code in (0, 3), ended
    run = homes.runs(home)[0]
    return pd.read_csv(homes.client(home).download_artifacts(run.info.run_id, "gate/gate.csv"), keep_default_na=False)


def test_two_pairs_of_eyes(two, tmp_path, monkeypatch):
    from pipelines import promotion

    home = homes.copy(two[0], tmp_path / "home")
    monkeypatch.setattr(promotion, "_two_pairs_of_eyes", lambda model: True)
    own = homes.crm(home, "promote", "churn", "2", "--reason", "fresher")
    assert own.code == 2 and "someone else must promote it" in own.err
    monkeypatch.setattr(promotion, "user", lambda: "another")
    done = homes.crm(home, "promote", "churn", "2", "--reason", "fresher")
    assert done.code == 0 and "another: churn version 2 promoted, in place of version 1 (shop). fresher" in done.out
    again = homes.crm(home, "promote", "churn", "2", "--reason", "fresher")
    assert again.code == 2 and "is the champion on shop already" in again.err
    back = homes.crm(home, "rollback", "churn", "--source", "shop", "--reason", "complaints")
    assert back.code == 0 and "churn version 1 rolled back to, from version 2" in back.out


@pytest.mark.parametrize(
    "second, word", [([0.1, 0.2], "says of everybody what is said by"), ([0.1, 0.3], "cannot be told")]
)
def test_a_model_that_says_the_same_is_called_so(second, word):
    gains = pd.DataFrame({"measure": ["auc"], "gain": [0.0], "low": [0.0], "high": [0.0]})
    named = [SimpleNamespace(name="churn version 1"), SimpleNamespace(name="churn version 2")]
    kind, source = SimpleNamespace(HEADLINE=("auc", "AUC")), SimpleNamespace(money=lambda cents, sign: f"{cents} EUR")
    rows = pd.DataFrame({"champion": [0.1, 0.2], "score": second})
    said = _said(gains, kind, Difference(0, 0, 0, 1), [], rows, *named, source)
    assert said.startswith(f"churn version 2 {word}")
