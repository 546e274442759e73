"""Is one run better than another? Both on the same rows, with paired intervals; refused where there are no such rows.

The rows are those that the second run was tested on. Where the first was tested on others it is scored anew, by the
model it registered if that was known before these rows' origin, else by the one it was judged by, if that is no newer:
a model that has seen what it is judged on would win by it.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from contracts.errors import Refused
from contracts.subjects import keys_of
from evaluation.comparison import Difference, holm
from features.identity import differing
from pipelines.kinds import Kind, Model, kind_of
from pipelines.kinds.probabilities import why
from pipelines.loading import loaded
from registry import about, evidence
from registry.about import About
from sources import open_source
from sources.source import Source

MOST_REASONED = 500


@dataclass(frozen=True)
class Comparison:
    """What the second run gains on the first.

    how       how the first was scored, in a sentence
    rows      keys, outcome, naive, score (the second's), champion (the first's), slice_...
    gains     a row a measure: measure, gain (positive: the second is better), low, high, p, and p corrected for their
              number (Holm)
    money     the gain in cents on the test rows of acting as the second would
    segments  a row a declared group, as `evaluation.gate.slices`
    bands     a row a pair of bands: band_first, band_second, customers, outcomes (their sum)
    changed   customers who change band: both scores, both bands, three reasons of each; for data/, never for the store
    verdict   in words
    """

    how: str
    rows: pd.DataFrame
    gains: pd.DataFrame
    money: Difference
    segments: pd.DataFrame
    bands: pd.DataFrame
    changed: pd.DataFrame
    verdict: str

    def numbers(self) -> list[float]:
        """All that the verdict may speak of."""
        found = self.gains[["gain", "low", "high"]].to_numpy().ravel().tolist()
        return [*found, *self.money, len(self.rows), len(self.changed)]


def compare(first_id: str, second_id: str, table: pd.DataFrame | None = None) -> Comparison:
    """Compare two runs of a model; `table` holds the features of the second's test rows, where they are at hand.

    Raises `Refused`, with the reason, where no rows can judge both fairly.
    """
    first, second = about.about(first_id), about.about(second_id)
    kind = kind_of(second.model)
    _refuse_other_questions(first, second, kind)
    rows = evidence.read(second_id)
    with tempfile.TemporaryDirectory() as folder:
        part, how = _fair(first, second)
        new = _load(second, "judged", Path(folder) / "second", kind)
        old = _load(first, part or "judged", Path(folder) / "first", kind)
    known = about.content(second_id, f"model/{second.model}.json")["about"]
    source = open_source(second.parameters["source"])
    if part or (new and old):
        table = features_of(rows, kind.judged_on(source, known, rows) if table is None else table)
    if part:
        _refuse_other_features(first, second, kind.columns(source), old)
        champion = old.predict(table)
    else:
        champion = _aligned(evidence.read(first_id), rows)
    rows = rows.assign(champion=champion)
    changed, bands = _bands(rows, known, table, old, new, kind)
    return _judged(how, rows, known, changed, bands, first, second, kind, source)


def _refuse_other_questions(first: About, second: About, kind: Kind) -> None:
    if first.run_id == second.run_id:
        raise Refused(f"A run is compared with another, but both are {first.run_id}. Give two; `crm runs` lists them.")
    for run in (first, second):
        if not run.test_outcomes:
            raise Refused(f"Run {run.run_id} is {run.status} and was judged by nothing. Choose one that finished.")
    if first.model != second.model:
        raise Refused(
            f"Two runs of one model can be compared, but {first.run_id} is of {first.model} and {second.run_id} of "
            f"{second.model}."
        )
    differ = [name for name in kind.QUESTION if first.parameters.get(name) != second.parameters.get(name)]
    if differ:
        listed = "; ".join(f"{n} is {first.parameters.get(n)} and {second.parameters.get(n)}" for n in differ)
        raise Refused(
            f"Runs {first.run_id} and {second.run_id} must answer one question, but {listed}. Who is better at another "
            f"question cannot be said: train one of them again with the other's."
        )


def _fair(first: About, second: About) -> tuple[str | None, str]:
    """Which part of the first run judges the second's test rows, None for what it foretold then; and in words."""
    if first.test_outcomes == second.test_outcomes:
        return None, "Both were judged by the same customers, origin and outcomes; these scores are compared."
    if first.as_of <= second.test_origin:
        return "model", f"The first, which knows only what was there before {first.as_of}, was scored anew."
    if first.test_origin <= second.test_origin and first.judged:
        return "judged", (
            f"The first was scored anew as it was before its own test of {first.test_origin}: what it registered has "
            f"seen outcomes until {first.as_of}."
        )
    if first.test_subjects == second.test_subjects:
        why = "the same customers and origin are judged, but their outcomes are not the same"
    elif first.test_origin > second.test_origin:
        why = f"the first was tested at {first.test_origin}, later than the second's {second.test_origin}"
    else:
        why = "other customers are judged, and the first kept no model that has not seen them"
    raise Refused(
        f"Runs {first.run_id} and {second.run_id} must be judged by the same rows, but {why}. "
        f"Compare them the other way round, or train one again with the other's as_of and source."
    )


def _load(run: About, part: str, folder: Path, kind: Kind) -> Model | None:
    if part == "judged" and not run.judged:
        return None
    about.fetch(run.run_id, part, folder)
    return loaded(kind, folder, f"run {run.run_id}")


def features_of(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The table's rows in the order of the test rows; raises `Refused` where one is not there."""
    keys = keys_of(rows.columns)
    table = table.set_index(keys)
    wanted = pd.MultiIndex.from_frame(rows[keys])
    gone = ~wanted.isin(table.index)
    if gone.any():
        raise Refused(
            f"The features of all {len(rows):,} test rows must be there, but {gone.sum():,} are not, first customer "
            f"{rows.customer_id[gone].iloc[0]}: the source is not the one that the run was trained on."
        )
    return table.loc[wanted].copy().reset_index()  # whole again: what was joined column by column is slow to add to


def _aligned(old: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """What the first foretold, in the order of the second's rows; their fingerprints are equal."""
    return rows[keys_of(rows.columns)].merge(old, how="left", validate="1:1").score.to_numpy()


def _refuse_other_features(first: About, second: About, found: Mapping[str, str], model: Model) -> None:
    if differ := differing(about.content(first.run_id, "features.json"), found, model.columns):
        raise Refused(
            f"Run {first.run_id} must be given the columns that it was trained on to be scored anew, but they differ "
            f"now: the code or the source changed. What was found beside the champion when run {second.run_id} was "
            f"trained stands in `crm ledger {second.model}`, and among its artifacts under gate/. Train the first "
            f"again to compare anew. These differ: {'; '.join(differ)}."
        )


def _bands(rows, known, table, old, new, kind: Kind) -> tuple[pd.DataFrame, pd.DataFrame]:
    both = rows[[*keys_of(rows.columns), "outcome"]].assign(
        score_first=rows.champion,
        score_second=rows.score,
        band_first=kind.bands(rows.champion.to_numpy(), known),
        band_second=kind.bands(rows.score.to_numpy(), known),
    )
    counted = both.groupby(["band_first", "band_second"]).outcome.agg(customers="size", outcomes="sum").reset_index()
    moved = (both.score_second - both.score_first).abs()
    changed = both[both.band_first != both.band_second]
    changed = changed.loc[moved[changed.index].sort_values(ascending=False, kind="stable").index]
    if old is not None and new is not None and len(changed):
        shown = changed.index[:MOST_REASONED]
        for side, model in (("first", old), ("second", new)):
            reasons = why(model, table.loc[shown], known)
            changed = changed.join(reasons.add_suffix(f"_{side}"))
    return changed.reset_index(drop=True), counted


def _judged(how, rows, known, changed, bands, first, second, kind: Kind, source: Source) -> Comparison:
    seed = int(second.parameters.get("seed", 0))
    table = kind.gains(rows, seed)
    table["p_holm"] = holm(table.p)
    money = kind.money(rows, known, seed)
    said = _said(table, kind, money, changed, rows, first, second, source)
    return Comparison(how, rows, table, money, kind.slices(rows, known), bands, changed, said)


def _said(gains: pd.DataFrame, kind: Kind, money: Difference, changed, rows, first, second, source: Source) -> str:
    (head,) = gains[gains.measure == kind.HEADLINE[0]].itertuples()
    if head.low > 0:
        word = "is surely better than"
    elif head.high < 0:
        word = "is surely worse than"
    elif (rows.score == rows.champion).all():
        word = "says of everybody what is said by"  # it learnt from the same rows before its own test
    else:
        word = "cannot be told from"
    return (
        f"{second.name} {word} {first.name}: {kind.HEADLINE[1]} {head.gain:+.4f} ({head.low:+.4f} to {head.high:+.4f}) "
        f"on the same {len(rows):,} rows; profit {source.money(money.value, '+')} ({source.money(money.low, '+')} to "
        f"{source.money(money.high, '+')}); {len(changed):,} change band."
    )
