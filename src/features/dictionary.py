"""What each column of features means: the words that reports and reasons are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of features.

    name     as in the table
    meaning  what it says of a customer at the origin, as words that a number can follow
    unit     days, cents, share, ratio, count, flag or category
    null     what a missing value means
    reads    the raw tables it is made of
    topic    columns of one topic say nearly the same thing; a reason is given once for a topic
    """

    name: str
    meaning: str
    unit: str
    null: str
    reads: tuple[str, ...]
    topic: str

    def say(self, value) -> str:
        """The column with a value, in words: `days since the last purchase: 34`."""
        return f"{self.meaning}: {_said(value, self.unit)}"


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


def declared(attributes: Mapping[str, str], table: str) -> tuple[Column, ...]:
    """One column for each declared attribute of a raw table; a date is told as its days before the origin."""
    units = {"number": "count", "category": "category", "flag": "flag", "date": "days"}
    said = {name: name.replace("_", " ") for name in attributes}
    return tuple(
        Column(
            name,
            f"days since {said[name]}" if kind == "date" else said[name],
            units[kind],
            "not told",
            (table,),
            said[name],
        )
        for name, kind in attributes.items()
    )


def windowed(name: str, meaning: str, windows: Iterable[int], **others) -> tuple[Column, ...]:
    """One column for each window of days, `{name}_{days}`, its meaning with the window said."""
    return tuple(Column(f"{name}_{w}", f"{meaning} in the last {w} days", **others) for w in windows)
