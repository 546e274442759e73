"""Which rows are others: named from a digest that holds no row, until there are too many of them."""

import ibis
import numpy as np
import pandas as pd
import pytest

from contracts.tables import CONTRACTS, named_by
from registry.row_digest import other_rows, row_digest

KEY, SUBJECT = ("order_id", "product_id"), "customer_id"
ROWS = 5_000


def table(rows: pd.DataFrame):
    return ibis.duckdb.connect().create_table("t", rows)


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "order_id": np.arange(ROWS),
            "product_id": [f"p{k}" for k in draw.integers(0, 50, ROWS)],
            "customer_id": [f"c{k}" for k in draw.integers(0, 500, ROWS)],
            "amount_cents": draw.integers(0, 9999, ROWS),
            "channel": draw.choice(["web", None], ROWS),
            "ordered_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 10**7, ROWS), "s"),
        }
    )


@pytest.fixture(scope="module")
def digest(lines):
    return row_digest(table(lines), [*KEY, SUBJECT])


def said(digest, rows: pd.DataFrame) -> list[str]:
    return other_rows(digest, table(rows), KEY, SUBJECT)


def test_the_same_rows_in_another_order_say_nothing(digest, lines):
    assert said(digest, lines.sample(frac=1, random_state=1)) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount_cents", 10_000),
        ("channel", "shop"),
        ("ordered_at", pd.Timestamp("2023-01-01")),
        ("customer_id", "c1"),
    ],
)
def test_a_changed_cell_is_named_by_key_and_column(digest, lines, column, value):
    changed = lines.copy()
    changed.loc[17, column] = value
    row = changed.loc[17]
    assert said(digest, changed) == [
        f"order 17, product {row.product_id} (customer {row.customer_id}) has another {column}"
    ]


def test_a_cell_that_became_empty_is_named(digest, lines):
    at = lines.index[lines.channel.notna()][3]
    (found,) = said(digest, lines.assign(channel=lines.channel.where(lines.index != at)))
    assert found.startswith(f"order {at}, ") and found.endswith("has another channel")


def test_rows_that_are_gone_and_new_are_named(digest, lines):
    """The number of an order that is gone comes out of the digest; its customer from her other rows."""
    new = lines.tail(1).assign(order_id=ROWS + 5, customer_id="hers")
    found = said(digest, pd.concat([lines.drop(index=[7]), new]))
    gone, added = lines.loc[7], new.iloc[0]
    assert found == [
        f"order 7, product {gone.product_id} (customer {gone.customer_id}) is gone",
        f"order {ROWS + 5}, product {added.product_id} (customer hers) is new",
    ]


def test_an_id_that_is_a_number_written_as_text_is_known_when_its_row_is_gone(lines):
    rows = lines.assign(order_id=lines.order_id.astype(str), customer_id="c" + lines.order_id.astype(str))
    rows.loc[7, "order_id"] = "007"
    kept = row_digest(table(rows), [*KEY, SUBJECT])
    product, other = rows.product_id[8], rows.product_id[7]
    assert said(kept, rows.drop(index=[7, 8])) == [
        f"order 8, product {product} (customer not known) is gone",
        f"order not known, product {other} (customer not known) is gone",
    ]


def test_text_that_no_row_holds_any_more_is_not_known(digest, lines):
    only = lines.groupby("customer_id").order_id.transform("size")
    at = only.idxmin()
    gone = lines.customer_id == lines.customer_id[at]
    found = said(digest, lines[~gone])
    assert len(found) == min(gone.sum(), 6) and all("(customer not known) is gone" in line for line in found[:5])
    assert f"order {at}, " in " ".join(found) or gone.sum() > 5


def test_the_first_five_are_shown_and_too_many_are_not_named(digest, lines):
    some, many = lines.copy(), lines.copy()
    some.loc[:399, "amount_cents"] += 1
    many.loc[:2_000, "amount_cents"] += 1
    found = said(digest, some)
    assert len(found) == 6 and found[-1] == "and 395 more like these"
    assert [line[:22] for line in said(digest, many)] == ["more than about 1,228 "]


def test_a_table_with_other_columns_has_no_rows_to_compare(digest, lines):
    assert said(digest, lines.rename(columns={"channel": "way"})) == []


def test_a_digest_has_one_size_and_holds_no_text(digest, lines):
    twice = pd.concat([lines, lines.assign(order_id=lines.order_id + ROWS)])
    assert digest.num_rows == row_digest(table(twice), [*KEY, SUBJECT]).num_rows == 1536
    assert {str(kind) for kind in digest.schema.types} <= {"int32", "int64", "uint64"}
    assert len([name for name in digest.column_names if name.startswith("value ")]) == 3


def test_an_empty_table_and_one_of_few_rows():
    few = pd.DataFrame({"campaign_id": ["a", "b"], "kind": ["x", "y"]})
    kept = row_digest(table(few), ["campaign_id"])
    empty = row_digest(table(few.head(0)), ["campaign_id"])
    assert other_rows(kept, table(few.assign(kind=["x", "z"])), ["campaign_id"], "campaign_id") == [
        "campaign b has another kind"
    ]
    assert other_rows(empty, table(few), ["campaign_id"], "campaign_id") == ["campaign a is new", "campaign b is new"]


def test_each_contract_names_its_rows():
    assert named_by("orders", ["order_id", "product_id", "customer_id"]) == (("order_id", "product_id"), "customer_id")
    numbered = ["order_id", "line_id", "product_id", "customer_id"]
    assert named_by("orders", numbered) == (("order_id", "line_id"), "customer_id")
    for name, contract in CONTRACTS.items():
        key, subject = named_by(name, [column.name for column in contract.columns])
        assert key and subject == contract.subject


@pytest.mark.parametrize("name", ["place", "row", "seal", "part", "cell", "rows", "of"])
def test_a_column_may_have_any_name(name):
    then = ibis.memtable(pd.DataFrame({"id": [1, 2], name: ["a", "b"]}))
    now = ibis.memtable(pd.DataFrame({"id": [1, 2], name: ["a", "c"]}))
    assert other_rows(row_digest(then, ["id"]), now, ["id"], "id") == [f"id 2 has another {name}"]
