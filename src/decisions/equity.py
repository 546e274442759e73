"""What customers are worth: money today and to come, less what serving them costs; in total, by segment, day by day.

past       margin already earned, in whole cents
present    margin of what is expected in the horizon
potential  margin of what is expected after it, discounted to today
equity     present and potential of the customers there are; what was earned is not earned again

Arrays are of shape (n,), one entry a customer, in cents. Sums are of whole cents, so that segments add up to the total
and a statement to its closing line, to the cent.

Gupta & Lehmann (2003), Customers as Assets, Journal of Interactive Marketing 17(1); Blattberg, Getz & Thomas (2001),
Customer Equity. Wiesel, Skiera & Villanueva (2008), Customer Equity: An Integral Part of Financial Reporting, Journal
of Marketing 72(2): the statement.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from contracts.errors import Refused

LINES = ("opening", "new", "lost", "repriced", "closing")


@dataclass(frozen=True)
class Terms:
    """What is left of a sale, and what it costs to have a customer.

    margin         share of an amount that is left after the goods, in [0, 1]
    serve_cents    to serve one purchase
    acquire_cents  to win a new customer

    Raises `Refused` for a margin outside [0, 1] or a negative cost.
    """

    margin: float = 1.0
    serve_cents: float = 0.0
    acquire_cents: float = 0.0

    def __post_init__(self):
        if not 0 <= self.margin <= 1:
            raise Refused(f"margin must be a share from 0 to 1, but is {self.margin}. Give 0.3 for 30 %.")
        for name in ("serve_cents", "acquire_cents"):
            if getattr(self, name) < 0:
                raise Refused(f"{name} must not be negative, but is {getattr(self, name)}. Give what it costs.")

    def earned(self, amount, purchases) -> np.ndarray:
        """Margin of amounts, less the cost of serving their purchases; cents."""
        return self.margin * np.asarray(amount) - self.serve_cents * np.asarray(purchases)

    def share(self, price) -> np.ndarray:
        """What is left of each cent that a customer spends whose mean purchase is `price`; may be below zero."""
        return self.margin - self.serve_cents / np.maximum(np.asarray(price, dtype=float), 1e-9)


def whole_cents(value) -> np.ndarray:
    """Amounts rounded to whole cents, int64; raises `Refused` for one that is missing or infinite."""
    value = np.asarray(value, dtype=float)
    odd = ~np.isfinite(value)
    if odd.any():
        raise Refused(
            f"A value must be a number of cents, but is not for {odd.sum():,} of {value.size:,} customers, first at "
            f"position {int(np.argmax(odd))}. Correct the model before it is added up."
        )
    return np.rint(value).astype(np.int64)


def customer_equity(values: pd.DataFrame, segment: str) -> pd.DataFrame:
    """One row a segment in the order of its names, and `total` last: customers, past, present, potential, equity.

    values  customer_id, the column named by `segment`, and past, present and potential in whole cents
    """
    parts = ["past", "present", "potential"]
    cents = values.assign(
        **{part: whole_cents(values[part]) for part in parts}, segment=values[segment].fillna("not told")
    )
    by = cents.groupby("segment", sort=True).agg(
        customers=("customer_id", "size"), **{part: (part, "sum") for part in parts}
    )
    by.loc["total"] = by.sum()
    return by.assign(equity=by.present + by.potential).astype("int64").rename_axis("segment").reset_index()


def of_new_customer(expected_value: float, terms: Terms) -> int:
    """What a customer to be won is worth after she was paid for, whole cents; below zero: she costs more."""
    return int(whole_cents(expected_value - terms.acquire_cents))


def roll_forward(
    opening: pd.DataFrame, closing: pd.DataFrame, segment: str | None = None, silent: Collection = ()
) -> pd.DataFrame:
    """The statement between two days: what customers were worth, who came, who left, whose value changed.

    opening, closing  customer_id and value (cents) of those who were customers on either day, each once; with a
                      `segment`, a column of that name, of which the opening one counts for who was there on both
    silent            customers who bought nothing in between: nobody reports leaving, so that what the value of these
                      fell by is lost, too, and not repriced

    One row a segment in order and `total` last: opening + new - lost + repriced = closing, in whole cents, `lost` as a
    positive number. Raises `Refused` for a customer who is there twice on one day.
    """
    both = _once(opening, "opening", segment).merge(_once(closing, "closing", segment), on="customer_id", how="outer")
    was, will = both.opening.notna(), both.closing.notna()
    before, after = both.opening.fillna(0).astype("int64"), both.closing.fillna(0).astype("int64")
    gone = will & both.customer_id.isin(silent) & (after < before)
    lines = pd.DataFrame(
        {
            "opening": before,
            "new": after.where(~was, 0),
            "lost": before.where(~will, 0) + (before - after).where(gone, 0),
            "repriced": (after - before).where(was & will & ~gone, 0),
            "closing": after,
        }
    )
    if segment is None:
        return lines.sum().astype("int64").to_frame().T.assign(segment="total")[["segment", *LINES]]
    lines["segment"] = both.segment_opening.where(was, both.segment_closing).fillna("not told")
    by = lines.groupby("segment", sort=True)[list(LINES)].sum()
    by.loc["total"] = by.sum()
    return by.astype("int64").rename_axis("segment").reset_index()


def _once(values: pd.DataFrame, day: str, segment: str | None) -> pd.DataFrame:
    twice = values.customer_id.duplicated()
    if twice.any():
        raise Refused(
            f"A customer must be there once in the {day} values, but {twice.sum():,} of {len(values):,} rows are "
            f"repeated, first customer {values.customer_id[twice].iloc[0]}. Add them up first."
        )
    kept = pd.DataFrame({"customer_id": values.customer_id, day: whole_cents(values.value)})
    return kept if segment is None else kept.assign(**{f"segment_{day}": values[segment]})
