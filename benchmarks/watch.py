"""How often does the watch raise a false alarm, and how often does it find a shift? On the simulated world.

    python benchmarks/watch.py --months 100

A month is a number of customers of the world with their features and the score of a regression that was trained on
others. A quiet month has other customers of the same origin than the reference, drawn anew each time: the features have
the ties, gaps and levels of a company, and nothing moved. In a shifted month one thing is moved by a quarter of its
standard deviation, for everybody: the log-odds of the score, or a number among the features, another one in each month.
An alarm is any column that `evaluation.drift.drift` calls moved, by the limit of `pipelines/parameters.yml`. Beside it:
an index above the textbook's 0.1 or 0.2 in any column.
"""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from headroom import ACTIVE, HORIZON, ORIGINS, SPACING, made  # it takes this folder off the path

from evaluation.calibration import log_odds, wilson
from evaluation.drift import drift
from evaluation.validation import stability_index
from features.subjects import frame
from models import churn
from pipelines.parameters import settings
from training_table import feature_columns, plan, training_table

SHIFT, REFERENCE = 0.25, 4000


def subjects(customers: int, seed: int) -> pd.DataFrame:
    """Features and log-odds of the customers at the latest matured origin, who were not learnt from."""
    with tempfile.TemporaryDirectory() as folder:
        known = made(customers, seed, Path(folder))
        as_of = f"{known.day(known.world.days)}"
        study = plan(known.source.tables, as_of, HORIZON, ORIGINS, SPACING, ACTIVE)
        table = frame(training_table(known.source.tables, known.source.attributes, study, ACTIVE))
    last = table.origin == table.origin.max()
    learnt = table.customer_id.astype(str).map(lambda name: hash_of(name) % 4 == 0)
    columns = feature_columns(table)
    model = churn.fit(churn.LOGISTIC, table[learnt & ~last], columns, "fast", 1)
    rows = table[last & ~learnt].reset_index(drop=True)
    return rows[columns].copy().assign(score=log_odds(model.predict(rows)))


def hash_of(name: str) -> int:
    """A number that is the same in each process."""
    return int.from_bytes(name.encode()[-4:], "big")


def month(rows: pd.DataFrame, now: int, seed: int, shift: str) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The reference, the subjects of a month, and which column was shifted, if any."""
    draw = np.random.default_rng([seed, 5])
    order = draw.permutation(len(rows))
    then, later = rows.iloc[order[now : now + REFERENCE]], rows.iloc[order[:now]].copy()
    numbers = [n for n in rows.columns if rows[n].dtype == "float64" and n != "score" and rows[n].std() > 0]
    named = {"": "", "score": "score", "feature": str(draw.choice(numbers))}[shift]
    if named:
        later[named] = later[named] + SHIFT * rows[named].std()
    return then, later, named


def main(
    months: Annotated[int, typer.Option(help="Of each kind.")] = 100,
    now: Annotated[int, typer.Option(help="Subjects in a month.")] = 1000,
    customers: Annotated[int, typer.Option(help="Of the world.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the world.")] = 7,
):
    """Print the shares of months with an alarm, with Wilson intervals."""
    limit = settings()["watch"]["shift"]
    rows = subjects(customers, seed)
    if len(rows) < REFERENCE + now:
        raise SystemExit(f"{REFERENCE + now:,} customers are needed, but {len(rows):,} are there: more --customers.")
    print(f"{len(rows):,} customers, {rows.shape[1]} columns with the score; {REFERENCE:,} then and {now:,} now")
    for name, shift in (("quiet", ""), (f"score {SHIFT:g} sd", "score"), (f"a feature {SHIFT:g} sd", "feature")):
        started, alarms, missed, textbook = time.process_time(), [], [], []
        for k in range(months):
            then, later, named = month(rows, now, k, shift)
            found = drift(then, later, limit, k).set_index("column")
            alarms.append(bool(found.moved.any()))
            if named and not found.moved[named]:
                missed.append(named)
            indices = [stability_index(then[n], later[n])[0] for n in ([named] if named else rows.columns)]
            textbook.append([max(indices) > bound for bound in (0.1, 0.2)])
        low, high = wilson(np.mean(alarms), months)
        usual = ", ".join(f"{share:.0%} by {b}" for share, b in zip(np.mean(textbook, axis=0), (0.1, 0.2), strict=True))
        print(
            f"{name:18} alarm in {sum(alarms)} of {months} ({low:.1%} to {high:.1%}); textbook: {usual}; "
            f"{(time.process_time() - started) / months:.1f} CPU s a month"
            f"{f'; column not named: {missed}' if missed else ''}",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
