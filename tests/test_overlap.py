"""Whether a choice was chance: told apart where it was not, and not called targeting where it was."""

import numpy as np
import pandas as pd
import pytest

from evaluation.overlap import (
    assignment,
    overlap_effect,
    overlap_share,
    standardised_differences,
    worst_case_bounds,
)
from models import propensity


def drawn(n: int, seed: int, strength: float):
    """Two columns, and who is treated: by the first column, as strongly as said."""
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, 2))
    e = 1 / (1 + np.exp(-strength * X[:, 0]))
    return X, (draw.uniform(size=n) < e).astype(float), e, draw


def foretold(X, treated) -> np.ndarray:
    return propensity.foretold(pd.DataFrame(X, columns=["a", "b"]), treated)


def test_standardised_differences_by_hand():
    """Means 3 and 1, variances 1 and 1: two deviations. A constant differs by nothing, a gap is left out."""
    columns = np.array([[0, 5, 0], [2, 5, 2], [2, 5, np.nan], [4, 5, 3]], dtype=float)
    assert standardised_differences(columns, [0, 0, 1, 1]).tolist() == [2.0, 0.0, pytest.approx(2 / np.sqrt(0.5))]
    # a weight of three is three rows
    repeated = columns[[0, 1, 1, 1, 2, 3], :2]
    weighed = standardised_differences(columns[:, :2], [0, 0, 1, 1], [1, 3, 1, 1])
    np.testing.assert_allclose(weighed, standardised_differences(repeated, [0, 0, 0, 0, 1, 1]))


def test_targeting_is_no_experiment_and_chance_is_one():
    X, treated, _, _ = drawn(1500, 1, 2.0)
    targeted = assignment(treated, foretold(X, treated), X)
    assert not targeted.experiment and targeted.auc > 0.75 and targeted.difference > 0.5
    assert targeted.said.startswith("No experiment: who was treated is foretold with an AUC of 0.8")
    X, treated, _, _ = drawn(1500, 2, 0.0)
    assert assignment(treated, foretold(X, treated), X).experiment


def test_logged_propensities_explain_what_they_caused():
    X, treated, e, _ = drawn(3000, 3, 1.0)
    logged = np.where(treated == 1, e, 1 - e)
    said = foretold(X, treated)
    assert not assignment(treated, said, X).experiment
    assert assignment(treated, said, X, logged).experiment
    # a log that tells another story is found out
    assert not assignment(treated, said, X, np.full(3000, 0.5)).experiment


def test_an_experiment_is_seldom_called_targeting():
    """Small arms and ten columns: chance alone must not exceed what is tolerated in more than 1 of 20."""
    refused = 0
    for seed in range(60):
        draw = np.random.default_rng(100 + seed)
        X, treated = draw.normal(size=(200, 10)), (draw.uniform(size=200) < 0.5).astype(float)
        refused += not assignment(treated, draw.uniform(size=200), X).experiment
    assert refused <= 3


def test_the_overlap_effect_is_found_where_the_naive_difference_is_wrong():
    X, treated, e, draw = drawn(4000, 4, 1.0)
    y = 3 * X[:, 0] + 1.0 * treated + draw.normal(size=4000)
    assert y[treated == 1].mean() - y[treated == 0].mean() > 2
    rough = np.column_stack([2 * X[:, 0], 2 * X[:, 0]])  # a poor model of the outcome is mended by the propensity
    found = overlap_effect(y, treated, e, rough)
    assert found.low < 1 < found.high and found.high - found.low < 0.3
    twice = overlap_effect(
        *(np.tile(v, 2) for v in (y, treated, e)), np.tile(rough, (2, 1)), np.tile(np.arange(4000), 2)
    )
    np.testing.assert_allclose(twice, found)


def test_worst_case_bounds_by_hand_and_one_wide():
    """Of 1000 half are treated, 60 % of whom buy, and 20 % of the rest: 0.3 - 0.5 - ... = between -0.3 and 0.7."""
    treated = np.repeat([1.0, 0.0], 5000)
    y = np.concatenate([np.repeat([1.0, 0.0], [3000, 2000]), np.repeat([1.0, 0.0], [1000, 4000])])
    low, high = worst_case_bounds(y, treated)
    assert (low, high) == (pytest.approx(-0.3, abs=0.02), pytest.approx(0.7, abs=0.02))
    assert low < -0.3 and high > 0.7 and high - low < 1.04


def test_the_share_that_overlaps():
    assert overlap_share([0.05, 0.1, 0.5, 0.9, 0.95]) == pytest.approx(0.6)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="must hold both 0 and 1"):
        assignment([1.0, 1.0], [0.5, 0.5], np.zeros((2, 1)))
    with pytest.raises(ValueError, match="logged must have one entry"):
        assignment([1.0, 0.0], [0.5, 0.5], np.zeros((2, 1)), [0.5])


def test_numbers_put_levels_side_by_side():
    X = pd.DataFrame({"age": [1.0, 2.0, 3.0, np.nan], "town": ["a", "b", "a", "b"]})
    found = propensity.numbers(X)
    assert found.shape[0] == 4 and not np.isnan(found).any() and found.shape[1] >= 5
