"""Ranking: against published and hand-counted values, scikit-learn, and the definition in two nested loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn import metrics

from evaluation import ranking

# ratings of few levels make ties common; both classes are always there
rated = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), max_size=40).map(
    lambda rows: np.array([(0, 0), (1, 1), (0, 2), (1, -1), *rows]).T
)


def simulated(seed, n=400, separation=1.0, decimals=1):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(int)
    return y, np.round(rng.normal(size=n) + separation * y, decimals)


def delong_by_definition(y, score):
    """AUC and its variance from the matrix of all pairs: DeLong et al. (1988), equations (3) to (6)."""
    x, z = score[y == 1], score[y == 0]
    psi = (x[:, None] > z) + 0.5 * (x[:, None] == z)
    variance = psi.mean(axis=1).var(ddof=1) / x.size + psi.mean(axis=0).var(ddof=1) / z.size
    return psi.mean(), variance


def test_auc_of_the_109_ct_images():
    """Hanley & McNeil (1982), Radiology 143, Table I: five ratings of 58 normal and 51 abnormal images; W = 0.893."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    score = np.concatenate([np.repeat(range(5), normal), np.repeat(range(5), abnormal)])
    y = np.repeat([0, 1], [58, 51])
    assert ranking.auc(y, score) == pytest.approx(0.893, abs=5e-4)


def test_five_customers_by_hand():
    """Pairs won: 0.9 beats both, 0.5 ties one and beats one, 0.1 loses both: (2 + 1.5 + 0) / 6."""
    y, score = [1, 1, 0, 0, 1], [0.9, 0.5, 0.5, 0.2, 0.1]
    assert ranking.auc(y, score) == pytest.approx(3.5 / 6)
    assert ranking.gini(y, score) == pytest.approx(7 / 6 - 1)
    # the first two of five rows are the leaver at 0.9 and half of the tie at 0.5
    assert ranking.lift(y, score, 0.4) == pytest.approx((1.5 / 3) / 0.4)
    assert ranking.cumulative_gains(y, score, [0, 0.2, 0.6, 1]) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    # steps of recall 1/3 at precisions 1, 2/3 and 3/5
    assert ranking.average_precision(y, score) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


@pytest.mark.parametrize("seed", range(3))
def test_as_in_scikit_learn_and_scipy(seed):
    y, score = simulated(seed)
    assert ranking.auc(y, score) == pytest.approx(metrics.roc_auc_score(y, score))
    assert ranking.average_precision(y, score) == pytest.approx(metrics.average_precision_score(y, score))
    assert ranking.kolmogorov_smirnov(y, score) == pytest.approx(ks_2samp(score[y == 1], score[y == 0]).statistic)
    ours, theirs = ranking.roc_curve(y, score), metrics.roc_curve(y, score, drop_intermediate=False)
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other)


@given(rated)
def test_interval_is_delongs_by_definition(table):
    y, score = table
    value, variance = delong_by_definition(y, score)
    found = ranking.auc_covariance(y, [score])
    assert found.value[0] == pytest.approx(value)
    assert found.covariance[0, 0] == pytest.approx(variance, abs=1e-12)


@given(rated, st.randoms(use_true_random=False))
def test_auc_knows_only_the_order_of_scores(table, random):
    y, score = table
    rows = list(range(y.size))
    random.shuffle(rows)
    assert ranking.auc(y, np.exp(score / 3.0) - 7) == ranking.auc(y, score)
    assert ranking.auc(y[rows], score[rows]) == ranking.auc(y, score)
    assert ranking.auc_interval(y[rows], score[rows]) == pytest.approx(ranking.auc_interval(y, score))


@given(rated)
def test_auc_of_the_reversed_score_is_the_rest(table):
    y, score = table
    assert ranking.auc(y, score) + ranking.auc(y, -score) == pytest.approx(1)


@given(rated, st.integers(2, 4))
def test_copies_of_a_subjects_rows_tell_nothing_new(table, copies):
    """Clustered as in Obuchowski (1997): the interval stays; taken for new subjects, copies narrow it."""
    y, score = table
    once = ranking.auc_interval(y, score, np.arange(y.size))
    copied = [np.repeat(column, copies) for column in (y, score)]
    assert ranking.auc_interval(*copied, np.repeat(np.arange(y.size), copies)) == pytest.approx(once)
    naive = ranking.auc_covariance(*copied[:1], copied[1:]).covariance[0, 0]
    assert naive <= ranking.auc_covariance(y, [score]).covariance[0, 0] + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_subjects_with_both_outcomes_as_in_obuchowski(seed):
    """Obuchowski (1997), section 2: sums over subjects of placements, with their covariance S11."""
    y, score = simulated(seed, n=60)
    ids = np.arange(60) % 15
    x, z = score[y == 1], score[y == 0]
    psi = (x[:, None] > z) + 0.5 * (x[:, None] == z)
    auc, m, n = psi.mean(), x.size, z.size
    off10 = np.array([(psi.mean(axis=1)[ids[y == 1] == k] - auc).sum() for k in range(15)])
    off01 = np.array([(psi.mean(axis=0)[ids[y == 0] == k] - auc).sum() for k in range(15)])
    k10, k01 = np.unique(ids[y == 1]).size, np.unique(ids[y == 0]).size
    s10, s01 = k10 / ((k10 - 1) * m) * (off10**2).sum(), k01 / ((k01 - 1) * n) * (off01**2).sum()
    s11 = 15 / 14 * (off10 * off01).sum()
    found = ranking.auc_covariance(y, [score], ids).covariance[0, 0]
    assert found == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n))


@given(rated)
def test_hull_is_concave_and_best_at_any_ratio_of_costs(table):
    y, score = table
    curve, hull = ranking.roc_curve(y, score), ranking.roc_hull(y, score)
    for cost in (0, 0.2, 0.5, 1, 2, 5):
        best = [np.max(line.true_positive_rate - cost * line.false_positive_rate) for line in (curve, hull)]
        assert best[0] == pytest.approx(best[1], abs=1e-12)
    rise, run = np.diff(hull.true_positive_rate), np.diff(hull.false_positive_rate)
    assert np.all(rise[:-1] * run[1:] >= rise[1:] * run[:-1] - 1e-12)
    points = set(zip(*(part.round(9) for part in curve), strict=True))
    assert points >= set(zip(*(part.round(9) for part in hull), strict=True))


def test_value_in_the_top_by_hand():
    """Values 6, 3, 1, 0 ranked 3, 6, 0, 1: the top half holds 9 of 10."""
    value, score = [6, 3, 1, 0], [3, 4, 1, 2]
    assert ranking.top_share_capture(value, score, 0.5) == pytest.approx(0.9)
    # gains after each quarter: true order .6 .9 1 1, this one .3 .9 .9 1; trapezoids less the diagonal
    true_area, area = (0.3 + 0.75 + 0.95 + 1) / 4 - 0.5, (0.15 + 0.6 + 0.9 + 0.95) / 4 - 0.5
    assert ranking.normalised_gini(value, score) == pytest.approx(area / true_area)
    assert ranking.normalised_gini(value, value) == pytest.approx(1)
    assert ranking.normalised_gini(value, [1, 1, 1, 1]) == pytest.approx(0)


@pytest.mark.parametrize(
    ("y", "score", "subjects", "says"),
    [
        ([], [], None, "shape is \\(0,\\)"),
        ([1, 1, 1], [1, 2, 3], None, "all 3 rows are 1"),
        ([0, 1, 1], [1, np.nan, 3], None, "1 of 3 are not, first at position 1"),
        ([0, 1, np.nan], [1, 2, 3], None, "position 2"),
        ([0, 1, 2], [1, 2, 3], None, "outcome must be 0 or 1"),
        ([0, 1, 1], [1, 2], None, "each of 3 rows, but has 2"),
        ([0, 1, 1], [1, 2, 3], ["a", "b"], "one id for each of 3 rows"),
        ([0, 1, 1], [1, 2, 3], np.array(["a", None, "b"], dtype=object), "must have an id"),
        ([0, 1, 1], [1, 2, 3], [1.0, np.nan, 2.0], "must have an id"),
        ([0, 1, 1], [1, 2, 3], None, "two subjects of each outcome"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(y, score, subjects, says):
    with pytest.raises(ValueError, match=says):
        ranking.auc_interval(y, score, subjects)


@pytest.mark.parametrize("share", [0, 10, -0.1])
def test_a_share_is_no_percentage(share):
    with pytest.raises(ValueError, match="0.1"):
        ranking.lift([0, 1], [1, 2], share)


def covered(rows_of_subject, clustered, samples=400, subjects=60):
    """Share of simulated test sets whose interval holds the true AUC, Phi(1 / sqrt 2) of unit normals one apart."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(samples):
        ids = np.repeat(np.arange(subjects), rows_of_subject)
        y = (ids % 3 == 0).astype(int)
        own, noise = rng.normal(size=subjects)[ids], rng.normal(size=ids.size)
        found = ranking.auc_interval(y, np.sqrt(0.8) * own + np.sqrt(0.2) * noise + y, ids if clustered else None)
        hits += found.low <= 0.7602499 <= found.high
    return hits / samples


@pytest.mark.slow
def test_coverage_is_roughly_nominal():
    """Standard error of a share of .95 in 400 samples: .011. The third shows what clustering is for."""
    assert 0.91 <= covered(1, clustered=False) <= 0.98
    assert 0.91 <= covered(5, clustered=True) <= 0.98
    assert covered(5, clustered=False) < 0.8
