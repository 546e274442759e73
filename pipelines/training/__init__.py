"""How each model comes by its training table: the part of a kind that sees outcomes, so that scoring may not import it.

`pipelines/training/MODEL.py` is a module with the names of `Training`.
"""

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

import pandas as pd

from evaluation.gate import Check
from pipelines.parameters import notebook_of
from sources.source import Source


class Training(Protocol):
    """The names that such a module has; `parameters` are those that the notebook declares.

    It may also have again(table, parameters, model): the registered model fitted once more on the training table. Where
    it has, a row of the gate says whether the bytes are the same on another number of threads.
    """

    def training(self, source: Source, parameters: Mapping) -> pd.DataFrame:
        """The training table in the order of its keys: keys, features, outcome.

        Raises `Refused` for dates that the data do not reach, too few cases, and columns that know the outcome.
        """

    def battery(self, source: Source, table: pd.DataFrame, parameters: Mapping) -> list[Check]:
        """The leak battery on the training table; raises `Refused` that lists the checks that fail."""


def training_of(model: str) -> Training:
    """The training of a model of parameters.yml; raises `Refused` for any other."""
    notebook_of(model)
    return cast(Training, importlib.import_module(f"pipelines.training.{model}"))
