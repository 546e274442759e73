"""What a reader opens: the page of an executed notebook, and the MLflow UI with the runs, in a headless Chromium."""

import socket
import subprocess
import time
import urllib.error
import urllib.request

import homes
import nbformat
import pytest

from pipelines.report import to_html

TOKEN = "of-the-tests-and-nobody-else"
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return homes.trained(tmp_path_factory)


@pytest.fixture(scope="module")
def page(chromium, trained):
    """The page of the trained project, opened; with `said`, what its console and its requests told."""
    opened = chromium.new_page(viewport={"width": 1200, "height": 900})
    opened.said = []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("requestfailed", lambda request: opened.said.append(request.url))
    opened.goto((trained / "mlruns" / "notebooks" / f"20_churn-shop-{homes.AS_OF}.html").as_uri())
    yield opened
    opened.close()


def test_a_page_has_a_title_the_argument_and_the_verdict(page):
    assert page.title() == "Who is about to leave, and whom does it pay to contact?"
    assert page.locator("h1").all_inner_texts() == [page.title()]
    headings = page.locator("h2").all_inner_texts()
    assert len(headings) >= 5 and headings[0].startswith("Data:") and headings[-1].startswith("Decision:")
    assert page.locator("blockquote").first.inner_text().startswith(("Passes: ", "Does not pass: "))


def test_a_page_shows_its_figures(page):
    """Although MPLBACKEND is set to another backend for these tests, as on a machine without a screen."""
    widths = page.locator("img").evaluate_all("images => images.map(image => image.complete && image.naturalWidth)")
    assert len(widths) >= 5 and min(widths) > 300


def test_a_page_shows_no_plumbing(page):
    text = page.inner_text("body")
    assert not any(word in text for word in ("import ", "hand_in(", "plt.", "In [", "Out[", "Warning", "<Figure"))
    assert page.locator(".jp-InputArea, .input, .prompt, .output_stderr").count() == 0


def test_a_page_is_quiet_and_fetches_nothing(page):
    assert page.said == []
    assert page.evaluate("document.scripts.length") == 0
    assert (
        page.evaluate("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0
    )


def test_a_page_fits_a_narrow_window(page):
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


HOSTILE = """<img src=x onerror="document.title='taken'"> <b onclick="1">Bobby</b>
<scr<script></script>ipt>document.title='taken'</scr<script></script>ipt><script >document.title='taken'</script >
<iframe srcdoc="<script>parent.document.title='taken'</script>"></iframe><a href="javascript:alert(1)">x</a>"""


def test_nothing_that_data_say_is_executed(chromium, tmp_path):
    """A name with markup in it, shown by a table or by Markdown, runs no script."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Names & <others>\n" + HOSTILE)])
    shown = nbformat.v4.new_output(
        "display_data", {"text/html": HOSTILE, "application/javascript": "document.title='taken'"}
    )
    notebook.cells.append(nbformat.v4.new_code_cell("names", outputs=[shown]))
    nbformat.write(notebook, tmp_path / "names.ipynb")
    opened = chromium.new_page()
    opened.goto(to_html(tmp_path / "names.ipynb").as_uri())
    opened.wait_for_timeout(300)
    assert opened.title() == "Names & <others>"
    assert opened.locator("b").first.inner_text() == "Bobby"
    opened.close()


@pytest.fixture(scope="module")
def ui(trained, tmp_path_factory):
    """`crm ui` on a copy of the trained project; its address, and the folder it was started from."""
    home = homes.copy(trained, tmp_path_factory.mktemp("ui") / "home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = homes.start(home, "ui", "--port", str(port), CRM_UI_TOKEN=TOKEN)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address, home, process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(address, process):
    for _ in range(600):
        assert process.poll() is None, process.communicate()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the UI did not answer within two minutes")


def test_the_ui_shows_the_run_and_its_metrics(chromium, ui):
    address, home, _ = ui
    (run,) = homes.runs(home)
    opened = chromium.new_page(viewport={"width": 1400, "height": 900})
    opened.goto(f"{address}/?token={TOKEN}#/experiments/{run.info.experiment_id}/runs?workflowType=machine_learning")
    opened.get_by_text(f"{homes.AS_OF} shop").first.wait_for(timeout=60_000)
    opened.goto(
        f"{address}/?token={TOKEN}#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=machine_learning"
    )
    opened.get_by_text("test/auc", exact=True).first.wait_for(timeout=60_000)
    assert "Passes: " in opened.inner_text("body")
    assert f"{run.data.metrics['test/auc']:.3f}"[:4] in opened.inner_text("body")
    opened.close()


def test_the_ui_shows_the_version_and_its_aliases(chromium, ui):
    address, _, _ = ui
    opened = chromium.new_page(viewport={"width": 1400, "height": 900})
    opened.goto(f"{address}/?token={TOKEN}#/models/churn?workflowType=machine_learning")
    opened.get_by_text("champion").first.wait_for(timeout=60_000)
    assert "challenger" in opened.inner_text("body") and "Version 1" in opened.inner_text("body")
    opened.close()


def test_the_ui_listens_on_loopback_only_and_leaves_nothing_where_it_was_started(ui):
    import psutil

    address, home, process = ui
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    found = {c.laddr for member in family for c in member.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert {place.ip for place in found} == {"127.0.0.1"} and {f"http://127.0.0.1:{p.port}" for p in found} == {address}
    assert [p.name for p in home.parent.iterdir()] == ["home"]


@pytest.mark.parametrize("path", ["/", "/ajax-api/2.0/mlflow/experiments/search?max_results=5", "/graphql", "/version"])
def test_without_the_token_the_ui_answers_nothing(ui, path):
    address, _, _ = ui
    for sent in ({}, {"Cookie": "crm_ui=guessed"}, {"Authorization": "Bearer guessed"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{address}{path}", headers=sent), timeout=20)
        assert refused.value.code == 401
    known = urllib.request.Request(f"{address}/version", headers={"Authorization": f"Bearer {TOKEN}"})
    assert urllib.request.urlopen(known, timeout=20).status == 200
