"""What each raw table promises, and the one check of it. `docs/decisions/0003-contracts.md` says why it is our own.

All times are UTC timestamps without zone, money is integer cents of one currency, ids are text or whole numbers and
are never parsed. Every table has `known_at`, when a row reached us; only `given`, which has no history, does without.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from ibis.expr.types import Table

from contracts.errors import Breach, BrokenContract
from contracts.promises import (
    Column,
    Contract,
    Rule,
    key_breaches,
    orphan_breaches,
    row_breaches,
    shape_breaches,
)

KNOWN_AT = Column("known_at", "time")


def _known_after(happened: str) -> Rule:
    return Rule(
        "known_at",
        f"must not precede {happened}, but it does",
        lambda t: t.known_at < t[happened],
        f"Ask the source for its delivery time; do not fill known_at from {happened}.",
        ("known_at", happened),
        {"known": "known_at", "happened": happened},
    )


def _not_negative(column: str, remedy: str) -> Rule:
    return Rule(column, "must not be negative, but is", lambda t: t[column] < 0, remedy, (column,), {column: column})


def _sale_not_negative(column: str) -> Rule:
    return Rule(
        column,
        "must not be negative in a sale, but is",
        lambda t: (t[column] < 0) & (t.amount_cents >= 0),
        "A return has a negative amount_cents; correct the sign of one of the two in the source.",
        (column, "amount_cents", "order_id"),
        {"order": "order_id", column: column, "amount_cents": "amount_cents"},
    )


CUSTOMERS = Contract(
    "customers",
    # a customer told of anew has a row for each known_at; the latest one known on a day is the one that counts
    grain="customer at a known_at",
    subject="customer_id",
    columns=(Column("customer_id", "id"), Column("first_seen_at", "time"), KNOWN_AT),
    keys=(("customer_id", "known_at"),),
    rules=(_known_after("first_seen_at"),),
)
ORDERS = Contract(
    "orders",
    grain="order line",
    subject="customer_id",
    columns=(
        Column("order_id", "id"),
        Column("customer_id", "id"),
        Column("ordered_at", "time"),
        Column("product_id", "id", may_be_empty=True),
        Column("quantity", "number", may_be_empty=True),
        Column("amount_cents", "whole"),
        Column("discount_cents", "whole", may_be_empty=True),
        Column("channel", "category", may_be_empty=True),
        Column("store_id", "id", may_be_empty=True),
        Column("line_id", "id", may_be_absent=True),
        KNOWN_AT,
    ),
    # a till may ring up one product twice in an order: such a source numbers its lines
    keys=(("order_id", "line_id"), ("order_id", "product_id")),
    rules=(_known_after("ordered_at"), _sale_not_negative("quantity"), _sale_not_negative("discount_cents")),
    refers={"customer_id": "customers", "product_id": "products"},
)
PRODUCTS = Contract(
    "products",
    grain="product",
    subject="product_id",
    columns=(
        Column("product_id", "id"),
        Column("category", "category", may_be_empty=True),
        Column("department", "category", may_be_empty=True),
        Column("brand", "category", may_be_empty=True),
        Column("own_brand", "flag", may_be_empty=True, may_be_absent=True),
        Column("unit_cost_cents", "whole", may_be_empty=True, may_be_absent=True),
        KNOWN_AT,
    ),
    keys=(("product_id",),),
    rules=(_not_negative("unit_cost_cents", "Correct the sign in the source."),),
)
CAMPAIGNS = Contract(
    "campaigns",
    grain="campaign",
    subject="campaign_id",
    columns=(
        Column("campaign_id", "id"),
        Column("kind", "category", may_be_empty=True),
        Column("starts_at", "time"),
        Column("ends_at", "time", may_be_empty=True),
        KNOWN_AT,
    ),
    keys=(("campaign_id",),),
    # no rule on known_at: a campaign is usually known before it starts
    rules=(
        Rule(
            "ends_at",
            "must not precede starts_at, but it does",
            lambda t: t.ends_at < t.starts_at,
            "Correct the dates in the source, or leave ends_at empty where the end is open.",
            ("ends_at", "starts_at"),
            {"starts": "starts_at", "ends": "ends_at"},
        ),
    ),
)
OFFERS = Contract(
    "offers",
    # what a campaign gives a discount on; no rule on known_at, as for the campaign
    grain="product of a campaign",
    subject="campaign_id",
    columns=(Column("campaign_id", "id"), Column("product_id", "id"), KNOWN_AT),
    keys=(("campaign_id", "product_id"),),
    refers={"campaign_id": "campaigns", "product_id": "products"},
)
CONTACTS = Contract(
    "contacts",
    grain="contact",
    subject="customer_id",
    columns=(
        Column("contact_id", "id"),
        Column("customer_id", "id"),
        Column("campaign_id", "id"),
        Column("contacted_at", "time"),
        Column("channel", "category", may_be_empty=True),
        Column("arm", "category"),
        Column("propensity", "number", may_be_empty=True, may_be_absent=True),
        Column("cost_cents", "whole", may_be_empty=True),
        Column("discount", "number", may_be_empty=True, may_be_absent=True),
        KNOWN_AT,
    ),
    keys=(("contact_id",),),
    rules=(
        _known_after("contacted_at"),
        Rule(
            "propensity",
            "must lie between 0 and 1, both excluded, but does not",
            lambda t: (t.propensity <= 0) | (t.propensity >= 1),
            "It is the probability of the arm that was drawn; leave it empty where the arm was certain.",
            ("propensity",),
            {"contact": "contact_id", "propensity": "propensity"},
        ),
        _not_negative("cost_cents", "Correct the sign in the source."),
        Rule(
            "discount",
            "must lie between 0 and 1, 1 excluded, but does not",
            lambda t: (t.discount < 0) | (t.discount >= 1),
            "It is the share of the price that the contact takes off: 0.1 for ten per cent, 0 or empty for none.",
            ("discount",),
            {"contact": "contact_id", "discount": "discount"},
        ),
    ),
    refers={"customer_id": "customers", "campaign_id": "campaigns"},
)
RESPONSES = Contract(
    "responses",
    # no key: one customer may answer one campaign several times at once
    grain="response",
    subject="customer_id",
    columns=(
        Column("customer_id", "id"),
        Column("campaign_id", "id"),
        Column("responded_at", "time"),
        Column("value_cents", "whole", may_be_empty=True),
        KNOWN_AT,
    ),
    rules=(_known_after("responded_at"),),
    refers={"customer_id": "customers", "campaign_id": "campaigns"},
)
APPLICATIONS = Contract(
    "applications",
    grain="application",
    subject="application_id",
    columns=(
        Column("application_id", "id"),
        Column("customer_id", "id"),
        Column("applied_at", "time"),
        Column("amount_cents", "whole"),
        Column("term", "whole", may_be_empty=True),
        Column("accepted", "flag", may_be_empty=True),
        KNOWN_AT,
    ),
    keys=(("application_id",),),
    rules=(
        _known_after("applied_at"),
        _not_negative("amount_cents", "It is the amount asked for; correct the sign in the source."),
        _not_negative("term", "It is the number of instalments asked for; correct the sign in the source."),
    ),
    refers={"customer_id": "customers"},
)
INSTALMENTS = Contract(
    "instalments",
    # planned when the contract starts, told anew when it is paid: the latest row known on a day is the one that counts
    grain="instalment at a known_at",
    subject="application_id",
    columns=(
        Column("application_id", "id"),
        Column("due_at", "time"),
        Column("due_cents", "whole"),
        Column("paid_at", "time", may_be_empty=True),
        Column("paid_cents", "whole", may_be_empty=True),
        KNOWN_AT,
    ),
    keys=(("application_id", "due_at", "known_at"),),
    # due_at may lie ahead; what cannot be known before it happened is the payment
    rules=(
        _known_after("paid_at"),
        _not_negative("due_cents", "Correct the sign in the source."),
        _not_negative("paid_cents", "Correct the sign in the source."),
    ),
    refers={"application_id": "applications"},
)
CASES = Contract(
    "cases",
    # opened, then told anew when it is closed: the latest row known on a day is the one that counts
    grain="case at a known_at",
    subject="customer_id",
    columns=(
        Column("case_id", "id"),
        Column("customer_id", "id"),
        Column("opened_at", "time"),
        Column("kind", "category", may_be_empty=True),
        Column("closed_at", "time", may_be_empty=True),
        KNOWN_AT,
    ),
    keys=(("case_id", "known_at"),),
    rules=(
        _known_after("opened_at"),
        _known_after("closed_at"),
        Rule(
            "closed_at",
            "must not precede opened_at, but it does",
            lambda t: t.closed_at < t.opened_at,
            "Correct the times in the source, or leave closed_at empty where the case is open.",
            ("closed_at", "opened_at"),
            {"case": "case_id", "opened": "opened_at", "closed": "closed_at"},
        ),
    ),
    refers={"customer_id": "customers"},
)
SURVEYS = Contract(
    "surveys",
    # no key: one customer may answer several questions at once
    grain="answer",
    subject="customer_id",
    columns=(
        Column("customer_id", "id"),
        Column("answered_at", "time"),
        Column("score", "number"),
        Column("kind", "category", may_be_empty=True),
        KNOWN_AT,
    ),
    rules=(
        _known_after("answered_at"),
        Rule(
            "score",
            "must lie between 0 and 10, but does not",
            lambda t: (t.score < 0) | (t.score > 10),
            "Bring the answers to a scale from 0 to 10, as `units` in the source's yml can.",
            ("score",),
            {"score": "score"},
        ),
    ),
    refers={"customer_id": "customers"},
)
VISITS = Contract(
    "visits",
    # `step` is the furthest that a visit got to
    grain="visit",
    subject="customer_id",
    columns=(
        Column("visit_id", "id"),
        Column("customer_id", "id"),
        Column("visited_at", "time"),
        Column("channel", "category", may_be_empty=True),
        Column("step", "category"),
        KNOWN_AT,
    ),
    keys=(("visit_id",),),
    rules=(_known_after("visited_at"),),
    refers={"customer_id": "customers"},
)
GIVEN = Contract(
    "given",
    grain="subject",
    subject="customer_id",
    columns=(
        Column("customer_id", "id"),
        Column("outcome", "whole", may_be_empty=True),
        Column("treatment", "category", may_be_empty=True, may_be_absent=True),
        Column("value_cents", "whole", may_be_empty=True, may_be_absent=True),
        Column("known_at", "time", may_be_absent=True),
    ),
    keys=(("customer_id",),),
    rules=(
        Rule(
            "outcome",
            "must be 0 or 1, but is not",
            lambda t: t.outcome.notin([0, 1]),
            "Name the value that counts as 1 as `positive` in the source's yml.",
            ("outcome",),
            {"outcome": "outcome"},
        ),
    ),
)
CONTRACTS = {
    contract.table: contract
    for contract in (
        CUSTOMERS,
        ORDERS,
        PRODUCTS,
        CAMPAIGNS,
        OFFERS,
        CONTACTS,
        RESPONSES,
        APPLICATIONS,
        INSTALMENTS,
        CASES,
        SURVEYS,
        VISITS,
        GIVEN,
    )
}
# the tables that may hold declared attributes; one that none of them holds is missed in the first
DESCRIBED = ("given", "customers", "applications")


def check(tables: Mapping[str, Table], attributes: Mapping[str, str] = MappingProxyType({})) -> None:
    """Raise one `BrokenContract` with every broken rule of every table; return nothing when all is kept.

    tables      raw tables by name, all on one backend
    attributes  the declared attributes of the source: name -> number, category, flag, date, region or group

    The first offender of a rule is the one with the smallest id, so that the message is the same on any number of
    threads. A reference is checked only where the table referred to is among `tables`.
    """
    breaches = [_unknown(name) for name in tables if name not in CONTRACTS]
    known = {name: (_described(name, tables, attributes), tables[name]) for name in CONTRACTS if name in tables}
    for contract, table in known.values():
        breaches += shape_breaches(contract, table)
        breaches += row_breaches(contract, table)
        breaches += key_breaches(contract, table)
        breaches += orphan_breaches(contract, table, known)
    if breaches:
        raise BrokenContract(breaches)


def named_by(table: str, columns: Collection[str]) -> tuple[tuple[str, ...], str]:
    """The columns that together name a row of a raw table that has `columns`, and the one that says whom it is about.

    A table that promises no key names a row by its subject.
    """
    contract = CONTRACTS[table]
    key = next((key for key in contract.keys if set(key) <= set(columns)), (contract.subject,))
    return key, contract.subject


def _described(name: str, tables: Mapping[str, Table], attributes: Mapping[str, str]) -> Contract:
    """The contract of a table with those declared attributes among its columns that it is the one to hold."""
    contract, holders = CONTRACTS[name], [table for table in DESCRIBED if table in tables]
    own = {column.name for column in contract.columns}

    def held_here(attribute: str) -> bool:
        holding = [table for table in holders if attribute in tables[table].columns]
        return name in (holding or holders[:1]) and attribute not in own

    told = tuple(Column(a, kind, may_be_empty=True) for a, kind in attributes.items() if held_here(a))
    return replace(contract, columns=contract.columns + told)


def _unknown(name: str) -> Breach:
    return Breach(
        name,
        "",
        "must be a raw table that has a contract, but is none",
        0,
        0,
        "",
        f"The raw tables are {', '.join(CONTRACTS)}.",
    )
