"""Origins side by side: one pass over the events serves a dozen origins, each a column of its own.

The origins of a spine are taken in order, a dozen at a time: such a dozen is a *sheet*, and an origin's place in it is
its *slot*. Each event is met once for each sheet, and gets one whole number: *lanes* of a dozen bits, the first for all
that is known and one for each window, of which bit i says whether the event counts at slot i. Of these bits all
follows: sums of the events that have them, different things by the bits that any of their events has. They are columns
of arrays, one entry a slot, until `at_origins` makes rows of them.

A join of events and origins would have up to twelve rows for each event. It stays the better way where much is asked of
few events (features.as_of.before): here the work of an event grows with the number of columns that it is summed into.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import ibis
from ibis.expr.types import BooleanValue, IntegerValue, NumericValue, Table, Value

from features import as_of
from features.as_of import KEYS, ROOM, bit_or, day_number, none_is_zero

SLOTS = 12  # of a sheet, and bits of a lane; five lanes are the most that a whole number holds
SHEET = ("customer_id", "sheet")  # the keys of a table of slots
BITS = "bits"
MANY = 2 ** (2 * SLOTS)  # more than there are different things of a customer
EVER = 0  # the lane that says where an event is known, whenever it was; those of windows follow


def placed(spine: Table) -> Table:
    """One row for each origin of the spine: `at`, its day; its `sheet` and its `slot`; and its `bit`, 2 ** slot."""
    origins = spine.select("origin").distinct()
    nth = ibis.row_number().over(order_by=origins.origin)
    origins = origins.mutate(at=day_number(origins.origin), sheet=(nth // SLOTS).cast("int32"), slot=nth % SLOTS)
    return origins.mutate(bit=ibis.literal(1, "int64") << origins.slot)


def met(spine: Table, rows: Table, windows: Sequence[int]) -> Table:
    """The rows of the spine's customers, for each sheet, with `bits` that say at which slots they count.

    rows  stamped (features.as_of.stamped); without a `customer_id`, all of them are met. Their `day` and `known` are
          left out of what is given
    """
    places = placed(spine)
    # what is older lies in no window, and counts as known on the first day
    sheets = places.group_by("sheet").agg(first=places.at.min() - max(windows) - 1, last=places.at.max())
    known, fell = _calendars(sheets, places, windows)
    kept = [name for name in rows.columns if name not in ("day", "known")]
    if "customer_id" in rows.columns:
        # of whom an engine knows that they are few: it would otherwise look the customers up in a table of all rows
        asked = rows.join(spine.select("customer_id").distinct().cross_join(sheets), "customer_id")
    else:
        asked = rows.cross_join(sheets)
    # by one number for sheet and day, so that an engine cannot begin with the days of all sheets
    pages = {name: asked.sheet * ROOM + ibis.greatest(asked[name], asked["first"]) for name in ("day", "known")}
    asked = asked.mutate(**pages)
    seen = asked.join(known, asked.known == known.page)
    seen = seen.join(fell, seen.day == fell.page)
    return seen.select(*kept, "sheet", **{BITS: known[BITS] & fell[BITS]})


def _calendars(sheets: Table, places: Table, windows: Sequence[int]) -> tuple[Table, Table]:
    """For each `page`, a sheet and a day: the slots that know what reached us then, and those that it is near to."""
    days = sheets.select("sheet", date=ibis.range(sheets["first"], sheets["last"]).unnest())
    each = days.join(places, "sheet")
    near = [ibis.literal(True), *(each.at - each.date <= w for w in windows)]
    known = as_of.is_known(each.date, each.at)
    return _bits(each, [known] * len(near)), _bits(each, near).view()


def _bits(each: Table, lanes: Sequence[BooleanValue]) -> Table:
    bits = sum(none_is_zero(each.bit, where) * 2 ** (SLOTS * lane) for lane, where in enumerate(lanes))
    return each.group_by(page=each.sheet * ROOM + each.date).agg(**{BITS: bits})


def has(bits: IntegerValue, slot: int, lane: int) -> BooleanValue:
    """Whether the bit of a slot is set in a lane."""
    return (bits & _bit(slot, lane)) != 0


def summed(value: NumericValue, bits: IntegerValue, slot: int, lane: int) -> IntegerValue:
    """The sum of a value over the rows that have the bit of a slot in a lane, 0 on none.

    The value is taken times the bit, 0 or a power of two, by which floats are divided without a loss: for DuckDB that
    is less than to ask first whether the bit is set.
    """
    bit = _bit(slot, lane)
    times = value.cast("float64") * (bits & bit).cast("float64")
    return (times.sum() / bit).cast("int64").fill_null(0)


def counted(bits: IntegerValue, names: Sequence[str]) -> dict[str, Value]:
    """For each slot the number of rows that have its bit, below `MANY`, in the lane of each of up to four names.

    A lane and the next but one are so far apart that one sum of both counts both.
    """

    def both(slot: int, lane: int) -> IntegerValue:
        bit = _bit(slot, lane)
        two = bit * (1 + MANY) if lane + 2 <= len(names) else bit
        return ((bits & two).cast("float64").sum() / bit).cast("int64")

    def count(lane: int) -> Callable[[int], IntegerValue]:
        return lambda slot: both(slot, lane) % MANY if lane <= 2 else both(slot, lane - 2) // MANY

    return {name: side_by_side(count(lane)) for lane, name in enumerate(names, EVER + 1)}


def _bit(slot: int, lane: int) -> int:
    return 2 ** (SLOTS * lane + slot)


def side_by_side(value: Callable[[int], Value]) -> Value:
    """The array of what each slot has."""
    return ibis.array([value(slot) for slot in range(SLOTS)])


def at_origins(spine: Table, table: Table, columns: Iterable[str]) -> Table:
    """One row for each pair of the spine that has a history: of each column, the entry of its origin's slot.

    table  one row for each customer and sheet, with its `bits`
    """
    asked = spine.select(*KEYS).join(placed(spine), "origin")
    found = asked.join(table, list(SHEET))
    found = found.filter((found[BITS] & found.bit) != 0)
    return found.select(*KEYS, **{name: found[name][found.slot] for name in columns})


def different(spine: Table, rows: Table, thing: str, windows: Mapping[str, int]) -> Table:
    """How many different things each pair of the spine has in windows; `windows` gives their days by column."""
    rows = rows.filter(rows[thing].notnull()).select("customer_id", thing, "day", "known")
    seen = met(spine, rows, [*windows.values()])
    each = seen.group_by(*SHEET, thing).agg(bit_or(seen[BITS]).name(BITS))
    mine = each.group_by(*SHEET).agg(bit_or(each[BITS]).name(BITS), **counted(each[BITS], [*windows]))
    return at_origins(spine, mine, windows)
