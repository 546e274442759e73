"""Score every customer of a source at the start of a day with the champion. Looks at nothing from that day on."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import ibis

from contracts.coverage import refuse_uncovered
from contracts.errors import Refused
from contracts.places import data
from contracts.study import day
from contracts.tables import check
from decisions.scores import write_scores, write_table
from features.identity import differing
from pipelines.fingerprints import fingerprints
from pipelines.kinds import Model, kind_of
from registry import ledger, runs
from registry.fingerprint import table_fingerprint
from registry.versions import Version, fetch
from sources import open_source

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
    `WorldFailed` when the model's files are not those registered.
    """
    origin = day(as_of, "as_of")
    kind = kind_of(model)
    say("1/4 checking the source and its contracts")
    source = open_source(source_name)
    check(source.tables, source.attributes)
    with tempfile.TemporaryDirectory() as folder:
        say("2/4 fetching the champion, by its sha256")
        for line in ledger.finish_cut(model):
            say(f"found: {line}")
        version = fetch(model, source_name, Path(folder))
        ledger.refuse_unexplained(version)
        champion = kind.load(Path(folder))
    about = champion.about
    _refuse_other_features(champion, kind.columns(source), source, version)
    if about.get("simulated") and not source.simulated:
        raise Refused(
            f"Version {version.number} was trained on customers who do not live ({about['source']}), and those of "
            f"{source_name} do. Retrain on {source_name}."
        )
    if version.as_of > as_of:
        raise Refused(
            f"The champion, version {version.number}, knows what was there before {version.as_of}, and {as_of} is "
            f"earlier: it would know the future. Score a day from {version.as_of} on."
        )
    if "orders" in source.tables:
        refuse_uncovered(source.tables["orders"], origin, about["horizon_days"])
    if version.source != source_name:
        say(f"{source_name} has no champion of its own; this one was trained on {version.source}")
    say("3/4 building features")
    table = kind.subjects(source, about, origin)
    say(f"4/4 scoring {len(table):,} rows")
    rows = kind.scored(champion, table)
    written = {"model": model, "version": version.number, "run_id": version.key}
    written |= {"simulated": True} if source.simulated else {}
    path = write_scores(rows, source.label, origin, about["horizon_days"], written, data() / "scores")
    plan, decided = kind.decide(rows, table, about)
    planned = write_table(plan, source.label, origin, written, data() / "decisions")
    if version.source == source_name:
        runs.tag(version.run_id, {f"{SCORES}{as_of}": fingerprint_of_scores(path)})
    (found,) = fingerprints([str(path)], None)
    return Scored(path, len(rows), version, planned, decided, found.fingerprint)


def fingerprint_of_scores(file: Path) -> str:
    """Of a score file without the version's number and the run's key, which say who made a score and not what it is."""
    rows = ibis.duckdb.connect().read_parquet(file, hive_partitioning=False)
    return table_fingerprint(rows.drop("version", "run_id"))


def _refuse_other_features(champion: Model, found: Mapping[str, str], source, version: Version) -> None:
    """The columns that the champion reads meant one thing when it was trained; here they must mean the same."""
    learnt = champion.about["features"]
    learnt = learnt if isinstance(learnt, Mapping) else {}  # one number for all of them, of a model of before
    if differ := differing(learnt, found, champion.columns):
        raise Refused(
            f"{version.model} version {version.number} must be given the columns that it was trained on, but those of "
            f"{source.name} differ ({'; '.join(differ)}): another source or changed code. Retrain on {source.name}, or "
            f"score the source that it was trained on."
        )
