"""Strict parameters: a name or a type that the notebook does not declare stops the run before a kernel starts.

A notebook declares its parameters as literals in the cell tagged `parameters`; the literal's type is the type.
"""

import ast
import difflib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

import sources
from contracts.errors import Refused
from contracts.places import root
from contracts.study import day

SETTINGS = Path(__file__).with_name("parameters.yml")
NUMBER = {int: r"[+-]?[0-9]+", float: r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"}
LONGEST = 1000  # characters of a text
# a parameter is written into the executed notebook twice: an address with a password, a key, a token must not be one
SECRET = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|-----BEGIN |\b(AKIA|ghp_|xox[bp]-|sk-|eyJ)[A-Za-z0-9_-]{8,}|\bBearer\s+\S+"
    r"|(password|passwd|pwd|secret|token|api_?key)\s*[=:]\s*\S+",
    re.IGNORECASE,
)
CONTROL = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def settings() -> dict:
    """The content of parameters.yml."""
    return yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))


def notebook_of(model: str) -> Path:
    """The notebook that trains a model; raises `Refused` for a model that there is none for."""
    models = settings()["models"]
    if model not in models:
        raise Refused(f"{model!r} is no model; there are {', '.join(sorted(models))}.{_near(model, models)}")
    return root() / "notebooks" / f"{models[model]['notebook']}.ipynb"


def declared(notebook: Path) -> dict:
    """A notebook's parameters with their defaults; raises `Refused` where the cell is more than literals."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise Refused(f"{notebook.name} must have one cell tagged 'parameters', but has {len(tagged)}. Tag one.")
    found = {}
    for line in ast.parse("".join(tagged[0]["source"])).body:
        try:
            (target,) = line.targets
            found[target.id] = ast.literal_eval(line.value)
        except (AttributeError, ValueError) as error:
            raise Refused(
                f"{notebook.name}: the cell tagged 'parameters' must hold only lines `name = literal`, but line "
                f"{line.lineno} is {ast.unparse(line)!r}. Move it to a cell of its own."
            ) from error
    return found


def complete(notebook: Path, asked: Mapping[str, object]) -> dict:
    """Every parameter of the notebook, with what was asked for in place of the defaults.

    Text is read as the declared type, since a command line has nothing else. Raises one `Refused` that lists every
    name that is not declared and every value that is of another type or out of its limits, holds characters that nobody
    sees, or looks like a secret, which is not shown.
    """
    defaults, limits = declared(notebook), settings()["limits"]
    wrong, values = [], dict(defaults)
    for name, value in asked.items():
        if name not in defaults:
            wrong.append(f"{notebook.name} declares no parameter {str(name)[:60]!r}.{_near(name, defaults)}")
            continue
        try:
            _refuse_text(value)
            values[name] = _within(name, _as_type(value, type(defaults[name])), limits.get(name))
        except ValueError as error:
            wrong.append(f"{name} {error}")
    try:
        day(values["as_of"], "as_of")
    except Refused as error:
        wrong.append(str(error))
    if wrong:
        raise Refused("\n".join([*wrong, f"It declares {', '.join(defaults)}. Nothing was run."]))
    return values


def _refuse_text(value) -> None:
    """Raises ValueError for text that must not be written into a notebook."""
    if not isinstance(value, str):
        return
    if SECRET.search(value):
        raise ValueError(
            "looks like a secret, and a parameter is written into the notebook. Put it into an environment variable, "
            "and name that in the source's yml (url_from, key_from)."
        )
    if len(value) > LONGEST or CONTROL.search(value):
        raise ValueError(f"must be at most {LONGEST:,} characters that one can see, but is {value[:40]!r}.")


def refuse_parameters(model: str, asked: Mapping[str, object], had: Collection[str]) -> None:
    """Raises `Refused` for a name that a run of the model did not have, and for a value that its notebook refuses.

    had  the names of the run's parameters; the notebook of then may have declared others than that of now
    """
    wrong = [f"The run has no parameter {name!r}.{_near(name, had)}" for name in asked if name not in had]
    if wrong:
        raise Refused("\n".join([*wrong, f"It has {', '.join(sorted(had))}. Nothing was run."]))
    now = declared(notebook_of(model))
    dated = {"as_of": "2000-01-01"}  # any day: the run's own is not asked for
    complete(notebook_of(model), {name: value for name, value in asked.items() if name in now} | dated)


def _as_type(value, kind: type):
    """`value` as the declared type, from that type or from text; raises ValueError with what was promised and found."""
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}[kind.__name__]
    problem = ValueError(f"must be {words}, but is {value!r}.")
    if isinstance(value, bool) and kind is not bool:
        raise problem
    if isinstance(value, kind) or (kind is float and isinstance(value, int)):
        return kind(value)
    if not isinstance(value, str):
        raise problem
    if kind is bool:
        if value not in ("true", "false"):
            raise problem
        return value == "true"
    if kind in NUMBER and not re.fullmatch(NUMBER[kind], value):
        raise problem
    return kind(value)


def _within(name: str, value, limit):
    if limit is None:
        return value
    if isinstance(limit[0], str):
        if value not in limit:
            raise ValueError(f"must be one of {', '.join(limit)}, but is {value!r}.{_near(value, limit)}")
    elif not limit[0] <= value <= limit[1]:
        raise ValueError(f"must lie between {limit[0]} and {limit[1]}, but is {value}.")
    return value


def for_source(model: str, source: str) -> dict:
    """The parameters that parameters.yml sets for a model on a source, and the source's yml for its columns."""
    told = (settings()["sources"] or {}).get(source, {}).get(model, {})
    said = sources.wishes(source) if "wishes" in declared(notebook_of(model)) else ""
    return ({"wishes": said} if said else {}) | told


def _near(word: str, words) -> str:
    near = difflib.get_close_matches(str(word), list(words), 1)
    return f" Did you mean {near[0]!r}?" if near else ""
