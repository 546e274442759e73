"""optbinning as one uses it, in an environment of its own; called by `benchmarks/credit.py`.

    python -P benchmarks/credit_optbinning.py folds DATA OUT    # a probability for each row of each fold
    python -P benchmarks/credit_optbinning.py speed DATA OUT    # CPU seconds of binning all columns

DATA has the columns, `y` and, for `folds`, `fold`. A logistic regression on weights of evidence; missing and special
values get their own (its default would give them 0, which is kinder to nobody).
"""

import contextlib
import io
import sys
import time

import pandas as pd

with contextlib.redirect_stdout(io.StringIO()):  # importing it prints what solvers it has not
    from optbinning import BinningProcess
    from sklearn.linear_model import LogisticRegression


def main(what: str, data: str, out: str) -> None:
    """Write `p`, a row a row of DATA; or `cpu_seconds`."""
    table = pd.read_parquet(data)
    X, y = table.drop(columns=["y", "fold"], errors="ignore"), table["y"].to_numpy()
    if what == "speed":
        before = time.process_time()
        process(X).fit(X, y)
        pd.DataFrame({"cpu_seconds": [time.process_time() - before]}).to_parquet(out)
        return
    p = pd.Series(0.0, index=table.index, name="p")
    for fold in sorted(table["fold"].unique()):
        learn, rank = table["fold"] != fold, table["fold"] == fold
        bins = process(X).fit(X[learn], y[learn])
        evidence, new = (bins.transform(X[rows], "woe", "empirical", "empirical") for rows in (learn, rank))
        p[rank] = LogisticRegression(max_iter=1000).fit(evidence, y[learn]).predict_proba(new)[:, 1]
    p.to_frame().to_parquet(out)


def process(X: pd.DataFrame) -> BinningProcess:
    """Its binning of all columns, with its defaults, on one thread."""
    texts = X.select_dtypes(exclude="number").columns.tolist()
    return BinningProcess(X.columns.tolist(), categorical_variables=texts, n_jobs=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
