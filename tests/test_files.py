"""Files are whole or not there, in the order in which they must reach the disk; what the killed left is removed."""

import os
import subprocess
import sys

import pytest

from contracts.files import beside, scratch, sweep, whole


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def dead():
    """The number of a process that was killed, and whose parent has not asked for it."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    yield pid
    os.waitpid(pid, 0)


def test_a_file_is_the_old_one_until_it_is_the_new_one(tmp_path):
    file = tmp_path / "below" / "table"
    for text in ("old", "new"):
        with whole(file) as written:
            written.write_text(text)
            assert file.exists() == (text == "new") and written.parent == file.parent
    assert file.read_text() == "new" and os.listdir(file.parent) == ["table"]


def test_a_block_that_raises_leaves_the_old_one_and_nothing_else(tmp_path):
    file = tmp_path / "table"
    file.write_text("old")
    with pytest.raises(OSError, match="full"), whole(file) as written:
        written.write_text("ne")
        raise OSError("the disk is full")
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["table"]


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    """After a power cut a name must not stand for an empty file: written, then renamed, then the folder."""
    done, sync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda opened: (done.append(os.path.basename(_name(opened))), sync(opened)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("renamed"), rename(a, b)))
    with whole(tmp_path / "table") as written:
        written.write_text("new")
    assert done == [written.name, "renamed", tmp_path.name]


def _name(opened: int) -> str:
    return os.readlink(f"/proc/self/fd/{opened}")


def test_the_next_writer_removes_what_the_killed_left_of_its_file_and_no_other(tmp_path, gone, dead):
    for name in (f".table.{gone}.tmp", f".table.{dead}.tmp", ".table.1.tmp", f".other.{gone}.tmp", "table.5.tmp"):
        (tmp_path / name).write_text("half")
    with whole(tmp_path / "table") as written:
        written.write_text("new")
    left = {".table.1.tmp", f".other.{gone}.tmp", "table", "table.5.tmp"}  # 1 is alive
    assert set(os.listdir(tmp_path)) == left


def test_a_folder_of_work_is_gone_at_the_end_and_with_it_what_the_killed_left(tmp_path, gone):
    (tmp_path / f".spill.{gone}.tmp").mkdir()
    (tmp_path / f".spill.{gone}.tmp" / "block").write_text("gigabytes")
    with pytest.raises(RuntimeError), scratch(tmp_path, "spill") as place:
        (place / "block").write_text("more")
        assert os.listdir(tmp_path) == [place.name]
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_a_sweep_removes_what_is_nobodys_below_a_folder(tmp_path, gone):
    mine, theirs = beside(tmp_path / "below" / "a"), tmp_path / "below" / f".a.{gone}.tmp"
    mine.parent.mkdir()
    for file in (mine, theirs, tmp_path / "a.tmp"):
        file.write_text("half")
    sweep(tmp_path)
    assert mine.exists() and not theirs.exists() and (tmp_path / "a.tmp").exists()
