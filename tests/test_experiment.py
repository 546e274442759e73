"""What followed a contact, counted by hand; and contacts without a control group, refused by name."""

from datetime import date

import homes
import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import Refused
from contracts.experiment import refuse_uncontrolled
from outcomes import after_contacts
from pipelines.parameters import complete
from pipelines.run_notebook import run_notebook

AS_OF, MORNING = date(2024, 7, 1), "2024-06-03 09:00"


def contacts_of(*rows) -> ibis.Table:
    """Contacts from (contact, customer, contacted_at, arm, propensity)."""
    frame = pd.DataFrame(rows, columns=["contact_id", "customer_id", "contacted_at", "arm", "propensity"])
    frame = frame.assign(contacted_at=pd.to_datetime(frame.contacted_at).astype("datetime64[us]"))
    return ibis.memtable(frame.astype({"propensity": float}))


def orders_of(*rows) -> ibis.Table:
    """Order lines from (customer, ordered_at, known_at or None for at once, amount_cents, discount_cents)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "known_at", "amount_cents", "discount_cents"])
    frame["known_at"] = frame.known_at.where(frame.known_at.notna(), frame.ordered_at)
    for name in ("ordered_at", "known_at"):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    return ibis.memtable(frame.astype({"discount_cents": "Int64"}))


def test_what_followed_counted_by_hand():
    contacts = contacts_of(
        (1, 1, MORNING, "mail", 0.5),  # two baskets inside, one of two lines
        (2, 2, MORNING, "control", 0.5),  # the first moment of the window
        (3, 3, MORNING, "mail", 0.5),  # just before it, and just after it
        (4, 4, MORNING, "mail", 0.5),  # a return, and an order that became known too late
        (5, 1, "2024-06-20 09:00", "mail", 0.5),  # its window is not over
        (6, 5, "2024-06-17 00:00", "mail", 0.5),  # its window is over at the first moment of as_of
    )
    orders = orders_of(
        (1, "2024-06-03 10:00", None, 500, 50),
        (1, "2024-06-03 10:00", None, 200, None),
        (1, "2024-06-17 08:59", None, 100, 0),
        (2, MORNING, None, 300, 0),
        (3, "2024-06-03 08:59", None, 300, 0),
        (3, "2024-06-17 09:00", None, 300, 0),
        (4, "2024-06-04 09:00", None, -300, 0),
        (4, "2024-06-16 09:00", "2024-06-17 09:00", 300, 0),
        (5, "2024-06-30 23:59", None, 700, 70),
    )
    found = after_contacts(contacts, orders, 14, AS_OF).order_by("contact_id").to_pandas()
    rows = {k: (b, s, v) for k, b, s, v in found.astype(int).itertuples(index=False)}
    assert rows == {1: (1, 800, 850), 2: (1, 300, 300), 3: (0, 0, 0), 4: (0, 0, 0), 6: (1, 700, 770)}


order = st.tuples(
    st.integers(1, 3), st.integers(0, 40), st.integers(0, 20), st.integers(-100, 1_000)
)  # customer, day of June, days until it was known, cents


@settings(deadline=None, max_examples=25)
@given(st.lists(order, min_size=1, max_size=15))
def test_what_became_known_on_as_of_or_later_changes_nothing(drawn):
    contacts = contacts_of(*((k, k, MORNING, "mail", 0.5) for k in (1, 2, 3)))
    start = pd.Timestamp("2024-06-01 12:00")
    rows = [
        (c, start + pd.Timedelta(days=d), start + pd.Timedelta(days=d + late), cents, 0) for c, d, late, cents in drawn
    ]
    none = (9, start, None, 1, 0)
    kept = [row for row in rows if row[2] < pd.Timestamp(AS_OF)]
    one, other = (
        after_contacts(contacts, orders_of(none, *of), 14, AS_OF).order_by("contact_id").to_pandas()
        for of in (rows, kept)
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_control_group_with_propensities_is_no_reason_to_refuse():
    refuse_uncontrolled(contacts_of((1, 1, MORNING, "mail", 0.5), (2, 2, MORNING, "control", 0.5)), "shop")


@pytest.mark.parametrize(
    ("contacts", "said"),
    [
        (contacts_of((1, 1, MORNING, "mail", 0.5), (2, 2, MORNING, "call", 0.5)), "none of 2 contacts has the arm"),
        (contacts_of((1, 1, MORNING, "mail", np.nan), (2, 2, MORNING, "control", 0.5)), "1 of 2 do not say"),
        (contacts_of((1, 1, MORNING, "control", 0.5)).drop("propensity"), "1 of 1 do not say"),
    ],
)
def test_without_a_control_group_or_propensities_no_effect_is_told(contacts, said):
    with pytest.raises(Refused) as refused:
        refuse_uncontrolled(contacts, "shop")
    assert said in str(refused.value) and str(refused.value).startswith("shop: ")


@pytest.mark.slow
def test_the_notebook_refuses_campaigns_that_were_targeted(tmp_path):
    """The Complete Journey's households were chosen; nobody was drawn into a control group."""
    notebook = homes.HOUSE / "notebooks" / "24_campaign_effect.ipynb"
    asked = complete(notebook, {"source": "complete_journey", "as_of": "2018-01-02"})
    with pytest.raises(Refused, match="none of 6,[0-9]+ contacts has the arm `control`"):
        run_notebook(notebook, tmp_path / "executed.ipynb", asked, lambda _: None)
