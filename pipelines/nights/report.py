"""The page of a night: how it ended, what needs a person, what changed in scores and decisions, what ran, the disk."""

import html
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd

from contracts.files import whole
from contracts.places import data, root
from pipelines.endings import BY_CODE, Ending
from pipelines.nights import keeping
from pipelines.nights import state as states
from pipelines.nights.definition import Night
from pipelines.nights.state import NightState, StepState
from pipelines.report import page

LINES = 3
WELL, GATE = (states.DONE, states.KEPT), "The gate is not passed"
NOTHING = ("leave alone", "hold", "do not invest", "refuse")  # where a plan acts on nobody


def first_line(state: NightState) -> str:
    """How the night ended, in one line: what failed and why comes before what went well."""
    head = f"{state.name} as of {state.as_of}"
    failed = [step for step in state.steps if step.state == states.FAILED]
    if failed:
        return f"FAILED: {head}: {failed[0].name}: {_why(failed[0])}"
    if open_ := [step.name for step in state.steps if step.state in (states.WAITING, states.RUNNING)]:
        return f"CUT: {head}: {', '.join(open_)} did not end. Run it again: it goes on there."
    told = []
    for word, of in (
        ("no champion yet", states.NOBODY),
        ("the champion stays", states.KEPT),
        ("to be looked at", states.LOOK),
    ):
        if found := [step.name for step in state.steps if step.state == of]:
            told.append(f"{word} ({', '.join(found)})")
    if told:
        return f"Done: {head}: {'; '.join(told)}."
    steps = sum(step.state == states.DONE for step in state.steps)
    return f"Done: {head}: {steps} step{'s' * (steps != 1)}. Nothing needs a person."


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
        f"<h1>{_in_words(first_line(state))}</h1>",
        _person(state),
        *_changes(night, state),
        _steps(state),
        _disk(state),
    ]
    with whole(file) as written:
        written.write_text(page(f"{night.name} {state.as_of}", "\n".join(body)), encoding="utf-8")
    return file


def table(state: NightState) -> pd.DataFrame:
    """A row a step: step, state, tries, how long it took, and the first lines of what it said."""
    return pd.DataFrame(
        {
            "step": [s.name for s in state.steps],
            "state": [s.state for s in state.steps],
            "tries": [str(s.tries or "") for s in state.steps],
            "took": [_took(s.seconds) if s.tries else "" for s in state.steps],
            "said": ["\n".join(s.said.splitlines()[:LINES]) for s in state.steps],
        }
    )


def _took(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _steps(state: NightState) -> str:
    rows = table(state)
    links = [_link(f"{s.name.replace(' ', '-')}.log", s.name) if s.tries else s.name for s in state.steps]
    shown = rows[["state", "tries", "took"]].map(html.escape)
    shown.insert(0, "step", links)
    said = [
        f"<details><summary>What {html.escape(step.name)} said</summary><pre>{_shown(step.said)}</pre></details>"
        for step in state.steps
        if step.said and step.state != states.NOT_DUE
    ]
    later = [(s.said, s.name) for s in state.steps if s.state == states.NOT_DUE]
    named = {said: ", ".join(name for other, name in later if other == said) for said, _ in later}
    words = "; ".join(f"{names} ({said})" for said, names in named.items())
    due = f"<p>Not due: {html.escape(words)}.</p>" if later else ""
    return "<h2>What ran</h2>" + shown.to_html(index=False, escape=False, border=0) + due + "".join(said)


def _shown(said: str) -> str:
    """What a step said, files named from the project's folder on."""
    return html.escape(said.replace(f"{root()}{os.sep}", ""))


def _link(to: str, words: str) -> str:
    return f'<a href="{html.escape(to)}">{html.escape(words)}</a>'


def _changes(night: Night, state: NightState) -> Iterator[str]:
    """What was trained, and scores and decisions of the day beside those of the day before that there are."""
    trained = [step for step in state.steps if step.name.startswith("retrain ") and step.state in WELL]
    if trained:
        yield "<h2>What was trained</h2>"
    for step in trained:
        yield f"<p>{'<br>'.join(map(html.escape, _verdict(step)))}</p>"
    rows = [found for model in night.models if (found := _changed(night, model, state.as_of)) is not None]
    if rows:
        files = (keeping.table_of("scores", model, state.as_of, night.source) for model in night.models)
        word = " (simulated)" if any(file and file.stem.endswith("-simulated") for file in files) else ""
        yield f"<h2>What changed in scores and decisions{word}</h2>"
        shown = pd.DataFrame(rows).fillna("").set_index("model").T.rename_axis(None, axis=1).reset_index(names="")
        yield shown.to_html(index=False, border=0)
    for model in night.models:
        for file in keeping.pages(model, state.as_of, night.source):
            if file.suffix == ".html":
                there = os.path.relpath(file, states.place(night.name, date.fromisoformat(state.as_of)))
                yield f"<p>{_link(there, f'{model}: the notebook of the day')}</p>"


def _verdict(step: StepState) -> list[str]:
    """What a retraining said of its version, without where its files are."""
    return [line for line in step.said.splitlines() if not line.startswith(("notebook ", "run "))]


def _kept(step: StepState) -> str:
    """That a version was not made champion, and what the gate found against it, if that was why."""
    said = _verdict(step)
    gate = [line[line.index(GATE) :] for line in said if GATE in line and line != said[-1]]
    return " ".join([*said[-1:], *gate]) or "the champion stays."


def _in_words(line: str) -> str:
    """A line with its commands as such."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(line))


def _changed(night: Night, model: str, as_of: str) -> dict | None:
    """How many were scored, by which version, with what plan; and since the last day before, how many are otherwise."""
    now = _scored(model, as_of, night.source)
    if now is None:
        return None
    days = sorted(p.name.partition("=")[2] for p in (data() / "scores" / f"model={model}").glob("as_of=*"))
    earlier = [day for day in days if day < as_of and keeping.table_of("scores", model, day, night.source)]
    then = _scored(model, earlier[-1], night.source) if earlier else None
    row = {"model": f"{model} version {now.version.iloc[0]}", "scored": f"{len(now):,}", "mean score": _mean(now, then)}
    row |= {"plan": _plan(now, then)}
    if then is None:
        return row | {"compared with": "first scores"}
    both = now.join(then.add_suffix("_then"), how="inner")
    version = then.version.iloc[0]
    by = f", by version {version}" if version != now.version.iloc[0] else ""
    return row | {
        "compared with": f"{earlier[-1]}{by}",
        "new": f"{len(now.index.difference(then.index)):,}",
        "gone": f"{len(then.index.difference(now.index)):,}",
        "in another band": f"{(both.band != both.band_then).sum():,}",
        "with another action": f"{(both.action != both.action_then).sum():,}",
    }


def _mean(now: pd.DataFrame, then: pd.DataFrame | None) -> str:
    """Of a chance in per cent, of cents as money, with what it was: `14.3 % (was 14.1)`."""
    unit, of, end = (1, 100, " %") if now.score.max() <= 1 else (100, 1, "")
    was = f" (was {then.score.mean() * of / unit:,.1f})" if then is not None else ""
    return f"{now.score.mean() * of / unit:,.1f}{end}{was}"


def _plan(now: pd.DataFrame, then: pd.DataFrame | None) -> str:
    """How many are acted on, by action, and how many more than before: `contact 1,109 (+14)`."""
    counts = now.action[now.action != ""].value_counts()
    before = then.action.value_counts() if then is not None else {}
    acted = sorted(set(counts.index) - {*NOTHING}) or sorted(counts.index)
    more = (f" ({counts[name] - before.get(name, 0):+,})" if then is not None else "" for name in acted)
    return ", ".join(f"{name} {counts[name]:,}{change}" for name, change in zip(acted, more, strict=True))


def _scored(model: str, as_of: str, source: str) -> pd.DataFrame | None:
    """score, band, version and action of each subject of a day; None where nothing was scored."""
    file = keeping.table_of("scores", model, as_of, source)
    if file is None:
        return None
    scores = pd.read_parquet(file, partitioning=None)
    keys = [name for name in ("customer_id", "application_id", "campaign_id") if name in scores.columns]
    scores = scores.set_index(keys)[["score", "band", "version"]]
    planned = keeping.table_of("decisions", model, as_of, source)
    plan = pd.read_parquet(planned, partitioning=None) if planned else None
    if plan is None or "action" not in plan.columns:
        return scores.assign(action="")
    return scores.join(plan.set_index(keys)[["action"]]).fillna({"action": ""})


def _person(state: NightState) -> str:
    """What a person must look at, each with what to do."""
    lines, kept = [], {step.name for step in state.steps if step.state == states.KEPT}
    for step in sorted(state.steps, key=lambda step: step.state != states.FAILED):
        if step.state == states.FAILED:
            do = BY_CODE[step.exit_code].do if step.exit_code in BY_CODE else "read its log"
            lines.append(f"{step.name}: {_why(step)}{'' if 'To do: ' in _why(step) else f' To do: {do}.'}")
        if step.state == states.KEPT:
            lines.append(f"{step.name}: {_kept(step)} `crm promote` is a person's word.")
        if step.state == states.LOOK:
            lines.append(f"{step.name}: {(step.said.splitlines() or [''])[-1]}")  # its verdict, after all checks
        if step.state == states.NOBODY:
            told = f"retrain {step.name.partition(' ')[2]}" in kept
            why = "there is no champion, see above." if told else f"{step.said} `crm promote` is a person's word."
            lines.append(f"{step.name}: {why}")
        if step.state == states.NOT_RUN:
            lines.append(f"{step.name}: {step.said}.")
    items = "".join(f"<li>{_in_words(line)}</li>" for line in lines) or "<li>Nothing.</li>"
    return f"<h2>What needs a person</h2><ul>{items}</ul>"


def growth(name: str, last: str) -> pd.DataFrame:
    """What runs and nights take up after a night, by part: MB now, since the night before, and a day on average.

    The average is over the nights that there are up to `last`. Empty where none was measured.
    """
    found = [states.read(name, night) for night in states.days(name) if night.isoformat() <= last]
    known = [night for night in found if night and night.taken]
    if not known:
        return pd.DataFrame()
    rows = pd.DataFrame([night.taken for night in known]).fillna(0) / 1e6
    rows["all"] = rows.sum(axis=1)
    days = (date.fromisoformat(known[-1].as_of) - date.fromisoformat(known[0].as_of)).days
    now = rows.iloc[-1]
    shown = {"part": list(rows.columns), "MB": [f"{v:,.1f}" for v in now]}
    if len(known) > 1:
        shown[f"MB since {known[-2].as_of}"] = [_more(v, 1) for v in now - rows.iloc[-2]]
        shown[f"MB a day, over {days} days"] = [_more(v, 2) for v in (now - rows.iloc[0]) / max(1, days)]
    return pd.DataFrame(shown)


def _more(megabytes: float, digits: int) -> str:
    """With its sign, which nothing has none of."""
    return f"{round(megabytes, digits) + 0.0:+,.{digits}f}"


def _disk(state: NightState) -> str:
    """What runs, tables and pages take up, how fast that grows, and what was removed."""
    shown = growth(state.name, state.as_of)
    if shown.empty:
        return ""
    swept = "".join(f"<li>{html.escape(line)}</li>" for line in state.swept)
    removed = f"<p>Removed, as the definition says:</p><ul>{swept}</ul>" if swept else ""
    return f"<h2>Disk</h2>{shown.to_html(index=False, border=0)}{removed}"
