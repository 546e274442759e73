"""Calibration: against hand counts, scikit-learn, published intervals, and simulated models that are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from evaluation import calibration

predicted = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), max_size=50).map(
    lambda rows: np.array([(0, 3), (1, 9), *rows]).T
)


def right_model(seed, n=5000):
    """Outcomes that happen with exactly the probability predicted."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(1.5 - rng.normal(size=n)))
    return (rng.random(n) < p).astype(int), p


def test_error_of_two_bins_by_hand():
    """Bins of two: predicted .15 and .70, observed .5 and .5: half of .35 and half of .20."""
    assert calibration.calibration_error([0, 1, 1, 0], [0.1, 0.2, 0.6, 0.8], bins=2) == pytest.approx(0.275)


def test_brier_and_log_loss_as_in_scikit_learn():
    y, p = right_model(1)
    assert calibration.brier(y, p) == pytest.approx(metrics.brier_score_loss(y, p))
    assert calibration.log_loss(y, p) == pytest.approx(metrics.log_loss(y, p))


@given(predicted, st.integers(1, 12), st.randoms(use_true_random=False))
def test_error_lies_in_the_unit_interval_and_ignores_row_order(table, bins, random):
    y, p = table[0], table[1] / 20
    rows = list(range(y.size))
    random.shuffle(rows)
    found = calibration.calibration_error(y, p, bins)
    assert 0 <= found <= 1
    assert calibration.calibration_error(y[rows], p[rows], bins) == pytest.approx(found)
    table = calibration.reliability(y, p, bins)
    assert table.rows.sum() == y.size
    assert np.all((table.low <= table.observed + 1e-12) & (table.observed <= table.high + 1e-12))
    assert np.sum(table.rows * np.abs(table.observed - table.predicted)) / y.size == pytest.approx(found)


def test_equal_predictions_are_never_parted():
    table = calibration.reliability([0, 1] * 50, np.repeat([0.2, 0.7], 50))
    assert table.rows.tolist() == [50, 50]


def test_right_models_stay_below_the_null_as_often_as_it_says():
    """95% of 100 right models, standard error .022; the mean error is the mean of the null."""
    below, errors = [], []
    for seed in range(100):
        y, p = right_model(seed, n=1000)
        null = calibration.calibration_error_null(p, seed=1)
        errors.append(calibration.calibration_error(y, p) / null.mean)
        below.append(errors[-1] * null.mean <= null.upper)
    assert 0.88 <= np.mean(below) <= 1
    assert np.mean(errors) == pytest.approx(1, abs=0.1)


def test_a_model_that_is_off_by_a_fifth_shows_above_the_null():
    y, p = right_model(3)
    assert calibration.calibration_error(y, p / 1.2) > calibration.calibration_error_null(p / 1.2, seed=0).upper


def test_recalibration_as_in_scikit_learn_without_penalty():
    y, p = right_model(4)
    p = 1 / (1 + np.exp(-(0.4 + 1.7 * np.log(p / (1 - p)))))
    x = np.log(p / (1 - p))
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(x[:, None], y)
    found = calibration.recalibration(y, p)
    assert found.intercept.value == pytest.approx(peer.intercept_[0], abs=1e-5)
    assert found.slope.value == pytest.approx(peer.coef_[0, 0], abs=1e-5)
    q = peer.predict_proba(x[:, None])[:, 1]
    design = np.column_stack([np.ones(x.size), x])
    errors = np.sqrt(np.diag(np.linalg.inv(design.T * (q * (1 - q)) @ design)))
    assert [found.intercept_error, found.slope_error] == pytest.approx(errors, rel=1e-4)
    assert found.slope.low < 1 / 1.7 < found.slope.high


def test_wilson_as_in_newcombe():
    """Newcombe (1998), Statistics in Medicine 17, Table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    low, high = calibration.wilson(np.array([81 / 263, 15 / 148, 0, 1 / 29]), np.array([263, 148, 20, 29]))
    assert low == pytest.approx([0.2553, 0.0624, 0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


@pytest.mark.parametrize(
    ("y", "p", "says"),
    [
        ([0, 1], [0.5, 1.5], "lie in \\[0, 1\\], but 1 of 2"),
        ([0, 1, 0], [0.5, 0.5, 0.5], "must differ"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "separate"),
        ([0, 0], [0.1, 0.2], "both 0 and 1"),
        ([0, 1], [0.1, np.inf], "finite"),
    ],
)
def test_what_cannot_be_recalibrated_is_refused(y, p, says):
    with pytest.raises(ValueError, match=says):
        calibration.recalibration(y, p)


def test_certain_and_wrong_costs_much_but_not_everything():
    assert 0 < calibration.log_loss([0, 1], [1.0, 1.0]) < 20
