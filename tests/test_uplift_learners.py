"""Learners of effects: what they find where the truth is known, what they must not see, and when they are the same."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from models import line_means, uplift
from models.folds import TooFewCases
from models.line_means import Lines
from models.uplift import AMOUNT, BOOSTED, COUNT, DEFAULT, LINEAR
from models.uplift_forecast import forecast
from models.uplift_learners import CLASS, DR, RESPONSE, R, S, T
from models.uplift_learners import X as X_LEARNER
from models.uplift_pick import pick

ALL = (*DEFAULT, (CLASS, LINEAR), (CLASS, BOOSTED))


def randomised(n: int, seed: int, arms: int = 2):
    """Columns, arm, and noise: a customer's age, spend and region, and an arm drawn evenly."""
    draw = np.random.default_rng(seed)
    X = pd.DataFrame({
        "age": draw.normal(size=n),
        "spend": draw.exponential(size=n),
        "region": draw.choice(["north", "south"], n),
    })  # fmt: skip
    return X, draw.integers(0, arms, n), draw


def shared(arms: int, n: int) -> np.ndarray:
    return np.full((n, arms), 1 / arms)


@pytest.fixture(scope="module")
def stepped():
    """Spend by a constant effect of 2 for the south alone, with much else that foretells it."""
    X, arm, draw = randomised(3000, 1)
    effect = np.where(X.region == "south", 2.0, 0.0)
    y = 3 * X.age + X.spend + effect * arm + draw.normal(size=len(X))
    return X, y.to_numpy(), arm, effect


@pytest.fixture(scope="module")
def fitted(stepped):
    X, y, arm, _ = stepped
    return uplift.fit(X, y - y.min() + 1, arm, shared(2, len(X)), kind=AMOUNT, learners=ALL)


@pytest.mark.parametrize("name", [name for name in ALL if name[0] not in (RESPONSE, CLASS)])
def test_the_effect_is_found(fitted, stepped, name):
    X, _, _, effect = stepped
    found = fitted.models[name].effect(X)[:, 0]
    assert found[effect == 2].mean() == pytest.approx(2, abs=0.35)
    assert found[effect == 0].mean() == pytest.approx(0, abs=0.35)
    assert np.corrcoef(fitted.effects[name][:, 0], effect)[0, 1] > 0.7


def test_scores_are_right_on_average_and_less_noisy_than_weighting(fitted, stepped):
    _, y, arm, effect = stepped
    psi = fitted.scores[:, 1] - fitted.scores[:, 0]
    assert psi.mean() == pytest.approx(effect.mean(), abs=0.15)
    assert psi.std() < 0.5 * (4 * (arm - 0.5) * (y - y.min() + 1)).std()


def test_the_pick_is_a_learner_of_effects_where_there_are_some(fitted):
    picked = pick(fitted)
    assert picked.model.learner not in (RESPONSE, CLASS)
    assert picked.contest.learner.iloc[0] == RESPONSE and len(picked.contest) == len(ALL)


@pytest.mark.parametrize("learner", [T, S, X_LEARNER, DR, R, CLASS])
def test_what_judges_a_fold_has_not_seen_its_outcomes(stepped, learner, monkeypatch):
    """Other outcomes in a fold, and what was learnt without it is the same to the last bit.

    One penalty, since its choice looks at all folds.
    """
    monkeypatch.setattr(line_means, "PENALTIES", (0.01,))
    columns, y, arm, _ = stepped
    columns, y, arm = columns[:600], y[:600], arm[:600]
    changed = np.random.default_rng(0).permutation(600) < 60

    def learnt(outcome):
        made = {}
        real = uplift.grouped_folds

        def kept(of, subjects, folds, seed):
            made["fold"] = np.where(changed[subjects], 0, 1 + real(of, subjects, folds - 1, seed))
            return made["fold"]

        monkeypatch.setattr(uplift, "grouped_folds", kept)
        # the settled order follows the outcome, so subjects say which row is which
        found = uplift.fit(
            columns, outcome, arm, shared(2, 600), np.arange(600), kind=COUNT, learners=[(learner, LINEAR)]
        )
        monkeypatch.setattr(uplift, "grouped_folds", real)
        return found.models[learner, LINEAR].bags(columns)

    monkeypatch.setattr(uplift, "pulled_in", lambda outcome, kind: outcome)
    counts = np.rint(np.abs(y))
    before, after = learnt(counts), learnt(np.where(changed, counts + 7, counts))
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1] - after[1]).max() > 0.01


def test_a_ridge_regression_from_sums_is_the_ridge_regression():
    X, _, draw = randomised(200, 3)
    matrix = np.column_stack([X.age, X.spend]).astype(np.float32)
    y, fold = draw.normal(size=200) + X.age.to_numpy(), np.arange(200) % 5
    base = Lines(matrix, np.array([False, False]), fold)
    weight = draw.uniform(0.5, 2, 200)
    lines, penalty = base.bags(y, weight=weight)
    kept = fold != 3
    spread = base.design.transform(matrix)
    by_hand = Ridge(alpha=penalty * weight[kept].sum()).fit(spread[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(lines[3].predict(matrix), by_hand.predict(spread), atol=1e-5)


def test_the_order_of_rows_and_the_number_of_threads_change_no_byte(stepped, tmp_path):
    X, y, arm, _ = stepped
    X, y, arm = X[:800], np.rint(np.abs(y[:800])), arm[:800]
    shuffled = np.random.default_rng(0).permutation(800)
    who = np.arange(800)
    for folder, rows, threads in (("as given", who, 1), ("shuffled", shuffled, 2)):
        found = uplift.fit(X.iloc[rows], y[rows], arm[rows], shared(2, 800), who[rows], kind=COUNT, threads=threads)
        for (learner, base), model in found.models.items():
            model.save(tmp_path / folder / f"{base} {learner}")
        scores = np.empty_like(found.scores)
        scores[rows] = found.scores
        np.save(tmp_path / folder / "scores.npy", scores)
    one, other = ({f.relative_to(tmp_path / d): f.read_bytes() for f in sorted((tmp_path / d).rglob("*.*"))}
                  for d in ("as given", "shuffled"))  # fmt: skip
    assert one == other and len(one) > 50


def test_a_saved_model_says_the_same(fitted, stepped, tmp_path):
    X = stepped[0]
    for name in ((S, BOOSTED), (X_LEARNER, LINEAR), (T, BOOSTED)):
        fitted.models[name].save(tmp_path / " ".join(name))
        again = uplift.load(tmp_path / " ".join(name))
        np.testing.assert_array_equal(again.effect(X), fitted.models[name].effect(X))
    low, high = fitted.models[T, BOOSTED].interval(X, 0.9)
    assert ((low < fitted.models[T, BOOSTED].effect(X)) & (fitted.models[T, BOOSTED].effect(X) < high)).all()


def test_each_of_several_arms_has_its_own_effect():
    X, arm, draw = randomised(3000, 5, arms=3)
    y = X.age + np.choose(arm, [np.zeros(3000), 1.0 * (X.age > 0), -2.0 * (X.region == "north")])
    y = (y + 0.5 * draw.normal(size=3000)).to_numpy()
    found = uplift.fit(
        X,
        y,
        arm,
        shared(3, 3000),
        kind=AMOUNT,
        learners=[(T, LINEAR), (DR, BOOSTED), (X_LEARNER, BOOSTED), (S, LINEAR), (R, LINEAR)],
    )
    for name in ((DR, BOOSTED), (X_LEARNER, BOOSTED), (S, LINEAR), (R, LINEAR)):
        effect = found.effects[name]
        assert effect.shape == (3000, 2)
        assert effect[X.region == "north", 1].mean() == pytest.approx(-2, abs=0.4)
        assert effect[X.region == "south", 1].mean() == pytest.approx(0, abs=0.4)
        assert effect[X.age > 0.5, 0].mean() > 0.6 > 0.4 > effect[X.age < -0.5, 0].mean()


def test_propensities_that_differ_are_weighed_by():
    """Twice as many old customers are treated, who spend more: the naive difference is wrong, the effect is 1."""
    X, _, draw = randomised(4000, 6)
    e = np.where(X.age > 0, 0.8, 0.2)
    arm = (draw.uniform(size=4000) < e).astype(int)
    y = (5 * (X.age > 0) + 1.0 * arm + draw.normal(size=4000)).to_numpy()
    found = uplift.fit(
        X, y, arm, np.column_stack([1 - e, e]), kind=AMOUNT, learners=[(DR, LINEAR), (R, LINEAR), (CLASS, LINEAR)]
    )
    assert y[arm == 1].mean() - y[arm == 0].mean() > 3
    assert (found.scores[:, 1] - found.scores[:, 0]).mean() == pytest.approx(1, abs=0.15)
    for name in ((DR, LINEAR), (R, LINEAR)):
        assert found.effects[name].mean() == pytest.approx(1, abs=0.15)
    assert found.effects[CLASS, LINEAR].mean() == pytest.approx(1, abs=0.4)


def test_one_wholesale_buyer_does_not_make_the_effect_of_the_others():
    X, arm, draw = randomised(3000, 7)
    y = np.where(draw.uniform(size=3000) < 0.2, np.rint(100 * draw.gamma(2, size=3000)), 0.0)
    names = [(T, LINEAR), (DR, LINEAR)]
    plain = uplift.fit(X, y, arm, shared(2, 3000), np.arange(3000), kind=AMOUNT, learners=names)
    y[np.flatnonzero(arm == 1)[0]] = 5e6
    with_one = uplift.fit(X, y, arm, shared(2, 3000), np.arange(3000), kind=AMOUNT, learners=names)
    for name in names:
        assert np.abs(with_one.effects[name] - plain.effects[name]).mean() < 10
    # what judges sees the money that was paid
    assert with_one.scores[:, 1].mean() - plain.scores[:, 1].mean() > 1000


def test_where_there_is_no_effect_the_simplest_is_kept():
    kept = 0
    for seed in range(10):
        X, arm, draw = randomised(800, 20 + seed)
        y = (draw.uniform(size=800) < 0.2 + 0.2 * (X.age > 0)).astype(float)
        found = uplift.fit(X, y, arm, shared(2, 800), learners=[(RESPONSE, LINEAR), (T, LINEAR), (DR, LINEAR)])
        kept += pick(found).model.learner == RESPONSE
    assert kept >= 6


def test_learners_that_rank_alike_are_a_tie_and_the_simpler_is_taken(fitted):
    same = fitted.effects[T, LINEAR]
    twins = uplift.Fitted(
        {name: fitted.models[name] for name in ((T, LINEAR), (DR, BOOSTED), (X_LEARNER, LINEAR))},
        {(T, LINEAR): same, (DR, BOOSTED): same * 3 + 1, (X_LEARNER, LINEAR): same},
        fitted.expected,
        fitted.scores,
    )
    picked = pick(twins)
    assert (picked.model.learner, picked.model.base) == (T, LINEAR)
    assert (picked.contest.gain == 0).all()


def test_what_is_no_trial_is_refused():
    X, arm, draw = randomised(300, 8)
    y, e = (draw.uniform(size=300) < 0.3).astype(float), shared(2, 300)
    with pytest.raises(ValueError, match="kind must be one of"):
        uplift.fit(X, y, arm, e, kind="money")
    with pytest.raises(ValueError, match="must be 0 or 1"):
        uplift.fit(X, y + 1, arm, e)
    with pytest.raises(ValueError, match="must be a count, but there is -1"):
        uplift.fit(X, np.where(np.arange(300) == 4, -1, y), arm, e, kind=COUNT)
    with pytest.raises(ValueError, match="must be finite, but there is nan in position 4"):
        uplift.fit(X, np.where(np.arange(300) == 4, np.nan, y), arm, e, kind=AMOUNT)
    with pytest.raises(ValueError, match=r"in 1 of 300 rows, first in position 7 \(0, 1\)"):
        uplift.fit(X, y, arm, np.where((np.arange(300) == 7)[:, None], [[0.0, 1.0]], e))
    with pytest.raises(TooFewCases, match="50 subjects must be in each arm, but 20 are in arm 1"):
        uplift.fit(X, y, (np.arange(300) < 20).astype(int), e)
    with pytest.raises(ValueError, match="column for each arm"):
        uplift.fit(X, y, arm, np.full(300, 0.5))


# --- what may be believed ---


def test_a_forecast_by_hand():
    """One learner that says twice what is so of one arm and nothing of the other, half of the rows in no arm."""
    seen = np.array([[0.0, 4.0], [2.0, 4.0], [4.0, 4.0], [6.0, 4.0]])
    scores = np.column_stack([np.zeros(4), seen])
    said = np.column_stack([2 * seen[:, 0] + 1, np.full(4, 9.0)])
    model = SimpleNamespace(learner=T, base=LINEAR, effect=lambda rows: said[rows])
    answers = SimpleNamespace(effect=lambda rows: np.full((len(rows), 2), 10.0))
    effects = {(T, LINEAR): said, (RESPONSE, LINEAR): np.full((4, 2), 10.0)}
    fitted = SimpleNamespace(effects=effects, models={(RESPONSE, LINEAR): answers}, scores=scores)
    found = forecast(fitted, model, np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(found.out_of_fold.effect, seen)  # the slope of a half; the mean of what was seen
    # a response of ten under a mix of a half, a quarter and a quarter
    np.testing.assert_allclose(found.out_of_fold.without, 10 - seen.sum(axis=1) / 4)
    np.testing.assert_allclose(found.out_of_fold.response(found.shares), 10)
    new = found.of(np.array([3, 0]))
    np.testing.assert_allclose(new.effect, seen[[3, 0]])
    np.testing.assert_allclose(new.without, found.out_of_fold.without[[3, 0]])


def test_a_forecast_of_a_fitted_learner(fitted, stepped):
    """Out of fold its mean effect is the one that was seen; without a contact it expects what the control spends."""
    X, y, arm, effect = stepped
    found = forecast(fitted, fitted.models[T, LINEAR], arm)
    assert found.out_of_fold.effect.mean() == pytest.approx(np.diff(fitted.scores, axis=1).mean())
    assert found.of(X).without.mean() == pytest.approx((y - y.min() + 1 - effect * arm).mean(), rel=0.01)
    np.testing.assert_allclose(found.of(X).response(found.shares), fitted.models[RESPONSE, LINEAR].effect(X)[:, 0])
