r"""The best few bins of neighbouring cells under a shape of their rates: dynamic programming over all columns.

Grain   one ordered row of cells a column, with rows and outcomes counted in each
State   the last bin, from cell i to cell j, and the number of bins so far; its best predecessor ends at i - 1 and has a
        lower rate (a higher one behind the peak). All columns, counts and starts are one array operation for each i
Cost    O(columns x bins x cells^3) elementary steps, none of them in Python

Fisher (1958), On Grouping for Maximum Homogeneity, JASA 53(284): the recursion. The shape is ours to add to its state.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

RISING, FALLING, PEAK, VALLEY, MONOTONE, FREE, ANY = (
    "rising", "falling", "peak", "valley", "monotone", "free", "any",
)  # fmt: skip
SHAPES = (RISING, FALLING, PEAK, VALLEY, MONOTONE, FREE, ANY)
# which of rising, falling, peak and valley a shape allows; the best is taken, the first among equals
_ALLOWED = {
    RISING: (RISING,),
    FALLING: (FALLING,),
    PEAK: (PEAK,),
    VALLEY: (VALLEY,),
    MONOTONE: (RISING, FALLING),
    FREE: (FREE,),
    ANY: (RISING, FALLING, PEAK, VALLEY),
}


class Limits(NamedTuple):
    """What bins keep to.

    most     bins of a column
    rows     that a bin holds at least
    fewest   of each class that a bin holds at least
    turn     log-likelihood by which a peak or a valley must be worth more than a rise or a fall
    """

    most: int
    rows: float
    fewest: float
    turn: float


class Partition(NamedTuple):
    """The cell that each bin begins with, the first 0; the shape that was taken; and its value, as maximised."""

    starts: tuple[int, ...]
    shape: str
    value: float


class _Machine(NamedTuple):
    """Of each task (column and direction): best value of a last bin (bins, task, i, j) and its best predecessor.

    `up` has risen all the way; `down` has turned. A predecessor is the first cell of the bin before; in `down` it is
    larger by the number of cells where that bin was still of `up`.
    """

    up: np.ndarray
    up_from: np.ndarray
    down: np.ndarray
    down_from: np.ndarray


def partitions(
    rows: Sequence[np.ndarray], outcomes: Sequence[np.ndarray], shapes: Sequence[str], limits: Limits
) -> list[Partition]:
    """The best partition of each column's cells: arrays of counts, one entry a cell in order, at least one cell.

    Where no partition keeps to the limits, all cells are one bin. Raises `ValueError` for a shape that is none of
    `SHAPES`.
    """
    unknown = sorted(set(shapes) - set(SHAPES))
    if unknown:
        raise ValueError(f"A shape is one of {', '.join(SHAPES)}, but {unknown[0]!r} is none. Declare one of them.")
    if not rows:
        return []
    cells = max(map(len, rows))
    # cells stand at the end of their row, so that every column ends at the same place
    n, s = (np.stack([np.pad(column, (cells - len(column), 0)) for column in counts]) for counts in (rows, outcomes))
    first = np.array([cells - len(column) for column in rows])
    tasks = [(c, way) for c, shape in enumerate(shapes) for way in _directions(shape)]
    column = np.array([c for c, _ in tasks])
    gain, rate = _gains(n, s, first, limits)
    flipped = np.array([way == FALLING for _, way in tasks])
    free = np.array([way == FREE for _, way in tasks])
    risen = np.where(flipped[:, None, None], -rate[column], rate[column])
    machine = _run(gain[column], risen, free, first[column], limits.most)
    return [_best(c, shapes[c], tasks, machine, int(first[c]), limits.turn) for c in range(len(rows))]


def _directions(shape: str) -> tuple[str, ...]:
    """The machines that a shape needs: a valley is a peak of falling rates."""
    needed = {FREE: FREE, RISING: RISING, PEAK: RISING, FALLING: FALLING, VALLEY: FALLING}
    return tuple(dict.fromkeys(needed[name] for name in _ALLOWED[shape]))


def _gains(n: np.ndarray, s: np.ndarray, first: np.ndarray, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood, and rate, of the bin from cell i to cell j, each (columns, i, j)."""
    N, S = (np.pad(counts.cumsum(axis=1), ((0, 0), (1, 0))).astype(float) for counts in (n, s))
    size, hits = (total[:, None, 1:] - total[:, :-1, None] for total in (N, S))
    cell = np.arange(n.shape[1])
    there = (cell[:, None] <= cell) & (first[:, None, None] <= cell[:, None])
    enough = (size >= max(limits.rows, 1)) & (hits >= limits.fewest) & (size - hits >= limits.fewest)
    # a rate is a quotient of two whole numbers: equal ones are equal to the last bit
    rate = np.where(there & (size > 0), hits / np.maximum(size, 1), 0)
    gain = xlogy(hits, rate) + xlogy(size - hits, 1 - rate)
    return np.where(there & enough, gain, -np.inf), rate


def _run(gain: np.ndarray, rate: np.ndarray, free: np.ndarray, first: np.ndarray, most: int) -> _Machine:
    tasks, cells, _ = gain.shape
    up, down = (np.full((most, tasks, cells, cells), -np.inf) for _ in range(2))
    up_from, down_from = (np.zeros((most, tasks, cells, cells), dtype=np.int16) for _ in range(2))
    up[0, np.arange(tasks), first] = gain[np.arange(tasks), first]
    for i in range(1, cells):
        before, now = rate[:, :i, i - 1, None], rate[:, None, i, i:]
        risen = up[:-1, :, :i, i - 1, None]
        came = np.where((before < now) | free[:, None, None], risen, -np.inf)
        _keep(came, gain[:, i, i:], up[1:, :, i, i:], up_from[1:, :, i, i:])
        turned = np.concatenate([down[:-1, :, :i, i - 1, None], risen], axis=2)
        came = np.where(np.concatenate([before, before], axis=1) > now, turned, -np.inf)
        _keep(came, gain[:, i, i:], down[1:, :, i, i:], down_from[1:, :, i, i:])
        # those of the second half came from `up`
        down_from[1:, :, i, i:] += np.where(down_from[1:, :, i, i:] >= i, cells - i, 0).astype(np.int16)
    return _Machine(up, up_from, down, down_from)


def _keep(came: np.ndarray, gain: np.ndarray, value: np.ndarray, origin: np.ndarray) -> None:
    origin[...] = came.argmax(axis=2)
    value[...] = np.maximum(value, came.max(axis=2) + gain)


def _best(c: int, shape: str, tasks: list[tuple[int, str]], machine: _Machine, first: int, turn: float) -> Partition:
    found = []
    for name in _ALLOWED[shape]:
        way = FALLING if name == VALLEY else RISING if name == PEAK else name
        task, turned = tasks.index((c, way)), name in (PEAK, VALLEY)
        # a declared peak may as well never turn
        for value, fell in ((machine.up, False), (machine.down, True))[: 1 + turned]:
            last = value[:, task, :, -1]
            bins, i = np.unravel_index(last.argmax(), last.shape)
            found.append((float(last[bins, i]) - turn * fell, name, task, int(bins), int(i), fell))
    value, name, task, bins, i, fell = max(found, key=lambda one: one[0])
    if not np.isfinite(value):
        return Partition((0,), name, value)
    return Partition(_walk_back(machine, task, bins, i, fell, first), name, value)


def _walk_back(machine: _Machine, task: int, bins: int, i: int, fell: bool, first: int) -> tuple[int, ...]:
    cells = machine.up.shape[-1]
    starts, j = [i], cells - 1
    while i > first:
        before = int((machine.down_from if fell else machine.up_from)[bins, task, i, j])
        fell, before = fell and before < cells, before % cells
        bins, i, j = bins - 1, before, i - 1
        starts.append(i)
    return tuple(start - first for start in reversed(starts))
