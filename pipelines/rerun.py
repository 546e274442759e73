"""Make a run again from its own record: its commit, lock, parameters, today's data; identical, or what differs and why.

The commit is checked out in a temporary worktree, the packages of its lock are installed in a temporary environment
where those of here are others, and the run is made in a temporary project that reads the present one's data and writes
nothing to it. What was trained with changes that no commit holds is made with the present code, and the files that are
no longer those are named.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts.errors import Refused
from contracts.places import data, root
from contracts.study import day
from contracts.tables import named_by
from pipelines.environment import LOCK, Environment, environment
from pipelines.fingerprints import visible
from pipelines.parameters import notebook_of, refuse_parameters
from pipelines.preflight import CODE
from pipelines.retrain import stoppable
from pipelines.score import SCORES, fingerprint_of_scores
from registry import about, evidence, recipe, runs
from registry.about import About
from registry.fingerprint import file_digest, table_fingerprint
from registry.row_digest import other_rows
from registry.store import client_of
from sources import open_source

OWN = ("mlruns", "data", "notebooks", LOCK)  # what the temporary project has itself
WRITTEN = ("evidence", "scores", "decisions", "comparisons", "features")  # what runs write below data/
ENDED = (0, 3)  # exit codes of a retraining that registered a model
STEP = re.compile(r"^\d\d:\d\d:\d\d  (.*)")


@dataclass(frozen=True)
class Rerun:
    """How it ended.

    same, other   what is identical, and what is not, in words
    differences   where what went in differs: data, parameters, code, lock, packages, threads, platform
    failed        why it could not be made again, if so
    """

    run_id: str
    same: Sequence[str]
    other: Sequence[str]
    differences: Sequence[str]
    failed: str = ""

    @property
    def identical(self) -> bool:
        """Whether the same bytes came out."""
        return not self.other and not self.failed

    @property
    def said(self) -> str:
        """In one line."""
        if self.failed:
            return f"It could not be made again: {self.failed}"
        return f"Identical: {', '.join(self.same)}." if self.identical else f"Not identical: {'; '.join(self.other)}."


@dataclass(frozen=True)
class _Beside:
    """Where a run is made again: by which code, in which temporary project, with which packages."""

    code: Path
    home: Path
    packages: Environment


def rerun(run_id: str, asked: Mapping[str, object], say: Callable[[str], None]) -> Rerun:
    """Make a run again, with other parameters where `asked` for; the verdict stands on its page, too.

    Raises `Refused` for a run that did not finish or was made by hand, and for a parameter that it did not have.
    """
    run = about.about(run_id)
    if run.status != "FINISHED" or not run.version:
        raise Refused(
            f"A run that registered a version can be made again, but {run_id} is {run.status}"
            f"{' and was made by hand' if 'crm.by_hand' in run.tags else ''}. `crm runs` lists them."
        )
    if "crm.recipe" not in run.tags:
        raise Refused(
            f"Run {run_id} kept no recipe: it is older than this rule. Train it again with `crm retrain`; the metrics "
            f"and the sha256 of both are on their pages."
        )
    refuse_parameters(run.model, asked, run.parameters)
    then = about.content(run_id, recipe.FILE)
    with tempfile.TemporaryDirectory(prefix="crm-rerun-") as folder, stoppable():
        code = _code(run, Path(folder) / "code", say)
        try:
            home = _project(Path(folder) / "home", code, then)
            packages = environment(then, home / LOCK, Path(folder) / "environment", say)
            done = _made_again(run, then, asked, _Beside(code, home, packages), say)
        finally:
            if code != CODE:
                _git("worktree", "remove", "--force", str(code))
    if not asked:
        # a reason may name a customer and a cell of hers, which is for the terminal only
        said = "It could not be made again." if done.failed else done.said[:400]
        runs.tag(run_id, {"crm.rerun": said, "crm.rerun_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"})
    return done


def _code(run: About, place: Path, say: Callable[[str], None]) -> Path:
    commit = run.tags.get("crm.commit", "")
    if _git("cat-file", "-e", f"{commit}^{{commit}}") and _git("worktree", "add", "--detach", str(place), commit):
        say(f"1/3 code: commit {commit[:12]}, in a temporary worktree")
        return place
    why = "had changes that no commit holds" if commit.endswith("-dirty") else "is not in this repository"
    say(f"1/3 code: the present one, since commit {commit[:12] or 'of the run'} {why}")
    return CODE


def _git(*words: str) -> bool:
    try:
        return subprocess.run(["git", "-C", str(CODE), *words], capture_output=True).returncode == 0
    except OSError:
        return False


def _project(home: Path, code: Path, then: Mapping) -> Path:
    """A project with the present data, and the notebooks and lock of then, where they are to be had."""
    (home / "data").mkdir(parents=True)
    for there, place, left_out in ((root(), home, OWN), (data(), home / "data", WRITTEN)):
        for entry in there.iterdir():
            if entry.name not in left_out and not entry.name.startswith("."):
                (place / entry.name).symlink_to(entry)
    ((name, sha256),) = then["notebook"].items()
    shutil.copytree(_as_then(name, sha256, code).parent, home / "notebooks")
    shutil.copy(_as_then(LOCK, then["lock"], code), home)
    return home


def _as_then(name: str, sha256: str, code: Path) -> Path:
    """A file as the run took it: the project's or the commit's, whichever has its sha256; else the project's."""
    places = [root() / name, code / name]
    return next((place for place in places if place.is_file() and file_digest(place) == sha256), places[0])


def _made_again(run: About, then: Mapping, asked: Mapping, beside: _Beside, say) -> Rerun:
    parameters = {**run.parameters, **{name: str(value) for name, value in asked.items()}}
    source, as_of = parameters.pop("source"), parameters.pop("as_of")
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}={value}")]
    say(f"2/3 retraining {run.model} on {source} as of {as_of}")
    reason = _crm(beside, ["retrain", run.model, "--source", source, "--as-of", as_of, *words], say)
    if reason:
        now = _made_of_now(run, then, asked, beside)
        return Rerun(run.run_id, [], [], _differ(run, then, now, beside), reason)
    say("3/3 comparing")
    found, made_of = _found(beside.home, run.model)
    same, other = recipe.compared(recipe.result(run.tags, run.metrics), found)
    for name in sorted(tag for tag in run.tags if tag.startswith(SCORES)):
        scored = _scored_again(run, source, name.removeprefix(SCORES), beside, say)
        (same if scored.startswith("scores of") else other).append(scored)
    return Rerun(run.run_id, same, other, _differ(run, then, made_of, beside))


def _crm(beside: _Beside, words: Sequence[str], say) -> str:
    """Run a command of that code on the temporary project; empty when it went well, else why it did not."""
    theirs = "" if beside.packages.own else os.environ.get("PYTHONPATH", "")  # nothing of here reaches into its own
    settings = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    path = [str(beside.code), str(beside.code / "src"), *filter(None, [theirs])]  # that code before any other
    settings |= {"CRM_HOME": str(beside.home), "PYTHONPATH": os.pathsep.join(path), "TERM": "dumb"}
    command, rest = [str(beside.packages.python), "-m", "pipelines", *words], []
    with subprocess.Popen(
        command, cwd=beside.home, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                step = STEP.match(line)
                say(f"    {step[1]}") if step else rest.append(line.strip())
        except BaseException:
            process.terminate()
            raise
    return "" if process.returncode in ENDED else " ".join(rest) or f"`crm {words[0]}` ended with {process.returncode}"


def _found(home: Path, model: str) -> tuple[recipe.Result, dict]:
    """The result and the recipe of the one run in the temporary project."""
    store = client_of(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    (run,) = store.search_runs([store.get_experiment_by_name(model).experiment_id])
    (made_of,) = (home / "mlruns" / "artifacts" / model).glob(f"*/artifacts/{recipe.FILE}")
    return recipe.result(run.data.tags, run.data.metrics), json.loads(made_of.read_text())


def _made_of_now(run: About, then: Mapping, asked: Mapping, beside: _Beside) -> Mapping:
    """The recipe as it would be now, of a run that did not get so far as to write its own."""
    try:
        source = open_source(run.parameters["source"])
        tables = visible(source, day(run.as_of, "as_of"))
        found = {name: table_fingerprint(table) for name, table in tables.items()}
        notebook = beside.home / "notebooks" / notebook_of(run.model).name
        files = {"code": beside.code, "notebook": notebook, "lock": beside.home / LOCK}
        now = recipe.recipe(source.label, then["parameters"] | asked, tables, found, files)
        return now | {"packages": then["packages"]} if beside.packages.own else now
    except Refused:  # the reason that it could not be made again says so already
        return then


def _differ(run: About, then: Mapping, now: Mapping, beside: _Beside) -> list[str]:
    """Where the recipes part, and of a raw table with the same columns which rows do: for the terminal only."""
    kept, rows = evidence.rows_kept(run.run_id), {}
    tables = visible(open_source(run.parameters["source"]), day(run.as_of, "as_of")) if then != now else {}
    for name, table in tables.items():
        was, found = then["data"].get(name), now["data"].get(name)
        if was and found and name in kept and _types(was) == _types(found) and was != found:
            rows[name] = other_rows(kept[name], table, *named_by(name, table.columns))
    said = recipe.differences(then, now, rows)
    if erased := run.tags.get("crm.erased"):
        said.insert(
            0, f"data: rows that the run had were erased with `crm forget`, last on {erased}; they are not named"
        )
    if others := sum(line.startswith("package: ") for line in said):
        why = beside.packages.why_not or "the run was not made with what its lock names"
        said.append(f"lock: {others} of {len(then['packages'])} packages are not those of then, since {why}")
    return said


def _types(described: Mapping) -> dict[str, str]:
    return {name: column["type"] for name, column in described["columns"].items()}


def _scored_again(run: About, source: str, as_of: str, beside: _Beside, say) -> str:
    """What was scored on a day, scored again; in words, that begin with "scores of" where it is the same."""
    # whatever the gate said this time, or that it is the champion already
    _crm(beside, ["promote", run.model, "1", "--reason", "made again, to be compared"], say)
    if reason := _crm(beside, ["score", run.model, "--source", source, "--as-of", as_of], say):
        return f"{as_of} could not be scored again: {reason}"
    place = f"data/scores/model={run.model}/as_of={as_of}/{run.tags['crm.label']}.parquet"
    same = fingerprint_of_scores(beside.home / place) == run.tags[f"{SCORES}{as_of}"]
    return f"scores of {as_of}" if same else f"other scores of {as_of}"
