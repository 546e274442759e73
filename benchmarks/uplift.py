"""Do the learners of effects rank well where money was at stake, and are they quick?

    python benchmarks/uplift.py --accuracy
    python benchmarks/uplift.py --speed --rows 200000

Accuracy: a mailing of an insurer whose letters were drawn by chance. All learners learn from one half and rank the
other, then the other way round. Printed for each: the doubly robust Qini per 10,000 heads, out of fold in the half it
learnt from, and on the other half, with its 95 % interval; for the learner that the rule picks, the gain on the plain
response model too, and the mean of both ways. The file is read where a folder `shared/data` lies beside the checkout;
elsewhere it is "not here".

Speed: the default set of learners, five-fold cross-fitted, on generated rows with 50 columns and a binary outcome,
against the same learners of causalml, each in a process of its own with two threads (`uplift_child.py`).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from feature_children import HERE, NotHere, interpreter, run
from feature_data import FOLDER

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from evaluation.comparison import Difference
from evaluation.estimate import Estimate, Z, normal_interval
from evaluation.uplift import qini_difference, qini_interval
from models import uplift
from models.uplift_learners import CLASS, RESPONSE
from models.uplift_pick import pick

MAILING = Path(__file__).resolve().parents[2] / "shared" / "data" / "insurance_mail_rct.parquet"
HEADS, COLUMNS = 10_000, 50
ALL = (*uplift.DEFAULT, *((CLASS, base) for base in uplift.BASES))


def accuracy() -> None:
    """Both ways, and the mean of the two."""
    if not MAILING.exists():
        print(f"insurance mailing: not here. {MAILING.name} is not in {MAILING.parent}.")
        return
    rows = pd.read_parquet(MAILING)
    halves = {name: rows[rows.part == name].reset_index(drop=True) for name in ("train", "valid")}
    columns = [name for name in rows.columns if name not in ("TREATMENT", "PURCHASE", "UNIQUE_ID", "part")]
    fitted = {name: _fit(half[columns], half) for name, half in halves.items()}
    found = []
    for learnt, judged in (("train", "valid"), ("valid", "train")):
        effect = np.diff(fitted[judged].scores, axis=1)[:, 0]
        picked, contest = pick(fitted[learnt])
        said = {name: m.effect(halves[judged][columns])[:, 0] for name, m in fitted[learnt].models.items()}
        names = list(zip(contest.learner, contest.base, strict=True))
        other = pd.DataFrame([qini_interval(effect, said[name]) for name in names]) * HEADS
        table = pd.DataFrame(
            {"out of fold": contest.qini * HEADS, **other.set_axis(["other half", "low", "high"], axis=1)}
        )
        print(f"\nlearnt from {learnt}, judged on {judged}: doubly robust Qini per 10,000 heads")
        print(table.set_axis([f"{base} {learner}" for learner, base in names]).to_string(float_format="{:.0f}".format))
        name = (picked.learner, picked.base)
        ahead = {base: qini_difference(effect, said[name], said[RESPONSE, base]) for base in uplift.BASES}
        for base, gain in ahead.items():
            print(f"picked {picked.name}: ahead of {base} response by {gain.value * HEADS:.0f} "
                  f"({gain.low * HEADS:.0f} to {gain.high * HEADS:.0f})", flush=True)  # fmt: skip
        found.append((qini_interval(effect, said[name]), *ahead.values()))
    for what, both in zip(("Qini", *(f"ahead of {base} response" for base in uplift.BASES)), zip(*found, strict=True),
                          strict=True):  # fmt: skip
        print("mean of the picked, {}: {:.0f} ({:.0f} to {:.0f})".format(what, *np.multiply(_mean_of(both), HEADS)))


def _mean_of(halves: Sequence[Estimate | Difference]) -> Estimate:
    """Of estimates on halves that share no customer, with its interval."""
    error = np.sqrt(sum(((of.high - of.low) / 2 / Z) ** 2 for of in halves)) / len(halves)
    return normal_interval(np.mean([of.value for of in halves]), error)


def _fit(X: pd.DataFrame, half: pd.DataFrame) -> uplift.Fitted:
    arm = half.TREATMENT.to_numpy(dtype=int)
    share = np.tile([1 - arm.mean(), arm.mean()], (len(arm), 1))
    return uplift.fit(X, half.PURCHASE, arm, share, learners=ALL)


def speed(rows: int) -> None:
    """Seconds on the clock and of the processors, and the ratio to ours."""
    file = generated(rows)
    print(f"\n{rows:,} rows x {COLUMNS} columns, five folds, two threads")
    print(f"{'':10}{'wall s':>9}{'cpu s':>9}{'of ours':>9}{'GB':>7}", flush=True)
    ours = None
    for name, environment in (("ours", ""), ("causalml", "uplift")):
        try:
            cost = run([interpreter(environment), "-P", str(HERE / "uplift_child.py"), name, str(file)])
        except NotHere as absent:
            print(f"{name:10}  not here: {absent}")
            continue
        ours = ours or cost
        ratio = f"{cost.cpu / ours.cpu:8.2f}x"
        print(f"{name:10}{cost.wall:9.1f}{cost.cpu:9.1f}{ratio}{cost.memory:7.2f}  {cost.failed}", flush=True)


def generated(rows: int) -> Path:
    """Columns, an even arm, and who buys: a base rate near 20 % that ten columns move, an effect that two others do."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"uplift_{rows}.npz"
    if not file.exists():
        draw = np.random.default_rng(7)
        X = draw.normal(size=(rows, COLUMNS))
        arm = draw.integers(0, 2, rows)
        base = 0.2 + 0.04 * np.tanh(X[:, :10]).sum(axis=1) / np.sqrt(10)
        y = draw.uniform(size=rows) < base + arm * 0.05 * ((X[:, 10] > 0) - 0.5 * (X[:, 11] > 1))
        np.savez(file, X=X.astype(np.float32), arm=arm, y=y.astype(float))
    return file


def main(
    only_accuracy: Annotated[bool, typer.Option("--accuracy", help="Only how well they rank.")] = False,
    only_speed: Annotated[bool, typer.Option("--speed", help="Only what they cost.")] = False,
    rows: Annotated[int, typer.Option(min=1000, help="Generated rows, for the speed.")] = 200_000,
) -> None:
    """Print both, unless only one is asked for."""
    if not only_speed:
        accuracy()
    if not only_accuracy:
        speed(rows)


if __name__ == "__main__":
    typer.run(main)
