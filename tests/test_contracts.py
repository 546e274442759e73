"""Promises of raw tables: each is broken once, on purpose, and the message is what a person can act on."""

from collections import Counter
from datetime import datetime, timedelta

import ibis
import pytest
from drawing import draw, table  # noqa: F401  (the fixture)
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import places
from contracts.errors import Breach, BrokenContract, Refused
from contracts.tables import CONTRACTS, check

ORDERS = """
    order_id | customer_id | ordered_at       | product_id | quantity | amount_cents | discount_cents | known_at
    ---------+-------------+------------------+------------+----------+--------------+----------------+------------------
           1 |           7 | 2024-01-01 09:00 |         11 |        1 |          250 |              0 | 2024-01-01 09:00
           1 |           7 | 2024-01-01 09:00 |         12 |        2 |          500 |             50 | 2024-01-01 09:00
           2 |           8 | 2024-01-02 10:00 |         11 |        1 |         -250 |              0 | 2024-01-03 00:00
"""
CUSTOMERS = """
    customer_id | first_seen_at    | town   | known_at
    ------------+------------------+--------+-----------------
              7 | 2024-01-01 09:00 | Cork   | 2024-01-01 09:00
              8 | 2024-01-02 10:00 |        | 2024-01-02 10:00
"""
CAMPAIGNS = """
    campaign_id | kind  | starts_at        | ends_at          | known_at
    ------------+-------+------------------+------------------+-----------------
              1 | spring| 2024-01-01 00:00 | 2024-01-31 00:00 | 2023-12-01 00:00
"""
CONTACTS = """
    contact_id | customer_id | campaign_id | contacted_at     | arm     | propensity | cost_cents | known_at
    -----------+-------------+-------------+------------------+---------+------------+------------+-----------------
             1 |           7 |           1 | 2024-01-01 00:00 | offer   |        0.5 |         80 | 2024-01-01 00:00
             2 |           8 |           1 | 2024-01-01 00:00 | control |        0.5 |          0 | 2024-01-01 00:00
"""
GIVEN = """
    customer_id | town | income | outcome
    ------------+------+--------+--------
              1 | Cork |   10.5 |       1
              2 |      |    9.0 |       0
              3 | Bath |        |
"""
INSTALMENTS = """
    application_id | due_at           | due_cents | paid_at          | paid_cents | known_at
    ---------------+------------------+-----------+------------------+------------+-----------------
                 1 | 2024-02-01 00:00 |      5000 |                  |            | 2024-01-01 00:00
                 1 | 2024-02-01 00:00 |      5000 | 2024-02-03 00:00 |       5000 | 2024-02-04 00:00
"""
CASES = """
    case_id | customer_id | opened_at        | kind     | closed_at        | known_at
    --------+-------------+------------------+----------+------------------+-----------------
          1 |           7 | 2024-01-02 10:00 | delivery |                  | 2024-01-02 10:00
          1 |           7 | 2024-01-02 10:00 | delivery | 2024-01-05 10:00 | 2024-01-06 10:00
"""
SURVEYS = """
    customer_id | answered_at      | score | kind     | known_at
    ------------+------------------+-------+----------+-----------------
              7 | 2024-01-02 10:00 |   9.5 | purchase | 2024-01-02 10:00
              8 | 2024-01-03 10:00 |   0.0 | purchase | 2024-01-03 10:00
"""
VISITS = """
    visit_id | customer_id | visited_at       | channel | step     | known_at
    ---------+-------------+------------------+---------+----------+-----------------
           1 |           7 | 2024-01-02 10:00 | web     | home     | 2024-01-02 10:00
           2 |           7 | 2024-01-02 11:00 | web     | checkout | 2024-01-02 11:00
"""
HEARD = {"instalments": INSTALMENTS, "cases": CASES, "surveys": SURVEYS, "visits": VISITS}


def orders(text: str = ORDERS):
    return draw(text).mutate(channel=ibis.literal("till"), store_id=ibis.literal(1))


def contacts(text: str = CONTACTS):
    return draw(text).mutate(channel=ibis.literal("mail"))


def broken(tables, attributes=None) -> list[Breach]:
    with pytest.raises(BrokenContract) as raised:
        check(tables, attributes or {})
    assert str(raised.value).splitlines() == [str(breach) for breach in raised.value.breaches]
    return raised.value.breaches


def only(tables, attributes=None) -> Breach:
    breaches = broken(tables, attributes)
    assert len(breaches) == 1, "\n".join(map(str, breaches))
    return breaches[0]


def test_sound_tables_pass():
    tables = {
        "orders": orders(),
        "customers": draw(CUSTOMERS),
        "campaigns": draw(CAMPAIGNS),
        "contacts": contacts(),
    }
    assert check(tables, {"town": "category"}) is None
    assert check({"given": draw(GIVEN)}, {"town": "category", "income": "number"}) is None


def test_a_late_event_is_said_in_full():
    late = orders(ORDERS.replace("50 | 2024-01-01 09:00", "50 | 2023-12-31 00:00"))
    assert str(only({"orders": late})) == (
        "orders: known_at must not precede ordered_at, but it does in 1 of 3 rows, first for customer 7 (known "
        "2023-12-31 00:00, happened 2024-01-01 09:00). "
        "Ask the source for its delivery time; do not fill known_at from ordered_at."
    )


def test_all_broken_rules_of_all_tables_come_at_once():
    text = ORDERS.replace("12 |        2", "11 |       -2").replace("2 |           8", "2 |           9")
    tables = {
        "orders": orders(text).drop("store_id", "channel"),
        "customers": draw(CUSTOMERS),
        "campaigns": draw(CAMPAIGNS.replace("2024-01-31", "2023-01-31")),
    }
    assert [(b.table, b.column, b.bad) for b in broken(tables)] == [
        ("orders", "channel, store_id", 0),
        ("orders", "quantity", 1),
        ("orders", "order_id and product_id", 2),
        ("orders", "customer_id", 1),
        ("campaigns", "ends_at", 1),
    ]


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("customer_id", None, "customer_id must not be empty, but is in 3 of 3 rows, first for order 1 (product 11)"),
        ("customer_id", " ", "customer_id must not be empty, but is in 3 of 3 rows, first for order 1 (product 11)"),
        (
            "order_id",
            "a ",
            (
                "order_id must not begin or end with a blank, but does in 3 of 3 rows, "
                "first for customer 7 (order_id 'a ')"
            ),
        ),
        ("ordered_at", "2024-01-01", "ordered_at must be a time in UTC without a zone (timestamp), but is string"),
        ("amount_cents", 2.5, "amount_cents must be a whole number, but is float64"),
        (
            "quantity",
            float("inf"),
            "quantity must be finite, but is not in 3 of 3 rows, first for customer 7 (quantity inf)",
        ),
        (
            "quantity",
            float("nan"),
            "quantity must be finite, but is not in 3 of 3 rows, first for customer 7 (quantity nan)",
        ),
        (
            "discount_cents",
            -1,
            (
                "discount_cents must not be negative in a sale, but is in 2 of 3 rows, "
                "first for customer 7 (order 1, discount_cents -1, amount_cents 250)"
            ),
        ),
    ],
)
def test_what_an_order_may_not_be(column, cell, says):
    kind = "string" if cell is None else None
    spoilt = orders().mutate(**{column: ibis.literal(cell, type=kind)})
    assert any(f"orders: {says}. " in str(breach) for breach in broken({"orders": spoilt}))


@pytest.mark.parametrize("share", [1.0, -0.1, 15.0])
def test_a_discount_is_a_share_of_the_price(share):
    (breach,) = broken({"contacts": contacts().mutate(discount=ibis.literal(share)), "campaigns": draw(CAMPAIGNS)})
    said = "contacts: discount must lie between 0 and 1, 1 excluded, but does not in 2 of 2 rows, first for customer 7 "
    assert f"{said}(contact 1, discount {share})" in str(breach)


@pytest.mark.parametrize(
    ("name", "drawing", "was", "becomes", "says"),
    [
        (
            "contacts",
            CONTACTS,
            "0.5 |         80",
            "1.0 |         80",
            (
                "propensity must lie between 0 and 1, both excluded, "
                "but does not in 1 of 2 rows, first for customer 7 (contact 1, propensity 1.0)"
            ),
        ),
        (
            "contacts",
            CONTACTS,
            "2 |           8",
            "1 |           8",
            ("contact_id must name one contact, but does not in 2 of 2 rows, first for contact 1 (rows 2)"),
        ),
        (
            "contacts",
            CONTACTS,
            " 80 ",
            " -8 ",
            ("cost_cents must not be negative, but is in 1 of 2 rows, first for customer 7 (cost_cents -8)"),
        ),
        (
            "given",
            GIVEN,
            "9.0 |       0",
            "9.0 |       2",
            ("outcome must be 0 or 1, but is not in 1 of 3 rows, first for customer 2 (outcome 2)"),
        ),
        (
            "given",
            GIVEN,
            "              2 |",
            "              1 |",
            ("customer_id must name one subject, but does not in 2 of 3 rows, first for customer 1 (rows 2)"),
        ),
    ],
)
def test_what_another_row_may_not_be(name, drawing, was, becomes, says):
    assert was in drawing
    assert f"{name}: {says}. " in str(
        only({name: (contacts if name == "contacts" else draw)(drawing.replace(was, becomes))})
    )


@pytest.mark.parametrize(
    ("name", "was", "becomes", "says"),
    [
        (
            "instalments",
            "2024-02-03 00:00 |       5000 | 2024-02-04",
            "2024-02-03 00:00 |       5000 | 2024-02-02",
            "known_at must not precede paid_at, but it does in 1 of 2 rows",
        ),
        (
            "instalments",
            "2024-02-04 00:00",
            "2024-01-01 00:00",
            "application_id and due_at and known_at must name one instalment at a known_at, but do not in 2 of 2 rows",
        ),
        ("cases", "2024-01-06 10:00", "2024-01-02 10:00", "case_id and known_at must name one case at a known_at"),
        ("cases", "2024-01-06 10:00", "2024-01-05 09:00", "known_at must not precede closed_at, but it does in 1 of 2"),
        ("cases", "2024-01-05 10:00", "2024-01-01 10:00", "closed_at must not precede opened_at, but it does in 1 of"),
        ("surveys", "9.5", "10.5", "score must lie between 0 and 10, but does not in 1 of 2 rows, first for"),
        ("surveys", "2024-01-03 10:00\n", "2024-01-02 10:00\n", "known_at must not precede answered_at, but it does"),
        ("visits", "           2 |", "           1 |", "visit_id must name one visit, but does not in 2 of 2 rows"),
        ("visits", "checkout", "        ", "step must not be empty, but is in 1 of 2 rows, first for customer 7"),
    ],
)
def test_what_is_heard_of_customers_and_payments_may_not_be(name, was, becomes, says):
    assert was in HEARD[name]
    check({name: draw(HEARD[name])})
    found = broken({name: draw(HEARD[name].replace(was, becomes))})
    assert any(f"{name}: {says}" in str(breach) for breach in found)


def test_an_unpaid_instalment_may_be_told_of_before_it_is_paid():
    """The planned row and the paid one are of one instalment; the paid one is known later."""
    check({"instalments": draw(INSTALMENTS)})


def test_a_region_is_text_and_a_group_may_be_a_number():
    check({"customers": draw(CUSTOMERS).mutate(household=1)}, {"town": "region", "household": "group"})
    found = only({"customers": draw(CUSTOMERS).mutate(household=1.5)}, {"household": "group"})
    assert "household must be a group (text or whole number), but is float64" in str(found)


def test_a_row_must_not_refer_to_nothing():
    lost = contacts(CONTACTS.replace("2 |           8 |           1", "2 |           9 |           5"))
    found = broken({"contacts": lost, "customers": draw(CUSTOMERS), "campaigns": draw(CAMPAIGNS)})
    assert [str(b).split(". ")[0] for b in found] == [
        "contacts: customer_id must be in customers, but is not in 1 of 2 rows, first for customer 9 (contact 2)",
        "contacts: campaign_id must be in campaigns, but is not in 1 of 2 rows, first for campaign 5 (contact 2)",
    ]
    check({"contacts": lost})  # nobody can say so where the other tables are not there


def test_one_id_has_one_type():
    customers = draw(CUSTOMERS).mutate(customer_id=ibis._.customer_id.cast("string"))
    assert str(only({"orders": orders(), "customers": customers})).startswith(
        "orders: customer_id must be of the type it has in customers, string, but is int64."
    )


def test_an_empty_table_is_no_table():
    assert str(only({"orders": orders().filter(False)})) == (
        "orders: must hold rows, but is empty. Load it, or leave the table out of the source."
    )


def test_a_table_without_contract_is_named():
    assert str(only({"shoes": draw(CUSTOMERS)})).startswith(
        "shoes: must be a raw table that has a contract, but is none."
    )


def test_declared_attributes_must_be_there_as_declared():
    found = broken({"customers": draw(CUSTOMERS)}, {"town": "number", "age": "number"})
    assert [str(b).split(". ")[0] for b in found] == [
        "customers: age must be among the columns, but is not",
        "customers: town must be a number, but is string",
    ]


def test_a_product_twice_in_an_order_needs_a_number_of_its_line():
    text = ORDERS.replace("         12 |", "         11 |")
    assert only({"orders": orders(text)}).column == "order_id and product_id"
    check({"orders": orders(text).mutate(line_id=ibis._.amount_cents)})


def test_a_customer_told_of_anew_is_no_duplicate():
    moved = CUSTOMERS + "              7 | 2024-01-01 09:00 | Bath   | 2024-03-01 00:00\n"
    check({"customers": draw(moved)})
    assert only({"customers": draw(moved.replace("2024-03-01 00:00", "2024-01-01 09:00"))}).bad == 2


START = datetime(2024, 1, 1)
line = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(-2, 2))


@settings(max_examples=25, deadline=None)
@given(st.lists(line, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_counts_and_first_offender_are_those_of_a_plain_count_whatever_the_order(lines, shuffled):
    """The law: what `check` reports is what counting in Python finds, for any order of the rows."""
    rows = [
        {
            "order_id": order,
            "customer_id": 10 - order,
            "ordered_at": START,
            "product_id": product,
            "quantity": 1,
            "amount_cents": 1,
            "discount_cents": 0,
            "channel": "till",
            "store_id": 1,
            "known_at": START + timedelta(days=late),
        }
        for order, product, late in lines
    ]
    late = [row["customer_id"] for row in rows if row["known_at"] < START]
    times = Counter((row["order_id"], row["product_id"]) for row in rows)
    twice = [pair for pair in times.elements() if times[pair] > 1]
    shuffled.shuffle(rows)
    try:
        check({"orders": ibis.memtable(rows)})
        found = {}
    except BrokenContract as refusal:
        found = {breach.column: breach for breach in refusal.breaches}
    assert found.keys() == ({"known_at"} if late else set()) | ({"order_id and product_id"} if twice else set())
    if late:
        assert found["known_at"].bad == len(late)
        assert found["known_at"].first.startswith(f"customer {min(late)} (")
    if twice:
        order, product = min(twice)
        assert found["order_id and product_id"].bad == len(twice)
        assert found["order_id and product_id"].first == f"order {order} (product {product}, rows {times[min(twice)]})"


def test_every_table_but_the_flat_one_has_known_at():
    without = [
        name
        for name, contract in CONTRACTS.items()
        if not any(c.name == "known_at" and not c.may_be_absent for c in contract.columns)
    ]
    assert without == ["given"]


def test_a_broken_contract_is_a_refusal():
    assert issubclass(BrokenContract, Refused)


def test_the_root_is_the_checkout_unless_told(monkeypatch, tmp_path):
    monkeypatch.delenv("CRM_HOME", raising=False)
    assert (places.root() / "src" / "contracts" / "places.py").is_file()
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    assert (places.data(), places.mlruns()) == (tmp_path / "data", tmp_path / "mlruns")
