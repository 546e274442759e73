"""The packages of a run: an environment of its lock, where what is installed here is not what the run was made with.

The Makefile makes it as it makes ours, each package checked against its hash in the lock, in a temporary folder with
which it goes. Where it cannot be made, that is no failure: the packages of here are taken, and it is said why.
"""

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.places import root
from pipelines.preflight import CODE
from registry.fingerprint import file_digest
from registry.recipe import GONE, packages

LOCK, UV_LOCK = "requirements.lock", "requirements-uv.lock"


@dataclass(frozen=True)
class Environment:
    """With what a run is made again.

    python   the interpreter whose packages are taken
    own      whether it was made for the run
    why_not  why that could not be done, if so; empty, too, where the packages of here are those of the run
    """

    python: Path = Path(sys.executable)
    own: bool = False
    why_not: str = ""


def environment(then: Mapping, lock: Path, folder: Path, say: Callable[[str], None]) -> Environment:
    """The environment of a run whose recipe is `then`; made in `folder` only if other packages are installed here.

    lock  the file that should be the run's lock; one with another sha256 is not installed
    """
    had, has = then["packages"], packages(root() / LOCK)
    others = [name for name in sorted({*had, *has}) if had.get(name) != has.get(name)]
    if not others:
        return Environment()
    why_not = _refused(then, lock)
    if not why_not:
        first = f"{others[0]} was {had.get(others[0], GONE)} and is {has.get(others[0], GONE)}"
        say(
            f"1/3 packages: making an environment of the run's lock, since {len(others)} of {len(had)} are others "
            f"here, first {first}"
        )
        why_not = _made(lock, folder)
    if why_not:
        say(f"1/3 packages: those installed here, since {why_not}")
        return Environment(why_not=why_not)
    return Environment(folder / ".venv" / "bin" / "python", own=True)


def _refused(then: Mapping, lock: Path) -> str:
    """Why it need not be tried; empty if it is worth it."""
    if not lock.is_file() or file_digest(lock) != then["lock"]:
        return f"no {LOCK} with the sha256 {then['lock'][:12]} of the run's is in the project or in its commit"
    was, found = then["platform"]["python"], platform.python_version()
    if was.split(".")[:2] != found.split(".")[:2]:
        return f"the run was made by Python {was}, and this is {found}"
    return ""


def _made(lock: Path, folder: Path) -> str:
    """Have the Makefile install a lock into `folder`; empty when it could, else why not, in a line."""
    words = ["make", "-s", "-f", str(CODE / "Makefile"), "-C", str(folder), "packages", f"PYTHON={sys.executable}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    try:
        folder.mkdir()
        shutil.copy(lock, folder / LOCK)
        shutil.copy(CODE / UV_LOCK, folder)
        with subprocess.Popen(words, start_new_session=True, **pipes) as process:
            try:
                said, _ = process.communicate()
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)  # what make has started, too, before the folder goes
                raise
    except OSError as error:
        return f"the run's lock could not be installed ({error})"
    return f"the run's lock could not be installed ({_reason(said)})" if process.returncode else ""


def _reason(said: str) -> str:
    """Of what an installation said, the line that tells what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("make")]
    told = [line for line in lines if line.startswith("ERROR:")] or lines or ["make said nothing"]
    return told[-1].removeprefix("ERROR: ")
