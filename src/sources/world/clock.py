"""From days since the world began, as the model counts them, to times as raw tables hold them."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.world.parameters import World

_SECONDS = 86_400


def moments(world: World, days: np.ndarray) -> pa.Array:
    """Times to the second, UTC without zone, of days since the world's first; null where NaN or infinite."""
    told = np.isfinite(days)
    since = np.floor(np.where(told, days, 0.0) * _SECONDS).astype("timedelta64[s]")
    return pa.array(np.datetime64(world.first_day, "us") + since, type=pa.timestamp("us"), mask=~told)


def told_before_end(world: World, table: pa.Table) -> pa.Table:
    """The rows that had reached the company when the world ended: what it learns later is in no table of its."""
    end = world.first_day + timedelta(days=world.days)
    return table.filter(pc.less(table["known_at"], pa.scalar(np.datetime64(end, "us"), pa.timestamp("us"))))
