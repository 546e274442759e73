"""Credit's candidates: what each keeps to, and that what is saved is loaded the same."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models import boosting, credit
from models.binning import Wish
from models.partition import FALLING, PEAK
from registry.fingerprint import folder_digest

COLUMNS = ["income", "debts", "town"]


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(8)
    rows = pd.DataFrame({"customer_id": range(400), "origin": date(2024, 6, 3), "application_id": range(400, 800)})
    rows["income"], rows["debts"] = draw.normal(size=400), draw.normal(size=400)
    rows["town"] = pd.Series(draw.choice(list("abc"), 400), dtype="str")
    eta = 1.2 * rows.debts - 1.2 * rows.income + 0.8 * (rows.town == "a") - 0.5
    return rows.assign(outcome=(draw.random(400) < expit(eta)).astype("int8"))


@pytest.mark.parametrize("name", credit.CANDIDATES)
def test_what_is_saved_is_loaded_the_same_and_holds_no_code(table, tmp_path, name):
    fitted = credit.fit(name, table, COLUMNS, "fast", seed=1)
    fitted.save(tmp_path / "first")
    loaded = credit.load(tmp_path / "first")
    loaded.save(tmp_path / "second")
    assert {p.suffix for p in (tmp_path / "first").rglob("*") if p.is_file()} <= {".json", ".ubj", ".csv"}
    assert folder_digest(tmp_path / "first") == folder_digest(tmp_path / "second")
    assert loaded.predict(table).tolist() == fitted.predict(table).tolist()
    pd.testing.assert_frame_equal(loaded.contributions(table), fitted.contributions(table))
    low, high = loaded.interval(table, 0.9)
    assert (low <= loaded.predict(table)).all() and (loaded.predict(table) <= high).all()


def test_monotone_trees_never_turn(table):
    """Along income at any debts the risk only falls, as declared; free trees of the same rows do turn."""
    grid = np.linspace(-2, 2, 60)
    there = pd.DataFrame({"income": np.tile(grid, 5), "debts": np.repeat([-1.5, -0.5, 0, 0.5, 1.5], 60), "town": "a"})
    steps = {}
    for name in (credit.MONOTONE_BOOSTED, credit.BOOSTED):
        fitted = credit.fit(name, table, COLUMNS, "fast", 1, wishes={"income": Wish(FALLING)})
        steps[name] = np.diff(fitted.predict(there).reshape(5, 60), axis=1)
    assert steps[credit.MONOTONE_BOOSTED].max() <= 1e-9 < steps[credit.BOOSTED].max()


def test_directions_are_the_declared_ones_or_else_those_of_the_bins(table):
    X, y = table[COLUMNS], table.outcome.to_numpy(dtype=float)
    assert credit.directions(X, y) == {"income": -1, "debts": 1}
    assert credit.directions(X, y, {"debts": Wish(FALLING), "income": Wish(PEAK)}) == {"debts": -1}
    with pytest.raises(ValueError, match="'town' is none"):
        boosting.fit_one(X, y, directions={"town": 1})


def test_judged_rows_keep_the_application_and_its_order(table):
    found = credit.judge(table, COLUMNS, 28, "fast", 1, candidates=credit.LIGHT)
    assert list(found.test.columns) == ["customer_id", "origin", "application_id", "outcome", *credit.LIGHT]
    assert found.test.customer_id.tolist() == table.customer_id.tolist() and found.pick == credit.SCORECARD
