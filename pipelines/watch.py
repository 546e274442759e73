"""Is a champion still right on a later day? What it is fed and says, what is decided, what has come true, its age.

The subjects of the day that it was trained for are compared with those of now: the same question, asked of the same
kind of people, so that on that very day nothing has moved. Its test rows are others: of a month before, and in response
and credit only those who were chosen for a contact or a loan. It has learnt from neither day's rows. A flat source has
one day only; there the test rows are then, with the scores they were judged by, and those of now are by that same
model, since the registered one has seen the rows of then and would seem to have moved without cause.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.errors import Refused
from contracts.spreadsheets import write_csv
from contracts.study import Study, day
from contracts.subjects import keys_of
from contracts.tables import check
from evaluation import drift as drifting
from evaluation.drift import FEWEST, Decisions, decisions, drift, fallen, growing, off, share_moved, verdict
from evaluation.estimate import Estimate
from evaluation.gate import Check
from pipelines.champions import champion_for
from pipelines.compare import features_of
from pipelines.days import kept_days
from pipelines.kinds import Kind, Model, kind_of
from pipelines.loading import loaded
from pipelines.locking import scoring
from pipelines.parameters import complete, declared, notebook_of, settings
from pipelines.training import training_of
from registry import about, evidence, runs, watched
from registry.about import About
from registry.versions import Version
from registry.watched import Finding
from sources import open_source
from sources.source import Source

EARLIER, APART = 5, 16  # days before the training's that say how far columns vary, all on other weekdays


@dataclass(frozen=True)
class Watched:
    """How a champion stands on a day.

    then, now  the subjects of both days by their keys but the origin: the columns that the model reads, and `score`
    columns    a row a column, as `evaluation.drift.beyond`; aged: those that only ever grow, which are not among them
    decided    what happens to those who are there on both days; at_stake: its money, in words
    promised   the headline measure when it was judged, and matured: on outcomes since, None where none have matured
    grave, mild  the checks that ask for a new training, and those that ask for a look
    """

    model: str
    version: Version
    as_of: str
    label: str
    simulated: bool
    then: pd.DataFrame
    now: pd.DataFrame
    columns: pd.DataFrame
    aged: Sequence[str]
    decided: Decisions
    at_stake: str
    promised: Estimate
    matured: Estimate | None
    grave: Sequence[Check]
    mild: Sequence[Check]

    @property
    def verdict(self) -> str:
        """keep, watch or retrain."""
        return verdict(self.grave, self.mild)

    @property
    def said(self) -> str:
        """In two sentences or three: the verdict with what speaks for it, and what could not be asked."""
        checks = [*self.grave, *self.mild]
        against = [f"{c.what} {c.found:.3g}, but must be {c.limit}{f' ({c.note})' * bool(c.note)}" for c in checks
                   if c.passed is False]  # fmt: skip
        unclear = [f"{c.what} ({c.note})" for c in checks if c.passed is None]
        word = {"keep": "Keep", "watch": "Watch", "retrain": "Retrain"}[self.verdict]
        of = f"{self.model} version {self.version.number} ({self.version.as_of}) on {self.as_of}"
        said = f"{word} {of}: {'; '.join(against) or 'nothing that was asked speaks against it'}."
        money = f", with {self.at_stake} at stake" if self.decided.at_stake_cents else ""
        if self.decided.subjects:
            said += f" Of {self.decided.subjects:,} there then and now {self.decided.changed:,} change action{money}."
        return f"{said} Not known yet: {'; '.join(unclear)}." if unclear else said


def watch(model: str, source_name: str, as_of: str, say: Callable[[str], None]) -> Watched:
    """As `look`, and logged."""
    for line in runs.reap():
        say(f"found: {line}")
    done = look(model, source_name, as_of, say)
    _log(done, kind_of(model))
    return done


def look(model: str, source_name: str, as_of: str, say: Callable[[str], None]) -> Watched:
    """Ask all of the champion of a source as of a day; but kept days, nothing is written. `say` hears of each step.

    Raises `Refused` as scoring does, where the champion was trained on another source, and where its test rows are
    gone; `Busy` as scoring does.
    """
    origin, kind = day(as_of, "as_of"), kind_of(model)
    with scoring(model, source_name):  # the days that are kept must not bring back who is erased meanwhile
        return _look(model, source_name, as_of, origin, kind, say)


def _look(model: str, source_name: str, as_of: str, origin: date, kind: Kind, say: Callable[[str], None]) -> Watched:
    say("1/4 checking the source and its contracts")
    source = open_source(source_name)
    check(source.tables, source.attributes)
    say("2/4 fetching the champion, by its sha256")
    version, champion = champion_for(model, source, origin, say)
    if version.source != source.name:
        raise Refused(
            f"A champion is watched on the source that it was trained on, {version.source}, but {source.name} has none "
            f"of its own. Train one: `crm retrain {model} --source {source.name} --as-of ...`."
        )
    run, limits = about.about(version.run_id), limits_of(model)
    say("3/4 comparing with training")
    with kept_days(source, origin, say) as days:
        asked = partial(kind.subjects, source, champion.about, days=days.tables)
        then, now, decided = _both_days(run, version, champion, kind, source, origin, asked)
        aged = growing(then.drop(columns=["score", "acting"]), now)
        columns = _columns(then, now, aged, limits)
        if len(columns):
            columns = drifting.beyond(columns, _usual(version, source, then, asked), limits["shift"])
    mild = [
        *_moved(columns, limits),
        _acted(then, now, kind, champion, limits),
        _age(version, origin, limits, "review"),
    ]
    say("4/4 looking at outcomes that have matured since")
    promised = Estimate(*(run.metrics.get(f"test/{kind.HEADLINE[0]}{end}", np.nan) for end in ("", "/low", "/high")))
    matured, checks = _matured(run, version, champion, kind, source, as_of, promised, limits)
    grave = [*checks, _age(version, origin, limits, "oldest")]
    return Watched(
        model, version, as_of, source.label, source.simulated, then, now, columns, aged, decided,
        source.money(decided.at_stake_cents), promised, matured,
        grave, mild,
    )  # fmt: skip


def limits_of(model: str) -> Mapping[str, float]:
    """What parameters.yml holds every champion against, with what it says of this model in its place."""
    told = settings()
    return told["watch"] | told["models"][model].get("watch", {})


def _both_days(
    run: About, version: Version, champion: Model, kind: Kind, source: Source, origin: date, asked: Callable
):
    """The subjects of then and of now with what they were told, and what happens to those who are in both.

    asked  the subjects of a day
    """
    # whole again: what was joined column by column is slow to add to
    now, judged = asked(origin).copy(), champion
    if source.kind == "flat":
        then, judged = _judged(run, champion, kind, source)
        acting = then.score.to_numpy()
    else:
        then = asked(day(version.as_of, "as_of")).copy()
        then["score"] = acting = champion.predict(then)
    names = [name for name in keys_of(then.columns) if name != "origin"]
    read = [n for n in champion.columns if n in then.columns and n in now.columns]
    told = now[[*names, *read]].assign(score=judged.predict(now), acting=champion.predict(now)).set_index(names)
    then = then[[*names, *read, "score"]].assign(acting=acting).set_index(names)
    return then, told, _decided(then, told, kind, champion)


def _judged(run: About, champion: Model, kind: Kind, source: Source) -> tuple[pd.DataFrame, Model]:
    """The test rows with the scores that they were judged by, and the model that gave them."""
    rows, judged = evidence.read(run.run_id), champion
    with tempfile.TemporaryDirectory() as folder:
        if run.judged:
            about.fetch(run.run_id, "judged", Path(folder))
            judged = loaded(kind, Path(folder), f"run {run.run_id}")
    then = features_of(rows, kind.judged_on(source, champion.about, rows))
    return then.assign(score=rows.score.to_numpy()), judged


def _decided(then: pd.DataFrame, now: pd.DataFrame, kind: Kind, champion: Model) -> Decisions:
    both = then.index.intersection(now.index)
    old, new = (kind.selected(rows.loc[both, "acting"].to_numpy(), champion.about) for rows in (then, now))
    worth = getattr(kind, "worth", None)
    # of applications nobody is there on both days
    there = worth is not None and len(both)
    cents = worth(now.loc[both, "acting"].to_numpy(), champion.about) if there else np.zeros(len(both))
    return decisions(old, new, cents)


def _columns(then: pd.DataFrame, now: pd.DataFrame, aged: Sequence[str], limits: Mapping) -> pd.DataFrame:
    if min(len(then), len(now)) < FEWEST:
        return pd.DataFrame({"column": [], "psi": [], "p": [], "moved": []})
    left = [name for name in then.columns if name not in (*aged, "acting")]
    return drift(then[left], now[left], limits["shift"], 0)


def _usual(version: Version, source: Source, then: pd.DataFrame, asked: Callable[[date], pd.DataFrame]) -> pd.Series:
    """How far the columns varied from one day to another: the one the model was trained for, and some before it."""
    if source.kind == "flat":
        return drifting.varied([])
    last = day(version.as_of, "as_of")
    read = [name for name in then.columns if name not in ("score", "acting")]
    days = [then[read]]
    for before in reversed(Study(last, APART, EARLIER, APART).closed_origins):
        try:
            days.append(asked(before)[read])
        except Refused:  # nobody was there yet
            break
    return drifting.varied(days)


def _moved(columns: pd.DataFrame, limits: Mapping) -> list[Check]:
    """A row on the score, and one on the columns it is made of."""
    few = f"fewer than {FEWEST} subjects"
    what, limit = "the score's stability index", f"not surely above {limits['shift']:g}, beyond chance"
    if columns.empty:
        return [Check(name, limit, *(np.nan,) * 3, None, few) for name in (what, "columns that moved")]
    (score,) = columns[columns.column == "score"].itertuples()
    others = columns[columns.column != "score"]
    moved = others[others.moved]
    told = ", ".join(f"{row.column} {row.psi:.2f}" for row in moved.head(3).itertuples())
    return [
        Check(what, limit, score.psi, np.nan, np.nan, not score.moved),
        Check("columns that moved", "none", len(moved), np.nan, np.nan, moved.empty, told),
    ]


def _acted(then: pd.DataFrame, now: pd.DataFrame, kind: Kind, champion: Model, limits: Mapping) -> Check:
    old, new = (kind.selected(rows.acting.to_numpy(), champion.about) for rows in (then, now))
    return share_moved("the share acted on, now minus then", old, new, limits["changed"])


def _age(version: Version, origin: date, limits: Mapping, which: str) -> Check:
    days, most = (origin - day(version.as_of, "as_of")).days, limits[f"{which}_days"]
    what = {"review": "days without a review", "oldest": "days since training"}[which]
    return Check(what, f"at most {most}", days, np.nan, np.nan, days <= most)


def _matured(
    run: About, version: Version, champion: Model, kind: Kind, source: Source, as_of: str, promised: Estimate, limits
) -> tuple[Estimate | None, list[Check]]:
    """The headline measure at the latest origin whose outcomes are known, with the checks of it.

    The champion must not have seen them: the origin is no earlier than its as_of.
    """
    what = f"the fall of {kind.HEADLINE[1]} since it was judged"
    horizon = int(champion.about["horizon_days"])
    origin = Study.read(as_of, horizon, 1, 1).test_origin
    measured = getattr(kind, "measured", None)
    if source.kind == "flat" or measured is None:
        return None, []
    if f"{origin}" < version.as_of:
        why = f"outcomes of {horizon} days after {version.as_of}"
        return None, [Check(what, f"not surely above {limits['fall']:g}", *(np.nan,) * 3, None, why)]
    try:
        rows = _outcomes(run, version, source, as_of)
    except Refused as error:
        return None, [Check(what, f"not surely above {limits['fall']:g}", *(np.nan,) * 3, None, str(error))]
    rows = rows.assign(score=champion.predict(rows))
    found = measured(rows)
    total = off("the total, against what was foretold", rows.outcome, rows.score, limits["total"])
    return found, [fallen(what, promised, found, limits["fall"]), total]


def _outcomes(run: About, version: Version, source: Source, as_of: str) -> pd.DataFrame:
    """The rows of a training table of this day that the champion has not seen; raises `Refused` where there are few."""
    notebook = notebook_of(run.model)
    asked = {name: value for name, value in run.parameters.items() if name in declared(notebook)}
    asked |= {"as_of": as_of} | ({"origins": "1"} if "origins" in asked else {})
    table = training_of(run.model).training(source, complete(notebook, asked))
    rows = table[pd.to_datetime(table.origin) >= pd.Timestamp(version.as_of)].reset_index(drop=True)
    few = min(rows.outcome.sum(), len(rows) - rows.outcome.sum()) < 10
    if len(rows) < FEWEST or (rows.outcome.isin([0, 1]).all() and few):
        raise Refused(f"{len(rows):,} outcomes since, of which {rows.outcome.astype(bool).sum():,} happened")
    return rows


def _log(done: Watched, kind: Kind) -> None:
    import matplotlib

    from evaluation.gate import shown
    from pipelines.figures import save, still_right

    matplotlib.use("agg")
    ending = "-simulated" * done.simulated
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(still_right(done, kind.HEADLINE[1]), folder / "still_right.png")
        checks = shown([*done.grave, *done.mild])
        write_csv(checks, folder / f"checks{ending}.csv")
        write_csv(done.columns, folder / f"columns{ending}.csv")
        metrics = {
            "score/psi": float(done.columns.psi[done.columns.column == "score"].sum()),
            "columns/moved": float(done.columns.moved.sum()),
            "decisions/subjects": float(done.decided.subjects),
            "decisions/changed": float(done.decided.changed),
            "decisions/at_stake_cents": done.decided.at_stake_cents,
            "age_days": float((day(done.as_of, "as_of") - day(done.version.as_of, "as_of")).days),
        }
        for name, estimate in (("promised", done.promised), ("since", done.matured or (np.nan,) * 3)):
            metrics |= {f"{name}{end}": v for end, v in zip(watched.ENDS, estimate, strict=True)}
        found = Finding(
            model=done.model, version=str(done.version.number), as_of=done.as_of, verdict=done.verdict, said=done.said,
            measure=kind.HEADLINE[1], metrics=metrics, checks=checks, columns=done.columns,
        )  # fmt: skip
        watched.log(done.version, done.as_of, done.label, found, folder)
