"""What a customer was sent and how she answered, as known at the origin.

Grain   one row for each (customer_id, origin) of the spine with a contact, or a response, known by then
Sees    contacts and responses with known_at before the origin
Units   counts, whole days
Errors  none of its own
"""

from ibis import _
from ibis.expr.types import Table

from features.as_of import KEYS, before
from features.dictionary import Column, windowed

_SENT = ("contacts",)
_BACK = ("responses",)
CONTACT_COLUMNS = (
    *windowed("contacts", "contacts", (90, 365), unit="count", null="never contacted", reads=_SENT, topic="contacts"),
    Column("days_since_contact", "days since the last contact", "days", "never contacted", _SENT, "contacts"),
)
RESPONSE_COLUMNS = (
    *windowed(
        "responses",
        "responses to campaigns",
        (90, 365),
        unit="count",
        null="never responded",
        reads=_BACK,
        topic="responses",
    ),
    Column("days_since_response", "days since the last response", "days", "never responded", _BACK, "responses"),
)


def contacts(spine: Table, contacts: Table) -> Table:
    """The columns of `CONTACT_COLUMNS` beside the keys."""
    seen = before(spine, contacts.select("customer_id", "contacted_at", "known_at"), "contacted_at")
    return seen.group_by(*KEYS).agg(
        contacts_90=_.count(where=_.age <= 90),
        contacts_365=_.count(where=_.age <= 365),
        days_since_contact=_.age.min(),
    )


def responses(spine: Table, responses: Table) -> Table:
    """The columns of `RESPONSE_COLUMNS` beside the keys: campaigns answered, not answers given."""
    seen = before(spine, responses.select("customer_id", "campaign_id", "responded_at", "known_at"), "responded_at")
    return seen.group_by(*KEYS).agg(
        responses_90=_.campaign_id.nunique(where=_.age <= 90),
        responses_365=_.campaign_id.nunique(where=_.age <= 365),
        days_since_response=_.age.min(),
    )
