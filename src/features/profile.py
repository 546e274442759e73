"""What a customer has told of herself, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a row of `customers` known by then
Sees    the latest row of `customers` with known_at before the origin
Units   as declared: a number, a category, a region, a flag or a date (as days before the origin)
Errors  none of its own
"""

from collections.abc import Mapping

from ibis.expr.types import Table

from features.as_of import KEYS, known, still


def profile(spine: Table, profiles: Table, attributes: Mapping[str, str]) -> Table:
    """The declared attributes beside the keys."""
    return in_days(still(known(spine, profiles), "replaced"), attributes).select(*KEYS, *attributes)


def in_days(rows: Table, attributes: Mapping[str, str]) -> Table:
    """Each declared date as its whole days before the row's origin; negative for one to come."""
    days = {
        name: rows.origin.epoch_days() - rows[name].cast("date").epoch_days()
        for name, kind in attributes.items()
        if kind == "date"
    }
    return rows.mutate(**days) if days else rows
