"""What was heard from a customer: service cases, answers to surveys, visits, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a case, an answer, or a visit known by then
Sees    cases, surveys and visits with known_at before the origin. Of a case, the latest row known counts: one whose
        closing reached us later was open
Units   counts, whole days, scores as answered (0 to 10)
Errors  none of its own
"""

import ibis
from ibis.expr.types import Table

from features.as_of import KEYS, before, none_is_zero, number, ratio, still, total
from features.dictionary import column, windowed
from features.shares import preferred_in_year

_CASES = {"reads": ("cases",)}
_NO_CASE = "never had a case"
CASES = (
    *windowed("cases", "service cases opened", (90, 365), "count", _NO_CASE, "cases", **_CASES),
    column("cases_open", "service cases open", "count", _NO_CASE, "cases", **_CASES),
    column("days_since_case", "days since the last service case was opened", "days", _NO_CASE, "cases", **_CASES),
    column("days_to_close", "mean days until a case was closed", "days", "no case was closed", "cases", **_CASES),
)
CASE_KIND = (
    column(
        "last_case_kind", "kind of the last service case", "category", "no case of a known kind", "case kind", **_CASES
    ),
)
_ASKED = {"reads": ("surveys",)}
_NO_ANSWER = "never answered a survey"
SURVEYS = (
    column("survey_score_last", "mean score of the last day of answers", "score", _NO_ANSWER, "survey score", **_ASKED),
    *windowed("survey_score", "mean score given", (365,), "score", "no answer in the window", "survey score", **_ASKED),
    *windowed("survey_answers", "answers to surveys", (365,), "count", _NO_ANSWER, "survey answers", **_ASKED),
    column("days_since_survey", "days since the last survey answered", "days", _NO_ANSWER, "survey answers", **_ASKED),
)
_SEEN = {"reads": ("visits",)}
_NO_VISIT = "never visited"
VISITS = (
    *windowed("visits", "visits to the shop's pages", (30, 90), "count", _NO_VISIT, "visits", **_SEEN),
    column("days_since_visit", "days since the last visit to the shop's pages", "days", _NO_VISIT, "visits", **_SEEN),
    *windowed(
        "visit_step", "step where most visits ended", (365,), "category", "no visit in the window", "steps", **_SEEN
    ),
    *windowed(
        "visit_step_share",
        "share of visits that ended at the step of most",
        (365,),
        "share",
        "no visit in the window",
        "steps",
        **_SEEN,
    ),
    column("last_visit_step", "step where the last visit ended", "category", _NO_VISIT, "steps", **_SEEN),
)


def cases(spine: Table, cases_told: Table) -> Table:
    """The columns of `CASES` and `CASE_KIND` beside the keys. Of the last kinds of one day, the first by name."""
    seen = still(before(spine, cases_told), "replaced")
    last = ibis.struct({"age": seen.age, "kind": seen.kind})
    made = seen.group_by(*KEYS).agg(
        **{f"cases_{w}": number(seen.age <= w) for w in (90, 365)},
        cases_open=number(seen.closed.isnull()),
        days_since_case=seen.age.min(),
        closed=seen.closed.count(),
        days=total(seen.closed - seen.day),
        last_case_kind=seen.kind.argmin(last, where=seen.kind.notnull()),
    )
    return made.mutate(days_to_close=ratio(made.days, made.closed)).drop("days", "closed")


def surveys(spine: Table, survey_days: Table) -> Table:
    """The columns of `SURVEYS` beside the keys. Scores are summed in thousandths."""
    seen = before(spine, survey_days)
    each = seen.group_by(*KEYS, "age").agg(answers=total(seen.answers), score=total(seen.score_thousandths))
    year = each.age <= 365
    made = each.group_by(*KEYS).agg(
        last_score=each.score.argmin(each.age),
        last_answers=each.answers.argmin(each.age),
        score=none_is_zero(each.score, year),
        survey_answers_365=none_is_zero(each.answers, year),
        days_since_survey=each.age.min(),
    )
    return made.mutate(
        survey_score_last=ratio(made.last_score, made.last_answers * 1000),
        survey_score_365=ratio(made.score, made.survey_answers_365 * 1000),
    ).drop("last_score", "last_answers", "score")


def visits(spine: Table, visit_days: Table) -> Table:
    """The columns of `VISITS` beside the keys. Of the last steps of one day, the first by name."""
    seen = before(spine, visit_days)
    last = ibis.struct({"age": seen.age, "step": seen.step})
    made = seen.group_by(*KEYS).agg(
        **{f"visits_{w}": none_is_zero(seen.visits, seen.age <= w) for w in (30, 90)},
        days_since_visit=seen.age.min(),
        last_visit_step=seen.step.argmin(last),
    )
    best = preferred_in_year(spine, visit_days, "step", "visits")
    best = best.rename(visit_step_365="best", visit_step_share_365="share")
    return made.left_join(best, list(KEYS)).drop("customer_id_right", "origin_right")
