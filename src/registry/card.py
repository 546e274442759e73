"""The model card: what a version is, for what, on what data, how good, and how to make it again; written by the run.

Every sentence of ours takes its numbers from what the run logged. `unsupported` finds a number that nothing supports.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from evaluation.gate import Check, shown

NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?%?")
NO_CLAIM = re.compile(r"\d{4}-\d\d-\d\d|`[^`]*`|\b95 %|\bversion \d+|\brun [0-9a-f]{8,32}\b")
LONGEST_NOTE = 4800  # MLflow keeps 5,000 characters of a version's description


@dataclass(frozen=True)
class Facts:
    """What a card is made of.

    purpose, not_for  what the model is for, and what it is not, in a sentence each; limits: what its figures do not say
    label, simulated  what outputs call the source
    parameters        of the run, by name; rule: of the gate, by name
    fingerprints      table to fingerprint, as visible at as_of; more: test subjects and outcomes
    columns           what the model reads: name, meaning, unit, what a missing value means
    metrics           name to (value, low, high)
    verdict, said     what the notebook and the gate found, in words
    tables            heading to a table of the run that a validator asks for
    """

    model: str
    run_id: str
    purpose: str
    not_for: str
    limits: str
    label: str
    simulated: bool
    parameters: Mapping[str, object]
    rule: Mapping[str, object]
    fingerprints: Mapping[str, str]
    columns: pd.DataFrame
    metrics: Mapping[str, Sequence[float]]
    checks: Sequence[Check]
    slices: pd.DataFrame
    verdict: str
    said: str
    facts: Mapping[str, object]
    tags: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def note(facts: Facts) -> str:
    """The card as it stands on a version's page: the verdict first, without what takes pages."""
    parts = [_head(facts), _use(facts), _gate(facts), _data(facts), _again(facts)]
    text = "\n\n".join(parts)
    return text if len(text) <= LONGEST_NOTE else text[:LONGEST_NOTE].rsplit("\n", 1)[0] + "\n\n(cut: see card.html)"


def run_note(verdict: str, standing: str, said: str, checks: Sequence[Check]) -> str:
    """What stands on a run's page, where it stands first: a list of runs shows no more of it."""
    return f"{standing} {said}\n\nBy the notebook's own rule: {verdict}\n\n{_table(shown(checks).drop(columns='note'))}"


def card(facts: Facts) -> str:
    """The whole card in Markdown."""
    parts = [_head(facts), _use(facts), _data(facts), _rule(facts), _gate(facts), _evidence(facts), _slices(facts)]
    parts += [f"## {heading}\n\n{_table(rows.round(4))}" for heading, rows in facts.tables.items()]
    return "\n\n".join([*parts, _features(facts), _limits(facts), _again(facts)]) + "\n"


def unsupported(text: str, values: Iterable[float], words: Iterable[str] = ()) -> list[str]:
    """The numbers in a text that are none of `values`, rounded as they are written, in the order they are read.

    Dates, versions, ids of runs, code and the level of an interval claim nothing; neither do numbers in `words`, the
    names of columns. A share may be written in per cent, money in cents in whole units.
    """
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "") if re.search(r"\d", word) else text
    values = [float(v) for v in values if math.isfinite(v)]
    found = NUMBER.findall(NO_CLAIM.sub("", text))
    return [written for written in found if not any(_says(written, value) for value in values)]


def _says(written: str, value: float) -> bool:
    plain = written.replace(",", "").replace("−", "-").rstrip("%")
    digits = len(plain.partition(".")[2])
    scales = (100,) if written.endswith("%") else (1, 0.01)
    return any(abs(abs(float(plain)) - abs(value * scale)) <= 0.5000001 * 10**-digits for scale in scales)


def numbers(facts: Facts) -> list[float]:
    """All that the run logged as a number: metrics, parameters, facts, the gate's rows, slices and limits."""
    found = [v for ends in facts.metrics.values() for v in ends]
    for given in (facts.parameters, facts.facts, facts.tags):
        found += [float(v) for v in given.values() if _is_number(v)]
    for limit in facts.rule.values():
        found += [float(v) for v in (limit if isinstance(limit, list) else [limit]) if _is_number(v)]
    for check in facts.checks:
        found += [check.found, check.low, check.high]
        found += [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", f"{check.limit} {check.note}")]
    found += [len(facts.checks), len(facts.columns), len(facts.slices)]
    return found


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _head(facts: Facts) -> str:
    simulated = " (simulated customers)" if facts.simulated else ""
    return (
        f"# {facts.model} as of {facts.parameters['as_of']}, {facts.label}{simulated}\n\n"
        f"> {facts.verdict}\n\n{facts.said}"
    )


def _use(facts: Facts) -> str:
    return f"## For what, and not for what\n\n{facts.purpose}\n\n**Not for:** {facts.not_for}"


def _data(facts: Facts) -> str:
    rows = pd.DataFrame(
        {"table": list(facts.fingerprints), "fingerprint": [f[:16] for f in facts.fingerprints.values()]}
    )
    rows["fingerprint"] = "`" + rows.fingerprint + "`"
    return (
        f"## Data\n\nWhat was known before {facts.parameters['as_of']}; judged at {facts.tags['crm.test_origin']} by "
        f"models that had not seen these outcomes. What is registered was fitted again on all rows.\n\n{_table(rows)}"
    )


def _rule(facts: Facts) -> str:
    rows = pd.DataFrame(
        {"limit": [n.replace("_", " ") for n in facts.rule], "is": [str(v) for v in facts.rule.values()]}
    )
    return f"## Rule, fixed before the run\n\nThe gate's limits, of `pipelines/parameters.yml`:\n\n{_table(rows)}"


def _gate(facts: Facts) -> str:
    return f"## Gate\n\n{_table(shown(facts.checks))}"


def _evidence(facts: Facts) -> str:
    rows = pd.DataFrame(
        [(name, *(f"{v:.4f}" for v in ends)) for name, ends in sorted(facts.metrics.items())],
        columns=["measure", "value", "low", "high"],
    )
    return f"## Evidence\n\nOn the test rows, with 95 % intervals; money in cents.\n\n{_table(rows)}"


def _slices(facts: Facts) -> str:
    if facts.slices.empty:
        return "## Slices\n\nNo group was declared (parameter `slices`), so that none was looked at."
    kept = ["slice", "rows", "selected", "predicted", "observed", "error", "error_low", "error_high", "judged"]
    return f"## Slices\n\n{_table(facts.slices[kept].round(4))}"


def _features(facts: Facts) -> str:
    return f"## Features\n\nThe model reads {len(facts.columns)} columns.\n\n{_table(facts.columns)}"


def _limits(facts: Facts) -> str:
    return (
        "## Limits\n\nThe figures hold for the test origin; later ones are seen when its outcomes are known. "
        f"{facts.limits}"
    )


def _again(facts: Facts) -> str:
    tags = facts.tags
    ends = {"lock": "crm.lock", "model": "crm.sha256", "run key": "crm.key"}
    return (
        f"## Make it again\n\n`crm rerun {facts.run_id}` makes it from commit `{tags['crm.commit'][:12]}` and its "
        f"parameters, and says that the bytes are the same, or what differs: "
        f"{', '.join(f'{name} `{tags[tag][:12]}`' for name, tag in ends.items())}."
    )


def _table(rows: pd.DataFrame) -> str:
    """A Markdown table; a bar in a cell would end it."""
    text = rows.astype(object).where(rows.notna(), "").astype(str).replace({r"\|": "/"}, regex=True)
    lines = [list(map(str, rows.columns)), ["---"] * rows.shape[1], *text.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
