"""The same bytes again? A run made again from its own record: elsewhere and otherwise, and with something changed."""

import platform
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import homes
import ibis
import pandas as pd
import pytest

from pipelines.environment import environment
from registry.fingerprint import column_fingerprints, file_digest, table_fingerprint
from registry.recipe import Result, compared, differences

ROWS = pd.DataFrame({"order_id": [1, 2, 3], "amount_cents": [100, 250, 250], "paid": [True, False, True]})


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True)


def checkout(folder: Path) -> Path:
    """The project's code in a repository of its own, at one commit."""
    for room in ("src", "pipelines", "notebooks"):
        shutil.copytree(homes.HOUSE / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Makefile", "requirements.lock", "requirements-uv.lock"):
        shutil.copy(homes.HOUSE / name, folder)
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "as it was trained")
    return folder


def later(folder: Path, module: str) -> Path:
    """A folder that, on the path, makes a package of the lock one of a later version, which nobody can import."""
    said = folder / f"{module}-99.9.dist-info"
    said.mkdir(parents=True)
    (said / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 99.9\n")
    (folder / f"{module}.py").write_text("raise RuntimeError('of a later lock')\n")
    return folder


@pytest.mark.slow
def test_made_again_from_its_commit_and_lock_in_another_clone_and_otherwise_it_is_identical(tmp_path):
    house, home = checkout(tmp_path / "house"), homes.make(tmp_path / "home")
    asked = ("--source", "shop", "--as-of", homes.AS_OF)
    ended = homes.run(home, "retrain", "churn", *asked, *homes.FAST, house=house, OMP_NUM_THREADS="2")
    assert ended.code == 0, ended.err
    assert homes.run(home, "score", "churn", *asked, house=house).code == 0
    # since then the code went on, and is broken; so did the lock, whose packages are here; the rows have another order
    (house / "src" / "models" / "churn.py").write_text("raise RuntimeError('of a later commit')\n")
    lock = (house / "requirements.lock").read_text()
    [older] = re.findall(r"^seaborn==(\S+)", lock, re.M)
    for place in (home, house):
        (place / "requirements.lock").write_text(lock.replace(f"seaborn=={older}", "seaborn==99.9"))
    git(house, "commit", "-am", "went on")
    git(tmp_path, "clone", str(house), str(tmp_path / "clone"))
    shutil.copy(homes.HOUSE / "src" / "models" / "churn.py", tmp_path / "clone" / "src" / "models")
    lines = home / "data" / "shop" / "lines.csv"
    pd.read_csv(lines, dtype=str).sample(frac=1, random_state=1).to_csv(lines, index=False)
    shutil.rmtree(home / "data" / "scores")  # a later champion's are there by now: the run knows what its own were
    before = homes.digest(home / "data")
    again = homes.run(
        home, "rerun", "churn/1", house=tmp_path / "clone", folder=Path("/"),
        OMP_NUM_THREADS="1", PYTHONHASHSEED="7", TZ="Asia/Tokyo", LC_ALL="C", LANG="tr_TR.UTF-8",
        PYTHONPATH=str(later(tmp_path / "here", "seaborn")),
    )  # fmt: skip
    assert again.code == 0, again
    assert "in a temporary worktree" in again.err
    assert re.search(r"1/3 packages: making an environment of the run's lock, since 1 of \d+ are others", again.err)
    assert f"here, first seaborn was {older} and is 99.9" in again.err
    assert again.out.startswith("Identical: model ")
    assert f"scores of {homes.AS_OF}." in again.out
    # no package: what the run made again says it was made of has the version of then
    spite = "The same in spite of what is other than then:"
    assert again.out.splitlines()[1:] == [spite, "  threads: OMP_NUM_THREADS was 2 and is 1"]
    assert homes.digest(home / "data") == before
    assert len(homes.runs(home)) == 1
    tags = homes.runs(home)[0].data.tags
    assert tags["crm.rerun"] == again.out.splitlines()[0]
    assert datetime.strptime(tags["crm.rerun_at"], "%Y-%m-%d %H:%M UTC")
    left = subprocess.run(["git", "-C", str(tmp_path / "clone"), "worktree", "list"], capture_output=True, text=True)
    assert len(left.stdout.splitlines()) == 1


def told(lock: Path) -> dict:
    """What a recipe holds of packages, of a run that had another one of a lock."""
    return {"packages": {"pandas": "0.1"}, "lock": file_digest(lock), "platform": {"python": platform.python_version()}}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lock": "0" * 64}, "no requirements.lock with the sha256 000000000000 of the run's"),
        ({"platform": {"python": "3.9.1"}}, "the run was made by Python 3.9.1, and this is 3."),
    ],
)
def test_what_no_environment_can_be_made_of_is_not_tried(changed, words, tmp_path):
    lock, said = homes.HOUSE / "requirements.lock", []
    made = environment(told(lock) | changed, lock, tmp_path / "made", said.append)
    assert (made.python, made.own) == (Path(sys.executable), False)
    assert len(said) == 1 and words in said[0] and words in made.why_not
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_a_package_that_is_not_the_locks_is_not_installed(tmp_path):
    lock, said = tmp_path / "requirements.lock", []
    lock.write_text(f"nbstripout==0.9.1 --hash=sha256:{'0' * 64}\n")
    made = environment(told(lock), lock, tmp_path / "made", said.append)
    assert (made.python, made.own) == (Path(sys.executable), False)
    assert "making an environment" in said[0]
    assert said[1].startswith("1/3 packages: those installed here, since the run's lock could not be installed (")
    assert "HASHES" in made.why_not and "\n" not in made.why_not
    assert not list((tmp_path / "made").glob(".venv/lib/*/site-packages/nbstripout*"))


@pytest.mark.slow
def test_what_was_changed_since_is_named(tmp_path):
    home = homes.make(tmp_path / "home", homes.QUICK)
    lock = home / "requirements.lock"
    lock.write_text(f"{lock.read_text()}# of then\n")
    ended = homes.crm(home, "retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, *homes.FAST)
    assert ended.code == 0, ended.err
    lines = home / "data" / "shop" / "lines.csv"
    honest = pd.read_csv(lines, dtype=str)

    # one cell, and a package, of a lock that is nowhere any more
    changed = honest.copy()
    changed.loc[100, "Net"] = "1234.56"
    changed.to_csv(lines, index=False)
    lock_of_then = shutil.move(lock, tmp_path / "of then")
    shutil.copy(homes.HOUSE / "requirements.lock", lock)
    again = homes.run(home, "rerun", "churn/1", PYTHONPATH=str(later(tmp_path / "here", "nbstripout")))
    shutil.move(lock_of_then, lock)
    assert "1/3 packages: those installed here, since no requirements.lock with the sha256" in again.err
    said = [line.strip() for line in again.out.splitlines()[2:]]
    cell, row = honest.loc[100], "order 100, product {0.Article} (customer {0.Client})".format(honest.loc[100])
    assert cell.Invoice == "100"
    assert said[0] == "data: orders.amount_cents holds other values in as many rows"
    assert said[1] == f"data: orders: {row} has another amount_cents"
    assert said[2] == "lock: requirements.lock is another"
    assert said[3].startswith("package: nbstripout was ") and said[3].endswith(" and is 99.9")
    assert said[4].startswith("lock: 1 of ") and " since no requirements.lock with the sha256" in said[4]
    assert len(said) == 5

    # one row, and a parameter that another model follows from
    honest.drop(index=100).to_csv(lines, index=False)
    again = homes.run(home, "rerun", "churn/1", "-p", "seed=4")
    assert again.code == 3, again
    assert again.out.startswith("Not identical: model ")
    data, gone, parameter = again.out.splitlines()[1:]
    assert gone == f"  data: orders: {row} is gone"
    had, has = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", data))
    assert (data.split(" had ")[0], had - has) == ("  data: orders", 1)  # of those known at as_of
    assert parameter == "  parameter: seed was 20180102 and is 4"

    # what cannot be trained on at all is told beside the reason
    changed.assign(Net=lambda t: t.Net.where(t.index != 5, "free")).to_csv(lines, index=False)
    again = homes.run(home, "rerun", "churn/1")
    assert again.code == 3, again
    assert again.out.count("free") == 1, again
    assert homes.runs(home)[0].data.tags["crm.rerun"] == "It could not be made again."  # no cell in the store
    stored = b"".join(file.read_bytes() for file in (home / "mlruns" / "artifacts").rglob("*") if file.is_file())
    assert b"of orders" not in stored and b"order 100" not in stored  # nor a row, which only data/ may hold


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "words"), [("sead=4", "Did you mean 'seed'?"), ("seed=four", "a whole number"), ("seed=-1", "between 0")]
)
def test_a_parameter_that_the_run_had_not_is_refused_before_anything_is_made(asked, words, tmp_path_factory, tmp_path):
    home = homes.copy(homes.trained(tmp_path_factory), tmp_path / "home")
    before = homes.digest(home)
    ended = homes.crm(home, "rerun", "churn/1", "-p", asked)
    assert (ended.code, words in ended.err, "1/3" in ended.err) == (2, True, False), ended
    assert homes.digest(home) == before


def test_only_a_run_that_registered_a_version_can_be_made_again(tmp_path):
    home = homes.make(tmp_path / "home", "raise ValueError('no')")
    assert homes.crm(home, "retrain", "churn", "--source", "shop", "--as-of", homes.AS_OF, *homes.FAST).code == 1
    ended = homes.crm(home, "rerun", homes.runs(home)[0].info.run_id)
    assert (ended.code, "is FAILED" in ended.err) == (2, True), ended


@pytest.mark.slow
def test_a_run_that_is_older_than_recipes_is_refused(tmp_path_factory, tmp_path):
    home = homes.copy(homes.trained(tmp_path_factory), tmp_path / "home")
    run_id = homes.runs(home)[0].info.run_id
    homes.client(home).delete_tag(run_id, "crm.recipe")
    ended = homes.crm(home, "rerun", run_id)
    assert (ended.code, "kept no recipe" in ended.err) == (2, True), ended


def described(rows: pd.DataFrame) -> dict:
    table = ibis.duckdb.connect().create_table("t", rows)
    return {"fingerprint": table_fingerprint(table), **column_fingerprints(table)}


def recipe(**changed) -> dict:
    parts = ("parameters", "code", "notebook", "packages", "threads", "platform")
    return {name: {"a": "1", "b": "2"} for name in parts} | {"data": {"orders": described(ROWS)}, "lock": "1"} | changed


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS.sample(frac=1, random_state=1), []),
        (ROWS.assign(paid=~ROWS.paid), ["data: orders.paid holds other values in as many rows"]),
        (ROWS.head(2), ["data: orders had 3 rows and has 2"]),
        (ROWS.astype({"amount_cents": float}), ["data: orders.amount_cents was int64 and is float64"]),
        (ROWS.assign(order_id=[2, 1, 3]), ["data: orders has the same values in each column, but in other rows"]),
        (ROWS[["amount_cents", "order_id", "paid"]], ["data: orders has its columns in another order"]),
        (ROWS.rename(columns={"paid": "done"}), ["data: orders.paid is gone", "data: orders.done is new"]),
    ],
)  # fmt: skip
def test_a_table_says_where_it_parts(rows, said):
    assert differences(recipe(), recipe(data={"orders": described(rows)})) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": {}}, "data: orders is gone"),
        ({"parameters": {"a": "1", "b": "3"}}, "parameter: b was 2 and is 3"),
        ({"parameters": {"a": "1"}}, "parameter: b was 2 and is nothing"),
        ({"code": {"a": "9", "b": "2"}}, "code: a is another"),
        ({"notebook": {"a": "1", "b": "9"}}, "code: b is another"),
        ({"lock": "2"}, "lock: requirements.lock is another"),
        ({"packages": {"a": "1", "b": "2", "c": "1"}}, "package: c was nothing and is 1"),
        ({"threads": {"a": "2", "b": "2"}}, "threads: a was 1 and is 2"),
        ({"platform": {"a": "1", "b": "0"}}, "platform: b was 2 and is 0"),
    ],
)
def test_each_part_of_a_recipe_is_compared(changed, said):
    assert differences(recipe(), recipe(**changed)) == [said]


def test_results_are_compared_to_the_last_bit_and_without_the_champion():
    then = Result("a" * 64, "b" * 64, "c" * 64, {"test/auc": 0.8, "test/brier": 0.2})
    assert compared(then, then) == (
        ["model aaaaaaaaaaaa", "judged model bbbbbbbbbbbb", "test scores cccccccccccc", "2 metrics"],
        [],
    )
    now = then._replace(scores="d" * 64, metrics={"test/auc": 0.8000000000000002, "test/brier": 0.2})
    same, other = compared(then, now)
    assert same == ["model aaaaaaaaaaaa", "judged model bbbbbbbbbbbb"]
    assert other == [
        "test scores cccccccccccc is now dddddddddddd",
        "1 of 2 metrics, first test/auc was 0.8 and is 0.8000000000000002",
    ]


def test_rows_are_told_below_their_table():
    now = recipe(data={"orders": described(ROWS.head(2))})
    assert differences(recipe(), now, {"orders": ["order 3 is gone"]}) == [
        "data: orders had 3 rows and has 2",
        "data: orders: order 3 is gone",
    ]
