"""Contacts, responses, payments, service, regions and relations: counted by hand, and unmoved by what was not known.

All tables of a case are built once and all blocks asked at once: building the expressions costs more than running them.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis.expr.types import Table

from features import payments, regions, responses
from features.as_of import spine_of
from features.customer_table import column_dictionary, customer_table
from features.subjects import frame

ORIGIN = date(2024, 3, 1)
MIDNIGHT = datetime(2024, 3, 1)
EARLIER = date(2024, 1, 15)
ATTRIBUTES = {"town": "category", "region": "region", "household": "group"}
COLUMNS = {
    "customers": "customer_id known_at town region household",
    "orders": "order_id customer_id ordered_at known_at product_id quantity amount_cents discount_cents store_id "
    "channel",
    "campaigns": "campaign_id kind known_at",
    "contacts": "customer_id campaign_id contacted_at known_at channel arm",
    "responses": "customer_id campaign_id responded_at known_at value_cents",
    "applications": "application_id customer_id applied_at known_at",
    "instalments": "application_id due_at due_cents paid_at paid_cents known_at",
    "cases": "case_id customer_id opened_at kind closed_at known_at",
    "surveys": "customer_id answered_at score known_at",
    "visits": "visit_id customer_id visited_at step known_at",
}
RFM = ("rfm_recency", "rfm_frequency", "rfm_monetary", "rfm")
PAST_DUE = [column.name for column in payments.LOANS]
TEXT = ("kind", "channel", "arm", "step", "town", "region")


def tables_of(rows: Mapping[str, list]) -> dict[str, Table]:
    """Raw tables in memory, from rows in the order of `COLUMNS`."""
    con = ibis.duckdb.connect()
    for name, told in rows.items():
        table = pd.DataFrame(told, columns=COLUMNS[name].split())
        types = {
            c: "datetime64[us]" if c.endswith("_at") else "str" if c in TEXT else "float64" if c == "score" else "Int64"
            for c in table
        }
        con.create_table(name, table.astype(types))
    return {name: con.table(name) for name in rows}


def features_at(tables, *origins, columns=None) -> pd.DataFrame:
    """The features, or some of them, of all customers that `customers` ever tells of, by customer and origin."""
    con = tables["customers"].get_backend()
    everybody = ibis.memtable(pd.DataFrame({"customer_id": range(1, 201)}))
    there = everybody.semi_join(con.table("customers"), "customer_id")
    found = frame(customer_table(spine_of(there, origins), tables, ATTRIBUTES, columns))
    return found.set_index(["customer_id", "origin"]).sort_index()


def on(text: str) -> datetime:
    return datetime.fromisoformat(f"2024-{text}")


def at_once(*row) -> tuple:
    """A row whose last time is also when it became known, where the table has known_at after it."""
    return (*row, row[-1])


def bought(i, customer, day, cents, known=None, channel="web"):
    return (i, customer, on(day), on(known or day), 1, 1, cents, 0, 1, channel)


BY_HAND = {
    "customers": [
        (1, on("01-01"), "Bern", "north", 10),
        (1, on("02-01"), "Zug", "south", 20),  # moved
        (1, on("03-01"), "Chur", "east", 30),  # known too late
        (2, on("01-01"), "Bern", "south", 20),
        (3, on("01-01"), "Bern", "south", 10),
        (4, on("01-01"), None, None, None),
    ],
    "orders": [
        bought(1, 1, "01-10", 1000),
        bought(1, 1, "01-10", 500, channel="web"),  # the same basket
        bought(2, 1, "02-10", 1500, channel="shop"),
        bought(3, 1, "02-20", 1000, channel="shop"),
        bought(3, 1, "02-20", 700, known="02-25", channel="shop"),  # the rest of the basket, told later
        bought(4, 1, "02-21", -900, channel="telephone"),
        bought(5, 1, "02-28", 9000, known="03-01", channel="web"),  # known too late
        bought(6, 2, "02-02", 5300),
        bought(7, 3, "01-02", 100, channel="web"),
    ],
    "campaigns": [(1, "mail", on("01-01")), (2, "app", on("01-01")), (3, "mail", on("03-02")), (4, None, on("01-01"))],
    "contacts": [
        (1, 1, on("01-05"), on("01-05"), "post", "coupon"),
        (1, 1, on("01-15"), on("01-15"), "post", "reminder"),
        (1, 2, on("02-15"), on("02-15"), "push", "coupon"),
        (1, 2, on("02-16"), on("02-16"), "push", "control"),
        (1, 3, on("02-28"), on("02-28"), "push", "control"),
        (1, 4, on("02-29"), on("03-01"), "post", "letter"),  # known too late
        (2, 1, on("01-05"), on("01-05"), "post", "coupon"),
        (2, 2, on("01-06"), on("01-06"), None, "coupon"),
        (3, 1, on("01-05"), on("01-05"), "post", "control"),
    ],
    "responses": [
        (1, 1, on("01-08"), on("01-08"), 200),
        (1, 1, on("02-08"), on("02-08"), 300),  # the same campaign again
        (1, 2, on("02-20"), on("03-01"), 900),  # known too late
        (2, 1, on("01-09"), on("02-01"), None),
        (3, 1, on("01-09"), on("01-09"), 100),  # to a campaign that did not reach her
    ],
    "applications": [
        (7, 1, on("01-01"), on("01-02")),
        (8, 1, on("02-20"), on("02-20")),
        (9, 2, on("02-20"), on("03-01")),  # known too late
    ],
    "instalments": [
        # paid in full, three days late
        (7, on("01-10"), 100, None, None, on("01-02")),
        (7, on("01-10"), 100, on("01-13"), 100, on("01-14")),
        # half of it on time, then in full twelve days late, of which we were told in two rows of one day
        (7, on("01-20"), 100, None, None, on("01-02")),
        (7, on("01-20"), 100, on("01-20"), 50, on("01-21")),
        (7, on("01-20"), 100, on("02-01"), 100, on("02-03")),
        # a part only: past due since 02-11
        (7, on("02-10"), 100, None, None, on("01-02")),
        (7, on("02-10"), 100, on("02-12"), 40, on("02-12")),
        # paid on the last day, but known too late: past due
        (7, on("02-28"), 100, None, None, on("01-02")),
        (7, on("02-28"), 100, on("02-28"), 100, on("03-01")),
        # not due before the origin
        (7, on("03-01"), 100, None, None, on("01-02")),
        # another loan, paid in full before it was due
        (8, on("03-20"), 500, None, None, on("02-20")),
        (8, on("03-20"), 500, on("02-27"), 500, on("02-27")),
        (9, on("02-25"), 500, None, None, on("02-20")),
    ],
    "cases": [
        (1, 1, on("01-10"), "delivery", None, on("01-10")),
        (1, 1, on("01-10"), "delivery", on("01-14"), on("01-15")),
        (2, 1, on("02-10"), "bill", None, on("02-10")),
        (2, 1, on("02-10"), "bill", on("02-20"), on("03-01")),  # closed, but known too late
        (3, 1, on("02-10"), None, on("02-12"), on("02-12")),
        (4, 1, on("02-29"), "quality", None, on("03-01")),  # known too late
    ],
    "surveys": [
        (1, on("01-10"), 9.5, on("01-10")),
        (1, on("02-10"), 2, on("02-10")),
        (1, on("02-10"), 5, on("02-11")),
        (1, on("02-28"), 10, on("03-01")),  # known too late
    ],
    "visits": [
        (1, 1, on("01-10"), "cart", on("01-10")),
        (2, 1, on("01-11"), "home", on("01-11")),
        (3, 1, on("02-10"), "home", on("02-10")),
        (4, 1, on("02-10"), "cart", on("02-12")),
        (5, 1, on("02-28"), "checkout", on("03-01")),  # known too late
    ],
}


@pytest.fixture(scope="module")
def by_hand() -> pd.DataFrame:
    return features_at(tables_of(BY_HAND), ORIGIN).droplevel("origin")


def told(row: pd.Series, **expected) -> None:
    """Each named column has this value, None for missing."""
    found = {name: None if pd.isna(row[name]) else row[name] for name in expected}
    assert found == {
        name: value if value is None or isinstance(value, str) else pytest.approx(value)
        for name, value in expected.items()
    }


def test_contacts_counted_by_hand(by_hand):
    told(
        by_hand.loc[1],
        contacts_30=3,
        contacts_90=5,
        contacts_365=5,
        days_since_contact=2,
        days_since_reached=15,
        contact_pressure=(1 / 30) / (3 / 365),
        arms_365=3,
        control_share_365=2 / 5,
        last_arm="control",
        contact_channel_365="post",
        contact_channel_share_365=2 / 3,
    )
    told(by_hand.loc[2], contact_channel_365="post", contact_channel_share_365=1, contact_pressure=0)
    told(by_hand.loc[3], contacts_365=1, days_since_reached=None, contact_pressure=None, contact_channel_365=None)
    told(by_hand.loc[4], contacts_365=None, arms_365=None, last_arm=None)


def test_responses_counted_by_hand(by_hand):
    """Three customers-by-campaigns of four are unanswered: 1 and 2 were each reached by two, and answered one."""
    k = responses.WEIGHT
    told(
        by_hand.loc[1],
        responses_30=1,
        responses_90=1,
        responses_365=1,
        days_since_response=22,
        response_cents_365=500,
        campaigns_received=2,
        response_rate=(1 + k * 2 / 4) / (2 + k),
        answered_kind="mail",
        last_kind="app",
        response_rate_last_kind=(0 + k * 0) / (1 + k),
    )
    told(by_hand.loc[2], responses_365=1, response_cents_365=None, last_kind="app", answered_kind="mail")
    told(by_hand.loc[3], responses_365=1, response_cents_365=100, campaigns_received=None, response_rate=None)
    told(by_hand.loc[4], responses_365=None, response_rate=None, last_kind=None)


def test_payments_counted_by_hand(by_hand):
    told(
        by_hand.loc[1],
        loans=2,
        loans_running=1,
        months_on_book=1,  # 60 days
        instalments_due_90=4,
        instalments_due_365=4,
        instalments_paid_90=2,
        instalments_paid_365=2,
        paid_share_90=240 / 400,
        paid_share_365=240 / 400,
        days_past_due=20,
        days_past_due_worst=20,
        days_past_due_worst_90=20,
        past_due_cents=60 + 100,
        utilisation=260 / 500,
        in_full_share=2 / 4,
        on_time_share=0,
        partial_payments=2,
        days_since_payment=3,
        applications_90=2,
        applications_365=2,
        days_since_application=10,
    )
    told(by_hand.loc[2], loans=None, days_past_due=None, applications_365=None)


def test_the_worst_of_a_window_is_what_was_reached_in_it():
    """Forty days late, paid 95 days before the origin: the worst ever, and of the year, but not of 90 days."""
    rows = [
        (7, on("01-10"), 100, on("02-19"), 100, on("02-19")),
        (7, on("05-20"), 100, None, None, on("01-02")),
        (7, on("05-20"), 100, on("05-24"), 100, on("05-24")),
    ]
    tables = tables_of({**BY_HAND, "instalments": rows})
    found = features_at(tables, on("05-24").date(), on("05-25").date(), columns=PAST_DUE).loc[1]
    told(found.iloc[0], days_past_due=4, days_past_due_worst=40, days_past_due_worst_90=4, days_past_due_worst_365=40)
    told(found.iloc[1], days_past_due=0, days_past_due_worst=40, days_past_due_worst_90=4, on_time_share=0)


def test_service_counted_by_hand(by_hand):
    told(
        by_hand.loc[1],
        cases_90=3,
        cases_365=3,
        cases_open=1,
        days_since_case=20,
        days_to_close=(4 + 2) / 2,
        last_case_kind="bill",
        survey_score_last=(2 + 5) / 2,
        survey_score_365=(9.5 + 2 + 5) / 3,
        survey_answers_365=3,
        days_since_survey=20,
        visits_30=2,
        visits_90=4,
        days_since_visit=20,
        visit_step_365="cart",
        visit_step_share_365=2 / 4,
        last_visit_step="cart",
    )
    told(by_hand.loc[2], cases_365=None, survey_score_last=None, visits_30=None, visit_step_365=None)


def test_relations_counted_by_hand(by_hand):
    """Customer 1 moved to household 20, whose spend of 10,000 has 4,700 of hers, and leaves 10 to customer 3."""
    told(by_hand.loc[1], channel_365="shop", channel_share_365=2 / 3, household_members=2)
    told(by_hand.loc[1], household_spend_share_365=0.47, town="Zug", region="south")
    told(by_hand.loc[2], household_spend_share_365=0.53, household_members=2)
    told(by_hand.loc[3], household_spend_share_365=1, household_members=1)
    told(by_hand.loc[4], household_spend_share_365=None, household_members=None, region_buyers_share_90=None, rfm=None)
    assert list(by_hand.rfm.dropna()) == [332, 213, 121]  # three among five fifths have 1 to 3


def test_fifths_are_equal_and_ties_are_told_apart_by_the_id():
    orders = [bought(i, i, "02-01", 100 * (i // 2)) for i in range(1, 11)]
    people = [(i, on("01-01"), "Bern", "north", i) for i in range(1, 11)]
    found = features_at(tables_of({**BY_HAND, "customers": people, "orders": orders}), ORIGIN, columns=RFM)
    assert list(found.rfm_recency) == list(found.rfm_frequency) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert list(found.rfm_monetary) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert list(found.rfm) == [111, 111, 222, 222, 333, 333, 444, 444, 555, 555]


# --- laws, on many customers drawn at once ---


def drawn(seed: int, customers: int = 150) -> dict[str, list]:
    """Rows of all tables: facts known late, rows told anew, some known on the very day of an origin."""
    draw = np.random.default_rng(seed)

    def some(n, *values):
        return draw.choice(np.array(values, dtype=object), n).tolist()

    def whom(n):
        return draw.integers(1, customers + 1, n).tolist()

    def moments(n, first=-400, last=60):
        hours = draw.integers(first * 24, last * 24, n)
        hours[::20] = draw.choice([0, (EARLIER - ORIGIN).days * 24], len(hours[::20]))  # on the very day of an origin
        return [MIDNIGHT + timedelta(hours=int(h)) for h in hours]

    def later(times, *days):
        return [t + timedelta(days=d) for t, d in zip(times, some(len(times), *days), strict=True)]

    def of(*columns):
        return list(zip(*columns, strict=True))

    n = 2 * customers
    people = [i % customers + 1 for i in range(n)]
    towns, places, homes = some(n, "Bern", "Zug", None), some(n, *"abcde", None), some(n, *range(1, 60), None)
    at, end = moments(6 * customers), len(people)
    lines = of(whom(len(at)), at, later(at, 0, 0, 0, 1, 20))
    orders = [
        (i // 2, *row, i % 7, 1, 500 * (i % 19) - 50, i % 30, i % 3, ("web", "shop", None)[i % 3])
        for i, row in enumerate(lines)
    ]
    sent = moments(4 * customers)
    channels, arms = some(len(sent), "x", "y", None), some(len(sent), "coupon", "letter", "control")
    contacts = of(whom(len(sent)), some(len(sent), *range(8)), sent, later(sent, 0, 1, 9), channels, arms)
    back = moments(4 * customers)
    answers = of(whom(len(back)), some(len(back), *range(8)), back, later(back, 0, 1, 9), some(len(back), 5, 70, None))
    asked = moments(customers)
    loans = of(range(customers), whom(customers), asked, later(asked, 0, 3))
    plan = [(i, t + timedelta(days=30 * m), 100, None, None, t) for i, t in enumerate(asked) for m in (1, 2, 3)]
    paid = [(*row[:3], row[1] + timedelta(days=int(d)), c, row[1] + timedelta(days=int(d + e)))
            for row, d, e, c in zip(plan, draw.integers(-9, 60, len(plan)), draw.integers(0, 9, len(plan)),
                                    some(len(plan), 40, 100), strict=True)]  # fmt: skip
    opened = moments(customers)
    closed = later(opened, 1, 5, 30)
    kinds, who = some(customers, "bill", "quality", None), whom(customers)
    cases = of(range(customers), who, opened, kinds, [None] * customers, opened)
    cases += of(range(customers), who, opened, kinds, closed, later(closed, 0, 2))
    at = moments(2 * customers)
    surveys = of(whom(len(at)), at, draw.integers(0, 11, len(at)).tolist(), later(at, 0, 4))
    visits = of(range(len(at)), whom(len(at)), at, some(len(at), "home", "cart"), later(at, 0, 4))
    profiles = {(row[0], row[1]): row for row in of(people, moments(end), towns, places, homes)}
    return {
        "customers": [(i, MIDNIGHT - timedelta(days=500), "Bern", "a", i // 3) for i in range(1, customers + 1)]
        + list(profiles.values()),
        "orders": orders,
        "campaigns": [(i, ("mail", "app", None)[i % 3], MIDNIGHT - timedelta(days=100 * i - 150)) for i in range(8)],
        "contacts": contacts,
        "responses": answers,
        "applications": loans,
        "instalments": plan + paid,
        "cases": cases,
        "surveys": surveys,
        "visits": visits,
    }


def unlike(one: pd.DataFrame, other: pd.DataFrame) -> set[str]:
    """The columns that differ."""
    assert one.shape == other.shape and len(one) > 100
    return {name for name in one if not one[name].equals(other[name])}


@pytest.fixture(scope="module")
def many() -> dict[str, list]:
    return drawn(1)


@pytest.fixture(scope="module")
def found(many) -> pd.DataFrame:
    """Of both origins; no column is all null, or a law on it would say nothing."""
    made = features_at(tables_of(many), EARLIER, ORIGIN)
    assert list(made.columns[made.isna().all()]) == []
    return made


def cut(rows: Mapping[str, list], origin: date) -> dict[str, list]:
    """The rows that had reached us by an origin."""
    place = {name: columns.split().index("known_at") for name, columns in COLUMNS.items()}
    return {name: [r for r in told if r[place[name]].date() < origin] for name, told in rows.items()}


@pytest.mark.parametrize("origin", [EARLIER, ORIGIN])
def test_nothing_known_from_the_origin_on_can_change_a_column(many, found, origin):
    past = features_at(tables_of(cut(many, origin)), origin)
    assert unlike(past, found.xs(origin, level="origin", drop_level=False)) == set()


@pytest.mark.slow
def test_the_law_notices_a_boundary_moved_by_a_day(many, found, monkeypatch):
    """With `<=` for `<`, columns of every block differ."""
    moved = [
        "contacts_365", "contact_channel_share_365", "responses_365", "response_cents_365", "response_rate",
        "response_rate_last_kind", "days_since_application", "days_past_due", "cases_open", "survey_score_365",
        "visits_30", "visit_step_share_365", "town", "region_buyers_share_90", "region_spend_cents_365",
        "household_members", "household_spend_share_365", "rfm", "channel_share_365",
    ]  # fmt: skip
    for module in ("as_of", "responses", "shares"):
        monkeypatch.setattr(f"features.{module}.is_known", lambda known, origin: known <= origin)
    leaked = features_at(tables_of(many), EARLIER, ORIGIN, columns=moved)
    assert unlike(leaked, found[leaked.columns]) == {*moved}


def test_the_order_of_the_rows_changes_nothing(many, found):
    draw = np.random.default_rng(2)
    shuffled = {name: [told[i] for i in draw.permutation(len(told))] for name, told in many.items()}
    assert unlike(features_at(tables_of(shuffled), EARLIER, ORIGIN), found) == set()


def fold_of(customer) -> int:
    return int(hashlib.md5(str(customer).encode()).hexdigest()[:4], 16) % 5


def test_no_purchase_of_her_own_can_move_the_rates_of_her_region(many, found):
    """Without any order of one fold, the rates of that fold are the same to the last bit, and others are not."""
    without = {**many, "orders": [row for row in many["orders"] if fold_of(row[1]) != 0]}
    rates = ["region_buyers_share_90", "region_spend_cents_365"]
    other = features_at(tables_of(without), EARLIER, ORIGIN, columns=rates)
    mine = other.index.get_level_values("customer_id").map(fold_of) == 0
    assert other[mine].equals(found.loc[mine, rates]) and other[mine].notna().all(axis=1).sum() > 20
    assert not other[~mine].equals(found.loc[~mine, rates])


def test_a_fold_is_the_same_for_a_number_and_its_text():
    ids = pd.DataFrame({"number": range(5000)})
    ids["text"] = ids.number.astype(str)
    t = ibis.memtable(ids)
    found = ibis.duckdb.connect().to_pandas(t.select("number", a=regions.fold(t.number), b=regions.fold(t.text)))
    assert list(found.a) == list(found.b) == [fold_of(i) for i in found.number]
    assert found.a.value_counts(normalize=True).between(0.18, 0.22).all()


def test_rates_of_regions_and_shares_of_households_as_plainly_counted(many, found):
    """The same by pandas, an origin at a time, on what was known."""
    for origin in (EARLIER, ORIGIN):
        rows = cut(many, origin)
        people = pd.DataFrame(rows["customers"], columns=COLUMNS["customers"].split()).sort_values("known_at")
        people = people.groupby("customer_id").tail(1).set_index("customer_id")
        orders = pd.DataFrame(rows["orders"], columns=COLUMNS["orders"].split())
        orders = orders[orders.amount_cents >= 0]
        age = (pd.Timestamp(origin) - orders.ordered_at.dt.normalize()).dt.days
        people["spend"] = orders[age <= 365].groupby("customer_id").amount_cents.sum()
        people["buys"] = people.index.isin(orders[age <= 90].customer_id)
        people = people.fillna({"spend": 0}).assign(fold=[fold_of(i) for i in people.index])
        now = found.xs(origin, level="origin")
        for customer, row in people.head(40).iterrows():
            others = people[people.region.notna() & (people.fold != row.fold)]
            near = others[others.region == row.region]
            k = regions.WEIGHT
            rate = [(near[c].sum() + k * others[c].mean()) / (len(near) + k) for c in ("buys", "spend")]
            home = people[people.household == row.household]
            told(
                now.loc[customer],
                region_buyers_share_90=rate[0] if pd.notna(row.region) else None,
                region_spend_cents_365=rate[1] if pd.notna(row.region) else None,
                household_members=len(home) or None,
                household_spend_share_365=row.spend / home.spend.sum() if home.spend.sum() else None,
            )


# --- what a source need not have ---


def test_without_a_column_or_a_table_its_columns_are_not_there(many):
    tables = tables_of(many)
    every = column_dictionary(tables, ATTRIBUTES)
    assert not {"known_at", "household"} & every.keys()
    less = {
        **tables,
        "contacts": tables["contacts"].drop("arm", "channel"),
        "responses": tables["responses"].drop("value_cents"),
        "cases": tables["cases"].drop("kind"),
    }
    for absent in ("campaigns", "surveys", "instalments"):
        del less[absent]
    found = features_at(less, ORIGIN)
    assert list(found.columns) == list(column_dictionary(less, ATTRIBUTES))
    gone = every.keys() - set(found.columns)
    assert {"last_arm", "contact_channel_365", "response_cents_365", "last_kind", "survey_score_365", "loans"} < gone
    assert "last_case_kind" in gone and {"contacts_365", "response_rate", "applications_365"} < set(found.columns)
    assert set(column_dictionary({"customers": tables["customers"]}, ATTRIBUTES)) == {"town", "region"}
    asked = {**tables, "applications": tables["applications"].mutate(purpose=ibis.literal("car"))}
    assert column_dictionary(asked, {**ATTRIBUTES, "purpose": "category"}).keys() == every.keys()


def test_every_column_says_what_it_reads_and_what_is_missing(many):
    tables = tables_of(many)
    for column in column_dictionary(tables, ATTRIBUTES).values():
        assert set(column.reads) <= {*COLUMNS, "products"} and column.meaning and column.null and column.topic
        assert (
            column.window is None
            or str(column.window) in column.meaning
            or "year" in column.meaning
            or ("weeks" in column.meaning)
        )
