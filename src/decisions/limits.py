r"""A limit for every customer: the menu's entry that brings most, under a budget of expected loss and caps by grade.

.. math:: \max_{x} \sum_i \pi_i(x_i) \quad \text{subject to} \quad \sum_i l_i(x_i) \le B, \; x_i \in M_i

Duality: at a price mu of a cent of expected loss everybody takes what maximises pi - mu l, alone; mu rises until the
budget holds. mu is then the profit that one more cent of loss would bring, and the dual value bounds every plan from
above. What the price leaves of the budget is filled in order of return; the few customers on whom the last gap can
still depend are then solved exactly, by lists of undominated plans. Every other customer's choice is proved by the
bound: another one would cost more than the gap. No limit at all is always on the menu.

[1] Everett (1963), Generalized Lagrange Multiplier Method, Operations Research 11(3).
[2] Sinha & Zoltners (1979), The Multiple-Choice Knapsack Problem, Operations Research 27(3): the bound.
[3] Pisinger (1995), A Minimal Algorithm for the Multiple-Choice Knapsack Problem, European Journal of OR 83(2): the
    core.
"""

from typing import NamedTuple

import numpy as np

from evaluation.estimate import refuse

OWN, LARGEST, CAP, BUDGET, NOTHING = "own profit", "largest offered", "cap of the grade", "loss budget", "no limit pays"
BISECTIONS = 60
PASSES, MOST_IN_CORE, MOST_PLANS = 20, 60, 50_000
NEGLIGIBLE = 1e-9  # a relative gap below it is none


class Limits(NamedTuple):
    """The best plan.

    choice    (n,): which entry of the menu each gets; -1 is no limit
    binding   (n,): what keeps each from a larger limit: one of the five words
    profit, loss  expected, of the plan, cents
    shadow_price  profit in cents that one more cent of loss budget would bring; 0 where the budget does not bind
    bound     no plan at all brings more, cents; `profit` is proved optimal where they are equal
    """

    choice: np.ndarray
    binding: np.ndarray
    profit: float
    loss: float
    shadow_price: float
    bound: float


def best_limits(profit, loss, allowed, budget: float) -> Limits:
    """The plan that brings most.

    profit, loss  (n, k): expected cents of each entry of the menu, entries by rising limit; loss >= 0
    allowed       (n, k): whether the grade's cap lets a customer have it
    budget        expected loss in cents that the plan may have, >= 0

    Raises ValueError for shapes that differ, for a number that is not finite and for a negative loss or budget.
    """
    profit, loss, allowed = _checked(profit, loss, allowed, budget)
    profit, loss = (np.hstack([np.zeros((len(part), 1)), part]) for part in (profit, loss))
    allowed = np.hstack([np.ones((len(profit), 1), dtype=bool), allowed])
    within = np.where(allowed, profit, -np.inf)
    free, capped = profit.argmax(axis=1), within.argmax(axis=1)
    if _total(loss, capped) <= budget:
        value = _total(profit, capped)
        return _said(capped, free, capped, profit, loss, 0.0, value)
    low, high = _prices(within, loss, budget)
    choice = _filled(_at(within, loss, high), _at(within, loss, low), profit, loss, budget)
    choice = _topped(choice, within, loss, budget)
    bound = float((within - high * loss).max(axis=1).sum() + high * budget)
    choice = _improved(choice, within, loss, budget, high, bound)
    return _said(choice, free, capped, profit, loss, high, bound)


def _checked(profit, loss, allowed, budget) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    profit, loss = np.asarray(profit, dtype=float), np.asarray(loss, dtype=float)
    allowed = np.asarray(allowed, dtype=bool)
    if profit.ndim != 2 or loss.shape != profit.shape or allowed.shape != profit.shape or not profit.size:
        raise ValueError(
            f"profit, loss and allowed must have a row a customer and a column an entry of the menu, but their shapes "
            f"are {profit.shape}, {loss.shape} and {allowed.shape}."
        )
    both = np.concatenate([profit.ravel(), loss.ravel()])
    refuse(~np.isfinite(both), both, "profit and loss must be finite", "Leave such customers out.")
    refuse(loss.ravel() < 0, loss.ravel(), "an expected loss must not be negative", "Correct its sign.")
    if not 0 <= budget < np.inf:
        raise ValueError(f"budget must be a number of cents from 0 on, but is {budget}.")
    return profit, loss, allowed


def _at(within: np.ndarray, loss: np.ndarray, price: float) -> np.ndarray:
    """What everybody takes at a price of loss; of equals the smaller limit."""
    return (within - price * loss).argmax(axis=1)


def _total(of: np.ndarray, choice: np.ndarray) -> float:
    return float(np.take_along_axis(of, choice[:, None], axis=1).sum())


def _prices(within: np.ndarray, loss: np.ndarray, budget: float) -> tuple[float, float]:
    """The two neighbouring prices at which the budget is just broken, and just kept."""
    low, high = 0.0, 1.0
    while _total(loss, _at(within, loss, high)) > budget:
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _total(loss, _at(within, loss, middle)) > budget:
            low = middle
        else:
            high = middle
    return low, high


def _filled(kept: np.ndarray, broken: np.ndarray, profit, loss, budget: float) -> np.ndarray:
    """The plan that keeps the budget, with as many of the changes to the one that breaks it as fit, best first."""
    rows = np.flatnonzero(kept != broken)
    of = np.arange(len(kept))
    more_loss = loss[of, broken][rows] - loss[of, kept][rows]
    more_profit = profit[of, broken][rows] - profit[of, kept][rows]
    order = np.argsort(-more_profit / np.maximum(more_loss, 1e-300), kind="stable")
    fits = np.cumsum(more_loss[order]) <= budget - _total(loss, kept)
    choice = kept.copy()
    choice[rows[order[fits]]] = broken[rows[order[fits]]]
    return choice


def _topped(choice: np.ndarray, within: np.ndarray, loss: np.ndarray, budget: float) -> np.ndarray:
    """What is left of the budget, for the changes that fit and return most; a customer is changed once a pass."""
    choice, of = choice.copy(), np.arange(len(choice))
    for _ in range(PASSES):
        left = budget - _total(loss, choice)
        more_loss = loss - loss[of, choice][:, None]
        more_profit = within - within[of, choice][:, None]
        useful = (more_loss <= left) & (more_profit > 0)
        rate = np.where(useful, more_profit / np.maximum(more_loss, 1e-9), -np.inf)
        best = rate.argmax(axis=1)
        rows = np.flatnonzero(useful.any(axis=1))
        order = rows[np.argsort(-rate[rows, best[rows]], kind="stable")]
        fits = order[np.cumsum(np.maximum(more_loss[order, best[order]], 0)) <= left]
        if not fits.size:
            break
        choice[fits] = best[fits]
    return choice


def _improved(choice, within, loss, budget, price, bound) -> np.ndarray:
    """The best plan among those that differ where the gap can still depend on it.

    At a price nobody's other choice can be part of a better plan if it costs more than the gap, for the dual value
    falls by as much [2]. What is left is small, and is searched in full; were it not, the given plan stays, and its
    distance to the bound says how good it is.
    """
    gap = bound - _total(within, choice)
    if gap <= NEGLIGIBLE * max(abs(bound), 1.0):
        return choice
    reduced = within - price * loss
    worse = reduced.max(axis=1, keepdims=True) - reduced
    open_ = worse < gap
    core = np.flatnonzero(open_.sum(axis=1) > 1)
    if core.size > MOST_IN_CORE:  # those nearest to a change; the proof is then the gap that stays
        second = np.partition(worse[core], 1, axis=1)[:, 1]
        core = np.sort(core[np.argsort(second, kind="stable")[:MOST_IN_CORE]])
    better = choice.copy()
    best = reduced.argmax(axis=1)
    fixed = np.ones(len(choice), dtype=bool)
    fixed[core] = False
    for rest in (np.where(fixed, best, choice), choice):
        left = budget - _total(loss[fixed], rest[fixed]) if fixed.any() else budget
        if left < 0:
            continue
        beat = _total(within, better) - (_total(within[fixed], rest[fixed]) if fixed.any() else 0.0)
        found = _searched(within[core], loss[core], open_[core], left, price, beat)
        if found is None:
            continue
        plan = rest.copy()
        plan[core] = found
        if _total(within, plan) > _total(within, better):
            better = plan
    return better


def _searched(profit, loss, open_, left: float, price: float, beat: float) -> np.ndarray | None:
    """The best choice of each of a few customers within `left`, from lists of undominated plans that can still beat a
    value by the bound; None where none does, or where they are too many.
    """
    gained, spent, behind = np.zeros(1), np.zeros(1), []
    to_come = np.append(np.cumsum((profit - price * loss).max(axis=1)[::-1])[::-1], 0.0)
    for row in range(len(profit)):  # at most MOST_IN_CORE of them
        entries = np.flatnonzero(open_[row] & np.isfinite(profit[row]))
        gains = (gained[:, None] + profit[row, entries]).ravel()
        spends = (spent[:, None] + loss[row, entries]).ravel()
        came, took = np.divmod(np.arange(gains.size), entries.size)
        order = np.lexsort((-gains, spends))
        hopes = gains[order] + price * (left - spends[order]) + to_come[row + 1] > beat
        order = order[(spends[order] <= left) & hopes]
        if not order.size:
            return None
        best_before = np.concatenate([[-np.inf], np.maximum.accumulate(gains[order])[:-1]])
        kept = order[gains[order] > best_before]
        if kept.size > MOST_PLANS:
            return None
        gained, spent = gains[kept], spends[kept]
        behind.append((came[kept], entries[took[kept]]))
    at, found = int(gained.argmax()), []
    for came, took in reversed(behind):
        found.append(took[at])
        at = came[at]
    return np.array(found[::-1])


def _said(choice, free, capped, profit, loss, price, bound) -> Limits:
    binding = np.select(
        [choice < capped, capped < free, capped == 0, capped == profit.shape[1] - 1],
        [BUDGET, CAP, NOTHING, LARGEST],
        OWN,
    )
    value = _total(profit, choice)
    return Limits(choice - 1, binding, value, _total(loss, choice), price, max(float(bound), value))
