"""A registry that somebody else may write to: what is planted in it runs no code, and is refused in one sentence.

Each attack is tried twice: on the files alone, which the sha256 stops, and by one who forges the sha256 of the version
and of the ledger's row as well, so that only the loader stands in the way.
"""

import gzip
import json
import os
import pickle
import shutil
from dataclasses import asdict, replace
from datetime import date
from types import SimpleNamespace

import homes
import numpy as np
import pandas as pd
import pytest

from contracts.errors import Refused, WorldFailed
from models import boosting, churn
from pipelines.champions import champion_for
from pipelines.kinds import churn as kind
from pipelines.loading import loaded
from registry import ledger, runs, versions
from registry.fingerprint import folder_digest
from registry.store import client

SOURCE = SimpleNamespace(name="shop", simulated=False, tables={})
PYFUNC = "flavors:\n  python_function:\n    loader_module: evil\n    code: code\n    python_model: python_model.pkl\n"


class Payload:
    """Writes the sentinel when it is unpickled."""

    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch {self.sentinel}",)


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A project whose champion of the source `shop` is a boosted model on noise."""
    home = tmp_path_factory.mktemp("registered") / "home"
    (home / "data").mkdir(parents=True)
    draw = np.random.default_rng(1)
    X = pd.DataFrame({"a": draw.normal(size=300), "b": draw.normal(size=300)})
    fitted = boosting.fit(X, (draw.random(300) < 0.4).astype(float), effort="fast")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        run_id = runs.start("churn", "r", {"crm.complete": "1"})
        folder = home / "model"
        churn.Churn(churn.BOOSTED, fitted, ("a", "b"), {"features": {}}).save(folder)
        client().log_artifacts(run_id, str(folder), "model")
        tags = {"crm.key": "k", "crm.sha256": folder_digest(folder), "crm.as_of": "2024-01-01", "crm.source": "shop"}
        version = versions.register("churn", run_id, tags, "")
        versions.challenge(version)
        ledger.promote(version, "ann", "good")
        runs.finish(run_id, "FINISHED")
    shutil.rmtree(folder)
    return home


@pytest.fixture
def home(registered, tmp_path, monkeypatch):
    copied = homes.copy_store(registered, tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(copied))
    return copied


def folder_of(home):
    (file,) = (home / "mlruns" / "artifacts").rglob("churn.json")
    return file.parent


def forge(home, rows: bool = True):
    """The version, and the ledger with its chain, say the sha256 that the files now have."""
    (version,) = versions.versions("churn")
    sha256 = folder_digest(folder_of(home))
    client().set_model_version_tag("churn", str(version.number), "crm.sha256", sha256)
    if not rows:
        return
    (kept,) = ledger._read("churn")
    row = replace(kept.row, sha256=sha256)
    row = replace(row, hash=row.hashed())
    for name, value in asdict(row).items():
        client().set_tag(kept.run_id, f"crm.ledger.{name}", str(value))
    client().set_registered_model_tag("churn", ledger.HEAD, row.hash)


def boosters(folder):
    return sorted(folder.rglob("*.ubj"))


def pickled_model(folder, sentinel):
    (folder / "model.pkl").write_bytes(pickle.dumps(Payload(sentinel)))


def pyfunc_with_code(folder, sentinel):
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text(f"open({str(sentinel)!r}, 'w')\n")
    (folder / "MLmodel").write_text(PYFUNC)
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Payload(sentinel)))


def requirements_with_code(folder, sentinel):
    (folder / "requirements.txt").write_text("-e ./setup\n")
    (folder / "setup").mkdir()
    (folder / "setup" / "setup.py").write_text(f"open({str(sentinel)!r}, 'w')\n")
    (folder / "sitecustomize.py").write_text(f"open({str(sentinel)!r}, 'w')\n")


def pickle_that_calls_itself_a_booster(folder, sentinel):
    boosters(folder)[0].write_bytes(pickle.dumps(Payload(sentinel)))


def pickle_that_calls_itself_json(folder, sentinel):
    (folder / "churn.json").write_bytes(pickle.dumps(Payload(sentinel)))


def paths_out_of_the_folder(folder, sentinel):
    outside = folder.parents[3] / "outside.ubj"
    outside.write_bytes(pickle.dumps(Payload(sentinel)))
    file = folder / "estimator" / boosting.CONTENT
    told = json.loads(file.read_text())
    told["members"][0]["name"] = "../../../../outside"
    file.write_text(json.dumps(told))


def link_out_of_the_folder(folder, sentinel):
    outside = folder.parents[3] / "outside.pkl"
    outside.write_bytes(pickle.dumps(Payload(sentinel)))
    file = boosters(folder)[0]
    file.unlink()
    file.symlink_to(outside)


CRAFTED = [pickled_model, pyfunc_with_code, requirements_with_code, pickle_that_calls_itself_a_booster,
           pickle_that_calls_itself_json, paths_out_of_the_folder, link_out_of_the_folder]  # fmt: skip

UNREAD = [link_out_of_the_folder]  # MLflow does not follow it


def truncated_booster(folder, _):
    os.truncate(boosters(folder)[-1], 700)


def a_coefficient_that_is_no_number(folder, _):
    file = folder / "estimator" / boosting.CONTENT
    told = json.loads(file.read_text())
    told["members"][0]["weight"] = float("nan")
    file.write_text(json.dumps(told))


def a_bomb(folder, _):
    (folder / "estimator" / boosting.CONTENT).write_bytes(gzip.compress(b" " * 10_000_000))


def a_model_without_end(folder, _):
    with open(folder / "estimator" / "more.json", "wb") as file:
        file.truncate(versions.LARGEST + 1)  # a hole: no byte of it is on the disk


def a_booster_that_announces_more_than_there_is_memory(folder, _):
    boosters(folder)[0].write_bytes(b"{L\0\0\0\0\0\0\0\7learner[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff")


DAMAGED = [truncated_booster, a_coefficient_that_is_no_number, a_bomb, a_model_without_end,
           a_booster_that_announces_more_than_there_is_memory]  # fmt: skip


def refusal(error: type[Exception], *said: str) -> str:
    """What the champion's loading is refused with, in one sentence or two."""
    with pytest.raises(error) as refused:
        champion_for("churn", SOURCE, date(2024, 2, 1), lambda _: None)
    assert all(word in str(refused.value) for word in said), str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_sound_one_loads(home, tmp_path):
    version = versions.fetch("churn", "shop", tmp_path / "files")
    ledger.refuse_unexplained(version)
    assert loaded(kind, tmp_path / "files", "it").columns == ("a", "b")


@pytest.mark.parametrize("plant", [*CRAFTED, *DAMAGED])
def test_files_that_are_not_those_registered_are_not_even_parsed(home, tmp_path, plant):
    sentinel = tmp_path / "ran"
    plant(folder_of(home), sentinel)
    refusal(WorldFailed, "Restore them, or retrain.")
    assert not sentinel.exists()


@pytest.mark.parametrize("plant", CRAFTED)
def test_a_crafted_model_with_a_forged_ledger_runs_no_code(home, tmp_path, plant):
    sentinel = tmp_path / "ran"
    plant(folder_of(home), sentinel)
    forge(home)
    refusal(WorldFailed, "cannot be read" if plant in UNREAD else "The files of churn version 1 must be")
    assert not sentinel.exists()


@pytest.mark.parametrize("plant", [d for d in DAMAGED if d is not a_model_without_end])
def test_a_damaged_model_with_a_forged_ledger_is_refused(home, plant):
    plant(folder_of(home), None)
    forge(home)
    refusal(WorldFailed, "must be a model as it was saved", "Nothing was scored.")


def test_another_model_under_an_approved_number_is_refused(home):
    file = folder_of(home) / "churn.json"
    file.write_text(file.read_text().replace('"features"', '"other"'))
    forge(home, rows=False)
    refusal(
        Refused, "row 1 of the ledger, which made it champion, approved the files of sha256", "another model was put"
    )


def test_a_row_of_the_ledger_that_was_edited_is_refused(home):
    (kept,) = ledger._read("churn")
    client().set_tag(kept.run_id, "crm.ledger.who", "somebody else")
    refusal(Refused, "must be as it was written, but was changed since")
