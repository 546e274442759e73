"""Nothing that runs write names what few customers share: canaries in every attribute of every table are found nowhere.

What is pseudonymous (ids of customers and orders) and numbers and levels of declared attributes that at least 20
customers share may be written. A customer's own reasons, in the score table beside the data, may say her own number.
"""

import canaries
import homes
import pytest

pytestmark = pytest.mark.slow
SECRET = "kanari-secret-of-the-house"
NIGHT = """
source: canary
models: [churn]
at: "03:00"
again: {times: 0, after_seconds: 0}
keep_days: 30
steps:
  check: {run: check canary}
  retrain:
    run: retrain {model} --source {source} --as-of {as_of}
    needs: [check]
    parameters: {effort: fast, origins: 4, slices: "town,motto,income"}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = homes.make(tmp_path_factory.mktemp("canaries") / "home")
    canaries.write(made)
    (made / "pipelines").mkdir()
    (made / "pipelines" / "canary_night.yml").write_text(NIGHT)
    return made


def ran(home, *words, codes=(0,)):
    ended = homes.run(home, *words, SHOP_KEY=SECRET)
    assert ended.code in codes, ended.err
    assert canaries.WORD not in ended.out + ended.err and SECRET not in ended.out + ended.err
    return ended


def nothing_found(home):
    """In no file; numbers in none that leaves for the store; and all files are their user's alone."""
    written = [home / "mlruns", *(home / "data" / name for name in ("scores", "decisions", "evidence", "comparisons"))]
    there = [folder for folder in written if folder.exists()]
    assert len(there) >= 4
    for folder in there:
        assert canaries.found(folder, [canaries.WORD, SECRET]) == [], folder
        assert [str(p) for p in [folder, *folder.rglob("*")] if p.lstat().st_mode & 0o077] == []
    shown = [f"{canaries.NUMBER:.0f}", f"{canaries.NUMBER:,.0f}"]
    assert canaries.found(home / "mlruns", shown) == []


def test_the_search_finds_what_is_hidden(home, tmp_path):
    """In Parquet, SQLite, zip and gzip, and in the files that the canaries were planted in."""
    import gzip
    import sqlite3
    import zipfile

    import pandas as pd

    pd.DataFrame({"a": ["x" * 9, canaries.WORD] * 500}).to_parquet(tmp_path / "a.parquet", compression="zstd")
    (tmp_path / "b.gz").write_bytes(gzip.compress(canaries.WORD.encode()))
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(tmp_path / "b.gz", "inner.gz")
    store = sqlite3.connect(tmp_path / "d.db")
    store.execute("CREATE TABLE t (a)")
    store.execute("INSERT INTO t VALUES (?)", (canaries.WORD,))
    store.commit()
    assert [line.partition(":")[0] for line in canaries.found(tmp_path, [canaries.WORD])] == [
        "a.parquet", "b.gz", "c.zip", "d.db"
    ]  # fmt: skip
    files = {line.partition(":")[0] for line in canaries.found(home / "data" / "shop", [canaries.WORD])}
    assert len(files) >= 9


def test_churn_by_night_names_nobody(home):
    ran(home, "run", "canary_night", "--as-of", homes.AS_OF, codes=(0, 3))
    ran(home, "promote", "churn", "1", "--reason", "so that it scores", codes=(0, 2))
    ran(home, "score", "churn", "--source", "canary", "--as-of", homes.LATER)
    ran(home, "watch", "churn", "--source", "canary", "--as-of", homes.LATER, codes=(0, 3))
    nothing_found(home)


@pytest.mark.parametrize("model", ["clv", "response"])
def test_value_and_response_name_nobody(home, model):
    """Trained, judged and scored; campaigns, arms and channels have canaries, too."""
    asked = {"clv": ("segment=town", "origins=3"), "response": ("effort=fast",)}[model]
    words = [word for each in (*asked, "horizon_days=28", "slices=town,motto,income") for word in ("-p", each)]
    if ran(home, "retrain", model, "--source", "canary", "--as-of", homes.AS_OF, *words, codes=(0, 3)).code:
        ran(home, "promote", model, "1", "--reason", "so that it scores")
    ran(home, "score", model, "--source", "canary", "--as-of", homes.AS_OF)
    nothing_found(home)


def test_credit_of_a_flat_source_names_nobody(home):
    asked = ("-p", "effort=fast", "-p", "amount_column=amount", "-p", "protected=housing", "-p", "slices=purpose")
    ran(home, "retrain", "credit", "--source", "loans", "--as-of", homes.AS_OF, *asked, codes=(0, 3))
    ran(home, "promote", "credit", "1", "--reason", "so that it scores", codes=(0, 2))
    ran(home, "score", "credit", "--source", "loans", "--as-of", homes.LATER)
    nothing_found(home)
