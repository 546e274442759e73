"""Response: who answers a campaign, and with how much. The candidates, the pick, and the model that is registered.

Candidates  base rate; past rate (the share of campaigns that she answered); logistic regression; boosted trees
Pick        as for churn: lowest log loss on later rows, a more complicated one by more than a standard error
Judgement   rolling by the day of the contact: the later contacts in blocks, each foretold by models of those contacts
            only whose outcomes were known before the block began
Tables      one row a (origin, customer_id, campaign_id), in that order, with `outcome` 1 for a response, and
            `response_cents`, missing where there was none
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from models import churn
from models.candidates import BASE_RATE, NAIVE, ONE_COLUMN, Evidence, Split
from models.candidates import judge as judge_among
from models.churn import BOOSTED, CANDIDATES, LIGHT, LOGISTIC, Churn
from models.encoding import UNSEEN, Encoder
from models.folds import TooFewCases, grouped_folds
from models.line_means import Line, Lines
from models.uplift import AMOUNT, pulled_in

PAST_RATE = "response_rate"
__all__ = [
    "BASE_RATE", "BOOSTED", "CANDIDATES", "LIGHT", "LOGISTIC", "NAIVE", "ONE_COLUMN",
    "Amount", "Evidence", "Response", "Split", "fit", "fit_amount", "judge", "load", "splits",
]  # fmt: skip
LATER = 1 / 3  # of the contacts are judged on
BLOCKS = 2
FOLDS, FEWEST = 5, 50
FEWEST_ANSWERS = 20
CONTENT = "response.json"


def splits(table: pd.DataFrame, horizon_days: int, seed: int) -> list[Split]:
    """The latest third of the contacts in up to two blocks of days; before each an embargo of one horizon.

    Within what a block may learn from, the latest third validates, again after an embargo. A block with fewer than
    `FEWEST_ANSWERS` to learn from before that is left out; raises `TooFewCases` where all are. `seed` is not needed:
    time decides.
    """
    origin, outcome = pd.to_datetime(table.origin), table.outcome.to_numpy()
    days = np.sort(origin[origin >= _later(origin)].unique())
    embargo, found = timedelta(days=horizon_days), []
    for block in np.array_split(days, min(BLOCKS, len(days))):
        before = origin <= block[0] - embargo
        if before.any():
            validate = before & (origin >= _later(origin[before]))
            learn = (origin <= origin[validate].min() - embargo).to_numpy()
            if outcome[learn].sum() >= FEWEST_ANSWERS:
                found.append(Split(learn, validate.to_numpy(), origin.isin(block).to_numpy()))
    if not found:
        raise TooFewCases(
            f"Before the latest third of the contacts at least {FEWEST_ANSWERS} must have been answered, twice "
            f"{horizon_days} days earlier, but too few were of {len(table):,}. Take a later as_of or a shorter horizon."
        )
    return found


def _later(origin: pd.Series) -> pd.Timestamp:
    """The day from which on at least the latest third of the contacts lies."""
    return origin.sort_values().iloc[int(len(origin) * (1 - LATER))]


def judge(
    table: pd.DataFrame,
    columns: Sequence[str],
    horizon_days: int,
    effort: str,
    seed: int,
    by: Sequence[Split] | None = None,
    candidates: Sequence[str] = CANDIDATES,
) -> Evidence:
    """As `models.candidates.judge`, on `columns`, by `splits` unless others are given."""
    by = splits(table, horizon_days, seed) if by is None else by
    return judge_among(candidate, table, columns, horizon_days, effort, seed, by, candidates)


def candidate(name: str, table: pd.DataFrame, columns: Sequence[str], effort: str, seed: int) -> Churn:
    """The probability of a response by one candidate, learnt from all rows of `table`."""
    return churn.fit(name, table, [PAST_RATE] if name == ONE_COLUMN else columns, effort, seed)


@dataclass(frozen=True)
class Amount:
    """Cents of a response, if there is one: the mean of five ridge regressions, or of all where there are few."""

    encoder: Encoder
    lines: tuple[Line, ...]
    mean: float

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """Cents, at least 0, of shape (n,)."""
        if not self.lines:
            return np.full(len(table), self.mean)
        matrix = self.encoder.encode(table, UNSEEN)
        return np.maximum(0, np.mean([line.predict(matrix) for line in self.lines], axis=0))


def fit_amount(table: pd.DataFrame, columns: Sequence[str], seed: int) -> Amount:
    """From the responses of `table` whose worth is known; a tail of single large ones is pulled in for learning."""
    known = table[table.response_cents.notna()]
    encoder = Encoder.learn(known[list(columns)], known.customer_id)
    if known.customer_id.nunique() < FEWEST:
        return Amount(encoder, (), float(known.response_cents.mean()) if len(known) else 0.0)
    cents = pulled_in(known.response_cents.to_numpy(dtype=float), AMOUNT)
    above = (cents > np.median(cents)).astype(float)
    fold = grouped_folds(above, known.customer_id, FOLDS, seed)
    base = Lines(encoder.encode(known, UNSEEN), encoder.is_category, fold)
    return Amount(encoder, tuple(base.bags(cents)[0]), float(cents.mean()))


@dataclass(frozen=True)
class Response:
    """A fitted candidate with its amounts; `about` is what scoring must know beside it."""

    probability: Churn
    amounts: Amount
    about: Mapping | None = None

    @property
    def name(self) -> str:
        """Of the candidate."""
        return self.probability.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that either of the two reads."""
        return tuple(dict.fromkeys((*self.probability.columns, *self.amounts.encoder.columns)))

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        """Probability of a response in the horizon, of shape (n,)."""
        return self.probability.predict(table)

    def amount(self, table: pd.DataFrame) -> np.ndarray:
        """Cents of a response, if there is one, of shape (n,)."""
        return self.amounts.predict(table)

    def interval(self, table: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high end of the probability, each (n,): how far other customers in training would move it."""
        return self.probability.interval(table, level)

    def contributions(self, table: pd.DataFrame) -> pd.DataFrame:
        """What each column adds to the log-odds of a response, of shape (n, columns)."""
        return self.probability.contributions(table).reindex(columns=list(self.columns), fill_value=0.0)

    def named(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns, with `models.encoding.ANOTHER` for each level that was not learned: what may be shown."""
        return self.amounts.encoder.named(table)[list(self.columns)].assign(**self.probability.named(table))

    def save(self, folder: Path) -> None:
        """Numbers and native booster files below `folder`."""
        self.probability.save(folder / "probability")
        lines = [line.save(folder, "amount") for line in self.amounts.lines]
        amounts = {"encoder": self.amounts.encoder.to_json(), "lines": lines, "mean": self.amounts.mean}
        content = {"name": self.name, "columns": self.columns, "about": dict(self.about or {}), "amounts": amounts}
        (folder / CONTENT).write_text(json.dumps(content, indent=1, sort_keys=True))


def load(folder: Path) -> Response:
    """A saved `Response`; parses numbers and native booster files, executes nothing of the folder's."""
    content = json.loads((folder / CONTENT).read_text())
    stored = content["amounts"]
    lines = tuple(Line.load(line) for line in stored["lines"])
    amounts = Amount(Encoder.from_json(stored["encoder"]), lines, stored["mean"])
    return Response(churn.load(folder / "probability"), amounts, content["about"])


def fit(name: str, table: pd.DataFrame, columns: Sequence[str], effort: str, seed: int) -> Response:
    """One candidate, and the amounts, on all rows of `table`."""
    return Response(candidate(name, table, columns, effort, seed), fit_amount(table, columns, seed))
