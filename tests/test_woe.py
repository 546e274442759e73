"""Weights of evidence by hand, and the regression on them."""

import json

import numpy as np
import pytest
from scipy.special import logit

from models.woe import UNSEEN, WeightOfEvidence, WOELogistic


def test_weights_as_counted_by_hand():
    """Level 0: 8 rows, 6 with the outcome; level 1: 10 and 1; missing: 2 and 1. Base rate 8 of 20, smoothing 10."""
    column = np.repeat([0, 1, np.nan], [8, 10, 2]).astype(np.float32)
    y = np.repeat([1, 0, 1, 0, 1, 0], [6, 2, 1, 9, 1, 1]).astype(float)
    learned = WeightOfEvidence.learn(column[:, None], y, np.array([True]))
    seen = learned.transform(np.array([[0], [1], [np.nan], [UNSEEN]], dtype=np.float32))[:, 0]
    expected = logit([(6 + 4) / 18, (1 + 4) / 20, (1 + 4) / 12, 0.4]) - logit(0.4)
    np.testing.assert_allclose(seen, expected)
    assert seen[3] == pytest.approx(0)  # no row, no evidence


def test_a_number_is_cut_where_the_rate_changes_and_bins_are_not_small():
    column = np.arange(1000, dtype=np.float32)
    y = (column > 699).astype(float)
    learned = WeightOfEvidence.learn(column[:, None], y, np.array([False]))
    assert 699.5 in learned.cuts[0]
    assert len(learned.cuts[0]) <= 6
    assert np.diff([0, *learned.cuts[0], 1000]).min() >= 50
    low, high = learned.transform(np.array([[699.0], [700.0]], dtype=np.float32))[:, 0]
    assert low < 0 < high


def test_coefficients_are_never_negative_and_terms_add_up():
    draw = np.random.default_rng(1)
    matrix = draw.normal(size=(400, 5)).astype(np.float32)
    matrix[:, 4] = draw.integers(0, 3, 400)
    y = (draw.random(400) < 1 / (1 + np.exp(-matrix[:, 0]))).astype(float)
    model = WOELogistic.learn(matrix, y, np.array([False] * 4 + [True]))
    assert min(model.coefficients) >= 0
    assert model.coefficients[0] > 0.3
    np.testing.assert_allclose(model.base + model.contributions(matrix).sum(axis=1), model.logit(matrix))
    again = WOELogistic.from_json(json.loads(json.dumps(model.to_json())))
    np.testing.assert_array_equal(again.logit(matrix), model.logit(matrix))
    # the fitted mean is the observed one: the intercept bears no penalty
    assert (1 / (1 + np.exp(-model.logit(matrix)))).mean() == pytest.approx(y.mean(), abs=1e-4)
