"""Projects of their own for tests: a folder that CRM_HOME names, with the shop in it, and the command line on it."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import shop
from filelock import FileLock

HOUSE = Path(__file__).resolve().parents[1]
AS_OF, EARLIER, LATER = "2023-12-03", "2023-11-26", "2023-12-10"
FAST = ("-p", "effort=fast", "-p", "origins=4")
# what 20_churn does at the least: the same training table, one candidate, and a record
QUICK = """
from dataclasses import asdict, replace
from contracts.study import day
from evaluation import money
from decisions.retention import threshold
from features.identity import column_hashes
from features.subjects import dictionary, frame
from models import churn
from registry.record import Record, hand_in
from sources import open_source
from training_table import feature_columns, plan, training_table

opened = open_source(source)
study = plan(opened.tables, as_of, horizon_days, origins, spacing_days, active_days)
table = frame(training_table(opened.tables, opened.attributes, study, active_days))
columns = feature_columns(table)[:5]
words = dictionary(opened.tables, opened.attributes)
offer = money.Offer(contact_cents, incentive_cents, success_rate, kept_value_cents, loyal_take_incentive)
about = {
    "source": source, "features": column_hashes(opened.tables, opened.attributes), "horizon_days": horizon_days,
    "active_days": active_days, "base_rate": float(table.outcome.mean()), "offer": offer._asdict(),
    "dictionary": {name: asdict(words[name]) for name in columns}, "threshold": threshold(offer),
}
model = replace(churn.fit(churn.ONE_COLUMN, table, columns, effort, seed), about=about)
last = table.origin == table.origin.max()
known = replace(churn.fit(churn.ONE_COLUMN, table[~last], columns, effort, seed), about=about)
test = table.loc[last, ["customer_id", "origin", "outcome"]].assign(score=known.predict(table[last]), naive=0.5)
record = Record(model, test, {"test/auc": (0.8, 0.7, 0.9)}, seed % 2 == 0, "Made for a test.", judged=known)
hand_in(record, "churn", as_of, source)
"""


class Ended(NamedTuple):
    """How a command ended: its exit code and what it said."""

    code: int
    out: str
    err: str


def make(folder: Path, cells: str | None = None) -> Path:
    """A project with the shop as a source; with `cells`, its churn notebook holds them below the parameters."""
    (folder / "data" / "sources").mkdir(parents=True)
    for source in (HOUSE / "data" / "sources").glob("*.yml"):
        shutil.copy(source, folder / "data" / "sources")
    shutil.copy(HOUSE / "requirements.lock", folder)
    (folder / "notebooks").mkdir()
    for file in (HOUSE / "notebooks").glob("*.*"):
        shutil.copy(file, folder / "notebooks")
    shop.write_shop(folder)
    if cells is not None:
        rewrite(folder, cells)
    return folder


def rewrite(home: Path, cells: str) -> None:
    """The churn notebook of a project becomes its parameters and `cells`, parted by lines of `# %%`."""
    file = home / "notebooks" / "20_churn.ipynb"
    notebook = nbformat.read(file, as_version=4)
    kept = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    notebook.cells = kept
    for source in cells.split("# %%\n"):
        new = nbformat.v4.new_markdown_cell if source.startswith("## ") else nbformat.v4.new_code_cell
        notebook.cells.append(new(source.strip()))
    nbformat.write(notebook, file)


def crm(home: Path, *words: str) -> Ended:
    """The command line on a project, in this process."""
    from pipelines.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    mask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        patch.setenv("TERM", "dumb")
        patch.setattr(sys, "argv", ["crm", *words])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = ended.code or 0
            finally:
                os.umask(mask)
    return Ended(code, out.getvalue(), err.getvalue())


def start(
    home: Path,
    *words: str,
    house: Path = HOUSE,
    folder: Path | None = None,
    python: Path | str = sys.executable,
    **environment: str,
) -> subprocess.Popen:
    """The same in a process of its own, from another folder, by another checkout's code or packages where given."""
    command = [str(python), "-m", "pipelines", *words]
    path = os.pathsep.join([str(house), str(house / "src"), environment.pop("PYTHONPATH", "")]).strip(os.pathsep)
    settings = os.environ | {"CRM_HOME": str(home), "PYTHONPATH": path, "TERM": "dumb"} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder or home.parent, env=settings, **pipes)


def run(home: Path, *words: str, **others) -> Ended:
    """`start`, and wait for the end."""
    process = start(home, *words, **others)
    out, err = process.communicate(timeout=1800)
    return Ended(process.returncode, out, err)


def trained(factory: pytest.TempPathFactory) -> Path:
    """A project with churn retrained on the shop as of AS_OF, made once for all workers. Nobody changes it."""
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    home = shared / "trained" / "home"
    with FileLock(shared / "trained.lock"):
        if not (home / "ended.json").exists():
            make(home)
            ended = crm(home, "retrain", "churn", "--source", "shop", "--as-of", AS_OF, *FAST)
            (home / "ended.json").write_text(json.dumps(ended))
    ended = Ended(*json.loads((home / "ended.json").read_text()))
    assert ended.code == 0, ended.err
    return home


def copy(home: Path, to: Path) -> Path:
    """A copy of a project that may be changed."""
    copy_store(home, to)
    shop_file = to / "data" / "sources" / "shop.yml"
    shop_file.write_text(shop_file.read_text().replace(str(home), str(to)))
    return to


def copy_store(home: Path, to: Path) -> Path:
    """A copy of a project's files and store: MLflow keeps absolute places, which move with it."""
    shutil.copytree(home, to)
    with contextlib.closing(sqlite3.connect(to / "mlruns" / "mlflow.db")) as store, store:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
        ):
            store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(home), str(to)))
    return to


def client(home: Path):
    """An MLflow client on the store of a project."""
    from mlflow import MlflowClient

    uri = f"sqlite:///{home / 'mlruns' / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs(home: Path) -> list:
    """All runs of models in a project, newest first."""
    store = client(home)
    models = [e.experiment_id for e in store.search_experiments() if e.name not in ("ledger", "watch")]
    return store.search_runs(models, order_by=["start_time DESC"])


def digest(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
