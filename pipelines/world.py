"""Make the simulated world on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

from contracts.places import root
from sources.world.parameters import Campaigns, World, with_vouchers
from sources.world.writer import write_world


def world(
    customers: int, seed: int, days: int, discounts: Sequence[float], out: str, say: Callable[[str], None]
) -> Path:
    """Write a world of so many customers and days into the folder `out`, in the project unless absolute; its path.

    discounts  of the vouchers that campaigns send, as shares of the price; none: all give the same
    """
    folder = root() / out
    campaigns = Campaigns(with_vouchers(discounts)) if discounts else Campaigns()
    write_world(World(customers, seed, days=days, campaigns=campaigns), folder, say)
    return folder
