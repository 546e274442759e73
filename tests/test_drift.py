"""What moved since training: by more than chance, by more than matters, and whatever the number of subjects."""

import numpy as np
import pandas as pd
import pytest

from evaluation.drift import (
    ALARM,
    FEWEST,
    beyond,
    decisions,
    drift,
    fallen,
    growing,
    off,
    share_moved,
    varied,
    verdict,
)
from evaluation.gate import Check
from evaluation.validation import stability_index


def made(rows: int, seed: int) -> pd.DataFrame:
    """Columns as features have them: a number, counts with ties, gaps, levels of which some are rare, one value."""
    draw = np.random.default_rng(seed)
    levels = draw.choice(["a", "b", "c", "rare"], rows, p=[0.5, 0.3, 0.197, 0.003])
    return pd.DataFrame(
        {
            "age": draw.normal(40, 10, rows),
            "returns": draw.poisson(0.2, rows).astype(float),
            "gap": np.where(draw.random(rows) < 0.7, np.nan, draw.exponential(30, rows)),
            "town": levels,
            "constant": 1.0,
        }
    )


def moved(then: pd.DataFrame, now: pd.DataFrame, seed: int = 1) -> list[str]:
    found = drift(then, now, 0.02, seed)
    return found.column[found.moved].tolist()


@pytest.mark.parametrize("rows", [100, 1000])
def test_what_chance_shows_is_taken_off(rows):
    """Indices of nothing: (B - 1)(1/n + 1/m) on average, nearly a fifth at 100 subjects each."""
    draw = np.random.default_rng(3)
    found = [drift(*(pd.DataFrame({"a": draw.normal(size=rows)}) for _ in "ab"), 0, 1).psi[0] for _ in range(60)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(60) and np.std(found) < 15 / rows


def test_a_quarter_of_a_deviation_has_an_index_of_six_hundredths():
    draw = np.random.default_rng(4)
    value, chance = stability_index(draw.normal(size=200_000), draw.normal(0.25, 1, 200_000))
    assert value - chance == pytest.approx(0.06, abs=0.004)


def test_quiet_months_raise_hardly_an_alarm():
    """Of 200 months at 0.2 % each, more than two would come once in 120 times."""
    assert sum(bool(moved(made(600, k), made(300, 1000 + k), k)) for k in range(200)) <= 2


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("age", lambda c: c + 0.25 * c.std()),
        ("age", lambda c: (c - c.mean()) * 1.4 + c.mean()),
        ("returns", lambda c: c + (np.arange(len(c)) % 8 == 0)),
        ("gap", lambda c: c.where(np.arange(len(c)) % 2 == 0)),
        ("town", lambda c: c.where(np.arange(len(c)) % 6 > 0, "d")),
    ],
)
def test_what_moved_is_named_and_nothing_else(column, change):
    then, now = made(4000, 1), made(1000, 2)
    now[column] = change(now[column])
    assert moved(then, now) == [column]


def test_a_move_that_does_not_matter_is_none_however_sure():
    then, now = made(20_000, 1), made(20_000, 2)
    now["age"] += 0.08 * now.age.std()
    found = drift(then, now, 0.02, 1).set_index("column").loc["age"]
    assert found.p <= ALARM and found.psi < 0.02 and not found.moved


def test_the_order_of_rows_and_columns_changes_nothing_but_the_deals():
    then, now = made(2000, 1), made(500, 2)
    now["age"] += 5
    one = drift(then, now, 0.02, 1).set_index("column")
    other = drift(then.sample(frac=1, random_state=1)[then.columns[::-1]], now, 0.02, 1).set_index("column")
    assert (one.psi - other.psi[one.index]).abs().max() < 1e-12
    assert (one.moved == other.moved[one.index]).all()
    assert drift(then, now, 0.02, 1).equals(drift(then, now, 0.02, 1))


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="at least 50 subjects then and now, but has 49 and 500"):
        drift(made(49, 1), made(500, 2), 0.02, 1)


def test_what_falls_for_nobody_only_grows():
    then = made(200, 1).assign(tenure=np.arange(200.0), recency=np.arange(200.0), ever=7.0)
    one = then.index == 7
    now = then.assign(tenure=then.tenure + 28, recency=(then.recency + 28).where(~one, 0.0), ever=then.ever + one)
    assert growing(then, now) == ["tenure", "ever"]  # a constant did not grow, and recency fell for one
    assert growing(then.head(30), now.head(30)) == []
    assert growing(then, now.set_index(now.index + 1000)) == []


def test_decisions_by_hand():
    found = decisions(["mail", "none", "mail", "none"], ["mail", "mail", "none", "none"], [9.0, 250.0, -40.0, 7.0])
    assert (found.subjects, found.changed, found.share, found.at_stake_cents) == (4, 2, 0.5, 290.0)
    assert decisions([], [], []).share == 0


def test_a_measure_has_fallen_when_the_whole_interval_says_so():
    """0.80 +- 0.03 and 0.74 +- 0.04: a fall of 0.06 +- 0.05."""
    check = fallen("AUC", (0.80, 0.77, 0.83), (0.74, 0.70, 0.78), 0.02)
    assert (check.found, check.low, check.high) == pytest.approx((0.06, 0.01, 0.11))
    assert check.passed is True
    assert fallen("AUC", (0.80, 0.77, 0.83), (0.74, 0.70, 0.78), 0.005).passed is False
    assert fallen("AUC", (0.80, 0.77, 0.83), (0.90, 0.86, 0.94), 0.02).passed is True
    assert fallen("AUC", (0.80, np.nan, np.nan), (0.7, 0.6, 0.8), 0.02).passed is None


def test_a_share_and_a_total_by_hand():
    """A half of 100 and three quarters of 100: 0.25 +- 1.96 sqrt(0.0025 + 0.001875). Ten came of twenty: half."""
    half, more = np.repeat([0, 1], 50), np.repeat([0, 1], [25, 75])
    check = share_moved("share", half, more, 0.1)
    assert (check.found, check.low) == pytest.approx((0.25, 0.25 - 1.959964 * np.sqrt(0.004375)))
    assert check.passed is False and share_moved("share", half, more, 0.2).passed is True
    assert share_moved("share", more, half, 0.1).passed is False
    y, p = np.repeat([0.0, 1.0], [90, 10]), np.full(100, 0.2)
    check = off("total", y, p, 0.1)
    assert (check.found, check.high) == pytest.approx((-0.5, -0.5 + 1.959964 * np.sqrt(90 * 0.04 + 10 * 0.64) / 20))
    assert check.passed is False and off("total", y, p, 0.4).passed is True
    assert off("total", y, p * 0, 0.1).passed is None


def test_the_gravest_decides_and_too_little_data_is_no_alarm():
    good, bad, unclear = (Check("a", "b", 1.0, 0.0, 2.0, passed) for passed in (True, False, None))
    assert verdict([good], [good]) == verdict([unclear], [unclear]) == "keep"
    assert verdict([good], [good, bad]) == "watch"
    assert verdict([bad], [good]) == "retrain"


def test_what_varied_from_day_to_day_before_has_not_moved():
    """Days since a campaign: 7, 35 and 20 for all on three days of the past, 28 now; an age that rose is told."""
    draw = np.random.default_rng(6)
    days = [made(600, k).assign(since=float(days)) for k, days in enumerate((7, 35, 20))]
    now = made(600, 9).assign(since=28 + (draw.random(600) < 0.02) * 1.0)
    usual = varied(days)
    assert usual.since > 1 and usual.age < 0.02 and varied(days[:1]).empty
    found = drift(days[0], now.assign(age=now.age + 5), 0.02, 1)
    assert set(found.column[found.moved]) == {"age", "since"}
    told = beyond(found, usual, 0.02).set_index("column")
    assert list(told.index[told.moved]) == ["age"] and told.usual["since"] == usual.since
    further = beyond(found, usual / 1e6, 0.02).set_index("column")
    assert {*further.index[further.moved]} == {"age", "since"}  # it is the usual that held it
    psi = told.psi["age"]
    for least, expected in ((psi - 0.01, ["age"]), (psi + 0.01, [])):
        assert list(beyond(found, usual.drop("age"), least).query("moved").column) == expected


def test_a_day_of_too_few_says_nothing_of_what_is_usual():
    assert varied([made(600, 1), made(FEWEST - 1, 2)]).empty and len(varied([made(600, 1), made(FEWEST, 2)])) == 5
