"""Spoilt copies of the simulated world: each has one defect, and the check of contracts finds it and no other."""

import ibis
import pytest

from contracts.errors import BrokenContract, Refused
from contracts.tables import CONTRACTS, check
from sources.world.dirty import DEFECTS, spoil
from sources.world.parameters import World
from sources.world.writer import label, write_world


def opened(folder) -> dict:
    """The raw tables of a folder."""
    con = ibis.duckdb.connect()
    return {n: con.read_parquet(str(folder / n / "part-*.parquet")) for n in CONTRACTS if (folder / n).is_dir()}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A world on disk that keeps its promises."""
    folder = tmp_path_factory.mktemp("clean") / "world"
    write_world(World(600, 7), folder, lambda line: None, workers=1)
    check(opened(folder))
    return folder


@pytest.mark.parametrize("name", DEFECTS)
def test_the_check_finds_each_defect_and_no_other(clean, tmp_path, name):
    spoil(clean, name, tmp_path / "spoilt")
    with pytest.raises(BrokenContract) as found:
        check(opened(tmp_path / "spoilt"))
    defect = DEFECTS[name]
    assert {breach.table for breach in found.value.breaches} == {defect.table}
    assert all(defect.column in breach.column for breach in found.value.breaches)
    # what is not a number lies outside 0 to 1, too
    assert len(found.value.breaches) == (2 if name == "not_a_number" else 1)


def test_a_copy_holds_nothing_but_raw_tables_and_says_what_it_is(clean, tmp_path):
    spoil(clean, "empty_ids", tmp_path / "spoilt")
    assert {file.name for file in (tmp_path / "spoilt").iterdir()} <= {*CONTRACTS, "world.json"}
    assert label(tmp_path / "spoilt")["edition"] == "spoilt: empty_ids"
    assert label(clean)["edition"] != "spoilt: empty_ids"
    with pytest.raises(Refused, match="differs from this one in edition"):
        write_world(World(600, 7), tmp_path / "spoilt", lambda line: None, workers=1)


def test_what_cannot_be_spoilt_is_refused(clean, tmp_path):
    with pytest.raises(Refused, match="must be the name of a defect, but is none. They are lines_twice"):
        spoil(clean, "rust", tmp_path / "spoilt")
    with pytest.raises(Refused, match="must hold a world with the table orders, but does not"):
        spoil(tmp_path, "empty_ids", tmp_path / "spoilt")
    with pytest.raises(Refused, match="must be free, but exists"):
        spoil(clean, "empty_ids", clean)
