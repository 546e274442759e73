"""RFM: each customer's fifth by recency, frequency and spend.

Source  Hughes (1994), Strategic Database Marketing: quintiles, 5 the best
"""

import numpy as np
import pandas as pd

PARTS = {
    "recency": ("recency_days", False),
    "frequency": ("purchase_days_365", True),
    "monetary": ("spend_cents_365", True),
}
FIFTHS = 5


def rfm(customers: pd.DataFrame) -> pd.DataFrame:
    """The table with `recency`, `frequency` and `monetary`, 1 (worst) to 5 (best), among customers of one origin.

    Fifths are of equal size; customers who are equal in a measure are told apart by customer_id, so that the answer
    does not depend on the order of the rows.
    """
    scored = {}
    for name, (column, more_is_better) in PARTS.items():
        value = customers[column] if more_is_better else -customers[column]
        order = np.lexsort((pd.factorize(customers.customer_id, sort=True)[0], value.fillna(-np.inf)))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        scored[name] = rank * FIFTHS // len(order) + 1
    return customers.assign(**scored)
