"""What kinds share that ask about customers at an origin: whom, and the features of those that were judged."""

from collections.abc import Mapping
from datetime import date

import pandas as pd
from ibis.expr.types import Table

from contracts.errors import Refused
from contracts.study import day
from features.subjects import frame, population
from features.subjects import subjects as with_features
from sources.source import Source


def subjects(
    source: Source,
    about: Mapping,
    origin: date,
    days: Mapping[str, Table] | None = None,
    contract_end: str | None = None,
) -> pd.DataFrame:
    """The customers of an origin with features: who bought in the `active_days` before, or is under contract.

    Raises `Refused` where there is nobody.
    """
    spine = population(source.tables, (origin,), int(about["active_days"]), contract_end, days)
    table = frame(with_features(spine, source.tables, source.attributes, contract_end, days))
    if table.empty:
        raise Refused(
            f"Nobody in {source.name} bought in the {about['active_days']} days before {origin}, so there is nobody to "
            f"score. Choose a day that the source covers."
        )
    return table


def judged_on(source: Source, about: Mapping, rows: pd.DataFrame, contract_end: str | None = None) -> pd.DataFrame:
    """All customers of the one origin of test rows; a flat source's is the as_of."""
    origin = day(str(pd.Timestamp(rows.origin.max()).date()), "test origin")
    return subjects(source, about, origin, contract_end=contract_end)
