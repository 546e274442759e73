"""`crm forget`: afterwards no byte names her, whatever cut it on the way, and what stays is said."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

import canaries
import homes
import pandas as pd
import pytest
from filelock import FileLock

from contracts import files as placing
from contracts.erasing import ERASED, without
from pipelines.locking import erasing as scoring_barred
from pipelines.locking import scoring

SHE, OTHER = "KD-000123", "KD-000124"
CASES = (
    "case_id,customer_id,opened_at,kind\nc1,{she},2023-05-01 10:00,complaint\nc2,{other},2023-05-02 10:00,question\n"
)
MORE = """
  cases: {file: cases.csv, known_at: opened_at + 1 hour, encoding: cp1252, separator: ";"}
"""
FORGET = ("forget", SHE, "--source", "shop")


def test_an_id_is_found_as_a_word_and_a_short_one_where_messages_name_a_customer():
    assert without(f"first for {SHE}, not {SHE}4 or x{SHE}", [SHE]) == (f"first for {ERASED}, not {SHE}4 or x{SHE}", 1)
    assert without("customer 17 (order 17): 17 of 170", ["17"]) == (f"customer {ERASED} (order 17): 17 of 170", 1)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A project that has done everything with the shop, and has logs that name her."""
    home = homes.make(tmp_path_factory.mktemp("forget") / "home", homes.QUICK)
    folder = home / "data" / "shop"
    lines = pd.read_csv(folder / "lines.csv")
    lines["Client"] = "KD-" + lines.Client.astype(str).str.zfill(6)
    lines.to_csv(folder / "lines.csv", index=False)
    told = CASES.format(she=SHE, other=OTHER).replace(",", ";").replace("complaint", "Zoë")
    (folder / "cases.csv").write_text(told, encoding="cp1252")
    with open(home / "data" / "sources" / "shop.yml", "a") as mapping:
        mapping.write(MORE)
    for words in (
        ("retrain", "churn", "--source", "shop", "--as-of", homes.EARLIER, *homes.FAST),
        ("retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, *homes.FAST),
        ("score", "churn", "--source", "shop", "--as-of", homes.AS_OF),
        ("features", "shop", "--as-of", homes.AS_OF),
    ):
        assert (ended := homes.crm(home, *words)).code in (0, 3), ended.err
    for place in ("nights/nightly/2023-12-03/check.log", "errors/1.txt", "notebooks/page.html"):
        (home / "mlruns" / place).parent.mkdir(parents=True, exist_ok=True)
        (home / "mlruns" / place).write_text(f"first for customer {SHE} (order 4), then {OTHER}\n")
    run = homes.runs(home)[0]
    homes.client(home).set_tag(run.info.run_id, "mlflow.note.content", f"first for customer {SHE}")
    left = home / "data" / "scores" / "model=churn" / f"as_of={homes.AS_OF}" / ".shop-999999999.tmp"
    left.write_text(SHE)
    staged = home / "mlruns" / "stage" / f"churn-shop-{'a' * 32}"  # of a run that was killed: its test rows
    staged.mkdir(parents=True)
    (staged / "evidence.parquet").write_text(SHE)
    return home


@pytest.fixture
def home(full, tmp_path):
    return homes.copy(full, tmp_path / "home")


@pytest.mark.slow
def test_afterwards_no_byte_names_her_and_all_others_are_there(home):
    lines = pd.read_csv(home / "data" / "shop" / "lines.csv")
    before = {name: pd.read_parquet(file) for name, file in tables(home).items()}
    assert len(before) >= 4 and all(SHE in set(rows.customer_id) for rows in before.values())
    assert {line.split("/")[0] for line in canaries.found(home, [SHE])} == {"data", "mlruns"}
    ended = homes.crm(home, *FORGET)
    assert ended.code == 0, ended
    assert canaries.found(home, [SHE]) == []
    for name, file in tables(home).items():
        kept = before[name][before[name].customer_id != SHE].reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.read_parquet(file), kept)
    pd.testing.assert_frame_equal(
        pd.read_csv(home / "data" / "shop" / "lines.csv"), lines[lines.Client != SHE].reset_index(drop=True)
    )
    assert (
        home / "data/shop/cases.csv"
    ).read_bytes() == b"case_id;customer_id;opened_at;kind\nc2;" + OTHER.encode() + (b";2023-05-02 10:00;question\n")
    assert "erased: 1 rows of cases.csv" in ended.out and "test rows of runs" in ended.out
    assert "models trained on shop while she was in it (churn/1, churn/2)" in ended.out and "backups" in ended.out
    again = homes.crm(home, *FORGET)
    assert again.code == 2 and f"'{SHE}' must be a customer of shop" in again.err


@pytest.mark.slow
def test_what_is_left_still_works_and_says_that_rows_were_erased(home):
    assert homes.crm(home, *FORGET).code == 0
    for words in (
        ("check", "shop"),
        ("score", "churn", "--source", "shop", "--as-of", homes.LATER),
        ("features", "shop", "--as-of", homes.LATER),
        ("compare", "churn/1", "churn/2"),
        ("ledger", "churn", "--verify"),
    ):
        assert (ended := homes.crm(home, *words)).code in (0, 3), ended.err
    again = homes.crm(home, "rerun", "churn/2")
    assert again.code == 3 and "rows that the run had were erased with `crm forget`" in again.out
    assert "data: orders had" in again.out and canaries.found(home, [SHE]) == []


class Cut(BaseException):
    """The process ends here."""


@pytest.mark.slow
def test_an_erasure_that_is_cut_again_and_again_is_done_in_the_end(home, monkeypatch):
    """Each time it ends before the third file is put in place; the tables can be read in between."""
    cuts, settle = 0, placing.settle
    while True:
        calls = []

        def cut(*paths, calls=calls):
            calls.append(paths)
            if len(calls) == 3:
                raise Cut
            settle(*paths)

        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(placing, "settle", cut)
                ended = homes.crm(home, *FORGET)
            break
        except Cut:
            cuts += 1
            assert all(len(pd.read_parquet(file)) for file in tables(home).values())
    assert ended.code == 0 and cuts >= 3, ended.err
    assert canaries.found(home, [SHE]) == []
    assert homes.crm(home, "compare", "churn/1", "churn/2").code in (0, 3)


@pytest.mark.slow
def test_whom_nobody_knows_and_what_else_is_at_work(home):
    for words, code, said in (
        (("forget", "KD-999999", "--source", "shop"), 2, "'KD-999999' must be a customer of shop, but neither"),
        (("forget", SHE, "--source", "shoop"), 2, "'shoop' is no source"),
        (("forget", " ", "--source", "shop"), 2, "An id must not be empty"),
    ):
        before = homes.digest(home / "data")
        ended = homes.crm(home, *words)
        assert ended.code == code and said in ended.err, ended.err
        changed = {k for k, v in homes.digest(home / "data").items() if before.get(k) != v}
        assert changed <= {"features/shop/.lock"}
    with FileLock(home / "mlruns" / "locks" / "churn-shop.lock"):
        assert homes.crm(home, *FORGET).code == 4


def test_nobody_is_erased_while_customers_are_scored(tmp_path):
    """Whoever comes second is told who holds the lock, and writes nothing; two may score at once."""
    home, erase = homes.make(tmp_path / "home"), ("forget", "17", "--source", "shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        before = (home / "data" / "shop" / "lines.csv").read_bytes()
        with scoring("churn", "shop"), scoring("churn", "shop"):
            ended = homes.crm(home, *erase)
            assert ended.code == 4 and f"churn is being scored on shop by process {os.getpid()} on" in ended.err
            assert (home / "data" / "shop" / "lines.csv").read_bytes() == before
        assert homes.crm(home, *erase).code == 0


@pytest.mark.slow
def test_nobody_is_scored_or_watched_while_a_customer_is_erased(home):
    """A watch writes the days that it keeps."""
    shutil.rmtree(home / "data" / "scores")
    shutil.rmtree(home / "data" / "features")
    score = ("score", "churn", "--source", "shop", "--as-of", homes.AS_OF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        with scoring_barred("churn", "shop"):
            for asked in (score, ("watch", *score[1:])):
                ended = homes.crm(home, *asked)
                assert ended.code == 4 and f"customer of shop is being erased by process {os.getpid()} on" in ended.err
        assert not {"scores", "features"} & {folder.name for folder in (home / "data").iterdir()}
    assert homes.crm(home, *score).code == 0  # nothing holds it any more


@pytest.mark.slow
def test_a_ledger_that_names_her_stays_and_is_told(home):
    done = homes.crm(home, "promote", "churn", "2", "--reason", f"complaint of {SHE}")
    assert done.code == 0, done.err
    ended = homes.crm(home, *FORGET)
    assert ended.code == 3 and "row 3 of the ledger of churn, which names her" in ended.out
    assert "her id in" in ended.out and "mlflow.db" in ended.out
    assert homes.crm(home, "ledger", "churn", "--verify").code == 0


@pytest.mark.slow
def test_files_outside_of_the_project_are_left_and_named(home, tmp_path):
    outside = tmp_path / "outside"
    (home / "data" / "shop").rename(outside)
    mapping = home / "data" / "sources" / "shop.yml"
    mapping.write_text(mapping.read_text().replace(str(home / "data" / "shop"), str(outside)))
    ended = homes.crm(home, *FORGET)
    assert ended.code == 0 and f"{outside}/lines.csv lies outside of the project" in ended.out
    assert canaries.found(home, [SHE]) == [] and SHE in (outside / "lines.csv").read_text()


def tables(home: Path) -> dict[str, Path]:
    files = [p for kind in ("scores", "decisions", "evidence") for p in (home / "data" / kind).rglob("*.parquet")]
    return {str(p.relative_to(home)): p for p in files if "rows" not in p.parts}


def test_a_store_that_was_compacted_holds_nothing_that_was_overwritten(tmp_path, monkeypatch):
    from registry.erasing import compact

    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    (tmp_path / "mlruns").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as store:
        store.execute("PRAGMA secure_delete = OFF")
        store.execute("CREATE TABLE t (a)")
        store.executemany("INSERT INTO t VALUES (?)", [(f"{SHE} {k}",) for k in range(500)])
        store.commit()
        store.execute("DELETE FROM t")
        store.commit()
    compact()
    assert SHE.encode() not in (tmp_path / "mlruns" / "mlflow.db").read_bytes()
