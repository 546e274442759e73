"""Pictures of a run that no notebook draws: what a challenger gains, with intervals."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from contracts.places import root
from evaluation.strategy import StrategyCurve

WORDS = {
    "auc": "AUC",
    "pr_auc": "precision, mean over recall",
    "lift_10": "lift in the first tenth",
    "h_measure": "H-measure",
    "empc": "EMPC",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "calibration error",
}


def save(figure, file: Path) -> None:
    """Write a figure, the same bytes each time, and close it."""
    import matplotlib.pyplot as plt

    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)


def still_right(done, measure: str):
    """What `pipelines.watch` found in three panels.

    The scores of then and now, the columns that moved most, the headline measure when it was judged and since.
    """
    import matplotlib.pyplot as plt

    with plt.style.context(root() / "notebooks" / "house.mplstyle"):
        figure, (scores, columns, since) = plt.subplots(1, 3, figsize=(12.5, 4.2), width_ratios=(1.2, 1.4, 0.8))
        word = " (simulated)" if done.simulated else ""
        figure.suptitle(
            f"Is {done.model} version {done.version.number} still right on {done.as_of}? {done.verdict.title()}.{word}",
            x=0.01, ha="left", fontweight="bold", fontsize=14,
        )  # fmt: skip
        bins = np.histogram_bin_edges(np.concatenate([done.then.score, done.now.score]), 20)
        for rows, name in ((done.then, "when it was trained"), (done.now, "now")):
            shares = np.histogram(rows.score, bins)[0] / max(1, len(rows))
            scores.stairs(shares, bins, label=f"{name}, {len(rows):,}", linewidth=2)
        scores.set(title="What it says", xlabel="score", ylabel="share of subjects")
        scores.legend()
        scores.locator_params(axis="x", nbins=4)
        shown = done.columns.nlargest(8, "psi").iloc[::-1]
        columns.barh(shown.column, shown.psi, color=np.where(shown.moved, "#D55E00", "0.75"))
        columns.set(title="What moved (orange: beyond the usual)", xlabel="stability index, beyond chance")
        columns.set_ylabel("column")
        for place, found in enumerate((done.promised, done.matured)):
            if found is not None and np.isfinite(found).all():
                since.errorbar(
                    [place], [found.value], yerr=[[found.value - found.low], [found.high - found.value]], fmt="o"
                )
        if done.matured is None:
            since.annotate("not\nknown\nyet", (1, 0.5), xycoords=("data", "axes fraction"), ha="center", color="0.4")
        since.set(title="What came true", ylabel=measure, xlabel="subjects of", xlim=(-0.6, 1.6))
        since.set(xticks=[0, 1], xticklabels=["judged", "since"])
    return figure


def strategies(curves: Mapping[str, StrategyCurve], file: Path) -> None:
    """Bad rate and profit at each share approved, a line with its 95 % band for each model."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    with plt.style.context(root() / "notebooks" / "house.mplstyle"):
        figure, (bad, profit) = plt.subplots(1, 2, figsize=(9.5, 4))
        for name, curve in curves.items():
            bad.plot(curve.share, curve.bad_rate, label=name)
            bad.fill_between(curve.share[5:], curve.bad_low[5:], curve.bad_high[5:], alpha=0.15)
            profit.plot(curve.share, curve.profit / 100)
            profit.fill_between(curve.share, curve.profit_low / 100, curve.profit_high / 100, alpha=0.15)
        least = "share approved, least risky first"
        bad.set(title="Who approves fewer that go bad?", xlabel=least, ylabel="bad rate of those approved")
        profit.set(title="Whose approvals bring more?", xlabel=least, ylabel="profit on the test loans")
        bad.legend()
        save(figure, file)


def forest(gains: pd.DataFrame, title: str, file: Path) -> None:
    """A dot with its interval for each measure, right of the line where the second run is better.

    gains  measure, gain, low, high. Measures have different units, so that each is drawn in half-widths of its own
           95% interval: beyond one, the gain is sure; the numbers are written beside.
    """
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = gains.iloc[::-1].reset_index(drop=True)
    half = ((rows.high - rows.low) / 2).where(lambda h: h > 0, 1.0)
    with plt.style.context(root() / "notebooks" / "house.mplstyle"):
        figure, ax = plt.subplots(figsize=(7.2, 0.42 * len(rows) + 1.6))
        ends = [(rows.gain - rows.low) / half, (rows.high - rows.gain) / half]
        ax.errorbar(rows.gain / half, rows.index, xerr=[e.clip(lower=0) for e in ends], fmt="o")
        ax.axvline(0, color="0.6", linewidth=1)
        said = [f"{g:+.4f} ({lo:+.4f} to {hi:+.4f})" for g, lo, hi in rows[["gain", "low", "high"]].to_numpy()]
        most = max(2.2, float((rows.gain / half).abs().max()) + 1.2)
        for k, text in enumerate(said):
            ax.annotate(text, (1.02, k), xycoords=("axes fraction", "data"), va="center", fontsize="small")
        ax.set(
            title=title,
            xlabel="gain, in half-widths of its 95 % interval (right: better)",
            ylabel="measure",
            xlim=(-most, most),
            yticks=rows.index,
            yticklabels=[WORDS.get(name, name) for name in rows.measure],
        )
        figure.savefig(file, dpi=110, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
