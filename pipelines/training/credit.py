"""The training table of credit, and its leak battery."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
from pandas.api.types import is_numeric_dtype

from contracts.errors import Refused
from contracts.study import Study
from decisions.refusal import ways_in
from evaluation.gate import Check
from models import credit
from pipelines.battery import battery as binary_battery
from sources.source import Source
from training_table import credit_table, feature_columns, in_cohorts, lent, names_in, refuse_leaks

TRAINER = SimpleNamespace(
    CANDIDATES=(*credit.LIGHT, credit.BOOSTED),
    LIGHT=credit.LIGHT,
    Split=credit.Split,
    splits=credit.splits,
    judge=credit.judge,
)


def training(source: Source, parameters: Mapping) -> pd.DataFrame:
    """One row for each application that was lent to and whose horizon is over; outcome 1 for bad."""
    days = "past_due_days", "indeterminate_days"
    hidden = names_in(parameters["protected"])
    table = lent(credit_table(source.tables, source.attributes, _study(parameters), hidden, *map(parameters.get, days)))
    bound = parameters["leak_bound_flat" if source.kind == "flat" else "leak_bound_events"]
    _refuse_unchangeable(parameters["changeable"], table)
    _refuse_wishes(parameters["wishes"], table)
    refuse_leaks(table, bound, names_in(parameters["allowed_columns"]))
    return table


def again(table: pd.DataFrame, parameters: Mapping, model: credit.Credit) -> credit.Credit:
    """The registered model fitted once more, as the notebook fits it: the pick on all loans whose horizon is over."""
    wishes = credit.wishes_in(parameters["wishes"])
    fitted = credit.fit(model.name, table, model.columns, parameters["effort"], parameters["seed"], wishes)
    return replace(fitted, about=model.about)


def battery(source: Source, table: pd.DataFrame, parameters: Mapping) -> list[Check]:
    """As `pipelines.battery`, on cohorts, with one of credit's boosted candidates, which all go the same way."""
    return binary_battery(source, in_cohorts(table, _study(parameters)), parameters, TRAINER)


def _refuse_unchangeable(changeable: str, table: pd.DataFrame) -> None:
    try:
        ways = ways_in(changeable)
    except ValueError as error:
        raise Refused(str(error)) from error
    there = feature_columns(table)
    if gone := [name for name in ways if name not in there]:
        raise Refused(
            f"What an applicant can change must be a column that the model may read, but {', '.join(gone)} is none. "
            f"There are {', '.join(there)}. Correct `changeable`."
        )


def _refuse_wishes(text: str, table: pd.DataFrame) -> None:
    try:
        wishes = credit.wishes_in(text)
    except ValueError as error:
        raise Refused(f"wishes (of the source's yml, or the parameter): {error}") from error
    there = feature_columns(table)
    if gone := [name for name in wishes if name not in there]:
        raise Refused(
            f"wishes must be of columns that the model may read, but {', '.join(gone)} is none. There are "
            f"{', '.join(there)}. Correct the source's yml."
        )
    if texts := [name for name in wishes if not is_numeric_dtype(table[name])]:
        raise Refused(
            f"wishes must be of numbers, but {', '.join(texts)} is a category, whose levels are put in the order of "
            f"their rates, and have no special values. Remove it from the source's yml."
        )


def _study(parameters: Mapping) -> Study:
    return Study.read(*(parameters[name] for name in ("as_of", "horizon_days", "origins", "spacing_days")))
