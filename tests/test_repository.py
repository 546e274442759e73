"""What is committed is clean: no secret, no place of one machine, no registry's address, nothing left over."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
KNOWN_HERE = "tests/test_repository.py"  # it has to spell what it looks for
LARGEST = 1_000_000  # bytes
LEFT_OUT = {".git", ".venv", "__pycache__", "build", "raw", "mlruns"}
FORBIDDEN = {
    "a place on one machine": r"(?<![\w.:/<])/(?:root|home|Users|work|mnt)/\w",
    "a registry's address": r"pypi\.org|pythonhosted|deb\.debian|registry\.npmjs|anaconda\.org|--(?:extra-)?index-url",
    "a private key": r"-----BEGIN (?:\w+ )?PRIVATE KEY",
    "a secret": r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[bp]-[0-9]{6,})",
    "a password in an address": r"\w+://[^\s:/@{}<>]+:[^\s:/@{}<>]+@(?!127\.0\.0\.1|localhost|HOST|host)",
    "a conflict": r"(?m)^(?:<{7} |>{7} |={7}$)",
    "a thing not done": r"\b(?:TODO|FIXME|XXX)\b",
}


def committed() -> list[Path]:
    """What git has, or would take; where there is no git, every file that is not ignored by its folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode == 0:
        files = [HOUSE / name for name in listed.stdout.split("\0") if name]
    else:
        files = [file for file in HOUSE.rglob("*") if not LEFT_OUT & set(file.relative_to(HOUSE).parts[:-1])]
    return [file for file in files if file.is_file()]


def findings(where: str, text: str) -> list[str]:
    """What of FORBIDDEN a text holds, with the line."""
    return [
        f"{where}:{text.count(chr(10), 0, found.start()) + 1}: {what}: {found.group()}"
        for what, pattern in FORBIDDEN.items()
        for found in re.finditer(pattern, text)
    ]


def test_nothing_forbidden_is_committed():
    found = []
    for file in committed():
        where = file.relative_to(HOUSE).as_posix()
        content = file.read_bytes()
        if where != KNOWN_HERE and b"\0" not in content[:8000]:
            found += findings(where, content.decode())
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "open('/home/me/orders.csv')",
        "--extra-index-url x",
        "-----BEGIN RSA PRIVATE KEY-----",
        "key = 'AKIAABCDEFGHIJKLMNOP'",
        "postgres://me:hidden@db.shop/crm",
        "a\n>>>>>>> theirs\n",
        "# TODO later",
    ],
)
def test_the_search_finds_what_it_looks_for(text):
    assert len(findings("planted", text)) == 1


def test_customers_data_and_runs_are_not_committed():
    kept = ("data/raw/", "data/features/", "data/scores/", "data/decisions/", "mlruns/")
    names = [file.relative_to(HOUSE).as_posix() for file in committed()]
    assert [name for name in names if name.startswith(kept) and not name.endswith("README.md")] == []


def test_no_file_is_large():
    assert [f"{file}: {file.stat().st_size:,} bytes" for file in committed() if file.stat().st_size > LARGEST] == []


def test_ruff_finds_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."],
        cwd=HOUSE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_notebooks_are_stripped():
    notebooks = sorted((HOUSE / "notebooks").glob("*.ipynb"))
    done = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--verify", "--keep-id", *notebooks],
        capture_output=True, text=True,
    )  # fmt: skip
    assert notebooks and done.returncode == 0, done.stdout + done.stderr
