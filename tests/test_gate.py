"""The gate's rows: what passes, what fails, and what there is too little data to say."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from evaluation.comparison import Difference
from evaluation.gate import Check, calibration_intercept, gate, passes, said, slices, surely_above

RULE = {
    "gain_margin": 0, "largest_calibration_error": 0.03, "calibration_slope": [0.8, 1.25],
    "calibration_intercept": [-0.3, 0.3], "score_shift": 0.25, "slice_error": 0.05, "slice_gain": -0.03,
}  # fmt: skip


def made(seed=1, rows=6000, noise=1.0, rival=1.7):
    """Test rows whose score knows the truth up to little noise, and whose champion knows less."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(-1, 1.5, rows)
    blurred = [logit_of_mean(truth, draw, width) for width in (noise, rival)]
    return pd.DataFrame(
        {
            "customer_id": np.arange(rows),
            "origin": "2024-01-01",
            "outcome": (draw.random(rows) < expit(truth)).astype(int),
            "score": blurred[0],
            "champion": blurred[1],
            "naive": np.full(rows, 0.3),
            "slice_town": draw.choice(["A", "B"], rows),
        }
    )


def logit_of_mean(truth, draw, width):
    """The probability given a blurred sight of the truth: by tenths of a percent of it, so that it is calibrated."""
    seen = truth + draw.normal(0, width, truth.size)
    bins = pd.qcut(seen, 100, labels=False)
    return pd.Series(expit(truth)).groupby(bins).transform("mean").to_numpy()


def asked(rows):
    return gate(rows, RULE, rows.score.to_numpy() > 0.3, seed=0)[0]


def named(checks):
    return {check.what: check for check in checks}


def test_a_better_calibrated_challenger_passes_and_the_other_way_round_it_does_not():
    rows = made()
    assert passes(asked(rows)), said(asked(rows))
    turned = asked(rows.rename(columns={"score": "champion", "champion": "score"}))
    assert not passes(turned) and named(turned)["gain in AUC over the champion"].passed is False
    assert "gain in AUC over the champion is -" in said(turned)


def test_rows_in_another_order_say_the_same():
    rows = made()
    for one, other in zip(asked(rows), asked(rows.sample(frac=1, random_state=2)), strict=True):
        assert (one.what, one.passed) == (other.what, other.passed)
        assert np.allclose(one[2:5], other[2:5], rtol=0, atol=1e-9, equal_nan=True)


def test_an_equal_model_does_not_pass():
    rows = made()
    assert named(asked(rows.assign(champion=rows.score)))["gain in AUC over the champion"].passed is False


def test_one_score_for_all_is_never_a_pass():
    found = named(asked(made().assign(score=0.3)))
    assert found["calibration slope"].passed is None and not passes(list(found.values()))


def test_few_rows_are_not_enough_and_not_a_pass():
    few = made(rows=150)
    assert named(asked(few))["calibration slope"].passed is None
    assert "not enough data to judge: calibration slope (its interval is wider than the limits)" in said(asked(few))


def test_nothing_asked_is_nothing_passed():
    unclear = Check("a", "b", 1.0, 0.0, 2.0, None)
    assert not passes([]) and not passes([unclear]) and passes([unclear._replace(passed=True)])


def test_the_intercept_is_the_shift_that_was_planted():
    """Probabilities 0.4 too high in log-odds, of outcomes that are exactly as frequent as foretold before."""
    p = np.repeat([0.2, 0.5, 0.8], 1000)
    y = np.concatenate([np.arange(1000) < 1000 * share for share in (0.2, 0.5, 0.8)]).astype(float)
    found = calibration_intercept(y, expit(logit(p) + 0.4))
    assert found.value == pytest.approx(-0.4, abs=1e-9) and found.low < -0.4 < found.high
    assert calibration_intercept(y, p).value == pytest.approx(0, abs=1e-9)


def test_scores_that_are_spread_otherwise_than_the_champions_do_not_pass():
    """Probabilities halved rank alike, and are another distribution; of few rows nothing can be said."""
    rows = made()
    what = "move of the scores from the champion's"
    assert named(asked(rows.assign(champion=rows.score)))[what].found == pytest.approx(0, abs=0.01)
    moved = named(asked(rows.assign(champion=rows.score / 2)))[what]
    assert moved.passed is False and moved.found > 0.25
    few = named(asked(made(rows=120)))[what]
    assert few.passed is None and few.note == "chance alone shows 0.15"


def test_a_slice_that_is_foretold_wrong_is_named_and_fails():
    rows = made()
    wrong = (rows.slice_town == "B") & (rows.index % 4 == 0)
    rows.loc[wrong, "outcome"] = 1
    worst = named(asked(rows))["error of the worst slice"]
    assert worst.passed is False and worst.note.startswith("town = B;") and worst.low > 0.05


def test_slices_counted_by_hand():
    y, p = np.array([1.0, 0, 0, 1] * 50), np.array([0.5, 0.25, 0.25, 0.5] * 50)
    groups = pd.DataFrame({"slice_town": ["A", "A", "A", "B"] * 50})
    found = slices(y, p, groups, p > 0.3).set_index("slice")
    assert found.loc["town = A", ["rows", "events"]].tolist() == [150, 50]
    assert found.loc["town = A", "predicted"] == pytest.approx(1 / 3)
    assert found.loc["town = A", "error"] == pytest.approx(0) and found.loc["town = B", "error"] == pytest.approx(0.5)
    assert found.loc["town = A", "selected"] == pytest.approx(1 / 3) and found.loc["town = B", "selected"] == 1
    assert found.judged.tolist() == [True, False]  # fifty rows of one outcome are too few
    half = 1.959964 * np.sqrt(50 * (0.25 + 2 * 0.1875)) / 150  # one slice is judged, so that nothing is corrected
    assert found.loc["town = A", "error_high"] == pytest.approx(half, abs=1e-6)


@pytest.mark.parametrize(
    ("gain", "margin", "passed"),
    [((0.02, 0.001, 0.039), 0, True), ((0.02, -0.001, 0.041), 0, False), ((0.02, 0.001, 0.039), 0.005, False)],
)
def test_a_gain_is_sure_when_all_of_its_interval_lies_above_the_margin(gain, margin, passed):
    assert surely_above("gain", Difference(*gain, 0.05), margin).passed is passed


def test_an_equal_model_that_happens_to_score_higher_does_not_pass():
    """Of forty pairs of equal models about half score higher; by the interval at most one in twenty-five may pass."""
    found = [named(asked(made(seed, rows=1000, rival=1.0)))["gain in AUC over the champion"] for seed in range(40)]
    assert sum(check.found > 0 for check in found) >= 10
    assert sum(check.passed for check in found) <= 4  # the chance of more is below 1 in 200
