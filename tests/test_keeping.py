"""What old runs are removed, and which never are: on a real store, with the files beside it."""

from datetime import date

import homes
import pytest
from filelock import FileLock

from contracts.errors import Refused
from pipelines.nights import definition, keeping
from registry import about, ledger, runs, versions
from registry.fingerprint import folder_digest
from registry.keeping import remove_runs
from registry.store import WATCH, client

DAYS = [f"2024-0{month}-01" for month in range(1, 9)]
LATE = date(2030, 1, 1)


@pytest.fixture
def home(empty_store, tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path / "home"))
    return homes.copy_store(empty_store, tmp_path / "home")


def registered(home, as_of, source="shop"):
    """A version with all that a run keeps beside the store, and a watch of its day."""
    tags = {"crm.as_of": as_of, "crm.source": source, "crm.key": as_of + source}
    run_id = runs.start("churn", f"churn {as_of}", tags)
    model = home / "made" / run_id / "model"
    model.mkdir(parents=True)
    (model / "model.json").write_text(as_of + source)
    client().log_artifacts(run_id, str(model), "model")
    runs.finish(run_id, "FINISHED")
    for name in (
        f"evidence/{run_id}.parquet",
        f"evidence/rows/{run_id}/orders.parquet",
        f"comparisons/{run_id}.parquet",
    ):
        (home / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "data" / name).write_text(run_id)
    watch = runs.start(WATCH, f"churn {as_of}", tags | {"crm.model": "churn"})
    client().log_text(watch, "keep", "watch/checks.csv")
    runs.finish(watch, "FINISHED")
    return versions.register("churn", run_id, tags | {"crm.sha256": folder_digest(model)}, "Made for a test.")


@pytest.fixture
def eight(home):
    """Eight versions, the champions 1, 3, 4, 5 and 6 in turn, of which 6 was taken back; 8 is the challenger."""
    made = [registered(home, day) for day in DAYS]
    for k, version in enumerate(made):
        versions.challenge(version)
        if k + 1 in (1, 3, 4, 5, 6):
            ledger.promote(version, "ann", "better")
        elif k + 1 == 7:
            ledger.refuse(version, "the gate", "not better")
    ledger.rollback("churn", "shop", "bob", "complaints")
    return home, made


def test_what_is_in_use_or_can_be_gone_back_to_stays_whatever_its_age(eight):
    """In use 5, two back 4 and 3, last moved from 6, challenger 8; 1, 2 and 7 go with all that they had."""
    home, made = eight
    rows = ledger.rows("churn")
    done = remove_runs("churn", "shop", LATE)
    assert list(done.versions) == [1, 2, 7] and done.runs == 3 + len(DAYS)  # and every watch
    assert [version.number for version in versions.versions("churn")] == [8, 6, 5, 4, 3]
    kept = {version.run_id for version in made if version.number in (3, 4, 5, 6, 8)}
    for version in made:
        names = {str(p.relative_to(home)) for p in (home / "data").rglob("*") if version.run_id in str(p)}
        assert (len(names) == 4, (home / "mlruns/artifacts/churn" / version.run_id).exists()) == (
            (version.run_id in kept,) * 2
        )
    assert ledger.rows("churn") == rows and ledger.verify("churn") == []
    for back in (4, 3):
        ledger.rollback("churn", "shop", "bob", "more")
        assert versions.champion("churn", "shop").number == back
        assert versions.fetch("churn", "shop", home / f"fetched {back}").number == back
    with pytest.raises(Refused, match="must have a version 1, but has 3, 4, 5, 6, 8"):
        ledger.rollback("churn", "shop", "bob", "too far")
    assert registered(home, "2024-09-01").number == 9  # no number is given twice
    with pytest.raises(Refused, match="There is no run"):
        about.about(made[0].run_id)


def test_the_store_has_no_rows_of_a_run_that_went(eight):
    import contextlib
    import sqlite3

    home, made = eight
    gone = made[0].run_id
    remove_runs("churn", "shop", LATE)
    with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as store:
        for table in ("runs", "tags", "params", "metrics", "latest_metrics"):
            assert store.execute(f"SELECT count(*) FROM {table} WHERE run_uuid = ?", (gone,)).fetchone() == (0,)


def test_younger_ones_other_sources_models_and_people_keep_theirs(eight):
    home, made = eight
    other = registered(home, DAYS[0], "telco")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_owner", lambda: "1 2 3 4")
        open_ = runs.start("churn", "running", {"crm.as_of": DAYS[0], "crm.source": "shop"})
    by_hand = client().create_run(client().get_experiment_by_name("churn").experiment_id, tags={"crm.by_hand": "1"})
    done = remove_runs("churn", "shop", date.fromisoformat(DAYS[1]))
    assert list(done.versions) == [1] and done.runs == 2
    for run_id in (other.run_id, open_, by_hand.info.run_id, made[1].run_id):
        assert client().get_run(run_id).info.lifecycle_stage == "active"
    assert remove_runs("churn", "shop", date.fromisoformat(DAYS[1])) == type(done)("churn", 0, [])
    assert remove_runs("clv", "shop", LATE).runs == 0


def test_a_removal_that_was_cut_goes_on(eight, monkeypatch):
    """Wherever it ends, no version is offered whose files are gone."""
    import shutil

    from registry import evidence

    home, _ = eight
    for cut_at in (1, 2, 3):
        calls = []

        def cut(*args, calls=calls, cut_at=cut_at, **others):
            calls.append(args)
            if len(calls) == cut_at:
                raise KeyboardInterrupt
            shutil.rmtree(*args, **others)

        monkeypatch.setattr(evidence.shutil, "rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            remove_runs("churn", "shop", LATE)
        monkeypatch.undo()
        monkeypatch.setenv("CRM_HOME", str(home))
        for version in versions.versions("churn"):
            assert (home / "mlruns/artifacts/churn" / version.run_id / "artifacts/model/model.json").exists()
    remove_runs("churn", "shop", LATE)
    assert [version.number for version in versions.versions("churn")] == [8, 6, 5, 4, 3]
    assert len(list((home / "data/evidence").glob("*.parquet"))) == 5 == len([*(home / "data/evidence/rows").iterdir()])


def test_a_night_says_what_went_and_waits_for_who_retrains(eight):
    home, _ = eight
    night = definition.Night("n", "shop", ("churn",), "03:00", 0, 0, 30, (), keep_runs_days=60)
    with FileLock(home / "mlruns" / "locks" / "churn-shop.lock"):
        (said,) = keeping.sweep_runs(night, date(2024, 12, 1))
    assert said == "runs of churn before 2024-10-02 are left until the next night: another run holds the lock"
    (said,) = keeping.sweep_runs(night, date(2024, 12, 1))
    assert said == "11 runs of churn of days before 2024-10-02 removed, with versions 1, 2, 7"
    for_ever = definition.Night("n", "shop", ("churn",), "03:00", 0, 0, 30, ())
    assert list(keeping.sweep_runs(for_ever, date(2099, 1, 1))) == []
