"""What a run is called: its day, its source, and what is new in it beside the champion."""

from collections.abc import Mapping

from contracts.errors import Refused
from pipelines.preflight import Inputs
from registry import about, recipe
from registry.versions import Version

DATED = ("as_of", "source")
MOST = 3  # parameters that are named


def run_name(inputs: Inputs, parameters: Mapping, champion: Version | None) -> str:
    """`2018-01-30 complete_journey: effort=fast, new code`; what is new is told of the champion's source only."""
    return f"{parameters['as_of']} {inputs.label}: {', '.join(_new(inputs, parameters, champion))}"


def _new(inputs: Inputs, parameters: Mapping, champion: Version | None) -> list[str]:
    if champion is None:
        return ["no champion before"]
    try:
        then = about.content(champion.run_id, recipe.FILE)
    except (Refused, OSError):
        return ["beside an older way of keeping runs"]
    had = {name: str(value) for name, value in then["parameters"].items()}
    other = [f"{n}={v}" for n, v in parameters.items() if n not in DATED and had.get(n) != str(v)]
    found = other[:MOST] + [f"and {len(other) - MOST} parameters more"] * (len(other) > MOST)
    for word, part in (("code", "code"), ("notebook", "notebook"), ("lock", "lock")):
        found += [f"new {word}"] * (then[part] != inputs.recipe[part])
    if champion.as_of != parameters["as_of"]:
        return found or ["new data"]
    now = inputs.recipe["data"]
    return found + ["other data of that day"] * (then["data"] != now) or ["the same again"]
