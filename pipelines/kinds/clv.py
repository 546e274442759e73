"""The kind of value: what customers will spend within the horizon, and after it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from decisions import quadrants
from decisions.equity import Terms, whole_cents
from decisions.quadrants import Investment
from decisions.scores import HIGH, LOW, MIDDLE
from evaluation import value_gate
from evaluation.bootstrap import drawn_subjects
from evaluation.comparison import Difference, difference_of_draws
from evaluation.estimate import Estimate, subject_codes
from evaluation.gate import Check
from evaluation.value import DRAWS, measures_of_value, value_gains
from features.identity import column_hashes, features_sql
from models import clv, predictive
from models.predictive import After
from pipelines.kinds import Model, customers
from pipelines.kinds.probabilities import why
from sources.source import Source

QUESTION = ("source", "horizon_days", "active_days")
HEADLINE = ("gini", "normalised Gini")
NUMBER_OF_DRAWS = 100


def columns(source: Source) -> dict[str, str]:
    """Of all blocks that the source can feed."""
    return column_hashes(source.tables, source.attributes)


def sql(source: Source) -> str:
    """Of the same."""
    return features_sql(source.tables, source.attributes)


def load(folder: Path) -> clv.Clv:
    """As `models.clv.load`."""
    return clv.load(folder)


def subjects(source: Source, about: Mapping, origin: date, days: Mapping[str, Table] | None = None) -> pd.DataFrame:
    """As `pipelines.kinds.customers`."""
    return customers.subjects(source, about, origin, days)


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """As `pipelines.kinds.customers`."""
    return customers.judged_on(source, about, rows)


def selected(score: np.ndarray, about: Mapping) -> np.ndarray:
    """Those in whom an investment is expected to pay."""
    return worth(score, about) > 0


def worth(score: np.ndarray, about: Mapping) -> np.ndarray:
    """What an investment is expected to bring, in cents: its lift of the margin after the horizon, less its cost.

    That margin is taken in the proportion that the base's has to what was foretold of it, since a score tells no more.
    """
    what = Investment(**about["investment"])
    return what.lift * about["later_per_cent"] * np.asarray(score, dtype=float) - what.cents


def measured(rows: pd.DataFrame) -> Estimate:
    """The normalised Gini."""
    return measures_of_value(rows.outcome.to_numpy(dtype=float), rows.score.to_numpy(), rows.customer_id)["gini"]


def bands(score: np.ndarray, about: Mapping) -> np.ndarray:
    """high: above the border of a high value; low: below a quarter of it; middle: between."""
    score, border = np.asarray(score), about["borders"][0]
    return np.select([score > border, score < border / 4], [HIGH, LOW], MIDDLE)


def gains(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The measures of `evaluation.value`, the normalised Gini first."""
    y = rows.outcome.to_numpy(dtype=float)
    found = value_gains(y, rows.champion.to_numpy(), rows.score.to_numpy(), rows.customer_id, seed)
    return pd.DataFrame([(name, *d) for name, d in found.items()], columns=["measure", "gain", "low", "high", "p"])


def money(rows: pd.DataFrame, about: Mapping, seed: int) -> Difference:
    """What those in whom the second model would invest left as margin more than as many of the first model's."""
    y = rows.outcome.to_numpy(dtype=float) * about["terms"]["margin"]
    many = int(selected(rows.score.to_numpy(), about).sum())
    first, second = (_top(rows[name].to_numpy(), many) for name in ("champion", "score"))
    each = y * (second.astype(float) - first)
    codes = subject_codes(rows.customer_id, y.size)
    drawn = np.array([weight @ each for weight in drawn_subjects(codes, DRAWS, seed)])
    return difference_of_draws(float(each.sum()), drawn)


def _top(score: np.ndarray, many: int) -> np.ndarray:
    found = np.zeros(score.size, dtype=bool)
    found[np.argsort(-score, kind="stable")[:many]] = True
    return found


def slices(rows: pd.DataFrame, about: Mapping) -> pd.DataFrame:
    """The declared groups."""
    return value_gate.slices(rows, selected(rows.score.to_numpy(), about), int(about["seed"]))


def gate(rows: pd.DataFrame, rule: Mapping, about: Mapping, seed: int) -> tuple[list[Check], pd.DataFrame]:
    """As `evaluation.value_gate`."""
    return value_gate.gate(rows, rule, selected(rows.score.to_numpy(), about), seed)


def scored(model: Model, table: pd.DataFrame) -> pd.DataFrame:
    """Cents expected in the horizon, with interval, band and reasons; what the models of purchases and spend say; value
    in the days before it (lately_cents), in the horizon (present_cents) and after it (potential_cents), discounted and
    after costs; class and advice.
    """
    about, days = model.about, model.about["horizon_days"]
    after, terms = After(about["delta"], about["until_days"] or np.inf), Terms(**about["terms"])
    said = model.buying.said(table, days)
    share, scale = terms.share(said.expected_spend), model.scale(table, days)
    score = model.predict(table, days)
    rows = table[["customer_id"]].assign(score=score)
    lately = clv.last_window(table, days) * share
    rows = rows.join(_drawn(model, table, scale, share, lately, after))
    rows["band"] = bands(score, about)
    rows = rows.join(why(model, table, about)).join(said)
    rows["lately_cents"] = whole_cents(lately)
    rows["present_cents"] = whole_cents(score * share * np.exp(-after.delta * days / 2))
    rows["potential_cents"] = whole_cents(model.potential(table, days, after) * share)
    return rows


def _drawn(model: clv.Clv, table: pd.DataFrame, scale, share, lately: np.ndarray, after: After) -> pd.DataFrame:
    """Interval, class and advice of each customer, from draws made some customers at a time."""
    about, days, seed = model.about, model.about["horizon_days"], int(model.about["seed"])
    told, of, what = clv.histories(table), model.buying, Investment(**about["investment"])
    undiscounted, found = np.exp(after.delta * days / 2), []
    parts = predictive.draws(of.lifetime, of.spend, told, scale, days, NUMBER_OF_DRAWS, seed, after)
    for here, present, later in parts:
        low, high = predictive.interval(predictive.shifted(present, model.error, seed), model.held)
        left = share[here][:, None]
        one = pd.DataFrame({"low": low * undiscounted, "high": high * undiscounted}, index=table.index[here])
        classes = quadrants.quadrants(lately[here], (present + later) * left, tuple(about["value_borders"]))
        advice = quadrants.invest(later * left, what)
        found.append(pd.concat([one, classes.set_axis(one.index), advice.set_axis(one.index)], axis=1))
    return pd.concat(found)


def decide(scores: pd.DataFrame, table: pd.DataFrame, about: Mapping) -> tuple[pd.DataFrame, str]:
    """In whom to invest, with class, probabilities and costs; most gained first."""
    kept = [
        "customer_id", "advice", "p_gain", "expected_gain_cents", "quadrant", "p_improve", "p_vip", "p_maintain",
        "p_let_go", "cost_of_wrong", "lately_cents", "present_cents", "potential_cents",
    ]  # fmt: skip
    plan = scores[kept].rename(columns={"advice": "action"})
    plan = plan.sort_values(["expected_gain_cents", "customer_id"], ascending=[False, True], ignore_index=True)
    equity = int(scores.present_cents.sum() + scores.potential_cents.sum())
    return plan, f"{(plan.action == quadrants.INVEST).sum():,} to invest in, customer equity {equity / 100:,.2f}"
