r"""Can a night be cut anywhere and leave nothing half-written? Kills, full disks, a store that is gone, counted.

    python benchmarks/faults.py --folder /dev/shm   # all of the plan: about an hour of one core, in memory
    python benchmarks/faults.py --kills 40          # a tenth of the random kills
    python benchmarks/faults.py --only events --only full

Each case starts from the same project: a shop whose champion is a weak model, on the eve of a night that trains a
better one, promotes it, and scores everybody (`fault_night.py` says what of it is real). The night is cut; what a
reader sees at that moment is checked; the night is run again; what it leaves is checked, byte by byte.

    half      versions without all their tags, without the files of their sha256, or an alias that points to one
    torn      score tables, plans and other tables that are neither the old ones nor the new
    RUNNING   runs that still say so once the next start is over
    ledger    rows that disagree with an alias, or a broken chain
    other     a store that is not sound, files left behind, a version lost or registered twice
    next run  runs after a cut that did not end well

Each promise is broken on purpose in tests/test_mutants.py.
"""

import contextlib
import ctypes
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import fault_cases as cases
import psutil
import typer
from fault_night import COUNTER, NEXT, Nights, ended, fork, logged, night, seen, settled, wait

from pipelines import retrain

KINDS = ("half", "torn", "RUNNING", "ledger", "other", "next run")
WORDS = {"half-registered": "half", "alias": "half", "torn": "torn", "missing": "torn", "RUNNING": "RUNNING"}
REAL = retrain.run_notebook  # Papermill with a kernel


class Tally:
    """Counts of one case, and the first words of what was wrong."""

    def __init__(self, name: str):
        self.name, self.cuts, self.found, self.first, self.clock = name, 0, Counter(), "", time.monotonic()

    def add(self, wrong: list[str], where: str) -> None:
        """One cut is over; what was wrong, and where it was cut."""
        self.cuts += 1
        for line in wrong:
            kind = "next run" if line.startswith("next run") else WORDS.get(line.split(":")[0].split()[0], "other")
            self.found["ledger" if line.startswith("ledger") else kind] += 1
            self.first = self.first or f"{where}: {line}"
        if self.cuts % 25 == 0:
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """A row of the table."""
        counts = "".join(f"{self.found[kind]:>9}" for kind in KINDS)
        seconds = time.monotonic() - self.clock
        return f"{self.name:34}{self.cuts:>6}{counts}{seconds:>8.0f}" + (f"\n      {self.first}" if self.first else "")


def resumed(nights: Nights) -> list[str]:
    """What is wrong now, and after the night was run again."""
    wrong = seen(nights.home, nights.expected)
    again = ended(nights.home, lambda: night(NEXT))
    if again.code != 0:
        wrong.append(f"next run ended with {again.code}: {' '.join(again.said.split())[-300:]}")
    return [*wrong, *seen(nights.home, nights.expected), *settled(nights.home, nights.expected)]


# --- kills of a night ---


def at_events(nights: Nights, most: int) -> Tally:
    """Killed just before an event: each of them, or as many as are asked for, evenly spaced."""
    count = len(nights.events)
    tally = Tally(f"killed at events, of {count}")
    for at in range(1, count + 1) if most >= count else sorted({1 + k * count // most for k in range(most)}):
        nights.fresh()
        code = wait(fork(logged(lambda: night(NEXT), nights.log), nights.home, at))
        wrong = [] if code == -signal.SIGKILL else [f"it was not killed, but ended with {code}"]
        tally.add(wrong + resumed(nights), f"event {at}, {nights.events[at - 1]}")
    return tally


def at_random(nights: Nights, kills: int, whom: str, draw: random.Random) -> Tally:
    """Killed at a random moment: the group, the kernel (as where memory runs out), or the runner or its step alone.

    The moment lies between two events, each pair of them as likely as another; that of a kernel is one of its own. One
    night in ten whose group is killed has a kernel, which is in no group of ours and dies of itself.
    """
    tally = Tally(f"killed at random: {whom}")
    while tally.cuts < kills:
        nights.fresh()
        real = whom == "kernel" or whom == "group" and tally.cuts % 10 == 9
        pid = fork(logged(lambda real=real: _night(real), nights.log), nights.home)
        moment = draw.uniform(0, len(nights.events))
        hit = KILL[whom](pid, moment, draw)
        code = wait(pid) if whom != "runner" or not hit else _collected(pid)
        wrong = [f"next run: a night whose kernel died ended with {code}"] if hit and whom == "kernel" and code else []
        wrong += resumed(nights)
        _all_over()
        if hit:
            tally.add(wrong, f"at event {moment:.1f} of a night with{'' if real else 'out'} a kernel")
    return tally


def _night(with_kernel: bool) -> int:
    retrain.run_notebook = REAL if with_kernel else retrain.run_notebook
    return night(NEXT)


def _reached(pid: int, moment: float, draw: random.Random) -> bool:
    """Wait for a moment between two events; False where the night is over before."""
    while COUNTER.counted() < moment:
        if _over(pid):
            return False
        time.sleep(0.001)
    time.sleep(draw.uniform(0, BETWEEN))
    return not _over(pid)


def _group(pid: int, moment: float, draw: random.Random) -> bool:
    return _reached(pid, moment, draw) and os.killpg(pid, signal.SIGKILL) is None


def _runner(pid: int, moment: float, draw: random.Random) -> bool:
    """The night's process, or that of the step that it waits for: the other goes on."""
    if not _reached(pid, moment, draw):
        return False
    with contextlib.suppress(psutil.Error):
        found = [psutil.Process(pid), *psutil.Process(pid).children()]
        draw.choice(found[-2:]).kill()
    return True


def _kernel(pid: int, _, draw: random.Random) -> bool:
    """While it starts, or once it has begun to hand its record in."""
    kernel, handing_in = None, draw.random() < 0.5
    while not _over(pid) and (kernel is None or handing_in and not _handed_in(kernel)):
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(pid).children(recursive=True)
            kernel = next((p for p in below if "ipykernel_launcher" in " ".join(p.cmdline())), None)
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 0.2 if handing_in else 2))
    if kernel is None or not kernel.is_running():
        return False
    with contextlib.suppress(psutil.Error):
        kernel.kill()
    return True


def _handed_in(kernel: psutil.Process) -> bool:
    try:
        return any(Path(kernel.environ().get("CRM_STAGE", "/nowhere")).glob("model"))
    except psutil.Error:
        return False


BETWEEN = 0.05  # seconds, at most, from an event to a kill between it and the next
KILL = {"group": _group, "runner": _runner, "kernel": _kernel}


def _over(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _collected(pid: int) -> int:
    """Of a night whose runner or step was killed: it is over, or goes on and tries the step again."""
    return wait(pid)


def _all_over() -> None:
    """Wait for what the killed left running, so that it does not reach into the next project."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            os.waitpid(-1, os.WNOHANG)
            time.sleep(0.01)
        except ChildProcessError:
            return
    for left in psutil.Process().children():
        left.kill()


def _events(nights, kills, events, draw):
    yield at_events(nights, events)


def _random(whom: str, share: int):
    return lambda nights, kills, _, draw: [at_random(nights, max(1, kills // share), whom, draw)]


def _counted(found) -> Iterator[Tally]:
    """A tally for each name among what a case yields."""
    tally, begun = None, time.monotonic()
    for name, cuts, wrong in found:
        if tally is None or tally.name != name:
            if tally:
                yield tally
            tally = Tally(name)
            tally.clock = begun  # its first cut is over by now
        tally.add(wrong, f"cut {tally.cuts + 1}")
        tally.cuts += cuts - 1
        begun = time.monotonic()
    if tally:
        yield tally


def _share(of: int, kills: int) -> int:
    """Of the plan's cuts, in proportion to the random kills that are asked for."""
    return max(1, of * kills // PLAN)


PLAN = 400
CASES = {
    "events": _events,
    "group": _random("group", 2),
    "runner": _random("runner", 4),
    "kernel": _random("kernel", 4),
    "writers": lambda n, kills, _, draw: _counted(cases.writers(n, _share(100, kills), draw)),
    "creation": lambda n, kills, _, draw: _counted(cases.creation(n, _share(50, kills), draw)),
    "full": lambda n, *_: _counted(cases.full(n, resumed)),
    "store": lambda n, *_: _counted(cases.gone(n, resumed)),
    "stale": lambda n, kills, _, draw: _counted(cases.stale(n, _share(20, kills), draw)),
    "moves": lambda n, kills, events, _: _counted(cases.moves(n, events)),
    "at once": lambda n, *_: _counted(cases.at_once(n, 1)),
    "same at once": lambda n, *_: _counted(cases.same_at_once(n, 1)),
}
app = typer.Typer(add_completion=False)


@app.command()
def main(
    kills: Annotated[
        int, typer.Option(help="Random kills of a night; half the group, a quarter each the others.")
    ] = 400,
    events: Annotated[int, typer.Option(help="Kills at events; all of them where there are fewer.")] = 1000,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(CASES)}.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random moments.")] = 1,
    folder: Annotated[Path | None, typer.Option(help="Where to work; a temporary folder by default.")] = None,
):
    """Cut a night in every way, and count what was left half-written; ends with 1 where anything was."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # what a killed process leaves running becomes a child of this one
    with tempfile.TemporaryDirectory(dir=folder) as place:
        nights = Nights(Path(place))
        print(f"a night has {len(nights.events)} events and takes {nights.seconds:.1f} s")
        print(f"{'case':34}{'cuts':>6}{''.join(f'{kind:>9}' for kind in KINDS)}{'seconds':>8}", flush=True)
        wrong = 0
        for name in only or CASES:
            for tally in CASES[name](nights, kills, events, random.Random(f"{seed} {name}")):
                print(tally.line(), flush=True)
                wrong += sum(tally.found.values())
    raise typer.Exit(int(wrong > 0))


if __name__ == "__main__":
    app()
