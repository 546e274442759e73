"""The cohort of a span of days, by hand; and the figures of real shops that simulated ones are held beside."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from features.cohorts import purchases_of_cohort
from sources.world import published, retail
from sources.world.latent import traits
from sources.world.parameters import CDNOW


def orders(*rows: tuple[int, str, int]):
    """Lines of (customer, time, cents)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount_cents"])
    return ibis.memtable(frame.assign(ordered_at=pd.to_datetime(frame.ordered_at)))


def test_a_cohort_by_hand():
    """Customer 1 comes on day 0 and twice on day 9; 2 came before; 3 after the entry; 4 sends back and then buys."""
    lines = orders(
        (1, "2024-01-01 09:00", 100),
        (1, "2024-01-10 09:00", 200),
        (1, "2024-01-10 18:00", 50),
        (1, "2024-01-11 00:00", 70),
        (2, "2023-12-31 23:59", 100),
        (2, "2024-01-02 09:00", 100),
        (3, "2024-01-08 00:00", 100),
        (4, "2024-01-01 09:00", -100),
        (4, "2024-01-03 09:00", 30),
    )
    found = purchases_of_cohort(lines, date(2024, 1, 1), 7, 10).to_pandas()
    assert found.to_numpy().tolist() == [[1, 0, 100], [1, 9, 250], [4, 2, 30]]


def test_the_published_counts_are_those_of_the_paper():
    """2,357 customers, 946 of them with a repeat purchase; the cumulated ones end with those of the counts."""
    assert published.CDNOW_CUSTOMERS.sum() == 2_357 and published.CDNOW_CUSTOMERS[1:].sum() == 946
    few = (np.arange(7) * published.CDNOW_CUSTOMERS[:7]).sum()
    assert few + 7 * published.CDNOW_CUSTOMERS[7] < published.CDNOW_REPEATS[39]
    assert published.CZECH_LOANS.bad / published.CZECH_LOANS.loans == pytest.approx(0.11, abs=0.005)


def test_the_twin_of_cdnow_comes_back_as_the_real_one_does():
    """Share who do, and mean repeat purchases, of the cohort of 12 weeks: within four standard errors of the real."""
    world = published.twin_of_cdnow(20_000, 3)
    assert {name: getattr(world.purchases, name) for name in CDNOW} == CDNOW
    lines = retail.tables(world, traits(world, world.parts[0]))[0]["orders"]
    days = purchases_of_cohort(ibis.memtable(lines), world.first_day, published.ENTRY_DAYS, published.SEEN_DAYS)
    x = days.to_pandas().groupby("customer_id").size() - 1
    real = 1 - published.CDNOW_CUSTOMERS[0] / 2_357
    assert (x > 0).mean() == pytest.approx(real, abs=4 * np.sqrt(real * (1 - real) * (1 / len(x) + 1 / 2_357)))
    assert x.mean() == pytest.approx(published.CDNOW_REPEATS[39] / 2_357, abs=4 * x.std() / np.sqrt(2_357))
