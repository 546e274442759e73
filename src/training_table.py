"""The training table: what was known at past origins beside what followed, and the guard against leaks."""

from collections.abc import Collection, Mapping
from datetime import date

import ibis
import pandas as pd
from ibis.expr.types import Table

import outcomes
from contracts.coverage import refuse_uncovered
from contracts.errors import Refused
from contracts.study import Study
from contracts.subjects import keys_of
from evaluation.ranking import auc
from features.applications import LOAN, applicants, forms, groups_of, spine_of
from features.subjects import frame, population, subjects

FEWEST = 20
# of a training table, what is no feature beside its keys
AFTERWARDS = (
    "outcome",
    "response_cents",
    "contact_id",
    "arm",
    "propensity",
    "cost_cents",
    "bought",
    "spent_cents",
    "list_cents",
)
NOT_TOLD, OTHERS = "not told", "others"
FEWEST_LEVELS, CUSTOMERS_A_LEVEL = 12, 50


def plan(
    tables: Mapping[str, Table], as_of: str, horizon_days: int, origins: int, spacing_days: int, active_days: int
) -> Study:
    """The study of a run, with those origins only that the data reach back to.

    Raises `Refused` for what is no date, for data that stop before the outcome window ends, and for data that begin
    after the first window of history should.
    """
    study = Study.read(as_of, horizon_days, origins, spacing_days)
    if "orders" in tables:
        refuse_uncovered(tables["orders"], study.as_of, horizon_days)
        study = study.seen_from(outcomes.first_day(tables["orders"], study), active_days)
    return study


def training_table(
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    study: Study,
    active_days: int,
    contract_end: str | None = None,
) -> Table:
    """One row for each (customer_id, origin) of the study's matured origins: features, and `outcome` (1: churned).

    A flat source gives each subject with an outcome once.
    """
    if "given" in tables:
        known = tables["given"].filter(tables["given"].outcome.notnull())
        spine = population({"given": known}, (study.as_of,), active_days)
        return subjects(spine, tables, attributes).join(known.select("customer_id", "outcome"), "customer_id")
    spine = population(tables, study.matured_origins, active_days, contract_end)
    if contract_end:
        happened = outcomes.contract_ended(spine, tables["customers"], contract_end, study)
    else:
        happened = outcomes.lapsed(spine, tables["orders"], study)
    return subjects(spine, tables, attributes, contract_end).join(happened, keys_of(happened.columns))


def plan_of_values(
    tables: Mapping[str, Table], as_of: str, horizon_days: int, origins: int, history_days: int
) -> tuple[Study, Study, Study]:
    """Three studies: the test, whose outcomes end on `as_of`; the snapshots closed when it begins; those closed now.

    Snapshots are as long as the horizon, or half of what the data reach back to, each after `history_days` of data.
    Raises `Refused` for what is no date, and for data that stop before the outcome window ends or begin too late.
    """
    if "orders" not in tables:
        raise Refused("A customer's value is learnt from orders, but the source has none. Choose an event source.")
    test = Study.read(as_of, horizon_days, origins, horizon_days)
    refuse_uncovered(tables["orders"], test.as_of, horizon_days)
    first = outcomes.first_day(tables["orders"], test)
    before = Study(test.test_origin, horizon_days, origins, horizon_days).halved(first, history_days)
    return test, before, test.halved(first, history_days)


def value_table(
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    study: Study,
    origins: tuple[date, ...],
    active_days: int,
) -> Table:
    """One row for each (customer_id, origin): features, and `outcome`, the cents spent in the study's horizon."""
    spine = population(tables, origins, active_days)
    return subjects(spine, tables, attributes).join(
        outcomes.spend(spine, tables["orders"], study), keys_of(spine.columns)
    )


def feature_columns(table: pd.DataFrame) -> list[str]:
    """The columns of a training table that a model may learn from.

    Those that hold anything at all, and no category of so many levels that few customers share one: more than a level
    for every 50 customers, and more than a dozen. A model would learn the few by heart. Nor a category of which no
    level is shared by 20 customers: none of its levels may be named.
    """
    most = max(FEWEST_LEVELS, table.customer_id.nunique() // CUSTOMERS_A_LEVEL)
    taken = {*keys_of(table.columns), *AFTERWARDS}
    names = [name for name in table.columns if name not in taken and table[name].notna().any()]
    return [
        name
        for name in names
        if table[name].dtype == "float64"
        or (table[name].nunique() <= most and table.groupby(name).customer_id.nunique().max() >= FEWEST)
    ]


def groups(table: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The keys and a text column `slice_...` for each named column: the groups a model must hold in, too.

    A number is cut at its thirds; levels of fewer than 20 customers at the latest origin, where they are judged, are
    one, since a group is shown to others. Raises `Refused` for a column that the table has not.
    """
    names = [name.strip() for name in names if name.strip()]
    keys = keys_of(table.columns)
    gone = [name for name in names if name not in table.columns or name in (*keys, "outcome")]
    if gone:
        raise Refused(
            f"Each of `slices` must be a column of the training table, but {', '.join(gone)} is not. "
            f"`crm features SOURCE --describe` lists them."
        )
    latest = table.origin == table.origin.max()
    return table[keys].assign(**{f"slice_{name}": _levels(table[name], latest) for name in names})


def _levels(column: pd.Series, latest: pd.Series) -> pd.Series:
    if column.dtype == "float64":
        low, high = column.quantile([1 / 3, 2 / 3])
        said = pd.Series("middle third", column.index)
        said = said.mask(column <= low, "lowest third").mask(column > high, "highest third")
    else:
        said = column.astype(object)
    said = said.where(column.notna(), NOT_TOLD).astype(str)
    return said.mask(said.map(said[latest].value_counts()).fillna(0) < FEWEST, OTHERS)


def refuse_few(table: pd.DataFrame, happened: str = "churned", not_so: str = "stayed") -> None:
    """Raises `Refused` when fewer than 20 customers churned, or fewer than 20 stayed: nothing could be judged."""
    for what, rows in ((happened, table[table.outcome == 1]), (not_so, table[table.outcome == 0])):
        found = rows.customer_id.nunique()
        if found < FEWEST:
            raise Refused(
                f"At least {FEWEST} customers must have {what}, but {found} of {table.customer_id.nunique():,} have. "
                f"Take more origins, another horizon or a wider population."
            )


def single_column_auc(table: pd.DataFrame) -> pd.Series:
    """How well each column alone ranks the outcome, best first: an AUC of at least one half.

    Numbers are taken as they are, in the better direction, with the missing on the better side. A category is ranked
    by its rate in the other half of the rows, so that a category of one row proves nothing.
    """
    outcome = table["outcome"].to_numpy()
    found = {name: _alone(table[name], outcome) for name in feature_columns(table)}
    return pd.Series(found, dtype=float).sort_values(ascending=False, kind="stable")


def _alone(column: pd.Series, outcome) -> float:
    if column.dtype != "float64":
        column = _rate_elsewhere(column, outcome)
    filled = (column.fillna(column.min() - 1), column.fillna(column.max() + 1))
    areas = [auc(outcome, values.fillna(0).to_numpy()) for values in filled]
    return max(max(a, 1 - a) for a in areas)


def _rate_elsewhere(column: pd.Series, outcome) -> pd.Series:
    rows = pd.DataFrame({"value": column.fillna(""), "half": range(len(column)), "outcome": outcome})
    rows["half"] %= 2
    rates = rows.groupby(["value", "half"]).outcome.agg(["sum", "size"])
    rates = (rates["sum"] + outcome.mean()) / (rates["size"] + 1)
    other = pd.MultiIndex.from_arrays([rows.value, 1 - rows.half])
    return pd.Series(rates.reindex(other).fillna(outcome.mean()).to_numpy())


def refuse_leaks(table: pd.DataFrame, bound: float, allowed: Collection[str]) -> None:
    """Raises `Refused` that lists the columns whose AUC alone is above `bound` and that are not allowed by name.

    A column that foretells the outcome so well was most likely written after it.
    """
    allowed = [name.strip() for name in allowed if name.strip()]
    if unknown := [name for name in allowed if name not in table.columns]:
        raise Refused(
            f"Each of `allowed_columns` must be a column of the training table, but {', '.join(unknown)[:200]} is not. "
            f"`crm features SOURCE --describe` lists them."
        )
    alone = single_column_auc(table)
    suspects = alone[(alone > bound) & ~alone.index.isin(allowed)]
    if len(suspects):
        listed = ", ".join(f"{name} ({value:.3f})" for name, value in suspects.items())
        raise Refused(
            f"No single column may rank the outcome with an AUC above {bound}, but {len(suspects)} of {len(alone)} do: "
            f"{listed}. A column known only after the outcome does that: list it under known_afterwards of the source "
            f"instead of its attributes or, if it was known at the origin, allow it with "
            f"-p allowed_columns={','.join(suspects.index)}."
        )


def applications_table(
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    study: Study,
    hidden: Collection[str],
    past_due: int,
    indeterminate: int,
) -> Table:
    """One row for each answered application of the study's training and test days, accepted or not.

    Keys, the form and the applicant's history without the `hidden` columns, `accepted` and, of those accepted,
    `most_days_late` and `outcome` as `outcomes.repaid` has them. Raises `Refused` for days that hold no application.
    """
    spine = answered(tables["applications"], *_training_and_test_days(study), study.as_of)
    repaid = outcomes.repaid(spine.filter(spine.accepted).drop("accepted"), tables["instalments"], study, past_due,
                             indeterminate)  # fmt: skip
    made = forms(spine.drop("accepted"), tables, attributes, hidden)
    found = made.join(spine, list(LOAN)).left_join(repaid, list(LOAN))
    return found.select(*made.columns, "accepted", "most_days_late", "outcome")


def credit_table(
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    study: Study,
    hidden: Collection[str],
    past_due: int,
    indeterminate: int,
) -> pd.DataFrame:
    """The same as a frame in the order of its keys; of a flat source, too, all of whose rows were lent to.

    Raises `Refused` for a source that has neither, and for one whose loans have no instalments.
    """
    if "given" in tables:
        told = {name: kind for name, kind in attributes.items() if name not in hidden}
        return frame(training_table(tables, told, study, 1)).assign(accepted=1.0, most_days_late=float("nan"))
    if missing := [name for name in ("applications", "instalments", "customers") if name not in tables]:
        raise Refused(
            f"Credit needs applications, instalments and customers, or one row a loan with its outcome, but "
            f"{', '.join(missing)} is not there. Add it to the source."
        )
    return frame(applications_table(tables, attributes, study, hidden, past_due, indeterminate)).copy()


def loan_sums(
    tables: Mapping[str, Table], study: Study, past_due: int, workout_days: int, rate: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cents of the study's loans, all as known by `as_of`.

    First a row a loan: application_id, asked_cents, limit_cents (NaN where the source tells none), drawn_cents. Then a
    row a default whose workout is over: those, owed_cents, came_cents, days_to_default.
    """
    applications = tables["applications"]
    spine = answered(applications, *_training_and_test_days(study), study.as_of)
    spine = spine.filter(spine.accepted).drop("accepted")
    limit = applications.limit_cents if "limit_cents" in applications.columns else ibis.null("float64")
    asked = applications.select("application_id", asked_cents=applications.amount_cents, limit_cents=limit)
    worth = outcomes.drawn(spine, tables["instalments"], study.as_of, rate)
    loans = worth.join(asked, "application_id").drop("customer_id", "origin").order_by("application_id")
    loans = loans.execute().astype({"limit_cents": "float64"})
    ended = outcomes.losses(spine, tables["instalments"], study.as_of, past_due, workout_days, rate)
    return loans, ended.drop("customer_id", "origin").execute().merge(loans, on="application_id")


def panel(tables: Mapping[str, Table], study: Study, months: int) -> pd.DataFrame:
    """Days past due of the study's loans at each month on book: what roll rates and vintages are made of."""
    spine = answered(tables["applications"], *_training_and_test_days(study), study.as_of)
    spine = spine.filter(spine.accepted).drop("accepted")
    return outcomes.delinquency(spine, tables["instalments"], study.as_of, months).execute()


def with_groups(tables: Mapping[str, Table], table: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """A table of applications, or of a flat source, with the named columns beside it, hidden or not: for `groups`."""
    if not names:
        return table
    if "given" in tables:
        told, key = tables["given"].select("customer_id", *names).execute(), "customer_id"
    else:
        spine = spine_of(table, tables["applications"])
        told, key = groups_of(spine, tables, names).drop("customer_id", "origin").execute(), "application_id"
    number = {name: pd.api.types.is_numeric_dtype(told[name].dtype) for name in names}
    told = told.astype({name: "float64" if number[name] else "object" for name in names})
    return table.drop(columns=[n for n in names if n in table]).merge(told, on=key, how="left", validate="1:1")


def names_in(text: str) -> list[str]:
    """The names of a parameter that lists columns, parted by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def answered(applications: Table, first: date, last: date, as_of: date) -> Table:
    """The spine of the applications of those days that had their answer by `as_of`, with `accepted`."""
    asked = applicants(applications, first, last, as_of)
    told = applications.filter(applications.accepted.notnull()).select("application_id", "accepted")
    return asked.join(told, "application_id").select(*LOAN, "accepted").cache()


def lent(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `applications_table` that a model may learn from: accepted, taken up, and either good or bad.

    Raises `Refused` when fewer than 20 are bad, or fewer than 20 good.
    """
    rows = table[(table.accepted == 1) & table.outcome.notna()].drop(columns=["accepted", "most_days_late"])
    for what, count in (("bad", (rows.outcome == 1).sum()), ("good", (rows.outcome == 0).sum())):
        if count < FEWEST:
            raise Refused(
                f"At least {FEWEST} loans must have gone {what}, but {count} of {len(rows):,} have whose horizon is "
                f"over. Take more origins, longer spacing, another horizon, or a longer history of applications."
            )
    return rows.astype({"outcome": "int8"}).reset_index(drop=True)


def refused(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `applications_table` that were not accepted: nobody knows how they would have ended."""
    return table[table.accepted == 0].drop(columns=["accepted", "most_days_late", "outcome"]).reset_index(drop=True)


def in_cohorts(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The rows of a table of applications that are learnt from or tested on, each with its cohort's last day as origin.

    Applications come on any day; models are judged on cohorts of `spacing_days`: the test's, and those before the
    embargo. Applications in between are left out, since their outcomes were not known when the test began. A flat
    source, which has one origin, stays as it is.
    """
    if "application_id" not in table:
        return table
    origin = pd.to_datetime(table.origin)
    last = pd.Timestamp(study.training_days[1])
    back = (last - origin).dt.days // study.spacing_days * study.spacing_days
    test = origin >= pd.Timestamp(study.test_days[0])
    cohort = (last - pd.to_timedelta(back, "D")).where(~test, pd.Timestamp(study.test_origin)).dt.date
    kept = table.assign(origin=cohort)[test | (origin <= last)]
    return kept.sort_values(keys_of(kept.columns), kind="stable", ignore_index=True)


def _training_and_test_days(study: Study) -> tuple[date, date]:
    return study.training_days[0], study.test_days[1]
