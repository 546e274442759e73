"""A small lender that nobody borrows from: a simulated company most of whose customers apply, made once a session."""

import os
from pathlib import Path

import homes
import pytest
from filelock import FileLock

from sources.world.credit import Credit
from sources.world.parameters import World
from sources.world.writer import write_world

WORLD = World(1_500, 7, days=1_300, credit=Credit(applies=0.9, again=0.5, level=-3.2), campaigns=None, identities=None)
AS_OF = "2026-07-01"
DATES = {"horizon_days": 270, "origins": 8, "spacing_days": 182}


def made(factory: pytest.TempPathFactory) -> Path:
    """A project whose source `world` is that lender. Nobody changes it."""
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    home = shared / "lender" / "home"
    with FileLock(shared / "lender.lock"):
        if not (home / "data" / "raw" / "world").exists():
            homes.make(home)
            write_world(WORLD, home / "data" / "raw" / "world", lambda _: None, workers=1)
    return home
