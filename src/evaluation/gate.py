"""A check and how it ended: the rows that a gate is made of."""

from typing import NamedTuple


class Check(NamedTuple):
    """One row of a gate.

    what     the question, in a few words
    limit    what was promised, before looking
    found    the value, with the ends of its 95% interval (NaN where it has none)
    passed   None where there is not enough data to judge, which is not a pass
    note     what a reader must know beside it
    """

    what: str
    limit: str
    found: float
    low: float
    high: float
    passed: bool | None
    note: str = ""
