"""Models of purchases and spend: published estimates, exact gradients, laws, and what is refused."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import hyp2f1
from scipy.stats import beta as beta_distribution
from threadpoolctl import threadpool_limits

from models import bg_bb, bg_nbd, covariates, gamma_gamma, nbd, pareto_nbd
from models.likelihood import Degenerate, cells_of, each_x
from models.quadrature import beta_nodes

DATA = Path(find_spec("lifetimes").submodule_search_locations[0]) / "datasets"


@pytest.fixture(scope="module")
def cdnow() -> tuple:
    table = pd.read_csv(DATA / "cdnow_customers_summary.csv")
    return table["frequency"], table["recency"], table["T"]


def near(fitted, **published):
    for name, value in published.items():
        assert getattr(fitted, name) == pytest.approx(value, abs=0.0051 if value > 3 else 0.00051), name


def test_fader_hardie_lee_2005_table_2(cdnow):
    model, fit = bg_nbd.fit(*cdnow)
    near(model, r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert fit.log_likelihood == pytest.approx(-9582.4, abs=0.05)


def test_fader_hardie_lee_2005_pareto_nbd_on_cdnow(cdnow):
    model, fit = pareto_nbd.fit(*cdnow)
    near(model, r=0.553, s=0.606, alpha=10.578, beta=11.669)
    assert fit.log_likelihood == pytest.approx(-9595.0, abs=0.05)


def test_hardie_worksheet_expects_1_226_purchases_of_customer_1(cdnow):
    model, _ = bg_nbd.fit(*cdnow)
    assert model.expected(39, [2], [30.43], [38.86])[0] == pytest.approx(1.226, abs=0.0005)


def test_fader_hardie_2013_gamma_gamma_on_946_repeaters():
    table = pd.read_csv(DATA / "cdnow_customers_summary_with_transactions.csv")
    assert (table.x > 0).sum() == 946
    model, fit = gamma_gamma.fit(table.x, table.zbar)
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 15.44), abs=0.01)
    assert fit.log_likelihood == pytest.approx(-4055.9, abs=0.05)


def test_fader_hardie_shang_2010_table_3_donations():
    table = pd.read_csv(DATA / "donations.csv")
    model, fit = bg_bb.fit(table.frequency, table.recency, table.periods, table.weights)
    near(model, alpha=1.204, beta=0.750, gamma=0.657, delta=2.783)
    assert fit.log_likelihood == pytest.approx(-33225.6, abs=0.05)


def test_a_one_time_buyer_silent_for_long(cdnow):
    """Alive for ever by the BG/NBD alone: what each model says is what its docstring says."""
    once, silent = [0, 0], [0, 0]
    assert bg_nbd.fit(*cdnow)[0].p_alive(once, silent, [10, 520]).tolist() == [1, 1]
    for model in (bg_nbd.fit(*cdnow, first=True)[0], pareto_nbd.fit(*cdnow)[0]):
        short, long = model.p_alive(once, silent, [10, 520])
        assert short > 2 * long and long < 0.2


histories = st.integers(0, 400).flatmap(
    lambda x: st.tuples(st.just(x), st.floats(0.01, 1), st.floats(1, 700)).map(
        lambda told: (told[0], told[1] * told[2] if told[0] else 0.0, told[2])
    )
)
positive = st.floats(0.05, 20)


def numeric(function, at, step=1e-6):
    steps = np.eye(at.size) * step * at
    return np.array([(function(at + s)[0] - function(at - s)[0]) / (2 * s.sum()) for s in steps])


@settings(max_examples=60, deadline=None)
@given(st.lists(histories, min_size=1, max_size=5), st.tuples(positive, positive, positive, positive), st.booleans())
def test_gradients_are_exact(rows, parameters, first):
    cells, at = cells_of(*zip(*rows, strict=True)), np.array(parameters)
    bg = lambda values: bg_nbd.log_likelihood(values, cells, first)  # noqa: E731
    pareto = lambda values: pareto_nbd.log_likelihood(values, cells)  # noqa: E731
    always = lambda values: nbd.log_likelihood(values, cells)  # noqa: E731
    for likelihood, point in ((bg, at), (pareto, at), (always, at[:2])):
        level, slope = likelihood(point)
        scale = 1 + abs(level)
        assert slope * point == pytest.approx(numeric(likelihood, point) * point, abs=1e-5 * scale, rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(histories, positive, positive, positive, positive)
@example((0, 0.0, 3.0), 1.0, 2.0, 14.0, 1.0)  # dropout falls steeply where buying does not
def test_pareto_nbd_is_its_integral(row, r, alpha, s, beta):
    """The odds of having dropped out, against adaptive quadrature of the equation in the docstring."""
    x, t_x, T = row
    steep = lambda y: ((alpha + T) / (alpha + y)) ** (r + x) * ((beta + T) / (beta + y)) ** s / (beta + y)  # noqa: E731
    if (r + x) * np.log((alpha + T) / (alpha + t_x)) > 300:
        return
    least = min(alpha, beta)  # over log(least + y), since over y a peak of a hundredth of the range would be cut short
    over_log = lambda u: steep(np.exp(u) - least) * np.exp(u)  # noqa: E731
    odds = s * quad(over_log, np.log(least + t_x), np.log(least + T), limit=400, epsabs=0, epsrel=1e-12)[0]
    found = pareto_nbd.ParetoNbd(r, alpha, s, beta).p_alive([x], [t_x], [T])[0]
    assert found == pytest.approx(1 / (1 + odds), rel=1e-7, abs=1e-300)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.floats(0.1, 5), st.floats(0.1, 10), st.floats(1, 400))
def test_bg_nbd_expects_what_equation_10_says(x, a, b, time):
    """With the hypergeometric function of the paper, where it may be evaluated."""
    if abs(a - 1) < 0.05 or b + x <= 1:
        return
    r, alpha, t_x, T = 0.7, 12.0, 30.0 if x else 0.0, 90.0
    model = bg_nbd.BgNbd(r, alpha, a, b)
    shrunk = hyp2f1(r + x, b + x, a + b + x - 1, time / (alpha + T + time))
    shrunk *= ((alpha + T) / (alpha + T + time)) ** (r + x)
    paper = (a + b + x - 1) / (a - 1) * (1 - shrunk) * model.p_alive(x, t_x, T)
    assert model.expected(time, [x], [t_x], [T])[0] == pytest.approx(float(paper), rel=1e-5)


def test_nothing_breaks_at_a_of_one_nor_for_ten_thousand_purchases():
    model = bg_nbd.BgNbd(0.25, 4.4, 1.0, 2.4)
    found = model.expected(39, [0, 3, 10_000], [0, 20.0, 38.999], [39.0] * 3)
    assert np.isfinite(found).all() and (np.diff(found) > 0).all() and found[2] < 10_000
    steady = pareto_nbd.ParetoNbd(0.5, 10.0, 1.0, 12.0)
    assert np.isfinite(steady.expected(39, [0, 10_000], [0, 38.999], [39.0] * 2)).all()
    beside = [
        pareto_nbd.ParetoNbd(0.5, 10.0, 1 + d, 12.0).expected(39, [3], [20.0], [39.0])[0] for d in (-1e-7, 0, 1e-7)
    ]
    assert beside == pytest.approx([beside[1]] * 3, rel=1e-6)


def test_beta_nodes_take_moments_exactly():
    a, b = np.array([0.3, 1.0, 2.5, 50.0]), np.array([0.7, 1.0, 4000.0, 0.2])
    nodes, weights = beta_nodes(a, b, 16)
    assert weights.sum(axis=1) == pytest.approx(np.ones(4))
    for power in (1, 2, 7):
        exact = [beta_distribution(i, j).moment(power) for i, j in zip(a, b, strict=True)]
        assert (weights * nodes**power).sum(axis=1) == pytest.approx(exact, rel=1e-9)


def test_cells_count_customers_and_do_not_mind_their_order(cdnow):
    order = np.random.default_rng(3).permutation(len(cdnow[0]))
    shuffled = [np.asarray(values)[order] for values in cdnow]
    cells = cells_of(*shuffled)
    assert (
        cells.n.sum() == 2357 and (cells.x[cells.of] == shuffled[0]).all() and (cells.T[cells.of] == shuffled[2]).all()
    )
    assert bg_nbd.fit(*shuffled)[0] == bg_nbd.fit(*cdnow)[0]
    twice = bg_nbd.fit(*[np.tile(values, 2) for values in shuffled])[1]
    once = bg_nbd.fit(*shuffled)[1]
    assert list(twice.errors.values()) == pytest.approx([e / np.sqrt(2) for e in once.errors.values()], rel=1e-4)


@pytest.mark.parametrize("part_of_a_day", [0.0, 0.25])
def test_cells_are_the_different_rows_in_order(part_of_a_day):
    """Whole days are sorted as one number, parts of days as columns: the same cells as of rows told apart."""
    draw = np.random.default_rng(8)
    x = draw.integers(0, 40, 5_000).astype(float)
    T = draw.integers(1, 30, 5_000) + part_of_a_day
    t_x = np.where(x > 0, np.ceil(T * draw.random(5_000)).clip(max=T), 0.0)
    rows, n = np.unique(np.stack([x, t_x, T], axis=1), axis=0, return_counts=True)
    cells = cells_of(x, t_x, T)
    assert (np.stack(cells[:3], axis=1) == rows).all() and (cells.n == n).all()
    assert (rows[cells.of] == np.stack([x, t_x, T], axis=1)).all()
    assert [found.tolist() for found in each_x(cells)] == [
        found.tolist() for found in np.unique(rows[:, 0], return_inverse=True)
    ]
    assert cells_of([1e18], [1.0], [2.0]).x == [1e18] and cells_of([], [], []).n.size == 0


def test_likelihoods_are_the_same_bytes_on_one_thread_and_two():
    """Of more cells than the sum of products is split at; a dot product differs there."""
    draw = np.random.default_rng(9)
    T = draw.integers(1, 2_000, 60_000).astype(float)
    x = draw.integers(0, 30, 60_000).astype(float)
    cells = cells_of(x, np.where(x > 0, np.ceil(T * draw.random(60_000)), 0.0), T)
    z = draw.random((cells.x.size, 1))
    four, told = np.array([0.4, 30.0, 0.7, 3.0]), {}
    for threads in (1, 2):
        with threadpool_limits(threads):
            found = [
                bg_nbd.log_likelihood(four, cells, False),
                pareto_nbd.log_likelihood(four, cells),
                nbd.log_likelihood(four[:2], cells),
                covariates.log_likelihood("BG/NBD", np.append(four, [1.2, 0.8]), cells, z, z),
            ]
        told[threads] = [(level, slope.tolist()) for level, slope in found]
    assert cells.x.size > 20_000 and told[1] == told[2]


def test_bg_bb_by_hand():
    """Three occasions, none used: alive and silent, or gone before the first, second or third. Uniform p and theta."""
    model = bg_bb.BgBb(1.0, 1.0, 1.0, 1.0)
    alive = 1 / 4 * 1 / 4  # E(1-p)^3, E(1-theta)^3
    gone = 1 * 1 / 2 + 1 / 2 * 1 / 6 + 1 / 3 * 1 / 12
    still = 1 / 4 * 1 / 5  # and does not drop out before the fourth either
    assert model.p_alive([0], [0], [3])[0] == pytest.approx(still / (alive + gone))
    assert model.expected(1, [0], [0], [3])[0] == pytest.approx(still / (alive + gone) * 1 / 5)


@pytest.mark.parametrize("fit", [bg_nbd.fit, pareto_nbd.fit])
def test_what_the_data_do_not_tell_is_refused(fit):
    with pytest.raises(Degenerate, match="none of 50 did"):
        fit(np.zeros(50), np.zeros(50), np.full(50, 10.0))
    draw = np.random.default_rng(1)
    alike = draw.poisson(12, 2000)  # all buy at one rate and nobody leaves
    last = np.where(alike > 0, 100 * draw.beta(np.maximum(alike, 1), 1), 0)
    with pytest.raises(Degenerate):
        fit(alike, last, np.full(2000, 100.0))


def test_a_history_that_cannot_be_is_refused_with_the_first():
    with pytest.raises(Degenerate, match="2 of 3 have not, first customer 1: x 2, t_x 9, T 5"):
        cells_of([1, 2, 0], [3, 9, 1], [5, 5, 5])
    for odd in ((0, -1, 5), (np.nan, 1, 5), (1, 1, np.inf), (1.5, 1, 5), (1, np.nan, 5), (1, 0, 5), (-1, 0, 5)):
        with pytest.raises(Degenerate, match="1 of 2 have not, first customer 1"):
            cells_of(*zip((0, 0, 5), odd, strict=True))
    with pytest.raises(Degenerate, match="1 of 2 are not, first -3 of 2 purchases"):
        gamma_gamma.fit([1, 2], [10, -3])
    with pytest.raises(Degenerate, match="must be above 1"):
        gamma_gamma.GammaGamma(2, 0.9, 10).expected([0], [0])
    with pytest.raises(Degenerate, match="first 0: x 3, t_x 2, n 5"):
        bg_bb.fit([3], [2], [5], [1])


def test_nbd_is_the_negative_binomial_distribution():
    """At equal T the counts are negative binomial: mean r T / alpha, and P(0) = (alpha / (alpha + T))^r."""
    draw = np.random.default_rng(5)
    x = draw.poisson(draw.gamma(0.8, 1 / 20, 20_000) * 50).astype(float)
    last = np.where(x > 0, 50.0, 0.0)
    model, found = nbd.fit(x, last, np.full(x.size, 50.0))
    assert abs(model.r - 0.8) < 3 * found.errors["r"] and abs(model.alpha - 20) < 3 * found.errors["alpha"]
    assert (model.alpha / (model.alpha + 50)) ** model.r == pytest.approx((x == 0).mean(), abs=0.01)
    assert model.expected(50, x, last, np.full(x.size, 50.0)).mean() == pytest.approx(x.mean(), rel=1e-3)
    assert model.p_alive([0], [0], [5000])[0] == 1


def test_errors_are_those_of_repeated_samples():
    """BG/NBD and gamma-gamma: of 40 simulated companies, the truth is within three standard errors in at least 36."""
    truth, inside = {"r": 0.6, "alpha": 8.0, "a": 0.8, "b": 2.5}, 0
    for seed in range(40):
        model, fit = bg_nbd.fit(*_customers(3000, seed, **truth))
        inside += all(abs(getattr(model, name) - value) < 3 * fit.errors[name] for name, value in truth.items())
    assert inside >= 36


def _customers(number, seed, r, alpha, a, b):
    draw = np.random.default_rng(seed)
    T, rate, leaves = draw.uniform(26, 78, number), draw.gamma(r, 1 / alpha, number), draw.beta(a, b, number)
    x, last, now, here = np.zeros(number), np.zeros(number), np.zeros(number), np.arange(number)
    while here.size:
        now[here] += draw.exponential(1 / rate[here])
        here = here[now[here] < T[here]]
        x[here] += 1
        last[here] = now[here]
        here = here[draw.random(here.size) >= leaves[here]]
    return x, last, T
