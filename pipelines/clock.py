"""Was the clock set while a run was at work? Then its times, and the order of the ledger, cannot be trusted."""

import time

from contracts.errors import ClockJumped

MOST = 60  # seconds; what the network's time corrects is less


def offset() -> float:
    """The clock's time less that since the machine started, in seconds: the same at every moment, unless it was set."""
    since = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # this one goes on while the machine sleeps
    return time.time() - time.clock_gettime(since)


def refuse_jump(before: float) -> None:
    """Raises `ClockJumped` where the offset is no longer what it was."""
    jump = offset() - before
    if abs(jump) > MOST:
        raise ClockJumped(
            f"The clock jumped by {jump:+,.0f} seconds while this ran, so that its times say nothing. Nothing was "
            f"registered. Set the clock, then run it again."
        )
