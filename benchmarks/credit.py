"""How well do scorecard and challengers rank defaults, how fast is a column binned and a row scored?

    python benchmarks/credit.py                  # all of it
    python benchmarks/credit.py --what accuracy --data german

accuracy    Five folds, stratified, shuffled with seed 42; the mean AUC of the folds, each model's lead over optbinning
            (a logistic regression on its weights of evidence, same rows, same run) with a 95 % interval, paired: DeLong
            on the rows of a fold, averaged over the folds. `given up` is what the scorecard's AUC lacks to the model's
binning     150,000 rows x 100 columns, half numbers with ties and missing values, half of them skewed, and ten
            categories: CPU seconds of ours and of optbinning's, one thread each
sql         10 M rows, 12 columns, by the generated SQL in DuckDB, into a table: CPU seconds of all
            threads, which a busy machine does not change, and seconds on the clock

optbinning gets an environment of its own (`peers.txt`). A data set or peer that is not on this machine is "not here".
The exit code is 1 where a bar that is printed was missed.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import duckdb
import numpy as np
import pandas as pd
import typer
from feature_children import NotHere as NoPeer
from feature_children import interpreter, run
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

HERE = Path(__file__).resolve().parent

# it puts this folder out of the way: a script here has the name of the room `features`
from accuracy import DATA, FOLDS, SEED, Data, NotHere, mean_difference

from evaluation.comparison import auc_difference
from evaluation.ranking import auc
from models import boosting, scorecard
from models.binning import Binning
from models.credit import directions
from models.encoding import UNSEEN, Encoder
from models.points_sql import sql
from models.portfolio import ADDITIVE

SETS = ("german", "taiwan", "credit_data")
PEER = "optbinning"
MODELS = {
    "scorecard": lambda X, y: scorecard.fit(X, y),
    "additive": lambda X, y: boosting.fit_one(X, y, recipe=ADDITIVE),
    "boosted, monotone": lambda X, y: boosting.fit_one(X, y, directions=directions(X, y)),
    "boosted": lambda X, y: boosting.fit_one(X, y),
    "portfolio": lambda X, y: boosting.fit(X, y, effort="standard"),
}
BARS = {
    ("german", "scorecard"): 0.775, ("taiwan", "scorecard"): 0.768, ("credit_data", "scorecard"): 0.835,
    ("german", "boosted"): 0.783, ("taiwan", "boosted"): 0.783,
    ("german", "portfolio"): 0.785, ("taiwan", "portfolio"): 0.784,
}  # fmt: skip
BINNED, TIMES_FASTER = (150_000, 100), 5
SCORED, SECONDS = 10_000_000, 10


def accuracy(name: str, data: Data) -> bool:
    """Print a row a model; whether all bars were kept."""
    parts = [test for _, test in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(data.X, data.y)]
    foretold, seconds = {}, {}
    for model, fit in MODELS.items():
        before, foretold[model] = time.process_time(), np.empty(len(data.y))
        for test in parts:
            learn = np.setdiff1d(np.arange(len(data.y)), test)
            with threadpool_limits(1):
                foretold[model][test] = fit(data.X.iloc[learn], data.y[learn]).predict(data.X.iloc[test])
        seconds[model] = (time.process_time() - before) / FOLDS
    peer = _peer_folds(data, parts)
    if peer is not None:
        foretold[PEER] = peer
    rows = {model: _row(name, model, data.y, foretold, parts) for model in foretold}
    table = pd.DataFrame(rows).T.assign(cpu_seconds=pd.Series(seconds))
    print(table.to_string(float_format="{:.4f}".format, na_rep=""), flush=True)
    behind = peer is not None and table.loc["scorecard", "high"] < 0
    return not behind and bool((table.auc >= table.bar.fillna(0)).all())


def _row(name: str, model: str, y: np.ndarray, foretold: dict[str, np.ndarray], parts: list[np.ndarray]) -> dict:
    found = {"auc": np.mean([auc(y[test], foretold[model][test]) for test in parts]), "bar": BARS.get((name, model))}
    found |= dict.fromkeys(("ahead", "low", "high"), np.nan)
    if PEER in foretold and model != PEER:
        found |= dict(zip(("ahead", "low", "high"), _difference(y, foretold, model, PEER, parts), strict=True))
    up = _difference(y, foretold, model, "scorecard", parts)
    return found | dict(zip(("given up", "from", "to"), up, strict=True))


def _difference(y: np.ndarray, foretold: dict, first: str, second: str, parts: list[np.ndarray]) -> tuple:
    return mean_difference([auc_difference(y[t], foretold[first][t], foretold[second][t]) for t in parts])


def _peer_folds(data: Data, parts: list[np.ndarray]) -> np.ndarray | None:
    fold = np.empty(len(data.y), dtype=int)
    for number, test in enumerate(parts):
        fold[test] = number
    texts = {column: data.X[column].astype("str") for column in data.X.select_dtypes("category")}
    found = _peer("folds", data.X.assign(**texts, y=data.y.astype(int), fold=fold))
    return None if found is None else found["p"].to_numpy()


def _peer(what: str, table: pd.DataFrame) -> pd.DataFrame | None:
    """What the peer says of a table; None, and a line, where it is not here."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder) / "data.parquet", Path(folder) / "out.parquet"
        table.to_parquet(data)
        try:
            python = interpreter(PEER)
        except NoPeer as absent:
            print(f"{PEER}: not here. {absent}", flush=True)
            return None
        cost = run([python, "-P", str(HERE / "credit_optbinning.py"), what, str(data), str(out)])
        if cost.failed:
            print(f"{PEER}: {cost.failed}", flush=True)
            return None
        return pd.read_parquet(out)


def binning() -> bool:
    """Print the seconds of both; whether ours is as much faster as it must be."""
    X, y = _wide(*BINNED)
    before = time.process_time()
    with threadpool_limits(1):
        encoder = Encoder.learn(X)
        learned = Binning.learn(encoder.encode(X, UNSEEN, np.float64), y, encoder.is_category)
        learned.information()
    ours = time.process_time() - before
    found = _peer("speed", X.assign(y=y.astype(int)))
    print(f"binning {len(X):,} rows x {X.shape[1]} columns: ours {ours:.1f} CPU s", end="")
    if found is None:
        print(flush=True)
        return True
    theirs = found["cpu_seconds"].item()
    print(f", {PEER} {theirs:.1f} CPU s, {theirs / ours:.1f} times as much (bar: {TIMES_FASTER})", flush=True)
    return theirs >= TIMES_FASTER * ours


def _wide(rows: int, columns: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers of three kinds and categories; a third of them tell something of the outcome."""
    draw = np.random.default_rng(SEED)
    hidden = draw.normal(size=(rows, columns))
    made = {}
    for k in range(columns):
        value = hidden[:, k]
        kinds = (value, np.round(np.exp(value), 1), np.floor(5 * np.abs(value)))
        made[f"c{k}"] = np.where(hidden[:, k - 1] > 1.6, np.nan, kinds[k % 3])
        if k % 10 == 9:
            made[f"c{k}"] = pd.Series(np.floor(6 * np.abs(value)).astype(int)).map("level {}".format)
    eta = -2 + 0.15 * hidden[:, ::3].sum(axis=1)
    return pd.DataFrame(made), (draw.random(rows) < 1 / (1 + np.exp(-eta))).astype(float)


def scoring() -> bool:
    """Print the seconds of scoring in DuckDB; whether they are few enough."""
    X, y = _wide(20_000, 12)
    card = scorecard.fit(X, y).table
    with duckdb.connect() as database:
        database.register("few", X.assign(id=np.arange(len(X))))
        copies = SCORED // len(X)
        database.execute(f"create table many as select few.* from few, range({copies})")
        wall, cpu = time.perf_counter(), time.process_time()
        database.execute(f"create table scores as {sql(card, 'many', ['id'])}")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        scored, total = database.execute("select count(*), sum(score) from scores").fetchone()
    assert total == copies * int(card.score(X).sum()), "the database has scored otherwise than the table of points"
    took = f"{cpu:.1f} CPU s (bar: {SECONDS}), {wall:.1f} s on the clock"
    print(f"{scored:,} rows by {len(card.bins)} columns scored in {took}", flush=True)
    return cpu < SECONDS


def main(
    what: Annotated[list[str] | None, typer.Option(help="Of accuracy, binning, sql; may be given again. All.")] = None,
    data: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(SETS)}; may be given again. All.")] = None,
) -> None:
    """Print what was asked for; exit code 1 where a bar was missed, 2 for a name that is none."""
    what, data = what or ["accuracy", "binning", "sql"], data or list(SETS)
    if not (set(what) <= {"accuracy", "binning", "sql"} and set(data) <= set(SETS)):
        print(f"what must be of accuracy, binning, sql and data of {', '.join(SETS)}.", file=sys.stderr)
        raise typer.Exit(2)
    kept = []
    for name in data if "accuracy" in what else ():
        try:
            rows = DATA[name]()
        except NotHere as absent:
            print(f"\n{name}: not here. {absent}", flush=True)
            continue
        print(f"\n{name}: {len(rows.y):,} rows, {rows.y.mean():.1%} bad", flush=True)
        kept.append(accuracy(name, rows))
    print()
    kept += [binning()] if "binning" in what else []
    kept += [scoring()] if "sql" in what else []
    raise typer.Exit(0 if all(kept) else 1)


if __name__ == "__main__":
    typer.run(main)
