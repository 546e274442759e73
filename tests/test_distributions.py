"""Distances of distributions: against SciPy, hand counts, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from evaluation.distributions import (
    beyond_quantiles,
    kolmogorov_smirnov,
    lorenz,
    sample,
    top_share,
    wasserstein,
)

numbers = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=30)


@given(numbers, numbers)
def test_distances_are_scipys(first, second):
    one, other = sample(first), sample(second)
    assert kolmogorov_smirnov(one, other).value == pytest.approx(ks_2samp(first, second, method="asymp").statistic)
    assert wasserstein(one, other).value == pytest.approx(wasserstein_distance(first, second))


def test_distances_by_hand():
    """One of four moved from 4 to 8: a quarter of the mass by four."""
    one, other = sample([1, 2, 3, 4]), sample([1, 2, 3, 8])
    assert kolmogorov_smirnov(one, other).value == 0.25
    assert wasserstein(one, other).value == 1.0


@given(numbers, st.sampled_from([0.1, 0.5, 0.9]))
def test_quantiles_prove_no_more_than_the_distance(values, p):
    """Against any other sample, of which one quantile is told."""
    other = np.array([0.0, 1.0, 1.0, 5.0, 9.0])
    q = np.quantile(other, p, method="inverted_cdf")
    proven = beyond_quantiles(sample(values), [p], [q]).value
    assert proven <= kolmogorov_smirnov(sample(values), sample(other)).value + 1e-12
    assert beyond_quantiles(sample(other), [p], [q]).value == pytest.approx(0, abs=1e-12)


def test_quantiles_by_hand():
    """All of the sample lie at 3, half of the other below 2: at least a half is off."""
    assert beyond_quantiles(sample([3, 3]), [0.5], [2]).value == 0.5


def test_the_largest_fifth_by_hand():
    of = sample([10, 1, 1, 1, 7])
    assert top_share(of, 0.2).value == 0.5
    assert top_share(of, 0.4).value == pytest.approx(17 / 20)
    shares, held = lorenz([10, 1, 1, 1, 7])
    assert shares[1] == 0.2 and held[1] == 0.5 and held[-1] == pytest.approx(1)


def test_an_interval_holds_the_distance_and_knows_of_subjects():
    """Normals half a deviation apart: KS is 2 Phi(1/4) - 1 = 0.197. Ten rows a subject say no more than one."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 1, 2_000), rng.normal(0.5, 1, 2_000)
    once = kolmogorov_smirnov(sample(x), sample(y), seed=1)
    assert once.low < 0.1974 < once.high and 0.02 < once.high - once.low < 0.12
    who = np.repeat(np.arange(2_000), 10)
    told = kolmogorov_smirnov(sample(np.repeat(x, 10), who), sample(np.repeat(y, 10), who), seed=1)
    assert told == pytest.approx(once)
    naive = kolmogorov_smirnov(sample(np.repeat(x, 10)), sample(np.repeat(y, 10)), seed=1)
    assert naive.high - naive.low < (once.high - once.low) / 2


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="value must be finite"):
        sample([1.0, np.nan])
