"""Bad cells: ids, amounts, times and texts that are not what they should be, and rows that contradict each other."""

import pandas as pd

from bad_input.files import SOUND, names, total
from bad_input.shop import CUSTOMERS, ORDERS, Case, both, columns, customer, order, put, text, yml

FIRST = "but is not in 1 of 60 rows, first for customer 00002"
NOT_CENTS = ("amount_cents must be a number such as 1234.5, without a part of a cent", FIRST)
NOT_A_TIME = ("ordered_at must be a time such as 2024-01-31 17:05:00", FIRST)
NOT_PLAIN = ("customer_id must be an id that no spreadsheet has shortened, in plain characters", "in 1 of 60 rows")
DAYS_FIRST = yml("zone: UTC", 'zone: UTC\ntimes: "%d/%m/%Y"')
GONE = [row for row in CUSTOMERS if row[0] != "00002"]


def cents(expected: int):
    """What order 2 then comes to."""

    def sees(source) -> bool:
        orders = source.tables["orders"]
        return orders.filter(orders.order_id == "2").amount_cents.to_pyarrow().to_pylist() == [expected]

    return sees


def at(moment: str):
    """When order 2 then was placed, in UTC."""

    def sees(source) -> bool:
        orders = source.tables["orders"]
        found = orders.filter(orders.order_id == "2").ordered_at.to_pyarrow().to_pylist()
        return found == [pd.Timestamp(moment).to_pydatetime()]

    return sees


def order_ids(*ids: str):
    return lambda source: {*ids} <= set(source.tables["orders"].order_id.to_pyarrow().to_pylist())


def ages(source) -> list:
    return source.tables["customers"].age.to_pyarrow().to_pylist()


CELLS = [
    Case("an id with leading zeros", order("order_id", "00123"), (), "text, as it is", order_ids("00123")),
    Case(
        "an id beyond 2^53", order("order_id", "9007199254740993"), (), "text, as it is", order_ids("9007199254740993")
    ),
    Case(
        "an id beyond 2^63",
        order("order_id", "92233720368547758079"),
        (),
        "text, as it is",
        order_ids("92233720368547758079"),
    ),
    Case("an id that a spreadsheet shortened", order("customer_id", "1.23E+11"), NOT_PLAIN),
    Case("an id with a blank after it", order("customer_id", "00002 "), (), "trimmed", total),
    Case("an id in full width", order("customer_id", "０００02"), NOT_PLAIN),
    Case("an id with a character of no width", order("customer_id", "00002\u200b"), NOT_PLAIN),
    Case("an id that is written from right to left", order("customer_id", "\u202e20000"), NOT_PLAIN),
    Case("an id whose accents stand apart", order("customer_id", "Rene\u0301"), NOT_PLAIN),
    Case("an id with a control character", order("customer_id", "0\x070002"), NOT_PLAIN),
    Case(
        "an id in another case",
        order("customer_id", "A"),
        ("customer_id must be in customers, but is not in 1 of 60 rows",),
    ),
    Case(
        "an empty id",
        order("customer_id", ""),
        ("customer_id must not be empty, but is in 1 of 60 rows, first for order 2",),
    ),
    Case("an id of blanks", order("customer_id", "   "), ("customer_id must not be empty, but is in 1 of 60 rows",)),
    Case("an id of 10,000 characters", order("order_id", "9" * 10_000), (), "text, as it is", order_ids("9" * 10_000)),
    Case(
        "an id that is SQL",
        order("order_id", "1); DROP TABLE orders; --"),
        (),
        "text",
        order_ids("1); DROP TABLE orders; --"),
    ),
    Case(
        "a line twice",
        put("orders.csv", SOUND + SOUND.splitlines()[5] + "\n"),
        ("order_id and product_id must name one order line, but do not in 2 of 61 rows, first for order 4",),
    ),
    Case(
        "a key twice, with other amounts",
        put("orders.csv", SOUND + SOUND.splitlines()[5].replace("9.50", "8.50") + "\n"),
        ("order_id and product_id must name one order line, but do not in 2 of 61 rows",),
    ),
    Case(
        "a customer twice at one moment",
        put("customers.csv", text([*CUSTOMERS, CUSTOMERS[3]])),
        ("customer_id and known_at must name one customer", "in 2 of 13 rows, first for customer 00002"),
    ),
    Case(
        "a customer told of anew",
        put("customers.csv", text([*CUSTOMERS, ["00002", "2023-12-02 08:00", "Ann 2", "33"]])),
        (),
        "the latest row known counts",
        total,
    ),
    Case(
        "orders of nobody",
        order("customer_id", "77777"),
        ("customer_id must be in customers, but is not in 1 of 60 rows, first for customer 77777",),
    ),
    Case(
        "customers that are gone",
        put("customers.csv", text(GONE)),
        ("customer_id must be in customers, but is not in 5 of 60 rows",),
    ),
    Case(
        "a customer without orders",
        put("customers.csv", text([*CUSTOMERS, ["99", "2023-12-01 08:00", "x", "1"]])),
        (),
        "read",
        total,
    ),
    Case(
        "only one customer",
        columns(lambda row: row if row[0] == "order_id" else [row[0], "00001", *row[2:]]),
        (),
        "read",
        total,
    ),
    Case(
        "only one row",
        put("orders.csv", text(ORDERS[:2])),
        (),
        "read",
        lambda s: s.tables["orders"].count().execute() == 1,
    ),
    Case("a name that is NA", customer("name", "NA"), (), "a name", lambda s: "NA" in names(s)),
    Case("a name that is null", customer("name", "null"), (), "a name", lambda s: "null" in names(s)),
    Case("a name that is SQL", customer("name", "'); DROP TABLE orders; --"), (), "a name", total),
    Case("a name that is HTML", customer("name", "<script>alert(1)</script>"), (), "a name", total),
    Case(
        "a name that is a formula",
        customer("name", '"=HYPERLINK(""x"")"'),
        (),
        "a name",
        lambda s: '=HYPERLINK("x")' in names(s),
    ),
    Case("a name from right to left", customer("name", "\u202egnp.exe"), (), "a name", total),
    Case("a name of faces", customer("name", "👩‍👩‍👧 Zoë"), (), "a name", lambda s: "👩‍👩‍👧 Zoë" in names(s)),
    Case(
        "an attribute that nobody told",
        columns(lambda row: row if row[0] == "customer_id" else [*row[:3], ""], "customers.csv"),
        (),
        "missing for all",
        lambda s: ages(s) == [None] * 12,
    ),
    Case(
        "an attribute that is the same for all",
        columns(lambda row: row if row[0] == "customer_id" else [*row[:3], "7"], "customers.csv"),
        (),
        "read",
        lambda s: set(ages(s)) == {7.0},
    ),
    Case(
        "an age of words",
        customer("age", "old"),
        ("age must be a number such as 1234.5, but is not in 1 of 12 rows, first for customer 00002",),
    ),
    Case(
        "an age below zero",
        customer("age", "-3"),
        (),
        "a number; what an attribute may be, its source must know",
        lambda s: -3.0 in ages(s),
    ),
    Case("an amount with marks of thousands", order("amount_cents", '"1,234.50"'), NOT_CENTS),
    Case(
        "an amount with marks of thousands, declared",
        both(order("amount_cents", '"1,234.50"'), yml("zone: UTC", 'zone: UTC\nthousands: ","')),
        (),
        "read as declared",
        cents(123_450),
    ),
    Case(
        "an amount whose thousands are not in threes",
        both(order("amount_cents", '"12,34.50"'), yml("zone: UTC", 'zone: UTC\nthousands: ","')),
        ("amount_cents must be a number such as 1,234.5",),
    ),
    Case("an amount with a sign of currency", order("amount_cents", "￥12.50"), NOT_CENTS),
    Case("an amount with a name of currency", order("amount_cents", "5.50 USD"), NOT_CENTS),
    Case("an amount in brackets", order("amount_cents", "(12.50)"), NOT_CENTS),
    Case("an amount with its minus behind", order("amount_cents", "3-"), NOT_CENTS),
    Case("an amount with another minus", order("amount_cents", "−3.00"), NOT_CENTS),
    Case("an amount with digits of another script", order("amount_cents", "٣"), NOT_CENTS),
    Case("an amount that is none", order("amount_cents", "N/A?"), NOT_CENTS),
    Case(
        "an empty amount",
        order("amount_cents", ""),
        ("amount_cents must not be empty, but is in 1 of 60 rows, first for customer 00002",),
    ),
    Case("an infinite amount", order("amount_cents", "inf"), NOT_CENTS),
    Case("an amount of 1e400", order("amount_cents", "1e400"), NOT_CENTS),
    Case("an amount that is not a number", order("amount_cents", "nan"), NOT_CENTS),
    Case("an amount beyond whole numbers", order("amount_cents", "99999999999999999999"), NOT_CENTS),
    Case("an amount with a part of a cent", order("amount_cents", "2.005"), NOT_CENTS),
    Case("an amount of 1e2", order("amount_cents", "1e2"), (), "a hundred", cents(10_000)),
    Case("an amount in hexadecimal", order("amount_cents", "0x10"), NOT_CENTS),
    Case("an amount of minus zero", order("amount_cents", "-0"), (), "zero", cents(0)),
    Case("a return", order("amount_cents", "-5.00"), (), "a return", cents(-500)),
    Case(
        "a return that nobody bought",
        put("orders.csv", SOUND.replace("p2,1,7.50", "p99,1,-7.50")),
        (),
        "a return",
        cents(-750),
    ),
    Case(
        "all amounts a hundredfold",
        columns(lambda row: row if row[0] == "order_id" else [*row[:5], str(float(row[5]) * 100)]),
        (),
        "read: an amount does not tell its unit; `cents_per_unit` does",
        cents(75_000),
    ),
    Case(
        "a sale of a negative quantity",
        order("quantity", "-1"),
        ("quantity must not be negative in a sale, but is in 1 of 60 rows, first for customer 00002",),
    ),
    Case("a quantity of zero", order("quantity", "0"), (), "read", total),
    Case(
        "a quantity that is not a number", order("quantity", "nan"), ("quantity must be a number such as 1234.5", FIRST)
    ),
    Case(
        "a quantity beyond what a model holds",
        order("quantity", "3.5e38"),
        ("quantity must be a number such as 1234.5", FIRST),
    ),
    Case("an empty quantity", order("quantity", ""), (), "unknown", total),
    Case("a day that may be March or April", order("ordered_at", "03/04/2024"), NOT_A_TIME),
    Case(
        "the same, declared",
        both(
            columns(lambda row: row if row[0] == "order_id" else [*row[:2], "03/04/2024", *row[3:]]),
            yml("    known_at: ordered_at + 1 hour", '    known_at: ordered_at + 1 hour\n    times: "%d/%m/%Y"'),
        ),
        (),
        "read as declared",
        at("2024-04-03"),
    ),
    Case(
        "a month of 25, declared day first, as American",
        both(order("ordered_at", "12/25/2024"), DAYS_FIRST),
        ("ordered_at must be a time written as %d/%m/%Y",),
    ),
    Case("a year of two digits", order("ordered_at", "69-01-02 09:00"), NOT_A_TIME),
    Case("a day as a spreadsheet counts", order("ordered_at", "45292"), NOT_A_TIME),
    Case("a day as a spreadsheet guesses", order("ordered_at", "Mar-01"), NOT_A_TIME),
    Case("a day of zeros", order("ordered_at", "0000-00-00"), NOT_A_TIME),
    Case("30 February", order("ordered_at", "2024-02-30 09:00"), NOT_A_TIME),
    Case("25 o'clock", order("ordered_at", "2024-02-20 25:00"), NOT_A_TIME),
    Case("a time with words behind it", order("ordered_at", "2024-02-20 09:00 approx"), NOT_A_TIME),
    Case("the year 9999", order("ordered_at", "9999-12-31"), (), "a day to come: known on no as_of before it", total),
    Case("the year 2300", order("ordered_at", "2300-01-01 09:00"), (), "a day to come", total),
    Case("the year 1850", order("ordered_at", "1850-01-01 09:00"), (), "long ago", total),
    Case("a time with an offset", order("ordered_at", "2024-03-03T09:02:00+08:00"), (), "UTC", at("2024-03-03 01:02")),
    Case(
        "an hour that a clock skipped",
        both(order("ordered_at", "2024-03-31 02:30"), yml("zone: UTC", "zone: Europe/Berlin")),
        (),
        "an hour later, as clocks were put",
        at("2024-03-31 01:30"),
    ),
    Case(
        "an hour that a clock showed twice",
        both(order("ordered_at", "2024-10-27 02:30"), yml("zone: UTC", "zone: Europe/Berlin")),
        (),
        "the second of the two",
        at("2024-10-27 01:30"),
    ),
    Case("an order before its customer was seen", order("ordered_at", "2022-01-01 09:00"), (), "read", total),
    Case(
        "an empty time",
        order("ordered_at", ""),
        ("ordered_at must not be empty, but is in 1 of 60 rows, first for customer 00002",),
    ),
    Case(
        "known before it happened",
        yml("    known_at: ordered_at + 1 hour", "    known_at: 2024-01-01"),
        ("known_at must not precede ordered_at, but it does in", "first for customer"),
    ),
    Case(
        "known by a column that is not there",
        yml("    known_at: ordered_at + 1 hour", "    known_at: loaded"),
        ("loaded must be among the columns",),
    ),
    Case(
        "a delay that is none",
        yml("ordered_at + 1 hour", "ordered_at + soon"),
        ("known_at must be a column, a date, or an event with a delay",),
    ),
]
