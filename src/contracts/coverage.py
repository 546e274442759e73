"""Whether a source reaches up to the day that a run stands on: else silence is the source's, not the customers'."""

from datetime import date, timedelta

from ibis.expr.types import Table

from contracts.boundary import known_before
from contracts.errors import Refused


def refuse_uncovered(orders: Table, as_of: date, horizon_days: int) -> None:
    """Raises `Refused` when the orders known before `as_of` stop a quarter of the horizon or more before it."""
    known = known_before(orders, as_of)
    last = known.aggregate(last=known.ordered_at.max()).to_pyarrow()["last"][0].as_py()
    patience = max(1, horizon_days // 4)
    if last is None or last.date() < as_of - timedelta(days=patience):
        found = "there are none" if last is None else f"the last is of {last.date()}"
        raise Refused(
            f"The orders must reach up to {as_of}, since every day without one counts as the customers' silence, but "
            f"{found}. Choose an as_of at most {patience} days after the last order, or bring newer data."
        )
