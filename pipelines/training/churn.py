"""The training table of churn, and its leak battery."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from evaluation.gate import Check
from features.subjects import frame
from models import churn
from pipelines.battery import battery as binary_battery
from sources.source import Source
from training_table import groups, plan, refuse_few, refuse_leaks, training_table

DATES = ("as_of", "horizon_days", "origins", "spacing_days", "active_days")


def training(source: Source, parameters: Mapping) -> pd.DataFrame:
    """One row for each (customer_id, origin) of the study's matured origins; outcome 1 for churned."""
    study = plan(source.tables, *(parameters[name] for name in DATES))
    table = frame(
        training_table(source.tables, source.attributes, study, parameters["active_days"], source.contract_end)
    )
    bound = parameters["leak_bound_flat" if source.kind == "flat" else "leak_bound_events"]
    refuse_few(table)
    refuse_leaks(table, bound, parameters["allowed_columns"].split(","))
    groups(table, parameters["slices"].split(","))  # of its name, before a kernel starts
    return table


def again(table: pd.DataFrame, parameters: Mapping, model: churn.Churn) -> churn.Churn:
    """The registered model fitted once more, as the notebook fits it: the pick on all rows."""
    fitted = churn.fit(model.name, table, model.columns, parameters["effort"], parameters["seed"])
    return replace(fitted, about=model.about)


def battery(source: Source, table: pd.DataFrame, parameters: Mapping) -> list[Check]:
    """As `pipelines.battery`, with churn's candidates."""
    return binary_battery(source, table, parameters, churn)
