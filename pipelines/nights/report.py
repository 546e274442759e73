"""The page of a night: what ran, how it ended, what changed in scores and decisions, what needs a person."""

import html
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd

from contracts.files import whole
from contracts.places import data, mlruns, root
from pipelines.endings import BY_CODE, Ending
from pipelines.nights import state as states
from pipelines.nights.definition import Night
from pipelines.nights.state import NightState, StepState
from pipelines.report import page

LINES = 3


def first_line(state: NightState) -> str:
    """How the night ended, in one line: what failed and why comes before what went well."""
    head = f"{state.name} as of {state.as_of}"
    failed = [step for step in state.steps if step.state == states.FAILED]
    if failed:
        return f"FAILED: {head}: {failed[0].name}: {_why(failed[0])}"
    if open_ := [step.name for step in state.steps if step.state in (states.WAITING, states.RUNNING)]:
        return f"CUT: {head}: {', '.join(open_)} did not end. Run it again: it goes on there."
    told = []
    for word, of in (("the champion stays", states.KEPT), ("to be looked at", states.LOOK)):
        if found := [step.name for step in state.steps if step.state == of]:
            told.append(f"{word} ({', '.join(found)})")
    if told:
        return f"Done: {head}: {'; '.join(told)}."
    return f"Done: {head}: {sum(step.state == states.DONE for step in state.steps)} steps."


def _why(step: StepState) -> str:
    """What a step ended of, in the words of its ending, and the line in which it says so."""
    ending = BY_CODE.get(step.exit_code, Ending(0, "failed", f"exit code {step.exit_code}"))
    lines = step.said.splitlines() or [""]
    said = next((line for line in lines if line.startswith(f"{ending.word}: ")), lines[0])
    return f"{ending.meaning}: {said.removeprefix(f'{ending.word}: ')}"


def write(night: Night, state: NightState) -> Path:
    """report.html in the night's folder."""
    file = states.place(night.name, date.fromisoformat(state.as_of)) / "report.html"
    body = [
        f"<h1>{html.escape(first_line(state))}</h1>",
        _steps(state),
        *_changes(night, state),
        _person(state),
        _disk(state),
    ]
    with whole(file) as written:
        written.write_text(page(f"{night.name} {state.as_of}", "\n".join(body)), encoding="utf-8")
    return file


def table(state: NightState) -> pd.DataFrame:
    """A row a step: step, state, tries, seconds, and the first lines of what it said."""
    return pd.DataFrame(
        {
            "step": [s.name for s in state.steps],
            "state": [s.state for s in state.steps],
            "tries": [str(s.tries or "") for s in state.steps],
            "seconds": [f"{s.seconds:.0f}" if s.tries else "" for s in state.steps],
            "said": ["\n".join(s.said.splitlines()[:LINES]) for s in state.steps],
        }
    )


def _steps(state: NightState) -> str:
    rows = table(state)
    links = [_link(f"{s.name.replace(' ', '-')}.log", s.name) if s.tries else s.name for s in state.steps]
    shown = rows[["state", "tries", "seconds"]].map(html.escape)
    shown.insert(0, "step", links)
    said = [f"<h3>{html.escape(step.name)}</h3><pre>{_shown(step.said)}</pre>" for step in state.steps if step.said]
    return "<h2>What ran</h2>" + shown.to_html(index=False, escape=False, border=0) + "".join(said)


def _shown(said: str) -> str:
    """What a step said, files named from the project's folder on."""
    return html.escape(said.replace(f"{root()}{os.sep}", ""))


def _link(to: str, words: str) -> str:
    return f'<a href="{html.escape(to)}">{html.escape(words)}</a>'


def _changes(night: Night, state: NightState) -> Iterator[str]:
    """Scores and decisions of the day beside those of the day before that there are."""
    rows = [found for model in night.models if (found := _changed(night, model, state.as_of)) is not None]
    if rows:
        yield "<h2>What changed in scores and decisions</h2>"
        yield pd.DataFrame(rows).to_html(index=False, border=0)
    for model in night.models:
        for file in sorted((mlruns() / "notebooks").glob(f"*_{model}-{night.source}*-{state.as_of}.html")):
            there = os.path.relpath(file, states.place(night.name, date.fromisoformat(state.as_of)))
            yield f"<p>{_link(there, f'{model}: the notebook of the day')}</p>"


def _changed(night: Night, model: str, as_of: str) -> dict | None:
    now = _scored(model, as_of, night.source)
    if now is None:
        return None
    days = sorted(p.name.partition("=")[2] for p in (data() / "scores" / f"model={model}").glob("as_of=*"))
    earlier = [day for day in days if day < as_of and _scored(model, day, night.source) is not None]
    row = {"model": model, "scored": f"{len(now):,}", "version": str(now.version.iloc[0])}
    if not earlier:
        return row | {"since": "first scores", "new": "", "gone": "", "other band": "", "other action": ""}
    then = _scored(model, earlier[-1], night.source)
    both = now.join(then, how="inner", rsuffix="_then")
    return row | {
        "since": earlier[-1],
        "new": f"{len(now.index.difference(then.index)):,}",
        "gone": f"{len(then.index.difference(now.index)):,}",
        "other band": f"{(both.band != both.band_then).sum():,}",
        "other action": f"{(both.action.fillna('') != both.action_then.fillna('')).sum():,}",
    }


def _scored(model: str, as_of: str, source: str) -> pd.DataFrame | None:
    """band, version and action of each subject of a day; None where nothing was scored."""
    files = [data() / kind / f"model={model}" / f"as_of={as_of}" for kind in ("scores", "decisions")]
    found = [sorted(folder.glob(f"{source}*.parquet")) for folder in files]
    if not found[0]:
        return None
    scores = pd.read_parquet(found[0][0], partitioning=None)
    keys = [name for name in ("customer_id", "application_id", "campaign_id") if name in scores.columns]
    scores = scores.set_index(keys)[["band", "version"]]
    plan = pd.read_parquet(found[1][0], partitioning=None) if found[1] else None
    if plan is None or "action" not in plan.columns:
        return scores.assign(action="")
    return scores.join(plan.set_index(keys)[["action"]])


def _person(state: NightState) -> str:
    """What a person must look at, each with what to do."""
    lines = []
    for step in state.steps:
        if step.state == states.FAILED:
            do = BY_CODE[step.exit_code].do if step.exit_code in BY_CODE else "read its log"
            lines.append(f"{step.name}: {_why(step)} To do: {do}.")
        if step.state == states.KEPT:
            lines.append(f"{step.name}: the champion stays. `crm ledger` says why; `crm promote` is a person's word.")
        if step.state == states.LOOK:
            lines.append(f"{step.name}: {next(iter(step.said.splitlines()), '')}")
        if step.state == states.NOT_RUN:
            lines.append(f"{step.name}: {step.said}.")
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines) or "<li>Nothing.</li>"
    return f"<h2>What needs a person</h2><ul>{items}</ul>"


def _disk(state: NightState) -> str:
    """What runs, tables and pages take up, and how much more than after the night before."""
    earlier = [day for day in states.days(state.name) if day.isoformat() < state.as_of]
    before = states.read(state.name, earlier[-1]) if earlier else None
    since = f", {(state.bytes - before.bytes) / 1e6:+,.1f} MB since the night of {before.as_of}" if before else ""
    return f"<h2>Disk</h2><p>Runs, tables and pages take {state.bytes / 1e6:,.1f} MB{since}.</p>"
