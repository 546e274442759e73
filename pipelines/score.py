"""Score every customer of a source at the start of a day with the champion. Looks at nothing from that day on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis

from contracts.places import data
from contracts.study import day
from contracts.tables import check
from decisions.scores import write_scores, write_table
from pipelines.champions import champion_for
from pipelines.days import kept_days
from pipelines.fingerprints import fingerprints
from pipelines.kinds import Kind, Model, kind_of
from pipelines.locking import scoring
from registry import runs
from registry.fingerprint import table_fingerprint
from registry.versions import Version
from sources import open_source
from sources.source import Source

SCORES = "crm.scores."  # the tag of a run, with a day: the fingerprint of what its model said on it


@dataclass(frozen=True)
class Scored:
    """Where the scores are, how many, the version that made them; where the plan is, and what it comes to in words.

    fingerprint  of the scores, as `crm fingerprint` gives it for the file
    """

    path: Path
    rows: int
    version: Version
    plan: Path
    decided: str
    fingerprint: str


def score(model: str, source_name: str, as_of: str, say: Callable[[str], None]) -> Scored:
    """Write the score table of `model` for the subjects of a source as known on `as_of`; `say` hears of each step.

    Raises `Refused` when there is no champion, when it knows more than that day did, when its features are not those
    of this code and source, when a contract is broken, when the orders stop before, or when nobody is there to score;
    `WorldFailed` when the model's files are not those registered, `SourceChanged` when the source was written to,
    `Busy` while a customer of the source is erased, or its features are written for longer than one waits.
    """
    origin, kind = day(as_of, "as_of"), kind_of(model)
    say("1/4 checking the source and its contracts")
    source = open_source(source_name)
    check(source.tables, source.attributes)
    say("2/4 fetching the champion, by its sha256")
    version, champion = champion_for(model, source, origin, say)
    with scoring(model, source_name):  # from the first customer's row that is read to the last that is written
        return _score(kind, source, origin, version, champion, say)


def _score(
    kind: Kind, source: Source, origin: date, version: Version, champion: Model, say: Callable[[str], None]
) -> Scored:
    about = champion.about
    say("3/4 building features")
    with kept_days(source, origin, say) as days:
        table = kind.subjects(source, about, origin, days.tables)
    say(f"4/4 scoring {len(table):,} rows")
    rows = kind.scored(champion, table)
    written = {"model": version.model, "version": version.number, "run_id": version.key}
    written |= {"simulated": True} if source.simulated else {}
    source.refuse_changed()
    path = write_scores(rows, source.label, origin, about["horizon_days"], written, data() / "scores")
    plan, decided = kind.decide(rows, table, about)
    explained = getattr(kind, "explained", None)
    plan = explained(champion, table, plan) if explained else plan
    planned = write_table(plan, source.label, origin, written, data() / "decisions")
    if version.source == source.name:
        runs.tag(version.run_id, {f"{SCORES}{origin}": fingerprint_of_scores(path)})
    (found,) = fingerprints([str(path)], None)
    return Scored(path, len(rows), version, planned, decided, found.fingerprint)


def fingerprint_of_scores(file: Path) -> str:
    """Of a score file without the version's number and the run's key, which say who made a score and not what it is."""
    rows = ibis.duckdb.connect().read_parquet(file, hive_partitioning=False)
    return table_fingerprint(rows.drop("version", "run_id"))
