"""Value to come: purchases and amounts drawn and summed, the candidates, the pick, and what is kept of them."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from evaluation.value import coverage, normalised_gini
from models import clv, clv_choice, lifetime, spend
from models.clv import BLEND, CANDIDATES, LAST_WINDOW, PAST_RATE, PROBABILISTIC, TWO_PART
from models.discounting import continuous, daily
from models.gamma_gamma import GammaGamma
from models.lifetime import MBG, NBD, PARETO, Lifetime
from models.likelihood import Degenerate, Fit
from models.predictive import (
    After,
    Histories,
    TotalError,
    calibrated_level,
    draws,
    interval,
    intervals_and_totals,
    shifted,
    total_interval,
)

TRUE = {"r": 0.8, "alpha": 25.0, "s": 0.7, "beta": 60.0}
SURE = Fit(TRUE, dict.fromkeys(TRUE, 0.0), 0.0, np.zeros((4, 4)))
PRICES = spend.Spend(
    "gamma-gamma",
    3_000.0,
    GammaGamma(6.0, 4.0, 1_500.0),
    Fit({"p": 6.0, "q": 4.0, "v": 1_500.0}, {}, 0, np.zeros((3, 3))),
)
DAY = date(2024, 1, 1)
NO_ERROR = TotalError(0.0, 1.0)


class Company:
    """Pareto/NBD customers with gamma-gamma baskets, day by day, of whom everything is known until day 400."""

    def __init__(self, number: int, seed: int):
        draw = np.random.default_rng(seed)
        self.came = draw.integers(0, 150, number)
        rate, leaves = draw.gamma(0.8, 1 / 25, number), draw.gamma(0.7, 1 / 60, number)
        lives = draw.exponential(1 / leaves)
        age = np.arange(400) - self.came[:, None]
        bought = (draw.random((number, 400)) < -np.expm1(-rate[:, None])) & (age > 0) & (age < lives[:, None])
        bought |= age == 0
        price = draw.gamma(6.0, 1, bought.shape) / draw.gamma(4.0, 1 / 1_500, number)[:, None]
        self.cents = np.where(bought, np.maximum(price, 1).round(), 0)

    def table(self, day: int, days: int) -> pd.DataFrame:
        """Features at a day, and cents of the `days` after it, of all who had come by then."""
        here = np.flatnonzero(self.came < day)
        past, first = self.cents[here, :day], self.came[here]
        bought = past > 0
        last = day - 1 - np.argmax(bought[:, ::-1], axis=1)
        columns = {f"spend_cents_{w}": past[:, max(0, day - w) :].sum(axis=1) for w in clv.WINDOWS}
        found = pd.DataFrame(
            {
                "customer_id": here + 1,
                "origin": DAY + timedelta(days=day),
                "x": bought.sum(axis=1) - 1.0,
                "t_x": (last - first).astype(float),
                "tenure_days": (day - first).astype(float),
                "recency_days": (day - last).astype(float),
                "purchase_days_365": bought.sum(axis=1).astype(float),
                **columns,
            }
        )
        return found.assign(outcome=self.cents[here, day : day + days].sum(axis=1).astype("int64"))


COLUMNS = ("x", "t_x", "tenure_days", "recency_days", "purchase_days_365", *(f"spend_cents_{w}" for w in clv.WINDOWS))


@pytest.fixture(scope="module")
def company() -> Company:
    return Company(2_500, 11)


@pytest.fixture(scope="module")
def closed(company) -> list:
    return [clv.snapshot(company.table(day, 60), 60) for day in (180, 240)]


@pytest.fixture(scope="module")
def now(company):
    return clv.snapshot(company.table(300, 90), 90)


@pytest.fixture(scope="module")
def choice(closed):
    return clv_choice.choose(closed, COLUMNS, 1)


@pytest.fixture(scope="module")
def models(closed, now):
    return clv.fit(CANDIDATES, closed, now.buying, COLUMNS, 1)[0]


def told(number=4_000) -> Histories:
    draw = np.random.default_rng(2)
    x = draw.integers(0, 12, number).astype(float)
    T = np.full(number, 120.0)
    return Histories(x, np.where(x > 0, T * draw.beta(np.maximum(x, 1), 1), 0), T, x + 1, draw.gamma(5, 600, number))


@pytest.mark.parametrize("name", [PARETO, MBG, NBD])
def test_draws_have_the_mean_that_the_model_expects(name):
    """Of purchases times amounts, with parameters known for certain: by 300 draws of 4,000 customers."""
    values = {PARETO: TRUE, MBG: {"r": 0.8, "alpha": 25.0, "a": 0.7, "b": 2.5}, NBD: {"r": 0.8, "alpha": 25.0}}[name]
    size = len(values)
    of = Lifetime(name, lifetime._model(name, values), Fit(values, {}, 0.0, np.zeros((size, size))))
    h = told()
    mean = np.concatenate([f for _, f in draws(of, PRICES, h, np.ones(4_000), 90, 300, 5)]).mean(axis=1)
    expected = of.model.expected(90, h.x, h.t_x, h.T) * PRICES.expected(h.purchases, h.mean)
    assert mean.sum() == pytest.approx(expected.sum(), rel=0.01)
    few, many = h.x < 3, h.x > 8
    assert mean[few].sum() == pytest.approx(expected[few].sum(), rel=0.04)
    assert mean[many].sum() == pytest.approx(expected[many].sum(), rel=0.02)


@pytest.mark.parametrize("name", [PARETO, MBG])
def test_what_comes_after_the_horizon_is_what_discounting_expects(name):
    """Draws of horizon and after, against the integral of the same model; for ever, at 20 % a year."""
    values = {PARETO: TRUE, MBG: {"r": 0.8, "alpha": 25.0, "a": 0.7, "b": 2.5}}[name]
    of = Lifetime(name, lifetime._model(name, values), Fit(values, {}, 0.0, np.zeros((4, 4))))
    h, delta = told(), daily(0.2)
    found = list(draws(of, PRICES, h, np.ones(4_000), 90, 200, 5, After(delta)))
    present, later = (np.concatenate([f[k] for f in found]).mean(axis=1) for k in (1, 2))
    expected = lambda t: of.model.expected(t, h.x, h.t_x, h.T)  # noqa: E731
    price = PRICES.expected(h.purchases, h.mean)
    first = continuous(expected, delta, 90)
    assert present.sum() == pytest.approx((first * price).sum(), rel=0.01)
    assert later.sum() == pytest.approx(((continuous(expected, delta) - first) * price).sum(), rel=0.02)


def test_an_interval_of_mostly_zeros_begins_at_zero():
    found = np.array([[0.0] * 50 + list(range(1, 51)), list(range(1, 101))], dtype=float)
    low, high = interval(found, 0.8)
    assert low[0] == 0 and high[0] == pytest.approx(30, abs=1)
    assert (low[1], high[1]) == (pytest.approx(10.9), pytest.approx(90.1))


def test_the_calibrated_level_holds_what_it_should():
    draw = np.random.default_rng(3)
    narrow, outcome = draw.normal(100, 5, (3_000, 200)), draw.normal(100, 10, 3_000)
    level = calibrated_level(narrow, outcome, 0.8)
    assert level > 0.95
    exact = calibrated_level(draw.normal(100, 10, (3_000, 200)), outcome, 0.8)
    assert exact == pytest.approx(0.8, abs=0.03)


def test_sums_of_segments_are_sums_of_customers_and_widen_with_the_error_of_totals():
    of, h = Lifetime(PARETO, lifetime._model(PARETO, TRUE), SURE), told()
    segments = np.arange(4_000) % 3
    whole = intervals_and_totals(of, PRICES, h, np.ones(4_000), 90, 0.8, NO_ERROR, np.zeros(4_000, dtype=int), 100, 5)
    parts = intervals_and_totals(of, PRICES, h, np.ones(4_000), 90, 0.8, NO_ERROR, segments, 100, 5)
    assert parts.totals.sum(axis=0) == pytest.approx(whole.totals[0])
    low, high = total_interval(whole.totals, NO_ERROR, 0.8)
    wide_low, wide_high = total_interval(whole.totals, TotalError(0.1, 3.0), 0.8)
    assert wide_low < low < high < wide_high
    assert wide_high / whole.totals.mean() == pytest.approx(np.exp(0.1 * 1.638), rel=0.02)  # t with 3 degrees, 90 %


def test_the_error_of_totals_widens_the_intervals_of_customers_evenly():
    """A third of the draws is shifted by more than a tenth; by nothing where totals were never off."""
    found = np.full((5, 300), 100.0, dtype=np.float32)
    assert shifted(found, NO_ERROR, 1) is found
    one = shifted(found, TotalError(0.1, 1e6), 1)
    assert (one == one[0]).all() and np.median(one) == pytest.approx(100, rel=0.01)
    assert (np.abs(np.log(one[0] / 100)) > 0.1).mean() == pytest.approx(0.317, abs=0.01)
    assert abs(np.corrcoef(np.log(one[0, 1:]), np.log(one[0, :-1]))[0, 1]) < 0.2  # in no order


def test_dropout_that_is_not_told_falls_back_with_the_reason():
    draw = np.random.default_rng(4)
    x = draw.poisson(draw.gamma(5, 2, 1_500)).astype(float)
    T = np.full(1_500, 100.0)
    found = lifetime.fit(x, np.where(x > 0, T * draw.beta(np.maximum(x, 1), 1), 0), T)
    assert found.name == NBD and set(found.refused) == {PARETO, MBG}
    with pytest.raises(Degenerate, match="none of 9 did"):
        lifetime.fit(np.zeros(9), np.zeros(9), np.full(9, 10.0))
    again = Lifetime.from_json(found.to_json())
    assert again.model == found.model and again.refused == found.refused


def test_wholesale_accounts_break_no_mean():
    """A Pareto tail of amounts without a mean: own means take over, nothing is infinite or missing."""
    draw = np.random.default_rng(5)
    n = draw.integers(1, 4, 3_000).astype(float)
    mean = 1_000 * draw.pareto(0.7, 3_000) + 10
    found = spend.fit(n, mean)
    assert found.name == spend.OWN and "infinite" in found.refused
    said = found.expected(np.append(n, 0), np.append(mean, 0))
    assert np.isfinite(said).all() and said[-1] == pytest.approx(found.average)
    paid = found.amounts(np.full(3_000, 4.0), found.prices(n, mean, draw), draw)
    assert np.isfinite(paid).all() and paid.min() >= 0
    with pytest.raises(Degenerate, match="none of 2 has"):
        spend.fit([1, 0], [0, 0])


def test_the_level_of_a_few_large_customers_is_mostly_luck():
    """A thousand alike: of the log of 2, .0225 / (.0225 + .001) is kept; where one is all, .0225 / 1.0225."""
    assert clv.level_learnt(np.ones(1_000), np.full(1_000, 0.5)) == pytest.approx(2 ** (0.0225 / 0.0235))
    assert clv.level_learnt(np.array([8.0, 0]), np.array([2.0, 2])) == pytest.approx(2 ** (0.0225 / 1.0225))
    assert clv.level_learnt(np.zeros(3), np.ones(3)) == 1 and clv.level_of(np.ones(4), np.full(4, 0.5)) == 2


def test_rules_by_hand(now):
    one = now.table.head(1).assign(tenure_days=100.0, spend_cents_365=5_000.0, spend_cents_90=2_700.0)
    assert clv.Clv(PAST_RATE, now.buying, (), (), 60).predict(one, 90)[0] == pytest.approx(4_500)
    assert clv.Clv(LAST_WINDOW, now.buying, (), (), 60).predict(one, 91)[0] == pytest.approx(2_730)


def test_all_candidates_are_judged_and_the_best_free_one_is_picked(choice):
    found = choice.snapshot.set_index("candidate")
    assert list(found.index) == list(CANDIDATES) and not choice.missing
    free = found[found.barred == ""]
    assert choice.pick == free.gini.idxmax() and found.loc[choice.pick, "behind"] == 0
    assert found.loc[PAST_RATE, "barred"] != ""


def test_models_foretell_a_longer_horizon_and_beat_the_rules(models, now):
    y = now.outcome
    ginis = {name: normalised_gini(y, one.predict(now.table, 90)) for name, one in models.items()}
    assert min(ginis[PROBABILISTIC], ginis[BLEND]) > max(ginis[PAST_RATE], ginis[LAST_WINDOW])
    assert models[BLEND].predict(now.table, 90).sum() == pytest.approx(y.sum(), rel=0.15)
    assert models[BLEND].predict(now.table, 90).sum() > models[BLEND].predict(now.table, 60).sum()


def test_intervals_hold_four_of_five_customers_and_the_total(models, closed, choice, now):
    backtest = clv_choice.totals(closed, choice)
    assert (backtest.by == PROBABILISTIC).sum() == 2
    model = clv_choice.finished(models[BLEND], closed, backtest, 90, 1)
    told_now, scale = clv.histories(now.table), model.scale(now.table, 90)
    found = intervals_and_totals(
        model.buying.lifetime,
        model.buying.spend,
        told_now,
        scale,
        90,
        model.held,
        model.error,
        np.zeros(scale.size, dtype=int),
        100,
        1,
    )
    assert 0.76 <= coverage(now.outcome, found.low, found.high).share <= 0.85
    low, high = total_interval(found.totals, model.error, 0.8)
    assert low[0] < now.outcome.sum() < high[0]


def test_the_order_of_rows_plays_no_part(closed, now, models):
    mixed = [replace(one, table=one.table.sample(frac=1, random_state=3)) for one in closed]
    again = clv.fit([BLEND], mixed, now.buying, COLUMNS, 1)[0][BLEND]
    assert again.level == pytest.approx(models[BLEND].level, rel=1e-12)
    assert again.predict(now.table, 90) == pytest.approx(models[BLEND].predict(now.table, 90), rel=1e-12)


@pytest.mark.parametrize("name", [PAST_RATE, PROBABILISTIC, TWO_PART, BLEND])
def test_what_is_kept_foretells_the_same(models, now, name, tmp_path):
    model = replace(models[name], about={"horizon_days": 90})
    model.save(tmp_path)
    again = clv.load(tmp_path)
    assert (again.predict(now.table, 90) == model.predict(now.table, 90)).all()
    assert (again.about, again.error, again.columns) == (model.about, model.error, model.columns)
    (tmp_path / "again").mkdir()
    again.save(tmp_path / "again")
    assert (tmp_path / "again" / "clv.json").read_bytes() == (tmp_path / "clv.json").read_bytes()
    assert not list(tmp_path.rglob("*.pkl"))


def test_contributions_are_exact(models, now):
    """Log of the tweedie's amount: the contributions of two customers differ as their amounts do."""
    one = models["tweedie"]
    two = now.table.head(2)
    pull = one.contributions(two)
    X = one._seen(two)
    assert tuple(pull.columns) == COLUMNS and (models[PAST_RATE].contributions(two) == 0).all(axis=None)
    matrix = one.trees[0].encoder.encode(X)
    margin = one.trees[0].parts["amount"].margin(matrix, one.trees[0].encoder.is_category, None)
    assert np.diff(pull.sum(axis=1)) == pytest.approx(np.diff(margin), abs=1e-4)


def test_the_error_of_totals_by_hand():
    """Two snapshots a horizon apart, off by 0.2 and 0: (3 * 0.0225 + 2 * 0.02) / 5, five degrees; twice as far."""
    seen = pd.DataFrame({"origin": [DAY, DAY + timedelta(days=60)], "true": np.exp([0.2, 0.0]), "foretold": 1.0})
    assert clv_choice.total_error(seen, 60, 60) == (pytest.approx(np.sqrt(0.0215)), 5.0)
    assert clv_choice.total_error(seen, 60, 120).deviation == pytest.approx(np.sqrt(0.043))
    assert clv_choice.total_error(seen.assign(origin=DAY), 60, 60).freedom == 4.0
