"""The definition of a night, read strictly from the project's `pipelines/NAME.yml`: one for hand and all schedulers."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from contracts.errors import Refused
from contracts.places import root
from pipelines.parameters import settings

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KEYS = {"source": str, "models": list, "at": str, "again": dict, "keep_days": int, "steps": dict}
STEP_KEYS = {"run": str, "needs": list, "weekdays": list, "parameters": dict}
COMMANDS = ("check", "retrain", "score", "watch", "features", "compare", "fingerprint")


@dataclass(frozen=True)
class Step:
    """One command of a night.

    name      unique; that of the definition, with the model where there is one: `retrain churn`
    words     of the command line, after `crm`; {as_of} stands for the day
    needs     the steps that must have gone well, or not be due
    weekdays  of as_of on which it is due; empty is every day
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    weekdays: tuple[str, ...]

    def due(self, as_of: date) -> bool:
        """Whether it runs on that day."""
        return not self.weekdays or WEEKDAYS[as_of.weekday()] in self.weekdays

    def command(self, as_of: date) -> list[str]:
        """The words of the command line for a day."""
        return [word.replace("{as_of}", as_of.isoformat()) for word in self.words]


@dataclass(frozen=True)
class Night:
    """A definition: its steps in order, and what holds for all of them; `at` is the hour and minute, UTC."""

    name: str
    source: str
    models: tuple[str, ...]
    at: str
    times: int
    after_seconds: int
    keep_days: int
    steps: tuple[Step, ...]


def names() -> list[str]:
    """The definitions that there are."""
    return sorted(file.stem for file in (root() / "pipelines").glob("*.yml") if "steps" in (_parsed(file) or {}))


def night(name: str) -> Night:
    """A definition by its name; raises `Refused` with what is wrong in it."""
    file = root() / "pipelines" / f"{name}.yml"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not file.is_file() or name not in names():
        raise Refused(
            f"{name!r} is no definition of a night; there is {', '.join(names()) or 'none'}. Correct the name."
        )
    told = _parsed(file)
    _check(file.name, told, KEYS)
    again = told["again"]
    _check(f"{file.name}, again", again, {"times": int, "after_seconds": int})
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", told["at"]):
        raise Refused(f"{file.name}: at must be a time such as '03:00', but is {told['at']!r}. Correct it.")
    wrong = sorted({*told["models"]} - settings()["models"].keys())
    if wrong:
        raise Refused(f"{file.name}: models must be those of parameters.yml, but {', '.join(wrong)} is none.")
    steps = tuple(_steps(file.name, told))
    return Night(
        name,
        told["source"],
        tuple(told["models"]),
        told["at"],
        again["times"],
        again["after_seconds"],
        told["keep_days"],
        steps,
    )


def _parsed(file: Path):
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _check(where: str, told: Mapping, promised: Mapping[str, type]) -> None:
    for key in told:
        if key not in promised:
            near = difflib.get_close_matches(str(key), promised, 1)
            raise Refused(f"{where}: {key} is not known here{f'; did you mean {near[0]}?' if near else '.'}")
    for key, kind in promised.items():
        if key not in told and promised is not STEP_KEYS:
            raise Refused(f"{where}: {key} must be there, but is not. Add it.")
        if key in told and not isinstance(told[key], kind):
            raise Refused(f"{where}: {key} must be of the type {kind.__name__}, but is {told[key]!r}. Correct it.")


def _steps(where: str, told: Mapping) -> Iterator[Step]:
    """Every step, once a model where it names {model}; what it needs of another such step is that of its own model."""
    by_model = {name: "{model}" in str(step.get("run")) for name, step in told["steps"].items()}
    before: list[str] = []
    for name, step in told["steps"].items():
        at = f"{where}, {name}"
        _check(at, step, STEP_KEYS)
        if unknown := [need for need in step.get("needs", []) if need not in before]:
            raise Refused(f"{at}: needs must name steps above it, but {', '.join(unknown)} is none.")
        if unknown := [day for day in step.get("weekdays", []) if day not in WEEKDAYS]:
            raise Refused(f"{at}: weekdays are {', '.join(WEEKDAYS)}, but {', '.join(map(str, unknown))} is none.")
        words = step.get("run", "").split()
        if not words or words[0] not in COMMANDS:
            raise Refused(f"{at}: run must begin with one of {', '.join(COMMANDS)}, but is {step.get('run')!r}.")
        words += [word for n, value in step.get("parameters", {}).items() for word in ("-p", f"{n}={value}")]
        for model in told["models"] if by_model[name] else [""]:
            filled = (w.replace("{model}", model).replace("{source}", told["source"]) for w in words)
            needs = tuple(f"{n} {model}" if by_model[n] and model else n for n in step.get("needs", []))
            yield Step(f"{name} {model}".strip(), tuple(filled), needs, tuple(step.get("weekdays", [])))
        before.append(name)
