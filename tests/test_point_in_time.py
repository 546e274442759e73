"""The leak battery: no column of features may know what was not known at its origin.

It has six checks, each a function from features to the columns in which it found something:

`future`      rows known from the origin on, of every raw table, are added: no column may move
`yesterday`   rows known on the day before are added: every column must move, or `future` would prove nothing of it
`recompute`   the comparison at run time, with tables cut at each of several origins (features.leaks)
`reorder`     the comparison at run time, with the rows of the raw tables in another order
`own_fold`    rows of one fold of customers are added: rates that are taken out-of-fold must not move for them
`recount`     some columns of each kind counted plainly, in pandas; windows begin on the day that they say

`MUTANTS` are leaks, planted one at a time into the code; each names the check that finds it and a column that tells.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import cache, partial

import every_table
import ibis
import numpy as np
import pandas as pd
import pytest
from every_table import ATTRIBUTES, CUSTOMERS, MIDNIGHT, ORIGIN
from ibis import _
from ibis.expr.types import Table
from planted import mutate

from contracts import boundary
from contracts.errors import Refused
from contracts.study import Study
from contracts.tables import check
from features import (
    as_of,
    customer_table,
    leaks,
    population,
    purchases,
    regions,
    relations,
    responses,
    shares,
    slots,
    timelines,
)
from outcomes import lapsed
from pipelines.leaks import compared, load, refuse_future
from sources import Source

ORIGINS = (ORIGIN - timedelta(days=150), ORIGIN - timedelta(days=40), ORIGIN)
LAGS = (0, 7, 14, 21, 45, 120, 350, 1000)  # days
Make = Callable[[Table, Mapping[str, Table]], Table]
Frames = Mapping[str, pd.DataFrame]


def ours(spine: Table, tables: Mapping[str, Table], columns: Collection[str] | None = None) -> Table:
    """The features of the house, as any other function of features."""
    return customer_table.customer_table(spine, tables, ATTRIBUTES, columns)


# --- the company, and what is added to it ---


@cache
def connection():
    return ibis.duckdb.connect()


@cache
def all_rows() -> Frames:
    return every_table.drawn()


@cache
def known_rows() -> Frames:
    """The company as known at the origin."""
    return {name: rows[rows.known_at < MIDNIGHT] for name, rows in all_rows().items()}


def added(known: Callable[[int], np.ndarray]) -> Frames:
    """Rows that became known at `known(n)`, n numbers of seconds from the origin: others like those of the company,
    that happened at once or up to three years before, and known ones told anew where a table has such."""
    found = {}
    for name, rows in all_rows().items():
        at = pd.Series(MIDNIGHT + pd.to_timedelta(known(len(rows)), "s"), rows.index)
        lag = pd.Series(pd.to_timedelta(np.array(LAGS)[np.arange(len(rows)) % len(LAGS)], "D"), rows.index)
        found[name] = every_table.told_more(name, rows, at, lag)
        if name == "orders":  # some are the first of a newcomer
            found[name].loc[::50, "customer_id"] = every_table.NEWCOMER
        if name in every_table.ANEW:
            rows = known_rows()[name]
            anew = every_table.told_anew(rows, at[rows.index] + pd.Timedelta("100ms"))
            found[name] = pd.concat([found[name], anew], ignore_index=True)
    return found


@cache
def with_future() -> Frames:
    """The company with all that became known on or after the origin: at 00:00 sharp, or in the next two months."""
    return together(all_rows(), added(lambda n: np.where(np.arange(n) < 40, 0, np.arange(n) * 601 % 5_000_011)))


@cache
def with_yesterday() -> Frames:
    """The company as known at the origin, with as much again from the day before, up to its last second."""
    return together(known_rows(), added(lambda n: -1 - np.arange(n) * 9.0))


def together(frames: Frames, more: Frames) -> Frames:
    return {name: pd.concat([rows, more[name]], ignore_index=True) for name, rows in frames.items()}


@cache
def tables(of: Callable[[], Frames]) -> dict[str, Table]:
    return every_table.on(connection(), of.__name__, of())


@cache
def made(make: Make, of: Callable[[], Frames]) -> pd.DataFrame:
    """What `make` gives for every customer at the origin, in their order."""
    pairs = ibis.memtable(pd.DataFrame({"customer_id": range(CUSTOMERS), "origin": ORIGIN}))
    spine = connection().create_table("spine", pairs, temp=True, overwrite=True)
    found = make(spine, tables(of)).to_pyarrow().to_pandas().set_index("customer_id")
    return found.reindex(range(CUSTOMERS)).drop(columns="origin")


def unequal(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """The columns that differ for any customer."""
    here, there = one.astype(object), other[one.columns].astype(object)
    return [c for c in one if not (here[c].where(here[c].notna(), "") == there[c].where(there[c].notna(), "")).all()]


# --- the checks ---


def future(make: Make) -> list[str]:
    return unequal(made(make, known_rows), made(make, with_future))


def yesterday(make: Make) -> list[str]:
    """The columns that stay as they are, which they should not."""
    before, after = made(make, known_rows), made(make, with_yesterday)
    moved = unequal(before, after)
    return [name for name in before if name not in moved]


def recompute(make: Make) -> list[str]:
    return _refused(leaks.recomputed, make)


def reorder(make: Make) -> list[str]:
    return _refused(leaks.unordered, make)


def _refused(comparison: Callable, make: Make) -> list[str]:
    """The columns that a comparison at run time names."""
    try:
        comparison(sampled(), leaks.compiled(make))
    except Refused as refused:
        return str(refused).split("pairs: ")[1].split(". First")[0].split(", ")
    return []


@cache
def sampled() -> leaks.Company:
    spine = as_of.spine_of(tables(with_future)["customers"], ORIGINS)
    return leaks.company(spine, tables(with_future), pairs=90)


@cache
def one_fold() -> frozenset[int]:
    """The customers of one of the folds that regions' rates are taken over."""
    ids = ibis.memtable({"customer_id": range(CUSTOMERS)})
    return frozenset(ids.filter(regions.fold(ids.customer_id) == 0).to_pandas().customer_id)


@cache
def with_one_fold() -> Frames:
    """The company with more orders of one fold, known on the day before the origin."""
    more = with_yesterday()["orders"].iloc[len(known_rows()["orders"]) :]
    return {**known_rows(), "orders": pd.concat([known_rows()["orders"], more[more.customer_id.isin(one_fold())]])}


def own_fold(make: Make) -> list[str]:
    mine = sorted(one_fold())
    return unequal(made(make, known_rows).loc[mine], made(make, with_one_fold).loc[mine])


def recount(make: Make) -> list[str]:
    plain, found = plainly(known_rows()), made(make, with_future)
    names = [name for name in plain if name in found]
    return unequal(plain[names].astype("Float64"), found[names].astype("Float64"))


def plainly(frames: Frames) -> pd.DataFrame:
    """Some columns counted the plain way from the rows known at the origin."""
    lines = frames["orders"][frames["orders"].amount_cents >= 0]
    lines = lines.assign(age=(MIDNIGHT - lines.ordered_at.dt.floor("D")).dt.days)
    named = lines.merge(frames["products"][["product_id", "category"]], on="product_id")
    days = lines[["customer_id", "age"]].drop_duplicates().sort_values(["customer_id", "age"], ascending=[True, False])
    gaps = -days.groupby("customer_id").age.diff()
    found = {
        "recency_days": days.groupby("customer_id").age.min(),
        "tenure_days": days.groupby("customer_id").age.max(),
        "gap_longest": gaps.groupby(days.customer_id).max(),
        "gap_last": gaps.groupby(days.customer_id).last(),
    }
    for w in (7, 30, 90, 180, 365):
        recent = lines[lines.age <= w].groupby("customer_id")
        found |= {f"lines_{w}": recent.size(), f"spend_cents_{w}": recent.amount_cents.sum()}
        found |= {f"purchase_days_{w}": recent.age.nunique(), f"products_{w}": recent.product_id.nunique()}
        found[f"categories_{w}"] = named[named.age <= w].groupby("customer_id").category.nunique()
    told = frames["cases"].sort_values("known_at").drop_duplicates("case_id", keep="last")
    found["cases_open"] = told.closed_at.isna().groupby(told.customer_id).sum()
    table = pd.DataFrame(found).reindex(range(CUSTOMERS))
    # none in the window is 0 for those with any at all
    counts = [name for name in table if name[-1].isdigit()]
    ever = {name: named if "categories" in name else lines for name in counts}
    return table.assign(**{n: table[n].fillna(0).where(table.index.isin(ever[n].customer_id)) for n in counts})


# --- the honest code ---


def test_the_company_keeps_its_contracts():
    check(tables(with_future), ATTRIBUTES)
    assert all((rows.known_at >= MIDNIGHT).sum() > 10 for rows in with_future().values())
    assert all((rows.known_at == MIDNIGHT).any() for name, rows in with_future().items())


def test_nothing_known_from_the_origin_on_moves_a_column():
    assert future(ours) == []


def test_what_was_known_the_day_before_moves_every_column():
    assert yesterday(ours) == []


def test_a_recomputation_from_tables_cut_at_each_origin_is_equal():
    assert recompute(ours) == []


def test_had_facts_come_late_it_is_equal_too():
    late = leaks.delayed(sampled())
    found = leaks.recomputed(late, leaks.compiled(ours))
    assert found.origins == ORIGINS and found.taken > 1000


def test_the_order_of_rows_moves_nothing():
    assert reorder(ours) == []


def test_a_rate_of_a_region_does_not_know_the_customers_of_its_own_fold():
    rates = [column.name for column in regions.columns("town")]
    make = partial(ours, columns=rates)
    assert own_fold(make) == []
    assert unequal(made(make, known_rows), made(make, with_one_fold)) == rates


def test_counted_plainly_it_is_the_same():
    assert recount(ours) == []


def test_who_is_asked_about_does_not_depend_on_the_future():
    def asked(of):
        rows, customers = tables(of)["orders"], tables(of)["customers"]
        spines = population.buyers(rows, ORIGINS, 60), population.under_contract(customers, ORIGINS, "member_since")
        return [set(spine.filter(spine.origin == ORIGIN).to_pandas().customer_id) for spine in spines]

    assert asked(known_rows) == asked(with_future)
    assert asked(known_rows) != asked(with_yesterday)


# --- planted leaks in the code of the house ---


# name: the check that finds it, a column it is found in, the function, the words and what they become
MUTANTS = {
    "the boundary lets in the day of the origin": (
        future, "recency_days", boundary.is_known, ("known < origin", "known <= origin"),
    ),
    "the comparison at run time has a ruler of its own": (
        recompute, "recency_days", boundary.is_known, ("known < origin", "known <= origin"),
    ),
    "a fact counts from when it happened": (
        future, "purchase_days_30", as_of.stamped, ("day_number(events.known_at)", "day_number(events[happened])"),
    ),
    "rows are taken by when they happened": (
        recompute, "x", as_of.known, ("is_known(rows.known, at.at)", "is_known(rows.day, at.at)"),
    ),
    "the boundary is a day late": (
        future, "spend_cents_7", as_of.known, ("is_known(rows.known, at.at)", "is_known(rows.known, at.at + 1)"),
    ),
    "windows are shifted by a day": (
        recount, "purchase_days_30", as_of.before, ("seen.at - seen.day", "seen.at - seen.day - 1"),
    ),
    "a window loses its first day": (
        recount, "purchase_days_90", purchases.counted, ("seen.age <= w", "seen.age < w"),
    ),
    "the last day of the data stands for the origin": (
        recompute, "recency_days", as_of.before,
        ("seen.at - seen.day", "seen.day.max().over(ibis.window()) + 1 - seen.day"),
    ),
    "what is replaced later counts as replaced": (
        future, "town", as_of.still, (" | ~is_known(seen[until], seen.at)", ""),
    ),
    "what is replaced counts on": (
        recount, "cases_open", as_of.still, ("seen[until].isnull() | ~is_known(seen[until], seen.at)", "True"),
    ),
    "a product's category counts before it was known": (
        future, "categories_365", timelines.in_categories, ("ibis.greatest(sold.known, sold.named)", "sold.known"),
    ),
    "gaps are those of all days, later ones too": (
        future, "gap_longest", timelines._with_gaps, ("settled=days.known.max()", "settled=days.known.min()"),
    ),
    "different things count before they were known": (
        recompute, "products_90", slots.met, ("known[BITS] & fell[BITS]", "fell[BITS]"),
    ),
    "different things leave a window a day early": (
        recount, "products_90", slots._calendars, ("each.at - each.date <= w", "each.at - each.date < w"),
    ),
    "a slot is that of the origin before": (
        recompute, "products_90", slots.at_origins, ("[found.slot]", "[found.slot - 1]"),
    ),
    "a new category counts before it was known": (
        future, "days_since_new_category", timelines.new_categories,
        ("known=first.at // ROOM", "known=first.at % ROOM"),
    ),
    "attributes are those told last": (
        future, "town", timelines.told_anew, ("replaced=nxt)", "replaced=nxt).filter(nxt.isnull())"),
    ),
    "a payment in part counts before it was known": (
        future, "partial_payments", timelines.instalments_told, ('order_by="known_at", preceding=(None, 0)', ""),
    ),
    "an answer counts before it was known": (
        future, "response_rate", responses._counted, ("is_known(seen.answered, seen.at)", "seen.answered.notnull()"),
    ),
    "rates of all are those of all time": (
        recompute, "town_spend_cents_365", shares.at_origins,
        ("is_known(rows.known, origins.at)", "origins.at == origins.at"),
    ),
    "fifths are taken over all origins": (
        recompute, "rfm_monetary", relations._fifth, ('group_by="origin", ', ""),
    ),
    "a region's rate is taken in-fold": (
        own_fold, "town_spend_cents_365", regions._out_of_fold, ("all_ - own", "all_"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_leak_planted_in_the_house_is_found(name, monkeypatch):
    """By the very checks that find nothing in the honest code, in the tests above."""
    found_by, column, function, *changes = MUTANTS[name]
    mutate(monkeypatch, function, *changes)
    assert found_by(partial(ours, columns=[column])) == [column]


# --- planted leaks in features of a user's own ---


def honest(spine, tables):
    seen = as_of.before(spine, as_of.stamped(tables["visits"], "visited_at"))
    return seen.group_by(*as_of.KEYS).agg(visits=seen.count(where=seen.age <= 90))


def outcome_joined_in(spine, tables):
    study = Study(ORIGIN + timedelta(days=28), 28, 1, 28)
    return lapsed(spine, tables["orders"], study)


def region_rate_in_fold(spine, tables):
    told = customer_table.customer_table(spine, tables, ATTRIBUTES, ["town"])
    found = as_of.beside(told, outcome_joined_in(spine, tables))
    rate = found.outcome.mean().over(ibis.window(group_by=["town", "origin"]))
    return found.select(*as_of.KEYS, rate=rate)


def history_without_end(spine, tables):
    return spine.join(tables["orders"].group_by("customer_id").agg(lines=_.count()), "customer_id")


def by_event_time(spine, tables):
    cases = tables["cases"]
    seen = spine.join(cases, [spine.customer_id == cases.customer_id, cases.opened_at < spine.origin])
    return seen.group_by("customer_id", "origin").agg(cases=seen.case_id.nunique())


def state_of_today(spine, tables):
    """Cases open at the origin, by when they were closed and not by when that was known."""
    seen = as_of.before(spine, as_of.stamped(tables["cases"], "opened_at"))
    still_open = seen.closed_at.isnull() | (seen.closed_at >= seen.origin.cast("timestamp"))
    later = tables["cases"].group_by("case_id").agg(last=_.closed_at.max())
    seen = seen.filter(still_open).join(later, "case_id")
    return seen.group_by(*as_of.KEYS).agg(open_cases=seen.count(where=seen["last"].isnull()))


def mean_of_all_time(spine, tables):
    mean = tables["orders"].aggregate(mean=_.amount_cents.sum()).mean.as_scalar()
    seen = as_of.before(spine, as_of.stamped(tables["orders"], "ordered_at"))
    return seen.group_by(*as_of.KEYS).agg(above=seen.count(where=seen.amount_cents * 5000 > mean))


def rank_over_all_origins(spine, tables):
    seen = as_of.before(spine, as_of.stamped(tables["visits"], "visited_at"))
    counted = seen.group_by(*as_of.KEYS).agg(visits=seen.count())
    return counted.select(*as_of.KEYS, place=ibis.rank().over(order_by=counted.visits))


def any_row(spine, tables):
    seen = as_of.before(spine, as_of.stamped(tables["visits"], "visited_at"))
    return seen.group_by(*as_of.KEYS).agg(step=seen.step.first())


# a leak: the checks that find it
OF_USERS = {
    outcome_joined_in: (future, recompute),
    region_rate_in_fold: (future, recompute),
    history_without_end: (future, recompute),
    by_event_time: (future, recompute),
    state_of_today: (future, recompute),
    mean_of_all_time: (future, recompute),
    rank_over_all_origins: (recompute,),
    any_row: (reorder,),
}


def test_honest_features_of_a_user_pass():
    assert [found for check in (future, yesterday, recompute, reorder) for found in check(honest)] == []


@pytest.mark.parametrize("leak", OF_USERS, ids=lambda leak: leak.__name__)
def test_a_leak_of_a_user_is_found(leak):
    for found_by in OF_USERS[leak]:
        assert len(found_by(leak)) == 1, found_by.__name__


# --- at run time: what is said, and what stops ---


def test_what_differs_is_said_with_the_first_pair_and_the_remedy():
    with pytest.raises(Refused) as refused:
        leaks.recomputed(sampled(), history_without_end)
    said = str(refused.value)
    assert "may change when what became known from the origin on is taken away, but 1 of 1 do, in 9" in said
    first = sampled().pairs.customer_id.min()
    assert f"First for customer {first} at 2023-10-03, whose lines is " in said and " cut. Something known" in said


def test_a_cut_takes_the_rows_away():
    """A function that counts all rows it can find sees fewer: they are gone, not hidden."""

    def all_there_are(spine, tables):
        return spine.mutate(rows=tables["orders"].count().as_scalar())

    assert recompute(all_there_are) == ["rows"]


def test_a_source_whose_facts_are_known_at_once_tells_event_time_from_known_time_all_the_same():
    at_once = {"cases": all_rows()["cases"].assign(known_at=lambda t: t.opened_at)}
    on_time = every_table.on(connection(), "on_time", at_once)
    of = leaks.company(as_of.spine_of(on_time["cases"], ORIGINS), on_time)
    assert leaks.recomputed(of, by_event_time).columns == 1
    with pytest.raises(Refused, match="1 of 1 do"):
        leaks.recomputed(leaks.delayed(of), by_event_time)


def test_the_sample_is_the_same_whatever_the_order_of_the_spine():
    spine = as_of.spine_of(tables(with_future)["customers"], ORIGINS)
    turned = spine.order_by(spine.customer_id.desc(), spine.origin.desc())
    assert leaks.company(turned, tables(with_future), pairs=90).pairs.equals(sampled().pairs)
    assert sorted(sampled().pairs.origin.unique()) == [*ORIGINS] and len(sampled().pairs) == 90


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda spine, tables: spine.customer_id.count().to_pyarrow(), "must return an Ibis table with columns beside"),
        (lambda spine, tables: spine, "returned a table of customer_id, origin"),
        (lambda spine, tables: spine.mutate(a=1).union(spine.mutate(a=1)), "must have one row for each customer_id"),
    ],
)
def test_what_is_no_table_of_features_is_refused(wrong, said):
    with pytest.raises(Refused, match=said):
        leaks.recomputed(sampled(), wrong)


def test_a_column_that_never_differs_is_not_called_proven():
    assert leaks.recomputed(sampled(), lambda spine, tables: spine.mutate(one=1)).unproven == ("one",)


def test_a_retraining_is_refused_for_features_that_know_the_future(monkeypatch):
    orders = {name: tables(with_future)[name] for name in ("customers", "orders")}
    source = Source("shop", "events", connection(), orders)
    spine = as_of.spine_of(orders["customers"], ORIGINS)
    refuse_future(source, spine)
    mutate(monkeypatch, as_of.stamped, ("day_number(events.known_at)", "day_number(events[happened])"))
    with pytest.raises(Refused, match="recency_days"):
        refuse_future(source, spine)


def test_a_file_of_features_is_checked_and_what_it_knows_is_said(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(inspect.getsource(honest) + inspect.getsource(any_row) + "from features import as_of\n")
    said = list(compared(sampled(), load(f"{file}:honest"), lazy=False))
    assert said[0].startswith("1 columns of 90 pairs (2023-10-03, 2024-01-21, 2024-03-01) are the same without the ")
    assert said[2] == "They do not depend on the order of rows." and len(said) == 3
    with pytest.raises(Refused, match="put into another order, but 1 of 1 do.*Break ties by an id"):
        list(compared(sampled(), load(f"{file}:any_row"), lazy=False))


@pytest.mark.parametrize(("block", "said"), [("nowhere.py:f", "names no file"), ("conftest", "names no file")])
def test_a_block_that_is_not_there_is_refused(block, said):
    with pytest.raises(Refused, match=said):
        load(block)


def test_a_function_that_is_not_in_the_file_is_refused():
    with pytest.raises(Refused, match="must define the function 'mine', but does not"):
        load(f"{every_table.__file__}:mine")
