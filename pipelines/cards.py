"""The card of a run, before it is registered: made from what was logged, and refused where it claims more."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pipelines.gate import Judged, rule_of
from pipelines.parameters import settings
from pipelines.preflight import Inputs
from pipelines.report import card_to_html
from pipelines.run_notebook import NotebookFailed
from registry import about, runs
from registry.card import Facts, card, note, numbers, unsupported


def write_card(run_id: str, inputs: Inputs, parameters: Mapping, found: Mapping, judged: Judged, stage: Path) -> str:
    """Log card.md and card.html in the run; the note for the version's page.

    Raises `NotebookFailed` for a number in the verdict, the gate's words or the card that nothing logged supports.
    """
    run = about.about(run_id)
    told = about.content(run_id, f"model/{run.model}.json")
    words = told["about"]["dictionary"]
    columns = pd.DataFrame(
        [
            {"column": n, "meaning": words[n]["meaning"], "unit": words[n]["unit"], "missing means": words[n]["null"]}
            for n in told["columns"]
        ],
        columns=["column", "meaning", "unit", "missing means"],
    )
    model = settings()["models"][run.model]
    facts = Facts(
        model=run.model,
        run_id=run_id,
        purpose=model["purpose"],
        not_for=model["not_for"],
        limits=model["limits"],
        label=inputs.label,
        simulated=inputs.simulated,
        parameters=parameters,
        rule=rule_of(run.model, parameters),
        fingerprints={
            **inputs.fingerprints,
            "test subjects": run.test_subjects,
            "test subjects with outcomes": run.test_outcomes,
        },
        columns=columns,
        metrics=found["metrics"],
        checks=judged.checks,
        slices=judged.slices,
        verdict=found["verdict"],
        said=judged.said,
        facts=found["facts"],
        tags=run.tags,
        tables=_tables(model.get("card_tables", {}), stage, inputs.simulated),
    )
    _refuse_claims(facts, judged, [word["meaning"] for word in words.values()])
    for name, text in (("card.md", card(facts)), ("card.html", card_to_html(card(facts)))):
        (stage / name).write_text(text, encoding="utf-8")
        runs.log_file(run_id, stage / name, "")
    return note(facts)


def _tables(named: Mapping[str, str], stage: Path, simulated: bool) -> dict[str, pd.DataFrame]:
    """The tables of the record that parameters.yml names for the card, under their headings, where they hold rows."""
    files = {heading: stage / "tables" / f"{name}{'-simulated' * simulated}.csv" for name, heading in named.items()}
    read = {heading: pd.read_csv(file) for heading, file in files.items() if file.stat().st_size > 1}
    return {heading: table for heading, table in read.items() if len(table)}


def _refuse_claims(facts: Facts, judged: Judged, meanings: list[str]) -> None:
    logged = numbers(facts) + (judged.comparison.numbers() if judged.comparison else [])
    for what, text in (("the notebook's verdict", facts.verdict), ("what the gate says", facts.said)):
        if claimed := unsupported(text, logged, meanings):
            raise NotebookFailed(
                f"Each number in {what} must be a value that the run logged, but {len(claimed)} are not: "
                f"{', '.join(claimed)}. Log them as metrics or facts of the record, or leave them out."
            )
