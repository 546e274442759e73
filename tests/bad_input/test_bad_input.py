"""The battery of bad input: every case has one behaviour, a refusal that names what is wrong or a stated tolerance.

The cases are drawn as small files from a sound shop. `docs/bad-input.md` lists them, and is held to be their list.
"""

import hashlib
from pathlib import Path

import pytest

import sources
from bad_input.cells import CELLS
from bad_input.files import FILES
from bad_input.shop import write
from contracts.errors import Refused, WorldFailed
from contracts.tables import check

CASES = [*FILES, *CELLS]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"
HEAD = """# Bad input
What `crm check` and every run do with files that are not as they should be. Nothing is guessed: a row is read as it is
declared, or the run is refused (exit code 2) before anything is written, with the table, the column, how many rows and
the first of them. `tests/bad_input/` draws each of these cases, and holds this page.

| input | what happens |
|---|---|
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project with the sound shop."""
    monkeypatch.setenv("CRM_HOME", str(tmp_path))
    write(tmp_path)
    return tmp_path


def opened():
    source = sources.open_source("shop")
    check(source.tables, source.attributes)
    return source


def files(home: Path) -> dict[str, str]:
    there = (p for p in sorted(home.rglob("*")) if p.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in there}


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_bad_input(case, home):
    case.spoil(home)
    before = files(home)
    if case.says:
        with pytest.raises((Refused, WorldFailed)) as refused:
            opened()
        for part in case.says:
            assert part in str(refused.value), str(refused.value)
        assert len(str(refused.value)) < 2500
    else:
        assert case.sees(opened()), case.why
    assert files(home) == before


def test_the_sound_shop_is_read(home):
    assert opened().tables["orders"].count().execute() == 60


def test_there_are_enough_cases_and_each_is_another():
    assert len(CASES) == len({case.what for case in CASES}) >= 120
    assert all(bool(case.says) != bool(case.why) and bool(case.why) == bool(case.sees) for case in CASES)


def rows() -> str:
    return "".join(f"| {c.what} | {f'read: {c.why}' if c.why else 'refused'} |\n" for c in CASES).replace(
        "read: read", "read"
    )


def test_the_page_lists_them():
    assert PAGE.read_text(encoding="utf-8") == HEAD + rows()
