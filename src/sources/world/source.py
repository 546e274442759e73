"""The simulated world as a source: its raw tables, never its truth."""

from ibis.backends.duckdb import Backend

from contracts import places
from contracts.errors import Refused
from contracts.tables import CONTRACTS
from sources.mapping import SourceMapping
from sources.source import Source
from sources.world import lending, retail
from sources.world.writer import label


def open_world(mapping: SourceMapping, con: Backend) -> Source:
    """The raw tables of a world on disk; raises `Refused`, with the command that makes one, where there is none."""
    folder = (places.root() / mapping.keys["folder"]).resolve()
    told = label(folder)
    if told is None:
        raise Refused(
            f"{mapping.file.name}: a simulated world must lie in {folder}, but does not. "
            f"Make it: crm world --customers 20000 --seed 7 --out {mapping.keys['folder']}"
        )
    return Source(
        name=mapping.name,
        kind="events",
        con=con,
        tables={
            name: con.read_parquet(str(folder / name / "part-*.parquet"))
            for name in CONTRACTS
            if (folder / name).is_dir()
        },
        attributes=retail.ATTRIBUTES | (lending.ATTRIBUTES if (folder / "applications").is_dir() else {}),
        assumes=(
            f"Simulated: nobody of these {told['customers']:,} customers lives (seed {told['seed']}, "
            f"{told['days']} days from {told['first_day']}).",
            "Times are UTC, money is in cents of a currency that does not exist.",
            "A response is the first order within a campaign's window of someone contacted; the control has none, so "
            "that an effect is measured on orders.",
        ),
        simulated=True,
    )
