"""A model's files become a model: parsed as numbers, or refused as not ours with one reason; nothing of theirs is run.

The sha256 was compared before, so that what is refused here was registered so: by somebody who may write to the store.
"""

import json
from pathlib import Path
from typing import NoReturn

from contracts.errors import WorldFailed
from pipelines.kinds import Kind, Model

OURS = {".json", ".ubj", ".csv"}  # numbers, native boosters, tables of points


def loaded(kind: Kind, folder: Path, named: str) -> Model:
    """The model in a folder; raises `WorldFailed` where a file is none of ours, or is damaged.

    named  what the reader calls it, for the message
    """
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    if strange := [path.relative_to(folder).as_posix() for path in files if path.suffix not in OURS]:
        raise WorldFailed(
            f"The files of {named} must be {', '.join(sorted(OURS))}, but {len(strange)} are not, first "
            f"{strange[0][:80]!r}. Nothing of them was loaded. Restore them, or retrain."
        )
    try:
        for file in files:
            if file.suffix == ".json":
                json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
        return kind.load(folder)
    except Exception as error:  # whatever a parser says of bytes that are none of ours
        said = (str(error).splitlines() or [""])[0][:200]
        raise WorldFailed(
            f"The files of {named} must be a model as it was saved, but cannot be read as one: "
            f"{type(error).__name__}: {said}. Nothing was scored. Restore them, or retrain."
        ) from error


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
