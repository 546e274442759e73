"""What happened after an origin. The only file that may look there; scoring may not import it.

Grain: the pairs of a spine, each with `outcome`, 1 or 0, as it was known at the end of its own horizon. What reached us
later counts at no origin: it has not reached us for the latest one, and all origins must be counted alike.
Loans: a spine of (application_id, customer_id, origin), the origin being the day of the application. An instalment is
past due from the day after it is due until its cents are paid in full; of its rows the latest known one counts.

[1] Basel Committee (2006), International Convergence of Capital Measurement, paragraph 452: 90 days past due.
[2] Siddiqi (2017), Intelligent Credit Scoring, 2nd edition, chapter 4: indeterminates, vintages, roll rates.
"""

from datetime import date

import ibis
from ibis.expr.types import Table

from contracts.boundary import is_known, known_before
from contracts.study import Study

KEYS = ["customer_id", "origin"]
LOAN = ["application_id", "customer_id", "origin"]
KEYS_OF_CONTACT = ["customer_id", "campaign_id"]


def lapsed(spine: Table, orders: Table, study: Study) -> Table:
    """Non-contractual churn: 1 for no purchase in [origin, origin + horizon). A return alone is no purchase."""
    sales = known_before(orders.filter(orders.amount_cents >= 0), study.as_of)
    sales = sales.select("customer_id", day=sales.ordered_at.date(), known=sales.known_at.date()).distinct()
    in_horizon = [
        spine.customer_id == sales.customer_id,
        sales.day >= spine.origin,
        is_known(sales.known, spine.origin + ibis.interval(days=study.horizon_days)),
    ]
    came_back = spine.semi_join(sales, in_horizon).select(*KEYS).mutate(found=True)
    return _flag(spine, came_back, found=0)


def spend(spine: Table, orders: Table, study: Study) -> Table:
    """Cents of sales in [origin, origin + horizon), as known at its end: 0 for none. Returns are not taken off."""
    sales = known_before(orders.filter(orders.amount_cents >= 0), study.as_of)
    sales = sales.group_by("customer_id", day=sales.ordered_at.date(), known=sales.known_at.date()).agg(
        cents=sales.amount_cents.sum().cast("int64")
    )
    in_horizon = [
        spine.customer_id == sales.customer_id,
        sales.day >= spine.origin,
        is_known(sales.known, spine.origin + ibis.interval(days=study.horizon_days)),
    ]
    paid = spine.join(sales, in_horizon).group_by(*KEYS).agg(outcome=lambda t: t.cents.sum().cast("int64"))
    every = spine.left_join(paid, KEYS)
    return every.select(*KEYS, outcome=every.outcome.fill_null(0))


def contract_ended(spine: Table, customers: Table, end: str, study: Study) -> Table:
    """Contractual churn: 1 for a contract whose end, the column `end`, lies in [origin, origin + horizon).

    The latest row known before the horizon is over decides: a contract prolonged in time has not ended.
    """
    told = known_before(customers, study.as_of).select("customer_id", "known_at", end).rename(day=end)
    over = spine.origin + ibis.interval(days=study.horizon_days)
    seen = spine.mutate(over=over).join(told, ["customer_id"])
    seen = seen.filter(is_known(seen.known_at, seen.over))
    latest = seen.group_by([*KEYS, "over"]).agg(day=seen.day.cast("date").argmax(seen.known_at))
    ended = latest.filter(latest.day >= latest.origin, latest.day < latest.over)
    return _flag(spine, ended.select(*KEYS).mutate(found=True), found=1)


def after_contacts(contacts: Table, orders: Table, window_days: int, as_of: date) -> Table:
    """What followed each contact, control included, in the `window_days` from its moment on; a row a contact.

    Columns: contact_id, bought (1 or 0), spent_cents (paid) and list_cents (before discounts), both of sales; returns
    are of no contact. Only contacts whose window was over before `as_of`, each counted as it was known at its end.
    """
    over = contacts.contacted_at + ibis.interval(days=window_days)
    held = contacts.mutate(over=over).select("contact_id", "customer_id", "contacted_at", "over")
    held = held.filter(held.over <= ibis.literal(as_of).cast("timestamp"))
    sales = known_before(orders.filter(orders.amount_cents >= 0), as_of)
    inside = [held.customer_id == sales.customer_id, sales.ordered_at >= held.contacted_at]
    found = held.join(sales, [*inside, is_known(sales.known_at, held.over)])
    by_contact = found.group_by("contact_id").agg(
        spent_cents=found.amount_cents.sum().cast("int64"),
        list_cents=(found.amount_cents + found.discount_cents.fill_null(0)).sum().cast("int64"),
    )
    marked = held.left_join(by_contact, "contact_id")
    return marked.select(
        "contact_id",
        bought=marked.spent_cents.notnull().cast("int8"),
        spent_cents=marked.spent_cents.fill_null(0),
        list_cents=marked.list_cents.fill_null(0),
    )


def responded(spine: Table, responses: Table, orders: Table, study: Study) -> Table:
    """1 for a response to the campaign in [origin, origin + horizon); the spine has `campaign_id` too.

    `response_cents` is what the responses were worth or, where the source does not say, what she bought on their days;
    null without a response.
    """
    over = spine.mutate(over=spine.origin + ibis.interval(days=study.horizon_days))
    told = known_before(responses, study.as_of)
    told = told.mutate(day=told.responded_at.date(), known=told.known_at.date())
    hers = over.join(told.select("customer_id", "campaign_id", "day", "known", "value_cents"), KEYS_OF_CONTACT)
    hers = hers.filter(hers.day >= hers.origin, is_known(hers.known, hers.over))
    worth = hers.group_by(*KEYS_OF_CONTACT, "origin").agg(cents=hers.value_cents.sum())
    sales = known_before(orders.filter(orders.amount_cents >= 0), study.as_of)
    sales = sales.mutate(day=sales.ordered_at.date(), known=sales.known_at.date())
    days = hers.select(*KEYS_OF_CONTACT, "origin", "over", "day").distinct()
    bought = days.join(sales.select("customer_id", "day", "known", "amount_cents"), ["customer_id", "day"])
    bought = bought.filter(is_known(bought.known, bought.over))
    spent = bought.group_by(*KEYS_OF_CONTACT, "origin").agg(spent=bought.amount_cents.sum())
    keys = [*KEYS_OF_CONTACT, "origin"]
    found = worth.left_join(spent, keys).select(*keys, "cents", "spent", found=ibis.literal(True))
    marked = spine.left_join(found, keys)
    return marked.select(
        *keys,
        outcome=ibis.ifelse(marked.found.isnull(), 0, 1).cast("int8"),
        response_cents=ibis.coalesce(marked.cents, marked.spent).cast("float64"),
    )


def _flag(spine: Table, found_pairs: Table, found: int) -> Table:
    marked = spine.left_join(found_pairs, KEYS)
    return marked.select(*KEYS, outcome=ibis.ifelse(marked.found.isnull(), 1 - found, found).cast("int8"))


def first_day(orders: Table, study: Study) -> date:
    """The day of the first order known before `as_of`: no window of history may begin before it."""
    known = known_before(orders, study.as_of)
    return known.aggregate(first=known.ordered_at.min()).to_pyarrow()["first"][0].as_py().date()


def repaid(spine: Table, instalments: Table, study: Study, past_due: int, indeterminate: int) -> Table:
    """Of each loan `most_days_late`, its most in [origin, origin + horizon), and `outcome`.

    1 (bad) from `past_due` days on; null from `indeterminate` days on, if those are fewer, for such a loan is neither;
    0 else. Null, too, in both columns for one of which no instalment was known by then: it was not taken up.
    """
    over = spine.select(*LOAN, over=spine.origin + ibis.interval(days=study.horizon_days))
    late = _days_late(_told_by(over, known_before(instalments, study.as_of)))
    worst = late.group_by(*LOAN).agg(most_days_late=ibis.greatest(late.late.max(), 0).cast("int64"))
    found = spine.select(*LOAN).left_join(worst, LOAN).drop(*(f"{name}_right" for name in LOAN))
    bad, unclear = found.most_days_late >= past_due, found.most_days_late >= indeterminate
    outcome = ibis.cases((found.most_days_late.isnull(), None), (bad, 1), (unclear, None), else_=0)
    return found.mutate(outcome=outcome.cast("int8"))


def delinquency(spine: Table, instalments: Table, as_of: date, months: int, month_days: int = 30) -> Table:
    """`days_past_due` of each loan at each month on book up to `months`, as known then: what the tables of roll rates
    and vintages are made of. Months that were not over before `as_of` are left out.
    """
    month = ibis.range(1, months + 1).unnest()
    at = spine.select(*LOAN, month=month)
    at = at.mutate(over=at.origin + (at.month * month_days).as_interval("D"))
    at = at.filter(at.over <= ibis.literal(as_of))
    late = _told_by(at, known_before(instalments, as_of), "month")
    behind = (late.paid_cents.fill_null(0) < late.due_cents) & (late.due < late.over)
    now = late.group_by(*LOAN, "month").agg(
        days_past_due=ibis.ifelse(behind, late.over.epoch_days() - late.due.epoch_days(), 0).max().cast("int64")
    )
    return now.order_by("application_id", "month")


def drawn(spine: Table, instalments: Table, as_of: date, rate: float) -> Table:
    """Of each loan `drawn_cents`: its planned instalments at their worth on the origin, at a nominal `rate` a year."""
    plan = _told_by(spine.select(*LOAN, over=ibis.literal(as_of)), known_before(instalments, as_of))
    return plan.group_by(*LOAN).agg(drawn_cents=_worth(plan.due_cents, plan, plan.origin, rate)).order_by(*LOAN)


def losses(spine: Table, instalments: Table, as_of: date, past_due: int, workout_days: int, rate: float) -> Table:
    """Of each loan that defaulted: `owed_cents`, the worth at default of the instalments still unpaid at a nominal
    `rate` a year, what `came_cents` of them in the `workout_days` after it, and `days_to_default` from the origin.

    The day of default is the first on which an instalment was `past_due` days late, in all that is known by `as_of`.
    Only loans whose workout was over by then.
    """
    told = known_before(instalments, as_of)
    late = _days_late(_told_by(spine.select(*LOAN, over=ibis.literal(as_of)), told))
    fell = late.filter(late.late >= past_due)
    fell = fell.group_by(*LOAN).agg(defaulted=fell.due.min() + ibis.interval(days=past_due))
    done = fell.mutate(over=fell.defaulted.cast("date") + ibis.interval(days=workout_days))
    done = done.filter(done.over <= ibis.literal(as_of)).cache()
    then = _told_by(done.select(*LOAN, over=done.defaulted.cast("date")), told)
    owed = then.group_by(*LOAN).agg(
        owed_cents=_worth(then.due_cents - then.paid_cents.fill_null(0), then, then.over, rate),
        paid_then=_cents(then.paid_cents.fill_null(0)),
    )
    end = _told_by(done.select(*LOAN, over=done.over), told)
    came = end.group_by(*LOAN).agg(paid_after=_cents(end.paid_cents.fill_null(0)))
    found = done.join(owed, LOAN).join(came, LOAN)
    return found.select(
        *LOAN,
        owed_cents=found.owed_cents,
        came_cents=found.paid_after - found.paid_then,
        days_to_default=found.defaulted.cast("date").epoch_days() - found.origin.epoch_days(),
    ).order_by(*LOAN)


def _worth(cents, told: Table, on, rate: float):
    """The sum of cents at their worth on a day, each rounded; what was due before it counts in full."""
    ahead = ibis.greatest(told.due.epoch_days() - on.epoch_days(), 0)
    return _cents((cents * (-rate * ahead / 365).exp()).round())


def _told_by(loans: Table, told: Table, *more: str) -> Table:
    """The latest row known before `over` of each instalment of each loan; `due` and `paid` as days."""
    rows = told.select("application_id", "due_at", "due_cents", "paid_cents", "known_at", paid=told.paid_at.date())
    seen = loans.join(rows, "application_id")
    seen = seen.filter(is_known(seen.known_at, seen.over))
    last = seen.group_by(*LOAN, *more, "over", "due_at").agg(
        **{name: seen[name].argmax(seen.known_at) for name in ("due_cents", "paid", "paid_cents")}
    )
    return last.mutate(due=last.due_at.date())


def _days_late(told: Table) -> Table:
    """`late`: days from the due day to full payment, or to `over` where that has not come; 0 where nothing is due."""
    full = told.paid_cents.fill_null(0) >= told.due_cents
    days = ibis.ifelse(full, told.paid, told.over).epoch_days() - told.due.epoch_days()
    return told.mutate(late=ibis.ifelse(full | (told.due < told.over), days, 0))


def _cents(of) -> ibis.Value:
    return of.cast("float64").sum().cast("int64")
