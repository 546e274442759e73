"""What a reviewer sees: the notebook of all champions, and MLflow's pages with the columns to look at first."""

import json
import socket
import time
import urllib.request

import homes
import nbformat
import pytest

from pipelines.naming import run_name
from pipelines.parameters import complete
from pipelines.report import to_html
from pipelines.run_notebook import run_notebook
from registry.versions import Version

TOKEN = "of-the-tests-and-nobody-else"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project with one champion, of the shop, and one watch of it."""
    home = homes.copy(homes.trained(tmp_path_factory), tmp_path_factory.mktemp("pages") / "home")
    ended = homes.crm(home, "watch", "churn", "--source", "shop", "--as-of", homes.LATER)
    assert ended.code == 0, ended
    return home


def texts(notebook) -> str:
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "\n".join(str(o.get("data", {}).get(kind, "")) for o in outputs for kind in ("text/markdown", "text/html"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "said"), [("shop", "Keep churn version 1"), ("telco", "Nothing was found on telco")]
)
def test_the_notebook_of_champions_shows_what_was_found(shop, source, said, tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(shop))
    notebook = shop / "notebooks" / "30_champions.ipynb"
    executed = tmp_path / "executed.ipynb"
    run_notebook(notebook, executed, complete(notebook, {"source": source, "as_of": homes.LATER}), lambda line: None)
    page = nbformat.read(executed, as_version=4)
    assert said in texts(page)
    images = [o for c in page.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(images) == 1 and to_html(executed).read_text().count("<img") == 1


@pytest.mark.slow
def test_experiments_keep_a_view_of_columns_that_are_there(shop):
    store = homes.client(shop)
    for name, first in (("churn", "crm.version"), ("watch", "crm.model"), ("ledger", "crm.ledger.who")):
        kept = store.get_experiment_by_name(name)
        view = json.loads(kept.tags["mlflow.sharedViewState.reviewer"])
        run = store.search_runs([kept.experiment_id])[0].data
        there = {*(f"metrics.`{m}`" for m in run.metrics), *(f"tags.`{t}`" for t in run.tags)}
        named = [column for column in view["selectedColumns"] if not column.startswith("attributes.")]
        assert named[0] == f"tags.`{first}`" and view["columnOrder"] == view["selectedColumns"]
        assert set(named) - {"tags.`batch`", "metrics.`since`"} <= there, name  # nothing has matured yet
        link = f"#/experiments/{kept.experiment_id}/runs?viewStateShareKey=reviewer"
        assert link in kept.tags["mlflow.note.content"]
    (run,) = homes.runs(shop)
    assert run.data.tags["batch"] == f"{homes.AS_OF} shop" and run.info.run_name.endswith(" shop: no champion before")
    assert run.data.tags["mlflow.note.content"].startswith("It is the champion.")


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_of_runs_opens_with_those_columns(shop, chromium):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = homes.start(shop, "ui", "--port", str(port), CRM_UI_TOKEN=TOKEN)
    try:
        _wait(f"http://127.0.0.1:{port}/health")
        page = chromium.new_page(viewport={"width": 1800, "height": 900})
        kept = homes.client(shop).get_experiment_by_name("churn").experiment_id
        page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}#/experiments/{kept}/runs?viewStateShareKey=reviewer")
        page.get_by_text("test/auc/low").first.wait_for(timeout=60_000)
        heads = page.locator("[role=columnheader]").all()
        seen = {head.inner_text().strip(): head.bounding_box() for head in heads}
        order = sorted((n for n, box in seen.items() if box and n.startswith(("crm.", "test/", "naive/"))),
                       key=lambda name: seen[name]["x"])  # fmt: skip
        assert order[:4] == ["crm.version", "crm.gate", "test/auc", "test/auc/low"]
    finally:
        server.terminate()
        server.communicate(timeout=60)


def _wait(address: str) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(address)


class Given:
    """Inputs of a run, as far as its name needs them."""

    def __init__(self, **recipe):
        self.label = "shop"
        self.recipe = {"parameters": {"seed": 1}, "code": {}, "notebook": {}, "lock": "1", "data": {}} | recipe


@pytest.mark.parametrize(
    ("as_of", "changed", "said"),
    [
        ("2024-01-01", {}, "2024-01-01 shop: the same again"),
        ("2024-02-01", {}, "2024-02-01 shop: new data"),
        ("2024-01-01", {"data": {"orders": {}}}, "2024-01-01 shop: other data of that day"),
        ("2024-01-01", {"code": {"a": "1"}}, "2024-01-01 shop: new code"),
        ("2024-01-01", {"parameters": {"seed": 2}}, "2024-01-01 shop: seed=2"),
    ],
)
def test_a_run_is_called_by_what_is_new_beside_the_champion(as_of, changed, said, monkeypatch):
    monkeypatch.setattr("registry.about.content", lambda run_id, path: Given().recipe)
    champion = Version("churn", 1, "r", "k", "s", "2024-01-01", "shop")
    given = Given(**changed)
    parameters = {"as_of": as_of, "source": "shop", **given.recipe["parameters"]}
    assert run_name(given, parameters, champion) == said
    assert run_name(given, parameters, None) == f"{as_of} shop: no champion before"
