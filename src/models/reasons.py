"""Why a score is what it is: the three topics that move it most, in words.

Columns of one topic say nearly the same thing, so that their contributions are added before they are ranked; the
topic is then worded by its column that contributes most. No loop over rows: each column is worded once a value.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

NONE = ""


def reasons(
    contributions: pd.DataFrame,
    values: pd.DataFrame,
    topics: Mapping[str, str],
    words: Mapping[str, object],
    count: int = 3,
) -> pd.DataFrame:
    """reason_1 .. reason_`count` for each row: `days since the last purchase: 34 (raises)`.

    contributions  log-odds of each column, of shape (n, columns)
    values         the columns' values, of the same rows and columns
    topics         column to topic
    words          column to a function from a value to words
    """
    columns = list(contributions.columns)
    names = sorted({topics[column] for column in columns})
    member = np.array([[topics[column] == name for column in columns] for name in names])
    member = member.reshape(len(names), len(columns))
    each = contributions.to_numpy(dtype=float)
    total = each @ member.T
    order = np.argsort(-np.abs(total), axis=1, kind="stable")[:, :count]
    found = {}
    for k in range(count):
        found[f"reason_{k + 1}"] = _worded(order, k, each, total, member, values[columns], words)
    return pd.DataFrame(found, index=contributions.index)


def _worded(order, k, each, total, member, values, words) -> np.ndarray:
    if k >= order.shape[1]:
        return np.full(len(each), NONE, dtype=object)
    topic = order[:, k]
    sums = total[np.arange(len(each)), topic]
    # of the topic's columns, the one that pulls most in the direction of the whole topic speaks for it
    pull = np.where(member[topic], each * np.sign(sums)[:, None], -np.inf)
    speaker = pull.argmax(axis=1)
    said = np.full(len(each), NONE, dtype=object)
    for number, column in enumerate(values.columns):
        rows = np.flatnonzero((speaker == number) & (sums != 0))
        codes, unique = pd.factorize(values[column].iloc[rows], use_na_sentinel=False)
        text = np.array([words[column](value) for value in unique], dtype=object)
        said[rows] = text[codes] if len(rows) else NONE
    direction = np.select([sums > 0, sums < 0], [" (raises)", " (lowers)"], "")
    return said + direction
