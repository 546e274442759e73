"""Run a night: each step is a command in a process of its own; what went well with the same inputs is not run again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from contracts.errors import Refused
from contracts.places import mlruns, root
from contracts.secrets import scrub
from pipelines.console import stamp
from pipelines.endings import DONE, ENDINGS, KEPT, STORE_GONE, ending_of
from pipelines.fingerprints import visible
from pipelines.locking import Busy
from pipelines.nights import state as states
from pipelines.nights.definition import Night, Step
from pipelines.nights.keeping import sweep, sweep_runs, taken
from pipelines.nights.state import NightState, StepState
from pipelines.parameters import SETTINGS, for_source, notebook_of
from pipelines.preflight import CODE
from pipelines.retrain import stoppable
from registry.fingerprint import code_files, digest, file_digest, table_fingerprint
from sources import open_source

AGAIN = tuple(ending.code for ending in ENDINGS if ending.again)
WELL = (DONE.code, KEPT.code)
SAID_LINES = 12

Say = Callable[[str], None]


def run(night: Night, as_of: date, force: bool, say: Say) -> NightState:
    """All steps that are due, in order; the state is kept after each change.

    force  also those that went well before with the same inputs

    Raises `Busy` while the same night runs, with its holder; `Refused` where the source cannot be opened: the first
    step would say the same.
    """
    with _lock(night, as_of), stoppable():
        swept = _said(sweep(night, as_of), say)
        before = states.read(night.name, as_of) or NightState(night.name, as_of.isoformat(), ())
        steps = tuple(_open(before.step(step.name)) for step in night.steps)
        state = NightState(night.name, as_of.isoformat(), steps)
        states.write(state)
        given = _given(night, as_of)
        for step in night.steps:
            state = _step(night, step, as_of, state, given, force, say)
        if state.exit_code in WELL:  # a day that was mistyped fails, and must not cost what cannot be made again
            swept += _said(sweep_runs(night, as_of), say)
        state = replace(state, swept=tuple(swept), taken=taken())
        states.write(state)
        return state


def backfill(night: Night, first: date, last: date, force: bool, say: Say) -> Iterator[NightState]:
    """The nights of a range of days, one after the other; a day that fails is the last one that is run.

    Raises `Refused` for a range that ends before it begins.
    """
    if last < first:
        raise Refused(f"A range must not end before it begins, but goes from {first} to {last}. Turn it round.")
    for k in range((last - first).days + 1):
        say(f"night of {first + timedelta(days=k)}")
        done = run(night, first + timedelta(days=k), force, say)
        yield done
        if done.exit_code not in WELL:
            return


def _said(lines: Iterator[str], say: Say) -> list[str]:
    """What was removed, told as it happens."""
    told = []
    for line in lines:
        say(f"found: {line}")
        told.append(line)
    return told


def _open(step: StepState) -> StepState:
    """A step that was cut begins anew; what it was waiting for may have come."""
    return step if step.state in states.WELL else replace(step, state=states.WAITING)


def _given(night: Night, as_of: date) -> str:
    """A digest of all that is the same for each step: code, parameters, lock, and the source as known on the day."""
    source = open_source(night.source)
    tables = {name: table_fingerprint(table) for name, table in visible(source, as_of).items()}
    lock = root() / "requirements.lock"
    parts = {"code": code_files(CODE), "settings": file_digest(SETTINGS), "tables": tables}
    return digest(parts | {"lock": file_digest(lock) if lock.exists() else ""})


def _inputs(night: Night, step: Step, as_of: date, state: NightState, given: str) -> str:
    """A digest of what a step follows from: what is given, its command, its model's notebook, and what it needs."""
    model = next((name for name in night.models if name in step.words), None)
    own = {"notebook": file_digest(notebook_of(model)), "set": for_source(model, night.source)} if model else {}
    needs = [[need, state.step(need).inputs, state.step(need).exit_code] for need in step.needs]
    return digest({"given": given, "words": step.command(as_of), "needs": needs, **own})


def _step(night: Night, step: Step, as_of: date, state: NightState, given: str, force: bool, say: Say) -> NightState:
    known = state.step(step.name)

    def becomes(**changed) -> NightState:
        new = state.having(replace(known, **changed))
        states.write(new)
        return new

    if not (step.due(as_of) or known.tries or _first_time(step, night)):
        return becomes(state=states.NOT_DUE, said=f"due on {step.days}")
    if stopped := [need for need in step.needs if state.step(need).state not in states.WELL]:
        return becomes(state=states.NOT_RUN, said=f"needs {', '.join(stopped)}, which did not go well")
    if nobody := _without_champion(step, night):
        say(f"{step.name}: {nobody}")
        return becomes(state=states.NOBODY, said=nobody)
    inputs = _inputs(night, step, as_of, state, given)
    if known.state in (states.DONE, states.KEPT, states.LOOK) and known.inputs == inputs and not force:
        say(f"{step.name}: {known.state}, and nothing it follows from has changed")
        return state
    for nth in range(1, night.times + 2):
        say(f"{step.name}: crm {' '.join(step.command(as_of))}" + (f" (try {nth})" if nth > 1 else ""))
        began, clock = stamp(), time.monotonic()
        known = replace(known, tries=nth, began=began, inputs=inputs)
        state = becomes(state=states.RUNNING, exit_code=None, said="", seconds=0.0)
        code, said = _command(step, as_of, states.place(night.name, as_of))
        ended = {"exit_code": code, "said": said, "seconds": round(time.monotonic() - clock, 1)}
        state = becomes(state=_state(step, code), **ended)
        if code not in AGAIN or nth > night.times:
            break
        time.sleep(night.after_seconds)
    say(f"{step.name}: {state.step(step.name).state} after {state.step(step.name).seconds:.0f} s")
    return state


def _first_time(step: Step, night: Night) -> bool:
    """Whether a model would be trained on the source for the first time: that waits for no weekday."""
    return step.words[0] == "retrain" and _trained(step.words[1], night.source) == []


def _without_champion(step: Step, night: Night) -> str:
    """Why a model cannot score, or be watched: the gate has kept all that was trained; empty where it can.

    That is for a person to decide on, and no reason for the other models to wait. What was never trained is told by
    the command itself.
    """
    if step.words[0] not in ("score", "watch") or not (found := _trained(step.words[1], night.source)):
        return ""
    from registry import ledger
    from registry.versions import CHAMPION, champion, holder

    model, last = step.words[1], found[0]
    if champion(model, night.source) or holder(model, CHAMPION):
        return ""
    why = " ".join(row.why for row in ledger.rows(model) if row.to == str(last.number))
    return f"no version was made champion yet. Of version {last.number}: {why}"


def _trained(model: str, source: str) -> list | None:
    """The versions of a model of a source, newest first; None where the store does not answer, as the step will say."""
    from registry.store import exists
    from registry.versions import versions

    try:
        return [version for version in versions(model) if version.source == source] if exists() else []
    except Exception as error:
        if ending_of(error) is STORE_GONE:
            return None
        raise


def _state(step: Step, code: int) -> str:
    """Exit code 3 of a watch is not a champion that stays, but one that perhaps ought not to."""
    kept = states.LOOK if step.words[0] == "watch" else states.KEPT
    return {DONE.code: states.DONE, KEPT.code: kept}.get(code, states.FAILED)


def _command(step: Step, as_of: date, folder: Path) -> tuple[int, str]:
    """Run it, with all that it says in a log; its exit code, and the last lines for a reader."""
    log = folder / f"{step.name.replace(' ', '-')}.log"
    words = [sys.executable, "-m", "pipelines", *step.command(as_of)]
    settings = os.environ | {"TERM": "dumb", "COLUMNS": "200"}
    with open(log, "wb") as written, subprocess.Popen(words, stdout=written, stderr=written, env=settings) as process:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    return ending(code, log)


def ending(code: int, log: Path) -> tuple[int, str]:
    """The exit code of a process that ended with `code`, a signal's below zero, and the last lines of its log."""
    scrub(log)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    ours = [line for line in lines if not line[:8].replace(":", "").isdigit()]  # without the progress
    return code if code >= 0 else 128 - code, "\n".join((ours or lines)[-SAID_LINES:])


@contextmanager
def _lock(night: Night, as_of: date):
    """One night of a name at a time; the kernel frees the lock of a process that is gone, so that none is stale."""
    folder = mlruns() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"night-{night.name}.json"
    try:
        with FileLock(folder / f"night-{night.name}.lock", timeout=0):
            holder.write_text(json.dumps({"pid": os.getpid(), "as_of": f"{as_of}", "host": os.uname().nodename}))
            yield
    except Timeout:
        told = json.loads(holder.read_text()) if holder.exists() else {}
        raise Busy(
            f"The night {night.name} of {told.get('as_of', 'another day')} is running (process {told.get('pid', '?')} "
            f"on {told.get('host', '?')}). Wait for it, or stop it."
        ) from None
