"""What a customer has told of herself, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a row of `customers` known by then
Sees    the latest row of `customers` with known_at before the origin
Units   as declared: a number, a category, a flag or a date (as days before the origin)
Errors  none of its own
"""

from collections.abc import Mapping

import ibis
from ibis.expr.types import Table

from features.as_of import KEYS, known


def profile(spine: Table, customers: Table, attributes: Mapping[str, str]) -> Table:
    """The declared attributes beside the keys; rows with the same known_at cannot be (contracts.tables)."""
    told = customers.select("customer_id", "known_at", *attributes)
    seen = known(spine, told)
    latest = ibis.row_number().over(group_by=list(KEYS), order_by=ibis.desc("known_at"))
    seen = seen.mutate(nth=latest).filter(lambda t: t.nth == 0)
    return in_days(seen, attributes).select(*KEYS, *attributes)


def in_days(rows: Table, attributes: Mapping[str, str]) -> Table:
    """Each declared date as its whole days before the row's origin; negative for one to come."""
    days = {
        name: rows.origin.epoch_days() - rows[name].cast("date").epoch_days()
        for name, kind in attributes.items()
        if kind == "date"
    }
    return rows.mutate(**days) if days else rows
