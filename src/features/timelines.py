"""Timelines: the rows of day tables, each with what came before it and what replaces it.

purchase_days     customer, day, known: baskets, lines, spend ... of a day; `first` where it made it a purchase day; the
                  `gap` to the purchase day before; `tangled` for a customer whose days became known out of order
last_products     customer, day, known, replaced: how many `things` were last bought on that day, as it was known from
                  `known` until `replaced`
last_stores       likewise
category_days     customer, category, day, known: units in thousandths, spend, spend on own brands; categories are
                  numbered by name, as `category_names` says
new_categories    customer, category: the day it was bought on when that first became known
channel_days      customer, channel, day, known: baskets, each on the day of its part known first
last_answers      customer, day, known, replaced: how many campaigns (`things`) were last answered on that day
campaign_answers  customer, campaign: the day it reached her by what was known first, `known`, and when an answer to it
                  became known, `answered`
instalments_told, cases_told, profiles    the rows, each with `replaced`, the day when the next one became known
"""

from collections.abc import Mapping

import ibis
from ibis import _
from ibis.expr.types import Table

from features.as_of import day_number, total

ROOM = 2**20  # more than there are days or categories: two of them fit into one whole number, which compares fast
THINGS = {
    "last_products": ("product_days", "product_id"),
    "last_answers": ("response_days", "campaign_id"),
}


def timelines(days: Mapping[str, Table], tables: Mapping[str, Table]) -> dict[str, Table]:
    """The day tables and the timelines that they can feed, by name; of the raw tables, `products` is read."""
    made = dict(days)
    if "order_days" in days:
        made["purchase_days"] = purchase_days(days["order_days"])
        made["last_stores"] = last_bought(days["order_days"].filter(_.lines > 0), "store_id")
    if "product_days" in days and "products" in tables:
        made["category_names"] = category_names(tables["products"])
        made["category_days"] = category_days(days["product_days"], tables["products"])
        made["new_categories"] = new_categories(made["category_days"])
    for name, (rows, thing) in THINGS.items():
        if rows in days:
            made[name] = last_bought(days[rows], thing)
    if "order_days" in days:
        made["channel_days"] = channel_days(days["order_days"])
    return made | _answers(days) | _told_anew(days)


def category_names(products: Table) -> Table:
    """The number of each category, in the order of names."""
    names = products.filter(products.category.notnull()).select("category").distinct()
    return names.select(name=names.category, category=ibis.row_number().over(order_by=names.category))


def category_days(product_days: Table, products: Table) -> Table:
    """Sales by category; they are known in it once the sale and the product are, and count nowhere without one.

    An own brand is told by the products' optional column `own_brand`.
    """
    own = products.own_brand if "own_brand" in products.columns else ibis.null("boolean")
    named = products.filter(products.category.notnull())
    named = named.select(
        "product_id",
        category=ibis.dense_rank().over(order_by=named.category),
        own=own.fill_null(False).cast("int64"),
        named=day_number(products.known_at),
    )
    sold = product_days.join(named, "product_id")
    sold = sold.mutate(known=ibis.greatest(sold.known, sold.named))
    return sold.group_by("customer_id", "category", "day", "known").agg(
        thousandths=total(_.thousandths), spend_cents=total(_.spend_cents), own_cents=total(_.spend_cents * _.own)
    )


def purchase_days(order_days: Table) -> Table:
    """One row for each customer, purchase day and day on which a part of it became known. No returns."""
    sold = order_days.filter(order_days.lines > 0)
    parts = ibis.window(group_by=["customer_id", "order_id"], order_by=["known", "day", "store_id", "channel"])
    sold = sold.mutate(opens=ibis.row_number().over(parts) == 0)
    days = sold.group_by("customer_id", "day", "known").agg(
        baskets=_.count(where=_.opens),
        lines=total(_.lines),
        spend_cents=total(_.spend_cents),
        discount_cents=total(_.discount_cents),
        morning=total(_.morning),
        evening=total(_.evening),
    )
    return _with_gaps(days)


def _with_gaps(days: Table) -> Table:
    """Gaps between days, where all became known in order; who is `tangled` must have them counted at each origin."""
    mine = {"group_by": "customer_id", "order_by": ["day", "known"]}
    days = days.mutate(
        earlier=days.day.lag().over(ibis.window(**mine)),
        latest_known=days.known.max().over(ibis.window(**mine, preceding=(None, 1))),
    )
    days = days.mutate(
        first=days.earlier.isnull() | (days.earlier < days.day),
        gap=(days.day - days.earlier).nullif(0),
        overtaken=(days.known < days.latest_known).fill_null(False).cast("int8"),
    )
    tangled = days.overtaken.max().over(ibis.window(group_by="customer_id")) > 0
    return days.mutate(tangled=tangled).drop("earlier", "latest_known", "overtaken")


def last_bought(rows: Table, thing: str) -> Table:
    """On which day things were last bought, as known in a span of time.

    A thing bought again counts at its later day only, from when that became known. So the different things of a window
    are the sum of `things` over those rows of the window that nothing has replaced: no list of things is kept.
    """
    seen = rows.filter(rows[thing].notnull()).select("customer_id", thing, "day", "known")
    mine = {"group_by": ["customer_id", thing], "order_by": ["known", "day"]}
    # one that became known after a later one changes nothing: the latest day so far stands for it
    seen = seen.mutate(
        day=seen.day.max().over(ibis.window(**mine, preceding=(None, 0))),
        replaced=seen.known.lead().over(ibis.window(**mine)),
    )
    return seen.group_by("customer_id", "day", "known", "replaced").agg(things=_.count())


def new_categories(category_days: Table) -> Table:
    """One row for each customer and category: when it first became known, and the earliest day known then."""
    first = category_days.group_by("customer_id", "category").agg(at=(_.known * ROOM + _.day).min())
    return first.select("customer_id", "category", day=first.at % ROOM, known=first.at // ROOM)


def channel_days(order_days: Table) -> Table:
    """Baskets by channel; one that became known in parts counts from the first of them on."""
    sold = order_days.filter((order_days.lines > 0) & order_days.channel.notnull())
    parts = sold.group_by("customer_id", "order_id", "channel").agg(at=(_.known * ROOM + _.day).min())
    days = parts.mutate(day=parts.at % ROOM, known=parts.at // ROOM)
    return days.group_by("customer_id", "channel", "day", "known").agg(baskets=_.count())


def campaign_answers(contact_days: Table, response_days: Table) -> Table:
    """One row for each customer and campaign that reached her; an answer to no such campaign counts nowhere."""
    reached = contact_days.filter(~contact_days.control)
    reached = reached.group_by("customer_id", "campaign_id").agg(at=(_.known * ROOM + _.day).min())
    back = response_days.group_by("customer_id", "campaign_id").agg(back=_.known.min())
    both = reached.left_join(back, ["customer_id", "campaign_id"])
    known = reached.at // ROOM
    return both.select(
        "customer_id",
        "campaign_id",
        day=reached.at % ROOM,
        known=known,
        answered=back.back.isnull().ifelse(None, ibis.greatest(known, back.back)),
    )


def told_anew(rows: Table, *key: str) -> Table:
    """Rows of which the latest known counts, each with `replaced`: null for the last of its key."""
    nxt = rows.known.lead().over(ibis.window(group_by=list(key), order_by="known_at"))
    return rows.mutate(replaced=nxt)


def instalments_told(instalment_days: Table, application_days: Table) -> Table:
    """Instalments of each customer's loans, known once both are; `once_partial` where one was known as paid in part."""
    loans = application_days.select("application_id", "customer_id", applied="day", asked="known")
    rows = instalment_days.join(loans, "application_id")
    rows = rows.mutate(
        known=ibis.greatest(rows.known, rows.asked),
        partial=((rows.paid_cents > 0) & (rows.paid_cents < rows.due_cents)).fill_null(False).cast("int8"),
    )
    so_far = ibis.window(group_by=["application_id", "due_at"], order_by="known_at", preceding=(None, 0))
    rows = rows.mutate(once_partial=rows.partial.max().over(so_far) > 0)
    return told_anew(rows, "application_id", "due_at")


def _answers(days: Mapping[str, Table]) -> dict[str, Table]:
    if not days.keys() >= {"contact_days", "response_days"}:
        return {}
    return {"campaign_answers": campaign_answers(days["contact_days"], days["response_days"])}


def _told_anew(days: Mapping[str, Table]) -> dict[str, Table]:
    made = {}
    if days.keys() >= {"instalment_days", "application_days"}:
        made["instalments_told"] = instalments_told(days["instalment_days"], days["application_days"])
    if "case_days" in days:
        made["cases_told"] = told_anew(days["case_days"], "case_id")
    if "profile_days" in days:
        made["profiles"] = told_anew(days["profile_days"], "customer_id")
    return made
