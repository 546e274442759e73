"""Covariates on rates and dropout: exact gradients, recovery, and no difference where they are zero."""

import numpy as np
import pytest

from models import bg_nbd, covariates, pareto_nbd
from models.covariates import BG, MBG, PARETO
from models.likelihood import Cells, Degenerate, cells_of

FOUR = np.array([0.7, 25.0, 0.9, 40.0])


def customers(number, seed, on_rate=1.0, on_dropout=1.0):
    """Pareto/NBD with a flag that multiplies the rate of buying, and another that of leaving."""
    draw = np.random.default_rng(seed)
    z, w = draw.integers(0, 2, (number, 1)).astype(float), draw.integers(0, 2, (number, 1)).astype(float)
    T = draw.integers(30, 90, number).astype(float)
    rate, leaves = draw.gamma(0.8, 1 / 12, number) * on_rate ** z[:, 0], draw.gamma(0.9, 1 / 30, number)
    lived = np.minimum(T, draw.exponential(1 / (leaves * on_dropout ** w[:, 0])))
    x = draw.poisson(rate * lived).astype(float)
    t_x = np.where(x > 0, np.maximum(lived * draw.beta(np.maximum(x, 1), 1), 1e-6), 0)
    return x, t_x, T, z, w


@pytest.mark.parametrize("name", [PARETO, BG, MBG])
def test_gradients_are_exact(name):
    x, t_x, T, z, w = customers(60, 1)
    z = np.hstack([z, np.linspace(-1, 1, 60)[:, None]])
    cells = Cells(x, t_x, T, np.ones(60), np.arange(60))
    at = np.array([*FOUR, 1.4, 0.8, 1.7])
    level, slope = covariates.log_likelihood(name, at, cells, z, w)

    def moved(k, step):
        return covariates.log_likelihood(name, at * (1 + step * (np.arange(at.size) == k)), cells, z, w)[0]

    numeric = [(moved(k, 1e-6) - moved(k, -1e-6)) / (2e-6 * at[k]) for k in range(at.size)]
    assert slope * at == pytest.approx(np.array(numeric) * at, rel=1e-4, abs=1e-5 * abs(level))


def test_without_a_difference_it_is_the_plain_model():
    x, t_x, T, z, w = customers(500, 2)
    cells = cells_of(x, t_x, T)
    zero, none = np.zeros((cells.x.size, 1)), np.zeros((cells.x.size, 0))
    plain = pareto_nbd.log_likelihood(FOUR, cells)[0]
    assert covariates.log_likelihood(PARETO, np.array([*FOUR, 3.0]), cells, zero, none)[0] == pytest.approx(plain)
    plain = bg_nbd.log_likelihood(FOUR, cells, True)[0]
    assert covariates.log_likelihood(MBG, np.array([*FOUR, 3.0]), cells, none, zero)[0] == pytest.approx(plain)
    model = covariates.WithCovariates(PARETO, pareto_nbd.ParetoNbd(*FOUR), np.array([2.0]), np.array([3.0]))
    found = model.p_alive(x, t_x, T, 0 * z, 0 * w)
    assert found == pytest.approx(pareto_nbd.ParetoNbd(*FOUR).p_alive(x, t_x, T))


def test_factors_are_found_again():
    x, t_x, T, z, w = customers(8_000, 3, on_rate=2.0, on_dropout=0.4)
    model, found = covariates.fit(PARETO, x, t_x, T, z, w, ["web buys", "web leaves"])
    for name, truth in (("web buys", 2.0), ("web leaves", 0.4)):
        assert abs(found.parameters[name] - truth) < 3 * found.errors[name], found.parameters
        assert found.errors[name] < 0.3 * truth
    on, off = (model.expected(30, [2.0], [20.0], [40.0], [[flag]], [[0.0]])[0] for flag in (1.0, 0.0))
    assert on != off
    assert found.log_likelihood > pareto_nbd.fit(x, t_x, T)[1].log_likelihood + 20


def test_a_covariate_that_tells_nothing_is_refused():
    x, t_x, T, z, w = customers(300, 4)
    with pytest.raises(Degenerate, match="The covariate flag must be finite and differ"):
        covariates.fit(BG, x, t_x, T, np.ones((300, 1)), np.zeros((300, 0)), ["flag"])
    with pytest.raises(Degenerate, match="There are 2 covariates, but 1 names"):
        covariates.fit(BG, x, t_x, T, z, w, ["flag"])
