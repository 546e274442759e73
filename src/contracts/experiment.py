"""Is there a control group at all? What the table of contacts must hold before anything is called an effect."""

from ibis.expr.types import Table

from contracts.errors import Refused

CONTROL = "control"


def refuse_uncontrolled(contacts: Table, source: str) -> None:
    """Raises `Refused` where nobody was drawn into an arm `control`, or a contact does not say with which probability.

    Without a control group what followed a contact is response, and no effect; without propensities the arms may have
    been given by who the customer is.
    """
    said = contacts.columns
    told = contacts.propensity.notnull() if "propensity" in said else contacts.contact_id.isnull()
    counted = contacts.aggregate(
        rows=contacts.count(), control=(contacts.arm == CONTROL).sum().fill_null(0), told=told.sum().fill_null(0)
    )
    found = counted.to_pyarrow().to_pylist()[0]
    wanting = []
    if not found["control"]:
        wanting.append(f"none of {found['rows']:,} contacts has the arm `{CONTROL}`")
    if found["told"] < found["rows"]:
        wanting.append(f"{found['rows'] - found['told']:,} of {found['rows']:,} do not say their propensity")
    if wanting:
        raise Refused(
            f"{source}: an effect needs contacts drawn by chance, some of them into a control group, but "
            f"{' and '.join(wanting)}. What followed them is response. Draw a hold-out before the next campaign "
            "(decisions.holdout), write it down as contacts of the arm `control`, and measure that one."
        )
