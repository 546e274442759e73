"""`crm forget`: a person taken out of all that the project keeps, and what stays of her and why.

Everything that was made of her rows goes first and her rows last, each file whole or as it was: an erasure that was cut
is begun again with the same words. Nobody may train, score, watch or write features of the source meanwhile.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.erasing import LEAST, TEXTS, has_rows, parquet_without, text_without
from contracts.errors import Refused
from contracts.files import sweep
from contracts.places import data, mlruns
from pipelines.console import stamp
from pipelines.days import folder as features_of
from pipelines.days import locked as features_locked
from pipelines.locking import erasing as scoring_barred
from pipelines.parameters import settings
from pipelines.retrain import locked as model_locked
from pipelines.retrain import swept
from registry import erasing
from sources.erasing import Person, erase_raw, person, raw_rows

TABLES = ("scores", "decisions", "comparisons")


@dataclass(frozen=True)
class Forgotten:
    """What was erased, a sentence each; what stays and why; and the files in which her id still stands."""

    erased: Sequence[str]
    remains: Sequence[str]
    found: Sequence[str]


def forget(customer: str, source: str, say: Callable[[str], None]) -> Forgotten:
    """Erase a customer of a source; `say` hears of each step.

    Raises `Refused` for an id that neither the source nor anything made of it knows, `Busy` while something runs that
    could write of her.
    """
    one = person(source, customer)
    with _alone(source):
        say("1/5 looking for her")
        for model in settings()["models"]:
            swept(model, source)
        for folder in (data(), mlruns()):
            sweep(folder)
        rows = raw_rows(one)
        if not rows and not _named(one) and not any(has_rows(file, one.ids) for file in _of(one)):
            raise Refused(
                f"{customer!r} must be a customer of {source}, but neither its tables nor anything made of them names "
                f"one. Give the id as the source writes it."
            )
        today = stamp()[:10]  # for a reader of the run
        say("2/5 scores, plans, comparisons, features")
        erased = [*_tables(one), *_features(one.source)]
        say("3/5 evidence of the runs")
        evidence = erasing.erase_evidence(source, one.ids, today)
        digests = erasing.erase_digests(source, today)
        erased += _said((evidence, "test rows of runs"), (digests, "digests of raw rows of runs"))
        say("4/5 notebooks, pages, logs, notes")
        texts = sum(text_without(file, one.words) for file in _texts())
        erased += _said((texts, "mentions in notebooks, pages, logs and reports"))
        erased += _said((erasing.erase_notes(one.words), "mentions in the store"))
        erasing.compact()
        say("5/5 her rows in the source")
        removed = erase_raw(one)
        erased += _said(*((count, f"rows of {name}") for name, count in removed.items()))
        remains = [*one.kept, *erasing.remaining(source, one.words)]
        remains.append("copies that were taken out of the project: backups, exported lists, mails. Remove her there")
        return Forgotten(erased, remains, _named(one))


@contextmanager
def _alone(source: str) -> Iterator[None]:
    """The locks of all that writes of customers, held together; raises `Busy`."""
    with ExitStack() as held:
        for model in settings()["models"]:
            held.enter_context(model_locked(model, source))
            held.enter_context(scoring_barred(model, source))
        held.enter_context(features_locked(features_of(source)))
        yield


def _tables(one: Person) -> Iterator[str]:
    """Her rows in the tables of the source: files are called by it, or by their run."""
    for kind in TABLES:
        count = sum(parquet_without(file, one.ids) for file in _of(one) if kind in file.parts)
        yield from _said((count, f"rows of {kind}"))


def _of(one: Person) -> list[Path]:
    files = [file for kind in TABLES for file in sorted((data() / kind).rglob("*.parquet"))]
    own = (one.source, f"{one.source}-simulated", *erasing.runs_of(one.source))
    return [file for file in files if file.stem in own]


def _features(source: str) -> Iterator[str]:
    """Day tables and feature files of the source: they are made anew from what is left."""
    made = [place for place in sorted(features_of(source).glob("*")) if place.is_dir()]
    for place in made:
        shutil.rmtree(place)
    yield from _said((len(made), "folders of features, which the next run makes anew"))


def _texts() -> list[Path]:
    """Every file of text that runs wrote; that of a model is numbers, and is left as it was registered."""
    found = (file for file in sorted(mlruns().rglob("*")) if file.suffix in TEXTS and file.is_file())
    return [file for file in found if not {"model", "judged"} & {*file.relative_to(mlruns()).parts}]


def _named(one: Person) -> list[str]:
    """The files of data/ and mlruns/ in which one of her ids stands, byte for byte; short ids stand in too many."""
    words = [word.encode() for word in one.words if len(word) >= LEAST]
    places = [file for folder in (data(), mlruns()) for file in sorted(folder.rglob("*")) if file.is_file()]
    return [f"{file}" for file in places if words and _holds(file, words)]


def _holds(file: Path, words: Sequence[bytes]) -> bool:
    longest, before = max(map(len, words)), b""
    with open(file, "rb") as content:
        while block := content.read(1 << 22):
            if any(word in before + block for word in words):
                return True
            before = block[-longest:]
    return False


def _said(*counts: tuple[int, str]) -> list[str]:
    return [f"{count:,} {what}" for count, what in counts if count]
