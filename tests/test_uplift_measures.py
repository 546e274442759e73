"""Measures of uplift: by hand, against their definition, against the truth, and the numbers of other libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.uplift_metrics import numbers
from benchmarks.uplift_peers import campaign as campaign_of_peers
from benchmarks.uplift_peers import revenue
from evaluation import uplift
from evaluation import uplift_conversions as conversions
from evaluation.arm_values import arm_values, effect_scores
from evaluation.bootstrap import drawn_subjects, interval

# effects of whole cents and scores of few levels: sums are exact, and ties are common
scored = st.lists(st.tuples(st.integers(-50, 50), st.integers(-4, 4)), min_size=2, max_size=40).map(
    lambda rows: np.array(rows, dtype=float).T
)


def by_definition(effect, score):
    """The Qini by its definition, averaged over all rows that a cut within a group could take: straight lines."""
    reached, share = [0.0], [0.0]
    for level in sorted(set(score), reverse=True):
        reached.append(reached[-1] + effect[score == level].sum() / effect.size)
        share.append(share[-1] + (score == level).mean())
    return np.trapezoid(np.array(reached) - np.array(share) * effect.mean(), share)


def campaign(seed, n=4_000, treated_share=0.5, money=False):
    """Customers whose true effect is known: outcome, treated, propensity, expected (n, 2), true effect, covariate."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    base, effect = 0.2 + 0.1 * np.tanh(x), 0.1 * np.tanh(2 * x) + 0.02
    propensity = np.broadcast_to(treated_share(x) if callable(treated_share) else treated_share, (n,))
    treated = (rng.random(n) < propensity).astype(int)
    bought = rng.random(n) < base + effect * treated
    value = np.rint(rng.gamma(1.5, 2_000, n)) if money else np.ones(n)
    each = 3_000 if money else 1
    return bought * value, treated, propensity, np.column_stack([base, base + effect]) * each, effect * each, x


# --- by hand ---


def test_four_customers_by_hand():
    """Gained after one, two, three, four heads: 2, 1, 1, 2 of four; chance: 0.5, 1, 1.5, 2. Per head a quarter.

    Above chance: 0, 1.5, 0, -0.5, 0, over four; by trapezoids of a quarter each: (1.5 - 0.5) / 4 / 4.
    """
    effect, score = [2, -1, 0, 1], [4, 3, 2, 1]
    assert uplift.qini(effect, score) == pytest.approx(1 / 16)
    assert uplift.auuc(effect, score) == pytest.approx(1 / 16 + 0.5 / 2)
    assert uplift.uplift_at(effect, score, 0.5) == pytest.approx(0.5)
    # top averages 2, 1/2, 1/3, 1/2 less 1/2; between them the gained line over q: the integral of each piece by hand
    pieces = [0.5, (2 - -1) / 4 * np.log(2) - 0.25, (1 - 0) / 4 * np.log(3 / 2), (1 - 3) / 4 * np.log(4 / 3) + 0.25]
    assert uplift.autoc(effect, score) == pytest.approx(sum(pieces) - 0.5)
    assert uplift.toc(effect, score, [0.25, 1]) == pytest.approx([1.5, 0])


def test_a_tie_by_hand():
    """Two at the top share 2 and -1: the first of them brings half of their sum. Then 1, 1, 2 of four as above.

    Above chance, in quarters: 0, 0, 0, -0.5, 0. The top quarter holds 0.5 of four heads, so 0.5 each.
    """
    effect, score = [-1, 2, 0, 1], [3, 3, 2, 1]
    assert uplift.qini(effect, score) == pytest.approx(-0.5 / 16)
    assert uplift.uplift_at(effect, score, 0.25) == pytest.approx(0.5)
    assert uplift.qini(effect, [1, 1, 1, 1]) == 0
    assert uplift.autoc(effect, [1, 1, 1, 1]) == 0


def test_scores_of_arms_by_hand():
    """Drawn into arm 1 with probability 1/4, 8 followed where 4 was expected: 4 + (8 - 4) * 4."""
    expected = [[1.0, 4.0, 2.0]]
    assert arm_values([8], [1], [0.25], expected).tolist() == [[1, 20, 2]]
    assert arm_values([8], [1], [0.25], arms=3).tolist() == [[0, 32, 0]]
    assert effect_scores([8, 8], [1, 0], 0.25, [[1, 4], [1, 4]]) == pytest.approx([20 - 1, 4 - (1 + 7 / 0.75)])


# --- laws ---


@given(scored)
def test_qini_is_the_area_by_definition(table):
    effect, score = table
    assert uplift.qini(effect, score) == pytest.approx(by_definition(effect, score), abs=1e-9)
    assert uplift.auuc(effect, score) == pytest.approx(uplift.qini(effect, score) + effect.mean() / 2, abs=1e-9)


@given(scored, st.randoms(use_true_random=False))
def test_measures_know_only_the_order_of_scores(table, random):
    effect, score = table
    rows = list(range(effect.size))
    random.shuffle(rows)
    for measure in (uplift.qini, uplift.auuc, uplift.autoc, lambda e, s: uplift.uplift_at(e, s, 0.3)):
        assert measure(effect, np.exp(score / 3) - 7) == measure(effect, score)
        assert measure(effect[rows], score[rows]) == pytest.approx(measure(effect, score), abs=1e-9)
    assert uplift.qini(effect, -score) == pytest.approx(-uplift.qini(effect, score), abs=1e-9)


@given(scored, st.integers(2, 3))
def test_copies_of_a_subjects_rows_tell_nothing_new(table, copies):
    effect, score = table
    once = uplift.qini_interval(effect, score)
    ids = np.repeat(np.arange(effect.size), copies)
    copied = uplift.qini_interval(np.repeat(effect, copies), np.repeat(score, copies), ids)
    assert copied == pytest.approx(once, abs=1e-9)


@given(scored)
def test_no_order_is_better_than_that_of_the_effects(table):
    effect, score = table
    assert uplift.qini(effect, score) <= uplift.qini(effect, effect) + 1e-9


def test_a_blind_score_is_worth_nothing_on_average():
    """The mean of 2,000 rankings drawn blindly lies within four standard errors of zero."""
    effect = effect_scores(*campaign(1, n=500, money=True)[:3])
    rng = np.random.default_rng(2)
    for measure in (uplift.qini, uplift.autoc):
        drawn = np.array([measure(effect, rng.random(effect.size)) for _ in range(2_000)])
        assert abs(drawn.mean()) < 4 * drawn.std() / np.sqrt(drawn.size)


def tilted(x):
    """Who buys more anyway is treated more: the case in which counting arms goes wrong."""
    return 1 / (1 + np.exp(-1.5 * x))


@pytest.mark.parametrize("share", [0.1, 0.5, tilted], ids=["a tenth treated", "half", "by who she is"])
@pytest.mark.parametrize("with_model", [False, True], ids=["weighted", "doubly robust"])
def test_qini_is_right_on_average_whatever_the_arms(share, with_model):
    """Of 150 campaigns the mean Qini is the true one within four standard errors."""
    off = []
    for seed in range(150):
        outcome, treated, propensity, expected, effect, x = campaign(seed, n=1_000, treated_share=share)
        found = effect_scores(outcome, treated, propensity, 0.7 * expected if with_model else None)
        off.append(uplift.qini(found, x) - uplift.qini(effect, x))
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(len(off))


def test_counting_arms_is_biased_where_they_are_drawn_by_who_she_is():
    """Why ours weighs: the same campaigns, arms counted as other libraries do."""
    off = []
    for seed in range(50):
        outcome, treated, _, _, effect, x = campaign(seed, n=1_000, treated_share=tilted)
        off.append(conversions.counted_qini(outcome, treated, x) - uplift.qini(effect, x))
    assert abs(np.mean(off)) > 8 * np.std(off) / np.sqrt(len(off))


def test_a_good_model_of_the_outcome_makes_the_qini_surer():
    outcome, treated, propensity, expected, _, x = campaign(3, money=True)
    widths = [
        np.ptp(uplift.qini_interval(effect_scores(outcome, treated, propensity, of), x)[1:]) for of in (None, expected)
    ]
    assert widths[1] < 0.95 * widths[0]


# --- intervals ---


def test_the_interval_covers_the_truth():
    """Of 300 campaigns the intervals of 95 % around a Qini hold the true one in at least 275 (by chance 3 in 1,000)."""
    outcome, treated, propensity, expected, effect, x = campaign(0, n=300_000)
    truth, covered = uplift.qini(effect, x), 0
    found = effect_scores(outcome, treated, propensity, expected)
    for rows in np.split(np.arange(found.size), 300):
        low, high = uplift.qini_interval(found[rows], x[rows])[1:]
        covered += low <= truth <= high
    assert 275 <= covered <= 298


def test_closed_forms_are_those_of_the_bootstrap():
    """Widths within 10 % of those from 2,000 draws of customers, who have two or three rows; of pairs too."""
    outcome, treated, propensity, expected, _, x = campaign(4, n=900, money=True)
    effect, ids = effect_scores(outcome, treated, propensity, expected), np.arange(900) % 400
    first, second = np.round(x, 1), np.round(x + np.random.default_rng(5).normal(size=900))
    draws = list(drawn_subjects(ids, 2_000, 6))
    one, other = (uplift._Ranked(effect, score) for score in (first, second))
    drawn = np.array([[one.exact(w)[1], one.exact(w)[1] - other.exact(w)[1]] for w in draws])
    closed = (uplift.qini_interval(effect, first, ids), uplift.qini_difference(effect, first, second, ids)[:3])
    for k, (value, low, high) in enumerate(closed):
        _, least, most = interval(value, drawn[:, k])
        assert high - low == pytest.approx(most - least, rel=0.1)


def test_a_ranking_does_not_differ_from_itself():
    effect = effect_scores(*campaign(7, n=400)[:3])
    x = campaign(7, n=400)[5]
    assert uplift.qini_difference(effect, x, np.exp(x)) == (0, 0, 0, 1)


def test_measures_and_gains_hang_together():
    outcome, treated, propensity, expected, effect, x = campaign(8, money=True)
    found = effect_scores(outcome, treated, propensity, expected)
    measures, gains = uplift.uplift_measures(found, x), uplift.uplift_gains(found, -x, x)
    assert list(measures) == [*uplift.EXACT, *uplift.RESAMPLED]
    assert measures["qini"] == uplift.qini_interval(found, x)
    assert measures["autoc"].value == uplift.autoc(found, x)
    assert measures["uplift_20"].value == uplift.uplift_at(found, x, 0.2)
    assert measures["uplift_20"].low < uplift.uplift_at(effect, x, 0.2) < measures["uplift_20"].high
    assert all(of.low < of.value < of.high for of in measures.values())
    assert gains["qini"].value == pytest.approx(2 * measures["qini"].value)
    assert gains["uplift_10"].value == pytest.approx(uplift.uplift_at(found, x, 0.1) - uplift.uplift_at(found, -x, 0.1))
    assert all(gain.low > 0 and gain.p_value < 0.01 for gain in gains.values())


# --- several arms ---


def test_each_arm_has_the_effect_that_it_has():
    """Three arms of unequal shares on one campaign: the mean score of each is its mean outcome, had all been in it."""
    rng = np.random.default_rng(9)
    n, shares = 200_000, np.array([0.2, 0.5, 0.3])
    x = rng.random(n)
    means = np.column_stack([x, x + 0.1, 2 * x])
    arm = rng.choice(3, n, p=shares)
    outcome = means[np.arange(n), arm] + rng.normal(size=n)
    for expected in (None, means - 0.5):
        values = arm_values(outcome, arm, shares[arm], expected)
        error = values.std(axis=0) / np.sqrt(n)
        assert (np.abs(values.mean(axis=0) - means.mean(axis=0)) < 4 * error).all()


# --- refusals ---


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: effect_scores([1, 0], [1, 0], [0.5, 1]), "a propensity must lie in (0, 1], but 1 of 2 are not"),
        (lambda: effect_scores([1, 0], [1, 2], 0.5), "treated must be 0 or 1, but 1 of 2 are not"),
        (lambda: arm_values([1, 0], [0.5, 0], 0.5), "an arm must be 0, 1, 2"),
        (lambda: arm_values([1, 0], [0, 2], 0.5, [[1, 1], [1, 1]]), "an arm must be below 2"),
        (lambda: arm_values([1, 0], [0, 1], 0.5, [[1, 1]]), "has the shape (1, 2)"),
        (lambda: uplift.qini([1, np.nan], [1, 2]), "effect must be finite, but 1 of 2 are not"),
        (lambda: uplift.qini([1, 2], [1, 2, 3]), "score must have one entry for each of 2 rows"),
        (lambda: uplift.uplift_at([1, 2], [1, 2], 0), "a share must lie in (0, 1]"),
        (lambda: conversions.causalml_qini([1, 0, 1], [1, 0, 1], [1, 1, 2]), "1 of 3 repeat another"),
        (lambda: conversions.scikit_uplift_qini([5, 0, 1], [1, 0, 1], [1, 2, 3]), "outcome must be 0 or 1"),
        (lambda: conversions.counted([1, 0], [1, 1], [1, 2]), "both arms must have rows"),
    ],
)
def test_what_cannot_be_measured_is_refused(asked, said):
    with pytest.raises(ValueError) as refused:
        asked()
    assert said in str(refused.value)


# --- the numbers of other libraries ---

# `python benchmarks/uplift_metrics.py` prints them for `campaign(0)` .. `campaign(2)` of benchmarks/uplift_peers.py
PUBLISHED = {
    "scikit-uplift uplift_auc_score": (0.123103725008, 0.0507724495028, 0.0655900294354),
    "scikit-uplift qini_auc_score": (0.1213635815, 0.0587118134049, 0.0856944007184),
    "scikit-uplift uplift_at_k": (0.180512064837, 0.114832535885, 0.101731601732),
    "causalml auuc_score": (1.81630793829, 0.304528705349, 0.729509392966),
    "causalml auuc_score, raw": (23.206556707, 2.69199735359, 28.4248566529),
    "causalml qini_score": (1.31194575696, 0.796729363605, 0.272162702293),
    "causalml qini_score, raw": (6.63792422726, 2.80311095036, 4.02976388234),
}


@pytest.mark.parametrize("seed", range(3))
def test_conversions_give_the_numbers_of_scikit_uplift_0_5_1_and_causalml_0_18_0(seed):
    assert numbers(seed) == pytest.approx({name: of[seed] for name, of in PUBLISHED.items()}, abs=1e-6)


def test_the_counted_area_tends_to_the_qini_under_equal_chances():
    """The table of conversions: a(g) to the Qini, a(h) to it times the share treated; a million customers."""
    outcome, treated, score = campaign_of_peers(3, 1_000_000)
    ours = uplift.qini_interval(effect_scores(outcome, treated, 0.4), score)
    error = (ours.high - ours.low) / 2
    found = conversions.counted(outcome, treated, score)
    assert conversions.counted_qini(outcome, treated, score) == pytest.approx(ours.value, abs=error)
    assert conversions.above_chord(found.share, found.radcliffe()) / 0.4 == pytest.approx(ours.value, abs=error)
    assert error < ours.value / 10


def test_revenue_and_ties_have_a_qini():
    """Where scikit-uplift refuses and causalml's number changes with the order of the rows."""
    outcome, treated, score = campaign_of_peers(0)
    effect, tied = effect_scores(revenue(outcome), treated, 0.4), np.round(score)
    assert uplift.qini(effect[::-1], tied[::-1]) == pytest.approx(uplift.qini(effect, tied))
    assert np.isfinite(uplift.qini_interval(effect, tied)).all()
