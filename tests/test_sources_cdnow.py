"""The source CDNOW: what its published description says of it, and what is refused."""

import pytest

from contracts.errors import Refused
from contracts.tables import check
from sources import open_source
from sources.cdnow import open_cdnow
from sources.mapping import read_mapping


@pytest.mark.parametrize(
    ("name", "customers", "orders", "cents"),
    # Fader & Hardie (2001): 23,570 customers and 69,659 transactions; every tenth in the sample
    [("cdnow", 23_570, 69_659, 250_031_563), ("cdnow_sample", 2_357, 6_919, 24_409_194)],
)
def test_all_customers_and_orders_are_there(name, customers, orders, cents):
    source = open_source(name)
    check(source.tables, source.attributes)
    lines = source.tables["orders"]
    assert source.tables["customers"].count().execute() == customers
    assert lines.count().execute() == orders
    assert lines.amount_cents.sum().execute() == cents
    first, last = (str(day)[:10] for day in (lines.ordered_at.min().execute(), lines.ordered_at.max().execute()))
    assert (first, last) == ("1997-01-01", "1998-06-30")
    assert str(source.tables["customers"].first_seen_at.max().execute())[:10] == "1997-03-25"


def test_the_first_lines_of_the_master_file():
    """00001 19970101 1 11.77, then 00002 19970112 1 12.00 and 5 77.00: two orders on one day."""
    lines = open_source("cdnow").tables["orders"].order_by("order_id").limit(3).to_pyarrow().to_pylist()
    assert [(r["customer_id"], str(r["ordered_at"].date()), r["quantity"], r["amount_cents"]) for r in lines] == [
        (1, "1997-01-01", 1, 1177),
        (2, "1997-01-12", 1, 1200),
        (2, "1997-01-12", 5, 7700),
    ]


def test_another_data_set_is_refused(tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text("kind: cdnow\ndataset: telco\n")
    with pytest.raises(Refused, match="dataset must be cdnow_master or cdnow_sample, but is 'telco'"):
        open_cdnow(read_mapping(file), None)
