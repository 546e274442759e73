"""The one boundary: what is known at an origin is what reached us before it. Written here, and nowhere else."""

from datetime import date

from ibis.expr.types import BooleanValue, Table


def is_known(known, origin) -> BooleanValue:
    """Whether what became known at `known` may be used at `origin`: both times or dates, or both numbers of days.

    An origin stands at 00:00 of its day, so that what reached us on that day is not known yet.
    """
    return known < origin


def known_before(table: Table, origin: date) -> Table:
    """The rows of a raw table that could be read at 00:00 on `origin`."""
    return table.filter(is_known(table.known_at, origin))
