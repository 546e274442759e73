"""Pictures of a run that no notebook draws: what a challenger gains, with intervals."""

from pathlib import Path

import matplotlib
import pandas as pd

from contracts.places import root

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
