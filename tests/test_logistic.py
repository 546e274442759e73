"""The baseline: what it is made of, that it adds up, and that its numbers do not depend on rows' order or threads."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from threadpoolctl import threadpool_limits

from models import logistic
from models.design import Design, Number
from models.folds import TooFewCases, grouped_folds


def drawn(rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Features, outcomes and true probabilities of a logistic model."""
    draw = np.random.default_rng(seed)
    X = pd.DataFrame(
        {"a": draw.normal(size=rows), "b": draw.normal(size=rows), "c": draw.choice(["u", "v", "w"], rows)}
    )
    p = expit((-1 + 1.2 * X.a + 0.8 * (X.c == "u")).to_numpy())
    X.loc[draw.random(rows) < 0.1, "b"] = np.nan
    return X, (draw.random(rows) < p).astype(float), p


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = drawn(1500)
    return logistic.fit(X, y), X, y


def test_it_finds_the_truth(fitted):
    X, _, p = drawn(2000, seed=1)
    assert np.abs(fitted[0].predict(X) - p).mean() < 0.03


def test_contributions_and_base_are_the_logit(fitted):
    model, X, _ = fitted
    shares = model.contributions(X)
    assert list(shares.columns) == ["a", "b", "c"]
    np.testing.assert_allclose(model.base + shares.sum(axis=1), model.logit(X))
    np.testing.assert_allclose(expit(model.logit(X)), model.predict(X))
    assert shares.abs().mean().idxmax() == "a"


def test_saved_and_loaded_it_is_the_same(fitted, tmp_path):
    model, X, _ = fitted
    model.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["logistic.json"]
    again = logistic.load(tmp_path)
    assert again == model
    np.testing.assert_array_equal(again.interval(X, 0.9), model.interval(X, 0.9))


def test_order_of_rows_and_threads_change_no_byte(fitted, tmp_path):
    model, X, y = fitted
    model.save(tmp_path / "first")
    mixed = np.random.default_rng(0).permutation(len(y))
    with threadpool_limits(2):
        other = logistic.fit(X.iloc[mixed], y[mixed])
    other.save(tmp_path / "second")
    first, second = ((tmp_path / name / "logistic.json").read_bytes() for name in ("first", "second"))
    assert first == second
    np.testing.assert_array_equal(other.out_of_fold, model.out_of_fold[mixed])


@pytest.mark.parametrize("part", ["logit", "contributions"])
def test_a_line_by_itself_says_the_same_on_any_number_of_threads(part):
    """A member of a portfolio is asked without the model around it; so many columns that threads part the sums."""
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(2500, 150)).astype(np.float32)
    fold = np.arange(len(matrix)) % 2
    (line, _), _, _ = logistic.bags(matrix, (draw.random(2500) < 0.3).astype(float), np.zeros(150, dtype=bool), fold)
    said = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            said.append(getattr(line, part)(matrix))
    np.testing.assert_array_equal(*said)


def test_unseen_levels_are_counted_and_scored(fitted):
    model = fitted[0]
    new = pd.DataFrame({"a": [0.0], "b": [0.0], "c": ["never"]})
    assert model.unseen(new) == {"c": 1}
    assert 0 < model.predict(new)[0] < 1


def test_a_number_by_hand():
    """Values 0 and 10 in equal parts: mean 5, deviation 5; ranks are the middle of the quantiles each fills."""
    number = Number.learn(np.repeat([0, 10, np.nan], [50, 50, 10]).astype(np.float32))
    value, rank, missing = number.spread(np.array([0, 10, np.nan, 99], dtype=np.float32))
    np.testing.assert_allclose(value, [-1, 1, 0, 1])  # 99 is clipped
    assert rank[0] == -rank[1] and rank[2] == 0 and rank[3] == rank[1]
    np.testing.assert_array_equal(missing, [0, 0, 1, 0])


def test_an_empty_and_a_constant_column_say_nothing():
    matrix = np.column_stack([np.full(5, np.nan), np.full(5, 3)]).astype(np.float32)
    assert (Design.learn(matrix, np.array([False, False])).transform(matrix) == 0).all()


@pytest.mark.parametrize("wrong", [np.array([0, 1, 2.0]), np.array([0, np.nan, 1]), np.array([0, 1.0])])
def test_an_outcome_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="The outcome must be 0 or 1"):
        logistic.fit(pd.DataFrame({"a": [1.0, 2.0, 3.0]}), wrong)


def test_folds_keep_a_subject_together_and_the_rate_alike():
    draw = np.random.default_rng(3)
    subjects = draw.integers(0, 300, 1000)
    y = (draw.random(1000) < 0.2).astype(float)
    fold = grouped_folds(y, subjects, 5, seed=0)
    assert pd.Series(fold).groupby(subjects).nunique().max() == 1
    rates = [y[fold == k].mean() for k in range(5)]
    assert max(rates) - min(rates) < 0.03
    mixed = draw.permutation(1000)
    np.testing.assert_array_equal(grouped_folds(y[mixed], subjects[mixed], 5, seed=0), fold[mixed])


def test_too_few_positives_are_refused():
    with pytest.raises(TooFewCases, match="but 3 of 50"):
        grouped_folds(np.arange(50) < 3, np.arange(50), 5, seed=0)
