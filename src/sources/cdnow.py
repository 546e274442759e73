"""CDNOW: what 23,570 customers of a shop for music bought from 1997-01-01 to 1998-06-30; all came in the first quarter.

Read from the text files of the installed package `lifetimes`, by path and sha256; its code is not imported. The sample
is every tenth customer, the one that most papers on customer base analysis use.

Fader & Hardie (2001), Forecasting Repeat Sales at CDNOW: A Case Study, Interfaces 31(3); brucehardie.com/datasets
"""

import ibis
from ibis import _
from ibis.backends.duckdb import Backend

from contracts.errors import Refused
from sources.mapping import SourceMapping
from sources.packaged import parquet_of
from sources.source import Source

# the sample's second column numbers its own customers
COLUMNS = {
    "cdnow_master": ("customer_id", "day", "disks", "dollars"),
    "cdnow_sample": ("customer_id", "number_in_sample", "day", "disks", "dollars"),
}
ASSUMES = (
    "Orders were known on the day they were placed; the data give no time of day and no delivery time.",
    "An order is a line of the file: several of a customer on one day are one purchase day.",
    "Money is in US dollars; an order of nothing (a free disk) is a purchase.",
    "Disks that were bought are not named: there are no products.",
    "All customers first bought between January and March 1997; nobody joins later.",
)


def open_cdnow(mapping: SourceMapping, con: Backend) -> Source:
    """The orders of the data set that the yml names; raises `Refused` for another, and where it cannot be had."""
    name = mapping.keys["dataset"]
    if name not in COLUMNS:
        raise Refused(f"{mapping.file.name}: dataset must be {' or '.join(COLUMNS)}, but is {name!r}. Correct it.")
    raw = con.read_parquet(parquet_of(name), file_row_number=True)
    lines = raw.rename({ours: f"column_{at}" for at, ours in enumerate(COLUMNS[name])})
    at = lines.day.as_date("%Y%m%d").cast("timestamp")
    orders = lines.select(
        order_id=lines.file_row_number + 1,
        customer_id=lines.customer_id.cast("int64"),
        ordered_at=at,
        product_id=ibis.null("int64"),
        quantity=lines.disks.cast("int64"),
        # the text of an amount has two decimals, so that floating point never rounds a cent
        amount_cents=(lines.dollars.cast("decimal(12, 2)") * 100).cast("int64"),
        discount_cents=ibis.null("int64"),
        channel=ibis.literal("web"),
        store_id=ibis.null("int64"),
        line_id=ibis.literal(1, "int64"),
        known_at=at,
    )
    seen = orders.group_by("customer_id").agg(first_seen_at=_.ordered_at.min())
    return Source(
        name=mapping.name,
        kind="events",
        con=con,
        tables={"customers": seen.mutate(known_at=seen.first_seen_at), "orders": orders},
        assumes=ASSUMES,
        currency="USD",
    )
