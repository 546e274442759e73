"""A scorecard: the table is the model; points, probability and SQL agree on every value that there is."""

import json
import math
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from models import points_sql, scorecard
from models.binning import Wish
from models.encoding import Encoder
from models.partition import FALLING, RISING
from models.points import BrokenTable, PointsTable, Scale
from models.scorecard import Scorecard

# --- random tables of points, and every value that could be read wrongly ---

edges = st.floats(-1e12, 1e12) | st.integers(-1000, 1000).map(float) | st.decimals(-99, 99, places=2).map(float)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
points = st.integers(-300, 300)


@st.composite
def numbers(draw):
    """Rows of the table for a number, without its name."""
    cuts = sorted(draw(st.sets(edges.map(lambda x: x + 0.0), max_size=5)))
    specials = draw(st.sets(edges.map(lambda x: x + 0.0), max_size=2))
    ends = [math.nan, *cuts, math.nan]
    rows = [("range", low, high, None) for low, high in zip(ends[:-1], ends[1:], strict=True)]
    return [*rows, *(("special", value, value, None) for value in specials), ("missing", math.nan, math.nan, None)]


@st.composite
def categories(draw):
    """The same for a category."""
    levels = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    groups = [levels[k::3] for k in range(min(3, len(levels)))]
    rows = [("levels", math.nan, math.nan, json.dumps(group)) for group in groups]
    return [*rows, ("missing", math.nan, math.nan, None), ("unseen", math.nan, math.nan, None)]


@st.composite
def tables(draw):
    """A table of points in its written form, and a scale."""
    rows = [("", "base", math.nan, math.nan, None)]
    for number, column in enumerate(draw(st.lists(numbers() | categories(), min_size=1, max_size=4))):
        rows += [(f"c {number}'s", *row) for row in column]
    table = pd.DataFrame(rows, columns=["column", "kind", "low", "high", "levels"]).assign(rows=3, outcomes=1)
    table["points"] = draw(st.lists(points, min_size=len(rows), max_size=len(rows)))
    return table, Scale(draw(st.floats(10, 100)), draw(st.floats(200, 800)), draw(st.floats(1, 50)))


CONTROL = [
    ("", "base", None), ("town", "levels", '["\\r", "a\\r\\nb"]'), ("town", "levels", '["\\u2028", "\\u0085"]'),
    ("town", "missing", None), ("town", "unseen", None),
]  # fmt: skip


def values_of(rows: pd.DataFrame) -> list:
    """Each edge of a column with its two neighbours, each special value and level, missing and never seen."""
    if (rows.kind == "levels").any():
        return [level for text in rows.levels.dropna() for level in json.loads(text)] + ["never seen!", None]
    ends = {*rows.low.dropna(), *rows.high.dropna()}
    return [x for e in ends for x in (e, np.nextafter(e, -np.inf), np.nextafter(e, np.inf))] + [0.0, -1e300, math.nan]


def read_off(rows: list, value) -> int:
    """The points of one value as a person finds them: the row that fits."""
    kinds = {row.kind: row.points for row in rows}
    if value is None or value != value:
        return kinds["missing"]
    for row in rows:
        if row.kind == "special" and row.low == value:
            return row.points
    for row in rows:
        if row.kind == "levels" and value in json.loads(row.levels):
            return row.points
        if row.kind == "range" and not value <= row.low and not value > row.high:
            return row.points
    return kinds["unseen"]


def every_value(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows in which each column has each of its values at least once, and their scores by hand."""
    by_column = {name: rows for name, rows in table.groupby("column") if name}
    values = {name: values_of(rows) for name, rows in by_column.items()}
    longest = max(map(len, values.values()))
    cells = {name: [found[k % len(found)] for k in range(longest)] for name, found in values.items()}
    frame = pd.DataFrame(
        {n: pd.Series(c, dtype="str" if isinstance(c[0], str) else "float64") for n, c in cells.items()}
    )
    rows = {name: list(found.itertuples()) for name, found in by_column.items()}
    each = [[read_off(rows[name], value) for value in found] for name, found in cells.items()]
    return frame, table.points[table.kind == "base"].sum() + np.sum(each, axis=0)


def in_duckdb(sql: str, frame: pd.DataFrame) -> np.ndarray:
    duckdb.register("applications", frame)
    return np.array(duckdb.sql(sql).fetchall())


def in_sqlite(sql: str, frame: pd.DataFrame) -> np.ndarray:
    with sqlite3.connect(":memory:") as db:
        db.create_function("exp", 1, math.exp)  # SQLite can be built without it
        frame.to_sql("applications", db, index=False)
        return np.array(db.execute(sql).fetchall())


@settings(deadline=None, max_examples=200)
@given(tables())
@example(
    (
        pd.DataFrame(CONTROL, columns=["column", "kind", "levels"]).assign(
            low=math.nan, high=math.nan, rows=3, outcomes=1, points=range(5)
        ),
        Scale(),
    )
)
def test_points_probability_and_sql_agree_everywhere(drawn):
    table, scale = drawn
    card = PointsTable.from_frame(table, 1 / 3, scale)
    assert PointsTable.from_frame(card.to_frame(), 1 / 3, scale) == card
    with tempfile.TemporaryDirectory() as folder:  # saved and loaded
        Scorecard(card, card.encoder, ()).save(Path(folder))
        assert scorecard.load(Path(folder)) == Scorecard(card, card.encoder, ())
    frame, by_hand = every_value(table)
    assert card.score(frame).tolist() == by_hand.tolist()
    np.testing.assert_allclose(card.predict(frame), expit((scale.offset - by_hand) / scale.factor), rtol=1e-12)
    for dialect, run in (("duckdb", in_duckdb), ("sqlite", in_sqlite)):
        found = run(points_sql.sql(card, "applications", dialect=dialect), frame)
        assert found[:, 0].tolist() == by_hand.tolist(), dialect
        np.testing.assert_allclose(found[:, 1], card.predict(frame), rtol=1e-12)
    # Spark's text says the same: read back by its own grammar and said in DuckDB's
    spark = points_sql.sql(card, "applications", dialect="spark")
    again = in_duckdb(sqlglot.transpile(spark, read="spark", write="duckdb")[0], frame)
    assert again[:, 0].tolist() == by_hand.tolist()


def test_the_scale_as_in_siddiqi():
    """600 points at odds of 30 to 1, 20 to double: factor 28.8539, offset 501.8622 (his chapter 10)."""
    scale = Scale(20, 600, 30)
    assert (scale.factor, scale.offset) == pytest.approx((28.8539, 501.8622), abs=1e-4)
    assert expit(scale.logit(np.array([600, 620, 580]))) == pytest.approx([1 / 31, 1 / 61, 1 / 16])
    assert scale.points(scale.logit(np.array([417.0]))) == pytest.approx(417)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="points"), "must have the columns"),
        (lambda t: t.assign(points=t.points + 0.5), "must have whole points"),
        (lambda t: t[t.kind != "base"], "one row of kind base"),
        (lambda t: t[t.kind != "missing"], "column income, must have one row of kind missing"),
        (lambda t: t[t.kind != "unseen"], "column town, must have one row of kind unseen"),
        (lambda t: t.replace({"low": {10.0: 11.0}}), "column income, must have ranges"),
        (lambda t: t.assign(low=t.low.fillna(-5).where(t.kind == "range")), "column income, must have ranges"),
        (lambda t: t.assign(levels=t.levels.where(t.kind != "levels", '["a"]')), "each level in one row only"),
        (lambda t: t.replace({"kind": {"special": "odd"}}), "has rows of kind odd"),
        (lambda t: pd.concat([t, t[t.kind == "special"]]), "one row for each special value"),
    ],
)
def test_a_table_that_leaves_a_value_without_one_bin_is_refused(change, words):
    rows = [
        ("", "base", None, None, None),
        ("income", "range", None, 10.0, None),
        ("income", "range", 10.0, None, None),
        ("income", "special", -1.0, -1.0, None),
        ("income", "missing", None, None, None),
        ("town", "levels", None, None, '["a"]'),
        ("town", "levels", None, None, '["b", "c"]'),
        ("town", "missing", None, None, None),
        ("town", "unseen", None, None, None),
    ]
    table = pd.DataFrame(rows, columns=["column", "kind", "low", "high", "levels"])
    table = table.assign(rows=1, outcomes=0, points=range(9)).astype({"low": float, "high": float})
    PointsTable.from_frame(table, 0.1, Scale())
    with pytest.raises(BrokenTable, match=words):
        PointsTable.from_frame(change(table), 0.1, Scale())


def test_another_dialect_is_refused():
    card = PointsTable(Encoder((), {}), (), (), 500, 0.1, Scale())
    with pytest.raises(ValueError, match="'oracle'"):
        points_sql.sql(card, "t", dialect="oracle")
    assert card.score(pd.DataFrame(index=range(3))).tolist() == [500] * 3


# --- fitted ---


def applications(rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A form, whether the loan went bad, and the true probability; -999 and missing incomes mean something."""
    draw = np.random.default_rng(seed)
    X = pd.DataFrame({"income": draw.gamma(4, 10, rows).round(1), "age": draw.integers(18, 75, rows).astype(float)})
    X["town"] = draw.choice(["north", "east", 'it\'s "west"', None], rows)
    X["noise"] = draw.normal(size=rows)
    eta = 1.5 - 0.06 * X.income - 0.02 * X.age + 0.7 * (X.town == "north")
    hidden = draw.random(rows)
    eta = eta.where(hidden > 0.1, 0.5).where(hidden > 0.05, -1.5)
    X["income"] = X.income.where(hidden > 0.1, -999.0).where(hidden > 0.05)
    p = expit(eta.to_numpy())
    return X, (draw.random(rows) < p).astype(float), p


WISHES = {"income": Wish(FALLING, (-999.0,)), "age": Wish(FALLING)}


@pytest.fixture(scope="module")
def fitted():
    X, y, _ = applications(3000)
    return scorecard.fit(X, y, wishes=WISHES), X, y


def test_it_finds_the_truth_and_its_interval_holds_it(fitted):
    X, _, p = applications(3000, seed=1)
    found, (low, high) = fitted[0].predict(X), fitted[0].interval(X, 0.9)
    assert np.abs(found - p).mean() < 0.04
    assert ((low < found) & (found < high)).all() and 0.75 < ((low < p) & (p < high)).mean() < 1


def test_points_fall_where_a_rising_risk_is_declared(fitted):
    table = fitted[0].table.to_frame()
    for name in ("income", "age"):
        assert table[(table.column == name) & (table.kind == "range")].points.is_monotonic_increasing
    income = table[table.column == "income"].set_index("kind").points
    assert income["special"] != income["missing"] != 0


def test_points_and_contributions_add_up(fitted):
    card, X, _ = fitted
    each = card.table.each(X)
    assert (card.table.base + each.sum(axis=1) == card.score(X)).all()
    np.testing.assert_allclose(card.base + card.contributions(X).sum(axis=1), card.logit(X))
    assert set(each.columns) <= set(X.columns) and "noise" in X


def test_saved_and_loaded_it_is_the_same_and_an_edit_counts(fitted, tmp_path):
    card, X, _ = fitted
    card.save(tmp_path / "first")
    again = scorecard.load(tmp_path / "first")
    again.save(tmp_path / "second")
    for name in (scorecard.TABLE, scorecard.CONTENT):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert (again.score(X) == card.score(X)).all() and again.table.to_frame().equals(card.table.to_frame())
    np.testing.assert_array_equal(again.interval(X, 0.9), card.interval(X, 0.9))
    text = (tmp_path / "first" / scorecard.TABLE).read_text().splitlines()
    at = next(k for k, line in enumerate(text) if line.startswith("income,missing"))
    text[at] = text[at].rsplit(",", 1)[0] + ",-77"
    (tmp_path / "first" / scorecard.TABLE).write_text("\n".join(text) + "\n")
    edited = scorecard.load(tmp_path / "first")
    missing, old = X.income.isna(), card.table.each(X).income
    assert ((edited.score(X) - card.score(X))[missing] == -77 - old[missing]).all()
    assert (edited.score(X) == card.score(X))[~missing].all()


def test_the_fitted_table_is_scored_alike_by_databases(fitted):
    card, X, _ = fitted
    frame = X.assign(id=range(len(X)), town=X.town.astype("str"))
    for dialect, run in (("duckdb", in_duckdb), ("sqlite", in_sqlite)):
        found = run(points_sql.sql(card.table, "applications", ["id"], dialect), frame)
        found = found[found[:, 0].argsort()]
        assert found[:, 1].tolist() == card.score(X).tolist()
        np.testing.assert_allclose(found[:, 2], card.predict(X), rtol=1e-12)


def test_the_order_of_rows_changes_no_byte(fitted):
    card, X, y = fitted
    mixed = np.random.default_rng(4).permutation(len(y))
    other = scorecard.fit(X.iloc[mixed], y[mixed], wishes=WISHES)
    assert replace(other, out_of_fold=None) == replace(card, out_of_fold=None)
    np.testing.assert_array_equal(other.out_of_fold, card.out_of_fold[mixed])


def test_unseen_levels_are_counted_and_have_their_points(fitted):
    card, X, _ = fitted
    new = X.head(2).assign(town=["never", "north"])
    assert card.unseen(new) == {"town": 1}
    table = card.table.to_frame()
    assert card.table.each(new).town[0] == table[(table.column == "town") & (table.kind == "unseen")].points.item()


def test_a_declared_rise_against_the_data_has_no_points():
    X, y, _ = applications(2000)
    card = scorecard.fit(X, y, wishes={"age": Wish(RISING)})
    assert "age" not in card.table.encoder.columns
