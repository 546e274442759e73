"""Make the simulated world on disk."""

from collections.abc import Callable
from pathlib import Path

from contracts.places import root
from sources.world.parameters import World
from sources.world.writer import write_world


def world(customers: int, seed: int, out: str, say: Callable[[str], None]) -> Path:
    """Write a world of so many customers into the folder `out`, below the project's unless absolute; its path."""
    folder = root() / out
    write_world(World(customers, seed), folder, say)
    return folder
