"""Every model of parameters.yml has a kind, and a kind says all that the pipeline asks."""

import inspect
from datetime import date

import ibis
import pandas as pd
import pytest

from contracts.errors import Refused
from contracts.subjects import keys_of
from pipelines.kinds import Kind, kind_of
from pipelines.parameters import settings
from pipelines.training import Training, training_of
from sources.source import Source

MODELS = sorted(settings()["models"])


def names(protocol):
    """The functions that a protocol names."""
    return {name: f for name, f in vars(protocol).items() if inspect.isfunction(f) and name[0] != "_"}


@pytest.mark.parametrize("model", MODELS)
def test_a_kind_answers_all_that_the_pipeline_asks(model):
    kind = kind_of(model)
    for module, protocol in ((kind, Kind), (training_of(model), Training)):
        for name, promised in names(protocol).items():
            asked = list(inspect.signature(promised).parameters)[1:]
            assert list(inspect.signature(getattr(module, name)).parameters) == asked, f"{model}.{name}"
    assert kind.QUESTION and len(kind.HEADLINE) == 2


@pytest.mark.parametrize("model", MODELS)
def test_what_two_runs_must_share_is_declared_by_the_notebook(model):
    from pipelines.parameters import declared, notebook_of

    assert {*kind_of(model).QUESTION} <= declared(notebook_of(model)).keys()


def test_a_model_that_there_is_none_of_is_refused():
    with pytest.raises(Refused, match="'chrun' is no model.*Did you mean 'churn'"):
        kind_of("chrun")


def test_rows_are_named_by_origin_customer_and_what_is_asked_about():
    table = pd.DataFrame(columns=["campaign_id", "recency", "customer_id", "origin"])
    assert keys_of(table.columns) == ["origin", "customer_id", "campaign_id"]


def test_scoring_asks_about_those_under_contract_where_contracts_end():
    """Customer 2's has ended, and nobody bought lately: the population is that of the training table."""
    con = ibis.duckdb.connect()
    customers = pd.DataFrame(
        {
            "customer_id": ["1", "2"],
            "first_seen_at": pd.Timestamp("2023-01-01"),
            "known_at": pd.Timestamp("2023-01-02"),
            "age": [30.0, 40.0],
            "ended": pd.to_datetime([None, "2024-01-15"]).date,
        }
    )
    orders = pd.DataFrame(
        {
            "order_id": ["7"], "customer_id": ["2"], "ordered_at": pd.Timestamp("2023-02-01"), "product_id": ["p"],
            "quantity": [1.0], "amount_cents": [500], "discount_cents": [0], "channel": ["web"], "store_id": ["s"],
            "known_at": pd.Timestamp("2023-02-02"),
        }
    )  # fmt: skip
    tables = {"customers": con.create_table("customers", customers), "orders": con.create_table("orders", orders)}
    gym = Source("gym", "events", con, tables, {"age": "number", "ended": "date"}, contract_end="ended")
    asked = kind_of("churn").subjects(gym, {"active_days": 91}, date(2024, 3, 1))
    assert asked.customer_id.tolist() == ["1"] and "ended" not in asked.columns
    judged = kind_of("churn").judged_on(gym, {"active_days": 91}, asked[["customer_id", "origin"]])
    assert judged.equals(asked)
    with pytest.raises(Refused, match="Nobody in gym bought in the 91 days before 2024-03-01"):
        kind_of("clv").subjects(gym, {"active_days": 91}, date(2024, 3, 1))
