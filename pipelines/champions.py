"""The champion of a source, loaded for a day: refused where it is not the ledger's, knows more, or reads others."""

import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from contracts.coverage import refuse_uncovered
from contracts.errors import Refused
from features.identity import differing
from pipelines.kinds import Model, kind_of
from pipelines.loading import loaded
from registry import ledger
from registry.versions import Version, fetch
from sources.source import Source


def champion_for(model: str, source: Source, origin: date, say: Callable[[str], None]) -> tuple[Version, Model]:
    """The version in use for a source, or the plain one, and its model; `say` hears of what was finished or borrowed.

    Raises `Refused` when there is no champion, when the ledger does not name it, when it knows more than `origin` did,
    when its features are not those of this code and source, or when the orders stop before; `WorldFailed` when its
    files are not those registered.
    """
    kind = kind_of(model)
    with tempfile.TemporaryDirectory() as folder:
        for line in ledger.finish_cut(model):
            say(f"found: {line}")
        version = fetch(model, source.name, Path(folder))
        ledger.refuse_unexplained(version)
        champion = loaded(kind, Path(folder), f"{model} version {version.number}")
    about = champion.about
    _refuse_other_features(champion, kind.columns(source), source, version)
    if about.get("simulated") and not source.simulated:
        raise Refused(
            f"Version {version.number} was trained on customers who do not live ({about['source']}), and those of "
            f"{source.name} do. Retrain on {source.name}."
        )
    if version.as_of > f"{origin}":
        raise Refused(
            f"The champion, version {version.number}, knows what was there before {version.as_of}, and {origin} is "
            f"earlier: it would know the future. Score a day from {version.as_of} on."
        )
    if "orders" in source.tables:
        refuse_uncovered(source.tables["orders"], origin, about["horizon_days"])
    if version.source != source.name:
        say(f"{source.name} has no champion of its own; this one was trained on {version.source}")
    return version, champion


def _refuse_other_features(champion: Model, found: Mapping[str, str], source: Source, version: Version) -> None:
    """The columns that the champion reads meant one thing when it was trained; here they must mean the same."""
    learnt = champion.about["features"]
    learnt = learnt if isinstance(learnt, Mapping) else {}  # one number for all of them, of a model of before
    if differ := differing(learnt, found, champion.columns):
        raise Refused(
            f"{version.model} version {version.number} must be given the columns that it was trained on, but those of "
            f"{source.name} differ ({'; '.join(differ)}): another source or changed code. Retrain on {source.name}, or "
            f"score the source that it was trained on."
        )
