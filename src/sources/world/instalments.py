r"""From months and shares to days and cents: the plan of a loan, and what was told of each instalment when.

A loan of P cents over n months at i a month is paid back by the annuity a = P i / (1 - (1 + i)^-n), [1], to the cent:
interest is rounded each month, the last instalment takes what rounding has left, and so the instalments sum to P plus
the interest exactly.

What comes goes to the oldest instalment first. A row is what was known of an instalment from `known_at` on: first the
plan, then each payment with the sum paid so far and the day of the last.

[1] Kellison (2009), The Theory of Interest, 3rd edition, sections 3.2 and 5.2.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sources.world.applicants import Applications
from sources.world.clock import moments
from sources.world.lateness import known
from sources.world.parameters import World
from sources.world.repayment import LONGEST, PERIODS, Paths

_SECONDS = 86_400
DAYS_LATE = 90


class Plan(NamedTuple):
    """What was agreed on, of n loans.

    due_day   (n, PERIODS): days from the world's first day to the due days, and to those that would follow
    due       (n, LONGEST): cents of each instalment, 0 beyond the term
    interest  (n, LONGEST): cents of it that are interest
    balance   (n, LONGEST + 1): principal left before each instalment, and after the last
    """

    due_day: np.ndarray
    due: np.ndarray
    interest: np.ndarray
    balance: np.ndarray


class Payments(NamedTuple):
    """What was told of instalments, one entry a telling, by loan and instalment, oldest telling first.

    loan        its row; `instalment` counts from 1
    paid_day    day of the last payment, NaN while there was none
    paid_cents  paid so far
    """

    loan: np.ndarray
    instalment: np.ndarray
    paid_day: np.ndarray
    paid_cents: np.ndarray


def annuity(principal: np.ndarray, monthly_rate: float, term: np.ndarray) -> np.ndarray:
    """The level instalment, not rounded, in the unit of the principal."""
    if monthly_rate == 0:
        return principal / term
    return principal * monthly_rate / -np.expm1(-term * np.log1p(monthly_rate))


def plan(world: World, principal: np.ndarray, term: np.ndarray, start: np.ndarray) -> Plan:
    """Instalments of loans of whole cents; `start` is the day of the contract."""
    i = world.credit.rate / 12
    level = np.rint(annuity(principal, i, term)).astype(np.int64)
    due, interest = np.zeros((2, len(principal), LONGEST), np.int64)
    balance = np.zeros((len(principal), LONGEST + 1), np.int64)
    balance[:, 0] = principal
    for k in range(LONGEST):
        interest[:, k] = np.rint(balance[:, k] * i)
        due[:, k] = np.where(k + 1 < term, level, balance[:, k] + interest[:, k]) * (k < term)
        balance[:, k + 1] = balance[:, k] + interest[:, k] - due[:, k]
    return Plan(due_days(world, start), due, interest, balance)


def due_days(world: World, start: np.ndarray) -> np.ndarray:
    """The same day of each month that follows the contract's; from the 29th on, the 28th."""
    day = np.datetime64(world.first_day, "D") + np.floor(start).astype(np.int64)
    month = day.astype("datetime64[M]")
    within = np.minimum((day - month.astype("datetime64[D]")).astype(np.int64), 27)
    months = month[:, None] + np.arange(1, PERIODS + 1)
    return (months.astype("datetime64[D]") - np.datetime64(world.first_day, "D")).astype(np.int64) + within[:, None]


def default_day(plan_: Plan, paths: Paths) -> np.ndarray:
    """The day on which the oldest unpaid instalment is 90 days late; infinite where that never comes."""
    oldest = np.maximum(paths.oldest, 1) - 1
    due = plan_.due_day[np.arange(len(oldest)), oldest]
    return np.where(paths.defaulted > 0, due + DAYS_LATE, np.inf)


def payments(plan_: Plan, paths: Paths, term: np.ndarray, recovered: tuple[np.ndarray, ...]) -> Payments:
    """All that happens to the instalments of loans: planned, paid in part, paid, recovered.

    recovered  of `recovery.recoveries`: loan, instalment, day, cents paid so far
    """
    loan, k = np.nonzero(np.arange(LONGEST) < term[:, None])
    nothing = (loan, k + 1, np.full(len(loan), np.nan), np.zeros(len(loan), np.int64))
    of, at, period, share = paths.parts
    part_day = plan_.due_day[of, period - 1] + paths.days_after[of, period - 1]
    part = (of, at, part_day, np.floor(plan_.due[of, at - 1] * share).astype(np.int64))
    gives = part[3] > 0
    loan, k = np.nonzero(paths.paid_in)
    period = paths.paid_in[loan, k].astype(np.int64)
    day = plan_.due_day[loan, period - 1] + paths.days_after[loan, period - 1]
    full = (loan, k + 1, day, plan_.due[loan, k])
    kinds = (nothing, tuple(column[gives] for column in part), full, recovered)
    loan, instalment, day, cents = (np.concatenate(column) for column in zip(*kinds, strict=True))
    order = np.lexsort((cents, instalment, loan))
    return Payments(loan[order], instalment[order], day[order], cents[order])


def told(world: World, asked: Applications, made: Payments, contract_known: np.ndarray) -> np.ndarray:
    """The second, since the world began, from which each entry was known: the plan with its contract, payments later.

    A payment is never known before an older one of the same instalment.
    """
    who, slot = asked.customer_id[made.loan], asked.slot[made.loan]
    first = np.isnan(made.paid_day)
    index = (slot * 100 + made.instalment) * 100 + _rank(made)
    when = known(world, "payment", np.where(first, 0.0, made.paid_day), who, index)
    seconds = np.floor(np.where(first, contract_known[made.loan], when) * _SECONDS).astype(np.int64)
    # a running maximum within each instalment: its number is put above the bits of the seconds
    number = np.cumsum(first) << 40
    return np.maximum.accumulate(number + seconds) - number


def instalments_table(
    world: World, asked: Applications, plan_: Plan, made: Payments, contract_known: np.ndarray
) -> pa.Table:
    """The raw table `instalments`; of two tellings within one second, the later counts."""
    since = told(world, asked, made, contract_known)
    last = np.append((np.diff(since) != 0) | _other(made), True)
    columns = _columns(world, asked, plan_, Payments(*(column[last] for column in made)))
    start = np.datetime64(world.first_day, "us")
    return pa.table(columns | {"known_at": pa.array(start + since[last].astype("timedelta64[s]"))})


def final_table(world: World, asked: Applications, plan_: Plan, made: Payments) -> pa.Table:
    """One row an instalment, as it ends: columns of `instalments` without `known_at`."""
    last = np.append(_other(made), True)
    return pa.table(_columns(world, asked, plan_, Payments(*(column[last] for column in made))))


def _columns(world: World, asked: Applications, plan_: Plan, made: Payments) -> dict:
    return {
        "application_id": asked.application_id[made.loan],
        "due_at": moments(world, plan_.due_day[made.loan, made.instalment - 1].astype(float)),
        "due_cents": plan_.due[made.loan, made.instalment - 1],
        "paid_at": moments(world, made.paid_day),
        "paid_cents": made.paid_cents,
    }


def _other(made: Payments) -> np.ndarray:
    """Whether the entry that follows is of another instalment."""
    return (np.diff(made.loan) != 0) | (np.diff(made.instalment) != 0)


def _rank(made: Payments) -> np.ndarray:
    """How many tellings of its instalment precede an entry."""
    at = np.arange(len(made.loan))
    return at - np.maximum.accumulate(np.where(np.isnan(made.paid_day), at, 0))
