"""Files that are whole or not there, whenever the process that writes them is killed; and what the killed have left.

A writer works under a temporary name, `.<name>.<pid>.tmp`, which says whose it is: what a process that is gone has left
under such a name is nobody's, and the next writer removes it.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """The temporary name to write to; when the block has ended well, it is on the disk and called `file`.

    Where the block raises, an older `file` stays as it is.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _swept(file)
    temporary = beside(file)
    try:
        yield temporary
        settle(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A folder of this process in `folder` for what is written along the way; it is gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    _swept(folder / name)
    place = beside(folder / name)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def beside(file: Path) -> Path:
    """A temporary name in the same folder, which says whose it is."""
    return file.with_name(f".{file.name}.{os.getpid()}.tmp")


def settle(temporary: Path, file: Path) -> None:
    """The new file under its name, after its content is on the disk, and before anybody is told."""
    _on_disk(temporary)
    os.replace(temporary, file)
    _on_disk(file.parent)


def sweep(folder: Path) -> None:
    """Remove what writers that are gone left below a folder under a temporary name: half a file, with rows in it."""
    for left in [*folder.rglob(".*.tmp")]:
        writer = re.search(r"\.(\d+)\.tmp$", left.name)
        if writer is None or _gone(int(writer[1])):
            _remove(left)


def _swept(file: Path) -> None:
    """What those that are gone left of this one."""
    for left in file.parent.iterdir():
        writer = re.fullmatch(rf"\.{re.escape(file.name)}\.(\d+)\.tmp", left.name)
        if writer and (int(writer[1]) == os.getpid() or _gone(int(writer[1]))):
            _remove(left)


def _remove(left: Path) -> None:
    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that did stays listed until its parent asks for it, and it may never ask."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _on_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
