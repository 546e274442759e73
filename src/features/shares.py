"""Shares that several blocks take: a rate drawn towards the rate of all, and what a customer prefers.

A rate of few is mostly chance. So it is taken as if a few more had been seen, who did as all do: (hits + k * overall)
/ (cases + k), the mean of a beta posterior with the overall rate as its prior.

Source  Robbins (1956), An Empirical Bayes Approach to Statistics, third Berkeley Symposium
"""

import ibis
from ibis import _
from ibis.expr.types import NumericValue, Table

from contracts.boundary import is_known
from features.as_of import KEYS, before, day_number, ratio, total


def at_origins(spine: Table, rows: Table) -> Table:
    """Each origin of the spine, once, with the rows of anybody known before it, and their `age` where they have a day.

    For small tables: `rows` are sums over customers by the day known, so that no customer meets every origin.
    """
    origins = spine.select("origin").distinct()
    origins = origins.mutate(at=day_number(origins.origin))
    seen = origins.join(rows, [is_known(rows.known, origins.at)])
    return seen.mutate(age=seen.at - seen.day) if "day" in rows.columns else seen


def smoothed(hits: NumericValue, cases: NumericValue, overall: NumericValue, weight: int) -> NumericValue:
    """(hits + weight * overall) / (cases + weight); null where the overall rate is."""
    return ratio(hits + overall * weight, cases + weight)


def preferred(seen: Table, thing: str, times: str) -> Table:
    """One row for each pair of `seen`: `best`, the `thing` with the largest sum of `times`, and its `share` of them.

    Rows without a thing count nowhere; of equal things, the first by name.
    """
    named = seen.filter(seen[thing].notnull())
    each = named.group_by(*KEYS, thing).agg(times=total(named[times]))
    best = each[thing].argmin(ibis.struct({"times": -each.times, "name": each[thing]}))
    most = each.group_by(*KEYS).agg(best=best, most=each.times.max(), times=total(each.times))
    return most.select(*KEYS, "best", share=ratio(most.most, most.times))


def preferred_in_year(spine: Table, rows: Table, thing: str, times: str) -> Table:
    """The same of the rows of the last 365 days before each origin of the spine, as known at it."""
    return preferred(before(spine, rows).filter(_.age <= 365), thing, times)
