"""Timelines: the rows of day tables, each with what came before it and what replaces it.

purchase_days     customer, day, known: baskets, lines, spend ... of a day; `first` where it made it a purchase day; the
                  `gap` to the purchase day before, and the day when that is `settled`, since all until then is known
product_categories    product: its category, numbered by name as `category_names` says; `own`, 1 for an own brand, and
                  `named`, the day when all that became known
new_categories    customer, category: the day it was bought on when that first became known
channel_days      customer, channel, day, known: baskets, each on the day of its part known first
campaign_answers  customer, campaign: the day it reached her by what was known first, `known`, and when an answer to it
                  became known, `answered`
instalments_told, cases_told, profiles    the rows, each with `replaced`, the day when the next one became known
"""

from collections.abc import Mapping

import ibis
from ibis import _
from ibis.expr.types import Table

from features.as_of import ROOM, day_number, number, total


def timelines(days: Mapping[str, Table], tables: Mapping[str, Table]) -> dict[str, Table]:
    """The day tables and the timelines that they can feed, by name; of the raw tables, `products` is read."""
    made = dict(days)
    if "order_days" in days:
        made["purchase_days"] = purchase_days(days["order_days"])
        if "channel" in days["order_days"].columns:
            made["channel_days"] = channel_days(days["order_days"])
    if "product_days" in days and "products" in tables:
        made["category_names"] = category_names(tables["products"])
        made["product_categories"] = product_categories(tables["products"])
        made["new_categories"] = new_categories(days["product_days"], made["product_categories"])
    return made | _answers(days) | _told_anew(days)


def category_names(products: Table) -> Table:
    """The number of each category, in the order of names."""
    names = products.filter(products.category.notnull()).select("category").distinct()
    return names.select(name=names.category, category=ibis.row_number().over(order_by=names.category))


def product_categories(products: Table) -> Table:
    """The category of each product that has one. An own brand is told by the optional column `own_brand`."""
    own = products.own_brand if "own_brand" in products.columns else ibis.null("boolean")
    named = products.filter(products.category.notnull())
    return named.select(
        "product_id",
        category=ibis.dense_rank().over(order_by=named.category),
        own=own.fill_null(False).cast("int64"),
        named=day_number(named.known_at),
    )


def in_categories(product_days: Table, product_categories: Table) -> Table:
    """Sales with their category: they are known in it once the sale and the product are, and nowhere without one."""
    sold = product_days.join(product_categories, "product_id")
    return sold.mutate(known=ibis.greatest(sold.known, sold.named)).drop("named")


def purchase_days(order_days: Table) -> Table:
    """One row for each customer, purchase day and day on which a part of it became known. No returns."""
    sold = order_days.filter(order_days.lines > 0)
    # which of an order's parts of one day known opens it is all the same: they are one row of what follows
    parts = ibis.window(group_by=["customer_id", "order_id"], order_by=sold.known * ROOM + sold.day)
    sold = sold.mutate(opens=ibis.row_number().over(parts) == 0)
    days = sold.group_by("customer_id", "day", "known").agg(
        baskets=number(_.opens),
        lines=total(_.lines),
        spend_cents=total(_.spend_cents),
        discount_cents=total(_.discount_cents),
        morning=total(_.morning),
        evening=total(_.evening),
    )
    return _with_gaps(days)


def _with_gaps(days: Table) -> Table:
    """Gaps between days as they are once all days until then are known: on the day `settled`, `known` for most."""
    mine = {"group_by": "customer_id", "order_by": days.day * ROOM + days.known}
    days = days.mutate(
        earlier=days.day.lag().over(ibis.window(**mine)),
        settled=days.known.max().over(ibis.window(**mine, preceding=(None, 0))),
    )
    return days.mutate(
        first=days.earlier.isnull() | (days.earlier < days.day), gap=(days.day - days.earlier).nullif(0)
    ).drop("earlier")


def new_categories(product_days: Table, product_categories: Table) -> Table:
    """One row for each customer and category: when it first became known, and the earliest day known then."""
    sold = in_categories(product_days, product_categories)
    first = sold.group_by("customer_id", "category").agg(at=(sold.known * ROOM + sold.day).min())
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
