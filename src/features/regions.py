"""How the customers of a customer's region buy, without her own share in it, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine whose region was known by then
Sees    orders and customers with known_at before the origin: all customers with a known region, in the spine or not.
        A rate is taken out of fold: customers are split by their id into `FOLDS` parts, and those of her own part are
        left out, of her region and of all, so that nothing of her own can move it
Units   shares, cents
Errors  none of its own
Source  Micci-Barreca (2001), A Preprocessing Scheme for High-Cardinality Categorical Attributes, SIGKDD Explorations
        3(1); features.shares, for the smoothing
"""

import ibis
from ibis import _
from ibis.expr.types import IntegerValue, Table, Value

from features.as_of import KEYS, known, ratio, still, total
from features.dictionary import Column, windowed
from features.shares import at_origins, smoothed

FOLDS = 5
ACTIVE, YEAR = 90, 365
WEIGHT = 20  # customers: a region of twenty has half of its rate from itself
_PART = ["origin", "region", "fold"]


def columns(name: str) -> tuple[Column, ...]:
    """The columns of a declared region."""
    said = name.replace("_", " ")
    of = {"topic": said, "reads": ("customers", "orders")}
    return (
        *windowed(f"{name}_buyers_share", f"share of the {said} that bought", (ACTIVE,), "share", "not told", **of),
        *windowed(f"{name}_spend_cents", f"mean spend of the {said}", (YEAR,), "cents", "not told", **of),
    )


def region(spine: Table, profiles: Table, purchase_days: Table, name: str) -> Table:
    """The columns of `columns` beside the keys."""
    told = profiles.filter(profiles[name].notnull())
    told = told.select("customer_id", "known", "replaced", region=told[name], fold=fold(told.customer_id))
    mine = still(known(spine, told), "replaced").select(*KEYS, "region", "fold")
    rates = _out_of_fold(_sums(spine, told, purchase_days))
    return mine.join(rates, _PART).select(
        *KEYS, **{f"{name}_buyers_share_{ACTIVE}": rates.buyers_rate, f"{name}_spend_cents_{YEAR}": rates.spend_rate}
    )


def fold(customer_id: Value) -> IntegerValue:
    """0 to 4, by the id alone: the first four digits of its md5, a number to base 16, modulo 5.

    16 leaves 1 when divided by 5, so the number leaves what the sum of its digits leaves.
    """
    digits = [_md5(customer_id.cast("string"))[i] for i in range(4)]
    return sum((_digit(digit) for digit in digits[1:]), _digit(digits[0])) % FOLDS


def _digit(character) -> IntegerValue:
    """The value of a digit to base 16, `0` to `f`."""
    code = character.ascii_str().cast("int64")
    return code - (code >= ord("a")).ifelse(ord("a") - 10, ord("0"))


@ibis.udf.scalar.builtin(name="md5")
def _md5(text: str) -> str:
    """The md5 of a text, as 32 digits to base 16: both engines have it under this name."""


def _sums(spine: Table, told: Table, purchase_days: Table) -> Table:
    """One row for each origin, region and fold with customers known in it: how many, buyers of them, their spend."""
    people = told.group_by("region", "fold", "known", "replaced").agg(people=_.count())
    people = still(at_origins(spine, people), "replaced").group_by(_PART).agg(people=total(_.people))
    spend = _placed(purchase_days.select("customer_id", "day", "known", "spend_cents"), told)
    spend = spend.group_by("region", "fold", "day", "known", "replaced").agg(spend=total(_.spend_cents))
    spend = still(at_origins(spine, spend), "replaced").filter(_.age <= YEAR)
    spend = spend.group_by(_PART).agg(spend=total(_.spend))
    last = _placed(_last_days(purchase_days), told).group_by("region", "fold", "day", "known", "replaced")
    last = still(at_origins(spine, last.agg(buyers=_.count())), "replaced").filter(_.age <= ACTIVE)
    buyers = last.group_by(_PART).agg(buyers=total(_.buyers))
    sums = people.left_join(spend, _PART).drop(*(f"{key}_right" for key in _PART)).left_join(buyers, _PART)
    return sums.select(*_PART, "people", spend=sums.spend.fill_null(0), buyers=sums.buyers.fill_null(0))


def _last_days(purchase_days: Table) -> Table:
    """The last purchase day of each customer, as known from `known` until `overtaken`: one at a time."""
    mine = {"group_by": "customer_id", "order_by": ["known", "day"]}
    best = purchase_days.day.max().over(ibis.window(**mine, preceding=(None, 1)))
    newer = purchase_days.select("customer_id", "day", "known", best=best).filter(_.best.isnull() | (_.day > _.best))
    return newer.select("customer_id", "day", "known", overtaken=newer.known.lead().over(ibis.window(**mine)))


def _placed(days: Table, told: Table) -> Table:
    """Each row for the time in which it is known and counts in a region: until it is overtaken, or she moves."""
    placed = days.join(told, "customer_id")
    until = placed.replaced
    if "overtaken" in days.columns:
        until = ibis.least(until.fill_null(placed.overtaken), placed.overtaken.fill_null(until))
    placed = placed.mutate(known=ibis.greatest(placed.known, placed.known_right), replaced=until)
    return placed.filter(placed.replaced.isnull() | (placed.known < placed.replaced))


def _out_of_fold(sums: Table) -> Table:
    """The rates of each part, from all other folds of its region, drawn to those of all regions."""

    def others(what: str, *by: str) -> IntegerValue:
        own, all_ = (sums[what].sum().over(group_by=keys) for keys in (["origin", "fold", *by], ["origin", *by]))
        return (all_ - own).cast("!int64").cast("int64")

    people, rates = others("people", "region"), {}
    for what in ("buyers", "spend"):
        overall = ratio(others(what), others("people"))
        rates[f"{what}_rate"] = smoothed(others(what, "region"), people, overall, WEIGHT)
    return sums.select(*_PART, **rates)
