"""Features as they were known: counted by hand, and unmoved by anything known on or after the origin."""

from datetime import date, datetime, timedelta

import ibis
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contracts.errors import Refused
from contracts.study import Study
from features.as_of import spine_of
from features.customer_table import column_dictionary, customer_table
from features.identity import column_hashes
from features.population import buyers, under_contract
from features.subjects import frame

ORIGIN = date(2024, 3, 1)
MIDNIGHT = datetime(2024, 3, 1)
ATTRIBUTES = {"town": "category", "age": "number", "member_since": "date"}


def on(text: str) -> datetime:
    return datetime.fromisoformat(f"2024-{text}")


def orders_of(rows) -> pd.DataFrame:
    """Order lines from (customer, ordered_at, known_at, amount_cents)."""
    lines = [
        {
            "order_id": i,
            "customer_id": c,
            "ordered_at": at,
            "known_at": known,
            "product_id": i % 3,
            "quantity": 1,
            "amount_cents": cents,
            "discount_cents": 10,
            "store_id": i % 2,
            "channel": "till",
        }
        for i, (c, at, known, cents) in enumerate(rows)
    ]
    return pd.DataFrame(lines)


def tables_of(rows, contacts=(), responses=(), customers=()) -> dict:
    """All raw tables that a block reads, in memory."""
    con = ibis.duckdb.connect()
    frames = {
        "orders": orders_of(rows),
        "products": pd.DataFrame(
            {
                "product_id": [0, 1, 2],
                "department": ["dairy", "bread", "dairy"],
                "category": ["milk", "rye", "cheese"],
                "own_brand": [True, False, False],
                "known_at": [on("01-01")] * 3,
            }
        ),
        "contacts": pd.DataFrame(contacts, columns=["customer_id", "campaign_id", "contacted_at", "known_at"]),
        "responses": pd.DataFrame(responses, columns=["customer_id", "campaign_id", "responded_at", "known_at"]),
        "customers": pd.DataFrame(customers, columns=["customer_id", "town", "age", "member_since", "known_at"]),
    }
    times = ("ordered_at", "known_at", "contacted_at", "responded_at", "member_since")
    for name, rows_ in frames.items():
        ids = {"customer_id": "int64", "campaign_id": "int64", "age": "float64", "town": "str"}
        typed = rows_.astype({c: t for c, t in ids.items() if c in rows_}).astype(
            {c: "datetime64[us]" for c in times if c in rows_}
        )
        con.create_table(name, typed)
    return {name: con.table(name) for name in frames}


def features_at(tables, origin=ORIGIN) -> pd.DataFrame:
    """The features of all customers of `tables` at one origin, by customer."""
    spine = spine_of(tables["orders"], (origin,))
    return frame(customer_table(spine, tables, ATTRIBUTES)).set_index("customer_id")


BY_HAND = [
    (1, on("01-01 10:00"), on("01-01 10:00"), 1000),
    (1, on("01-01 19:00"), on("01-01 19:00"), 500),
    (1, on("01-11 10:00"), on("01-11 10:00"), 2000),
    (1, on("02-20 10:00"), on("02-20 10:00"), 3000),
    (1, on("02-21 10:00"), on("02-21 10:00"), -3000),  # brought back
    (2, on("02-29 23:59"), on("03-01 00:00"), 700),  # happened before, known too late
    (2, on("02-24 09:00"), on("02-24 09:00"), 700),
]


def test_purchases_counted_by_hand():
    one = features_at(tables_of(BY_HAND)).loc[1]
    assert (one.recency_days, one.tenure_days, one.x, one.t_x) == (10, 60, 2, 50)
    assert (one.purchase_days_30, one.purchase_days_90, one.baskets_90) == (1, 3, 4)
    assert (one.spend_cents_30, one.spend_cents_90) == (3000, 6500)
    assert (one.gap_mean, one.gap_longest, one.gap_last) == (25, 40, 40)
    assert one.gap_deviation == pytest.approx((2 * 15**2) ** 0.5)
    assert (one.overdue, one.overdue_worst) == (10 / 25, 10 / 40)
    assert (one.returns_365, one.returned_cents_365) == (1, 3000)
    assert one.evening_share == 1 / 4
    assert one.weeks_active == 3


def test_baskets_counted_by_hand():
    one = features_at(tables_of(BY_HAND)).loc[1]
    assert one.products_90 == 3
    assert one.lines_per_basket_90 == 1
    assert (one.favourite_category_365, one.first_category) == ("milk", "milk")
    assert one.favourite_category_share_365 == 4000 / 6500
    assert (one.days_since_new_category, one.own_brand_share_365) == (50, 4000 / 6500)
    assert (one.categories_90, one.categories_30) == (3, 1)


def test_an_order_that_reached_us_late_is_not_seen():
    two = features_at(tables_of(BY_HAND)).loc[2]
    assert (two.recency_days, two.purchase_days_365) == (6, 1)


def test_contacts_and_responses_counted_by_hand():
    contacts = [(1, 7, on("02-01"), on("02-01")), (1, 8, on("02-20"), on("02-20")), (1, 9, on("03-05"), on("03-05"))]
    responses = [(1, 7, on("02-03"), on("02-03")), (1, 7, on("02-04"), on("02-04")), (1, 8, on("02-28"), on("03-02"))]
    one = features_at(tables_of(BY_HAND, contacts, responses)).loc[1]
    assert (one.contacts_90, one.days_since_contact) == (2, 10)
    assert (one.responses_90, one.days_since_response) == (1, 26)


def test_the_profile_is_the_latest_known_before_the_origin():
    told = [
        (1, "Bern", 40, on("01-01"), on("01-01")),
        (1, "Basel", 41, on("01-01"), on("02-01")),
        (1, "Zug", 42, on("01-01"), on("03-01")),
    ]
    one = features_at(tables_of(BY_HAND, customers=told)).loc[1]
    assert (one.town, one.age, one.member_since) == ("Basel", 41, 60)


def test_no_history_is_null_and_not_zero():
    two = features_at(tables_of(BY_HAND)).loc[2]
    assert pd.isna(two.gap_mean) and pd.isna(two.contacts_90) and pd.isna(two.returns_365)


def test_every_column_has_words_and_the_table_has_no_other():
    tables = tables_of(BY_HAND)
    assert list(column_dictionary(tables, ATTRIBUTES)) == list(features_at(tables).columns.drop("origin"))


def test_an_attribute_with_the_name_of_a_column_is_refused():
    with pytest.raises(Refused, match="must not have the name of a column of features, but x does"):
        column_dictionary(tables_of(BY_HAND), {"x": "number"})


def test_the_hash_of_the_features_changes_with_them_and_with_nothing_else(monkeypatch):
    few, many = tables_of(BY_HAND[:2]), tables_of(BY_HAND)
    assert column_hashes(few, ATTRIBUTES) == column_hashes(many, ATTRIBUTES)
    from features import purchases

    monkeypatch.setattr(purchases, "WEEKS", 12)
    assert column_hashes(many, ATTRIBUTES) != column_hashes(few, {"town": "category"})
    assert column_hashes(many, ATTRIBUTES) == column_hashes(few, ATTRIBUTES)


def test_many_origins_in_one_pass_equal_each_alone():
    tables = tables_of(BY_HAND)
    earlier = ORIGIN - timedelta(days=30)
    both = frame(customer_table(spine_of(tables["orders"], (earlier, ORIGIN)), tables, {}))
    for origin in (earlier, ORIGIN):
        alone = frame(customer_table(spine_of(tables["orders"], (origin,)), tables, {}))
        assert both[both.origin == origin].reset_index(drop=True).equals(alone)


moment = st.integers(-100 * 24, 40 * 24).map(lambda hours: MIDNIGHT + timedelta(hours=hours))
delay = st.sampled_from([0, 0, 1, 24, 240]).map(lambda hours: timedelta(hours=hours))
line = st.tuples(st.integers(1, 3), moment, delay, st.integers(-500, 5000)).map(
    lambda r: (r[0], r[1], r[1] + r[2], r[3])
)
event = st.tuples(st.integers(1, 3), st.integers(1, 4), moment, delay).map(lambda r: (*r[:3], r[2] + r[3]))
told = st.tuples(st.integers(1, 3), st.sampled_from(["Bern", "Zug"]), st.integers(18, 90), moment, delay).map(
    lambda r: (*r[:4], r[3] + r[4])
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(line, min_size=1, max_size=25),
    st.lists(event, max_size=8),
    st.lists(event, max_size=8),
    st.lists(told, max_size=4, unique_by=lambda r: (r[0], r[4])),
)
def test_nothing_known_from_the_origin_on_can_change_a_feature(rows, contacts, responses, customers):
    """Of every column of every block."""
    everything = tables_of(rows, contacts, responses, customers)
    cut = {name: t.filter(t.known_at < MIDNIGHT) if "known_at" in t.columns else t for name, t in everything.items()}
    known = features_at(cut)
    found = features_at(everything).loc[known.index]
    pd.testing.assert_frame_equal(found, known)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(line, min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(rows, random):
    numbered = orders_of(rows)
    shuffled = list(numbered.index)
    random.shuffle(shuffled)
    tables = tables_of(rows)
    tables["orders"].get_backend().create_table("shuffled", numbered.loc[shuffled])
    other = dict(tables, orders=tables["orders"].get_backend().table("shuffled"))
    pd.testing.assert_frame_equal(features_at(tables), features_at(other))


def test_buyers_are_those_of_the_window_as_known():
    found = buyers(tables_of(BY_HAND)["orders"], (ORIGIN, on("02-20").date()), 10).to_pandas()
    assert sorted(zip(found.customer_id, found.origin.astype(str), strict=True)) == [
        (1, "2024-03-01"),
        (2, "2024-03-01"),
    ]


def test_under_contract_until_the_end_was_known():
    customers = pd.DataFrame(
        {
            "customer_id": [1, 2, 2, 3],
            "known_at": pd.to_datetime(["2024-01-01"] * 2 + ["2024-02-10", "2024-01-01"]),
            "ended": pd.to_datetime([None, None, "2024-02-20", "2024-03-01"]),
        }
    )
    found = under_contract(ibis.memtable(customers), (date(2024, 2, 5), ORIGIN), "ended").to_pandas()
    assert sorted(zip(found.customer_id, found.origin.astype(str), strict=True)) == [
        (1, "2024-02-05"),
        (1, "2024-03-01"),
        (2, "2024-02-05"),
        (3, "2024-02-05"),
        (3, "2024-03-01"),
    ]


def test_training_ends_a_horizon_before_the_test_begins():
    study = Study(date(2018, 1, 2), 28, 3, 28)
    assert [str(d) for d in study.training_origins] == ["2017-09-12", "2017-10-10", "2017-11-07"]
    assert str(study.test_origin) == "2017-12-05"
