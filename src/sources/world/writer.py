"""A world on disk: one Parquet file for each table and part, its truth in a folder of its own, all of it or nothing.

The parts are made one after the other, or side by side by several processes; no number depends on how many, and no
more than a part is held in memory by each. The bytes follow from the settings and the versions of what the lock names.
Between machines they differ only where a logarithm's last bit moves a cent or a second over its edge: random bits,
sums and rounding are the same everywhere, and what is true is written to nine decimals.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from contracts.errors import Refused
from sources.world import identities, lending, retail
from sources.world.clock import told_before_end
from sources.world.latent import traits
from sources.world.parameters import Part, World, said

EDITION = 2  # of the modules of the world: raised when they make other tables of the same settings
LABEL = "world.json"
_TRUTH = "truth"
_DECIMALS = 9


def write_world(world: World, out: Path, say: Callable[[str], None], workers: int | None = None) -> None:
    """Make the world and put it into the folder `out`, which is there when it is complete and not before.

    workers  processes; one for each processor that this one may use, unless said

    A world that is there already is left as it is. Raises `Refused` where `out` holds something else, or another
    world, or is being written.
    """
    out = out.resolve()
    if _is_there(world, out):
        say(f"{out} holds this world already")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.parent / f".{out.name}.lock", timeout=0):
            _write(world, out, say, workers or len(os.sched_getaffinity(0)))
    except Timeout:
        raise Refused(f"{out} is being written by another process. Wait for it, or choose another folder.") from None


def label(folder: Path) -> dict | None:
    """The settings of the world in a folder; None where there is no complete one."""
    file = folder / LABEL
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _is_there(world: World, out: Path) -> bool:
    if not out.exists():
        return False
    held, wanted = label(out), {"edition": EDITION} | said(world)
    if held is None:
        raise Refused(f"{out} must be free for a world, but holds something else. Choose another folder.")
    if other := [name for name in wanted if held.get(name) != wanted[name]]:
        raise Refused(
            f"{out} holds a world of {held['customers']:,} customers and seed {held['seed']} that differs from this "
            f"one in {', '.join(other)}. Choose another folder, or remove that one."
        )
    return True


def _write(world: World, out: Path, say: Callable[[str], None], workers: int) -> None:
    unfinished = out.with_name(f".{out.name}.unfinished")
    if unfinished.exists():
        say(f"{unfinished.name} was left by a run that did not end; removed")
        shutil.rmtree(unfinished)
    unfinished.mkdir()
    for name, table in retail.shared(world).items():
        _save(unfinished, name, 0, table)
    made = 0
    for part in _made(world, unfinished, min(workers, len(world.parts))):
        made += part.size
        say(f"{made:,} of {world.customers:,} customers")
    text = json.dumps({"edition": EDITION} | said(world), indent=1, sort_keys=True)
    (unfinished / LABEL).write_text(text + "\n", encoding="utf-8")
    os.rename(unfinished, out)


def _made(world: World, folder: Path, workers: int) -> Iterator[Part]:
    """Each part when it is on disk."""
    if workers == 1:
        yield from map(partial(write_part, world, folder), world.parts)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(write_part, world, folder, part) for part in world.parts]):
            yield done.result()


def write_part(world: World, folder: Path, part: Part) -> Part:
    """Make the tables of one part, and save those that have rows."""
    latent = traits(world, part)
    raw, known = retail.tables(world, latent)
    for module, switched_on in ((lending, world.credit), (identities, world.identities)):
        if switched_on is not None:
            _join(raw, module.tables(world, part, latent))
            _join(known, module.truth(world, part, latent))
    for name, table in raw.items():
        _save(folder, name, part.number, told_before_end(world, table))
    for name, table in known.items():
        _save(folder / _TRUTH, name, part.number, _rounded(table))
    return part


def _join(tables: dict[str, pa.Table], more: dict[str, pa.Table]) -> None:
    if twice := tables.keys() & more.keys():
        raise ValueError(f"made twice: {', '.join(sorted(twice))}")
    tables.update(more)


def _rounded(table: pa.Table) -> pa.Table:
    for i, column in enumerate(table.schema):
        if pa.types.is_floating(column.type):
            table = table.set_column(i, column.name, pc.round(table[column.name], _DECIMALS))
    return table


def _save(folder: Path, name: str, number: int, table: pa.Table) -> None:
    """Nothing where there is no row: an empty table is no table."""
    if table.num_rows:
        (folder / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name / f"part-{number:04d}.parquet", compression="zstd", compression_level=1)
