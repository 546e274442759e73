"""Credit through the pipeline: a flat source by its commands, a lender's applications by what these are made of."""

import json
import shutil
from dataclasses import asdict, replace
from datetime import date, timedelta

import homes
import lender
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.special import expit

from contracts.errors import Refused
from contracts.study import Study
from decisions import refusal
from decisions.lending import APPROVE, REFUSE
from evaluation import leakage
from evaluation.ranking import auc
from features.applications import form_dictionary, form_hashes
from models import credit
from models.points import Scale
from pipelines import watch
from pipelines.figures import strategies
from pipelines.kinds import credit as kind
from pipelines.parameters import complete, for_source, notebook_of
from pipelines.run_notebook import run_notebook
from pipelines.training.credit import again as fitted_again
from pipelines.training.credit import training
from sources import open_source
from training_table import credit_table, in_cohorts, loan_sums, panel

AS_OF = "2026-07-01"
PARAMETERS = {
    "as_of": lender.AS_OF, **lender.DATES, "past_due_days": 90, "indeterminate_days": 90, "protected": "age",
    "leak_bound_events": 0.95, "leak_bound_flat": 0.9, "allowed_columns": "", "changeable": "asked_cents:down",
    "wishes": "bureau_score:falling:-1",
}  # fmt: skip
FORM = [
    "asked_cents",
    "term",
    "income_cents",
    "employment_years",
    "purpose",
    "housing",
    "existing_loans",
    "bureau_score",
]
ABOUT = {
    "hidden": ["age"], "asked_days": 60, "median_exposure_cents": 10_000,
    "amount_column": "asked_cents", "amount_unit_cents": 1.0, "cut_off": 0.15,
    "scale": {"edges": [0.05, 0.15], "pd": [0.02, 0.1, 0.3]}, "dictionary": {}, "base_rate": 0.1,
    "terms": {"margin": 0.1, "loss_given_default": 0.5, "exposed": 0.9, "cost": 500, "usage": 0.7,
              "usage_elasticity": 0.6, "risk_elasticity": 1.0},
    "rules": {"menu": [0.6, 1.0, 1.25], "best": 1.25, "worst": 0.6, "loss_share": 0.01},
}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(lender.made(tmp_path_factory)))
        yield open_source("world")


@pytest.fixture(scope="module")
def table(source):
    return training(source, PARAMETERS)


@pytest.fixture(scope="module")
def model(source, table):
    words = form_dictionary(source.tables, source.attributes, ["age"])
    fitted = credit.fit(credit.SCORECARD, table, FORM, "fast", 1)
    points = refusal.Scale(*Scale())
    told = {
        "scale": points._asdict(),
        "usual": refusal.usual(points, fitted.contributions(table[fitted.predict(table) <= ABOUT["cut_off"]])),
        "ladders": refusal.ladders(table, {"asked_cents": "down", "existing_loans": "down", "term": "either"}),
    }
    about = {**ABOUT, "dictionary": {name: asdict(words[name]) for name in FORM}, "refusal": told}
    return replace(fitted, about=about)


def test_scores_of_a_days_applications_are_of_their_own_days(source, model):
    origin = date(2025, 12, 1)
    asked = kind.subjects(source, ABOUT, origin)
    days = pd.to_datetime(asked.origin).dt.date
    assert min(days) >= origin - timedelta(days=60) and max(days) < origin
    assert "age" not in asked and asked.application_id.is_unique
    scores = kind.scored(model, asked)
    assert list(scores.columns[:2]) == ["customer_id", "application_id"]
    assert (
        scores.score.between(0, 1).all() and (scores.low <= scores.score).all() and (scores.score <= scores.high).all()
    )
    assert set(scores.band) <= {"A", "B", "C"} and scores.reason_1.str.len().gt(0).all()
    plan, said = kind.decide(scores, asked, ABOUT)
    assert set(plan.application_id) == set(asked.application_id)
    assert set(plan.action) == {APPROVE, REFUSE}
    assert plan.expected_loss_cents.sum() <= 0.01 * asked.asked_cents.sum() + len(plan)
    assert (plan.limit_cents > 0).eq(plan.action == APPROVE).all() and plan.binding.notna().all()
    assert f"of {len(plan):,} approved" in said and "one more unit of loss" in said


def test_a_refusal_adds_up_and_its_change_is_approved_by_the_saved_model(table, model, tmp_path):
    """For each who is refused: the points of the reasons, in the dictionary's words, are those that are lacking."""
    model.save(tmp_path)
    model, asked = kind.load(tmp_path), table.head(400).drop(columns="outcome")
    plan, _ = kind.decide(kind.scored(model, asked), asked, model.about)
    told = kind.explained(model, asked, plan)
    pd.testing.assert_frame_equal(told[plan.columns], plan)
    refused = told[told.points_lacking.notna()]
    assert len(refused) > 20 and set(refused.action) == {REFUSE}
    reasons = refused[[f"refusal_{k}" for k in range(1, 5)]]
    points = reasons.apply(lambda texts: texts.str.extract(r" \(-(\d+) points\)$")[0].fillna("0").astype(int))
    assert (points.sum(axis=1) + refused.refusal_others == refused.points_lacking).all()
    meanings = {word["meaning"] for word in model.about["dictionary"].values()}
    assert set(reasons.refusal_1.str.partition(": ")[0]) <= meanings
    card = model.estimator
    forms = refused[["application_id"]].merge(asked, on="application_id")
    assert (card.score(forms) == refused.points).all()
    bound = refused.points + refused.points_lacking
    scale = card.table.scale
    for nudge, approved in ((0, True), (-1, False)):  # one point less would not do
        p = expit(scale.logit((bound + nudge).to_numpy(dtype=float)))
        assert ((p < refused.approved_up_to) == approved).all()
    only_asked = refused.change.str.fullmatch(r"amount asked for: [\d,.]+ \(now [\d,.]+\)")
    assert only_asked.sum() > 0 and (refused.change == "").any()
    row = refused[only_asked].iloc[0]
    cents = round(100 * float(row.change.split(": ")[1].split(" ")[0].replace(",", "")))
    form = asked[asked.application_id == row.application_id].assign(asked_cents=cents)
    again, _ = kind.decide(
        kind.scored(model, form), form, {**model.about, "rules": {**ABOUT["rules"], "loss_share": 1}}
    )
    assert cents < asked.asked_cents[form.index[0]] and (again.action == APPROVE).all()


def test_what_is_no_column_cannot_be_changeable(source):
    for changeable, words in (("wage:up", "but wage is none"), ("asked_cents", "written as column:way")):
        with pytest.raises(Refused, match=words):
            training(source, {**PARAMETERS, "changeable": changeable})


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ("wage:falling", "of columns that the model may read, but wage is none. There are asked_cents"),
        ("age:falling", "but age is none"),  # a protected group
        ("income_cents:downhill", "shape of income_cents must be one of rising, falling, .*, but is 'downhill'"),
        ("income_cents:falling:none", "special values of income_cents must be numbers"),
        ("income_cents::nan", "must be finite"),
        ("income_cents:falling,income_cents:rising", "income_cents has two"),
        ("purpose:rising", "wishes must be of numbers, but purpose is a category"),
    ],
)
def test_a_wish_for_what_is_not_there_is_refused(source, wishes, words):
    with pytest.raises(Refused, match=words):
        training(source, {**PARAMETERS, "wishes": wishes})


def test_a_wish_of_a_sources_yml_reaches_the_scorecard(table, tmp_path, monkeypatch):
    """The shape against what the loans say: such a column has no points. A special value has a row of its own."""
    homes.make(tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(tmp_path / "home"))
    yml = tmp_path / "home" / "data" / "sources" / "world.yml"
    yml.write_text(f"{yml.read_text()}wishes: {{bureau_score: {{shape: rising}}, existing_loans: {{specials: [1]}}}}\n")
    parameters = {**for_source("credit", "world"), "effort": "fast", "seed": 1}
    assert parameters["wishes"] == "bureau_score:rising,existing_loans::1"
    assert "wishes" not in for_source("credit", "german")
    without = credit.fit(credit.SCORECARD, table, FORM, "fast", 1)
    points = fitted_again(table, parameters, without).estimator.table.to_frame()
    before = without.estimator.table.to_frame()
    ranges = [(of.column[of.kind == "range"] == "bureau_score").sum() for of in (before, points)]
    assert ranges[0] > 2 and ranges[1] == 1  # better scores are less risky: no rise can be found
    assert points.low[(points.column == "existing_loans") & (points.kind == "special")].tolist() == [1]


def test_nobody_to_score_is_refused(source):
    with pytest.raises(Refused, match="Nobody applied at world in the 60 days before 2022-06-01"):
        kind.subjects(source, ABOUT, date(2022, 6, 1))


def test_test_rows_find_their_features_again(source, table):
    rows = table.sample(40, random_state=1).sort_values(["origin", "customer_id", "application_id"])
    again = kind.judged_on(source, ABOUT, rows).set_index("application_id").loc[rows.application_id]
    columns = [name for name in table.columns if name not in ("customer_id", "application_id", "origin", "outcome")]
    pd.testing.assert_frame_equal(again[columns].reset_index(drop=True), rows[columns].reset_index(drop=True))


def test_a_scorecard_of_the_form_foretells_later_loans(table):
    cohorts = in_cohorts(table, Study.read(lender.AS_OF, **lender.DATES))
    found = credit.judge(cohorts, FORM, 270, "fast", 1, candidates=credit.LIGHT)
    assert auc(found.test.outcome, found.test[credit.SCORECARD]) > 0.65
    assert set(found.test.application_id) <= set(table.application_id)


def test_the_columns_of_a_source_have_hashes_and_sql(source):
    assert kind.columns(source) == form_hashes(source.tables, source.attributes, ())
    assert "applications" in kind.sql(source) and "instalments" in kind.sql(source)


def test_money_is_what_the_second_approves_more_than_the_first():
    rows = pd.DataFrame({"outcome": [0, 1, 0, 1], "champion": [0.1, 0.1, 0.3, 0.3], "score": [0.1, 0.3, 0.1, 0.3],
                         "exposure_cents": [10_000] * 4, "customer_id": range(4)})  # fmt: skip
    gain = kind.money(rows, ABOUT, 0)
    assert gain.value == pytest.approx((1_000 - 500) - (-10_000 * 0.45 - 500))
    assert kind.worth(np.array([0.1]), ABOUT) == pytest.approx([900 - 450 - 500])
    assert kind.selected(rows.score.to_numpy(), ABOUT).tolist() == [True, False, True, False]


def test_applications_of_two_days_are_others_and_none_changes_action(model):
    """Where a flat source has the same subjects on both days, the money of those who change is at stake."""
    day = pd.DataFrame({"acting": [0.1, 0.3]}, index=pd.Index([1, 2], name="application_id"))
    then, now = day, day.rename(index={1: 3, 2: 4})
    found = watch._decided(then, now, kind, model)
    assert (found.subjects, found.changed, found.at_stake_cents) == (0, 0, 0)
    found = watch._decided(then, then.assign(acting=[0.3, 0.3]), kind, model)
    assert (found.subjects, found.changed) == (2, 1)
    assert found.at_stake_cents == pytest.approx(abs(kind.worth(np.array([0.3]), ABOUT)[0]))


def test_champion_and_challenger_are_overlaid_on_the_same_loans(tmp_path):
    """Who ranks the bad loans last approves none of them while three quarters are approved."""
    rows = pd.DataFrame({"outcome": [0, 0, 0, 1] * 20, "champion": [0.4, 0.3, 0.2, 0.1] * 20,
                         "score": [0.1, 0.2, 0.3, 0.4] * 20})  # fmt: skip
    rows = rows.assign(exposure_cents=10_000, customer_id=range(80))
    curves = kind.strategies(rows, ABOUT, 0)
    assert list(curves) == ["champion", "challenger"]
    assert curves["challenger"].bad_rate[75] == 0 and curves["champion"].bad_rate[25] == 1
    assert curves["champion"].profit[100] == curves["challenger"].profit[100]
    strategies(curves, tmp_path / "strategies.png")
    assert (tmp_path / "strategies.png").stat().st_size > 10_000


def test_sums_and_panels_are_of_the_loans_of_the_study(source, table):
    study = Study.read(lender.AS_OF, **lender.DATES)
    loans, ended = loan_sums(source.tables, study, 90, 200, 0.12)
    assert set(table.application_id) <= set(loans.application_id)
    assert (loans.drawn_cents <= loans.limit_cents * 1.01).all() and loans.drawn_cents.gt(0).all()
    assert len(ended) > 20 and (ended.came_cents <= ended.owed_cents * 1.3).all()
    aged = panel(source.tables, study, 6)
    assert aged.month.max() <= 6 and set(aged.application_id) <= set(loans.application_id)


def test_a_source_without_loans_is_refused(source):
    tables = {name: of for name, of in source.tables.items() if name != "instalments"}
    study = Study.read(lender.AS_OF, **lender.DATES)
    with pytest.raises(Refused, match="instalments is not there"):
        credit_table(tables, source.attributes, study, [], 90, 90)


@pytest.fixture(scope="module")
def german(tmp_path_factory):
    """A project with credit retrained and scored on a flat source, and what the commands said."""
    home = homes.make(tmp_path_factory.mktemp("german") / "home")
    asked = ("credit", "--source", "german", "--as-of", AS_OF)
    return home, homes.crm(home, "retrain", *asked, "-p", "effort=fast"), homes.crm(home, "score", *asked)


@pytest.mark.slow
def test_a_flat_source_goes_all_the_way(german):
    home, retrained, scored = german
    assert retrained.code in (0, 3), retrained.err
    assert scored.code == 0, scored.err
    scores = pq.read_table(home / "data/scores/model=credit" / f"as_of={AS_OF}" / "german.parquet").to_pandas()
    assert len(scores) == 1_000 and scores.band.nunique() > 3 and scores.reason_3.notna().all()
    plan = pq.read_table(home / "data/decisions/model=credit" / f"as_of={AS_OF}" / "german.parquet").to_pandas()
    assert set(plan.action) == {APPROVE, REFUSE}
    assert plan.refusal_1[plan.points_lacking.notna()].ne("").all() and plan.change.ne("").sum() > 50
    assert plan.expected_loss_cents.sum() <= 0.02 * 100 * 3_271_258
    assert (plan.expected_profit_cents.to_numpy()[:-1] >= plan.expected_profit_cents.to_numpy()[1:]).all()


@pytest.mark.slow
def test_what_a_regulator_asks_for_is_in_the_run(german):
    home, _, _ = german
    (run,) = homes.runs(home)
    files = {p.name for p in (home / "mlruns").rglob("*") if run.info.run_id in str(p)}
    for table in (
        "candidates",
        "grades",
        "stability",
        "terms",
        "limits",
        "fairness",
        "overrides",
        "refusals",
        "rejects",
    ):
        assert f"{table}.csv" in files or f"{table}.json" in files, table
    for name in ("auc", "gini", "ks", "h", "hosmer_lemeshow_p", "score_psi"):
        assert np.isfinite(run.data.metrics[f"test/{name}"])
    (card,) = (home / "mlruns").rglob("card.md")
    for heading in ("Grades and their tests", "Stability of the score", "Overrides", "First reasons of refusals"):
        assert f"## {heading}" in card.read_text()
    models = [json.loads(file.read_text()) for file in (home / "mlruns").rglob("credit.json")]
    columns = {column for model in models for column in model["columns"]}
    assert columns and not columns & {"age_in_years", "personal_status_and_sex", "foreign_worker"}


@pytest.mark.slow
def test_the_notebook_argues_on_a_lenders_applications(tmp_path_factory, tmp_path, monkeypatch):
    """Terms are told by instalments, the rejected are a band, and no table holds an application."""
    home = shutil.copytree(lender.made(tmp_path_factory), tmp_path / "home")
    monkeypatch.setenv("CRM_HOME", str(home))
    notebook, stage = notebook_of("credit"), tmp_path / "stage"
    stage.mkdir()
    asked = {"source": "world", "as_of": lender.AS_OF, "effort": "fast", "protected": "age", **lender.DATES}
    run_notebook(notebook, tmp_path / "executed.ipynb", complete(notebook, asked), lambda _: None, stage)
    record = json.loads((stage / "record.json").read_text())
    assert "Simulated customers." in record["verdict"]
    tables = {file.stem.removesuffix("-simulated"): pd.read_csv(file) for file in stage.rglob("*.csv")}
    assert set(tables["terms"].told_by) == {"instalments"}
    assert len(tables["rejects"]) == 7 and tables["rejects"].share_bad.between(0, 1).all()
    low, high = record["metrics"]["rejected/share_bad"][1:]
    assert low == pytest.approx(tables["rejects"].share_bad.min()) and high > low
    assert {"roll_rates", "vintages", "grades", "stability", "fairness", "overrides", "limits"} <= set(tables)
    assert tables["overrides"].applications.sum() == tables["limits"].applications.sum()
    assert not [name for name, table in tables.items() if {"application_id", "customer_id"} & set(table)]
    said = (tmp_path / "executed.ipynb").read_text()
    assert "would have gone bad" in said and "One more unit of loss budget" in said


def test_where_few_loans_lie_before_half_of_the_latest_cohort_teaches_the_other():
    """Nothing learnt was open at the origin it is validated on, and nobody validates herself."""
    draw = np.random.default_rng(0)
    days = {"2023-01-05": 3, "2023-07-06": 200, "2024-01-04": 250, "2024-07-04": 260, "2026-01-01": 100}
    rows = [(who, day, int(draw.random() < 0.2)) for day, n in days.items() for who in draw.permutation(2_000)[:n]]
    table = pd.DataFrame(rows, columns=["customer_id", "origin", "outcome"]).sort_values(["origin", "customer_id"])
    (split,) = credit.splits(table.reset_index(drop=True), 365, 1)
    assert leakage.apart(table.reset_index(drop=True), [split], 365).passed
    assert split.learn.sum() > 120 and split.validate.sum() == 130 and not (split.learn & split.validate).any()
