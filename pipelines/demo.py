"""The whole way on real data: contracts, who the customers are, a churn model, a score for each of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from contracts.files import settle
from contracts.places import mlruns, root
from contracts.tables import check
from pipelines.parameters import complete
from pipelines.report import entitle_simulated, to_html
from pipelines.retrain import retrain
from pipelines.run_notebook import run_notebook
from pipelines.score import score
from sources import open_source
from sources.source import Source

SOURCE, AS_OF = "complete_journey", "2018-01-02"
ROWS = (
    "model",
    "AUC, 95 % interval",
    "AUC of the naive rule",
    "verdict",
    "who they are",
    "notebook",
    "scores",
    "contact plan",
    "MLflow run",
)


def demo(say: Callable[[str], None]) -> pd.DataFrame:
    """Run it, a line for each step; the result in a table of two columns."""
    say("demo 1 of 4: the contracts of the source")
    opened = open_source(SOURCE)
    check(opened.tables, opened.attributes)
    say("demo 2 of 4: who the customers are")
    customers = _customers(opened, say)
    say("demo 3 of 4: retrain churn")
    done = retrain("churn", SOURCE, AS_OF, {}, lambda line: say(f"  {line}"))
    say("demo 4 of 4: score every customer")
    scored = score("churn", SOURCE, AS_OF, lambda line: say(f"  {line}"))
    value, low, high = done.metrics["test/auc"]
    naive = done.metrics["naive/auc"]
    results = [
        f"churn version {done.version} ({'champion' if done.champion else 'challenger'})",
        f"{value:.3f} ({low:.3f} to {high:.3f})",
        f"{naive[0]:.3f} ({naive[1]:.3f} to {naive[2]:.3f})",
        done.verdict,
        _shown(customers),
        _shown(done.html),
        f"{_shown(scored.path)} ({scored.rows:,} customers)",
        f"{_shown(scored.plan)} ({scored.decided})",
        f"{done.run_id} (make ui)",
    ]
    return pd.DataFrame({"what": ROWS, "result": [str(result) for result in results]})


def _shown(path: Path) -> Path:
    return path.relative_to(root())


def _customers(opened: Source, say: Callable[[str], None]) -> Path:
    """The page of `10_customers`; no model comes of it, so that it is no run."""
    notebook = root() / "notebooks" / "10_customers.ipynb"
    place = mlruns() / "notebooks"
    unfinished = place / ".unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    executed = unfinished / f"{notebook.stem}-{opened.label}-{AS_OF}.ipynb"
    run_notebook(notebook, executed, complete(notebook, {"source": opened.name, "as_of": AS_OF}), say)
    if opened.simulated:
        entitle_simulated(executed)
    for file in (executed, to_html(executed)):
        settle(file, place / file.name)
    shutil.rmtree(unfinished)
    return place / executed.with_suffix(".html").name
