"""What a campaign changed, how many the next one needs, and who is held out: by hand, published, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, kstest

from contracts.errors import Refused
from decisions.holdout import drawn, fnv1a, in_holdout
from evaluation.arm_values import arm_values
from evaluation.campaign import adjusted_values, changed_something, effects, randomised, variance_kept
from evaluation.gate import passes
from evaluation.sample_size import power, rows_needed, smallest_effect

SHARES = np.array([0.3, 0.5, 0.2])
CONTRASTS = {"mail": [1], "voucher": [2], "paper": [1, 2]}


def campaign(seed, n=2_000, lift=(0.0, 10.0, 25.0), shares=SHARES):
    """Outcome that the spend before explains to three quarters, arm, propensity, columns before, true effects."""
    rng = np.random.default_rng(seed)
    before = pd.DataFrame({"spent": rng.gamma(2, 50, n), "age": rng.normal(40, 10, n), "same": 1.0})
    chance = np.broadcast_to(shares, (n, 3)) if np.ndim(shares) == 1 else shares(before)
    arm = (rng.random(n)[:, None] >= np.cumsum(chance, axis=1)).sum(axis=1).clip(max=2)
    outcome = before.spent + np.array(lift)[arm] + rng.normal(0, 40, n)
    return outcome.to_numpy(), arm, chance[np.arange(n), arm], before


# --- effects ---


def test_effects_by_hand():
    """Means of 10, 14 and 20: 4 for the mail, 10 for the voucher, 7 for paper on average."""
    outcome, arm = [8, 12, 13, 15, 19, 21], [0, 0, 1, 1, 2, 2]
    table = effects({"spent": adjusted_values(outcome, arm, 1 / 3)}, CONTRASTS, {}).set_index("contrast")
    assert table.effect.to_dict() == pytest.approx({"mail": 4, "voucher": 10, "paper": 7})
    assert table.control.tolist() == pytest.approx([10] * 3) and table.rows.tolist() == [6] * 3
    # residuals -2, 2, -1, 1 over a propensity of a third: scores less their mean are 6, -6, -3, 3, 0, 0
    error = np.sqrt(6 / 5 * (36 + 36 + 9 + 9)) / 6
    assert table.high["mail"] - 4 == pytest.approx(1.959964 * error)


def test_adjustment_takes_out_noise_and_no_truth():
    """Of 200 campaigns: the mean effect is the true one with and without; the intervals of 95 % hold it; the variance
    that is left is the quarter that the spend before does not explain."""
    plain, adjusted, kept, covered = [], [], [], 0
    for seed in range(200):
        outcome, arm, propensity, before = campaign(seed, 1_000)
        for found, columns in ((plain, None), (adjusted, before)):
            table = effects({"spent": adjusted_values(outcome, arm, propensity, columns)}, {"voucher": [2]}, {})
            found.append(table.effect[0])
        covered += table.low[0] <= 25 <= table.high[0]
        kept.append(variance_kept(outcome, arm, propensity, before)[1])
    for found in (plain, adjusted):
        assert abs(np.mean(found) - 25) < 4 * np.std(found) / np.sqrt(200)
    assert 181 <= covered <= 199
    assert np.mean(kept) == pytest.approx(40**2 / (40**2 + 5_000), abs=0.03)
    assert np.var(adjusted) / np.var(plain) == pytest.approx(np.mean(kept), abs=0.1)


def test_with_a_wrong_model_and_unequal_chances_the_effect_is_still_right():
    """Chances hang on the spend before, and the outcome on its square: linear adjustment fits it badly."""

    def chances(before):
        high = np.clip(before.spent.to_numpy() / 300, 0.05, 0.6)
        return np.column_stack([0.9 - high, high, np.full(len(before), 0.1)])

    off, counted = [], []
    for seed in range(200):
        outcome, arm, propensity, before = campaign(seed, shares=chances)
        outcome = outcome + before.spent.to_numpy() ** 2 / 100
        values = adjusted_values(outcome, arm, propensity, before)
        off.append(effects({"spent": values}, {"mail": [1]}, {}).effect[0] - 10)
        counted.append(outcome[arm == 1].mean() - outcome[arm == 0].mean() - 10)
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(200)
    assert np.mean(counted) > 50


def test_a_segment_has_the_effect_on_its_own_customers():
    outcome, arm, propensity, before = campaign(3, 40_000)
    old = before.age.to_numpy() > 40
    outcome = outcome + np.where(old & (arm == 2), 30, 0)
    table = effects(
        {"spent": adjusted_values(outcome, arm, propensity, before)},
        CONTRASTS,
        {"everybody": old | ~old, "old": old, "young": ~old},
    )
    found = table.set_index(["segment", "contrast"])
    assert table.segment.unique().tolist() == ["everybody", "old", "young"]
    for segment, effect in (("everybody", 25 + 30 * old.mean()), ("old", 55), ("young", 25)):
        row = found.loc[(segment, "voucher")]
        assert row.low < effect < row.high
    assert found.rows["old", "mail"] == old.sum()
    paper, mail, voucher = (found.effect["old", name] for name in ("paper", "mail", "voucher"))
    assert paper == pytest.approx((mail + voucher) / 2)


def test_contacts_of_one_customer_are_one_witness():
    outcome, arm, propensity, before = campaign(4)
    ids = np.arange(len(arm))
    once = effects({"spent": adjusted_values(outcome, arm, propensity, before)}, CONTRASTS, {}, ids)
    again = [np.repeat(of, 3) for of in (outcome, arm, propensity, ids)]
    values = adjusted_values(*again[:3], before.loc[before.index.repeat(3)])
    pd.testing.assert_frame_equal(
        effects({"spent": values}, CONTRASTS, {}, again[3])[["effect", "low", "high"]], once[["effect", "low", "high"]]
    )


def test_without_any_effect_few_campaigns_show_one():
    """Nine comparisons each, corrected: at a false alarm of 0.05 at most 20 of 200 campaigns."""
    alarms = uncorrected = 0
    for seed in range(200):
        outcome, arm, propensity, before = campaign(seed, 500, lift=(0, 0, 0))
        thirds = {f"third {k}": (before.age.rank(pct=True) * 3 // 1 == k).to_numpy() for k in range(3)}
        table = effects({"spent": adjusted_values(outcome, arm, propensity, before)}, CONTRASTS, thirds)
        alarms += len(changed_something(table, 0.05)) > 0
        uncorrected += (table.p_value < 0.05).any()
    assert alarms <= 20 < 30 < uncorrected
    assert len(changed_something(effects({"spent": adjusted_values(*campaign(1))}, CONTRASTS, {}), 0.01)) == 3


# --- is it an experiment at all? ---


def test_a_randomised_campaign_passes_and_a_targeted_one_does_not():
    outcome, arm, propensity, before = campaign(5, 20_000)
    names = ("control", "mail", "voucher")
    assert passes(randomised(arm, propensity, before, names))
    kept = (arm != 0) | (np.random.default_rng(1).random(arm.size) < 0.95)  # one in twenty of the control was lost
    checks = randomised(arm[kept], propensity[kept], before[kept], names)
    assert [check.passed for check in checks] == [False, True, True, True, False, True] or not checks[0].passed
    rich = (arm == 2) & (before.spent.to_numpy() < 60)
    checks = randomised(np.where(rich, 0, arm), propensity, before, names)
    assert [check.passed for check in checks if check.what == "balance of voucher"] == [False]
    assert "spent" in [check.note for check in checks if check.what == "balance of voucher"][0]


def test_a_tilt_that_the_propensities_tell_is_no_fault():
    def chances(before):
        high = np.clip(before.spent.to_numpy() / 300, 0.05, 0.6)
        return np.column_stack([0.9 - high, high, np.full(len(before), 0.1)])

    _, arm, propensity, before = campaign(6, 30_000, shares=chances)
    names = ("control", "mail", "voucher")
    assert passes(randomised(arm, propensity, before, names))
    assert not passes(randomised(arm, np.bincount(arm)[arm] / arm.size, before, names))


# --- how many the next one needs ---


@pytest.mark.parametrize(("d", "each"), [(0.2, 393.4), (0.5, 63.8), (0.8, 25.5)])
def test_rows_needed_as_in_cohens_table(d, each):
    """Cohen (1992), A Power Primer, table 2: 393, 64 and 26 in each group for small, medium and large differences.

    His are of an approximation; exactly, 80 % of power is passed at these numbers.
    """
    assert rows_needed(d, 1) / 2 == pytest.approx(each, abs=0.6)
    assert power(rows_needed(d, 1), 0.5, d, 1) >= 0.8 > power(rows_needed(d, 1) - 1, 0.5, d, 1)


def test_sizes_hang_together():
    rows = rows_needed(3, 40, 0.1)
    assert smallest_effect(rows, 40, 0.1) == pytest.approx(3, rel=1e-3)
    assert (
        rows_needed(3, 40, 0.5) < rows
        and rows_needed(3, 40, 0.1, 0.9) > rows
        and rows_needed(3, 40, 0.1, level=0.01) > rows
    )
    assert power(1_000, 0.5, 0, 1) == pytest.approx(0.05)
    assert power(10**6, 0.5, 1, 1) == 1


def test_the_power_is_the_share_of_campaigns_that_see_it():
    rng = np.random.default_rng(7)
    treated, control = rng.normal(0.2, 1, (2_000, 300)), rng.normal(0, 1, (2_000, 100))
    pooled = (299 * treated.var(axis=1, ddof=1) + 99 * control.var(axis=1, ddof=1)) / 398
    t = (treated.mean(axis=1) - control.mean(axis=1)) / np.sqrt(pooled * (1 / 300 + 1 / 100))
    assert (np.abs(t) > 1.966).mean() == pytest.approx(power(400, 0.25, 0.2, 1), abs=0.04)


# --- hold-out ---


def test_the_hash_is_fnv_1a():
    """The authors' test vectors of 64 bits: "", "a" and "foobar" (draft-eastlake-fnv)."""
    found = [int(fnv1a("", np.array([text]))[0]) for text in ("", "a", "foobar")]
    assert found == [0xCBF29CE484222325, 0xAF63DC4C8601EC8C, 0x85944171F73967E8]
    assert (
        fnv1a("foo", np.array(["bar", "b", "bär"])).tolist()
        == fnv1a("", np.array(["foobar", "foob", "foobär"])).tolist()
    )


def test_a_draw_stays_for_ever():
    """Frozen: whoever changes one of these numbers changes who is held out in every company."""
    found = drawn(["1", "2", "a"], "all campaigns 2025")
    assert found == pytest.approx([0.3904512, 0.7004395, 0.70598627], abs=1e-7)


def test_who_is_held_out_hangs_on_salt_and_id_alone():
    ids = np.arange(1, 20_001)
    held = in_holdout(ids, "all campaigns 2025", 0.1)
    assert np.array_equal(in_holdout(ids.astype(str), "all campaigns 2025", 0.1), held)
    assert np.array_equal(in_holdout(ids[::-1], "all campaigns 2025", 0.1), held[::-1])
    assert np.array_equal(in_holdout(ids[5_000:7_000], "all campaigns 2025", 0.1), held[5_000:7_000])
    assert held.mean() == pytest.approx(0.1, abs=0.007)
    assert in_holdout(ids, "all campaigns 2025", 0.2)[held].all()
    assert not in_holdout(ids, "s", 0).any() and in_holdout(ids, "s", 1).all()
    assert in_holdout([], "s", 0.5).shape == (0,)


@pytest.mark.parametrize("ids", [np.arange(50_000), np.char.add("customer-", np.arange(50_000).astype(str))])
def test_draws_are_even_and_independent(ids):
    salts = ("spring", "summer", "spring 2")
    numbers = [drawn(ids, salt) for salt in salts]
    for one in numbers:
        assert kstest(one, "uniform").pvalue > 0.001
        assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.02  # next ids
    for first, second in ((0, 1), (0, 2), (1, 2)):
        table = pd.crosstab(numbers[first] < 0.1, numbers[second] < 0.1)
        assert chi2_contingency(table).pvalue > 0.001


@pytest.mark.parametrize(
    ("ids", "salt", "share", "said"),
    [
        ([1.5, 2.0], "s", 0.1, "of the kind floating"),
        (["a", None], "s", 0.1, "1 of 2 are missing"),
        ([True], "s", 0.1, "of the kind boolean"),
        (["a"], "", 0.1, "needs a salt"),
        (["a"], "s", 10, "a share in [0, 1]"),
    ],
)
def test_no_customer_is_held_out_by_mistake(ids, salt, share, said):
    with pytest.raises(Refused) as refused:
        in_holdout(ids, salt, share)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: adjusted_values([1, 2, 3], [0, 2, 2], 0.5), "arm 1 has none"),
        (lambda: adjusted_values([1, 2], [0, 1], 0.5, [[1], [np.nan]]), "1 numbers that are not finite"),
        (lambda: arm_values([1, 2], [0, 1], [0.5]), "propensity must be one number or 2"),
        (lambda: rows_needed(0, 1), "an effect and a chance"),
        (lambda: rows_needed(1e-9, 1), "too small to be seen"),
        (lambda: power(10, 1, 1, 1), "must lie in (0, 1)"),
    ],
)
def test_what_cannot_be_told_is_refused(asked, said):
    with pytest.raises(ValueError) as refused:
        asked()
    assert said in str(refused.value)
