"""Tables as CSV that a spreadsheet may open: no text in them is taken for a formula.

A cell that begins with one of the characters below is one to a spreadsheet, wherever the text came from: a customer's
name can fetch a page or start a program. Such a text gets an apostrophe before it, as OWASP advises for CSV injection.
Numbers stay as they are, also written with a sign, with their interval beside them.
"""

import csv
import re
from pathlib import Path

import pandas as pd

from contracts.files import whole

STARTS = re.compile(r"^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
NUMBERS = re.compile(r"[+-]?[0-9](to|and|[-+0-9.,:%()\u2013 ])*")


def defused(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before each text, and each column's name, that would be a formula."""
    found = table.copy(deep=False)
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_datetime64_any_dtype(column.dtype):
            found.isetitem(place, column.astype(object).map(_defused, na_action="ignore"))
    return found.set_axis([_defused(name) for name in table.columns], axis=1)


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """`defused`, as CSV in UTF-8 with lines of LF; the file is whole or not there.

    All texts are quoted: a carriage return in one would else begin a line, and what follows it a cell.
    """
    with whole(file) as written:
        defused(table).to_csv(written, index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def _defused(value):
    formula = isinstance(value, str) and STARTS.match(value) and not NUMBERS.fullmatch(value)
    return f"'{value}" if formula else value
