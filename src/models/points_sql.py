r"""A table of points as SQL: one SELECT that a database runs where the rows are, and comes to the same numbers.

Same    scores to the point, since both sides add whole numbers and compare with the same doubles; probabilities to the
        last bits of the engine's exp()
Reads   columns by name; a number is cast to a double, a category to a text; NULL and NaN are missing
Gives   the columns asked for, score (whole number) and probability
"""

from collections.abc import Sequence

from sqlglot import exp

from models.binning import MISSING, NO_LEVEL, Bins
from models.points import PointsTable

DIALECTS = ("duckdb", "sqlite", "spark")
EXACT_DIGITS = 15  # every engine reads a decimal of so many digits as the nearest double


def sql(points: PointsTable, relation: str, keys: Sequence[str] = (), dialect: str = "duckdb") -> str:
    """The SELECT that scores all rows of `relation`, with their `keys`; raises `ValueError` for another dialect."""
    if dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {', '.join(DIALECTS)}, but is {dialect!r}. Choose one of them.")
    score: exp.Expression = _whole(points.base)
    for name, bins, each in zip(points.encoder.columns, points.bins, points.points, strict=True):
        score = exp.Add(this=score, expression=_case(name, bins, each, points.encoder.levels.get(name, ()), dialect))
    kept = [exp.column(key, quoted=True) for key in keys]
    inner = exp.select(*kept, exp.alias_(score, "score")).from_(exp.to_table(relation, dialect=dialect))
    scale, one = points.scale, _decimal(1.0)
    power = exp.Div(this=exp.paren(exp.Sub(this=exp.column("score"), expression=_decimal(scale.offset))),
                    expression=_decimal(scale.factor))  # fmt: skip
    p = exp.Div(this=one, expression=exp.paren(exp.Add(this=one.copy(), expression=exp.Exp(this=power))))
    outer = [column.copy() for column in (*kept, exp.column("score"))]
    return exp.select(*outer, exp.alias_(p, "probability")).from_(inner.subquery("scored")).sql(dialect, pretty=True)


def _case(name: str, bins: Bins, points: Sequence[int], levels: Sequence[str], dialect: str) -> exp.Expression:
    """The points of one column; conditions are tried in order."""
    column = exp.column(name, quoted=True)
    value = exp.cast(column, "text" if bins.cuts is None else "double")
    case = exp.Case()
    # where the engine knows it, NaN is missing; SQLite stores it as NULL
    absent = exp.Is(this=column.copy(), expression=exp.null())
    if bins.cuts is not None and dialect != "sqlite":
        absent = exp.or_(absent, exp.IsNan(this=value.copy()))
    case = case.when(absent, _whole(points[MISSING]))
    if bins.cuts is None:
        for group in range(max(bins.groups, default=-1) + 1):
            names = [_text(level, dialect) for level, of in zip(levels, bins.groups, strict=True) if of == group]
            case = case.when(exp.In(this=value.copy(), expressions=names), _whole(points[bins.first + group]))
        return case.else_(_whole(points[NO_LEVEL]))
    for number, special in enumerate(bins.specials):
        case = case.when(exp.EQ(this=value.copy(), expression=_double(special)), _whole(points[2 + number]))
    for number, cut in enumerate(bins.cuts):
        case = case.when(exp.LTE(this=value.copy(), expression=_double(cut)), _whole(points[bins.first + number]))
    return case.else_(_whole(points[bins.first + len(bins.cuts)]))


def _text(level: str, dialect: str) -> exp.Expression:
    """A literal that is exactly this text. Spark puts a variable in the place of ${...}, in a literal, too: so it is
    not written there.
    """
    if dialect != "spark" or "${" not in level:
        return exp.Literal.string(level)
    parts = level.replace("${", "$\0{").split("\0")
    return exp.func("concat", *map(exp.Literal.string, parts))


def _whole(number: int) -> exp.Expression:
    return exp.Literal.number(number)


def _decimal(number: float) -> exp.Expression:
    return exp.cast(exp.Literal.string(repr(number)), "double")


def _double(number: float) -> exp.Expression:
    """A literal that is exactly this double: a short decimal, or a quotient of whole numbers that doubles hold."""
    above, below = number.as_integer_ratio()
    if float(f"{number:.{EXACT_DIGITS}g}") == number or max(abs(above), below) >= 2**63:
        return _decimal(number)
    parts = (exp.cast(exp.Literal.string(str(part)), "double") for part in (above, below))
    return exp.paren(exp.Div(this=next(parts), expression=next(parts)))
