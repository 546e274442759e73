"""The definition of a night, read strictly from the project's `pipelines/NAME.yml`: one for hand and all schedulers."""

import calendar
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
FIRST = "first "  # before a weekday: the first such one of a month
KEYS = {"source": str, "models": list, "at": str, "again": dict, "keep_days": int, "steps": dict}
STEP_KEYS = {"run": str, "needs": list, "weekdays": list, "parameters": dict}
MAIL, VARIABLE = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+"), re.compile(r"[A-Z][A-Z0-9_]*")
MOST, LARGEST = 36_500, 64 * 1024  # of a number; bytes of a definition
COMMANDS = ("check", "retrain", "score", "watch", "features", "compare", "fingerprint")


@dataclass(frozen=True)
class Step:
    """One command of a night.

    name      unique; that of the definition, with the model where there is one: `retrain churn`
    words     of the command line, after `crm`; {as_of} stands for the day
    needs     the steps that must have gone well, or not be due
    weekdays  of as_of on which it is due, `mon`, or `first mon` of a month; empty is every day
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    weekdays: tuple[str, ...]

    def due(self, as_of: date) -> bool:
        """Whether it runs on that day."""
        name = WEEKDAYS[as_of.weekday()]
        return not self.weekdays or name in self.weekdays or (as_of.day <= 7 and FIRST + name in self.weekdays)

    @property
    def days(self) -> str:
        """Its weekdays in words."""
        names = {name: calendar.day_name[k] for k, name in enumerate(WEEKDAYS)}
        firsts = {FIRST + name: f"the first {word} of a month" for name, word in names.items()}
        return ", ".join((names | firsts)[name] for name in self.weekdays) or "every day"

    def command(self, as_of: date) -> list[str]:
        """The words of the command line for a day."""
        return [word.replace("{as_of}", as_of.isoformat()) for word in self.words]


@dataclass(frozen=True)
class Tell:
    """Who hears how a night ended; nobody, unless told.

    mail, sender   addresses, and whom it is from
    smtp_from      the environment variable that holds the mail server, a URL of smtps
    webhook_from   the one that holds an https address, which is sent {"text": ...}
    """

    mail: tuple[str, ...] = ()
    sender: str = ""
    smtp_from: str = ""
    webhook_from: str = ""


@dataclass(frozen=True)
class Night:
    """A definition: its steps in order, and what holds for all of them.

    at              the hour and minute, UTC
    keep_days       how long scores, plans, pages, logs and reports stay; keep_runs_days: runs and their versions, for
                    ever where it is None. Both are counted back from as_of
    """

    name: str
    source: str
    models: tuple[str, ...]
    at: str
    times: int
    after_seconds: int
    keep_days: int
    steps: tuple[Step, ...]
    tell: Tell = Tell()
    keep_runs_days: int | None = None


def names() -> list[str]:
    """The definitions that there are."""
    return sorted(file.stem for file in (root() / "pipelines").glob("*.yml") if _is_night(file))


def night(name: str) -> Night:
    """A definition by its name; raises `Refused` with what is wrong in it."""
    file = root() / "pipelines" / f"{name}.yml"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not file.is_file() or name not in names():
        raise Refused(
            f"{name!r} is no definition of a night; there is {', '.join(names()) or 'none'}. Correct the name."
        )
    told = _parsed(file)
    tell = _tell(f"{file.name}, tell", told.pop("tell", {}))
    _check(file.name, told, KEYS | {"keep_runs_days": int} if "keep_runs_days" in told else KEYS)
    again = told["again"]
    _check(f"{file.name}, again", again, {"times": int, "after_seconds": int})
    kept = {key: told[key] for key in ("keep_days", "keep_runs_days") if key in told}
    for key, value in (again | kept).items():
        if not 0 <= value <= MOST:
            raise Refused(f"{file.name}: {key} must lie between 0 and {MOST:,}, but is {value}. Correct it.")
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
        tell,
        told.get("keep_runs_days"),
    )


def _tell(where: str, told: object) -> Tell:
    """Whom to tell; raises `Refused` for what is no address or no name of a variable, which a secret is not."""
    kinds = {"mail": list, "sender": str, "smtp_from": str, "webhook_from": str}
    _check(where, told, kinds if not isinstance(told, dict) else {k: v for k, v in kinds.items() if k in told})
    wrong = [word for word in [*told.get("mail", []), told.get("sender", "a@b")] if not MAIL.fullmatch(word)]
    wrong += [told[key] for key in ("smtp_from", "webhook_from") if not VARIABLE.fullmatch(told.get(key, "X"))]
    if (
        wrong
        or bool(told.get("mail")) != bool(told.get("smtp_from"))
        or bool(told.get("mail")) != bool(told.get("sender"))
    ):
        raise Refused(
            f"{where}: mail, sender and smtp_from go together, the first two of them addresses; smtp_from and "
            f"webhook_from name environment variables, in which the secrets stand. Correct them."
        )
    return Tell(tuple(told.get("mail", ())), *(told.get(key, "") for key in ("sender", "smtp_from", "webhook_from")))


class _Strict(yaml.SafeLoader):
    """No key twice, of which the last would count, and no anchors, which can grow a small file without end."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an anchor is used (*), which a definition must not do")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.YAMLError(f"{twice} stands twice")
        return super().construct_mapping(node, deep)


def _is_night(file: Path) -> bool:
    """Whether it has steps; one that cannot be read may be, and says so when it is asked for."""
    try:
        return "steps" in _parsed(file)
    except Refused:
        return True


def _parsed(file: Path) -> dict:
    try:
        if file.stat().st_size > LARGEST:
            raise yaml.YAMLError(f"it has more than {LARGEST // 1024} KiB")
        told = _Strict(file.read_text(encoding="utf-8")).get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # a date that is none, a list as a key
        said = (str(error).splitlines() or [""])[0][:200]
        raise Refused(f"{file.name} must be YAML, but cannot be read: {said}. Correct its spelling.") from error
    if not isinstance(told, dict):
        raise Refused(f"{file.name} must hold keys with values, but holds none. Correct it.")
    return told


def _check(where: str, told: object, promised: Mapping[str, type]) -> None:
    if not isinstance(told, dict):
        raise Refused(f"{where}: keys with values must stand here, but {str(told)[:60]!r} does. Correct it.")
    for key in told:
        if key not in promised:
            near = difflib.get_close_matches(str(key), promised, 1)
            raise Refused(f"{where}: {key} is not known here{f'; did you mean {near[0]}?' if near else '.'}")
    for key, kind in promised.items():
        if key not in told and promised is not STEP_KEYS:
            raise Refused(f"{where}: {key} must be there, but is not. Add it.")
        if key in told and (not isinstance(told[key], kind) or isinstance(told[key], bool)):
            shown = repr(told[key])[:60]
            raise Refused(f"{where}: {key} must be of the type {kind.__name__}, but is {shown}. Correct it.")
        if kind is list and (strange := [each for each in told.get(key, []) if not isinstance(each, str)]):
            raise Refused(f"{where}: {key} must list words, but {repr(strange[0])[:60]} is none. Correct it.")


def _steps(where: str, told: Mapping) -> Iterator[Step]:
    """Every step, once a model where it names {model}; what it needs of another such step is that of its own model."""
    for name in told["steps"]:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", str(name)):  # it names a file
            raise Refused(f"{where}: a step's name must be of small letters, but is {str(name)[:60]!r}. Rename it.")
        _check(f"{where}, {name}", told["steps"][name], STEP_KEYS)
    by_model = {name: "{model}" in str(step.get("run")) for name, step in told["steps"].items()}
    before: list[str] = []
    for name, step in told["steps"].items():
        at = f"{where}, {name}"
        if unknown := [need for need in step.get("needs", []) if need not in before]:
            raise Refused(f"{at}: needs must name steps above it, but {', '.join(unknown)} is none.")
        if unknown := [day for day in step.get("weekdays", []) if day.removeprefix(FIRST) not in WEEKDAYS]:
            raise Refused(
                f"{at}: weekdays are {', '.join(WEEKDAYS)}, or such as 'first mon' of a month, but "
                f"{', '.join(map(str, unknown))} is none."
            )
        words = step.get("run", "").split()
        if not words or words[0] not in COMMANDS:
            raise Refused(f"{at}: run must begin with one of {', '.join(COMMANDS)}, but is {step.get('run')!r}.")
        words += [word for n, value in step.get("parameters", {}).items() for word in ("-p", f"{n}={value}")]
        for model in told["models"] if by_model[name] else [""]:
            filled = (w.replace("{model}", model).replace("{source}", told["source"]) for w in words)
            needs = tuple(f"{n} {model}" if by_model[n] and model else n for n in step.get("needs", []))
            yield Step(f"{name} {model}".strip(), tuple(filled), needs, tuple(step.get("weekdays", [])))
        before.append(name)
