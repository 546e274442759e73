"""Fingerprints, versions and aliases: what identifies a table or a model, and what may never be handed out."""

import shutil
from pathlib import Path

import homes
import pytest

from contracts.errors import Refused, WorldFailed
from registry import ledger, runs, versions
from registry.fingerprint import code_files, folder_digest, run_key


def test_a_run_key_follows_from_all_that_goes_in_and_from_nothing_else():
    inputs = {"parameters": {"a": 1, "b": 2}, "code": "x"}
    assert run_key(inputs) == run_key({"code": "x", "parameters": {"b": 2, "a": 1}}) and len(run_key(inputs)) == 32
    assert run_key({**inputs, "code": "y"}) != run_key(inputs) != run_key({**inputs, "parameters": {"a": 1, "b": 2.0}})


def test_the_digest_of_the_code_sees_code_and_settings(tmp_path):
    for file in ("src/models/churn.py", "pipelines/parameters.yml", "src/models/__pycache__/churn.pyc", "README.md"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("one")
    found = {}
    for file in ("src/models/churn.py", "pipelines/parameters.yml", "src/models/__pycache__/churn.pyc", "README.md"):
        before = code_files(tmp_path)
        (tmp_path / file).write_text("two")
        found[file] = code_files(tmp_path) != before
    assert list(found.values()) == [True, True, False, False]


@pytest.fixture
def home(empty_store, tmp_path, monkeypatch):
    copied = homes.copy_store(empty_store, tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(copied))
    return copied


def registered(home, as_of, content="{}", source="shop", key=None):
    """A version whose model is one file with `content`."""
    run_id = runs.start("churn", f"{as_of} {source}", {})
    model = home / "made" / run_id / "model"
    model.mkdir(parents=True)
    (model / "model.json").write_text(content)
    from registry.store import client

    client().log_artifacts(run_id, str(model), "model")
    runs.finish(run_id, "FINISHED")
    tags = {"crm.key": key or as_of, "crm.sha256": folder_digest(model), "crm.as_of": as_of, "crm.source": source}
    return versions.register("churn", run_id, tags, "Made for a test.")


def stored(home, version):
    return home / "mlruns" / "artifacts" / "churn" / version.run_id / "artifacts" / "model" / "model.json"


def test_a_version_is_handed_out_as_it_was_registered(home, tmp_path):
    version = registered(home, "2024-01-01", '{"a": 1}')
    ledger.promote(version, "ann", "first")
    folder = tmp_path / "fetched"
    assert versions.fetch("churn", "shop", folder) == version
    assert (folder / "model.json").read_text() == '{"a": 1}' and folder_digest(folder) == version.sha256


@pytest.mark.parametrize("harm", ["changed", "renamed", "removed", "added"])
def test_a_version_whose_files_are_not_its_own_is_never_handed_out(home, tmp_path, harm):
    version = registered(home, "2024-01-01")
    ledger.promote(version, "ann", "first")
    file = stored(home, version)
    {
        "changed": lambda: file.write_text("[]"),
        "renamed": lambda: file.rename(file.with_name("other.json")),
        "removed": file.unlink,
        "added": lambda: file.with_name("MLmodel").write_text("loader_module: os"),
    }[harm]()
    with pytest.raises(WorldFailed, match="Restore them, or retrain"):
        versions.fetch("churn", "shop", tmp_path / "fetched")


def test_an_alias_that_was_set_by_hand_on_what_is_no_version_hands_nothing_out(home, tmp_path):
    version = registered(home, "2024-01-01")
    store = homes.client(home)
    store.create_model_version("churn", str(stored(home, version).parent))
    store.set_registered_model_alias("churn", "champion", "2")
    with pytest.raises(WorldFailed, match="Nothing of them was loaded"):
        versions.fetch("churn", "shop", tmp_path / "fetched")


def test_files_that_are_not_what_was_handed_in_are_not_registered(home):
    run_id = runs.start("churn", "damaged", {})
    model = home / "made" / "model"
    model.mkdir(parents=True)
    (model / "model.json").write_text("cut")
    homes.client(home).log_artifacts(run_id, str(model), "model")
    tags = {"crm.key": "k", "crm.sha256": "0" * 64, "crm.as_of": "2024-01-01", "crm.source": "shop"}
    with pytest.raises(WorldFailed, match="must have the sha256 000000000000"):
        versions.register("churn", run_id, tags, "")
    assert versions.versions("churn") == []


def test_the_same_content_and_key_are_one_version(home):
    first = registered(home, "2024-01-01")
    assert registered(home, "2024-01-01").number == first.number == 1
    assert registered(home, "2024-01-01", key="another").number == 2
    assert registered(home, "2024-01-01", content="[]").number == 3


@pytest.mark.parametrize("role", ["challenger", "champion"])
def test_a_challenger_never_knows_less_than_who_is_there(home, role):
    january, february = registered(home, "2024-01-01"), registered(home, "2024-02-01", "[1]")
    homes.client(home).set_registered_model_alias("churn", role, str(february.number))
    with pytest.raises(
        Refused, match=f"{role} is version 2 as of 2024-02-01; version 1 knows only what was there before 2024-01"
    ):
        versions.challenge(january)
    assert versions.holder("churn", role) == february
    again = registered(home, "2024-02-01", "[2]")
    versions.challenge(again)  # of the same day, it may
    assert versions.holder("churn", versions.CHALLENGER) == again


def test_each_source_has_aliases_of_its_own(home, tmp_path):
    shop, telco = registered(home, "2024-02-01"), registered(home, "2024-01-01", "[1]", source="telco")
    for version in (shop, telco):
        versions.challenge(version)
        ledger.promote(version, "ann", "the only one")
    assert versions.fetch("churn", "shop", tmp_path / "shop") == shop
    assert versions.fetch("churn", "telco", tmp_path / "telco") == telco
    assert versions.fetch("churn", "other", tmp_path / "other") == shop  # the caller compares the features


def test_without_a_store_there_is_no_champion_and_asking_makes_none(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    with pytest.raises(Refused, match="has no champion to score with"):
        versions.fetch("churn", "shop", tmp_path / "fetched")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_a_process_that_is_gone_is_closed_and_others_are_left(home, monkeypatch):
    gone = {"number": "0 1.00 1", "reused": f"{1} 1.00 1", "elsewhere": "1 1.00 1"}
    started = {}
    for name, owner in gone.items():
        host = "another-machine" if name == "elsewhere" else runs.os.uname().nodename
        monkeypatch.setattr(runs, "_owner", lambda owner=owner, host=host: f"{owner} {host}")
        started[name] = runs.start("churn", name, {})
    monkeypatch.undo()
    monkeypatch.setenv("CRM_HOME", str(home))
    started["mine"] = runs.start("churn", "mine", {})
    assert len(runs.reap()) == 2 and runs.reap() == []
    found = {name: homes.client(home).get_run(run_id).info.status for name, run_id in started.items()}
    assert found == {"number": "KILLED", "reused": "KILLED", "elsewhere": "RUNNING", "mine": "RUNNING"}


@pytest.mark.parametrize("registers", [True, False])
def test_a_run_that_was_killed_keeps_its_rows_where_it_made_a_version(home, registers):
    """A kill between the two: the version may be champion by then, and is compared with by these rows."""
    run_id = registered(home, "2024-01-01").run_id if registers else runs.start("churn", "x", {})
    rows = home / "data" / "evidence" / f"{run_id}.parquet"
    rows.parent.mkdir(parents=True, exist_ok=True)
    rows.write_text("rows")
    runs.finish(run_id, "KILLED")
    assert rows.exists() == registers


def test_a_store_that_cannot_be_opened_is_the_worlds_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuch://host/db")
    with pytest.raises(WorldFailed, match="The tracking store nosuch://host/db cannot be opened"):
        runs.start("churn", "x", {})


def test_a_creation_that_was_cut_leaves_no_store_and_the_next_one_makes_it(tmp_path, monkeypatch):
    from registry import store

    monkeypatch.setenv("CRM_HOME", str(tmp_path))

    def cut(uri):
        Path(uri.removeprefix("sqlite:///")).write_text("half a migration")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "_first_use", cut)
        with pytest.raises(KeyboardInterrupt):
            store.client()
    assert not store.exists()
    monkeypatch.setattr(store, "_first_use", lambda uri: shutil.copy("/dev/null", uri.removeprefix("sqlite:///")))
    store.client()
    assert sorted(p.name for p in (tmp_path / "mlruns").iterdir()) == [".store.lock", "mlflow.db"]
    assert (tmp_path / "mlruns" / "mlflow.db").stat().st_mode & 0o077 == 0
