"""Every model of parameters.yml has a kind, and a kind says all that the pipeline asks."""

import inspect

import pandas as pd
import pytest

from contracts.errors import Refused
from contracts.subjects import keys_of
from pipelines.kinds import Kind, kind_of
from pipelines.parameters import settings
from pipelines.training import Training, training_of

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
