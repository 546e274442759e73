"""One code, two engines: every column of features is the same on DuckDB and on Spark.

Whole numbers, flags, categories and dates are equal, floats to 1e-9 of their size, and the same cells are missing.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
import test_features_blocks as blocks
from ibis.backends import BaseBackend
from ibis.expr.types import Table
from test_features import ATTRIBUTES, MIDNIGHT, ORIGIN, tables_of
from test_scorecard import every_value

from contracts.errors import Refused
from features.as_of import spine_of
from features.customer_table import column_dictionary, customer_table
from models import points_sql
from models.points import PointsTable, Scale
from sources import open_source
from sources import spark as on_spark

CLOSE = 1e-9
# what Spark's own scripts call; there is no Java among them
TOOLS = ("bash", "cat", "dirname", "env", "ls", "nproc", "ps", "rm", "sh", "uname")


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """One Spark for the module, as on a machine without Java, started in an empty folder that must stay empty."""
    tools, here = tmp_path_factory.mktemp("tools"), tmp_path_factory.mktemp("here")
    for tool in filter(shutil.which, TOOLS):
        (tools / tool).symlink_to(shutil.which(tool))
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(here):
        patch.setenv("PATH", str(tools))
        patch.delenv("JAVA_HOME", raising=False)
        started = on_spark.connect_spark()
    yield started
    started.disconnect()
    assert list(here.iterdir()) == []


def moved(tables: Mapping[str, Table], spark: BaseBackend, folder: Path) -> dict[str, Table]:
    """The same raw tables on Spark, as views of Parquet files."""
    folder.mkdir()
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    return {
        name: spark.read_parquet(str(folder / f"{name}.parquet"), table_name=f"{folder.name}_{name}") for name in tables
    }


def features_of(
    tables: Mapping[str, Table], attributes: Mapping[str, str], origins: tuple[date, ...], columns=None
) -> pa.Table:
    """The features of all customers at these origins, in key order, computed where the tables live."""
    spine = spine_of(tables["customers"], origins)
    return customer_table(spine, tables, attributes, columns).order_by("origin", "customer_id").to_pyarrow()


def differences(one: pa.Table, other: pa.Table) -> list[str]:
    """What differs between two tables of the same rows, a sentence for each column."""
    if (one.num_rows, one.column_names) != (other.num_rows, other.column_names):
        return [f"{one.num_rows} rows of {one.column_names} are {other.num_rows} of {other.column_names}"]
    return [said for name in one.column_names if (said := _difference(name, one[name], other[name]))]


def _difference(name: str, one: pa.ChunkedArray, other: pa.ChunkedArray) -> str:
    if one.type != other.type:
        return f"{name}: {one.type} is {other.type}"
    here, there = (np.array(column.to_pylist(), dtype=object) for column in (one, other))
    missing = np.equal(here, None)
    wrong = missing != np.equal(there, None)
    both = ~missing & ~wrong
    if pa.types.is_floating(one.type):
        wrong[both] = ~np.isclose(here[both].astype(float), there[both].astype(float), rtol=CLOSE, atol=0)
    else:
        wrong[both] = here[both] != there[both]
    if not wrong.any():
        return ""
    first = np.flatnonzero(wrong)[0]
    return f"{name}: {wrong.sum()} of {len(wrong)} rows, first row {first}: {here[first]!r} is {there[first]!r}"


def generated(customers: int = 60, lines: int = 1500) -> dict[str, Table]:
    """Raw tables with everything that tells engines apart: late facts, returns, ties, missing cells, unknown ids."""
    draw = np.random.default_rng(3)

    def moments(n):
        hours = draw.integers(-500 * 24, 40 * 24, n)
        known = hours + draw.choice([0, 0, 1, 24, 240], n)
        return [[MIDNIGHT + timedelta(hours=int(h)) for h in part] for part in (hours, known)]

    def of(*columns):
        return list(zip(*columns, strict=True))

    def whom(n):
        return draw.integers(0, customers, n).tolist()

    at, known = moments(lines)
    orders = of(whom(lines), at, known, (draw.integers(-5, 60, lines) * 100).tolist())
    n = 200
    contacts, responses = (of(whom(n), draw.integers(1, 9, n).tolist(), *moments(n)) for _ in range(2))
    n = 2 * customers
    told, known = moments(n)
    towns, ages = draw.choice(["Bern", "Zug", "zürich", None], n).tolist(), draw.choice([18, 40.5, None], n).tolist()
    since = [None if i % 7 == 0 else day for i, day in enumerate(told)]
    profiles = of([i % customers for i in range(n)], towns, ages, since, known)
    tables = tables_of(orders, contacts, responses, list({(row[0], row[-1]): row for row in profiles}.values()))
    orders, products = tables["orders"], tables["products"]
    gaps = {"store_id": orders.order_id % 5 == 0, "product_id": orders.order_id % 11 == 0}
    emptied = {name: where.ifelse(None, orders[name]) for name, where in gaps.items()}
    named = (products.product_id == 1).ifelse(None, products.department)
    return {
        **tables,
        "orders": orders.mutate(emptied),
        "products": products.filter(products.product_id != 2).mutate(department=named),
    }


def a_third(tables: Mapping[str, Table]) -> dict[str, Table]:
    """The tables of every third customer."""
    return {
        name: table.filter(table.customer_id % 3 == 0) if "customer_id" in table.columns else table
        for name, table in tables.items()
    }


@pytest.mark.slow
def test_every_column_is_equal_on_both_engines(spark, tmp_path):
    """On generated and on real data. One test, so that one Spark is started, however many workers there are."""
    journey = open_source("complete_journey")
    shop, bank = generated(), blocks.tables_of(blocks.drawn(1))
    others = column_dictionary(bank, blocks.ATTRIBUTES).keys() - column_dictionary(shop, ATTRIBUTES).keys()
    cases = {
        "generated": (shop, ATTRIBUTES, (ORIGIN - timedelta(days=200), ORIGIN), None),
        "of other tables": (bank, blocks.ATTRIBUTES, (blocks.EARLIER, ORIGIN), others),
        "complete_journey": (a_third(journey.tables), journey.attributes, (date(2017, 7, 1), date(2017, 12, 5)), None),
    }
    found = {}
    for case, (tables, attributes, origins, columns) in cases.items():
        ours = features_of(tables, attributes, origins, columns)
        empty = [name for name in ours.column_names if ours[name].null_count == ours.num_rows]
        assert ours.num_rows > 100 and (case == "complete_journey" or empty == []), "columns of nulls prove nothing"
        theirs = features_of(moved(tables, spark, tmp_path / case.replace(" ", "_")), attributes, origins, columns)
        found[case] = differences(ours, theirs)
    assert found == dict.fromkeys(cases, [])


EDGES = [0.0, 0.1, 1 / 3, -99.99, 17.0, 1e-300, 5e-324, 2.0**53, 1e12, 123456789.123, 0.1 + 0.2, 1 + 2**-52, -1e300]
LEVELS = [
    "it's", 'say "so"', "a\\b", "\\n", "\\u0041", "line\nbreak", "\r", "tab\t", "${x}", "${spark.app.name}", "`tick`",
    "%s {0} ? :a", "-- no", "/* no", "é", "e\u0301", "😀", " a", "a ", "A", "a", "''", "null", "NaN", "\\", "$", "\\'",
]  # fmt: skip


def hard_points() -> pd.DataFrame:
    """A table of points in its written form: thirty columns of what an engine could read wrongly."""
    draw = np.random.default_rng(11)
    rows: list[tuple] = [("", "base", np.nan, np.nan, None)]
    for number in range(30):
        name = f'c {number}\'s "x" `y`'
        if number % 2:
            levels = draw.permutation(LEVELS).tolist()
            rows += [(name, "levels", np.nan, np.nan, json.dumps(levels[k:20:3])) for k in range(3)]
            kinds = ["missing", "unseen"]
        else:
            cuts = np.sort(draw.choice(EDGES, 5, replace=False))
            ends = [np.nan, *cuts, np.nan]
            rows += [(name, "range", low, high, None) for low, high in zip(ends[:-1], ends[1:], strict=True)]
            rows += [(name, "special", v, v, None) for v in draw.choice([-999.0, -1.0, 0.1, 1e12], 2, replace=False)]
            kinds = ["missing"]
        rows += [(name, kind, np.nan, np.nan, None) for kind in kinds]
    table = pd.DataFrame(rows, columns=["column", "kind", "low", "high", "levels"]).assign(rows=3, outcomes=1)
    return table.assign(points=draw.integers(-300, 300, len(rows)))


@pytest.mark.slow
def test_a_table_of_points_is_scored_alike_by_spark(spark):
    """At each edge and its neighbours, special value, level, missing, NaN and unseen."""
    table = hard_points()
    card = PointsTable.from_frame(table, 1 / 3, Scale())
    frame, by_hand = every_value(table)
    assert card.score(frame).tolist() == by_hand.tolist()
    # as a lake may hold them: what is missing is null, and a number that is missing may be NaN
    rows, by_hand = pd.concat([frame, frame]).assign(id=range(2 * len(frame))), np.tile(by_hand, 2)
    null = rows.isna() & ((rows.id.to_numpy() < len(frame))[:, None] | (rows.dtypes == "str").to_numpy())
    cells = {name: rows[name].astype(object).mask(null[name], None).tolist() for name in rows}
    lake = pa.table({name: pa.array(cells[name], from_pandas=False) for name in rows})
    assert sum(lake[name].null_count for name in rows) > 30 and any(v != v for v in cells[rows.columns[0]])
    spark._session.createDataFrame(lake).createOrReplaceTempView("applications")
    found = spark.raw_sql(points_sql.sql(card, "applications", ["id"], "spark")).toArrow().to_pandas().sort_values("id")
    wrong = found.score.to_numpy() != by_hand
    assert not wrong.any(), rows[wrong].head(3).to_dict("records")
    np.testing.assert_allclose(found.probability, card.predict(rows), rtol=1e-12)


@pytest.mark.slow
def test_spark_is_strict_and_keeps_to_this_machine(spark):
    def first(sql: str):
        return spark.raw_sql(sql).collect()[0][0]

    assert first("select cast(timestamp '2024-03-01 00:00:00' as bigint)") == date(2024, 3, 1).toordinal() * 86400 - (
        date(1970, 1, 1).toordinal() * 86400
    )
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
        first("select 1 / 0")
    with pytest.raises(Exception, match="OVERFLOW"):
        first("select 9223372036854775807 + 1")
    [java] = [child for child in psutil.Process().children(recursive=True) if child.name() == "java"]
    listening = {c.laddr.ip.removeprefix("::ffff:") for c in java.net_connections("inet") if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}
    assert on_spark.connect_spark()._session is spark._session


def test_a_difference_is_found():
    """The comparison itself: a count, a missing cell, a category and a float beyond 1e-9, each in words."""
    table = {"n": [1, 2], "c": ["a", None], "f": [1.0, 3.0], "g": [1.0, None]}
    one = pa.table(table)
    assert differences(one, pa.table({**table, "f": [1.0, 3.0 * (1 + 1e-10)]})) == []
    assert differences(one, pa.table({**table, "f": [1.0, 3.0 * (1 + 1e-8)]}))[0].startswith("f: 1 of 2 rows")
    assert differences(one, pa.table({**table, "n": [1, 3]})) == ["n: 1 of 2 rows, first row 1: 2 is 3"]
    assert differences(one, pa.table({**table, "c": ["A", None]})) == ["c: 1 of 2 rows, first row 0: 'a' is 'A'"]
    assert differences(one, pa.table({**table, "g": [1.0, 0.0]})) == ["g: 1 of 2 rows, first row 1: None is 0.0"]
    assert differences(one, pa.table({**table, "n": [1.0, 2.0]})) == ["n: int64 is double"]
    assert len(differences(one, one.slice(1))) == len(differences(one, one.drop_columns("n"))) == 1


# --- what is missing is said ---


def test_without_pyspark_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setattr(on_spark, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="PySpark must be installed to run on Spark, but is not. Run `make spark`"):
        on_spark.connect_spark()


def stand_in(home: Path, version: str) -> Path:
    """A home of a Java that only tells its version."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2021-04-20' >&2\n")
    java.chmod(0o755)
    return home


def test_every_java_that_is_too_old_is_named(monkeypatch, tmp_path):
    eight, eleven = stand_in(tmp_path / "eight", "1.8.0_292"), stand_in(tmp_path / "eleven", "11.0.2")
    monkeypatch.setattr(on_spark, "find_spec", lambda name: name == "pyspark" or None)
    monkeypatch.setenv("JAVA_HOME", str(eight))
    monkeypatch.setenv("PATH", f"{eleven / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(Refused) as refused:
        on_spark.connect_spark()
    assert str(refused.value) == (
        f"Spark needs Java 17 or newer, but found {eight}/bin/java (1), {eleven}/bin/java (11). "
        f"Run `make spark`, which brings one, or set JAVA_HOME."
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(Refused, match=r"found .*nowhere/bin/java \(does not run\)\. Run"):
        on_spark.connect_spark()
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(Refused, match="but found none by JAVA_HOME or on the PATH"):
        on_spark.connect_spark()
