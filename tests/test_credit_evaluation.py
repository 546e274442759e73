"""What validates a probability of default: counted by hand, against SciPy, and by laws that noise alone must keep."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binomtest

from evaluation.comparison import Difference
from evaluation.delinquency import roll_rates, vintages, worst_of
from evaluation.fairness import ADVERSE, FAIR, TOO_FEW, UNCLEAR, fairer_cut_offs, fairness, worst_ratio
from evaluation.grades import MasterScale, grade_tests, master_scale
from evaluation.lending import Terms
from evaluation.money import h_measure
from evaluation.ranking import gini, kolmogorov_smirnov
from evaluation.strategy import approval_gain, realised_profit, strategy_curve
from evaluation.validation import characteristics, discrimination, hosmer_lemeshow, stability

TERMS = Terms(0.1, 0.5, 1.0, 0)


def foretold(n=4_000, seed=1, slope=1.0):
    """Outcomes that happen with the probability foretold, or with one that is stretched on the logit scale."""
    draw = np.random.default_rng(seed)
    x = draw.normal(-2, 1.2, n)
    return (draw.random(n) < 1 / (1 + np.exp(-slope * x))).astype(float), 1 / (1 + np.exp(-x))


# -- does it rank, does it mean what it says


def test_gini_ks_and_h_are_those_of_the_other_modules():
    y, p = foretold()
    found = discrimination(y, p, seed=3)
    for name, value in (("gini", gini(y, p)), ("ks", kolmogorov_smirnov(y, p)), ("h", h_measure(y, p))):
        assert found[name].value == pytest.approx(value)
        assert found[name].low < value < found[name].high


def test_hosmer_and_lemeshow_counted_by_hand():
    """Two groups of four at .25 and .5: one and three bad. Off by 0 of .75, and by 1 of 1."""
    fit = hosmer_lemeshow([1, 0, 0, 0, 1, 1, 1, 0], [0.25] * 4 + [0.5] * 4, groups=2)
    assert (fit.statistic, fit.degrees) == (pytest.approx(1.0), 2)
    assert fit.p_value == pytest.approx(np.exp(-0.5))


def test_hosmer_and_lemeshow_refuse_one_perfect_model_in_twenty():
    draws = [hosmer_lemeshow(*foretold(800, seed)).p_value < 0.05 for seed in range(200)]
    assert 0.01 <= np.mean(draws) <= 0.1
    assert hosmer_lemeshow(*foretold(4_000, slope=0.6)).p_value < 1e-6


# -- grades


def test_rates_rise_from_grade_to_grade_and_every_grade_holds_enough():
    y, p = foretold(8_000)
    scale = master_scale(y, p)
    grade = scale.grade(p)
    loans, bad = np.bincount(grade), np.bincount(grade, y)
    assert len(scale.pd) >= 5
    assert (np.diff(bad / loans) > 0).all() and (np.diff(scale.pd) > 0).all()
    assert loans.min() >= 50 and bad.min() >= 5
    assert MasterScale.from_json(scale.to_json()) == scale


def test_a_scale_of_noise_is_few_grades_and_an_edge_belongs_to_the_next_grade():
    draw = np.random.default_rng(4)
    noise = master_scale(draw.integers(0, 2, 60).astype(float), draw.random(60))
    assert len(noise.pd) <= 2
    assert MasterScale((0.1,), (0.05, 0.2)).name([0.0999, 0.1]).tolist() == ["A", "B"]


def test_the_tests_of_a_grade_are_scipys():
    scale = MasterScale((0.1,), (0.05, 0.2))
    y = np.r_[np.ones(9), np.zeros(91), np.ones(19), np.zeros(81)]
    found = grade_tests(y, np.repeat([0.06, 0.3], 100), scale)
    assert found.binomial.tolist() == pytest.approx(
        [binomtest(9, 100, 0.05, "greater").pvalue, binomtest(19, 100, 0.2, "greater").pvalue]
    )
    assert found.jeffreys.tolist() == pytest.approx([beta(9.5, 91.5).cdf(0.05), beta(19.5, 81.5).cdf(0.2)])
    assert found.observed.tolist() == [0.09, 0.19] and not found.riskier.any()
    worse = grade_tests(np.r_[np.ones(20), np.zeros(80)], np.full(100, 0.06), scale)
    assert worse.riskier.tolist() == [True]


# -- does it stay what it was


def test_the_index_counted_by_hand():
    """Half and half becomes one in five: .3 log 2.5 + .3 log 1.6."""
    found = stability(["a"] * 50 + ["b"] * 50, ["a"] * 20 + ["b"] * 80)
    assert found.psi == pytest.approx(0.3 * np.log(2.5) + 0.3 * np.log(1.6))
    assert found.shifted


def test_without_drift_an_index_has_its_expected_size_and_raises_no_alarm():
    """(B - 1)(1/n + 1/m): what a bare limit of 0.1 would call a shift in a small sample."""
    found = []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        found.append(stability(draw.normal(size=100), draw.normal(size=100), seed))
    assert np.mean([f.psi for f in found]) == pytest.approx(9 * 0.02, rel=0.2)
    assert np.mean([f.expected for f in found]) == pytest.approx(9 * 0.02, rel=0.15)
    assert sum(f.psi > 0.1 for f in found) > 30 and not any(f.shifted for f in found)


def test_a_shift_is_found_and_missing_values_are_a_bin():
    draw = np.random.default_rng(1)
    assert stability(draw.normal(size=1_000), draw.normal(0.35, 1, 1_000)).shifted
    column = pd.Series(draw.normal(size=1_000))
    assert stability(column, column.where(draw.random(1_000) < 0.8)).shifted
    frame = pd.DataFrame({"same": column, "moved": column, "word": np.where(column > 0, "a", "b")})
    after = frame.assign(moved=frame.moved + 1)
    found = characteristics(frame, after).set_index("column")
    assert found.index[0] == "moved"
    assert found.psi[["same", "word"]].tolist() == [0, 0] and found.shifted.tolist() == [True, False, False]


# -- what a cut-off brings


def test_a_strategy_counted_by_hand():
    """Four loans of 100.00: 10.00 from each good one, 50.00 lost on the bad one, which is the third by risk."""
    curve = strategy_curve([0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4], [10_000] * 4, TERMS)
    at = {share: k for k, share in enumerate(np.round(curve.share, 2))}
    assert [curve.profit[at[s]] for s in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([0, 1_000, 2_000, -3_000, -2_000])
    assert curve.bad_rate[[at[0.5], at[0.75], at[1]]] == pytest.approx([0, 1 / 3, 0.25])
    assert (curve.profit_low <= curve.profit + 1e-9).all() and (curve.profit <= curve.profit_high + 1e-9).all()


def test_the_gain_of_a_rule_is_the_difference_of_profits():
    y, p = foretold(1_000)
    exposure = np.full(1_000, 10_000)
    first, second = p < 0.1, p < 0.15
    gain = approval_gain(y, first, second, exposure, TERMS)
    alone = [realised_profit(y, rule, exposure, TERMS).value for rule in (first, second)]
    assert isinstance(gain, Difference) and gain.value == pytest.approx(alone[1] - alone[0])
    assert approval_gain(y, first, first, exposure, TERMS)[:3] == (0, 0, 0)


# -- groups


def test_the_ratio_and_its_interval_counted_by_hand():
    """180 of 200 and 90 of 150: .6 / .9; Katz's error is sqrt(1/90 - 1/150 + 1/180 - 1/200)."""
    groups = np.repeat(["a", "b", "c"], [200, 150, 40])
    approved = np.r_[np.ones(180), np.zeros(20), np.ones(90), np.zeros(60), np.zeros(40)]
    found = fairness(groups, approved).set_index("group")
    error = np.sqrt(1 / 90 - 1 / 150 + 1 / 180 - 1 / 200)
    assert found.ratio["b"] == pytest.approx(2 / 3)
    assert found.ratio_high["b"] == pytest.approx(2 / 3 * np.exp(1.959964 * error))
    assert found.verdict.to_dict() == {"a": FAIR, "b": ADVERSE, "c": TOO_FEW}
    assert worst_ratio(groups, approved) == pytest.approx(2 / 3)


def test_a_ratio_whose_interval_reaches_four_fifths_is_held_against_nobody():
    groups = np.repeat(["a", "b"], [120, 120])
    approved = np.r_[np.ones(90), np.zeros(30), np.ones(66), np.zeros(54)]
    assert fairness(groups, approved).set_index("group").verdict["b"] == UNCLEAR


def test_errors_and_limits_are_of_those_of_whom_they_are_known():
    """Of the good, one of two is refused; of those approved whose end is known, one of two was bad."""
    found = fairness(["a"] * 4, [1, 1, 0, 1], [0, 1, 0, np.nan], [100, 300, np.nan, 200]).iloc[0]
    assert (found.good_refused, found.bad_approved, found.limit) == (0.5, 0.5, 200)


def test_a_fairer_cut_off_costs_what_it_gives_up():
    draw = np.random.default_rng(5)
    groups = np.repeat(["a", "b"], 500)
    p = np.r_[draw.beta(1, 12, 500), draw.beta(2, 10, 500)]
    profit = 1_000 * (0.1 - p)
    found = fairer_cut_offs(groups, p, profit)
    best = found.loc[found.cost.idxmin()]
    assert best.cost == 0 and best.cut_off == pytest.approx(0.1, abs=0.01)
    assert best.ratio < 0.8
    fair = found[found.ratio >= 0.8].iloc[0]
    assert fair.cut_off > best.cut_off and fair.cost > 0
    assert fair.profit == pytest.approx(profit[p <= fair.cut_off].sum())


# -- how loans age


def panel():
    """Three loans over four months: one stays current, one slips and comes back, one runs to default."""
    days = {1: [0, 0, 0, 0], 2: [0, 10, 40, 0], 3: [10, 40, 70, 100]}
    rows = [(loan, "2024-01-15", month, late) for loan, of in days.items() for month, late in enumerate(of, 1)]
    return pd.DataFrame(rows, columns=["application_id", "origin", "month", "days_past_due"])


def test_roll_rates_counted_by_hand():
    found = roll_rates(panel()).set_index("bucket")
    assert found.loans.to_dict() == {"current": 4, "1-29": 2, "30-59": 2, "60-89": 1, "90+": 0}
    assert found.loc["current", ["current", "1-29"]].tolist() == [0.75, 0.25]
    assert found.worse[["1-29", "30-59", "60-89"]].tolist() == [1.0, 0.5, 1.0]


def test_vintages_count_those_ever_bad_and_only_full_months():
    short = panel()[lambda t: ~((t.application_id == 1) & (t.month == 4))]
    found = vintages(short, 60)
    assert found.month.tolist() == [1, 2, 3] and found.bad.tolist() == [0, 0, 1 / 3]
    assert vintages(panel(), 30).bad.tolist() == [0, 1 / 3, 2 / 3, 2 / 3]


def test_who_was_behind_early_and_bad_later():
    found = worst_of(panel()).set_index("bucket")
    assert found.loans.to_dict() == {"current": 1, "1-29": 1, "30-59": 1, "60-89": 0, "90+": 0}
    assert found.bad_later[["current", "1-29", "30-59"]].tolist() == [0, 0, 1]
