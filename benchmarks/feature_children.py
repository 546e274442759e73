"""A contender as a process of its own: what it cost, and the environments of those that the lock does not hold."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from feature_data import FOLDER

HERE = Path(__file__).resolve().parent
PEERS = FOLDER / "peers"
THREADS = 2
LONGEST_CPU_SECONDS = 15 * 60
MOST_MEMORY = 12 * 2**30
LOOK_EVERY = 0.05


class Cost(NamedTuple):
    """Of one run: seconds, gigabytes, and what it said when it failed ("" when it did not)."""

    wall: float
    cpu: float
    memory: float
    asked: float
    disk: float
    failed: str = ""


class NotHere(Exception):
    """The contender cannot run on this machine."""


def interpreter(environment: str) -> str:
    """The Python of an environment of `peers.txt`, which is made once; "" is the one that runs this."""
    if not environment:
        return sys.executable
    wanted = _wanted()[environment]
    folder = PEERS / environment
    python, made = folder / "bin" / "python", folder / "made-of.txt"
    if made.exists() and made.read_text() == wanted:
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    steps = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted.split()],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            raise NotHere(f"its environment cannot be made: {_last_line(done.stderr)}")
    made.write_text(wanted)
    return str(python)


def run(command: list[str]) -> Cost:
    """Run a command to its end, or until it has taken more processor time or memory than anybody may.

    Memory is the largest sum over the process and its children, looked at twenty times a second, or the kernel's own
    peak of the process where that is more. Bytes asked for are those of read calls; bytes of the disk are those that
    no cache had. A file that is mapped into memory is in neither unless it came from the disk. Processor time is the
    system's count, or what was last seen of the process and all below it, such as a Java that nobody waits for.
    """
    # an interpreter that may not keep what it compiled would compile its libraries in every run
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    threads = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS")}
    before, io_before = time.perf_counter(), _io("self")
    child = subprocess.Popen(
        command,
        env={**ours, **threads},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_CPU_SECONDS, LONGEST_CPU_SECONDS + 5)),
    )
    said, peak, seen, stopped = bytearray(), 0, 0.0, ""
    os.set_blocking(child.stderr.fileno(), False)
    while True:
        said += child.stderr.read() or b""
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        peak, seen = max(peak, _memory(child.pid)), max(seen, _processor(child.pid))
        if peak > MOST_MEMORY and not stopped:
            stopped = f"did not finish: more than {MOST_MEMORY / 2**30:.0f} GB"
            child.kill()
        time.sleep(LOOK_EVERY)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - before
    said += child.stderr.read() or b""
    child.stderr.close()
    cpu = max(used.ru_utime + used.ru_stime, seen)
    if child.returncode and not stopped:
        late = cpu >= LONGEST_CPU_SECONDS
        limit = f"did not finish: more than {LONGEST_CPU_SECONDS // 60} minutes of a processor"
        stopped = limit if late else _last_line(said.decode(errors="replace")) or f"exit code {child.returncode}"
    # what a child read is added to its parent's count once it has ended
    asked, disk = (now - then for now, then in zip(_io("self"), io_before, strict=True))
    return Cost(wall, cpu, max(peak, used.ru_maxrss * 1024) / 1e9, asked / 1e9, disk / 1e9, stopped)


def _wanted() -> dict[str, str]:
    lines = (HERE / "peers.txt").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def _io(process: str) -> tuple[int, int]:
    """Bytes that read calls gave, and bytes that came from the disk; zeros where the system does not tell."""
    try:
        told = dict(line.split(": ") for line in Path(f"/proc/{process}/io").read_text().splitlines())
    except OSError:
        return 0, 0
    return int(told["rchar"]), int(told["read_bytes"])


def _memory(pid: int) -> int:
    """Resident bytes of a process and all below it; 0 of one that has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize() + sum(map(_memory, _below(pid)))


def _processor(pid: int) -> float:
    """Seconds of the processors that a process, those it waited for, and all below it have taken."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    except OSError:
        return 0.0
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + sum(map(_processor, _below(pid)))


def _below(pid: int) -> list[int]:
    """The processes that a thread of this one has started and that live."""
    try:
        told = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    return [int(child) for children in told for child in children.split()]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
