"""What happened after an origin, counted by hand; the training table; and the guard against columns that know it."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from drawing import draw

from contracts.coverage import refuse_uncovered
from contracts.errors import BrokenContract, Refused
from contracts.study import Study
from contracts.tables import check
from features.population import buyers
from features.subjects import frame
from outcomes import contract_ended, first_day, lapsed
from training_table import feature_columns, groups, plan, refuse_few, refuse_leaks, single_column_auc, training_table

# four weeks of silence, tested on 3 June, trained on 6 May and 8 April
STUDY = Study(date(2024, 7, 1), 28, origins=2, spacing_days=28)
TEST, LAST, FIRST = date(2024, 6, 3), date(2024, 5, 6), date(2024, 4, 8)


def orders_of(*rows) -> ibis.Table:
    """Orders from (customer, ordered_at, known_at or None for at once, amount_cents), each with a product."""
    lines = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "known_at", "amount_cents"])
    lines["known_at"] = pd.to_datetime(lines.known_at.where(lines.known_at.notna(), lines.ordered_at))
    lines["ordered_at"] = pd.to_datetime(lines.ordered_at)
    lines = lines.assign(
        order_id=range(len(lines)), product_id=1, quantity=1, discount_cents=0, channel="till", store_id=1
    )
    con = ibis.duckdb.connect()
    return con.create_table("orders", lines.astype({"ordered_at": "datetime64[us]", "known_at": "datetime64[us]"}))


def spine_at(orders, *origins):
    people = orders.select("customer_id").distinct()
    return people.cross_join(ibis.memtable({"origin": list(origins)}, schema={"origin": "date"}))


def happened(table) -> dict:
    rows = table.execute()
    days = pd.to_datetime(rows.origin).dt.date
    return dict(zip(zip(rows.customer_id, days, strict=True), rows.outcome, strict=True))


def test_who_lapsed_counted_by_hand():
    orders = orders_of(
        (1, "2024-06-03 00:00", None, 500),  # the first moment of the horizon
        (2, "2024-06-30 23:59", None, 500),  # its last
        (3, "2024-07-01 00:00", "2024-07-01 00:00", 500),  # too late
        (4, "2024-06-02 23:59", None, 500),  # before it
        (5, "2024-06-10 12:00", None, -500),  # a return is no purchase
        (6, "2024-06-10 12:00", None, 0),  # nothing to pay is
        (7, "2024-06-10 12:00", "2024-07-01 00:00", 500),  # in the horizon, but not known on as_of
    )
    found = happened(lapsed(spine_at(orders, TEST), orders, STUDY))
    assert {customer: outcome for (customer, _), outcome in found.items()} == {1: 0, 2: 0, 3: 1, 4: 1, 5: 1, 6: 0, 7: 1}


def test_each_origin_has_its_own_horizon():
    orders = orders_of((1, "2024-04-20 09:00", None, 1), (1, "2024-06-03 00:00", None, 1))
    assert happened(lapsed(spine_at(orders, FIRST, LAST, TEST), orders, STUDY)) == {
        (1, FIRST): 0,
        (1, LAST): 1,
        (1, TEST): 0,
    }


def test_whose_contract_ended_counted_by_hand():
    customers = draw("""
        customer_id | known_at         | end
        ------------+------------------+-----------
                  1 | 2024-01-01 00:00 | 2024-06-03
                  2 | 2024-01-01 00:00 | 2024-06-30
                  3 | 2024-01-01 00:00 | 2024-07-01
                  4 | 2024-01-01 00:00 |
                  5 | 2024-07-01 00:00 | 2024-06-10
                  6 | 2024-01-01 00:00 | 2024-06-10
                  6 | 2024-05-20 00:00 | 2025-06-10
                  7 | 2024-01-01 00:00 |
                  7 | 2024-06-05 00:00 | 2024-06-20
    """)
    found = happened(contract_ended(spine_at(customers, TEST), customers, "end", STUDY))
    # 5 was told too late; 6 was prolonged before its first end; 7 gave notice within the horizon
    assert {customer: out for (customer, _), out in found.items()} == {1: 1, 2: 1, 3: 0, 4: 0, 5: 0, 6: 0, 7: 1}


def test_a_contract_renewed_after_the_horizon_has_ended_in_it():
    customers = draw("""
        customer_id | known_at         | end
        ------------+------------------+-----------
                  1 | 2024-01-01 00:00 | 2024-04-20
                  1 | 2024-06-01 00:00 | 2025-06-10
    """)
    found = happened(contract_ended(spine_at(customers, FIRST, TEST), customers, "end", STUDY))
    assert found == {(1, FIRST): 1, (1, TEST): 0}


def test_the_population_are_those_who_bought_in_the_window_before():
    orders = orders_of(
        (1, "2024-06-02 23:00", None, 500),
        (2, "2024-05-04 00:00", None, 500),  # the 30th day before, the earliest that counts
        (3, "2024-05-03 23:59", None, 500),
        (4, "2024-06-03 00:00", None, 500),
        (5, "2024-05-20 10:00", "2024-06-03 00:00", 500),  # not known yet
        (6, "2024-05-20 10:00", None, -500),  # a return alone
    )
    assert sorted(buyers(orders, (TEST,), 30).execute().customer_id) == [1, 2]


def history():
    """300 customers who buy at their own rates for 240 days, some of whom stop."""
    draw_ = np.random.default_rng(3)
    rows = []
    for customer in range(1, 301):
        days = np.flatnonzero(draw_.random(int(draw_.integers(60, 240))) < draw_.gamma(2, 0.03))
        at = pd.Timestamp("2023-11-05 10:00") + pd.to_timedelta(days, "D")
        rows += [(customer, when, None, int(draw_.integers(100, 5000))) for when in at]
    return rows


ROWS = history()


@pytest.fixture(scope="module")
def table():
    return frame(training_table({"orders": orders_of(*ROWS)}, {}, STUDY, 60))


def test_the_training_table_has_a_row_a_pair_in_key_order(table):
    assert not table.duplicated(["customer_id", "origin"]).any()
    assert table[["origin", "customer_id"]].equals(
        table[["origin", "customer_id"]].sort_values(["origin", "customer_id"])
    )
    assert sorted(table.origin.unique()) == [FIRST, LAST, TEST]
    assert table.outcome.isin([0, 1]).all() and 0.1 < table.outcome.mean() < 0.9
    assert not {"customer_id", "origin", "outcome"} & set(feature_columns(table))


def test_no_outcome_that_is_learnt_from_reaches_into_the_test(table):
    """The embargo: an order on the test origin or later changes outcomes and features of no training row."""
    cut = [row for row in ROWS if pd.Timestamp(row[1]) < pd.Timestamp(TEST)]
    again = frame(training_table({"orders": orders_of(*cut)}, {}, STUDY, 60))
    pd.testing.assert_frame_equal(table[table.origin < TEST], again[again.origin < TEST])
    assert all(origin + STUDY.horizon <= TEST for origin in STUDY.training_origins)


def test_nothing_known_from_as_of_on_changes_the_training_table(table):
    late = [(c, "2024-06-10 09:00", "2024-07-01 00:00", 99) for c in range(1, 301)]
    later = [(c, "2024-07-02 09:00", None, 99) for c in range(1, 301)]
    again = frame(training_table({"orders": orders_of(*ROWS, *late, *later)}, {}, STUDY, 60))
    pd.testing.assert_frame_equal(table, again)


def test_an_order_dated_after_it_was_known_is_refused():
    """An event of the future that the source claims to have known before: what a wrong clock or a plan looks like."""
    with pytest.raises(BrokenContract, match="known_at"):
        check({"orders": orders_of(*ROWS[:5], (1, "2024-06-10 09:00", "2024-06-01 00:00", 99))})


@pytest.mark.parametrize(("last", "covered"), [("2024-06-24 00:00", True), ("2024-06-23 23:59", False)])
def test_orders_that_stop_long_before_as_of_are_refused(last, covered):
    """A quarter of 28 days may be silent."""
    orders = orders_of(
        (1, "2024-01-01 00:00", None, 1), (1, last, None, 1), (1, "2024-06-30 10:00", "2024-07-02 00:00", 1)
    )
    if covered:
        refuse_uncovered(orders, STUDY.as_of, STUDY.horizon_days)
        return
    with pytest.raises(Refused, match="must reach up to 2024-07-01, .*, but the last is of 2024-06-23"):
        refuse_uncovered(orders, STUDY.as_of, STUDY.horizon_days)


def test_a_source_without_an_order_by_then_is_refused():
    orders = orders_of((1, "2024-08-01 00:00", None, 1))
    with pytest.raises(Refused, match="but there are none"):
        plan({"orders": orders}, "2024-07-01", 28, 2, 28, 60)


def test_old_orders_that_reached_us_late_do_not_lengthen_the_history():
    orders = orders_of((1, "2024-05-01 00:00", None, 1), (1, "2020-01-01 00:00", "2024-07-01 00:00", 1))
    assert first_day(orders, STUDY) == date(2024, 5, 1)


def test_origins_before_the_history_are_left_out():
    study = Study(date(2024, 7, 1), 28, origins=9, spacing_days=28)
    assert study.seen_from(date(2024, 1, 15), 60).training_origins == (date(2024, 4, 8), date(2024, 5, 6))
    # the window of the earliest begins on the first day itself
    assert study.seen_from(date(2024, 2, 8), 60).training_origins == (date(2024, 4, 8), date(2024, 5, 6))
    assert study.seen_from(date(2024, 2, 9), 60).training_origins == (date(2024, 5, 6),)
    with pytest.raises(Refused, match="the data begin on 2024-03-08. Choose an as_of of 2024-07-02 or later"):
        study.seen_from(date(2024, 3, 8), 60)


def test_a_flat_source_gives_each_subject_with_an_outcome_once():
    given = draw("""
        customer_id | age | outcome
        ------------+-----+--------
                  1 |  20 | 1
                  2 |  30 |
                  3 |  40 | 0
    """)
    found = frame(training_table({"given": given}, {"age": "number"}, STUDY, 60))
    assert found[["customer_id", "age", "outcome"]].to_numpy().tolist() == [[1, 20, 1], [3, 40, 0]]


def leaky(**columns):
    draw_ = np.random.default_rng(5)
    outcome = (draw_.random(400) < 0.3).astype(int)
    rows = {"customer_id": range(400), "origin": TEST, "outcome": outcome, "noise": draw_.normal(size=400)}
    return pd.DataFrame(rows).assign(**{name: make(outcome, draw_) for name, make in columns.items()})


PLANTED = {
    "copy": lambda y, draw_: y.astype(float),
    "opposite": lambda y, draw_: 1.0 - y,
    "words": lambda y, draw_: np.where(y == 1, "left", "stayed"),
    "only_if_left": lambda y, draw_: np.where(y == 1, 7.0, np.nan),
    "number": lambda y, draw_: np.argsort(np.argsort(y, kind="stable")).astype(float),
    "duration": lambda y, draw_: y * 3.0 + draw_.normal(size=len(y)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_refused_by_name(name):
    rows = leaky(**{name: PLANTED[name]})
    with pytest.raises(
        Refused, match=rf"but 1 of 2 do: {name} \((1\.000|0\.9\d\d)\).*allow it with -p allowed_columns={name}"
    ):
        refuse_leaks(rows, 0.95, [""])
    refuse_leaks(rows, 0.95, [name])


def test_honest_columns_are_not_refused(table):
    refuse_leaks(table, 0.95, [""])
    alone = single_column_auc(table)
    assert (
        0.55 < alone.max() < 0.95
        and alone.index.tolist() == alone.sort_values(ascending=False, kind="stable").index.tolist()
    )


def test_a_category_of_few_customers_a_level_is_not_learnt_from():
    """400 customers: 12 levels of 33 customers may be learnt from, 13 may not; nor may a name for each."""
    words = {
        "customer": lambda y, draw_: np.array([f"customer {k}" for k in range(len(y))]),
        "dozen": lambda y, draw_: np.array([f"level {k % 12}" for k in range(len(y))]),
        "thirteen": lambda y, draw_: np.array([f"level {k % 13}" for k in range(len(y))]),
    }
    assert feature_columns(leaky(**words)) == ["noise", "dozen"]


def test_a_category_whose_rates_are_chance_proves_nothing():
    rows = leaky(level=lambda y, draw_: np.array([f"level {k % 12}" for k in range(len(y))]))
    assert single_column_auc(rows)["level"] == pytest.approx(0.5, abs=0.05)


def test_the_auc_of_a_column_by_hand():
    rows = pd.DataFrame(
        {"customer_id": [1, 2, 3, 4], "origin": TEST, "outcome": [0, 0, 1, 1], "x": [1.0, 3.0, 2.0, 4.0]}
    )
    assert single_column_auc(rows)["x"] == 0.75  # of four pairs, three are in order
    assert single_column_auc(rows.assign(x=-rows.x))["x"] == 0.75


def test_a_late_order_counts_at_no_origin_so_that_all_are_alike():
    """Placed within the horizon, known six days after it was over: the latest origin could not have known it."""
    late = orders_of((1, "2024-04-20 09:00", None, 1), (1, "2024-05-30 09:00", "2024-06-05 09:00", 1))
    assert happened(lapsed(spine_at(late, LAST), late, STUDY)) == {(1, LAST): 1}


def test_too_few_of_a_class_are_refused():
    rows = pd.DataFrame({"customer_id": range(40), "outcome": [1] * 19 + [0] * 21})
    with pytest.raises(Refused, match="At least 20 customers must have churned, but 19 of 40 have"):
        refuse_few(rows)
    refuse_few(rows.assign(outcome=[1] * 20 + [0] * 20))


def test_groups_are_counted_where_they_are_judged():
    """Twenty of A at the latest origin, nineteen of B, and thirty of B before: B is too few to be shown."""
    towns = ["A"] * 20 + ["B"] * 19 + [None] * 21 + ["B"] * 30
    table = pd.DataFrame(
        {
            "customer_id": [*range(60), *range(30)],
            "origin": [LAST] * 60 + [FIRST] * 30,
            "town": towns,
            "age": [float(k) for k in range(90)],
            "outcome": 0,
        }
    )
    found = groups(table, ["town", " age", ""])
    assert found.slice_town.value_counts().to_dict() == {"others": 49, "not told": 21, "A": 20}
    assert found.slice_age.value_counts().to_dict() == {"lowest third": 30, "middle third": 30, "others": 30}
    with pytest.raises(Refused, match="must be a column of the training table, but outcome, tow is not"):
        groups(table, ["outcome", "tow"])
