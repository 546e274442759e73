"""Response by hand: who is in the table, what followed, what of the offer she knew, and the model's own laws."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from drawing import draw

from contact_table import contact_table, trial_table
from contracts.study import Study
from decisions.mailing import LEAVE, SEND, mailing_plan
from evaluation.money import Offer
from features.campaigns import SENT, contacted, sendable, sent, sent_dictionary, sent_hashes
from features.subjects import frame
from models import response
from models.folds import TooFewCases
from outcomes import responded
from training_table import AFTERWARDS, feature_columns

STUDY = Study(date(2024, 6, 1), horizon_days=30, origins=1, spacing_days=30)


@pytest.fixture
def shop():
    """Two campaigns of five customers; what they bought of the offer, and who answered."""
    tables = {
        "customers": """
            customer_id | first_seen_at    | known_at
            ------------+------------------+------------------
                      1 | 2024-01-02 09:00 | 2024-01-02 09:00
                      2 | 2024-01-02 09:00 | 2024-01-02 09:00
                      3 | 2024-01-02 09:00 | 2024-01-02 09:00
        """,
        "orders": """
            order_id | customer_id | ordered_at       | product_id | amount_cents | known_at
            ---------+-------------+------------------+------------+--------------+------------------
                  10 |           1 | 2024-01-02 09:00 |          7 |         1000 | 2024-01-02 09:00
                  11 |           1 | 2024-03-30 09:00 |          7 |          500 | 2024-03-30 09:00
                  12 |           1 | 2024-04-05 09:00 |          8 |         2500 | 2024-04-05 09:00
                  13 |           2 | 2024-03-20 09:00 |          9 |          300 | 2024-04-02 09:00
                  14 |           3 | 2024-03-25 09:00 |          9 |          400 | 2024-03-25 09:00
        """,
        "products": """
            product_id | category | department | brand | known_at
            -----------+----------+------------+-------+------------------
                     7 | a        | x          | b     | 2024-01-01 00:00
                     8 | a        | x          | b     | 2024-01-01 00:00
                     9 | c        | x          | b     | 2024-01-01 00:00
        """,
        "campaigns": """
            campaign_id | kind   | starts_at        | ends_at          | known_at
            ------------+--------+------------------+------------------+------------------
                      1 | spring | 2024-04-01 00:00 | 2024-04-21 00:00 | 2024-04-01 00:00
                      2 | spring | 2024-05-20 00:00 | 2024-06-10 00:00 | 2024-05-10 00:00
        """,
        "offers": """
            campaign_id | product_id | known_at
            ------------+------------+------------------
                      1 |          7 | 2024-04-01 00:00
                      1 |          9 | 2024-04-01 00:00
        """,
        "contacts": """
            contact_id | customer_id | campaign_id | contacted_at     | arm     | cost_cents | known_at
            -----------+-------------+-------------+------------------+---------+------------+------------------
                     1 |           1 |           1 | 2024-04-01 08:00 | letter  |         60 | 2024-04-01 08:00
                     2 |           2 |           1 | 2024-04-01 08:00 | letter  |         60 | 2024-04-01 08:00
                     3 |           3 |           1 | 2024-04-01 08:00 | control |          0 | 2024-04-01 08:00
                     4 |           2 |           2 | 2024-05-20 08:00 | letter  |         60 | 2024-05-20 08:00
        """,
        "responses": """
            customer_id | campaign_id | responded_at     | value_cents | known_at
            ------------+-------------+------------------+-------------+------------------
                      1 |           1 | 2024-04-05 09:00 |             | 2024-04-05 09:00
                      2 |           1 | 2024-05-15 09:00 |             | 2024-05-15 09:00
                      2 |           2 | 2024-05-25 09:00 |         700 | 2024-05-25 09:00
        """,
    }  # fmt: skip
    made = {name: draw(text) for name, text in tables.items()}
    plain = {"quantity": 1, "discount_cents": 0, "channel": "store", "store_id": 1}
    orders = made["orders"].mutate(**{name: ibis.literal(value) for name, value in plain.items()})
    return made | {"orders": orders, "contacts": made["contacts"].mutate(channel=ibis.literal("mail"))}


def spine(shop):
    return contacted(shop["contacts"], date(2024, 1, 1), date(2024, 5, 2), STUDY.as_of)


def by_customer(rows) -> pd.DataFrame:
    return rows.to_pandas().set_index("customer_id").sort_index()


def test_contacts_whose_horizon_is_over_without_the_control(shop):
    found = spine(shop).to_pandas()
    assert sorted(found.customer_id) == [1, 2]
    assert set(found.campaign_id) == {1} and {f"{day}"[:10] for day in found.origin} == {"2024-04-01"}


def test_a_late_answer_is_none_and_an_answer_without_worth_is_that_days_purchases(shop):
    """Customer 1 answered on the fifth, when she paid 25; customer 2 after 44 days."""
    found = by_customer(responded(spine(shop), shop["responses"], shop["orders"], STUDY))
    assert found.outcome.tolist() == [1, 0]
    assert found.response_cents[1] == 2500 and np.isnan(found.response_cents[2])


def test_a_known_worth_is_taken(shop):
    told = shop["responses"].mutate(value_cents=shop["responses"].value_cents.coalesce(900))
    assert by_customer(responded(spine(shop), told, shop["orders"], STUDY)).response_cents[1] == 900


def test_what_of_the_offer_she_bought_as_known_at_the_contact(shop):
    """Product 7 twice, once within 90 days, the last two days before; an order that was booked late is not seen."""
    found = by_customer(sent(spine(shop), shop, {}))
    one, two = found.loc[1], found.loc[2]
    assert one.campaign_kind == "spring"
    assert (one.offered_products, one.offered_products_90, one.offered_days_90) == (1, 1, 2)
    assert (one.offered_spend_cents_90, one.days_since_offered) == (1500, 2)
    assert two[["offered_products", "offered_days_90", "days_since_offered"]].isna().all()


def test_each_column_has_words_and_a_number(shop):
    made = set(sent(spine(shop), shop, {}).columns) - set(SENT)
    assert made == sent_dictionary(shop, {}).keys() == sent_hashes(shop, {}).keys()
    without = {name: of for name, of in shop.items() if name != "offers"}
    assert sent_dictionary(shop, {}).keys() - sent_dictionary(without, {}).keys() == {
        "offered_products", "offered_products_90", "offered_days_90", "offered_spend_cents_90",
        "days_since_offered",
    }  # fmt: skip


def test_to_be_sent_is_the_last_known_campaign_of_each_kind(shop):
    buyers = spine(shop).select("customer_id", "origin").distinct()
    on = {day: set(sendable(buyers, shop["campaigns"], day).to_pandas().campaign_id)
          for day in (date(2024, 4, 1), date(2024, 5, 9), date(2024, 5, 11))}  # fmt: skip
    assert on == {date(2024, 4, 1): set(), date(2024, 5, 9): {1}, date(2024, 5, 11): {2}}


def test_the_training_table_holds_no_outcome_as_a_feature(shop):
    table = frame(contact_table(shop, {}, STUDY, history_days=28))
    assert table.customer_id.tolist() == [1, 2] and table.outcome.tolist() == [1, 0]
    assert not set(feature_columns(table)) & {*AFTERWARDS, *SENT}


def test_without_a_control_group_those_who_might_have_been_contacted_stand_in(shop):
    randomised = frame(trial_table(shop, {}, STUDY, 28, 91))
    assert dict(zip(randomised.customer_id, randomised.arm, strict=True)) == {1: "letter", 2: "letter", 3: "control"}
    assert dict(zip(randomised.customer_id, randomised.bought, strict=True)) == {1: 1, 2: 0, 3: 0}
    targeted = {**shop, "contacts": shop["contacts"].filter(shop["contacts"].arm != "control")}
    found = frame(trial_table(targeted, {}, STUDY, 28, 91))
    assert dict(zip(found.customer_id, found.arm, strict=True)) == {1: "letter", 2: "letter", 3: "control"}
    assert found.propensity.isna().all()


def test_all_contacts_beside_a_control_group_are_in_the_trial_and_elsewhere_the_latest(shop):
    """Both campaigns are over; without a control all others of a day stand in, of the latest third of the days only."""
    later = Study(date(2024, 7, 15), horizon_days=30, origins=1, spacing_days=30)
    assert set(frame(trial_table(shop, {}, later, 28, 91)).campaign_id) == {1, 2}
    targeted = {**shop, "contacts": shop["contacts"].filter(shop["contacts"].arm != "control")}
    assert set(frame(trial_table(targeted, {}, later, 28, 91)).campaign_id) == {2}


def contacts(days=16, each=80, seed=0) -> pd.DataFrame:
    """Contacts on days a fortnight apart; customers of a high rate answer more often."""
    draw = np.random.default_rng(seed)
    rows = days * each
    who = draw.integers(0, 200, rows)
    rate = 0.05 + 0.5 * (who % 4 == 0)
    answered = (draw.uniform(size=rows) < rate).astype(int)
    made = pd.DataFrame({
        "origin": np.repeat(pd.date_range("2024-01-01", periods=days, freq="14D").date, each),
        "customer_id": who,
        "campaign_id": np.repeat(np.arange(days), each),
        "response_rate": rate + draw.normal(scale=0.2, size=rows),
        "spend": draw.normal(size=rows) + (who % 4 == 0),
        "outcome": answered,
        "response_cents": np.where(answered == 1, 1000 + 100 * (who % 4 == 0) + draw.normal(size=rows), np.nan),
    })  # fmt: skip
    made = made.drop_duplicates(["origin", "customer_id"])
    return made.sort_values(["origin", "customer_id", "campaign_id"], ignore_index=True)


def test_each_block_learns_only_from_outcomes_known_before_it():
    table = contacts()
    days = pd.to_datetime(table.origin)
    found = response.splits(table, 28, seed=0)
    assert len(found) == 2
    judged = np.sum([split.test for split in found], axis=0)
    assert judged.max() == 1 and judged.sum() >= len(table) / 3
    for split in found:
        learned = split.learn | split.validate
        assert days[learned].max() + pd.Timedelta(days=28) <= days[split.test].min()
        assert days[split.learn].max() + pd.Timedelta(days=28) <= days[split.validate].min()
    with pytest.raises(TooFewCases, match="at least 20 must have been answered"):
        response.splits(table[days < days.min() + pd.Timedelta(days=40)], 28, seed=0)


@pytest.fixture(scope="module")
def judged():
    table = contacts()
    return table, response.judge(table, ["response_rate", "spend"], 28, "fast", 0, candidates=response.LIGHT)


def test_the_candidates_are_judged_on_later_contacts(judged):
    table, evidence = judged
    assert evidence.one_column == "response_rate" and evidence.pick != "base rate"
    assert not evidence.test.duplicated(["origin", "customer_id", "campaign_id"]).any()
    assert evidence.test.outcome.sum() == table.outcome[table.origin >= evidence.test.origin.min()].sum()


def test_a_saved_model_says_the_same_and_amounts_are_money(judged, tmp_path):
    table, _ = judged
    model = response.fit("logistic", table, ["response_rate", "spend"], "fast", 0)
    model.save(tmp_path)
    again = response.load(tmp_path)
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    np.testing.assert_array_equal(again.amount(table), model.amount(table))
    assert model.amount(table).mean() == pytest.approx(table.response_cents.mean(), rel=0.05)
    assert list(model.contributions(table).columns) == list(model.columns) == list(again.columns)
    few = response.fit_amount(table.assign(response_cents=table.response_cents.where(table.index < 40)), ["spend"], 0)
    assert not few.lines
    assert few.predict(table[:3]).tolist() == [pytest.approx(table.response_cents[:40].mean())] * 3


def test_each_customer_gets_her_best_campaign_if_it_pays():
    """Half of the answers are caused; a third of the amount is margin. 0.2 x 0.5 x 1000 = 100 against 60 of cost."""
    scores = pd.DataFrame({
        "customer_id": [1, 1, 2, 3],
        "campaign_id": [5, 6, 5, 5],
        "score": [0.2, 0.1, 0.1, 0.3],
        "amount_cents": [3000, 9000, 3000, 3000],
    })  # fmt: skip
    plan = mailing_plan(scores, Offer(60, 0, 0.5, 1, 0.0), margin_share=1 / 3)
    assert plan.expected_profit_cents.tolist() == [90, 90, 40, -10]
    assert list(zip(plan.customer_id, plan.campaign_id, plan.action, strict=True)) == [
        (1, 6, SEND), (3, 5, SEND), (1, 5, LEAVE), (2, 5, LEAVE)
    ]  # fmt: skip
