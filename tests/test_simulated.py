"""Whatever is made of simulated customers says so: a name, a title, a column or a sentence of each output."""

import json
from dataclasses import replace

import homes
import nbformat
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.parameters import complete
from pipelines.report import entitle_simulated, to_html
from pipelines.run_notebook import run_notebook
from registry.record import Record, write
from sources import catalogue
from sources.source import Source
from sources.world.parameters import World
from sources.world.writer import write_world

WORD, AS_OF = "simulated", "2024-12-31"
NAME_NOBODY = ("/model/estimator/", "/judged/estimator/", "/artifacts/features.")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with churn trained and scored on a world of 3,000 customers, and what the commands said."""
    home = homes.make(tmp_path_factory.mktemp("simulated") / "home")
    write_world(World(3_000, 7), home / "data" / "raw" / "world", lambda _: None)
    asked = ("churn", "--source", "world", "--as-of", AS_OF)
    return home, [homes.crm(home, "retrain", *asked, *homes.FAST), homes.crm(home, "score", *asked)]


@pytest.mark.slow
def test_what_commands_say_bears_the_word(made):
    home, ended = made
    assert [e.code in (0, 3) for e in ended] == [True, True], ended
    first, verdict = ended[0].out.splitlines()[:2]
    assert WORD in first and verdict.startswith("Simulated customers. ")
    assert all(WORD in line for line in ended[1].out.splitlines())
    for words in (("runs",), ("check", "world"), ("sources", "--describe", "world")):
        # a narrow table would break the word
        assert WORD in homes.run(home, *words, COLUMNS="200").out, words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "asked"), [("05_world", {"twins": 2_000}), ("10_customers", {}), ("24_campaign_effect", {})]
)
def test_the_other_notebooks_run_on_the_world_too(made, tmp_path, monkeypatch, name, asked):
    """`20_churn` is what `made` has run."""
    monkeypatch.setenv("CRM_HOME", str(made[0]))
    notebook, executed = made[0] / "notebooks" / f"{name}.ipynb", tmp_path / f"{name}.ipynb"
    run_notebook(notebook, executed, complete(notebook, {**asked, "source": "world", "as_of": AS_OF}), lambda _: None)
    entitle_simulated(executed)
    assert WORD in nbformat.read(executed, as_version=4).cells[0].source.splitlines()[0].lower()
    assert to_html(executed).read_text().count("<img") > 1


@pytest.mark.slow
def test_a_run_and_its_version_bear_the_word(made):
    (run,) = homes.runs(made[0])
    (version,) = homes.client(made[0]).search_model_versions("name = 'churn'")
    assert run.info.run_name == f"{AS_OF} world-simulated: no champion before"
    assert run.data.tags["crm.label"] == version.tags["crm.label"] == "world-simulated"
    assert "Simulated" in run.data.tags["mlflow.note.content"] and "Simulated" in version.description
    assert all(WORD in found.dataset.source for found in run.inputs.dataset_inputs)


@pytest.mark.slow
def test_every_file_of_a_run_bears_the_word(made):
    """In its name or in what it holds; pictures are looked at below, and trees and the features' code name nobody."""
    (run,) = homes.runs(made[0])
    folder = made[0] / "mlruns" / "artifacts" / "churn" / run.info.run_id / "artifacts"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in (".png", ".ubj")]
    files += sorted((made[0] / "mlruns" / "notebooks").glob("*.*"))
    silent = [str(p) for p in files if WORD not in p.name and WORD not in p.read_text()]
    assert len(files) > 6 and not [name for name in silent if not any(part in name for part in NAME_NOBODY)]
    page = next(p for p in files if p.suffix == ".html" and p.parent.name == "notebook").read_text()
    assert "contact? (simulated)</title>" in page and page.count("contact? (simulated)") == 2


@pytest.mark.slow
def test_scores_and_the_plan_bear_the_word_in_name_and_rows(made):
    written = [p for kind in ("scores", "decisions") for p in (made[0] / "data" / kind).rglob("*.parquet")]
    assert [p.name for p in written] == ["world-simulated.parquet"] * 2
    assert all(pq.read_table(p)["simulated"].to_pylist() == [True] * pq.read_metadata(p).num_rows for p in written)


@pytest.mark.slow
def test_nobody_who_lives_is_scored_by_what_was_learnt_from_simulated_customers(made, monkeypatch):
    home, _ = made
    source = home / "data" / "sources" / "real.yml"
    source.write_text("kind: world\nfolder: data/raw/world\n")
    opens = catalogue._OPENERS["world"]
    real = {"world": lambda mapping, con: replace(opens(mapping, con), simulated=False)}
    monkeypatch.setattr(catalogue, "_OPENERS", catalogue._OPENERS | real)
    ended = homes.crm(home, "score", "churn", "--source", "real", "--as-of", AS_OF)
    source.unlink()
    assert ended.code == 2 and "was trained on customers who do not live (world-simulated)" in ended.err


TEST = pd.DataFrame({"customer_id": [1], "origin": ["2024-01-01"], "outcome": [1], "score": [0.5], "naive": [0.5]})


class _Nothing:
    def save(self, folder):
        folder.mkdir(parents=True)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_record_marks_verdict_tables_and_pictures(tmp_path, simulated):
    import matplotlib.pyplot as plt

    figure, _ = plt.subplots()
    write(
        Record(_Nothing(), TEST, {}, True, "Passes.", figures={"a": figure}, tables={"b": pd.DataFrame({"x": [1]})}),
        tmp_path / "plain",
    )
    record = Record(
        _Nothing(), TEST, {}, True, "Passes.", {}, {"a": figure}, {"b": pd.DataFrame({"x": [1]})}, simulated=simulated
    )
    write(record, tmp_path / "told")
    plt.close(figure)
    said = json.loads((tmp_path / "told" / "record.json").read_text())
    assert said["verdict"] == ("Simulated customers. Passes." if simulated else "Passes.")
    assert (tmp_path / "told" / "tables" / ("b-simulated.csv" if simulated else "b.csv")).exists()
    plain, told = (Image.open(tmp_path / name / "figures" / "a.png") for name in ("plain", "told"))
    assert (plain.tobytes() != told.tobytes()) == simulated


def test_a_source_is_called_by_its_label():
    assert Source("shop", "events", None, {}).label == "shop"
    assert Source("world", "events", None, {}, simulated=True).label == "world-simulated"


def test_the_first_heading_is_the_title_that_gets_the_word(tmp_path):
    cells = ["words first", "# Who stays?\nAnd why.", "# Not this"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in cells])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    entitle_simulated(tmp_path / "a.ipynb")
    assert nbformat.read(tmp_path / "a.ipynb", 4).cells[1].source == "# Who stays? (simulated)\nAnd why."
    assert "<title>Who stays? (simulated)</title>" in to_html(tmp_path / "a.ipynb").read_text()
