"""What each model does its own way. The pipeline is one for all of them, and asks the kind.

`pipelines/kinds/MODEL.py` is the kind of MODEL: a module with the names of `Kind`. What sees outcomes, its training
table, stands in `pipelines/training/MODEL.py`, since scoring imports what stands here. What several share stands in a
module of its own beside them (`probabilities`: models that foretell whether something happens).
"""

import importlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from evaluation.comparison import Difference
from evaluation.gate import Check
from pipelines.parameters import notebook_of
from sources.source import Source


class Model(Protocol):
    """A fitted model as the pipeline sees it; `about` is what scoring must know beside it.

    about  features (column to sha256), dictionary (column to words), source, simulated, horizon_days, and what the kind
           needs. The model's folder holds MODEL.json with `columns` and `about` among its keys.
    """

    columns: tuple[str, ...]
    about: Mapping

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """One number a row: a probability, or cents."""

    def contributions(self, table: pd.DataFrame) -> pd.DataFrame:
        """What each column adds, for the reasons."""

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns with a word for each level of a category that it may not name."""


class Kind(Protocol):
    """The names that a kind's module has.

    `parameters` are those that the notebook declares, by name; `about` is the model's; test rows are those of
    `registry.record.Record.test`, beside which `champion` holds what the other model foretold.

    QUESTION  names of the parameters that two runs must share to have answered one question
    HEADLINE  the measure that `crm runs` shows and a verdict speaks of, by its name in `gains`, and in words

    A kind may also have two functions that `crm watch` asks for: worth(score, about), what acting on each is expected
    to bring more than leaving it, in cents; and measured(rows), the headline measure of test rows with its interval,
    where a score foretells the outcome itself. And one that scoring asks for: explained(model, table, plan), the plan
    with what each decision lacks to be another. And one that a comparison draws: strategies(rows, about, seed), what
    acting on each share of the test rows would have brought by either model, as `evaluation.strategy.strategy_curve`.
    """

    QUESTION: tuple[str, ...]
    HEADLINE: tuple[str, str]

    def columns(self, source: Source) -> dict[str, str]:
        """The sha256 of each column of features."""

    def sql(self, source: Source) -> str:
        """The SQL that they compile to."""

    def load(self, folder: Path) -> Model:
        """A saved model; executes nothing of the folder's."""

    def subjects(
        self, source: Source, about: Mapping, origin: date, days: Mapping[str, Table] | None = None
    ) -> pd.DataFrame:
        """Whom to score at an origin, with features; raises `Refused` where there is nobody.

        days  day tables that are kept (`pipelines.days`), which give the same as the raw tables that None stands for
        """

    def judged_on(self, source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
        """The features of test rows, as known at their origins; more rows do no harm."""

    def selected(self, score: np.ndarray, about: Mapping) -> np.ndarray:
        """Whether each would be acted on."""

    def bands(self, score: np.ndarray, about: Mapping) -> np.ndarray:
        """The band of each score, in a word."""

    def gains(self, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        """By how much `score` is better than `champion`: measure, gain (positive: better), low, high, p."""

    def money(self, rows: pd.DataFrame, about: Mapping, seed: int) -> Difference:
        """The same in cents on the test rows."""

    def slices(self, rows: pd.DataFrame, about: Mapping) -> pd.DataFrame:
        """A row a declared group, as `evaluation.gate.slices`: at least slice, rows and, beside a champion, gain."""

    def gate(self, rows: pd.DataFrame, rule: Mapping, about: Mapping, seed: int) -> tuple[list[Check], pd.DataFrame]:
        """The checks that follow from the test rows, and the table of slices."""

    def scored(self, model: Model, table: pd.DataFrame) -> pd.DataFrame:
        """A row a subject: keys but origin, score, low, high, band, reason_1 .. reason_3, and what a kind says more."""

    def decide(self, scores: pd.DataFrame, table: pd.DataFrame, about: Mapping) -> tuple[pd.DataFrame, str]:
        """An action for each of `scored`, and what they come to in a few words, such as `1,113 contacts`."""


def kind_of(model: str) -> Kind:
    """The kind of a model of parameters.yml; raises `Refused` for any other."""
    notebook_of(model)
    return cast(Kind, importlib.import_module(f"pipelines.kinds.{model}"))
