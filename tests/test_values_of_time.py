"""What customers spend after an origin, and which snapshots are closed: counted by hand."""

from datetime import date, timedelta

import pytest
from test_outcomes import STUDY, TEST, happened, orders_of, spine_at

from contracts.errors import Refused
from contracts.study import Study
from features.subjects import frame
from outcomes import spend
from training_table import plan_of_values, value_table


def test_what_is_spent_counted_by_hand():
    orders = orders_of(
        (1, "2024-06-03 00:00", None, 500),  # the first moment of the horizon
        (1, "2024-06-30 23:59", None, 25),  # its last
        (1, "2024-07-01 00:00", None, 9),  # too late
        (2, "2024-06-02 23:59", None, 500),  # before it
        (3, "2024-06-10 12:00", None, -500),  # a return takes nothing off
        (3, "2024-06-11 12:00", None, 300),
        (4, "2024-06-10 12:00", "2024-07-01 00:00", 500),  # in the horizon, but not known at its end
    )
    found = happened(spend(spine_at(orders, TEST), orders, STUDY))
    assert {customer: cents for (customer, _), cents in found.items()} == {1: 525, 2: 0, 3: 300, 4: 0}


def test_snapshots_are_closed_and_as_long_as_the_data_allow():
    year = Study(date(2018, 1, 1), 91, 6, 91)
    found = Study(year.test_origin, 91, 6, 91).halved(date(2017, 1, 1), 84)
    assert found.horizon_days == 91 and found.spacing_days == 31
    assert found.closed_origins == tuple(date(2017, 7, 3) - timedelta(days=31 * k) for k in (3, 2, 1, 0))
    short = Study(date(1997, 10, 1), 273, 6, 273).halved(date(1997, 1, 1), 84)  # half of 273 days of data
    assert short.horizon_days == 136 and short.closed_origins == (date(1997, 4, 2), date(1997, 5, 18))
    with pytest.raises(Refused, match="needs 84 days of history before it"):
        Study(date(2017, 4, 1), 91, 6, 91).halved(date(2017, 1, 1), 84)


def history(extra=()):
    days = [f"2024-{month:02}-{day:02} 10:00" for month in range(1, 8) for day in (1, 11, 21)]
    return orders_of(*[(customer, d, None, 100) for customer in (1, 2, 3) for d in days[customer:]], *extra)


def test_the_value_table_has_a_row_a_customer_at_each_closed_origin():
    orders = history()
    test, before, now = plan_of_values({"orders": orders}, "2024-07-24", 28, 3, 30)
    assert test.test_origin == date(2024, 6, 26) and before.as_of == test.test_origin and now.as_of == test.as_of
    assert max(before.closed_origins) + before.horizon <= test.test_origin
    table = frame(value_table({"orders": orders}, {}, before, before.closed_origins, 365))
    assert len(table) == 3 * len(before.closed_origins) and (table.outcome == 300).all()
    assert {"x", "t_x", "tenure_days", "spend_cents_365"} <= {*table.columns}


def test_nothing_known_from_the_end_of_a_horizon_on_changes_a_value():
    later = [(1, "2024-06-30 10:00", None, 777), (9, "2024-01-02 10:00", "2024-06-27 00:00", 777)]
    tables = []
    for orders in (history(), history(later)):
        _, before, _ = plan_of_values({"orders": orders}, "2024-07-24", 28, 3, 30)
        tables.append(frame(value_table({"orders": orders}, {}, before, before.closed_origins, 365)))
    assert tables[0].equals(tables[1])


def test_a_source_without_orders_has_no_values():
    with pytest.raises(Refused, match="learnt from orders"):
        plan_of_values({"customers": None}, "2024-07-24", 28, 3, 30)
