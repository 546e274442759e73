"""The training table of credit: the form and what was known of the applicant on the day, beside how the loan ended."""

from datetime import date

import ibis
import lender
import pandas as pd
import pytest

from contracts.errors import Refused
from contracts.study import Study
from features.applications import form_dictionary, form_hashes, groups_of
from features.dictionary import declared
from features.identity import differing
from features.subjects import frame
from sources import open_source
from training_table import answered, applications_table, feature_columns, in_cohorts, lent, refused

STUDY = Study.read(lender.AS_OF, **lender.DATES)
LOAN = ["application_id", "customer_id", "origin"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(lender.made(tmp_path_factory)))
        yield open_source("world")


def table_of(source, tables=None, study=STUDY):
    made = applications_table(tables or source.tables, source.attributes, study, ["age"], 90, 90)
    return frame(made)


@pytest.fixture(scope="module")
def table(source):
    return table_of(source)


def test_a_row_is_an_application_with_its_form_in_key_order(table, source):
    asked = source.tables["applications"].execute().set_index("application_id").loc[table.application_id]
    assert table.application_id.is_unique
    assert table[["origin", "customer_id"]].equals(
        table[["origin", "customer_id"]].sort_values(["origin", "customer_id"])
    )
    assert (pd.to_datetime(table.origin).to_numpy() == asked.applied_at.dt.normalize().to_numpy()).all()
    assert (table.asked_cents.to_numpy() == asked.amount_cents).all()
    assert (table.income_cents.to_numpy() == asked.income_cents).all()
    assert not {"age", "limit_cents", "rate", "amount_cents"} & set(table)


def test_outcomes_are_of_the_accepted_and_rejected_have_none(table):
    good_or_bad, unknown = lent(table), refused(table)
    assert set(good_or_bad.outcome) == {0, 1} and 0.02 < good_or_bad.outcome.mean() < 0.4
    assert len(good_or_bad) + len(unknown) == len(table)
    assert not {"accepted", "outcome", "most_days_late"} & set(feature_columns(unknown))
    assert list(good_or_bad.columns.drop("outcome")) == list(unknown.columns)


def test_nothing_learnt_ends_after_the_test_begins(table):
    cohorts = in_cohorts(lent(table), STUDY)
    days = sorted(set(cohorts.origin))
    assert days[-1] == STUDY.test_origin and len(days) > 2
    real = lent(table).set_index("application_id").origin
    learnt = real[cohorts.application_id[cohorts.origin != days[-1]]]
    assert max(learnt) + STUDY.horizon <= STUDY.test_days[0]
    tested = real[cohorts.application_id[cohorts.origin == days[-1]]]
    assert min(tested) >= STUDY.test_days[0] and max(tested) <= STUDY.test_days[1]
    assert len(cohorts) < len(real)  # those in the embargo are left out


def test_what_was_known_later_changes_no_feature(table, source):
    """One application day's rows, from tables without what became known from it on; forms themselves are kept."""
    origin = table.origin[len(table) // 2]
    cut = {
        name: of if name == "applications" else of.filter(of.known_at < pd.Timestamp(origin))
        for name, of in source.tables.items()
    }
    # forms of others that were known later are no history either
    asked = source.tables["applications"]
    cut["applications"] = asked.filter((asked.known_at < pd.Timestamp(origin)) | (asked.applied_at.date() == origin))
    day = Study(origin + STUDY.horizon * 3, STUDY.horizon_days, 8, 182)
    there = frame(
        applications_table({**cut, "instalments": cut["instalments"]}, source.attributes, day, ["age"], 90, 90)
    )
    columns = [c for c in feature_columns(refused(table)) if c in there]
    one = table[table.origin == origin].set_index("application_id")[columns]
    other = there[there.origin == origin].set_index("application_id").loc[one.index, columns]
    assert len(one) > 0 and len(columns) > 80
    pd.testing.assert_frame_equal(one, other)


def test_what_is_not_known_or_not_answered_yet_is_not_asked_about(source, table):
    asked = source.tables["applications"]
    days = STUDY.training_days[0], STUDY.test_days[1], STUDY.as_of
    every = answered(asked, *days).execute()
    assert set(every.application_id) == set(table.application_id)
    late = asked.mutate(
        known_at=ibis.ifelse(asked.application_id % 20 == 0, pd.Timestamp("2030-01-01"), asked.known_at)
    )
    open_ = asked.mutate(accepted=ibis.ifelse(asked.application_id % 20 == 0, None, asked.accepted))
    for applications in (late, open_):
        found = set(answered(applications, *days).execute().application_id)
        assert found == {i for i in every.application_id if i % 20}


def test_too_few_bad_loans_are_refused(table):
    few = table[(table.outcome != 1) | (table.outcome.cumsum() <= 3)]
    with pytest.raises(Refused, match="At least 20 loans must have gone bad, but 3 of"):
        lent(few)


def test_a_hidden_group_is_no_column_but_can_be_judged_by(source):
    words = form_dictionary(source.tables, source.attributes, ["age", "region"])
    assert not [name for name in words if name == "age" or name.startswith("region")]
    assert {"asked_cents", "term", "bureau_score", "recency_days", "loans"} <= set(words)
    asked = source.tables["applications"].limit(30).execute()
    spine = ibis.memtable(asked.assign(origin=asked.applied_at.dt.date)[LOAN])
    found = groups_of(spine, source.tables, ["age", "region"]).execute()
    ages = asked.set_index("application_id").age
    assert (found.age.to_numpy() == ages.loc[found.application_id].to_numpy()).all()
    assert found.region.notna().mean() > 0.9  # some were told of late
    with pytest.raises(Refused, match="must be a column of applications or customers, but creed is none"):
        groups_of(spine, source.tables, ["creed"])


def test_a_forms_column_has_a_hash_that_follows_its_definition(source):
    hashes = form_hashes(source.tables, source.attributes, ["age"])
    assert set(hashes) == set(form_dictionary(source.tables, source.attributes, ["age"]))
    other = {**source.tables, "applications": source.tables["applications"].drop("term")}
    again = form_hashes(other, source.attributes, ["age"])
    assert "term" not in again and again["asked_cents"] == hashes["asked_cents"]
    assert differing(hashes, again, ["term"]) == ["gone: term"]


def test_the_days_hold_only_answered_applications_of_the_study(table):
    assert min(table.origin) >= STUDY.training_days[0] and max(table.origin) <= STUDY.test_days[1]
    assert max(table.origin) <= date.fromisoformat(lender.AS_OF) - STUDY.horizon


def test_what_an_applicant_tells_is_said_in_words_and_in_money():
    found = declared({"income_cents": "number", "cents": "number", "kind_cents": "category"}, "applications")
    assert [column.say(123_456) for column in found[:2]] == ["income: 1,234.56", "cents: 123,456"]
    assert found[2].say("few") == "kind cents: few" and found[0].topic == "income"
