"""Discounted purchases to come: the paper's closed form, hand counts and laws."""

import numpy as np
import pytest
from scipy.special import gammaln, hyperu

from models.discounting import continuous, daily, discrete
from models.nbd import Nbd
from models.pareto_nbd import ParetoNbd

CDNOW = ParetoNbd(r=0.553, alpha=10.578, s=0.606, beta=11.669)  # in weeks


def closed_form(model, delta, x, t_x, T):
    """DET of Fader, Hardie & Lee (2005), equation 2, with Tricomi's function."""
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta
    like = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    like -= (r + x) * np.log(alpha + T) + s * np.log(beta + T)
    likelihood = np.exp(like) / model.p_alive([x], [t_x], [T])[0]
    psi = hyperu(s, s, delta * (beta + T))
    top = r * np.log(alpha) + s * np.log(beta) + (s - 1) * np.log(delta) + gammaln(r + x + 1) - gammaln(r)
    return np.exp(top - (r + x + 1) * np.log(alpha + T)) * psi / likelihood


@pytest.mark.parametrize(("x", "t_x"), [(0, 0.0), (1, 8.0), (7, 35.0), (20, 77.0)])
def test_without_an_end_it_is_the_papers_det(x, t_x):
    """15 % a year, weeks, T = 77.86: the setting of its figure 3."""
    delta = np.log1p(0.15) / 52
    found = continuous(lambda t: CDNOW.expected(t, [x], [t_x], [77.86]), delta)
    assert found[0] == pytest.approx(closed_form(CDNOW, delta, x, t_x, 77.86), rel=2e-3)


def test_a_steady_customer_by_hand():
    """One purchase a day for ever: 1 / delta; until day H: (1 - exp(-delta H)) / delta."""
    steady = Nbd(1.0, 1.0)
    expected = lambda t: steady.expected(t, [9.0], [9.0], [9.0])  # noqa: E731
    delta = daily(0.10)
    assert continuous(expected, delta)[0] == pytest.approx(1 / delta, rel=1e-3)
    assert continuous(expected, delta, 730)[0] == pytest.approx((1 - np.exp(-delta * 730)) / delta, rel=1e-9)
    assert continuous(expected, 0.0, 30)[0] == pytest.approx(30)
    assert discrete(expected, 0.0, 30, 3)[0] == pytest.approx(90)
    assert discrete(expected, 0.1, 1, 2)[0] == pytest.approx(1.1**-0.5 + 1.1**-1.5)


def test_discrete_comes_close_to_continuous_in_short_periods():
    expected = lambda t: CDNOW.expected(t, [3, 0], [30.0, 0.0], [39.0, 39.0])  # noqa: E731
    whole = continuous(expected, 0.01, 104)
    assert discrete(expected, np.expm1(0.01), 1, 104) == pytest.approx(whole, rel=1e-3)
    assert (continuous(expected, 0.02, 104) < whole).all() and (whole < continuous(expected, 0.01)).all()


def test_what_has_no_value_is_refused():
    with pytest.raises(ValueError, match="infinite horizon needs a rate above 0"):
        continuous(lambda t: np.ones(1), 0.0)
    with pytest.raises(ValueError, match="must be a period"):
        discrete(lambda t: np.ones(1), 0.1, 30, 0)
    with pytest.raises(ValueError, match="above -1"):
        daily(-1)
