"""The training table of response, and its leak battery."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from contact_table import contact_table
from contracts.coverage import refuse_uncovered
from contracts.study import Study
from evaluation.gate import Check
from features.subjects import frame
from models import response
from pipelines.battery import battery as binary_battery
from sources.source import Source
from training_table import refuse_few, refuse_leaks


def training(source: Source, parameters: Mapping) -> pd.DataFrame:
    """One row for each contact whose horizon is over; outcome 1 for a response."""
    horizon = parameters["horizon_days"]
    study = Study.read(parameters["as_of"], horizon, 1, horizon)
    refuse_uncovered(source.tables["orders"], study.as_of, horizon)
    table = frame(contact_table(source.tables, source.attributes, study, parameters["history_days"]))
    refuse_few(table, "answered", "not answered")
    refuse_leaks(table, parameters["leak_bound_events"], parameters["allowed_columns"].split(","))
    return table


def again(table: pd.DataFrame, parameters: Mapping, model: response.Response) -> response.Response:
    """The registered model fitted once more, as the notebook fits it: the pick and the amounts, on all rows."""
    columns = model.amounts.encoder.columns  # all, whatever the pick reads
    fitted = response.fit(model.name, table, columns, parameters["effort"], parameters["seed"])
    return replace(fitted, about=model.about)


def battery(source: Source, table: pd.DataFrame, parameters: Mapping) -> list[Check]:
    """As `pipelines.battery`, with the candidates of response."""
    return binary_battery(source, table, parameters, response)
