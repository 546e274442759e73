"""Strict parameters: what the notebook does not declare stops `crm retrain` before anything is written."""

import homes
import pandas as pd
import pytest

from contracts.errors import Refused
from pipelines.parameters import complete, declared, notebook_of

NOTEBOOK = homes.HOUSE / "notebooks" / "20_churn.ipynb"
ASKED = {"source": "shop", "as_of": homes.AS_OF}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return homes.make(tmp_path_factory.mktemp("parameters") / "home")


def refused(home, *words):
    """What `crm` says when it refuses; nothing may be written, and nothing but one message said."""
    before = homes.digest(home)
    ended = homes.crm(home, *words)
    assert ended.code == 2, ended
    assert homes.digest(home) == before
    assert "Traceback" not in ended.err and ended.out == ""
    said = [line for line in ended.err.splitlines() if not line[:2].isdigit()]
    assert said[0].startswith("refused: ") and ended.err.count("refused:") == 1
    return "\n".join(said)


def retrain(home, *parameters, source="shop", as_of=homes.AS_OF, model="churn"):
    asked = [word for parameter in parameters for word in ("-p", parameter)]
    return refused(home, "retrain", model, "--source", source, "--as-of", as_of, *asked)


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("horizon_day=28", "declares no parameter 'horizon_day'. Did you mean 'horizon_days'?"),
        ("as_fo=2018-01-02", "Did you mean 'as_of'?"),
        ("origins=four", "origins must be a whole number, but is 'four'."),
        ("origins=4.5", "origins must be a whole number, but is '4.5'."),
        ("origins=", "origins must be a whole number, but is ''."),
        ("origins=true", "origins must be a whole number, but is 'true'."),
        ("origins=1e3", "origins must be a whole number"),
        ("success_rate=a third", "success_rate must be a number, but is 'a third'."),
        ("success_rate=nan", "success_rate must be a number, but is 'nan'."),
        ("success_rate=inf", "success_rate must be a number, but is 'inf'."),
        ("success_rate=1e400", "success_rate must lie between 0 and 1, but is inf."),
        ("largest_calibration_error=-0.1", "must lie between 0 and 1, but is -0.1."),
        ("horizon_days=0", "horizon_days must lie between 1 and 1095, but is 0."),
        ("origins=61", "origins must lie between 1 and 60, but is 61."),
        ("seed=-1", "seed must lie between 0 and 4294967295, but is -1."),
        ("contact_cents=" + "9" * 5000, "contact_cents must be at most 1,000 characters"),
        ("effort=fats", "effort must be one of fast, standard, thorough, but is 'fats'. Did you mean 'fast'?"),
        ("n=1;import os", "declares no parameter 'n'"),
        ("origins=1;import os", "origins must be a whole number, but is '1;import os'."),
        ("__import__('os')=1", "declares no parameter \"__import__('os')\""),
        ("origins", "given as NAME=VALUE, but this is 'origins'."),
        ("as_of=2018-01-02", "as_of is given as --as-of, not with -p."),
        ("source=complete_journey", "source is given as --source, not with -p."),
    ],
)
def test_a_parameter_that_is_refused(home, parameter, says):
    assert says in retrain(home, parameter)


@pytest.mark.parametrize(
    "as_of", ["yesterday", "2018-1-2", "2018-02-30", "20180102", "02/01/2018", "", "2018-01-02T00:00"]
)
def test_what_is_no_date_is_refused(home, as_of):
    assert f"as_of must be a date such as 2018-01-02, but is {as_of!r}." in retrain(home, as_of=as_of)


def test_the_same_name_twice_is_refused(home):
    assert "origins is given twice, as '4' and '5'" in retrain(home, "origins=4", "origins=5")


def test_all_problems_are_told_at_once(home):
    said = retrain(home, "horizon_day=28", "origins=many", "success_rate=2", as_of="soon")
    assert all(part in said for part in ("'horizon_day'", "'many'", "between 0 and 1, but is 2.0", "'soon'"))


def test_a_model_that_is_none(home):
    said = retrain(home, model="chrun")
    assert "'chrun' is no model; there are churn" in said and "Did you mean 'churn'?" in said


@pytest.mark.parametrize("source", ["shpo", "../shop", "/etc/passwd", "shop.yml", ""])
def test_a_source_that_is_none(home, source):
    assert "shop" in retrain(home, source=source)


def test_an_as_of_beyond_the_data(home):
    said = retrain(home, as_of="2024-03-01")
    assert "The orders must reach up to 2024-03-01" in said
    assert "Choose an as_of at most 7 days after the last order" in said


def test_an_as_of_too_early_for_the_history(home):
    assert "the data begin on 2023-01-01. Choose an as_of of 2023-05-28 or later" in retrain(home, as_of="2023-05-27")


def test_a_horizon_that_reaches_beyond_the_data(home):
    assert "a shorter horizon" in retrain(home, "horizon_days=200")


@pytest.mark.parametrize(
    ("column", "row", "value", "says"),
    [
        ("Net", 4, "3,50", "amount_cents"),
        ("Net", 4, "free", "customer {client} (Net free)"),
        ("Date", 4, "03/04/2023 09:00", "ordered_at"),
        ("Invoice", 5, "4", "order_id"),
        ("Client", 4, "", "customer_id"),
    ],
)
def test_a_broken_table_names_the_column_and_the_first_row(tmp_path, column, row, value, says):
    home = homes.make(tmp_path / "home")
    file = home / "data" / "shop" / "lines.csv"
    lines = pd.read_csv(file, dtype=str)
    if column == "Invoice":  # the whole row again: the same line of the same order
        lines.loc[row] = lines.loc[int(value)]
    else:
        lines.loc[row, column] = value
    lines.to_csv(file, index=False)
    said, says = retrain(home), says.format(client=lines.Client[row])
    bad = f"in {2 if column == 'Invoice' else 1} of {len(lines):,} rows, first for "
    assert said.startswith("refused: orders: ") and says in said and bad in said


def test_a_column_missing_from_the_file_is_named(tmp_path):
    home = homes.make(tmp_path / "home")
    file = home / "data" / "shop" / "lines.csv"
    pd.read_csv(file).drop(columns="Net").to_csv(file, index=False)
    assert "Net" in retrain(home)


FLAT = """
kind: flat
file: data/answers.csv
id: client
outcome: left
positive: "yes"
attributes: {age: number, town: category, minutes: number, rank: number, after: category}
"""


def flat(folder, mapping=FLAT):
    """A project with 400 customers, of whom two columns know too much and one is the outcome itself in other words."""
    home = homes.make(folder / "home")
    left = pd.Series([(k * 7) % 10 < 3 for k in range(400)])
    answers = pd.DataFrame(
        {
            "client": range(1, 401),
            "age": [20 + (k * 13) % 50 for k in range(400)],
            "town": ["abc"[k % 3] for k in range(400)],
            "minutes": left * 300 + pd.Series([(k * 31) % 400 for k in range(400)]),
            "rank": left.astype(int).rank(method="first"),
            "after": left.map({True: "farewell letter", False: "card"}),
            "left": left.map({True: "yes", False: "no"}),
        }
    )
    answers.to_csv(home / "data" / "answers.csv", index=False)
    (home / "data" / "sources" / "answers.yml").write_text(mapping)
    return home


def test_columns_that_know_the_outcome_are_refused_by_name(tmp_path):
    said = retrain(flat(tmp_path), source="answers")
    assert "No single column may rank the outcome with an AUC above 0.8, but 3 of 5 do" in said
    assert all(f"{name} (" in said for name in ("after", "rank", "minutes")) and "age (" not in said
    assert "list it under known_afterwards" in said


def test_columns_allowed_by_name_are_let_through(tmp_path):
    said = retrain(flat(tmp_path), "allowed_columns=rank, minutes", source="answers")
    assert "but 1 of 5 do: after (" in said


def test_columns_known_afterwards_are_no_features(tmp_path):
    mapping = FLAT.replace(", minutes: number, rank: number", "") + "known_afterwards: [rank, minutes]\n"
    assert "but 1 of 3 do: after (" in retrain(flat(tmp_path, mapping), source="answers")


def test_score_refuses_without_a_champion_and_writes_nothing(home):
    said = refused(home, "score", "churn", "--source", "shop", "--as-of", homes.AS_OF)
    assert "churn has no champion to score with. Run `crm retrain churn` first." in said
    assert not (home / "mlruns").exists()


def test_a_process_refuses_with_the_same_code_and_words(home):
    before = homes.digest(home)
    words = ("retrain", "churn", "--source", "shop", "--as-of", "2018-1-2", "-p", "orgins=4")
    ended = homes.run(home, *words)
    assert (ended.code, ended.out) == (2, "") and "Did you mean 'origins'?" in ended.err
    assert ended.err == homes.crm(home, *words).err
    assert homes.digest(home) == before


@pytest.mark.parametrize(
    ("name", "value", "becomes"),
    [
        ("origins", "4", 4),
        ("origins", 4, 4),
        ("success_rate", "0.25", 0.25),
        ("success_rate", 1, 1.0),
        ("effort", "fast", "fast"),
        ("allowed_columns", "00123", "00123"),
    ],
)
def test_a_value_takes_the_declared_type(name, value, becomes):
    found = complete(NOTEBOOK, {**ASKED, name: value})[name]
    assert (found, type(found)) == (becomes, type(becomes))


@pytest.mark.parametrize("value", [True, 4.0, None, [4]])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(Refused, match="origins must be a whole number"):
        complete(NOTEBOOK, {**ASKED, "origins": value})


def with_parameters(folder, source):
    home = homes.make(folder / "home")
    file = home / "notebooks" / "20_churn.ipynb"
    text = file.read_text().replace('effort = \\"standard\\"', source)
    assert source in text
    file.write_text(text)
    return file


@pytest.mark.parametrize("value", ["False", "0", "1", "yes", "no", "", "True", 0, 1])
def test_only_true_and_false_are_flags(tmp_path, value):
    file = with_parameters(tmp_path, "quick = True")
    with pytest.raises(Refused, match="quick must be true or false"):
        complete(file, {**ASKED, "quick": value})


def test_false_is_false(tmp_path):
    file = with_parameters(tmp_path, "quick = True")
    assert complete(file, {**ASKED, "quick": "false"})["quick"] is False
    assert complete(file, {**ASKED, "quick": "true"})["quick"] is True


@pytest.mark.parametrize("line", ["effort = origins * 2", 'effort: str = \\"fast\\"', "import os", "a = b = 1"])
def test_a_parameters_cell_holds_literals_only(tmp_path, line):
    with pytest.raises(Refused, match="must hold only lines `name = literal`, but line 7 is"):
        declared(with_parameters(tmp_path, line))


def test_limits_are_of_parameters_that_a_notebook_declares(monkeypatch):
    from pipelines.parameters import settings

    every = {name for model in settings()["models"] for name in declared(notebook_of(model))}
    assert settings()["limits"].keys() <= every
