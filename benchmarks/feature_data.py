"""Orders to measure `benchmarks/features.py` with: generated ones of any size, and the real ones of the grocer.

    python -P benchmarks/feature_data.py 10M
    python -P benchmarks/feature_data.py journey

Generated   Two years of a shop's ledger in the columns of the contracts, sorted by `ordered_at`. Purchases are negative
            binomial: each customer has a rate, exponential over customers (a gamma of shape 1), and buys at random
            from the day she first comes. Products are Zipf. Nine lines a basket, geometric. A quarter of the hours
            is an evening's peak, and weekends are busier. Two lines in a hundred are returns. One in twenty is known
            up to five days late: four with their whole basket, one alone.
Real        The orders and products of the source `complete_journey`: 1.47 M lines of 2,469 households.

A row is a function of its number and of the seed alone, by DuckDB's hash: the same file on any number of threads.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import duckdb

FOLDER = Path(__file__).resolve().parents[1] / "data" / "raw" / "benchmark"
SEED = 7
FIRST_DAY, DAYS = "2022-01-01", 730  # a Saturday; the last day, 2023-12-31, is a Sunday
LINES_A_BASKET, LINES_A_CUSTOMER, PRODUCTS = 9, 100, 20_000
MEMORY, THREADS = "5GB", 2
JOURNEY = "journey"

# u: uniform in [0, 1) of a row's number, another one for each salt
MACROS = f"""
CREATE MACRO u(number, salt) AS (hash(number, salt, {SEED}) >> 11) / 9007199254740992.0;
CREATE MACRO price_cents(product) AS 99 + floor(exp(7.5 * u(product, 'price')))::BIGINT;
"""
CUSTOMERS = """
CREATE TEMP TABLE customers AS
WITH drawn AS (
    SELECT c AS customer_id, -ln(1 - u(c, 'rate')) AS rate,
        CASE WHEN u(c, 'old') < 0.6 THEN 0 ELSE floor(u(c, 'first day') * 0.9 * {days}) END AS first_day
    FROM range({customers}) AS t(c)
), weighed AS (SELECT *, rate * ({days} - first_day) AS weight FROM drawn)
SELECT customer_id, first_day::INTEGER AS first_day,
    sum(weight) OVER (ORDER BY customer_id) - weight AS weight_before
FROM weighed
"""
# Given their total, Poisson counts are a multinomial draw: each basket picks its customer by her rate times her days.
BASKETS = """
CREATE TEMP TABLE baskets AS
WITH sized AS (
    SELECT b, 1 + floor(ln(1 - u(b, 'size')) / ln(1 - 1.0 / {size}))::BIGINT AS lines FROM range({baskets}) AS t(b)
), counted AS (
    SELECT b, lines, (sum(lines) OVER (ORDER BY b))::BIGINT - lines AS lines_before FROM sized
), picked AS (
    SELECT b, least(lines, {lines} - lines_before) AS lines,
        u(b, 'customer') * (SELECT max(weight_before) FROM customers) AS point
    FROM counted WHERE lines_before < {lines}
), dated AS (
    SELECT b, lines, customer_id, first_day + floor(u(b, 'day') * ({days} - first_day))::INTEGER AS drawn
    FROM picked ASOF JOIN customers ON picked.point >= customers.weight_before
), moved AS (  -- one weekday basket in eight waits for the weekend; day 0 is a Saturday
    SELECT b, lines, customer_id, CASE WHEN (drawn + 5) % 7 < 5 AND u(b, 'waits') < 0.125
        THEN drawn + 5 - (drawn + 5) % 7 + (u(b, 'sunday') < 0.4)::INTEGER ELSE drawn END AS day,
        CASE WHEN u(b, 'peak') < 0.25 THEN 17 + 3 * u(b, 'hour') ELSE 8 + 13 * u(b, 'hour') END AS hour
    FROM dated
), timed AS (
    SELECT b, lines, customer_id,
        TIMESTAMP '{first}' + to_days(day) + to_seconds(floor(hour * 3600)::BIGINT) AS ordered_at
    FROM moved
)
SELECT row_number() OVER (ORDER BY ordered_at, b) AS order_id, customer_id, ordered_at, lines FROM timed
ORDER BY ordered_at, b
"""
# Half of what a customer buys is of the thirty products she is used to.
LINES = """
WITH numbered AS (
    SELECT *, order_id * 4096 + line_id AS n FROM (SELECT *, unnest(range(1, lines + 1)) AS line_id FROM baskets)
), chosen AS (
    SELECT *, floor(exp(ln({products} + 1) * CASE WHEN u(n, 'used to') < 0.5
        THEN u(customer_id * 32 + floor(u(n, 'which') * 30)::BIGINT, 'own') ELSE u(n, 'product') END))::BIGINT AS p,
        1 + floor(-0.5 * ln(1 - u(n, 'quantity')))::BIGINT AS pieces, u(n, 'return') < 0.02 AS returned,
        CASE WHEN u(n, 'offer') < 0.25 THEN 0.1 + 0.3 * u(n, 'discount') ELSE 0 END AS taken_off,
        u(order_id, 'online') < 0.15 AS online, to_seconds(floor(5 * 86400 * CASE
            WHEN u(order_id, 'late basket') < 0.04 THEN u(order_id, 'basket delay')
            WHEN u(n, 'late line') < 0.01 THEN u(n, 'line delay') ELSE 0 END)::BIGINT) AS delay
    FROM numbered
)
SELECT order_id, customer_id, ordered_at,
    CASE WHEN u(n, 'unread') >= 0.002 THEN p END AS product_id,
    CASE WHEN returned THEN -pieces ELSE pieces END AS quantity,
    CASE WHEN returned THEN -pieces * price_cents(p)
        ELSE pieces * price_cents(p) - round(pieces * price_cents(p) * taken_off)::BIGINT END AS amount_cents,
    CASE WHEN returned THEN 0 ELSE round(pieces * price_cents(p) * taken_off)::BIGINT END AS discount_cents,
    CASE WHEN online THEN 'online' ELSE 'store' END AS channel,
    CASE WHEN NOT online THEN 1 + floor(200 * CASE WHEN u(order_id, 'home') < 0.9
        THEN u(customer_id, 'store') ELSE u(order_id, 'store') END)::BIGINT END AS store_id,
    line_id, ordered_at + delay AS known_at
FROM chosen
"""
CATALOGUE = """
SELECT p AS product_id, CASE WHEN u(p, 'unnamed') >= 0.01 THEN format('category {{:02d}}', category) END AS category,
    CASE WHEN u(p, 'unnamed') >= 0.01 THEN format('department {{:02d}}', category % 12) END AS department,
    CASE WHEN u(p, 'private') < 0.25 THEN 'private label'
        ELSE format('brand {{:03d}}', floor(300 * u(p, 'brand') ^ 2)::BIGINT) END AS brand,
    round(price_cents(p) * (0.5 + 0.3 * u(p, 'cost')))::BIGINT AS unit_cost_cents, TIMESTAMP '{first}' AS known_at
FROM (SELECT p, floor(40 * u(p, 'category') ^ 1.5)::BIGINT AS category FROM range(1, {products} + 1) AS t(p))
ORDER BY p
"""


class Files(NamedTuple):
    """Two Parquet files: order lines sorted by time, and products."""

    orders: Path
    products: Path


def files(case: str) -> Files:
    """The files of a case, `journey` or a number of lines such as 100K, 1M or 10M; made where they are not there."""
    made = Files(FOLDER / case / "orders.parquet", FOLDER / case / "products.parquet")
    if not (made.orders.exists() and made.products.exists()):
        made.orders.parent.mkdir(parents=True, exist_ok=True)
        if case == JOURNEY:
            _journey(made)
        else:
            _generate(number(case), made)
    return made


def number(case: str) -> int:
    """1_000_000 of "1M"."""
    return int(case[:-1]) * {"K": 1_000, "M": 1_000_000}[case[-1]]


def _generate(lines: int, to: Files) -> None:
    size = {
        "lines": lines,
        "customers": lines // LINES_A_CUSTOMER,
        # more than enough: the last ones are cut
        "baskets": int(lines / LINES_A_BASKET * 1.02) + 1_000,
        "size": LINES_A_BASKET,
        "products": PRODUCTS,
        "first": FIRST_DAY,
        "days": DAYS,
    }
    spill = to.orders.parent / "spill"
    con = duckdb.connect(config={"memory_limit": MEMORY, "threads": THREADS, "temp_directory": str(spill)})
    con.execute(MACROS)
    con.execute(CUSTOMERS.format(**size))
    con.execute(BASKETS.format(**size))
    _write(con, LINES.format(**size), to.orders)
    _write(con, CATALOGUE.format(**size), to.products)


def _journey(to: Files) -> None:
    """As the project reads them, so that every contender counts the same cents."""
    from sources import open_source

    source = open_source("complete_journey")
    source.tables["orders"].order_by("ordered_at", "order_id", "product_id").to_parquet(to.orders)
    source.tables["products"].order_by("product_id").to_parquet(to.products)


def _write(con: duckdb.DuckDBPyConnection, query: str, to: Path) -> None:
    """Under another name first: a file that has its name is whole."""
    part = to.with_suffix(".part")
    con.execute(f"COPY ({query}) TO '{part}' (FORMAT parquet)")
    part.rename(to)


if __name__ == "__main__":
    print(*files(sys.argv[1]), sep="\n")
