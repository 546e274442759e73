"""Churn: who is learnt from and judged on, which candidate is picked, what is saved, and what follows from a score."""

import json
import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.retention import CONTACT, LEAVE, contact_plan, threshold
from decisions.scores import band
from evaluation.money import Offer
from models import candidates, churn
from models.reasons import reasons
from registry.fingerprint import folder_digest

LATEST = date(2024, 6, 3)
OFFER = Offer(100, 500, 0.3, 12000, 0.3)


def rows_at(*days_before, people=60):
    """A training table: `signal` foretells, `noise` and `town` do not; older origins first."""
    drawn = np.random.default_rng(11)
    frames = []
    for back in sorted(days_before, reverse=True):
        signal = drawn.normal(size=people)
        left = drawn.random(people) < 1 / (1 + np.exp(-2 * signal))
        frames.append(
            pd.DataFrame(
                {
                    "customer_id": range(people),
                    "origin": LATEST - timedelta(days=back),
                    "signal": signal,
                    "noise": drawn.normal(size=people),
                    "town": pd.Series(drawn.choice(list("abc"), people), dtype="str"),
                    "outcome": left.astype("int8"),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def days_of(table, mask):
    return sorted({(LATEST - day).days for day in table.origin[mask]})


def test_test_validate_and_learn_are_a_horizon_apart():
    table = rows_at(0, 14, 28, 42, 56, 70)
    (split,) = churn.splits(table, 28, seed=1)
    assert days_of(table, split.test) == [0]
    assert days_of(table, split.validate) == [28]  # 14 days before would overlap the test
    assert days_of(table, split.learn) == [56, 70]
    assert not (split.learn & split.validate).any() and not (split.validate & split.test).any()


def test_with_one_training_origin_half_of_its_customers_validate_the_other_half():
    table = rows_at(0, 28)
    (split,) = churn.splits(table, 28, seed=1)
    assert days_of(table, split.learn) == days_of(table, split.validate) == [28]
    assert not set(table.customer_id[split.learn]) & set(table.customer_id[split.validate])
    assert abs(split.learn.sum() - split.validate.sum()) <= 1


def test_a_flat_table_is_judged_once_a_row_in_five_folds():
    table = rows_at(0, people=100)
    found = churn.splits(table, 28, seed=1)
    assert len(found) == 5
    assert (np.sum([split.test for split in found], axis=0) == 1).all()
    for split in found:
        assert (split.learn.astype(int) + split.validate + split.test == 1).all()
    again = churn.splits(table, 28, seed=2)
    assert any((a.test != b.test).any() for a, b in zip(found, again, strict=True))


def foretold(outcome, **candidates):
    named = dict(zip(churn.CANDIDATES, candidates.values(), strict=True))
    return pd.DataFrame({"outcome": outcome, **named})


def test_a_candidate_is_picked_only_for_more_than_a_standard_error():
    y = np.array([0, 1] * 50)
    half, good, better = np.full(100, 0.5), np.where(y, 0.7, 0.3), np.where(y, 0.71, 0.29)
    lucky = half.copy()
    lucky[:2] = 0.4, 0.45  # one row better and one worse: a gain within one standard error

    def compare(rows):
        return candidates.compare(rows, churn.CANDIDATES)

    compared = compare(foretold(y, base=half, one=lucky, two=good, three=better))
    assert compared.candidate.tolist() == list(churn.CANDIDATES)
    assert compared.rival.tolist() == ["base rate", "base rate", "base rate", "logistic"]
    assert compared.log_loss.round(6).tolist() == pytest.approx([0.693147, 0.692378, 0.356675, 0.342490], abs=1e-6)
    assert 0 < compared.gain[1] < compared.error[1]
    assert candidates.pick(compared) == "boosted"
    assert candidates.pick(compare(foretold(y, base=half, one=lucky, two=good, three=lucky))) == "logistic"
    assert candidates.pick(compare(foretold(y, base=half, one=half, two=half, three=half))) == "base rate"
    assert candidates.pick(compare(foretold(y, base=half, one=lucky, two=half, three=half))) == "base rate"
    assert candidates.pick(compare(foretold(y, base=half, one=1 - good, two=lucky, three=1 - good))) != "one column"


@pytest.fixture(scope="module")
def table():
    return rows_at(0, 28, 56, people=150)


COLUMNS = ["signal", "noise", "town"]


@pytest.fixture(scope="module")
def evidence(table):
    return churn.judge(table, COLUMNS, 28, "fast", seed=1)


def test_what_is_judged_are_the_test_rows_with_every_candidate(table, evidence):
    assert list(evidence.test.columns) == ["customer_id", "origin", "outcome", *churn.CANDIDATES]
    assert set(evidence.test.origin) == {LATEST} and len(evidence.test) == 150
    assert evidence.one_column == "signal" and evidence.pick in ("one column", "logistic", "boosted")
    base = table[table.origin < LATEST].outcome.mean()
    assert evidence.test["base rate"].to_numpy() == pytest.approx(base)
    assert evidence.test[["one column", "logistic", "boosted"]].stack().between(0, 1).all()


def test_the_outcomes_of_the_test_rows_are_not_learnt_from(table, evidence):
    flipped = table.assign(outcome=table.outcome.where(table.origin < LATEST, 1 - table.outcome))
    again = churn.judge(flipped, COLUMNS, 28, "fast", seed=1)
    names = list(churn.CANDIDATES)
    pd.testing.assert_frame_equal(again.test[names], evidence.test[names])
    pd.testing.assert_frame_equal(again.validation, evidence.validation)


def test_noise_is_not_picked_over_the_base_rate(table):
    drawn = np.random.default_rng(2)
    assert churn.judge(
        table.assign(outcome=drawn.integers(0, 2, len(table)).astype("int8")), COLUMNS, 28, "fast", seed=1
    ).pick in ("base rate", "one column")


def test_recency_is_the_one_column_where_there_is_one(table):
    fitted = churn.fit(
        churn.ONE_COLUMN, table.assign(recency_days=1.0 * table.index), [*COLUMNS, "recency_days"], "fast", 1
    )
    assert fitted.columns == ("recency_days",)


@pytest.mark.parametrize("name", churn.CANDIDATES)
def test_what_is_saved_is_loaded_the_same_and_holds_no_code(table, tmp_path, name):
    about = {"threshold": 0.25, "dictionary": {"signal": {"name": "signal"}}}
    fitted = churn.fit(name, table, COLUMNS, "fast", seed=1)
    fitted = churn.Churn(fitted.name, fitted.estimator, fitted.columns, about)
    fitted.save(tmp_path / "first")
    loaded = churn.load(tmp_path / "first")
    loaded.save(tmp_path / "second")
    assert {p.suffix for p in (tmp_path / "first").rglob("*") if p.is_file()} <= {".json", ".ubj"}
    assert folder_digest(tmp_path / "first") == folder_digest(tmp_path / "second")
    assert (loaded.name, loaded.columns, loaded.about) == (name, fitted.columns, about)
    assert loaded.predict(table).tolist() == fitted.predict(table).tolist()
    for ours, theirs in zip(loaded.interval(table, 0.9), fitted.interval(table, 0.9), strict=True):
        assert ours.tolist() == theirs.tolist()
    pd.testing.assert_frame_equal(loaded.contributions(table), fitted.contributions(table))
    low, high = loaded.interval(table, 0.9)
    assert (low <= loaded.predict(table)).all() and (loaded.predict(table) <= high).all()


def test_a_saved_model_that_is_of_no_known_kind_is_not_loaded(tmp_path):
    (tmp_path / "churn.json").write_text(json.dumps({"name": "os.system", "columns": [], "about": {}}))
    with pytest.raises(KeyError):
        churn.load(tmp_path)


def test_the_number_of_threads_does_not_change_a_byte(table, tmp_path):
    file = tmp_path / "table.json"
    table.to_json(file, orient="table")
    code = (
        "import sys, pandas as pd, pathlib; from models import churn; from registry.fingerprint import folder_digest\n"
        "table = pd.read_json(sys.argv[1], orient='table'); folder = pathlib.Path(sys.argv[2])\n"
        f"churn.fit('boosted', table, {COLUMNS}, 'fast', 1).save(folder); print(folder_digest(folder))"
    )
    found = []
    for threads in ("1", "2"):
        settings = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": "src", "PATH": ""}
        command = [sys.executable, "-c", code, str(file), str(tmp_path / threads)]
        found.append(subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout)
    assert found[0] == found[1] != ""


TOPICS = {"last": "recency", "gap": "recency", "spent": "money", "visits": "frequency"}
WORDS = {name: (lambda value, name=name: f"{name}: {'none' if value != value else value}") for name in TOPICS}


def worded(contributions, values=None, **others):
    frame = pd.DataFrame(contributions, dtype=float)
    values = pd.DataFrame(values) if values else frame.assign(last=34.0, gap=7.0, spent=12.0, visits=3.0)
    return reasons(frame, values, TOPICS, WORDS, **others).to_numpy().tolist()


def test_reasons_are_the_topics_that_move_most_worded_by_their_strongest_column():
    assert worded({"last": [0.3], "gap": [0.4], "spent": [-0.5], "visits": [0.1]}) == [
        ["gap: 7.0 (raises)", "spent: 12.0 (lowers)", "visits: 3.0 (raises)"]
    ]


def test_columns_of_a_topic_that_cancel_out_are_not_a_reason():
    ((first, second, third),) = worded({"last": [0.9], "gap": [-0.9], "spent": [0.2], "visits": [-0.1]})
    assert (first, second, third) == ("spent: 12.0 (raises)", "visits: 3.0 (lowers)", "")


def test_the_word_of_a_topic_pulls_in_its_direction():
    """The topic lowers although its strongest single column raises."""
    ((first, *_),) = reasons(
        pd.DataFrame({"a": [0.5], "b": [-0.4], "c": [-0.3]}),
        pd.DataFrame({"a": [1], "b": [2], "c": [3]}),
        dict.fromkeys("abc", "one"),
        {name: (lambda value, name=name: f"{name}: {value}") for name in "abc"},
    ).to_numpy()
    assert first == "b: 2 (lowers)"


def test_each_row_has_its_own_reasons_and_a_missing_value_is_said():
    found = worded(
        {"last": [1, 0], "gap": [0, 0], "spent": [0, -1], "visits": [0.5, 0.5]},
        {"last": [34.0, 2.0], "gap": [1.0, 1.0], "spent": [5.0, np.nan], "visits": [3.0, 4.0]},
    )
    assert [row[:2] for row in found] == [
        ["last: 34.0 (raises)", "visits: 3.0 (raises)"],
        ["spent: none (lowers)", "visits: 4.0 (raises)"],
    ]


def test_a_model_without_columns_gives_no_reasons():
    found = reasons(pd.DataFrame(index=[0, 1]), pd.DataFrame({"x": [1, 2]}), {}, {})
    assert found.to_numpy().tolist() == [["", "", ""]] * 2


def test_whom_to_contact_counted_by_hand():
    """p 0.3 (12000 - 500) - 500 (1 - p) 0.3 - 100: 1,600 at a half, -250 at nobody leaving."""
    plan = contact_plan(pd.DataFrame({"customer_id": [4, 3, 2, 1], "score": [0.0, 0.5, 1.0, 0.5]}), OFFER)
    assert plan.customer_id.tolist() == [2, 1, 3, 4]
    assert plan.expected_profit_cents.tolist() == [3350, 1550, 1550, -250]
    assert plan.action.tolist() == [CONTACT, CONTACT, CONTACT, LEAVE]


def test_the_threshold_is_where_a_contact_breaks_even():
    """(500 * 0.3 + 100) / (0.3 * 11500 + 500 * 0.3) = 250 / 3600."""
    assert threshold(OFFER) == pytest.approx(250 / 3600)
    assert threshold(OFFER._replace(value_kept=0)) == 1.0 and threshold(OFFER._replace(success_rate=0.0)) == 1.0


@given(st.floats(0, 1), st.floats(0, 1))
def test_those_above_the_threshold_are_those_contacted(score, success):
    offer = OFFER._replace(success_rate=success)
    plan = contact_plan(pd.DataFrame({"customer_id": [1], "score": [score]}), offer)
    if abs(score - threshold(offer)) > 1e-9:
        assert (plan.action[0] == CONTACT) == (score > threshold(offer))


def test_bands_by_hand():
    score = np.array([0.05, 0.10, 0.19, 0.20, 0.21])
    assert band(score, threshold=0.2, base_rate=0.2).tolist() == ["low", "middle", "middle", "middle", "high"]
    # acting pays below half the base rate already: nobody is low, or high and low at once
    assert band(score, threshold=0.05, base_rate=0.2).tolist() == ["middle", *["high"] * 4]


def test_the_one_column_is_not_the_one_that_was_learnt_by_heart():
    """A category with a level for every other row ranks its own rows best, and says nothing of others."""
    draw = np.random.default_rng(3)
    y = (draw.random(400) < 0.4).astype(float)
    X = pd.DataFrame({"level": (np.arange(400) // 2).astype(str), "honest": y + draw.normal(0, 2, 400)})
    assert candidates.best_column(X, y, pd.Series(np.arange(400))) == "honest"
