"""What each column of features means: the words that reports and reasons are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of features.

    name     as in the table
    meaning  what it says of a customer at the origin, as words that a number can follow
    unit     days, cents, share, ratio, count, score, flag or category
    null     what a missing value means
    topic    columns of one topic say nearly the same thing; a reason is given once for a topic
    window   the days before the origin that it looks at; None for all history
    reads    the raw tables it is made of
    """

    name: str
    meaning: str
    unit: str
    null: str
    topic: str
    window: int | None
    reads: tuple[str, ...]

    def say(self, value) -> str:
        """The column with a value, in words: `days since the last purchase: 34`."""
        return f"{self.meaning}: {_said(value, self.unit)}"


def column(name: str, meaning: str, unit: str, null: str, topic: str, window: int | None = None, *, reads) -> Column:
    """A column over all history, or over a window that its meaning names."""
    return Column(name, meaning, unit, null, topic, window, reads)


def windowed(
    name: str, meaning: str, windows: Iterable[int], unit: str, null: str, topic: str, *, reads
) -> tuple[Column, ...]:
    """One column for each window of days, `{name}_{days}`, its meaning with the window said."""
    return tuple(Column(f"{name}_{w}", f"{meaning} in the last {w} days", unit, null, topic, w, reads) for w in windows)


def declared(attributes: Mapping[str, str], table: str) -> tuple[Column, ...]:
    """One column for each declared attribute of a raw table; a date is told as its days before the origin, and a number
    whose name ends with `_cents` as money.
    """
    units = {
        "number": "count", "money": "cents", "category": "category", "region": "category", "flag": "flag",
        "date": "days",
    }  # fmt: skip
    known = {n: "money" if k == "number" and n.endswith("_cents") else k for n, k in attributes.items() if k in units}
    told = {n: (n.removesuffix("_cents" if k == "money" else "").replace("_", " "), k) for n, k in known.items()}
    return tuple(
        Column(
            name,
            f"days since {said}" if kind == "date" else said,
            units[kind],
            "not told",
            said,
            None,
            (table,),
        )
        for name, (said, kind) in told.items()
    )


def _said(value, unit: str) -> str:
    if value is None or value != value:
        return "none"
    if unit == "category":
        return str(value)
    if unit == "flag":
        return "yes" if value else "no"
    if unit == "cents":
        return f"{value / 100:,.2f}"
    if unit == "share":
        return f"{value:.0%}"
    if unit == "ratio":
        return f"{value:.2f}"
    return f"{value:,.1f}".removesuffix(".0")
