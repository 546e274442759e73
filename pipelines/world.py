"""Make the simulated world on disk."""

from collections.abc import Callable
from pathlib import Path

from contracts.places import root
from sources.world.parameters import World
from sources.world.writer import write_world


def world(customers: int, seed: int, days: int, out: str, say: Callable[[str], None]) -> Path:
    """Write a world of so many customers and days into the folder `out`, in the project unless absolute; its path."""
    folder = root() / out
    write_world(World(customers, seed, days=days), folder, say)
    return folder
