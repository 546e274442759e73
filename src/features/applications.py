"""Credit applications: the form, beside the history of whoever hands it in.

Grain   one row for each application of the spine, whose origin is the day it was made on
Sees    of the history, what was known before the origin. The form itself is what is decided on: who decides reads it,
        however late it reaches the tables, so that only applications known before `as_of` are asked about
Units   those of the blocks; of the form the amount asked for in cents, the term as a number of instalments, and
        attributes as declared
Errors  `Refused` for groups that no table holds
A column that names a protected group is hidden: it is no feature, whatever declares it.
"""

from collections.abc import Collection, Mapping
from datetime import date

import ibis
import pandas as pd
from ibis.expr.types import Table

from contracts.boundary import known_before
from contracts.errors import Refused
from features import relations
from features.dictionary import Column, column, declared
from features.identity import column_hashes, hashes_of, stable_sql
from features.profile import in_days
from features.subjects import dictionary, subjects

# fifths among those asked about at an origin: who happens to apply on one day is no population to stand in
AMONG_OTHERS = frozenset(c.name for c in relations.COLUMNS)
LOAN = ("application_id", "customer_id", "origin")
ASKED = {"asked_cents": "amount_cents", "term": "term"}
FORM = (
    column("asked_cents", "amount asked for", "cents", "not told", "amount", reads=("applications",)),
    column("term", "instalments asked for", "count", "not told", "term", reads=("applications",)),
)


def applicants(applications: Table, first: date, last: date, as_of: date) -> Table:
    """The spine of the applications made from `first` to `last`, both included, and known before `as_of`."""
    told = known_before(applications, as_of)
    day = told.applied_at.date()
    return told.filter(day >= first, day <= last).select("application_id", "customer_id", origin=day).cache()


def spine_of(rows: pd.DataFrame, applications: Table) -> Table:
    """The spine of applications that are named in a frame, beside the raw table."""
    keys = rows[list(LOAN)].assign(origin=pd.to_datetime(rows.origin).dt.date)
    types = {name: applications[name].type() for name in LOAN[:2]} | {"origin": "date"}
    return applications.get_backend().create_table(
        "asked", ibis.memtable(keys, schema=types), temp=True, overwrite=True
    )


def forms(
    spine: Table,
    tables: Mapping[str, Table],
    attributes: Mapping[str, str],
    hidden: Collection[str],
    days: Mapping[str, Table] | None = None,
) -> Table:
    """The columns of `form_dictionary` beside the keys of the spine; `days` as for `features.subjects.subjects`."""
    told, own = _parted(tables, attributes, hidden)
    history = subjects(spine.select("customer_id", "origin").distinct(), tables, told, days=days)
    asked = _form(spine, tables["applications"], own)
    joined = asked.left_join(history, ["customer_id", "origin"])
    ours = [name for name in history.columns[2:] if name not in AMONG_OTHERS]
    return joined.select(*LOAN, *(name for name in asked.columns if name not in LOAN), *ours)


def form_dictionary(
    tables: Mapping[str, Table], attributes: Mapping[str, str], hidden: Collection[str]
) -> dict[str, Column]:
    """What each column of `forms` means, by name, in the table's order."""
    told, own = _parted(tables, attributes, hidden)
    asked = {c.name: c for c in (*_asked(tables["applications"]), *declared(own, "applications"))}
    return asked | {name: c for name, c in dictionary(tables, told).items() if name not in AMONG_OTHERS}


def form_hashes(tables: Mapping[str, Table], attributes: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """The sha256 of each column of `forms`."""
    told, own = _parted(tables, attributes, hidden)
    history = {name: number for name, number in column_hashes(tables, told).items() if name not in AMONG_OTHERS}
    return hashes_of(_unbound_form(tables, own), LOAN) | history


def form_sql(tables: Mapping[str, Table], attributes: Mapping[str, str], hidden: Collection[str]) -> str:
    """The SQL of the form's columns; that of the history is `features.identity.features_sql`."""
    return stable_sql(_unbound_form(tables, _parted(tables, attributes, hidden)[1]))


def groups_of(spine: Table, tables: Mapping[str, Table], names: Collection[str]) -> Table:
    """The declared groups of each application beside its keys, for judging and never for learning.

    From the application, or else from the latest row of the customer known before the origin. Raises `Refused` for a
    name that neither table has.
    """
    applications, customers = tables["applications"], tables.get("customers")
    gone = [n for n in names if n not in applications.columns and (customers is None or n not in customers.columns)]
    if gone:
        raise Refused(
            f"A protected group must be a column of applications or customers, but {', '.join(gone)} is none. Correct "
            f"`protected`."
        )
    own = [name for name in names if name in applications.columns]
    found = spine.join(applications.select("application_id", *own), "application_id")
    elsewhere = [name for name in names if name not in own]
    if elsewhere:
        pairs = spine.select("customer_id", "origin").distinct()
        told = dict.fromkeys(elsewhere, "category")
        profiles = subjects(pairs, {"customers": customers}, told)
        found = found.left_join(profiles, ["customer_id", "origin"])
    return found.select(*LOAN, *names)


def _parted(tables, attributes, hidden) -> tuple[dict[str, str], dict[str, str]]:
    """The declared attributes that customers hold, and those that applications hold alone; without the hidden ones."""
    seen = {name: kind for name, kind in attributes.items() if name not in hidden}
    customers = tables["customers"].columns if "customers" in tables else ()
    own = {n: k for n, k in seen.items() if n in tables["applications"].columns and n not in customers}
    return {name: kind for name, kind in seen.items() if name not in own}, own


def _asked(applications: Table) -> tuple[Column, ...]:
    return tuple(c for c in FORM if ASKED[c.name] in applications.columns)


def _form(spine: Table, applications: Table, own: Mapping[str, str]) -> Table:
    asked = {c.name: applications[ASKED[c.name]] for c in _asked(applications)}
    told = applications.select("application_id", **asked, **{name: applications[name] for name in own})
    rows = in_days(spine.join(told, "application_id"), own)
    return rows.select(*LOAN, *asked, *own)


def _unbound_form(tables: Mapping[str, Table], own: Mapping[str, str]) -> Table:
    applications = ibis.table(tables["applications"].schema(), name="applications")
    keys = {name: applications[name].type() for name in ("application_id", "customer_id")}
    return _form(ibis.table(keys | {"origin": "date"}, name="spine"), applications, own)
