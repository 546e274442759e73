"""Are our Qini and AUUC, converted, those of scikit-uplift and causalml on the same data, and what do they cost?

    python benchmarks/uplift_metrics.py

Both peers live in an environment of their own (`peers.txt`), made at the first call. Each seed is a campaign of 500
customers, a binary outcome and no equal scores: the numbers of both are printed side by side, and those of the first
three seeds stand in the tests. Then what each says of revenue and of rows in another order, and the processor seconds
of 10 million rows.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

HERE = Path(__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() not in (HERE, HERE.parent)]
sys.path.append(str(HERE))  # after src: a script here has the name of the room `features`

from feature_children import NotHere, interpreter
from uplift_peers import SEEDS, SHARE, campaign, revenue

from evaluation import uplift
from evaluation import uplift_conversions as to
from evaluation.arm_values import effect_scores

TREATED_SHARE = 0.4


def numbers(seed: int) -> dict[str, float]:
    """Our conversions, by the names of the peers' functions."""
    of = campaign(seed)
    return {
        "scikit-uplift uplift_auc_score": to.scikit_uplift_auuc(*of),
        "scikit-uplift qini_auc_score": to.scikit_uplift_qini(*of),
        "scikit-uplift uplift_at_k": to.scikit_uplift_at(*of, SHARE),
        "causalml auuc_score": to.causalml_auuc(*of),
        "causalml auuc_score, raw": to.causalml_auuc(*of, normalised=False),
        "causalml qini_score": to.causalml_qini(*of),
        "causalml qini_score, raw": to.causalml_qini(*of, normalised=False),
    }


def elsewhere() -> dict[str, str]:
    """Ours on revenue, in cents per head, and on the rows in two orders where scores are tied."""
    outcome, treated, score = campaign(0)
    money = uplift.qini_interval(effect_scores(revenue(outcome), treated, TREATED_SHARE), score)
    effect, tied = effect_scores(outcome, treated, TREATED_SHARE), np.round(score)
    both = [uplift.qini(effect[rows], tied[rows]) for rows in (slice(None), slice(None, None, -1))]
    return {
        "ours on revenue": "{:.1f} cents a head ({:.1f} to {:.1f})".format(*money),
        "ours on tied scores, forwards and backwards": " and ".join(f"{value:.6f}" for value in both),
    }


def seconds(rows: int) -> pd.Series:
    """Processor seconds of each of ours on revenue of so many rows."""
    outcome, treated, score = campaign(2, rows)
    value, expected = revenue(outcome), np.column_stack([score, score + 1])
    spent, before = {}, time.process_time()
    effect = effect_scores(value, treated, TREATED_SHARE, expected)
    spent["doubly robust scores"] = time.process_time() - before
    for measure in (uplift.qini, uplift.auuc, uplift.autoc, uplift.qini_interval):
        before = time.process_time()
        measure(effect, score)
        spent[measure.__name__] = time.process_time() - before
    return pd.Series(spent)


def main(
    rows: Annotated[int, typer.Option(help="Of the timing.")] = 10_000_000,
    peers: Annotated[bool, typer.Option(help="Compare with the peers.")] = True,
):
    """Print the tables."""
    try:
        asked = [interpreter("uplift"), str(HERE / "uplift_peers.py")] if peers else []
    except NotHere as absent:
        print(f"the peers are not here: {absent}")
        asked = []
    if asked:
        told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        theirs, mine = pd.DataFrame(told["numbers"]).T, pd.DataFrame([numbers(seed) for seed in range(SEEDS)]).T
        shown = pd.DataFrame({f"theirs, seed {seed}": theirs[seed] for seed in range(3)} | {"ours, seed 0": mine[0]})
        shown[f"largest difference, {SEEDS} seeds"] = (theirs - mine).abs().max(axis=1)
        print(shown.to_string(float_format="{:.12g}".format), "\n")
        print("\n".join(f"{what}: {said}" for what, said in (told["elsewhere"] | elsewhere()).items()), "\n")
    print(f"{rows:,} rows, processor seconds")
    print(seconds(rows).to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    typer.run(main)
