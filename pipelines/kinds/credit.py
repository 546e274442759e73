"""The kind of credit: applications at the day they are made on, and whether the loan goes bad within the horizon."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from contracts.errors import Refused
from contracts.study import day
from contracts.subjects import keys_of
from decisions import refusal
from decisions.lending import APPROVE, Rules, approved_up_to, loan_plan
from evaluation.comparison import Difference
from evaluation.gate import Check
from evaluation.grades import MasterScale
from evaluation.lending import Terms, loan_profit
from evaluation.strategy import StrategyCurve, approval_gain, strategy_curve
from features.applications import applicants, form_hashes, form_sql, forms, spine_of
from features.identity import column_hashes, features_sql
from features.subjects import frame, population
from features.subjects import subjects as with_features
from models import credit
from pipelines.kinds import Model, probabilities
from pipelines.kinds.probabilities import gains, measured
from sources.source import Source

__all__ = [
    "HEADLINE", "QUESTION", "bands", "columns", "decide", "explained", "gains", "gate", "judged_on", "load", "measured",
    "money", "scored", "selected", "slices", "sql", "strategies", "subjects", "worth",
]  # fmt: skip
QUESTION = ("source", "horizon_days", "past_due_days", "indeterminate_days")
HEADLINE = ("auc", "AUC")


def columns(source: Source) -> dict[str, str]:
    """Of the form and the history, or of a flat source's attributes; nobody reads the hidden ones among them."""
    if source.kind == "flat":
        return column_hashes(source.tables, source.attributes)
    return form_hashes(source.tables, source.attributes, ())


def sql(source: Source) -> str:
    """Of the same."""
    history = features_sql(source.tables, source.attributes)
    return history if source.kind == "flat" else f"{form_sql(source.tables, source.attributes, ())};\n\n{history}"


def load(folder: Path) -> credit.Credit:
    """As `models.credit.load`."""
    return credit.load(folder)


def subjects(source: Source, about: Mapping, origin: date, days: Mapping[str, Table] | None = None) -> pd.DataFrame:
    """The applications of the `asked_days` before the origin, each as of its own day; all subjects of a flat source."""
    if source.kind == "flat":
        return _flat(source, about, origin)
    first, last = origin - timedelta(days=int(about["asked_days"])), origin - timedelta(days=1)
    table = _forms(source, about, applicants(source.tables["applications"], first, last, origin), days)
    if table.empty:
        raise Refused(
            f"Nobody applied at {source.name} in the {about['asked_days']} days before {origin}, so there is nobody to "
            f"score. Choose a day that the source covers."
        )
    return table


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """The forms of the test rows; all subjects of a flat source."""
    if source.kind == "flat":
        return _flat(source, about, day(str(pd.Timestamp(rows.origin.max()).date()), "test origin"))
    return _forms(source, about, spine_of(rows, source.tables["applications"]))


def selected(score: np.ndarray, about: Mapping) -> np.ndarray:
    """Those who are approved at the cut-off."""
    return np.asarray(score) <= about["cut_off"]


def worth(score: np.ndarray, about: Mapping) -> np.ndarray:
    """What a loan of the median size is expected to bring, in cents."""
    score = np.asarray(score, dtype=float)
    return loan_profit(score, np.full(score.size, about["median_exposure_cents"]), Terms(**about["terms"]))


def bands(score: np.ndarray, about: Mapping) -> np.ndarray:
    """The grade of the master scale: A is the least risky."""
    return MasterScale.from_json(about["scale"]).name(score)


def money(rows: pd.DataFrame, about: Mapping, seed: int) -> Difference:
    """What approving whom the second model would brings more than whom the first would, at the second's cut-off."""
    y, (old, new) = rows.outcome.to_numpy(dtype=float), (selected(rows[n], about) for n in ("champion", "score"))
    return approval_gain(y, old, new, rows.exposure_cents, Terms(**about["terms"]), rows.customer_id, seed)


def strategies(rows: pd.DataFrame, about: Mapping, seed: int) -> dict[str, StrategyCurve]:
    """The strategy curves of champion and challenger on the same loans."""
    y, terms = rows.outcome.to_numpy(dtype=float), Terms(**about["terms"])
    names = {"champion": "champion", "challenger": "score"}
    return {
        name: strategy_curve(y, rows[column], rows.exposure_cents, terms, rows.customer_id, seed)
        for name, column in names.items()
    }


def slices(rows: pd.DataFrame, about: Mapping) -> pd.DataFrame:
    """The declared groups, the protected ones among them."""
    return probabilities.slices(rows, selected(rows.score.to_numpy(), about))


def gate(rows: pd.DataFrame, rule: Mapping, about: Mapping, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """As `evaluation.gate`."""
    return probabilities.gate(rows, rule, selected(rows.score.to_numpy(), about), seed)


def scored(model: Model, table: pd.DataFrame) -> pd.DataFrame:
    """The probability of default, with interval, grade and reasons."""
    return probabilities.scored(model, table, bands)


def decide(scores: pd.DataFrame, table: pd.DataFrame, about: Mapping) -> tuple[pd.DataFrame, str]:
    """Whom to lend to and how much, with what keeps each from more."""
    plan, found = loan_plan(scores, _asked(table, about), *_promised(about))
    approved = (plan.action == APPROVE).sum()
    return plan, (
        f"{approved:,} of {len(plan):,} approved, for an expected profit of {found.profit / 100:,.0f} and loss of "
        f"{found.loss / 100:,.0f}; one more unit of loss would bring {found.shadow_price:.2f}"
    )


def explained(model: Model, table: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """As `decisions.refusal.explained`, at the plan's price of loss."""
    about, words = model.about, probabilities.dictionary(model, model.about)
    price, promised = float(plan.price_of_loss.iloc[0]), _promised(about)
    told = about["refusal"]
    reader = refusal.Reader(
        refusal.Scale(**told["scale"]),
        told["usual"],
        {name: refusal.Ladder(way, tuple(values)) for name, (way, values) in told["ladders"].items()},
        {name: word.topic for name, word in words.items()},
        {name: word.say for name, word in words.items()},
    )
    keys = [name for name in keys_of(table.columns) if name != "origin"]
    forms = plan[keys].merge(table, on=keys, validate="1:1")

    def approves(form: pd.DataFrame) -> np.ndarray:
        return model.predict(form) < approved_up_to(_asked(form, about), price, *promised)

    return refusal.explained(plan, forms, model.contributions, approves, reader)


def _asked(table: pd.DataFrame, about: Mapping) -> pd.Series:
    """Cents asked for; what was not told is nothing."""
    return table[about["amount_column"]].fillna(0) * about["amount_unit_cents"]


def _promised(about: Mapping) -> tuple[MasterScale, Terms, Rules]:
    told = about["rules"]
    rules = Rules(tuple(told["menu"]), told["best"], told["worst"], told["loss_share"])
    return MasterScale.from_json(about["scale"]), Terms(**about["terms"]), rules


def _forms(source: Source, about: Mapping, spine: Table, days: Mapping[str, Table] | None = None) -> pd.DataFrame:
    return frame(forms(spine, source.tables, source.attributes, about["hidden"], days))


def _flat(source: Source, about: Mapping, origin: date) -> pd.DataFrame:
    told = {name: kind for name, kind in source.attributes.items() if name not in about["hidden"]}
    return frame(with_features(population(source.tables, (origin,), 1), source.tables, told))
