"""The gate's row on equal bytes: a fit that follows the number of threads does not pass, and one that does not does."""

import os
from types import SimpleNamespace

import pytest

from evaluation.gate import passes, said
from pipelines import again
from registry.fingerprint import folder_digest


class Model:
    """Its one file holds `content`."""

    def __init__(self, content: str):
        self.content = content

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(self.content)


def row(monkeypatch, tmp_path, fit):
    """The gate's row of a model that was fitted by `fit` on the threads of now, and fetched from the store."""
    Model(fit()).save(tmp_path / "kept")
    promised = folder_digest(tmp_path / "kept")
    training = SimpleNamespace(again=lambda table, parameters, model: Model(fit()))
    monkeypatch.setattr(again, "training_of", lambda model: training)
    monkeypatch.setattr(again, "kind_of", lambda model: SimpleNamespace(load=lambda folder: Model("")))
    monkeypatch.setattr(again.about, "about", lambda run_id: SimpleNamespace(sha256=promised))
    monkeypatch.setattr(again.about, "fetch", lambda run_id, part, folder: None)
    return again.fitted_again("r", "churn", None, {})


@pytest.mark.parametrize(("threads", "other"), [("1", "on 2 threads"), ("2", "on 1 thread"), ("8", "on 1 thread")])
def test_the_same_bytes_on_another_number_of_threads_pass(monkeypatch, tmp_path, threads, other):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    (check,) = row(monkeypatch, tmp_path, lambda: "a number")
    assert check.passed is True and check.note == other and os.environ["OMP_NUM_THREADS"] == threads


def test_a_fit_that_follows_the_threads_does_not(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    checks = row(monkeypatch, tmp_path, lambda: os.environ["OMP_NUM_THREADS"])
    assert not passes(checks) and " became " in checks[0].note
    assert said(checks) == "The gate is not passed: same bytes when fitted again is 0.000, but must be 1."


def test_a_training_that_does_not_say_how_to_fit_again_has_no_row(monkeypatch):
    monkeypatch.setattr(again, "training_of", lambda model: SimpleNamespace())
    assert again.fitted_again("r", "churn", None, {}) == []
