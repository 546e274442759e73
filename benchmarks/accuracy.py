"""How well does `models.boosting` rank, against the peers that anyone would try first?

    PYTHONPATH=src python benchmarks/accuracy.py --data telco --data german --effort standard

Five folds, stratified, shuffled with seed 42; each model learns from four and ranks the fifth. Printed for each data
set: the mean AUC of the folds, each rival's, the difference to ours with its 95 % interval, and the CPU seconds of a
fit. The interval is DeLong's on the rows of a fold, averaged over the folds: their test rows are independent.

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

from contracts.errors import Refused
from evaluation.comparison import auc_difference
from evaluation.ranking import auc
from models import boosting
from sources import open_source

FOLDS, SEED = 5, 42
OURS = "ours"
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


class Data(NamedTuple):
    """Features as float64 and category, and the outcome 0 or 1, one entry a row."""

    X: pd.DataFrame
    y: np.ndarray


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


# A relational source joins here: a function that gives its training table as `Data`.
DATA: dict[str, Callable[[], Data]] = {
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


RIVALS = {"HistGradientBoosting": histogram_boosting, "XGBoost": default_xgboost, "logistic": logistic_regression}


def measure(data: Data, effort: str) -> pd.DataFrame:
    """One row a model: auc, ahead (ours minus it) with low and high, cpu_seconds of a fit with its predictions."""

    def ours(X, y, new):
        return boosting.fit(X, y, effort=effort).predict(new)

    models = {OURS: ours, **RIVALS}
    areas, differences, seconds = [], [], []
    for learn, test in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(data.X, data.y):
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
    found = {name: _mean_difference([fold[name] for fold in differences]) for name in models}
    table = pd.DataFrame(found, index=["ahead", "low", "high"]).T
    table.insert(0, "auc", pd.DataFrame(areas).mean())
    return table.assign(cpu_seconds=pd.DataFrame(seconds).mean())


def _mean_difference(folds: list) -> tuple[float, float, float]:
    """Mean over folds; independent errors add in squares."""
    z = ndtri(0.975)
    mean = np.mean([fold.value for fold in folds])
    error = np.sqrt(sum(((fold.high - fold.low) / 2 / z) ** 2 for fold in folds)) / len(folds)
    return float(mean), float(mean - z * error), float(mean + z * error)


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
