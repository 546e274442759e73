"""`crm score`: what a marketer is given, from what was known on the day, with the registered champion and no other."""

import json
import os
import subprocess
import sys
from datetime import date

import homes
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

SCORE = ("score", "churn", "--source", "shop", "--as-of", homes.AS_OF)
SCORES = f"data/scores/model=churn/as_of={homes.AS_OF}/shop.parquet"
PLAN = f"data/decisions/model=churn/as_of={homes.AS_OF}/shop.parquet"
# the command in a process of its own, which then tells of the modules it has imported
TELLING = """
import json, sys
sys.argv = ["crm", *sys.argv[1:]]
from pipelines.__main__ import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return homes.trained(tmp_path_factory)


@pytest.fixture(scope="module")
def scored(trained, tmp_path_factory):
    """A copy of the trained project with the scores of AS_OF in it."""
    home = homes.copy(trained, tmp_path_factory.mktemp("scored") / "home")
    ended = homes.crm(home, *SCORE)
    assert ended.code == 0, ended.err
    return home


@pytest.fixture
def mine(scored, tmp_path):
    """A copy of it that a test may change."""
    return homes.copy(scored, tmp_path / "home")


@pytest.fixture(scope="module")
def rows(scored):
    return pd.read_parquet(scored / SCORES)


def model_files(home):
    (version,) = homes.client(home).search_model_versions("name = 'churn'")
    folder = home / "mlruns" / "artifacts" / "churn" / version.run_id / "artifacts" / "model"
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_the_columns_of_a_score_table(scored, rows):
    head = ["customer_id", "as_of", "model", "version", "run_id", "score", "low", "high", "band"]
    assert list(rows.columns) == [*head, "reason_1", "reason_2", "reason_3", "valid_until"]
    assert set(rows.as_of.astype(str)) == {homes.AS_OF} and set(rows.model) == {"churn"} and set(rows.version) == {1}
    assert set(rows.valid_until.astype(str)) == {"2023-12-31"}
    (version,) = homes.client(scored).search_model_versions("name = 'churn'")
    assert set(rows.run_id) == {version.tags["crm.key"]}
    assert rows.customer_id.is_monotonic_increasing and rows.customer_id.is_unique


def test_those_are_scored_who_bought_in_the_91_days_before(scored, rows):
    lines = pd.read_csv(scored / "data" / "shop" / "lines.csv", parse_dates=["Date"])
    known = lines[lines.Date + pd.Timedelta(hours=1) < homes.AS_OF]
    active = known[known.Date.dt.normalize() >= pd.Timestamp(homes.AS_OF) - pd.Timedelta(days=91)]
    assert sorted(rows.customer_id) == sorted(active.Client.astype(str).unique())


def test_an_interval_holds_its_score(rows):
    assert ((rows.low <= rows.score) & (rows.score <= rows.high)).all()
    assert (rows.low < rows.high).mean() > 0.9 and rows[["low", "high"]].stack().between(0, 1).all()


def test_a_longer_silence_is_scored_higher(scored, rows):
    lines = pd.read_csv(scored / "data" / "shop" / "lines.csv", parse_dates=["Date"])
    last = lines[lines.Date < homes.AS_OF].groupby(lines.Client.astype(str)).Date.max()
    assert rows.score.corr(rows.customer_id.map(last).astype("int64"), method="spearman") < -0.4


def test_a_band_follows_from_the_score(scored, rows):
    about = json.loads(model_files(scored)[0].read_text())["about"]
    assert set(rows.band) <= {"high", "middle", "low"}
    assert ((rows.band == "high") == (rows.score > about["threshold"])).all()
    assert (rows[rows.band == "low"].score < about["base_rate"] / 2).all()


def test_reasons_are_words_with_a_value_and_a_direction(rows):
    first = rows.reason_1
    assert first.str.fullmatch(r"[a-z][\w ,%'()-]+: [\w.,%-]+ \((raises|lowers)\)").all(), first.iloc[0]
    assert (rows.reason_1.str.split(":").str[0] != rows.reason_2.str.split(":").str[0]).all()


def test_the_plan_contacts_those_for_whom_it_pays(scored, rows):
    plan = pd.read_parquet(scored / PLAN)
    assert sorted(plan.customer_id) == sorted(rows.customer_id)
    high = set(rows[rows.band == "high"].customer_id)
    assert set(plan[plan.action == "contact"].customer_id) == high
    assert plan.expected_profit_cents.is_monotonic_decreasing


def test_a_whole_folder_of_scores_opens_as_one_table(scored, rows):
    assert len(pd.read_parquet(scored / "data" / "scores")) == len(rows)


def test_scores_know_nothing_of_the_outcomes_and_are_the_same_on_two_threads(mine):
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    settings = os.environ | {"CRM_HOME": str(mine), "PYTHONHASHSEED": "3", "TZ": "Asia/Tokyo"} | threads
    settings |= {"PYTHONPATH": os.pathsep.join([str(homes.HOUSE), str(homes.HOUSE / "src")])}
    before = homes.digest(mine / "data")
    for name in (SCORES, PLAN):
        (mine / name).unlink()
    command = [sys.executable, "-c", TELLING, *SCORE]
    ended = subprocess.run(command, cwd=mine, env=settings, capture_output=True, text=True, check=True)
    modules = json.loads(ended.stdout.splitlines()[-1])
    assert "models.churn" in modules and not {"outcomes", "training_table", "papermill"} & set(modules)
    assert homes.digest(mine / "data") == before


def test_nothing_known_from_the_day_on_changes_a_byte(mine):
    """Later orders, one that was placed before and reached us later, and the rest of the file gone."""
    before = homes.digest(mine / "data")
    file = mine / "data" / "shop" / "lines.csv"
    lines = pd.read_csv(file)
    known = lines[pd.to_datetime(lines.Date) + pd.Timedelta(hours=1) < homes.AS_OF]
    late = known.head(50).assign(Invoice=10**6 + np.arange(50), Date="2023-12-02 23:30:00", Net=999.0)
    later = lines.tail(50).assign(Invoice=2 * 10**6 + np.arange(50), Date="2024-06-01 09:00:00", Net=9999.0)
    for changed in (known, pd.concat([later, lines, late]).sample(frac=1, random_state=1)):
        changed.to_csv(file, index=False)
        (mine / SCORES).unlink()
        assert homes.crm(mine, *SCORE).code == 0
        after = homes.digest(mine / "data")
        assert (after[SCORES[5:]], after[PLAN[5:]]) == (before[SCORES[5:]], before[PLAN[5:]])


def test_a_model_file_that_was_changed_is_not_loaded(mine):
    before = homes.digest(mine / "data")
    file = model_files(mine)[-1]
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    ended = homes.crm(mine, *SCORE)
    assert ended.code == 5 and "Nothing of them was loaded. Restore them, or retrain." in ended.err
    assert homes.digest(mine / "data") == before


@pytest.mark.parametrize("harm", ["removed", "added", "truncated"])
def test_a_model_folder_that_is_not_the_registered_one_is_not_loaded(mine, harm):
    before = homes.digest(mine / "data")
    file = model_files(mine)[0]
    {
        "removed": file.unlink,
        "added": lambda: file.with_name("conda.yaml").write_text(""),
        "truncated": lambda: os.truncate(file, 10),
    }[harm]()
    assert homes.crm(mine, *SCORE).code == 5
    assert homes.digest(mine / "data") == before


def test_a_model_folder_that_is_gone(mine):
    (run,) = homes.runs(mine)
    os.rename(mine / "mlruns" / "artifacts" / "churn" / run.info.run_id, mine / "elsewhere")
    ended = homes.crm(mine, *SCORE)
    assert ended.code == 5 and "cannot be read" in ended.err and "Traceback" not in ended.err


def test_a_champion_of_other_features_is_refused(mine, monkeypatch):
    """A column that it reads is made otherwise than the one that it learnt from."""
    monkeypatch.setattr("features.purchases.WEEKS", 12)
    before = homes.digest(mine)
    ended = homes.crm(mine, *SCORE)
    assert ended.code == 2 and "must be given the columns that it was trained on" in ended.err
    assert "differ (changed: weeks_active):" in ended.err
    assert "Retrain on shop" in ended.err and homes.digest(mine) == before


def test_columns_that_the_champion_does_not_read_may_be_others(mine):
    """The shop had no store when it was trained; columns of stores were empty, and it reads none of them."""
    file = mine / "data" / "shop" / "lines.csv"
    pd.read_csv(file).assign(Shop=1).to_csv(file, index=False)
    mapping = mine / "data" / "sources" / "shop.yml"
    mapping.write_text(mapping.read_text().replace("amount_cents: Net", "amount_cents: Net, store_id: Shop"))
    assert homes.crm(mine, *SCORE).code == 0


def test_a_champion_may_not_know_the_future_of_the_day(mine):
    code, _, err = homes.crm(mine, "score", "churn", "--source", "shop", "--as-of", "2023-10-01")
    assert code == 2 and "it would know the future" in err


def test_a_day_that_the_orders_do_not_reach_is_refused(mine):
    code, _, err = homes.crm(mine, "score", "churn", "--source", "shop", "--as-of", "2024-01-20")
    assert code == 2 and "The orders must reach up to 2024-01-20" in err


def test_a_day_without_customers_is_refused(mine):
    """Whoever only brought something back has not bought. Of the days that are kept, nobody is told."""
    file = mine / "data" / "shop" / "lines.csv"
    lines = pd.read_csv(file)
    lines.loc[lines.Date >= "2023-08-01", "Net"] *= -1
    lines.to_csv(file, index=False)
    before = _but_days(mine)
    ended = homes.crm(mine, *SCORE)
    assert ended.code == 2 and f"Nobody in shop bought in the 91 days before {homes.AS_OF}" in ended.err
    assert _but_days(mine) == before


def _but_days(home) -> dict[str, str]:
    return {
        name: sha for name, sha in homes.digest(home / "data").items() if not name.startswith("features/shop/days/")
    }


def test_a_table_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    from contracts.errors import WorldFailed
    from decisions.scores import write_table

    day, version = date(2024, 1, 2), {"model": "churn", "version": 1, "run_id": "key"}
    file = write_table(pd.DataFrame({"customer_id": [1, 2]}), "shop", day, version, tmp_path)
    before = file.read_bytes()

    def full(table, place):
        place.write_bytes(b"half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(WorldFailed, match="No space left on device. An older one is still there"):
        write_table(pd.DataFrame({"customer_id": [3]}), "shop", day, version, tmp_path)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_an_alias_that_was_moved_past_the_ledger_scores_nobody(mine):
    (version,) = homes.client(mine).search_model_versions("name = 'churn'")
    homes.client(mine).create_model_version("churn", version.source, version.run_id, tags=version.tags)
    homes.client(mine).set_registered_model_alias("churn", "champion", "2")
    (mine / SCORES).unlink()
    ended = homes.crm(mine, *SCORE)
    assert ended.code == 2 and "its last row put version 1 there: it was moved past the ledger" in ended.err
    assert not (mine / SCORES).exists()


def test_a_promotion_that_was_cut_before_its_alias_is_finished_by_the_next_scoring(mine):
    homes.client(mine).delete_registered_model_alias("churn", "champion")
    ended = homes.crm(mine, *SCORE)
    assert ended.code == 0 and "found: row 1 of the ledger was cut short" in ended.err
    assert int(homes.client(mine).get_model_version_by_alias("churn", "champion").version) == 1
