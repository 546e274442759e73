"""What a spreadsheet opens: texts that would be formulas are texts, and numbers stay numbers."""

import homes
import pandas as pd
import pytest

from contracts.spreadsheets import defused, write_csv

FORMULAS = [
    '=HYPERLINK("http://evil.example","x")', "=1+1", "+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(A1:A9)",
    "\t=1+1", "\r=1+1", "\n=1+1", "\uff1d1+1", "\uff0bA1", "\uff0dA1", "\uff20SUM(A1)", "-A1", "+A1", "-", "=",
]  # fmt: skip
HARMLESS = [
    "Ann",
    "",
    "-1",
    "+0.093 (+0.070 to +0.116)",
    "-0.5",
    "\u20141",
    "a=b",
    "1-2",
    " =1",
    "-12.5% (-14% to -11%)",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_would_be_a_formula_is_none(text):
    assert defused(pd.DataFrame({"name": [text, None]})).name.dropna().tolist() == [f"'{text}"]
    assert defused(pd.DataFrame({text: [1]})).columns.tolist() == [f"'{text}"]
    assert defused(pd.DataFrame({"name": pd.Categorical([text])})).name.tolist() == [f"'{text}"]


def test_what_is_none_stays_as_it_is_and_so_do_numbers_and_the_table_itself():
    table = pd.DataFrame({"said": HARMLESS, "number": range(len(HARMLESS)), "day": pd.Timestamp("2024-01-01")})
    pd.testing.assert_frame_equal(defused(table), table)
    before = pd.DataFrame({"name": ["=1"], "n": [-1.5]})
    assert defused(before).n.tolist() == [-1.5] and before.name.tolist() == ["=1"]


def test_a_file_holds_no_live_formula(tmp_path):
    write_csv(pd.DataFrame({"name": FORMULAS, "gain": [-1.5] * len(FORMULAS)}), tmp_path / "list.csv")
    cells = pd.read_csv(tmp_path / "list.csv", keep_default_na=False)
    assert cells.name.str.startswith("'").all() and (cells.gain == -1.5).all()
    assert [file.name for file in tmp_path.iterdir()] == ["list.csv"]


def test_an_exported_plan_holds_no_live_formula(tmp_path):
    """Ids and reasons are texts of somebody else's."""
    place = tmp_path / "data" / "decisions" / "model=churn" / "as_of=2024-01-01"
    place.mkdir(parents=True)
    (tmp_path / "data" / "sources").mkdir()
    (tmp_path / "data" / "sources" / "shop.yml").write_text("kind: world\nfolder: x\n")
    plan = pd.DataFrame(
        {"customer_id": ["=cmd|' /C calc'!A0", "7"], "expected_gain_cents": [-5, 3], "action": ["@x", "c"]}
    )
    plan.to_parquet(place / "shop.parquet")
    asked = ("export", "churn", "--source", "shop", "--as-of", "2024-01-01", "--out", str(tmp_path / "plan.csv"))
    ended = homes.crm(tmp_path, *asked)
    assert ended.code == 0 and "2 rows" in ended.out, ended.err
    lines = (tmp_path / "plan.csv").read_text().splitlines()
    assert lines[1:] == ["\"'=cmd|' /C calc'!A0\",-5,\"'@x\"", '"7",3,"c"']
    assert (tmp_path / "plan.csv").stat().st_mode & 0o077 == 0
    assert "is there already" in homes.crm(tmp_path, *asked).err
    for words, said in (
        (("--what", "models"), "--what one of plan, scores"),
        (("--source", "../shop"), "--source must be one of shop"),
        (("--as-of", "2024-02-30"), "2024-02-30"),
        (("--as-of", "2024-01-02"), "must have scored shop as of 2024-01-02"),
        (("--out", str(tmp_path / "plan.xlsx")), "ends otherwise"),
    ):
        refused = homes.crm(tmp_path, *asked[:-1], str(tmp_path / "other.csv"), *words)
        assert refused.code == 2 and said in refused.err, refused.err
