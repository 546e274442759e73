"""Retrain one model: check, lock, run the notebook, log, register, point the aliases. All side effects are here."""

import logging
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from contracts.files import sweep, whole
from contracts.places import data, mlruns
from contracts.secrets import scrubbed
from features.identity import features_hash
from pipelines.again import fitted_again
from pipelines.cards import write_card
from pipelines.clock import offset, refuse_jump
from pipelines.gate import Judged, judge, log_judged
from pipelines.locking import Busy
from pipelines.naming import run_name
from pipelines.parameters import complete, for_source, notebook_of
from pipelines.preflight import CODE, preflight
from pipelines.promotion import settle, user
from pipelines.report import entitle_simulated, to_html
from pipelines.run_notebook import NotebookFailed, run_notebook


class Stopped(BaseException):
    """The process was asked to end. Exit code 143."""


@dataclass(frozen=True)
class Retrained:
    """How a retraining ended: the version, whether it is the champion, the evidence, and where to look.

    label     what outputs call the source
    standing  champion, challenger or neither, in a sentence
    judged    the rows of the gate, and the comparison with the champion
    """

    model: str
    label: str
    version: int
    champion: bool
    standing: str
    verdict: str
    metrics: Mapping[str, tuple[float, float, float]]
    judged: Judged
    run_id: str
    notebook: Path
    html: Path


def retrain(model: str, source: str, as_of: str, asked: Mapping[str, object], say: Callable[[str], None]) -> Retrained:
    """Train `model` on `source` as of a day and register it; `say` hears of each step.

    Raises `Refused` before anything is written, `Busy` while another one runs, whatever the notebook raised
    otherwise; the MLflow run is then marked FAILED, or KILLED when the process was asked to stop.
    """
    notebook = notebook_of(model)
    parameters = complete(notebook, {**for_source(model, source), **asked, "source": source, "as_of": as_of})
    clock = offset()
    say("1/6 checking the source, its contracts and leaks")
    inputs = preflight(model, parameters, notebook)
    from registry import ledger, runs, versions

    with locked(model, source), stoppable():
        for line in [*runs.reap(), *swept(model, source), *ledger.finish_cut(model)]:
            say(f"found: {line}")
        named = run_name(inputs, parameters, versions.champion(model, source))
        run_id = runs.start(model, named, _tags(notebook, inputs, parameters))
        try:
            return _run(model, notebook, parameters, inputs, run_id, say, clock)
        except Stopped:
            _close(run_id, "KILLED", "Stopped on request.", say)
            raise
        except BaseException as error:
            _close(run_id, "FAILED", scrubbed(str(error))[:400], say)
            raise


def _close(run_id: str, status: str, why: str, say: Callable[[str], None]) -> None:
    """Close a run that did not end well; where the store fails too, what it failed of is still what is told."""
    from registry import runs

    try:
        runs.finish(run_id, status, why)
        say(f"run {run_id} is closed as {status}; what it executed of the notebook is among its artifacts")
    except Exception as error:
        say(f"run {run_id} could not be closed, the next start will: {(str(error).splitlines() or [''])[0]}")


def _run(model, notebook, parameters, inputs, run_id, say, clock) -> Retrained:
    from registry import evidence, runs

    stage = mlruns() / "stage" / f"{model}-{parameters['source']}-{run_id}"
    stage.mkdir(parents=True)
    name = f"{notebook.stem}-{inputs.label}-{parameters['as_of']}"
    executed = stage / f"{name}.ipynb"
    try:
        runs.log_parameters(run_id, parameters)
        runs.log_datasets(run_id, inputs.fingerprints, inputs.label)
        runs.log_features(run_id, inputs.columns, inputs.sql)
        runs.log_recipe(run_id, inputs.recipe)
        evidence.keep_rows(run_id, inputs.rows)
        say(f"2/6 running {notebook.name}")
        return _staged(model, notebook, parameters, inputs, run_id, say, executed, clock)
    finally:
        shutil.rmtree(stage, ignore_errors=True)  # what is left is swept by the next start


def _staged(model, notebook, parameters, inputs, run_id, say, executed, clock) -> Retrained:
    from registry import evidence, runs, versions, views
    from registry.card import run_note

    stage = executed.parent
    try:
        run_notebook(notebook, executed, parameters, say, stage)
    finally:
        kept = _keep(executed, run_id, inputs.simulated) if executed.exists() else []
    if not (stage / "record.json").exists():
        raise NotebookFailed(f"{notebook.name} handed in no record. Call registry.record.hand_in in its last cell.")
    inputs.source.refuse_changed()  # the notebook has read it a second time
    say("3/6 logging the run")
    found = runs.log(run_id, stage)
    if found["simulated"] != inputs.simulated:
        raise NotebookFailed(f"{notebook.name} must hand in Record(simulated=opened.simulated), but gives another.")
    evidence.keep(run_id, stage)
    say("4/6 asking the gate, beside the champion")
    champion = versions.champion(model, parameters["source"])
    again = champion is not None and (champion.sha256, champion.key) == (found["sha256"], inputs.key)
    more = [*inputs.checks, *fitted_again(run_id, model, inputs.table, parameters)]
    judged = judge(run_id, None if again else champion, inputs.table, parameters, more)
    log_judged(run_id, judged, stage, inputs.simulated)
    refuse_jump(clock)
    say("5/6 registering the model")
    tags = {
        "crm.key": inputs.key,
        "crm.sha256": found["sha256"],
        "crm.as_of": parameters["as_of"],
        "crm.source": parameters["source"],
        "crm.label": inputs.label,
    }
    note = write_card(run_id, inputs, parameters, found, judged, stage)
    with _registering(model):
        version = versions.register(model, run_id, tags, note)
        runs.tag(run_id, {"crm.version": str(version.number)})
        say("6/6 pointing the aliases")
        is_champion, standing = settle(version, champion, found, judged)
    runs.tag(run_id, {"mlflow.note.content": run_note(found["verdict"], standing, judged.said, judged.checks)})
    views.keep_view(run_id)
    runs.finish(run_id, "FINISHED")
    kept = [_publish(file) for file in kept]
    metrics = {key: tuple(value) for key, value in found["metrics"].items()}
    return Retrained(
        model,
        inputs.label,
        version.number,
        is_champion,
        standing,
        found["verdict"],
        metrics,
        judged,
        run_id,
        *kept,
    )


def _keep(executed: Path, run_id: str, simulated: bool) -> list[Path]:
    """The executed notebook and its HTML, as artifacts of the run, however it ended."""
    from registry import runs

    if simulated:
        entitle_simulated(executed)
    files = [executed, to_html(executed)]
    for file in files:
        runs.log_file(run_id, file, "notebook")
    return files


def _publish(file: Path) -> Path:
    """A file of a run that went well under mlruns/notebooks, in place of an earlier one of its name."""
    place = mlruns() / "notebooks" / file.name
    with whole(place) as written:
        shutil.copyfile(file, written)
    return place


def swept(model: str, source: str) -> list[str]:
    """Remove what runs that ended early have left: their stages, of this model and source, and files half written.

    A line for each stage. The lock is held, so that none of this model and source is at work. What is called by a run
    has no next writer.
    """
    for kind in ("evidence", "comparisons"):
        sweep(data() / kind)
    staged = rf"{re.escape(f'{model}-{source}')}-[0-9a-f]{{32}}"
    left = [place for place in sorted((mlruns() / "stage").glob("*")) if re.fullmatch(staged, place.name)]
    for folder in left:
        shutil.rmtree(folder)
    return [f"stage of an unfinished run removed: {folder.name}" for folder in left]


def _tags(notebook, inputs, parameters) -> dict[str, str]:
    from registry.runs import batch_of

    return {
        "crm.key": inputs.key,
        "crm.as_of": parameters["as_of"],
        "crm.source": parameters["source"],
        "crm.label": inputs.label,
        "batch": batch_of(parameters["as_of"], inputs.label),
        "crm.commit": _commit(),
        "crm.lock": inputs.recipe["lock"],
        "crm.features": features_hash(inputs.columns),
        "mlflow.user": user(),
        "mlflow.source.name": f"notebooks/{notebook.name}",
        "mlflow.source.type": "NOTEBOOK",
    }


def _commit() -> str:
    """The commit that the code is at, with -dirty when it differs; a machine without git has none."""
    describe = ["git", "-C", str(CODE), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no git"


def locked(model: str, source: str):
    """Hold the lock of a model on a source, which has its own champion; raises `Busy` while another does."""
    lock = FileLock(_locks() / f"{model}-{source}.lock", timeout=0)
    try:
        return lock.acquire()
    except Timeout:
        raise Busy(
            f"Another process is retraining {model} on {source} (it holds {lock.lock_file}). Wait for it, or stop it."
        ) from None


@contextmanager
def _registering(model: str) -> Iterator[None]:
    """Versions of a model come one after the other, with their aliases: the first one decides whose the plain ones are.

    Raises `Busy` where another process has not finished within two minutes.
    """
    try:
        with FileLock(_locks() / f"registering-{model}.lock", timeout=120):
            yield
    except Timeout:
        raise Busy(f"Another process registers a version of {model}, for two minutes now. Run it again.") from None


def _locks() -> Path:
    folder = mlruns() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class stoppable:
    """Turns SIGTERM into `Stopped`, so that the run is closed before the process ends."""

    def __enter__(self):
        self.before = signal.signal(signal.SIGTERM, self._stop)

    def __exit__(self, *_):
        signal.signal(signal.SIGTERM, self.before)

    @staticmethod
    def _stop(*_):
        # the kernel dies with us, and asyncio would tell of it at length, after the one clear reason
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise Stopped("on request (SIGTERM). The run is closed as KILLED.")
