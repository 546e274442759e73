"""Who made which version the champion, when, why, and on what evidence: for each model a chain of rows that only grows.

A row is a run of the experiment `ledger`, so that it lives in any tracking store, travels with it, and is seen in its
pages. All of it is given in the one call that creates the run. Each row holds the hash of the row before, and the
registered model that of the last: a row that is changed, taken out, put in or moved breaks the chain, and the last one
taken off is missed by the model. Whoever can write to the store can forge all of it anew; this guards against slips and
quiet edits, not against the owner of the disk.

The ledger is the truth and aliases follow it. A promotion writes the row, then the head, then moves the alias; one that
was cut in between is finished by the next start (`finish_cut`), which moves no alias that a person has moved elsewhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from filelock import FileLock

from contracts.errors import ClockJumped, Refused
from contracts.places import mlruns
from registry import about, versions
from registry.fingerprint import digest
from registry.store import LEDGER, client, exists, experiment
from registry.versions import CHAMPION, Version
from registry.views import keep_ledger_view

PROMOTED, REFUSED, ROLLED_BACK = "promoted", "refused", "rolled back"
MOVES = (PROMOTED, ROLLED_BACK)
HEAD = "crm.ledger_head"
SLACK = timedelta(minutes=1)  # what clocks of two machines, or one that is corrected, may differ by


@dataclass(frozen=True)
class Row:
    """One row. Versions are numbers as text, empty where there is none; `moved_from` is the champion before.

    gate, fingerprints  JSON: the checks of the version's run, and what it was trained and tested on
    sha256              of the version's files
    before              hash of the row before, empty for the first
    """

    number: int
    when: str
    who: str
    event: str
    model: str
    source: str
    alias: str
    moved_from: str
    to: str
    why: str
    gate: str
    fingerprints: str
    sha256: str
    before: str
    hash: str = ""

    def hashed(self) -> str:
        """The sha256 over all of the row but its own hash."""
        return digest({name: value for name, value in asdict(self).items() if name != "hash"})


@dataclass(frozen=True)
class _Kept:
    """A row as it stands in the store."""

    row: Row
    run_id: str
    deleted: bool
    closed: bool


def promote(version: Version, by: str, reason: str) -> Row:
    """Make a version the champion of its source; raises `Refused` without a reason."""
    with held():
        return _move(PROMOTED, version, by, reason)


def refuse(version: Version, by: str, reason: str) -> Row:
    """Write down that a version was not made champion, and why."""
    with held():
        return _append(REFUSED, version, by, reason)


def rollback(model: str, source: str, by: str, reason: str) -> Row:
    """Make the champion before the present one the champion again; done twice, it goes back by two.

    Raises `Refused` where there was none before.
    """
    with held():
        line = _line(rows(model), versions.alias_of(model, CHAMPION, source))
        if len(line) < 2:
            raise Refused(
                f"{model} on {source} must have had two champions to go back, but had {len(line)}. `crm ledger "
                f"{model}` lists them; `crm promote` makes another version the champion."
            )
        return _move(ROLLED_BACK, versions.numbered(model, line[-2]), by, reason)


def rows(model: str) -> list[Row]:
    """The rows of a model in order, oldest first."""
    return [kept.row for kept in _read(model) if not kept.deleted]


def models() -> list[str]:
    """The models that have rows, or remember that they had."""
    if not exists():
        return []
    remembered = [found.name for found in client().search_registered_models() if HEAD in found.tags]
    return sorted({*remembered, *(run.data.tags.get("crm.ledger.model", "") for run in _runs())} - {""})


def champion(model: str, source: str) -> str:
    """The number of the version that the ledger put in use for a source, empty where there is none."""
    line = _line(rows(model), versions.alias_of(model, CHAMPION, source))
    return line[-1] if line else ""


def reachable(model: str, back: int) -> set[str]:
    """The numbers of the versions that the last rows are about: of each alias what its last move went from and to, and
    the champions that so many rollbacks would go back to.
    """
    found = rows(model)
    numbers: set[str] = set()
    for alias in {row.alias for row in found}:
        last = [row for row in found if row.alias == alias and row.event in MOVES][-1:]
        numbers |= {number for row in last for number in (row.moved_from, row.to)}
        numbers |= {*_line(found, alias)[-1 - back :]}
    return numbers - {""}


def rolled_back(version: Version) -> Row | None:
    """The row that took this version back, if it is the last word on it."""
    moves = [row for row in rows(version.model) if row.event in MOVES and row.source == version.source]
    of_it = [row for row in moves if str(version.number) in (row.to, row.moved_from)]
    last = of_it[-1] if of_it else None
    return last if last and last.event == ROLLED_BACK and last.moved_from == str(version.number) else None


def finish_cut(model: str) -> list[str]:
    """Finish what a kill cut between row, head and alias; what was done, a line each.

    Only an alias that stands where the last row moved it from is moved: any other was moved by hand.
    """
    if not exists():
        return []
    with held():
        found = _read(model)
        for kept in (kept for kept in found if not kept.closed and not kept.deleted):
            client().set_terminated(kept.run_id, "FINISHED")
        if not found or found[-1].deleted:
            return []
        last = found[-1].row
        if _head(model) == last.before:
            _set_head(last)
        return _finish_aliases([kept.row for kept in found])


def refuse_unexplained(version: Version) -> None:
    """Raises `Refused` when a champion is not what the ledger put there: another version, or another model under it.

    The row that put it there must be as it was written; whether all others are, `verify` says.
    """
    put = champion(version.model, version.source)
    if put == str(version.number):
        _refuse_another(version)
        return
    told = f"its last row put version {put} there" if put else "no row of it put any version there"
    raise Refused(
        f"{version.model}: the champion must be the version that the ledger names, but the alias is at version "
        f"{version.number} and {told}: it was moved past the ledger. Look at `crm ledger {version.model} --verify`, "
        f"then promote the version that ought to be there: `crm promote {version.model} NUMBER --reason ...`."
    )


def _refuse_another(version: Version) -> None:
    """Raises `Refused` where the last row that made a version champion was changed, or approved other files."""
    rows_of_it = [row for row in rows(version.model) if (row.source, row.to) == (version.source, str(version.number))]
    row = [row for row in rows_of_it if row.event in MOVES][-1]
    at = f"{version.model} version {version.number}: row {row.number} of the ledger, which made it champion,"
    todo = f"Look at `crm ledger {version.model} --verify`; a person may promote it anew."
    if row.hash != row.hashed():
        raise Refused(
            f"{at} must be as it was written, but was changed since: its content no longer has its hash. {todo}"
        )
    if row.sha256 != version.sha256:
        raise Refused(
            f"{at} approved the files of sha256 {row.sha256[:12]}..., but the version now stands for "
            f"{version.sha256[:12]}...: another model was put under its number. {todo}"
        )


def verify(model: str) -> list[str]:
    """What is wrong with the rows of a model, or with its aliases, a sentence each; nothing where all is well."""
    wrong, before, expected = [], "", 1
    found = _read(model)
    for kept in found:
        row = kept.row
        at = f"Row {row.number} ({row.event} version {row.to}, {row.when})"
        if row.hash != row.hashed():
            wrong.append(f"{at} was changed after it was written: its content no longer has its hash.")
        if row.number > expected:
            wrong.append(f"{at} ought to be row {expected}: rows before it are gone.")
        elif row.number < expected:
            wrong.append(f"{at} is there twice: one was put in.")
        elif row.before != before:
            wrong.append(f"{at} does not follow the row before it: that one was changed, or put in its place.")
        if kept.deleted:
            wrong.append(f"{at} was deleted in the tracking store.")
        before, expected = row.hash, row.number + 1
    head = _head(model)
    if head != before:
        wrong.append(
            f"The model remembers {f'row {head[:12]}' if head else 'no row'} as the last one, but that is "
            f"{f'row {before[:12]}' if before else 'none'}: rows were taken off the end, changed or put in."
        )
    return wrong + _wrong_aliases(model, [kept.row for kept in found])


def _finish_aliases(found: Sequence[Row]) -> list[str]:
    done = []
    for alias, source in dict.fromkeys((row.alias, row.source) for row in found):
        moves = [row for row in found if row.alias == alias and row.event in MOVES]
        if not moves or _at(moves[-1].model, alias) == moves[-1].to:
            continue
        if _at(moves[-1].model, alias) == moves[-1].moved_from:
            client().set_registered_model_alias(moves[-1].model, alias, moves[-1].to)
            done.append(
                f"row {moves[-1].number} of the ledger was cut short: the champion on {source} now is version "
                f"{moves[-1].to}"
            )
    return done


def _wrong_aliases(model: str, found: Sequence[Row]) -> list[str]:
    wrong = []
    for alias in dict.fromkeys(row.alias for row in found):
        line, at = _line(found, alias), _at(model, alias)
        if (line[-1] if line else "") != at:
            stands, put = (f"at version {number}" if number else "nowhere" for number in (at, *(line[-1:] or [""])))
            wrong.append(f"The alias {alias} is {stands}, but the ledger put it {put}.")
    return wrong


def _line(found: Sequence[Row], alias: str) -> list[str]:
    """The champions of an alias that a rollback can go back through, the present one last."""
    line: list[str] = []
    for row in found:
        if row.alias == alias and row.event == PROMOTED:
            line.append(row.to)
        elif row.alias == alias and row.event == ROLLED_BACK and line:
            line.pop()
    return line


def _move(event: str, version: Version, by: str, reason: str) -> Row:
    row = _append(event, version, by, reason)
    client().set_registered_model_alias(row.model, row.alias, row.to)
    return row


def _append(event: str, version: Version, by: str, reason: str) -> Row:
    if not reason.strip():
        raise Refused("A row of the ledger needs a reason: what a reviewer will ask in a year. Give --reason.")
    found = rows(version.model)
    last = found[-1] if found else None
    now = datetime.now(UTC)
    if last and now + SLACK < datetime.fromisoformat(last.when):
        raise ClockJumped(
            f"The last row of the ledger of {version.model} is of {last.when}, but the clock says "
            f"{now.isoformat(timespec='seconds')}: it was set back, or was ahead then. Set it, then run this again."
        )
    alias = versions.alias_of(version.model, CHAMPION, version.source)
    line = _line(found, alias)
    row = Row(
        number=last.number + 1 if last else 1,
        when=now.isoformat(timespec="seconds"),
        who=by,
        event=event,
        model=version.model,
        source=version.source,
        alias=alias,
        moved_from=line[-1] if line else "",
        to=str(version.number),
        why=reason.strip(),
        gate=json.dumps(about.gate(version.run_id)),
        fingerprints=json.dumps(about.fingerprints(version.run_id), sort_keys=True),
        sha256=version.sha256,
        before=last.hash if last else "",
    )
    row = replace(row, hash=row.hashed())
    _write(row)
    _set_head(row)
    return row


def _write(row: Row) -> None:
    tags = {f"crm.ledger.{name}": str(value) for name, value in asdict(row).items()}
    named = f"{row.model} {row.number}: version {row.to} {row.event}"
    said = f"{row.who}, {row.when}: {row.why}"
    tags |= {"mlflow.note.content": said, "mlflow.user": row.who, "mlflow.runName": named}
    made = client().create_run(experiment(LEDGER), tags=tags, run_name=named)
    client().set_terminated(made.info.run_id, "FINISHED")
    keep_ledger_view()


def _set_head(row: Row) -> None:
    client().set_registered_model_tag(row.model, HEAD, row.hash)


def _head(model: str) -> str:
    """The hash of the last row as the registered model remembers it, empty where it remembers none."""
    found = [m for m in client().search_registered_models(f"name = '{model}'") if m.name == model]
    return found[0].tags.get(HEAD, "") if found else ""


def _at(model: str, alias: str) -> str:
    present = versions.holder(model, alias)
    return str(present.number) if present else ""


def _read(model: str) -> list[_Kept]:
    """Every row of a model, also those deleted in the store, in order of number and then of writing."""
    if not exists():
        return []
    found = [
        _Kept(_row(run.data.tags), run.info.run_id, run.info.lifecycle_stage != "active", run.info.status == "FINISHED")
        for run in _runs()
        if run.data.tags.get("crm.ledger.model") == model
    ]
    return sorted(found, key=lambda kept: (kept.row.number, kept.row.when))


def _runs() -> list:
    from mlflow.entities import ViewType

    kept = client().get_experiment_by_name(LEDGER)
    found, token = [], None
    while kept is not None:
        page = client().search_runs([kept.experiment_id], "", ViewType.ALL, page_token=token)
        found, token = found + list(page), page.token
        if not token:
            break
    return found


def _row(tags: Mapping[str, str]) -> Row:
    told = {name: tags.get(f"crm.ledger.{name}", "") for name in Row.__dataclass_fields__}
    return Row(**{**told, "number": int(told["number"]) if told["number"].isdigit() else 0})


def held() -> FileLock:
    """The lock under which rows are written: while it is held, nobody is promoted."""
    folder = mlruns() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "ledger.lock", timeout=60)
