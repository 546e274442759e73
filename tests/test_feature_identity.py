"""What a column is made of, as a number: it changes with the column, and with nothing else."""

import hashlib
import os
import subprocess
import sys

import every_table
import ibis
import pytest

from features import as_of, contacts, purchases, relations, responses
from features.identity import column_hashes, differing, features_hash, features_sql

TABLES = {name: ibis.memtable(rows) for name, rows in every_table.drawn().items()}
IN_ANOTHER_PROCESS = """
import every_table, ibis
from features.identity import column_hashes, features_hash, features_sql
tables = {name: ibis.memtable(rows) for name, rows in every_table.drawn(seed=6).items()}
print(features_hash(column_hashes(tables, every_table.ATTRIBUTES)))
print(features_sql(tables, every_table.ATTRIBUTES), end="")
"""


def hashes(tables=TABLES, attributes=every_table.ATTRIBUTES, contract_end=None):
    return column_hashes(tables, attributes, contract_end)


@pytest.fixture(scope="module")
def before():
    return hashes()


def changed(before, after):
    """The columns that differ; columns that are on one side only are none of them."""
    return {name for name in before.keys() & after.keys() if before[name] != after[name]}


def test_it_is_the_same_in_another_process_and_with_other_data(before):
    path = os.pathsep.join(sys.path)
    settings = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": path, "TZ": "Asia/Tokyo"}
    ended = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS], env=settings, capture_output=True, text=True, check=True
    )
    told, _, sql = ended.stdout.partition("\n")
    assert told == features_hash(before)
    ours = features_sql(TABLES, every_table.ATTRIBUTES)
    assert hashlib.sha256(sql.encode()).hexdigest() == hashlib.sha256(ours.encode()).hexdigest()


def test_no_two_columns_are_the_same(before):
    assert len(set(before.values())) == len(before) > 100


@pytest.mark.parametrize(
    ("module", "name", "value", "columns"),
    [
        (purchases, "WEEKS", 12, {"weeks_active"}),
        (responses, "WEIGHT", 6, {"response_rate", "response_rate_last_kind"}),
        (relations, "FIFTHS", 4, {column.name for column in relations.COLUMNS}),
    ],
)
def test_a_changed_definition_changes_its_columns_only(before, monkeypatch, module, name, value, columns):
    monkeypatch.setattr(module, name, value)
    assert changed(before, hashes()) == columns


def test_another_boundary_changes_every_column(before, monkeypatch):
    monkeypatch.setattr(as_of, "is_known", lambda known, origin: known <= origin)
    assert changed(before, hashes()) == before.keys()


def test_other_rows_change_what_counts_them(before, monkeypatch):
    """Which contacts are sums changes what is summed; how often somebody bought is nothing to it."""
    monkeypatch.setattr(contacts, "before", lambda spine, rows: as_of.before(spine, rows.filter(rows.contacts > 1)))
    found = changed(before, hashes())
    assert found == {column.name for column in (*contacts.COLUMNS, *contacts.ARMS)}


@pytest.mark.parametrize("gone", ["surveys", "visits", "cases", "campaigns", "instalments", "responses"])
def test_a_block_more_or_less_changes_no_other_column(before, gone):
    fewer = hashes({name: table for name, table in TABLES.items() if name != gone})
    assert changed(before, fewer) == set() and fewer.keys() < before.keys()


def test_a_raw_column_or_an_attribute_more_changes_no_other_column(before):
    wider = {name: table.mutate(shoe_size=ibis.literal(38.0)) for name, table in TABLES.items()}
    more = hashes(wider, {**every_table.ATTRIBUTES, "shoe_size": "number"})
    assert changed(before, more) == set() and more.keys() - before.keys() == {"shoe_size"}


def test_an_attribute_that_is_read_otherwise_is_another_column(before):
    customers = TABLES["customers"].mutate(age=TABLES["customers"].age.cast("string"))
    assert changed(before, hashes({**TABLES, "customers": customers})) == {"age"}


def test_the_end_of_a_contract_is_no_column(before):
    assert before.keys() - hashes(contract_end="member_since").keys() == {"member_since"}


def test_a_flat_source_has_its_attributes():
    given = {"given": ibis.table({"customer_id": "int64", "plan": "string", "since": "date"}, name="given")}
    found = column_hashes(given, {"plan": "category", "since": "date"})
    alone = column_hashes(given, {"plan": "category"})
    assert list(found) == ["plan", "since"] and found["plan"] == alone["plan"]
    assert "given" in features_sql(given, {"plan": "category"})


def test_what_differs_is_listed():
    theirs, ours = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}
    assert differing(theirs, ours, ["a", "b", "c"]) == ["changed: b", "gone: c", "new: d"]
    assert differing(theirs, ours, ["a"]) == []


def test_the_parts_of_the_hash_are_all_there():
    """A column is given by its name, too: two that are swapped are no longer what they were."""
    one, other = {"a": "1", "b": "2"}, {"a": "2", "b": "1"}
    assert features_hash(one) != features_hash(other)
    assert features_hash(one) == features_hash(dict(reversed(one.items())))
