"""How long does a simulated world take to make, and how much memory?

    python benchmarks/world_speed.py --customers 1000000

Printed: wall seconds, the largest process's memory times the number of processes (an upper bound of all together),
order lines, and megabytes on disk. The bar: a million customers with two years of orders within 180 seconds and 6 GB.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import pyarrow.dataset as ds
import typer

# this folder is not looked in: a script here has the name of the room `features`
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

from sources.world.parameters import World
from sources.world.writer import write_world


def main(
    customers: Annotated[int, typer.Option(help="How many.")] = 1_000_000,
    retail_only: Annotated[bool, typer.Option(help="Without the credit arm and the duplicates.")] = False,
    within: Annotated[Path | None, typer.Option(help="A folder with room; the system's for temporary files.")] = None,
):
    """Make it, print it, remove it."""
    world = World(customers, 7, **({"credit": None, "identities": None} if retail_only else {}))
    workers = min(len(os.sched_getaffinity(0)), len(world.parts))
    with tempfile.TemporaryDirectory(dir=within) as folder:
        begun = time.monotonic()
        write_world(world, Path(folder) / "world", print)
        wall = time.monotonic() - begun
        lines = ds.dataset(Path(folder) / "world" / "orders").count_rows()
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet")) / 1e6
    own, theirs = (resource.getrusage(of).ru_maxrss for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    memory = own / 1e6 + (theirs / 1e6 * workers if workers > 1 else 0)
    print(
        f"{customers:,} customers, {lines:,} order lines: {wall:.0f} s, at most {memory:.1f} GB, {size:,.0f} MB on disk"
    )


if __name__ == "__main__":
    typer.run(main)
