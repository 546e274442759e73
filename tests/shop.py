"""A small shop that nobody has: generated customers who buy, and leave, for the tests that take the whole way."""

from pathlib import Path

import numpy as np
import pandas as pd

CUSTOMERS = 800
FIRST_DAY, DAYS = pd.Timestamp("2023-01-01"), 366
MAPPING = """
kind: folder
folder: {folder}
currency: EUR
zone: UTC
tables:
  orders:
    file: lines.csv
    columns: {{order_id: Invoice, customer_id: Client, ordered_at: Date, product_id: Article, amount_cents: Net}}
    known_at: ordered_at + 1 hour
"""


def write_shop(home: Path, seed: int = 8) -> None:
    """`lines.csv` and its mapping `shop.yml` in a project: buyers by gamma-mixed Poisson, each until a last day.

    Of this many customers, not every seed's can tell a good model from the naive rule; those of the seed 8 can.
    """
    draw = np.random.default_rng(seed)
    rate = draw.gamma(1.5, 1 / 12, CUSTOMERS)
    last = np.minimum(draw.exponential(400, CUSTOMERS), DAYS - 1)
    bought = draw.random((CUSTOMERS, DAYS)) < rate[:, None]
    bought &= np.arange(DAYS) <= last[:, None]
    client, day = np.nonzero(bought)
    lines = pd.DataFrame(
        {
            "Invoice": np.arange(len(client)),
            "Client": client + 1,
            "Date": (FIRST_DAY + pd.to_timedelta(day, "D") + pd.to_timedelta(9 * 60 + client % 600, "min")),
            "Article": draw.integers(1, 40, len(client)),
            "Net": draw.gamma(2, 12, len(client)).round(2) + 1,
        }
    )
    folder = home / "data" / "shop"
    folder.mkdir(parents=True)
    lines.to_csv(folder / "lines.csv", index=False)
    (home / "data" / "sources" / "shop.yml").write_text(MAPPING.format(folder=folder))
