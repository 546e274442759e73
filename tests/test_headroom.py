"""The measures of benchmarks/headroom.py, by hand and at their ends."""

import numpy as np
import pytest

from benchmarks.headroom import Scores, gap_closed


def test_the_gap_is_closed_by_the_best_score_and_not_by_the_naive_one():
    rng = np.random.default_rng(0)
    p = rng.random(2_000)
    y = (rng.random(2_000) < p).astype(float)
    dull = p + rng.normal(0, 1, 2_000)
    assert gap_closed(Scores(y, dull, p, p, p), 1) == pytest.approx((1, 1, 1))
    assert gap_closed(Scores(y, dull, dull, p, p), 1) == pytest.approx((0, 0, 0))
    value, low, high = gap_closed(Scores(y, dull, p + rng.normal(0, 0.3, 2_000), p, p), 1)
    assert 0 < low < value < high < 1
