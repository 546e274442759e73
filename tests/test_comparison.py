"""Comparisons: by definition, by hand, and by what must hold between them; and the summary of one model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation import calibration, comparison, money, ranking
from evaluation.summary import scorecard_of_metrics

two_scores = st.lists(st.tuples(st.integers(0, 1), st.integers(-4, 4), st.integers(-4, 4)), max_size=30).map(
    lambda rows: np.array([(0, 0, 1), (1, 1, 0), (0, 2, 2), (1, 3, 0), *rows]).T
)


def rivals(seed, n=600):
    """Outcomes and two correlated scores, the first better."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    shared = rng.normal(size=n)
    return y, shared + rng.normal(size=n) + 1.5 * y, shared + rng.normal(size=n) + 0.8 * y


def probabilities(seed, n):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(1.5 - rng.normal(size=n)))
    return (rng.random(n) < p).astype(int), p


@given(two_scores)
def test_difference_is_delongs_by_definition(table):
    """Equations (5) and (6) from the matrices of all pairs."""
    y, *scores = table
    psi = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in scores]
    gap = psi[0] - psi[1]
    error = np.sqrt(sum(gap.mean(axis=k).var(ddof=1) / gap.shape[1 - k] for k in (0, 1)))
    found = comparison.auc_difference(y, *scores)
    assert found.value == pytest.approx(gap.mean(), abs=1e-12)
    assert found.high == pytest.approx(min(1, gap.mean() + 1.959964 * error), abs=1e-6)
    if error > 1e-9:
        assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(gap.mean()) / error), abs=1e-9)


@given(two_scores)
def test_the_other_way_round_is_the_same_with_the_other_sign(table):
    y, first, second = table
    one, other = comparison.auc_difference(y, first, second), comparison.auc_difference(y, second, first)
    assert one == pytest.approx((-other.value, -other.high, -other.low, other.p_value))


@settings(max_examples=10, deadline=None)
@given(two_scores)
def test_so_is_the_bootstraps(table):
    y, first, second = table
    one = comparison.paired_difference(y, first, second, ranking.average_precision, draws=50)
    other = comparison.paired_difference(y, second, first, ranking.average_precision, draws=50)
    assert one == pytest.approx((-other.value, -other.high, -other.low, other.p_value))


def test_the_same_ranking_makes_no_difference():
    y, score, _ = rivals(1)
    assert comparison.auc_difference(y, score, 3 * score + 2) == (0, 0, 0, 1)


def test_bootstrap_and_delong_agree():
    y, first, second = rivals(2)
    exact = comparison.auc_difference(y, first, second)
    drawn = comparison.paired_difference(y, first, second, ranking.auc, draws=400)
    assert drawn.value == pytest.approx(exact.value)
    assert drawn.high - drawn.low == pytest.approx(exact.high - exact.low, rel=0.15)
    assert exact.low > 0 and drawn.p_value < 0.01


def test_copies_of_subjects_do_not_make_a_difference_surer():
    y, first, second = rivals(3, n=200)
    copied = [np.repeat(column, 3) for column in (y, first, second)]
    ids = np.repeat(np.arange(200), 3)
    assert comparison.auc_difference(*copied, ids) == pytest.approx(comparison.auc_difference(y, first, second))
    naive, fair = (
        comparison.paired_difference(*copied, ranking.auc, subjects=chosen, draws=200) for chosen in (None, ids)
    )
    assert fair.high - fair.low > 1.4 * (naive.high - naive.low)


def test_holm_by_hand():
    """.01 x 4, .02 x 3, .03 x 2 (not below the one before), .6 x 1."""
    assert comparison.holm([0.6, 0.01, 0.03, 0.02]) == pytest.approx([0.6, 0.04, 0.06, 0.06])
    assert comparison.holm([0.5, 0.9]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="p-value"):
        comparison.holm([0.1, 1.2])


def test_folds_by_hand():
    """Five folds, mean .03, variance .00025: error sqrt((1/5 + 1/4) x .00025), t of 4 degrees 2.776."""
    found = comparison.fold_interval([0.01, 0.02, 0.03, 0.04, 0.05], test_share=0.2)
    assert found == pytest.approx((0.03, 0.03 - 0.029447, 0.03 + 0.029447), abs=1e-5)
    plain = stats.t.interval(0.95, 4, 0.03, np.sqrt(0.00025 / 5))
    assert (found.high - found.low) / (plain[1] - plain[0]) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="two of them"):
        comparison.fold_interval([0.1], test_share=0.2)


def test_scorecard_holds_what_each_measure_says_alone():
    y, p = probabilities(1, 1500)
    found = scorecard_of_metrics(y, p)
    again = calibration.recalibration(y, p)
    alone = {
        "auc": ranking.auc(y, p),
        "pr_auc": ranking.average_precision(y, p),
        "lift_10": ranking.lift(y, p, 0.1),
        "brier": calibration.brier(y, p),
        "log_loss": calibration.log_loss(y, p),
        "ece": calibration.calibration_error(y, p),
        "calibration_intercept": again.intercept.value,
        "calibration_slope": again.slope.value,
        "h_measure": money.h_measure(y, p),
        "empc": money.empc(y, p).value,
    }
    assert {name: each.value for name, each in found.items()} == pytest.approx(alone)
    assert all(each.low <= each.value <= each.high for each in found.values())
    squares = (y - p) ** 2
    assert found["brier"].high - found["brier"].low == pytest.approx(3.92 * squares.std() / np.sqrt(1500), rel=0.12)
    assert found["calibration_slope"].high == pytest.approx(again.slope.high, abs=0.05)
    assert found == scorecard_of_metrics(y, p)


def test_scorecard_draws_subjects_not_rows():
    y, p = probabilities(2, 300)
    once = scorecard_of_metrics(y, p)
    copied = scorecard_of_metrics(np.tile(y, 3), np.tile(p, 3), np.tile(np.arange(300), 3))
    for name in ("auc", "brier", "h_measure"):
        assert copied[name] == pytest.approx(once[name])


def test_scorecard_of_the_base_rate_has_no_slope():
    y, _ = probabilities(3, 200)
    found = scorecard_of_metrics(y, np.full(200, y.mean()))
    assert found["auc"] == (0.5, 0.5, 0.5)
    assert found["ece"].value == pytest.approx(0)
    assert np.isnan(found["calibration_slope"]).all()
