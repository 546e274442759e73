"""Bins: the best there are under their shape, weights counted by hand, and the regression on them."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from models import binning, partition
from models.binning import Binning, Wish, information_value
from models.encoding import UNSEEN
from models.partition import ANY, FALLING, FREE, MONOTONE, PEAK, RISING, SHAPES, VALLEY, Limits, partitions
from models.woe import WOELogistic


def likelihood(rows, outcomes):
    """Of counts under their own rate; 0 log 0 is 0."""
    return sum(k * np.log(k / rows) for k in (outcomes, rows - outcomes) if k)


def keeps(rates, shape):
    """Whether rates have a shape, and how often they turn; a rise is a valley that has turned at once."""
    steps = [np.sign(b - a) for a, b in itertools.pairwise(rates)]
    if shape == FREE:
        return True, 0
    if 0 in steps:
        return False, 0
    turns = sum(a != b for a, b in itertools.pairwise(steps))
    up = {RISING: 1, PEAK: 1, FALLING: -1, VALLEY: -1}[shape]
    if shape in (RISING, FALLING):
        return all(step == up for step in steps), 0
    turned = turns + (len(steps) > 0 and steps[0] == -up)
    return turned <= 1, turned


def by_trying_all(rows, outcomes, shape, limits):
    """The largest value of any partition into neighbours."""
    shapes = {ANY: (RISING, FALLING, PEAK, VALLEY), MONOTONE: (RISING, FALLING)}.get(shape, (shape,))
    best = -np.inf
    for size in range(min(limits.most, len(rows))):
        for cuts in itertools.combinations(range(1, len(rows)), size):
            parts = list(itertools.pairwise((0, *cuts, len(rows))))
            n, s = ([int(counts[a:b].sum()) for a, b in parts] for counts in (rows, outcomes))
            short = (x < max(limits.rows, 1) or min(y, x - y) < limits.fewest for x, y in zip(n, s, strict=True))
            if any(short):
                continue
            for one in shapes:
                kept, turned = keeps([y / x for x, y in zip(n, s, strict=True)], one)
                value = sum(map(likelihood, n, s)) - limits.turn * turned
                best = max(best, value) if kept else best
    return best


cells = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8)
columns = st.lists(st.tuples(cells, st.sampled_from(SHAPES)), min_size=1, max_size=4)
bounds = st.builds(Limits, st.integers(1, 5), st.integers(0, 20), st.integers(0, 3), st.floats(0, 3))


@settings(deadline=None, max_examples=150)
@given(columns, bounds)
def test_the_partition_is_the_best_of_all(several, limits):
    rows = [np.array([a + b for a, b in cells]) for cells, _ in several]
    outcomes = [np.array([a for a, _ in cells]) for cells, _ in several]
    shapes = [shape for _, shape in several]
    for n, s, shape, found in zip(rows, outcomes, shapes, partitions(rows, outcomes, shapes, limits), strict=True):
        best = by_trying_all(n, s, shape, limits)
        assert found.value == pytest.approx(best, abs=1e-8)
        if best == -np.inf:
            assert found.starts == (0,)
            continue
        parts = list(itertools.pairwise((*found.starts, len(n))))
        merged = [(n[a:b].sum(), s[a:b].sum()) for a, b in parts]
        kept, turned = keeps([y / x for x, y in merged], found.shape)
        assert kept and sum(likelihood(*one) for one in merged) - limits.turn * turned == pytest.approx(best, abs=1e-8)


def test_a_shape_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'steep' is none"):
        partitions([np.array([1])], [np.array([0])], ["steep"], Limits(3, 0, 0, 0))


def test_weights_as_counted_by_hand():
    """Level 0: 8 rows, 6 with the outcome; level 1: 10 and 5; missing: 2 and 1. Base rate 12 of 20, smoothing 10."""
    column = np.repeat([0, 1, np.nan], [80, 100, 20]).astype(np.float32)
    y = np.repeat([1, 0, 1, 0, 1, 0], [60, 20, 50, 50, 10, 10]).astype(float)
    learned = Binning.learn(column[:, None], y, np.array([True]))
    seen = learned.transform(np.array([[0], [1], [np.nan], [UNSEEN]], dtype=np.float32))[:, 0]
    expected = logit([(60 + 6) / 90, (50 + 6) / 110, (10 + 6) / 30, 0.6]) - logit(0.6)
    np.testing.assert_allclose(seen, expected)
    assert seen[3] == pytest.approx(0)  # no row, no evidence
    # shares of the 120 with and the 80 without the outcome, times the weights; the smoothing is by the base rate
    value = (60 / 120 - 20 / 80) * expected[0] + (50 / 120 - 50 / 80) * expected[1] + (10 / 120 - 10 / 80) * expected[2]
    assert learned.information()[0].value == pytest.approx(value)


def test_a_number_is_cut_where_the_rate_changes_and_bins_are_not_small():
    column = np.arange(1000, dtype=np.float32)
    y = (np.arange(1000) % 10 < np.where(column > 655, 6, 2)).astype(float)
    learned = Binning.learn(column[:, None], y, np.array([False])).columns[0]
    assert any(640 <= cut <= 670 for cut in learned.cuts) and learned.shape == RISING
    assert min(learned.rows[2:]) >= 50 and len(learned.cuts) < binning.MOST_BINS
    assert sum(learned.rows) == 1000 and sum(learned.outcomes) == y.sum()


def test_missing_and_special_values_are_apart_and_do_not_move_the_cuts():
    draw = np.random.default_rng(3)
    column = draw.normal(size=3000)
    y = (draw.random(3000) < 1 / (1 + np.exp(-column))).astype(float)
    plain = Binning.learn(column[:, None], y, np.array([False])).columns[0]
    more, hits = np.concatenate([column, [-999] * 50, [np.nan] * 20]), np.concatenate([y, [1] * 40, [0] * 30])
    wish = [Wish(specials=(-999.0,))]
    found = Binning.learn(more[:, None], hits, np.array([False]), wish)
    assert found.columns[0].cuts == plain.cuts
    assert found.columns[0].rows[:3] == (0, 20, 50) and found.columns[0].outcomes[:3] == (0, 0, 40)
    assert found.transform(np.array([[-999.0]]))[0, 0] > 0 > found.transform(np.array([[np.nan]]))[0, 0]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([RISING, FALLING, MONOTONE]))
def test_rates_keep_to_the_declared_direction(seed, shape):
    draw = np.random.default_rng(seed)
    column = np.round(draw.normal(size=(400, 2)), draw.integers(0, 3))
    y = (draw.random(400) < 1 / (1 + np.exp(-draw.normal() * column[:, 0]))).astype(float)
    learned = Binning.learn(column, y, np.array([False, False]), [Wish(shape)] * 2)
    for bins in learned.columns:
        rates = np.array(bins.outcomes[2:]) / np.maximum(bins.rows[2:], 1)
        steps = np.diff(rates)
        assert (steps > 0).all() or (steps < 0).all()
        assert shape == MONOTONE or len(steps) == 0 or (steps[0] > 0) == (shape == RISING)


def test_levels_are_grouped_in_the_order_of_their_rates():
    draw = np.random.default_rng(5)
    codes = draw.integers(0, 60, 6000).astype(float)  # more levels than cells
    y = (draw.random(6000) < 0.1 + 0.01 * codes).astype(float)
    bins = Binning.learn(codes[:, None], y, np.array([True])).columns[0]
    rates = np.array(bins.outcomes[2:]) / bins.rows[2:]
    assert (np.diff(rates) > 0).all() and 4 <= len(rates) <= binning.MOST_BINS
    assert np.corrcoef(bins.groups, np.arange(60))[0, 1] > 0.9
    # a level that training had no row of, and one beyond them all
    gap = Binning.learn(np.array([[0.0], [2.0]] * 50), np.array([0.0, 1.0] * 50), np.array([True])).columns[0]
    assert gap.place(np.array([1.0, 7.0, UNSEEN, np.nan, 0.0])).tolist() == [0, 0, 0, 1, 2]


def test_the_order_of_rows_changes_nothing():
    draw = np.random.default_rng(6)
    matrix = np.column_stack([draw.normal(size=500), draw.integers(0, 5, 500)])
    y, category = (draw.random(500) < 0.3).astype(float), np.array([False, True])
    mixed = draw.permutation(500)
    assert Binning.learn(matrix, y, category) == Binning.learn(matrix[mixed], y[mixed], category)


def test_the_interval_of_the_information_value_holds_the_truth():
    """Bins fixed beforehand, 1,000 rows: the true IV of their true rates lies inside in about 95 % of samples."""
    draw = np.random.default_rng(7)
    share, rate = np.array([0.2, 0.3, 0.3, 0.2]), np.array([0.1, 0.2, 0.3, 0.5])
    p, q = share * rate, share * (1 - rate)
    p, q = p / p.sum(), q / q.sum()
    truth, held = ((p - q) * np.log(p / q)).sum(), 0
    for _ in range(500):
        rows = draw.multinomial(1000, share)
        found = information_value(rows, draw.binomial(rows, rate))
        held += found.low <= truth <= found.high
    assert 460 <= held <= 490
    noise = [information_value(rows, draw.binomial(rows, 0.3)) for rows in draw.multinomial(1000, share, 200)]
    assert np.mean([found.low == 0 for found in noise]) > 0.9


def test_the_interval_is_around_the_value_less_what_noise_would_show():
    """Four bins, less one: 3 (1 / 260 + 1 / 740) of 260 outcomes among 1,000 rows."""
    found = information_value([250] * 4, [10, 50, 80, 120])
    assert (found.low + found.high) / 2 == pytest.approx(found.value - 3 * (1 / 260 + 1 / 740))


def test_columns_without_two_values_have_no_evidence():
    empty = np.column_stack([np.full(100, np.nan), np.ones(100)])
    y = np.array([0.0, 1.0] * 50)
    assert Binning.learn(empty, y, np.array([False, False])).transform(empty) == pytest.approx(0)


def test_coefficients_are_never_negative_and_terms_add_up():
    draw = np.random.default_rng(1)
    matrix = draw.normal(size=(400, 5)).astype(np.float32)
    matrix[:, 4] = draw.integers(0, 3, 400)
    y = (draw.random(400) < 1 / (1 + np.exp(-matrix[:, 0]))).astype(float)
    model = WOELogistic.learn(matrix, y, np.array([False] * 4 + [True]))
    assert min(model.coefficients) >= 0
    assert model.coefficients[0] > 0.3
    np.testing.assert_allclose(model.base + model.contributions(matrix).sum(axis=1), model.logit(matrix))
    again = WOELogistic.from_json(json.loads(json.dumps(model.to_json())))
    assert again == model
    # the fitted mean is the observed one: the intercept bears no penalty
    assert (1 / (1 + np.exp(-model.logit(matrix)))).mean() == pytest.approx(y.mean(), abs=1e-4)


def test_a_column_that_would_be_turned_round_beside_another_gets_nothing():
    """b says of a what a says better, and the difference the other way: alone it rises, beside a it would fall."""
    draw = np.random.default_rng(2)
    a = draw.normal(size=4000)
    b = a + 0.5 * draw.normal(size=4000)
    y = (draw.random(4000) < 1 / (1 + np.exp(-2 * a + 1.2 * (b - a)))).astype(float)
    model = WOELogistic.learn(np.column_stack([a, b]), y, np.array([False, False]))
    assert model.coefficients[1] == 0 < model.coefficients[0]


def test_as_many_cells_as_there_are_is_not_too_many_for_a_pointer():
    """Pointers of the turned half are cell numbers twice over, in 16 bits."""
    assert np.iinfo(np.int16).max > 2 * binning.CELLS
    assert partition.partitions([np.arange(1, 90)], [np.arange(89) // 2], [PEAK], Limits(4, 1, 1, 0))[0].starts[0] == 0
