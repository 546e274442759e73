"""Day tables: each event counted once, into what happened on a day and became known on a day.

They are sums of raw rows, so that the tables of two spans of `known` together are the table of both: the daily job
appends to them, and all blocks read them instead of raw rows. Days are counted since 1970.

order_days    customer, order, day, known, store, channel: lines, spend, discount, lines by time of day, returns
product_days  customer, product, day, known: units in thousandths, spend
contact_days  customer, campaign, channel, arm, day, known: contacts; whether the arm is `control`
response_days    customer, campaign, day, known: value
visit_days    customer, step, day, known: visits
survey_days   customer, day, known: answers, their score in thousandths
application_days, instalment_days, case_days, profile_days    the raw rows, of which the latest known decides
"""

from collections.abc import Mapping

import ibis
from ibis.expr.types import Table, Value

from features.as_of import day_number, none_is_zero, number, stamped, total

CONTROL = "control"  # the arm of those who were to be contacted, but were not


def day_tables(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The day tables that these raw tables can feed, by name."""
    days = {}
    if "orders" in tables:
        days["order_days"] = order_days(tables["orders"])
        days["product_days"] = product_days(tables["orders"])
    return days | {name: make(tables[raw]) for name, (raw, make) in _OTHERS.items() if raw in tables}


def unsummed(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The same to be read once: lines sold are not summed by product, which takes longer than to read them all."""
    lines = {"product_days": product_lines(tables["orders"])} if "orders" in tables else {}
    return day_tables(tables) | lines


def sales(orders: Table) -> Table:
    """The order lines that are no returns: a return has a negative amount and is no purchase."""
    return orders.filter(orders.amount_cents >= 0)


def order_days(orders: Table) -> Table:
    """Sales and returns of each order; amounts and discounts in cents, returned cents positive."""
    lines = stamped(orders, "ordered_at").mutate(sold=orders.amount_cents >= 0, hour=orders.ordered_at.hour())
    places = [name for name in ("store_id", "channel") if name in orders.columns]
    sums = lines.group_by("customer_id", "order_id", "day", "known", *places).agg(
        lines=number(lines.sold),
        spend_cents=total(ibis.greatest(lines.amount_cents, 0)),
        discount_cents=none_is_zero(lines.discount_cents, lines.sold),
        morning=number(lines.sold & (lines.hour < 12)),
        evening=number(lines.sold & (lines.hour >= 18)),
        all_lines=lines.count(),
        net_cents=total(lines.amount_cents),
    )
    returned = {"returned_lines": sums.all_lines - sums.lines, "returned_cents": sums.spend_cents - sums.net_cents}
    return sums.mutate(**returned).drop("all_lines", "net_cents")


def product_days(orders: Table) -> Table:
    """What a customer bought of each product on a day."""
    lines = product_lines(orders)
    sums = {name: total(lines[name]) for name in ("thousandths", "spend_cents") if name in lines.columns}
    return lines.group_by("customer_id", "product_id", "day", "known").agg(**sums)


def product_lines(orders: Table) -> Table:
    """The same columns of each line sold; one without a quantity counts one unit."""
    lines = stamped(sales(orders), "ordered_at")
    return lines.select("customer_id", "product_id", "day", "known", **_units(lines), spend_cents=lines.amount_cents)


def _units(lines: Table) -> dict[str, Value]:
    """Units sold in thousandths, where the quantity is read."""
    if "quantity" not in lines.columns:
        return {}
    thousandths = lines.quantity * 1000
    whole = lines.quantity.type().is_integer()
    return {"thousandths": (thousandths if whole else thousandths.round().cast("int64")).fill_null(1000)}


def contact_days(contacts: Table) -> Table:
    """Contacts by campaign; without the columns `channel` and `arm` they are null, and nobody is control."""
    channel, arm = _or_null(contacts, "channel", "string"), _or_null(contacts, "arm", "string")
    sent = stamped(contacts.mutate(channel=channel, arm=arm), "contacted_at")
    control = (sent.arm == CONTROL).fill_null(False)
    return sent.group_by("customer_id", "campaign_id", "channel", "arm", "day", "known", control=control).agg(
        contacts=sent.count()
    )


def response_days(responses: Table) -> Table:
    """Responses by campaign, and their value in cents; null where none is known."""
    back = stamped(responses.mutate(value_cents=_or_null(responses, "value_cents", "int64")), "responded_at")
    return back.group_by("customer_id", "campaign_id", "day", "known").agg(value_cents=total(back.value_cents))


def visit_days(visits: Table) -> Table:
    """Visits by the step they ended at."""
    seen = stamped(visits, "visited_at")
    return seen.group_by("customer_id", "step", "day", "known").agg(visits=seen.count())


def survey_days(surveys: Table) -> Table:
    """Answers, and the sum of their scores as whole thousandths."""
    told = stamped(surveys, "answered_at")
    score = (told.score.cast("float64") * 1000).round().cast("int64")
    return told.group_by("customer_id", "day", "known").agg(answers=told.count(), score_thousandths=total(score))


def application_days(applications: Table) -> Table:
    """Applications as they are."""
    return stamped(applications, "applied_at").select("application_id", "customer_id", "day", "known")


def instalment_days(instalments: Table) -> Table:
    """Each instalment at each `known_at`; `day` is when it is due, `paid` when it was paid, in full or in part."""
    rows = stamped(instalments, "due_at").mutate(paid=day_number(instalments.paid_at))
    return rows.select("application_id", "due_at", "day", "due_cents", "paid", "paid_cents", "known", "known_at")


def case_days(cases: Table) -> Table:
    """Each case at each `known_at`; `day` is when it was opened, `closed` when it was closed."""
    rows = stamped(cases, "opened_at")
    rows = rows.mutate(closed=day_number(rows.closed_at), kind=_or_null(rows, "kind", "string"))
    return rows.select("case_id", "customer_id", "kind", "day", "closed", "known", "known_at")


def profile_days(customers: Table) -> Table:
    """Each customer at each `known_at`, with all that is told of her."""
    return customers.mutate(known=day_number(customers.known_at))


def _or_null(table: Table, name: str, dtype: str):
    return table[name] if name in table.columns else ibis.null(dtype)


_OTHERS = {
    "contact_days": ("contacts", contact_days),
    "response_days": ("responses", response_days),
    "visit_days": ("visits", visit_days),
    "survey_days": ("surveys", survey_days),
    "application_days": ("applications", application_days),
    "instalment_days": ("instalments", instalment_days),
    "case_days": ("cases", case_days),
    "profile_days": ("customers", profile_days),
}
