"""The model card: a number that nothing logged supports is found, and what a card tells people to do can be done."""

import re
from dataclasses import replace

import homes
import numpy as np
import pandas as pd
import pytest
import typer

from evaluation.gate import Check
from registry.card import Facts, card, note, numbers, unsupported

LOGGED = [0.8594, -0.0021, 1234.0, 4850.0, float("nan")]


@pytest.mark.parametrize(
    "sentence",
    [
        "AUC 0.859", "AUC 0.86", "AUC +0.8594", "85.9% of them", "loses -0.002", "loses −0.0021", "1,234 customers",
        "48.50 in money", "as of 2024-01-31", "version 7", "run 0123456789abcdef", "see `p99`", "a 95 % interval",
    ],
)  # fmt: skip
def test_what_was_logged_may_be_said_rounded(sentence):
    assert unsupported(sentence, LOGGED) == []


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("AUC 0.858", ["0.858"]), ("AUC 0.87", ["0.87"]), ("86.5% of them", ["86.5%"]), ("1,235 customers", ["1,235"]),
        ("AUC 0.859, gains +0.093 and 17", ["+0.093", "17"]),
    ],
)  # fmt: skip
def test_what_was_not_logged_is_found(sentence, found):
    assert unsupported(sentence, LOGGED) == found


def test_digits_in_the_name_of_a_column_claim_nothing():
    assert unsupported("purchases in the last 91 days", LOGGED) == ["91"]
    assert unsupported("purchases in the last 91 days", LOGGED, ["purchases in the last 91 days"]) == []


def facts(columns=3):
    return Facts(
        model="churn", run_id="0" * 32, purpose="For this.", not_for="That.", limits="For a test.",
        label="shop", simulated=False,
        parameters={"source": "shop", "as_of": "2024-01-01", "seed": 7}, rule={"gain_margin": 0, "slope": [0.8, 1.25]},
        fingerprints={"orders": "a" * 64},
        columns=pd.DataFrame(
            {"column": [f"c{k}" for k in range(columns)], "meaning": "a | b", "unit": "days", "missing means": "none"}
        ),
        metrics={"test/auc": (0.81, 0.79, 0.83)},
        checks=[Check(f"check {k}", "at most 0.03", 0.01, np.nan, np.nan, True, "a note " * 20) for k in range(40)],
        slices=pd.DataFrame(), verdict="AUC 0.81.", said="All 40 checks.", facts={"customers": 640},
        tags={
            "crm.test_origin": "2023-12-01", "crm.commit": "b" * 40, "crm.lock": "c" * 64, "crm.sha256": "d" * 64,
            "crm.key": "e" * 32,
        },
    )  # fmt: skip


def test_all_that_was_logged_counts():
    assert {0.81, 0.79, 0.83, 7, 640, 0.8, 1.25, 0.03, 40, 3} <= set(numbers(facts()))


def test_a_card_has_its_tables_whole_and_its_note_fits_into_mlflow():
    text = card(facts(columns=200))
    assert text.count("a / b") == 200 and "The model reads 200 columns." in text
    assert len(note(facts(columns=200))) <= 5000 and note(facts()).startswith("# churn as of 2024-01-01, shop")


def test_every_command_that_a_card_names_is_there():
    from pipelines.__main__ import app

    there = set(typer.main.get_command(app).commands)
    named = set(re.findall(r"`crm (\w+)", card(facts())))
    assert named and named <= there, named - there


@pytest.mark.slow
def test_a_verdict_with_a_number_that_was_not_logged_fails_the_run(tmp_path):
    home = homes.make(tmp_path / "home", homes.QUICK.replace("Made for a test.", "Keeps 0.777 of them."))
    ended = homes.crm(home, "retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, "-p", "origins=2")
    assert ended.code == 1 and "Each number in the notebook's verdict must be a value that the run logged" in ended.err
    assert "1 are not: 0.777" in ended.err and homes.runs(home)[0].info.status == "FAILED"
    assert homes.client(home).search_registered_models() == []


def test_a_table_that_a_validator_asks_for_stands_under_its_heading():
    rows = pd.DataFrame({"grade": ["financed | A", None], "binomial": [0.12345, np.nan]})
    text = card(replace(facts(), tables={"Grades": rows}))
    assert "## Grades\n\n| grade | binomial |\n| --- | --- |\n| financed / A | 0.1234 |\n|  |  |\n" in text
