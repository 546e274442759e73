"""Rules of contact: chosen out of sample, worth what they are worth, by hand and against the truth."""

import numpy as np
import pytest
from hypothesis import given as given_draws
from hypothesis import strategies as st

from decisions.targeting import (
    Choice,
    Depth,
    assigned,
    best_arms,
    choose_depth,
    incremental_margin,
    left_of_basket,
    targeting_plan,
    top_share,
)
from evaluation.arm_values import arm_values
from evaluation.policy_value import given, net_of, policy_gain, policy_table, policy_value
from evaluation.uplift_calibration import calibrated_uplift, recalibrate, uplift_calibration, uplift_deciles

COST = np.array([0, 2, 80])


def drawn(seed, n=5_000):
    """A campaign of three arms: what is seen of it, and the true mean margin of each customer under each arm."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    truth = np.column_stack([500 + 100 * x, 500 + 110 * x, 540 + 200 * x])
    chance = np.column_stack([0.4 + 0.2 * (x < 0), 0.3 - 0.1 * (x < 0), 0.3 - 0.1 * (x < 0)])
    arm = (rng.random(n)[:, None] >= np.cumsum(chance, axis=1)).sum(axis=1)
    outcome = truth[np.arange(n), arm] + 400 * rng.normal(size=n)
    return outcome, arm, chance[np.arange(n), arm], truth, x


# --- values ---


def test_values_by_hand():
    """Two customers, three arms; the first gets the letter at 80 cents, the second is left alone."""
    values = net_of([[10, 20, 200], [5, 1, 0]], COST)
    assert values.tolist() == [[10, 18, 120], [5, -1, -80]]
    assert given(values, [2, 0]).tolist() == [120, 5]
    assert given(values, [[0.5, 0.5, 0], [1, 0, 0]]).tolist() == [14, 5]
    assert policy_value([120, 5]).value == 62.5
    # the mean difference is 52, its standard error half the difference of the two numbers: 106 - (-2) = 108
    gain = policy_gain([14, 7], [120, 5])
    assert (gain.value, gain.high - gain.value) == pytest.approx((52, 1.959964 * 54))
    assert policy_gain([14, 7], [14, 7]) == (0, 0, 0, 1)


def test_the_interval_of_a_rule_covers_its_true_value():
    """Of 300 campaigns at least 275 intervals of 95 % hold the truth (by chance 3 in 1,000 do not), and 298 at most."""
    covered = 0
    for seed in range(300):
        outcome, arm, propensity, truth, x = drawn(seed, 1_000)
        rule = np.where(x > 0.5, 2, np.where(x > -1, 1, 0))
        found = policy_value(given(net_of(arm_values(outcome, arm, propensity, 0.8 * truth), COST), rule))
        covered += found.low <= given(net_of(truth, COST), rule).mean() <= found.high
    assert 275 <= covered <= 298


def test_several_rows_of_a_customer_are_one_witness():
    outcome, arm, propensity, truth, _ = drawn(1)
    of = given(arm_values(outcome, arm, propensity, truth), arm)
    once, copied = policy_value(of), policy_value(np.repeat(of, 4), np.repeat(np.arange(of.size), 4))
    assert copied == pytest.approx(once)
    assert policy_value(np.repeat(of, 4)).low > once.low


def test_the_table_sets_the_chosen_rule_beside_each():
    outcome, arm, propensity, truth, x = drawn(2, 20_000)
    values = net_of(arm_values(outcome, arm, propensity, truth), COST)
    rules = {"logged": outcome - COST[arm], "none": values[:, 0], "chosen": given(values, np.where(x > 0.5, 2, 0))}
    table = policy_table(rules, "chosen").set_index("rule")
    assert table.loc["chosen", ["gain", "gain_low", "gain_high", "p_value"]].tolist() == [0, 0, 0, 1]
    assert table.gain["none"] == pytest.approx(table.value["chosen"] - table.value["none"])
    assert table.value["logged"] == pytest.approx((outcome - COST[arm]).mean())
    assert table.gain_low["none"] > 0 and table.p_value["none"] < 0.001


# --- whom, with what, how deep ---


def test_the_best_arm_by_hand():
    """Net of 2 and 80 cents: 8 and 20; 8 and -70, equal gains go to the cheaper arm; a loss is still a best arm."""
    choice = best_arms([[10, 100], [10, 10], [10, 88], [0, 0]], [2, 80])
    assert choice.arm.tolist() == [2, 1, 1, 1]
    assert choice.gain.tolist() == [20, 8, 8, -2]
    assert assigned(choice, 8).tolist() == [2, 1, 1, 0]
    assert assigned(choice, np.inf).tolist() == [0, 0, 0, 0]


def test_a_discount_costs_most_on_those_who_would_have_bought():
    """A sure thing buys at 0.9 for 100 or, with the voucher, for 70; the voucher moves another from 0.1 to 0.4."""
    found = incremental_margin([0.9, 0.1], [[0, 0], [0.2, 0.3]], [[100, 100, 70], [100, 100, 70]])
    assert found == pytest.approx(np.array([[0, -27], [20, 18]]))
    assert incremental_margin([0.95], [[0.2]], [[100, 100]]) == pytest.approx(np.array([[5]]))
    with pytest.raises(ValueError, match="but are of"):
        incremental_margin([0.9], [[0, 0]], [[100, 100]])


def test_what_an_arm_leaves_of_a_basket_by_hand():
    """Two of the control bought for 30 of 100 and 20 of 100, one with a voucher for 15; nobody in the third arm."""
    found = left_of_basket([30, 20, 15], [100, 100, 100], [0, 0, 1], 3)
    assert found == pytest.approx([0.25, 0.15, 65 / 300])
    with pytest.raises(ValueError, match="1 buyers' do not"):
        left_of_basket([10], [0], [0], 2)


def test_the_depth_by_hand():
    """Twenty customers by expected gain; the first eight brought 3 each, the next two lost 1 each, the rest 5 each."""
    profit = np.array([3] * 8 + [-1] * 2 + [-5] * 10)
    values = np.column_stack([np.zeros(20), profit])
    choice = Choice(np.ones(20, int), np.arange(20, 0, -1.0))
    # all are expected to pay and lost 28 together; the first eight brought 24, surely more
    assert choose_depth(values, choice) == Depth(13.0, 0.4, 24 / 20)
    assert choose_depth(-np.abs(values), choice) == Depth(np.inf, 0, 0)
    tied = Choice(choice.arm, np.where(choice.gain > 10, 2.0, 1.0))  # the first ten are one group
    assert choose_depth(values, tied) == Depth(2.0, 0.5, 22 / 20)


def test_a_lucky_depth_is_no_reason():
    """Expected to pay: the first ten of twenty, which brought 1 each. One more brought 2: that may be luck."""
    profit = np.array([0, 2] * 5 + [2] + [-1] * 9)
    values = np.column_stack([np.zeros(20), profit])
    choice = Choice(np.ones(20, int), np.arange(10, -10, -1.0))
    found = choose_depth(values, choice)
    assert (found.share, found.profit) == (0.5, 0.5) and 0 < found.threshold <= 1
    assert assigned(choice, found.threshold).tolist() == [1] * 10 + [0] * 10
    # of a hundred such customers it is certain
    many = Choice(np.ones(2_000, int), np.repeat(choice.gain, 100))
    assert choose_depth(np.repeat(values, 100, axis=0), many).share == 0.55
    assert choose_depth(np.repeat(values, 100, axis=0), many, np.repeat(np.arange(20), 100)).share == 0.5


def test_a_rival_contacts_as_many():
    assert top_share([0.1, 0.9, 0.5, 0.5, 0.2], 2, 0.4).tolist() == [0, 2, 2, 0, 0]
    assert top_share([0.1, 0.9], [1, 2], 1).tolist() == [1, 2]


@given_draws(st.integers(0, 50))
def test_nobody_is_contacted_at_a_loss_that_is_known(seed):
    """With the truth in the place of a model, the rule contacts exactly those whose contact pays."""
    truth = drawn(seed, 200)[3]
    choice = best_arms(truth[:, 1:] - truth[:, :1], COST[1:])
    depth = choose_depth(net_of(truth, COST), choice)
    assert depth.profit == pytest.approx(np.maximum(choice.gain, 0).mean())
    assert np.array_equal(assigned(choice, depth.threshold) > 0, choice.gain > 0)


def test_a_depth_chosen_on_one_half_is_judged_on_the_other():
    """Without any effect: what a depth seems to have brought where it was chosen, it does not bring elsewhere."""
    rng = np.random.default_rng(3)
    shown, judged = [], []
    for _ in range(400):
        values = np.column_stack([np.zeros(400), rng.normal(-1, 10, 400)])
        choice = Choice(np.ones(400, int), rng.random(400))
        half = Choice(choice.arm[:200], choice.gain[:200]), Choice(choice.arm[200:], choice.gain[200:])
        depth = choose_depth(values[:200], half[0])
        if 0 < depth.share < 1:
            shown.append(depth.profit)
            judged.append(given(values[200:], assigned(half[1], depth.threshold)).mean())
    assert len(shown) > 20 and np.mean(shown) > 0.1
    assert np.mean(judged) < 0


def test_a_plan_names_arms_and_leaves_the_hold_out_alone():
    choice, arms = Choice(np.array([1, 2, 1, 2]), np.array([4.4, 9.0, 4.4, 90.0])), ["none", "mail", "call"]
    plan = targeting_plan([7, 3, 5, 9], choice, 4, arms, [False, False, False, True])
    assert plan.customer_id.tolist() == [3, 5, 7, 9]
    assert plan.action.tolist() == ["call", "mail", "mail", "none"]
    assert plan.expected_gain_cents.tolist() == [9, 4, 4, 0]
    assert plan.held_out.tolist() == [False, False, False, True]
    left = targeting_plan([7], Choice(np.array([1]), np.array([-3.0])), 4, arms, [False])
    assert left.iloc[0].tolist() == [7, "none", 0, False]


# --- calibration of uplift ---


def test_deciles_by_hand():
    """Two groups of two: predicted 1.5 and 3.5, observed 2 and 5; the slope is 3 / 2, the shift 3.5 - 2.5."""
    effect, predicted = [1, 3, 4, 6], [1, 2, 3, 4]
    found = uplift_deciles(effect, predicted, bins=2)
    assert found.rows.tolist() == [2, 2]
    assert found.predicted.tolist() == [1.5, 3.5] and found.observed.tolist() == [2, 5]
    # residuals of -1 and 1 around either mean: a standard error of the root of two over two
    assert found.high - found.observed == pytest.approx(1.959964 * np.sqrt(2) / 2)
    calibration = uplift_calibration(effect, predicted, bins=2)
    assert calibration.slope.value == pytest.approx(1.5)
    assert calibration.shift.value == pytest.approx(1)
    # away from the mean by 1: four residuals of 1, over the four squares
    assert calibration.slope.high - 1.5 == pytest.approx(1.959964 * 2 / 4)


@pytest.mark.parametrize("stretch", [0.5, 1, 2])
def test_the_slope_says_how_far_predictions_are_stretched(stretch):
    """Of 200 campaigns the intervals of 95 % hold the true slope in at least 181 (by chance 4 in 1,000 do not)."""
    covered = 0
    for seed in range(200):
        outcome, arm, propensity, truth, _ = drawn(seed, 1_500)
        values, effect = arm_values(outcome, arm, propensity, truth), truth[:, 2] - truth[:, 0]
        found = uplift_calibration(values[:, 2] - values[:, 0], stretch * effect).slope
        covered += found.low <= 1 / stretch <= found.high
    assert covered >= 181


def test_recalibrated_effects_are_calibrated_on_other_rows():
    """Predictions three times too extreme and ten too high; then some that say nothing; then some too tame."""
    outcome, arm, propensity, truth, _ = drawn(6, 60_000)
    values, effect = arm_values(outcome, arm, propensity, truth), truth[:, 2] - truth[:, 0]
    seen, half = values[:, 2] - values[:, 0], np.arange(60_000) < 30_000
    found = recalibrate(seen[half], 3 * effect[half] + 10)
    after = uplift_calibration(effect[~half], found.apply(3 * effect[~half] + 10))
    assert after.slope.value == pytest.approx(1, abs=0.1) and after.shift.value == pytest.approx(0, abs=6)
    assert recalibrate(seen, np.zeros(60_000)) == (pytest.approx(seen.mean()), 0, 0)
    assert recalibrate(seen, -effect).slope == 0
    assert recalibrate(seen, effect / 3).slope == 1


def test_copies_of_a_customers_rows_move_no_decile():
    outcome, arm, propensity, truth, x = drawn(5, 600)
    values = arm_values(outcome, arm, propensity, truth)
    effect, ids = values[:, 2] - values[:, 0], np.repeat(np.arange(600), 3)
    once, copied = uplift_deciles(effect, x), uplift_deciles(np.repeat(effect, 3), np.repeat(x, 3), ids)
    for name in ("predicted", "observed", "low", "high"):
        assert getattr(copied, name) == pytest.approx(getattr(once, name))
    both = uplift_calibration(effect, x), uplift_calibration(np.repeat(effect, 3), np.repeat(x, 3), ids)
    assert both[1].slope == pytest.approx(both[0].slope) and both[1].shift == pytest.approx(both[0].shift)


def test_the_gate_passes_fails_and_says_when_it_cannot_tell():
    rng = np.random.default_rng(4)
    predicted = rng.normal(size=20_000)
    effect = predicted + rng.normal(size=20_000)
    assert calibrated_uplift(effect, predicted, 0.8, 1.2).passed is True
    assert calibrated_uplift(effect, 3 * predicted, 0.8, 1.2).passed is False
    assert calibrated_uplift(effect[:50], predicted[:50] / 20, 0.8, 1.2).passed is None
    assert calibrated_uplift(effect, np.ones(20_000), 0.8, 1.2).passed is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: net_of([[1, 2]], [0]), "one number for each arm"),
        (lambda: given([[1, 2]], [2]), "an arm must be below 2"),
        (lambda: given([[1, 2]], [[0.5, 0.4]]), "chances of arms must sum to 1, but 1 of 1 are not"),
        (lambda: given([[1, 2]], [0, 1]), "has the shape (2,)"),
        (lambda: policy_value([1]), "at least two subjects"),
        (lambda: policy_gain([1, 2], [1, 2, 3]), "one entry for each of 2 rows"),
        (lambda: best_arms([[1, np.nan]], [1, 2]), "1 numbers that are not finite"),
        (lambda: uplift_deciles([1, 2], [1, 2], bins=0), "bins must be at least 1"),
    ],
)
def test_what_cannot_be_valued_is_refused(asked, said):
    with pytest.raises(ValueError) as refused:
        asked()
    assert said in str(refused.value)
