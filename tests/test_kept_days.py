"""Scores of what is kept by day are those of the raw rows: each model, day after day, whatever came late or changed."""

from contextlib import contextmanager
from datetime import date, timedelta

import every_table
import homes
import ibis
import lender
import pandas as pd
import pytest
from filelock import FileLock
from test_feature_store import drawn

from pipelines import days, score
from pipelines.days import Days, kept_days
from pipelines.kinds import kind_of
from pipelines.locking import Busy
from sources import open_source
from sources.source import Source

ABOUT = {"active_days": 91, "asked_days": 60, "hidden": ()}
SHOP = ("score", "churn", "--source", "shop", "--as-of")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    return tmp_path / "data" / "features"


def same_by(model: str, source: Source, origin: date) -> pd.DataFrame:
    """Whom a model scores, with features, from what is kept, which are those of the raw rows to the last bit."""
    kind = kind_of(model)
    with kept_days(source, origin, print) as kept:
        found = kind.subjects(source, ABOUT, origin, kept.tables)
    pd.testing.assert_frame_equal(found, kind.subjects(source, ABOUT, origin), check_exact=True)
    return found


def of(frames, name="raw", attributes=()) -> Source:
    con = ibis.duckdb.connect(threads=1)
    return Source("made", "events", con, every_table.on(con, name, frames), dict(attributes))


def test_three_days_with_late_facts_and_then_an_earlier_one(place):
    """A third of the rows reach us late, some have only returns. At last, what is kept reaches further."""
    frames = drawn(lines=300, customers=200)
    frames["orders"].amount_cents -= 1500
    source, days = of(frames), [date(2024, 3, day) for day in (8, 9, 10)]
    found = [same_by("churn", source, day) for day in days]
    assert not found[0].drop(columns="origin").equals(found[1].drop(columns="origin"))
    pd.testing.assert_frame_equal(same_by("churn", source, days[0]), found[0], check_exact=True)
    manifest = (place / "made" / "days" / "manifest.json").read_text()
    assert f'"until": "{days[2]}"' in manifest


@pytest.mark.slow
def test_every_raw_table_is_read_from_what_is_kept(place):
    source = of(every_table.drawn(), attributes=every_table.ATTRIBUTES)
    assert len(same_by("response", source, every_table.ORIGIN)) > 10


@pytest.mark.slow
def test_customers_under_contract_are_those_of_the_profiles_kept(place):
    source = of(every_table.drawn(), attributes=every_table.ATTRIBUTES)
    contracts = Source("made", "events", source.con, source.tables, source.attributes, contract_end="member_since")
    assert 0 < len(same_by("churn", contracts, every_table.ORIGIN)) < every_table.CUSTOMERS


@pytest.mark.slow
def test_the_world_day_after_day(tmp_path_factory, tmp_path, monkeypatch):
    """Credit asks of each application as of its own day, which is before the day that is kept."""
    monkeypatch.setenv("CRM_HOME", str(lender.made(tmp_path_factory)))
    monkeypatch.setattr(days, "folder", lambda source: tmp_path / source)
    source, first = open_source("world"), date(2025, 12, 1)
    for day in (0, 2):
        assert len(same_by("credit", source, first + timedelta(days=day))) > 20


def test_nothing_kept_reaches_what_was_known_on_the_day(place):
    """Rows known on the day and after it, in what is kept already, are those of nobody's features."""
    frames, origin = drawn(), date(2024, 3, 9)
    known = {name: rows[rows.known_at < str(origin)] for name, rows in frames.items()}
    with kept_days(of(frames), date(2024, 3, 20), print):
        pass
    source = of(frames)
    with kept_days(source, origin, print) as kept:
        assert kept.tables["order_days"].known.max().to_pyarrow().as_py() > (origin - date(1970, 1, 1)).days
        found = kind_of("clv").subjects(source, ABOUT, origin, kept.tables)
    cut = kind_of("clv").subjects(of(known), ABOUT, origin)
    pd.testing.assert_frame_equal(found, cut, check_exact=True)


def test_scoring_waits_for_the_lock_and_then_says_who_holds_it(place):
    source = of(drawn())
    (place / "made").mkdir(parents=True)
    busy = pytest.raises(Busy, match="Another process is writing the features in")
    with FileLock(place / "made" / ".lock"), busy, kept_days(source, date(2024, 3, 9), print, patience=0):
        pass


def test_a_flat_source_has_no_days(place):
    with kept_days(Source("one", "flat", None, {}), date(2024, 3, 9), print) as kept:
        assert kept == Days(None, 0)
    assert not place.exists()


@contextmanager
def _raw(source, until, say):
    yield Days(None, 0)


@pytest.mark.slow
def test_a_shop_whose_past_changes_is_scored_as_from_its_raw_rows(tmp_path_factory, tmp_path, monkeypatch):
    """Three days, the second after an order of weeks ago was found, the third after one of months ago was corrected."""
    home = homes.copy(homes.trained(tmp_path_factory), tmp_path / "home")
    file = home / "data" / "shop" / "lines.csv"
    said = []
    for day in (homes.AS_OF, "2023-12-04", "2023-12-05"):
        lines = pd.read_csv(file)
        if day == "2023-12-04":
            found = lines[lines.Date.str.startswith("2023-11-08")].head(1).assign(Invoice=99_999)
            lines = pd.concat([lines, found])
        if day == "2023-12-05":
            lines.loc[lines.Date.str.startswith("2023-07-03").idxmax(), "Net"] += 500
        lines.to_csv(file, index=False)
        ended = homes.crm(home, *SHOP, day)
        assert ended.code == 0, ended.err
        said.append(ended.err.replace("\n", " ") + ended.out.replace("\n", " "))
        kept = written(home, day)
        with monkeypatch.context() as patch:
            patch.setattr(score, "kept_days", _raw)
            assert homes.crm(home, *SHOP, day).code == 0
        assert written(home, day) == kept and len(kept) == 2
    assert "are not those" not in said[0]
    assert "orders: rows known on 2023-11-08 are not those of before" in said[1]
    assert "made anew from 2023-07-01 on" in said[2]
    ended = homes.crm(home, *SHOP, homes.AS_OF)  # what is kept reaches further
    assert ended.code == 0 and "are not those" not in ended.err


def written(home, day) -> dict[str, bytes]:
    return {
        kind: file.read_bytes()
        for kind in ("scores", "decisions")
        for file in (home / "data" / kind).glob(f"model=churn/as_of={day}/*.parquet")
    }
