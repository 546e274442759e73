"""What of older nights is kept, and what all of it takes up: both settings of a definition that bound it."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from contracts.places import data, mlruns
from pipelines.days import folder as features_of
from pipelines.endings import ending_of
from pipelines.nights import state as states
from pipelines.nights.definition import Night
from pipelines.retrain import locked

PARTS = {
    "scores and plans": ("data/scores", "data/decisions"),
    "logs and reports of nights": ("mlruns/nights",),
    "pages of notebooks": ("mlruns/notebooks",),
    "artifacts of runs": ("mlruns/artifacts",),
    "test rows of runs": ("data/evidence", "data/comparisons"),
    "day tables and features": ("data/features",),
    "the store": ("mlruns/mlflow.db",),
}


def sweep(night: Night, as_of: date) -> Iterator[str]:
    """Remove what is older than the definition keeps, counted from the day that is run; a line each.

    That is the folders of nights, and of this source's models the scores, plans, features and pages by day: all that
    a later command makes again, so that it goes before a night, which may need the room.
    """
    first = as_of - timedelta(days=night.keep_days)
    for day in states.days(night.name):
        if day < first:
            shutil.rmtree(states.place(night.name, day))
            yield f"night of {day} removed, {night.keep_days} days and more before {as_of}"
    old = [file for file in _by_day(night) if _day_of(file) < first.isoformat()]
    for file in old:
        file.unlink()
        with suppress(OSError):  # of another source there may be more
            file.parent.rmdir()
    if old:
        yield f"{len(old)} score tables, plans, features and pages of days before {first} removed"


def sweep_runs(night: Night, as_of: date) -> Iterator[str]:
    """Remove the runs that are older than the definition keeps, with their versions; a line a model.

    Never one that is in use, challenges, or can be gone back to: `registry.keeping`.
    """
    from registry.keeping import remove_runs

    if night.keep_runs_days is None:
        return
    first = as_of - timedelta(days=night.keep_runs_days)
    for model in night.models:
        try:
            with locked(model, night.source):
                done = remove_runs(model, night.source, first)
        except Exception as error:
            if not ending_of(error).again:
                raise
            yield f"runs of {model} before {first} are left until the next night: {ending_of(error).meaning}"
            continue
        if done.runs:
            named = f", with {_versions(done.versions)}" if done.versions else ""
            yield f"{done.runs} run{'s' * (done.runs != 1)} of {model} of days before {first} removed{named}"


def _versions(numbers) -> str:
    return f"version{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def labels(source: str) -> tuple[str, str]:
    """What a source is called by all that is made of it: by its name, or, where nobody lives, with the word."""
    return source, f"{source}-simulated"


def table_of(kind: str, model: str, as_of: str, source: str) -> Path | None:
    """The file of a source's scores or decisions of a day, where there is one."""
    folder = data() / kind / f"model={model}" / f"as_of={as_of}"
    return next((file for label in labels(source) if (file := folder / f"{label}.parquet").exists()), None)


def pages(model: str, as_of: str, source: str) -> list[Path]:
    """The pages and notebooks of a model of a day; `as_of` may be a pattern of days."""
    place = mlruns() / "notebooks"
    return sorted(file for label in labels(source) for file in place.glob(f"[0-9]*_{model}-{label}-{as_of}.*"))


def _by_day(night: Night) -> list[Path]:
    """The files of a night's source and models that are called by a day."""
    folders = [data() / kind / f"model={model}" for kind in ("scores", "decisions") for model in night.models]
    names = [f"as_of=*/{label}.parquet" for label in labels(night.source)]
    found = [file for folder in folders for name in names for file in folder.glob(name)]
    found += features_of(night.source).glob("as_of=*/features.parquet")
    return found + [file for model in night.models for file in pages(model, "????-??-??", night.source)]


def _day_of(file: Path) -> str:
    folder = file.parent.name
    return folder.partition("=")[2] if "=" in folder else file.stem[-10:]


def taken() -> dict[str, int]:
    """Bytes of all that runs and nights have written, by part; raw tables are not among them."""
    home = data().parent
    return {part: sum(_bytes(home / place) for place in places) for part, places in PARTS.items()}


def _bytes(place: Path) -> int:
    files = place.rglob("*") if place.is_dir() else [place]
    return sum(file.lstat().st_size for file in files if file.is_file())
