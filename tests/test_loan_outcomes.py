"""How loans ended, counted by hand: days past due, default within the horizon, what was owed and what came of it."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from drawing import draw as drawing

from contracts.study import Study
from outcomes import delinquency, drawn, losses, repaid

STUDY = Study(date(2025, 7, 1), 180, origins=2, spacing_days=90)
ORIGIN = date(2024, 1, 10)
LOANS = ["application_id", "customer_id", "origin"]


def draw(text):
    """Instalments as text."""
    return drawing(text, due_at="timestamp", paid_at="timestamp")


def loans(*ids, origin=ORIGIN):
    rows = pd.DataFrame({"application_id": ids, "customer_id": [i + 100 for i in ids], "origin": origin})
    return ibis.memtable(rows, schema={"application_id": "int64", "customer_id": "int64", "origin": "date"})


INSTALMENTS = """
    application_id | due_at     | due_cents | paid_at    | paid_cents | known_at
    ---------------+------------+-----------+------------+------------+-----------------
                 1 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
                 1 | 2024-02-10 |     10000 | 2024-02-08 |      10000 | 2024-02-08 10:00
                 2 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
                 2 | 2024-02-10 |     10000 | 2024-05-09 |      10000 | 2024-05-09 10:00
                 3 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
                 3 | 2024-02-10 |     10000 | 2024-05-10 |      10000 | 2024-05-10 10:00
                 4 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
                 4 | 2024-02-10 |     10000 | 2024-02-20 |       4000 | 2024-02-20 10:00
                 5 | 2024-06-01 |     10000 |            |            | 2024-01-12 09:00
                 6 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
                 6 | 2024-02-10 |     10000 | 2024-02-10 |      10000 | 2024-09-01 10:00
                 7 | 2025-02-10 |     10000 |            |            | 2024-01-12 09:00
"""


def ended(instalments=INSTALMENTS, ids=range(1, 9), past_due=90, indeterminate=90, study=STUDY):
    found = repaid(loans(*ids), draw(instalments), study, past_due, indeterminate).execute()
    return found.set_index("application_id").sort_index()


def test_days_past_due_and_default_counted_by_hand():
    """Two days early; 89 and 90 days late; a part is not the whole; 37 days at the horizon's end of 8 July; paid in
    time, but told after the horizon; not due within it; without a plan."""
    found = ended()
    assert found.most_days_late.fillna(-1).tolist() == [0, 89, 90, 149, 37, 149, 0, -1]
    assert found.outcome.fillna(-1).tolist() == [0, 0, 1, 1, 0, 1, 0, -1]


def test_what_is_neither_good_nor_bad_has_no_outcome():
    found = ended(indeterminate=30)
    assert found.outcome.fillna(-1).tolist() == [0, -1, 1, 1, -1, 1, 0, -1]
    assert ended(past_due=30).outcome.fillna(-1).tolist() == [0, 1, 1, 1, 1, 1, 0, -1]


def test_what_was_known_after_the_horizon_or_as_of_changes_nothing():
    later = INSTALMENTS + "                 1 | 2024-03-10 |     10000 |            |            | 2024-07-08 00:00\n"
    pd.testing.assert_frame_equal(ended(later), ended())
    soon = Study(date(2024, 5, 10), 180, origins=1, spacing_days=90)
    assert ended(study=soon).loc[3, "most_days_late"] == 149


def test_a_panel_of_days_past_due_counted_by_hand():
    """Of loan 2: current after 30 days, 29 days behind after 60, 59 after 90, 89 after 120."""
    found = delinquency(loans(2, 7), draw(INSTALMENTS), date(2024, 6, 1), 6).execute()
    two, seven = (found[found.application_id == i].sort_values("month") for i in (2, 7))
    assert two.month.tolist() == [1, 2, 3, 4] and two.days_past_due.tolist() == [0, 29, 59, 89]
    assert seven.days_past_due.tolist() == [0, 0, 0, 0]
    assert delinquency(loans(2), draw(INSTALMENTS), date(2024, 5, 9), 6).execute().month.max() == 4


PLAN = """
    application_id | due_at     | due_cents | paid_at    | paid_cents | known_at
    ---------------+------------+-----------+------------+------------+-----------------
                 1 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
                 1 | 2024-02-10 |     10000 | 2024-02-20 |       2500 | 2024-02-20 09:00
                 1 | 2024-02-10 |     10000 | 2024-06-20 |      10000 | 2024-06-20 09:00
                 1 | 2025-05-10 |     20000 |            |            | 2024-01-12 09:00
                 1 | 2025-05-10 |     20000 | 2024-07-20 |       1500 | 2024-07-20 09:00
                 1 | 2025-05-10 |     20000 | 2024-12-20 |      20000 | 2024-12-20 09:00
                 2 | 2024-02-10 |     10000 |            |            | 2024-01-12 09:00
"""


def test_what_was_owed_and_what_came_counted_by_hand():
    """Default on 10 May 2024: 7,500 left of the first and, a year ahead at 10 %, 20,000 e^-.1 of the second; 7,500 and
    1,500 come within 90 days, the rest after. The second loan's workout is over as well: nothing came."""
    found = losses(loans(1, 2), draw(PLAN), date(2025, 7, 1), 90, 90, 0.1).execute().set_index("application_id")
    assert found.owed_cents.tolist() == [7_500 + round(20_000 * np.exp(-0.1)), 10_000]
    assert found.came_cents.tolist() == [9_000, 0]
    assert found.days_to_default.tolist() == [121, 121]
    worth = drawn(loans(1), draw(PLAN), date(2025, 7, 1), 0.1).execute().drawn_cents[0]
    assert worth == round(10_000 * np.exp(-0.1 * 31 / 365)) + round(20_000 * np.exp(-0.1 * 486 / 365))


def test_a_workout_that_is_not_over_is_left_out():
    assert len(losses(loans(1, 2), draw(PLAN), date(2024, 8, 7), 90, 90, 0.1).execute()) == 0
    assert len(losses(loans(1, 2), draw(PLAN), date(2024, 8, 8), 90, 90, 0.1).execute()) == 2


def test_days_of_training_end_a_horizon_before_the_test():
    """As of 1 July 2025, 180 days: tested on the 90 days up to 2 January 2025, learnt from those whose end was known
    on 5 October 2024."""
    assert STUDY.test_days == (date(2024, 10, 5), date(2025, 1, 2))
    assert STUDY.training_days == (date(2023, 10, 12), date(2024, 4, 8))
    assert STUDY.training_days[1] + STUDY.horizon == STUDY.test_days[0]


@pytest.mark.parametrize("shuffle", [1, 2])
def test_the_order_of_rows_changes_nothing(shuffle):
    rows = draw(INSTALMENTS).execute().sample(frac=1, random_state=shuffle)
    table = ibis.memtable(rows, schema=draw(INSTALMENTS).schema())
    found = repaid(loans(*range(1, 9)), table, STUDY, 90, 90).execute().set_index("application_id").sort_index()
    pd.testing.assert_frame_equal(found, ended())
