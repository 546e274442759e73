"""How well does `models.boosting` rank, against the peers that anyone would try first?

    python benchmarks/accuracy.py --data telco --data german --effort standard

Five folds, stratified, shuffled with seed 42; each model learns from four and ranks the fifth. Printed for each data
set: the mean AUC of the folds, each rival's, the difference to ours with its 95 % interval, and the CPU seconds of a
fit. The interval is DeLong's on the rows of a fold, averaged over the folds: their test rows are independent.

The Complete Journey is judged in time: the five latest origins whose outcomes have matured, each by models of the
origins at least a horizon before it. A household is in several of them, so that the interval draws households.

Data come through the project's own sources where it has one. Two larger sets are files that are read where a folder
`shared/data` lies beside the checkout; elsewhere they are "not here".
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import typer
import xgboost as xgb
from scipy.special import ndtri
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from contracts.errors import Refused
from evaluation.bootstrap import resamples
from evaluation.calibration import calibration_error
from evaluation.comparison import auc_difference
from evaluation.ranking import auc
from evaluation.tie_groups import tie_groups
from features.subjects import frame
from models import boosting
from sources import open_source
from training_table import feature_columns, plan, training_table

FOLDS, SEED, DRAWS, HORIZON = 5, 42, 500, 28
OURS = "ours"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


class Data(NamedTuple):
    """Features as float64 and category, and the outcome 0 or 1, one entry a row."""

    X: pd.DataFrame
    y: np.ndarray
    subjects: np.ndarray | None = None
    parts: list[tuple[np.ndarray, np.ndarray]] | None = None  # rows to learn from and to rank, where time decides


class NotHere(Exception):
    """The data are not on this machine."""


def from_source(name: str) -> Data:
    """A flat source of the project, in the order of its ids."""
    try:
        table = open_source(name).tables["given"].order_by("customer_id").to_pandas()
    except Refused as absent:
        raise NotHere(str(absent)) from absent
    table = table[table.outcome.notna()].drop(columns="customer_id")
    return _typed(table.drop(columns="outcome"), table.outcome.to_numpy(dtype=float))


def taiwan() -> Data:
    """Default of credit card clients, 30,000 rows: UCI 350."""
    table = _file("taiwan_credit.parquet").drop(columns="ID")
    return _typed(table.drop(columns="default.payment.next.month"), table["default.payment.next.month"].to_numpy(float))


def bank_marketing() -> Data:
    """Calls of a bank, 41,188 rows: UCI 222. Without `duration`, which is known only after the call."""
    table = _file("bank_marketing.parquet").drop(columns="duration")
    return _typed(table.drop(columns="y"), (table.y == "yes").to_numpy(float))


def complete_journey() -> Data:
    """28-day lapse of those who bought in the 91 days before; the five latest matured origins of 2018-01-02."""
    source = open_source("complete_journey")
    study = plan(source.tables, "2018-01-02", HORIZON, 12, HORIZON, 91)
    table = frame(training_table(source.tables, source.attributes, study, 91))
    origin = pd.to_datetime(table.origin)
    latest = np.sort(origin.unique())[-FOLDS:]
    embargo = pd.Timedelta(days=HORIZON)
    parts = [(np.flatnonzero(origin <= day - embargo), np.flatnonzero(origin == day)) for day in latest]
    data = _typed(table[feature_columns(table)], table.outcome.to_numpy(dtype=float))
    return data._replace(subjects=table.customer_id.to_numpy(), parts=parts)


DATA: dict[str, Callable[[], Data]] = {
    "complete_journey": complete_journey,
    "telco": lambda: from_source("telco"),
    "mlc_churn": lambda: from_source("mlc_churn"),
    "credit_data": lambda: from_source("credit_data"),
    "german": lambda: from_source("german"),
    "taiwan": taiwan,
    "bank_marketing": bank_marketing,
}


def histogram_boosting(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame) -> np.ndarray:
    """scikit-learn's HistGradientBoosting, its defaults, native categories."""
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    return model.fit(X, y).predict_proba(new)[:, 1]


def default_xgboost(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame) -> np.ndarray:
    """XGBoost, its defaults, native categories."""
    return xgb.XGBClassifier(enable_categorical=True, n_jobs=1, random_state=0).fit(X, y).predict_proba(new)[:, 1]


def logistic_regression(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame) -> np.ndarray:
    """scikit-learn's, its defaults, standardised numbers (median where missing, told apart) and indicators."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, y).predict_proba(new)[:, 1]


def recency(X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame) -> np.ndarray:
    """The naive rule: the longer silent, the likelier gone."""
    return new["recency_days"].to_numpy()


RIVALS = {"HistGradientBoosting": histogram_boosting, "XGBoost": default_xgboost, "logistic": logistic_regression}


def measure(data: Data, effort: str) -> pd.DataFrame:
    """One row a model: auc, ahead (ours minus it) with low and high, cpu_seconds of a fit with its predictions."""

    models = {OURS: None, **RIVALS}
    if "recency_days" in data.X.columns:
        models["recency alone"] = recency
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    areas, differences, seconds, tested = [], [], [], []
    for learn, test in data.parts or folds.split(data.X, data.y):
        subjects = None if data.subjects is None else data.subjects[learn]

        def ours(X, y, new, subjects=subjects):
            return boosting.fit(X, y, subjects=subjects, effort=effort).predict(new)

        models[OURS] = ours
        scores, spent = {}, {}
        for name, model in models.items():
            before = time.process_time()
            with threadpool_limits(1):
                scores[name] = model(data.X.iloc[learn], data.y[learn], data.X.iloc[test])
            spent[name] = time.process_time() - before
        y = data.y[test]
        areas.append({name: auc(y, score) for name, score in scores.items()})
        differences.append({name: auc_difference(y, scores[OURS], score) for name, score in scores.items()})
        seconds.append(spent)
        tested.append((test, scores))
    if data.parts is None:
        found = {name: mean_difference([fold[name] for fold in differences]) for name in models}
    else:
        _print_parts(data, tested, areas)
        found = _drawn_difference(data, tested)
    table = pd.DataFrame(found, index=["ahead", "low", "high"]).T
    table.insert(0, "auc", pd.DataFrame(areas).mean())
    return table.assign(cpu_seconds=pd.DataFrame(seconds).mean())


def mean_difference(folds: list) -> tuple[float, float, float]:
    """Mean over folds; independent errors add in squares."""
    z = ndtri(0.975)
    mean = np.mean([fold.value for fold in folds])
    error = np.sqrt(sum(((fold.high - fold.low) / 2 / z) ** 2 for fold in folds)) / len(folds)
    return float(mean), float(mean - z * error), float(mean + z * error)


def _drawn_difference(data: Data, tested: list) -> dict[str, tuple[float, float, float]]:
    """Ours minus each, mean over the parts, and the 2.5 % and 97.5 % points over draws of subjects."""
    groups = [{name: tie_groups(score) for name, score in scores.items()} for _, scores in tested]

    def areas(weight: np.ndarray) -> dict[str, float]:
        parts = zip(tested, groups, strict=True)
        each = [{n: g.counts(data.y[rows], weight[rows]).auc() for n, g in by.items()} for (rows, _), by in parts]
        return pd.DataFrame(each).mean().to_dict()

    codes = np.unique(data.subjects, return_inverse=True)[1]
    drawn = pd.DataFrame([areas(weight) for weight in resamples(data.y, codes, DRAWS, SEED)])
    value, ahead = areas(np.ones(data.y.size)), drawn.rsub(drawn[OURS], axis=0)
    return {n: (value[OURS] - value[n], ahead[n].quantile(0.025), ahead[n].quantile(0.975)) for n in value}


def _print_parts(data: Data, tested: list, areas: list) -> None:
    """The AUC of each model at each origin, and the calibration error of ours, ten bins of equal size."""
    rows = [
        area | {"ece of ours": calibration_error(data.y[test], scores[OURS])}
        for (test, scores), area in zip(tested, areas, strict=True)
    ]
    print(pd.DataFrame(rows).rename_axis("origin, earliest first").to_string(float_format="{:.4f}".format), flush=True)


def _file(name: str) -> pd.DataFrame:
    if not (BESIDE / name).exists():
        raise NotHere(f"{name} is not in {BESIDE}.")
    return pd.read_parquet(BESIDE / name)


def _typed(X: pd.DataFrame, y: np.ndarray) -> Data:
    numbers = X.select_dtypes(include=["number", "bool"]).columns
    typed = X.astype({name: "float64" if name in numbers else "category" for name in X.columns})
    return Data(typed, y)


def main(
    data: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(DATA)}; may be given again. All.")] = None,
    effort: Annotated[str, typer.Option(help=f"One of {', '.join(boosting.EFFORTS)}.")] = "standard",
) -> None:
    """Print a table for each data set."""
    data = data or list(DATA)
    unknown = [name for name in data if name not in DATA]
    if unknown or effort not in boosting.EFFORTS:
        print(f"data must be of {', '.join(DATA)} and effort of {', '.join(boosting.EFFORTS)}.", file=sys.stderr)
        raise typer.Exit(2)
    for name in data:
        try:
            rows = DATA[name]()
        except NotHere as absent:
            print(f"\n{name}: not here. {absent}", flush=True)
            continue
        print(f"\n{name}: {len(rows.y):,} rows, {rows.y.mean():.1%} with the outcome", flush=True)
        print(measure(rows, effort).to_string(float_format="{:.4f}".format), flush=True)


if __name__ == "__main__":
    typer.run(main)
