"""How a customer pays her loans back, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a planned instalment, or an application, known by then
Sees    applications and instalments with known_at before the origin. Of an instalment, the latest row known counts: a
        payment that reached us later had not been made. An instalment is due from the day after `due_at`, and past due
        until its cents are paid in full
Units   whole days and months, counts of instalments, integer cents, shares
Errors  none of its own
"""

import ibis
from ibis.expr.types import IntegerValue, Table

from features.as_of import KEYS, before, none_is_zero, number, ratio, still, total
from features.dictionary import column, windowed

WINDOWS = (90, 365)
_OF = {"reads": ("applications", "instalments")}
_NEVER = "never had a loan"
_NOT_DUE = "no instalment was due"
_NONE_THEN = "no instalment was due in the window"
LOANS = (
    column("loans", "loans", "count", _NEVER, "loans", **_OF),
    column("loans_running", "loans with something to pay", "count", _NEVER, "loans", **_OF),
    column("months_on_book", "whole months since the first loan was applied for", "count", _NEVER, "loans", **_OF),
    *windowed("instalments_due", "instalments due", WINDOWS, "count", _NEVER, "instalments", **_OF),
    *windowed("instalments_paid", "instalments due and paid in full", WINDOWS, "count", _NEVER, "instalments", **_OF),
    *windowed("paid_share", "share paid of what was due", WINDOWS, "share", _NONE_THEN, "instalments", **_OF),
    column("days_past_due", "days that the oldest unpaid instalment is past due", "days", _NEVER, "past due", **_OF),
    column("days_past_due_worst", "most days that an instalment was past due", "days", _NEVER, "past due", **_OF),
    *windowed(
        "days_past_due_worst",
        "most days past due of an instalment",
        WINDOWS,
        "days",
        _NEVER,
        "past due",
        **_OF,
    ),
    column("past_due_cents", "amount past due", "cents", _NEVER, "past due", **_OF),
    column("utilisation", "share of running loans still to pay", "share", "no loan is running", "utilisation", **_OF),
    column("in_full_share", "share of due instalments paid in full", "share", _NOT_DUE, "punctuality", **_OF),
    column("on_time_share", "share of due instalments paid in full on time", "share", _NOT_DUE, "punctuality", **_OF),
    column("partial_payments", "instalments first paid in part", "count", _NEVER, "punctuality", **_OF),
    column("days_since_payment", "days since the last payment", "days", "paid nothing yet", "instalments", **_OF),
)
_ASKED = {"reads": ("applications",)}
_NEVER_ASKED = "never applied"
APPLICATIONS = (
    *windowed("applications", "applications", WINDOWS, "count", _NEVER_ASKED, "applications", **_ASKED),
    column("days_since_application", "days since the last application", "days", _NEVER_ASKED, "applications", **_ASKED),
)


def applications(spine: Table, application_days: Table) -> Table:
    """The columns of `APPLICATIONS` beside the keys."""
    seen = before(spine, application_days)
    return seen.group_by(*KEYS).agg(
        **{f"applications_{w}": number(seen.age <= w) for w in WINDOWS},
        days_since_application=seen.age.min(),
    )


def loans(spine: Table, instalments_told: Table) -> Table:
    """The columns of `LOANS` beside the keys: instalments summed up to loans, loans to customers."""
    each = _by_loan(still(before(spine, instalments_told), "replaced"))
    running = each.left > 0
    sums = ("past_due_cents", "due", "in_full", "on_time", "partial_payments")
    windows = [
        f"{what}_{w}" for what in ("instalments_due", "instalments_paid", "due_cents", "paid_cents") for w in WINDOWS
    ]
    made = each.group_by(*KEYS).agg(
        loans=each.count(),
        loans_running=number(running),
        days_on_book=each.days_on_book.max(),
        days_past_due=each.days_past_due.max(),
        days_past_due_worst=each.days_past_due_worst.max(),
        **{f"days_past_due_worst_{w}": each[f"days_past_due_worst_{w}"].max() for w in WINDOWS},
        days_since_payment=each.days_since_payment.min(),
        left=none_is_zero(each.left, running),
        planned=none_is_zero(each.planned, running),
        **{name: total(each[name]) for name in (*sums, *windows)},
    )
    return made.mutate(
        months_on_book=_months(made.days_on_book),
        utilisation=ratio(made.left, made.planned),
        in_full_share=ratio(made.in_full, made.due),
        on_time_share=ratio(made.on_time, made.due),
        **{f"paid_share_{w}": ratio(made[f"paid_cents_{w}"], made[f"due_cents_{w}"]) for w in WINDOWS},
    ).select(*KEYS, *(c.name for c in LOANS))


def _by_loan(seen: Table) -> Table:
    """One row for each pair and loan, from the latest known row of each of its instalments."""
    seen = seen.mutate(paid_cents=seen.paid_cents.fill_null(0), paid_age=seen.at - seen.paid)
    seen = seen.mutate(
        full=seen.paid_cents >= seen.due_cents,
        left=ibis.greatest(seen.due_cents - seen.paid_cents, 0),
        counted=ibis.least(seen.paid_cents, seen.due_cents),
    )
    due, open_ = seen.age >= 1, (seen.age >= 1) & ~seen.full
    # what is paid was late by then; what is not, is late still
    late = seen.full.ifelse(ibis.greatest(seen.paid - seen.day, 0), seen.age)
    lasted = open_ | seen.full
    then = {w: due & (seen.age <= w) for w in WINDOWS}
    reached = {w: open_ | (seen.full & (seen.paid_age <= w)) for w in WINDOWS}
    return seen.group_by(*KEYS, "application_id").agg(
        days_on_book=(seen.at - seen.applied).max(),
        planned=total(seen.due_cents),
        left=total(seen.left),
        days_past_due=_most(seen.age, open_),
        days_past_due_worst=_most(late, lasted),
        **{f"days_past_due_worst_{w}": _most(late, reached[w]) for w in WINDOWS},
        past_due_cents=none_is_zero(seen.left, open_),
        due=number(due),
        in_full=number(due & seen.full),
        on_time=number(due & seen.full & (seen.paid <= seen.day)),
        partial_payments=number(seen.once_partial),
        days_since_payment=seen.paid_age.min(where=seen.paid_cents > 0),
        **{f"instalments_due_{w}": number(then[w]) for w in WINDOWS},
        **{f"instalments_paid_{w}": number(then[w] & seen.full) for w in WINDOWS},
        **{f"due_cents_{w}": none_is_zero(seen.due_cents, then[w]) for w in WINDOWS},
        **{f"paid_cents_{w}": none_is_zero(seen.counted, then[w]) for w in WINDOWS},
    )


def _most(days: IntegerValue, where) -> IntegerValue:
    return days.max(where=where).fill_null(0)


def _months(days: IntegerValue) -> IntegerValue:
    """Whole months of days: 4,800 months are 400 years are 146,097 days."""
    return days * 4800 // 146097
