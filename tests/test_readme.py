"""The README says what is so: its commands are there, and its example of a mapping is read."""

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.__main__ import app
from sources.mapping import read_mapping

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^ {4}(crm [^#\n]+?)\s*(?:#.*)?$", README, re.MULTILINE)))
TARGETS = sorted(set(re.findall(r"^ {4}make (\w+)", README, re.MULTILINE)))


def test_the_readme_has_commands():
    assert len(COMMANDS) >= 5 and {"demo", "test", "lab", "ui"} <= set(TARGETS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_there_with_its_options(command):
    words = command.split()[1:]
    found = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert found.exit_code == 0
    assert all(word in found.output for word in words if word.startswith("--"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_of_the_readme_is_there(target):
    found = subprocess.run(["make", "-n", "-C", str(ROOT), target], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_the_mapping_of_the_readme_is_read(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "shop.yml"
    file.write_text(example, encoding="utf-8")
    (orders,) = read_mapping(file).tables
    assert orders.columns["customer_id"] == "Client"


def test_the_table_of_the_demo_has_the_rows_that_the_readme_shows():
    from pipelines.demo import ROWS

    assert all(row in README for row in ROWS)
