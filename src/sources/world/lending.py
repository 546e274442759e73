"""The credit arm of a part: what the lender has on its books, and what is true of those whom it lent to and refused.

Every application is lived through to its end, whether it was accepted or not; the raw tables hold what the lender could
see of those accepted, the true ones the rest.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sources.world.applicants import STRENGTHS, Applications, applications, posterior
from sources.world.clock import moments
from sources.world.credit import HOUSINGS, PURPOSES
from sources.world.instalments import Payments, Plan, default_day, final_table, instalments_table, payments, plan
from sources.world.lateness import known
from sources.world.limits import Appetite, appetite, drawn_cents, limit_cents, limits_table
from sources.world.parameters import Part, World
from sources.world.policy import Decisions, decide
from sources.world.recovery import exposure_at_default, loss_share, recovered_cents, recoveries
from sources.world.repayment import PERIODS, Paths, burdened, default_by, simulate, within_horizon

# the declared attributes of applications
ATTRIBUTES = {
    "income_cents": "number",
    "employment_years": "number",
    "purpose": "category",
    "housing": "category",
    "existing_loans": "number",
    "bureau_score": "number",
}


class Book(NamedTuple):
    """All that happened to the applications of a part, and would have happened to those refused."""

    asked: Applications
    answer: Decisions
    wants: Appetite
    limit: np.ndarray
    exposure: np.ndarray
    eta: np.ndarray
    years: np.ndarray
    planned: Plan
    paths: Paths
    loss_share: np.ndarray


def tables(world: World, part: Part, traits: dict[str, np.ndarray]) -> dict[str, pa.Table]:
    """The raw tables `applications` and `instalments`."""
    book = lived(world, traits)
    accepted = np.flatnonzero(book.answer.accepted)
    asked, contract_known = book.asked, _known(world, book.asked)
    limit = pa.array(book.limit, mask=~book.answer.accepted)
    found = {
        "applications": pa.table(
            {
                "application_id": asked.application_id,
                "customer_id": asked.customer_id,
                "applied_at": moments(world, asked.applied),
                "amount_cents": asked.amount_cents,
                "term": asked.term,
                "accepted": pa.array(book.answer.accepted),
                "limit_cents": limit,
                "rate": np.full(len(limit), world.credit.rate),
                "income_cents": asked.income_cents,
                "employment_years": asked.employment_years,
                "age": asked.age,
                "purpose": pa.array(PURPOSES).take(pa.array(asked.purpose)),
                "housing": pa.array(HOUSINGS).take(pa.array(asked.housing)),
                "existing_loans": asked.loans,
                "bureau_score": pa.array(asked.bureau, from_pandas=True).cast(pa.int64()),
                "known_at": moments(world, contract_known),
            }
        )
    }
    loans = only(book, accepted)
    found["instalments"] = instalments_table(
        world, loans.asked, loans.planned, paid(world, loans), contract_known[accepted]
    )
    return found


def truth(world: World, part: Part, traits: dict[str, np.ndarray]) -> dict[str, pa.Table]:
    """The true tables `applications`, `limits` and, of those refused, `instalments`."""
    book = lived(world, traits)
    refused = only(book, np.flatnonzero(~book.answer.accepted))
    return {
        "applications": true_applications(world, book),
        "limits": limits_table(world, book.asked, book.wants, book.years),
        "instalments": final_table(world, refused.asked, refused.planned, paid(world, refused)),
    }


def lived(world: World, traits: dict[str, np.ndarray]) -> Book:
    """The applications of a part's customers, and how each was or would have been paid."""
    credit, asked = world.credit, applications(world, traits)
    answer = decide(credit, world.seed, asked)
    wants = appetite(credit, world.seed, asked)
    limit = limit_cents(asked, answer.multiple)
    exposure = drawn_cents(asked, wants, limit)
    eta = burdened(credit, asked, asked.strength, limit / asked.amount_cents)
    years = asked.decided / 365.25
    return Book(
        asked=asked,
        answer=answer,
        wants=wants,
        limit=limit,
        exposure=exposure,
        eta=eta,
        years=years,
        planned=plan(world, exposure, asked.term, asked.decided),
        paths=simulate(credit, world.seed, asked, eta, years),
        loss_share=loss_share(credit, world.seed, asked),
    )


def only(book: Book, rows: np.ndarray) -> Book:
    """The book of some of its applications, which keep their order."""
    place = np.full(len(book.limit), -1)
    place[rows] = np.arange(len(rows))
    loan = place[book.paths.parts[0]]
    parts = (loan[loan >= 0], *(column[loan >= 0] for column in book.paths.parts[1:]))
    asked = book.asked._replace(scores={name: score[rows] for name, score in book.asked.scores.items()})
    cut = {"asked": asked, "paths": book.paths._replace(parts=parts)}
    return Book(*(_taken(cut.get(name, value), rows) for name, value in book._asdict().items()))


def paid(world: World, book: Book) -> Payments:
    """What happened to each instalment of a book, recoveries included."""
    come = recoveries(world.credit, world.seed, book.asked, book.planned, book.paths, book.loss_share)
    return payments(book.planned, book.paths, book.asked.term, come)


def true_applications(world: World, book: Book) -> pa.Table:
    """What is true of each application: `pd` given all, `pd_known` given its form and its limit alone, and the fate."""
    credit, asked, paths, answer = world.credit, book.asked, book.paths, book.answer
    periods = within_horizon(credit)
    bad = (paths.defaulted > 0) & (paths.defaulted <= periods)
    eta = burdened(credit, asked, STRENGTHS[:, None], book.limit / asked.amount_cents)
    given_form = (posterior(credit, asked) * default_by(credit, eta, book.years, asked.term, periods)).sum(axis=0)
    return pa.table(
        {
            "application_id": asked.application_id,
            "customer_id": asked.customer_id,
            "policy_score": answer.score,
            "accept_probability": answer.probability,
            "accepted": pa.array(answer.accepted),
            "strength": asked.strength,
            "limit_cents": book.limit,
            "exposure_cents": book.exposure,
            "usage": book.wants.usage,
            "usage_elasticity": book.wants.usage_elasticity,
            "pd_elasticity": book.wants.pd_elasticity,
            "pd": default_by(credit, book.eta, book.years, asked.term, periods),
            "pd_known": given_form,
            "pd_life": default_by(credit, book.eta, book.years, asked.term, PERIODS),
            "bad": pa.array(bad),
            "default_at": moments(world, default_day(book.planned, paths)),
            "exposure_at_default_cents": exposure_at_default(book.planned, paths),
            "recovered_cents": recovered_cents(book.planned, paths, book.loss_share),
            "loss_share": book.loss_share,
        }
    )


def _known(world: World, asked: Applications) -> np.ndarray:
    """When an application, its answer and its contract reached the company: with the answer, or late."""
    return known(world, "application", asked.decided, asked.customer_id, asked.slot)


def _taken(value, rows: np.ndarray):
    """Rows of an array, or of each array of a named tuple; what was cut already stays."""
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, Applications | Decisions | Appetite | Plan | Paths):
        return type(value)(*(v[rows] if isinstance(v, np.ndarray) else v for v in value))
    return value
