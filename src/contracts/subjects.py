"""What names a row of a training table, of test rows and of scores: whom it is about, and as of which day."""

from collections.abc import Iterable

KEYS = ("origin", "customer_id", "application_id", "campaign_id")  # rows are sorted by them, in this order


def keys_of(columns: Iterable[str]) -> list[str]:
    """Those of `KEYS` that a table has, in their order.

    A customer at an origin, and where one customer is asked about more than once there, the application or campaign.
    """
    there = set(columns)
    return [name for name in KEYS if name in there]
