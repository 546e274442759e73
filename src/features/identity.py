"""What each column of features is made of, as one number: two runs mean the same by a column where its numbers agree.

The number is a sha256 over the expression that the column is computed by, as far as the column needs it: what its
values are made of, and what decides which rows are counted. Neither data nor machine nor the columns beside it are in
it. So a changed definition changes the columns that are made of it, and a block that is added changes none.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping

import ibis
import ibis.expr.operations as ops
from ibis.common.graph import Node
from ibis.expr.types import Table

from features.customer_table import _blocks, customer_table
from features.day_tables import unsummed
from features.subjects import given_to, told_by
from features.timelines import timelines


def column_hashes(
    tables: Mapping[str, Table], attributes: Mapping[str, str], contract_end: str | None = None
) -> dict[str, str]:
    """The sha256 of each column that `features.subjects.subjects` makes of these tables, by name."""
    spine, named, told = _unbound(tables, attributes, contract_end)
    digests = _Digests()
    if "given" in named:
        made = given_to(spine, named["given"], told)
        return {name: digests.of_column(made, name) for name in told}
    ready = {**named, **timelines(unsummed(named), named)}
    # each block by itself: what is joined beside it decides nothing of it
    blocks = [(block.make(spine), block.columns) for block in _blocks(ready, told)]
    return {column.name: digests.of_column(made, column.name) for made, columns in blocks for column in columns}


def hashes_of(made: Table, keys: Iterable[str]) -> dict[str, str]:
    """The sha256 of each column of an expression that stands for its data (`ibis.table`), but of its keys."""
    digests, keys = _Digests(), set(keys)
    return {name: digests.of_column(made, name) for name in made.columns if name not in keys}


def features_sql(tables: Mapping[str, Table], attributes: Mapping[str, str], contract_end: str | None = None) -> str:
    """The SQL that all columns compile to, for any spine, wherever the data are."""
    spine, named, told = _unbound(tables, attributes, contract_end)
    made = given_to(spine, named["given"], told) if "given" in named else customer_table(spine, named, told)
    return stable_sql(made)


def stable_sql(table: Table) -> str:
    """The SQL of an expression, the same in every process: Ibis lists the columns that are dropped in any order."""

    def in_order(dropped: re.Match) -> str:
        return f"EXCLUDE ({', '.join(sorted(dropped[1].replace(',', ' ').split()))})"

    return re.sub(r"EXCLUDE \(([^()]*)\)", in_order, ibis.to_sql(table, dialect="duckdb"))


def features_hash(columns: Mapping[str, str]) -> str:
    """One sha256 of all of `column_hashes`."""
    return _digest(dict(sorted(columns.items())))


def differing(theirs: Mapping[str, str], ours: Mapping[str, str], read: Iterable[str]) -> list[str]:
    """In words, the columns among `read` that are other ones or gone, then those that came; empty where all agree.

    theirs  column to sha256, of the features that a model was trained on
    ours    the same, of the features at hand
    read    the columns that the model reads: no other may matter to it
    """
    read = set(read)
    gone = sorted(read - ours.keys())
    changed = sorted(name for name in read & ours.keys() if theirs.get(name) != ours[name])
    came = sorted(ours.keys() - theirs.keys() - read)
    if not gone and not changed:
        return []
    said = {"changed": changed, "gone": gone, "new": came}
    return [f"{word}: {', '.join(names)}" for word, names in said.items() if names]


def _unbound(tables, attributes, contract_end) -> tuple[Table, dict[str, Table], dict[str, str]]:
    """A spine, raw tables and attributes that stand for these, without their data."""
    named = {name: ibis.table(table.schema(), name=name) for name, table in tables.items()}
    asked = next(named[name] for name in ("given", "orders", "customers") if name in named)
    spine = ibis.table({"customer_id": asked.customer_id.type(), "origin": "date"}, name="spine")
    return spine, named, told_by(attributes, contract_end)


class _Digests:
    """Numbers of the parts of expressions, each computed once.

    A column of a table is followed to where it is made; the rows of a table, to what filters, joins, groups or repeats
    them. Whatever has no rule of its own counts with all that it holds.
    """

    def __init__(self):
        self._known: dict[tuple, str] = {}

    def of_column(self, table: Table, name: str) -> str:
        """The number of a column of an expression, with the rows that it has."""
        kind = table[name].type()
        shown = "number" if kind.is_numeric() or kind.is_boolean() else "text"
        node = table.op()
        return _digest(name, shown, self._column(node, name), self._rows(node))

    def _once(self, what: str, node, name, make) -> str:
        key = (what, node, name)
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def _column(self, rel: ops.Relation, name: str) -> str:
        return self._once("column", rel, name, lambda: self._column_of(rel, name))

    def _column_of(self, rel: ops.Relation, name: str) -> str:
        if isinstance(rel, ops.Project):
            return self._value(rel.values[name])
        if isinstance(rel, ops.JoinChain):
            return self._value(rel.values[name])
        if isinstance(rel, ops.Aggregate):
            if name in rel.groups:
                return self._value(rel.groups[name])
            return _digest("sum", self._value(rel.metrics[name]), self._rows(rel))
        if isinstance(rel, ops.JoinReference):
            return _digest("side", rel.identifier, self._column(rel.parent, name))
        if isinstance(rel, ops.SelfReference | ops.Filter | ops.Sort | ops.Limit | ops.Distinct | ops.DropColumns):
            return self._column(rel.parent, name)
        if isinstance(rel, ops.Set):
            return _digest("both", self._column(rel.left, name), self._column(rel.right, name))
        if isinstance(rel, ops.PhysicalTable):
            return _digest("raw", rel.name, name)
        return _digest("column", name, self._whole(rel))

    def _rows(self, rel: ops.Relation) -> str:
        return self._once("rows", rel, None, lambda: self._rows_of(rel))

    def _rows_of(self, rel: ops.Relation) -> str:
        if isinstance(rel, ops.Project):
            repeated = [self._value(value) for value in rel.values.values() if value.find(ops.Unnest)]
            return _digest("unnest", self._rows(rel.parent), repeated) if repeated else self._rows(rel.parent)
        if isinstance(rel, ops.Filter):
            return _digest("filter", self._rows(rel.parent), [self._value(p) for p in rel.predicates])
        if isinstance(rel, ops.Aggregate):
            return _digest("group", self._rows(rel.parent), [self._value(g) for g in rel.groups.values()])
        if isinstance(rel, ops.JoinChain):
            links = [[a.how, self._rows(a.table), [self._value(p) for p in a.predicates]] for a in rel.rest]
            return _digest("join", self._rows(rel.first), links)
        if isinstance(rel, ops.Distinct):
            return _digest("distinct", self._whole(rel.parent))
        if isinstance(rel, ops.Set):
            sides = self._whole if rel.distinct else self._rows
            return _digest(type(rel).__name__, rel.distinct, sides(rel.left), sides(rel.right))
        if isinstance(rel, ops.Reference | ops.Sort | ops.DropColumns):
            return self._rows(rel.parent)
        if isinstance(rel, ops.PhysicalTable):
            return _digest("raw", rel.name)
        return self._whole(rel)

    def _whole(self, rel: ops.Relation) -> str:
        """All of a table: its columns and its rows, or what it is made of where there is no rule for these."""
        ruled = (ops.Project, ops.Filter, ops.Aggregate, ops.JoinChain, ops.Distinct, ops.Set, ops.Reference,
                 ops.Sort, ops.DropColumns, ops.PhysicalTable)  # fmt: skip
        if isinstance(rel, ruled):
            return _digest("whole", self._rows(rel), [[name, self._column(rel, name)] for name in rel.schema])
        return self._plain(rel)

    def _value(self, node: ops.Value) -> str:
        return self._once("value", node, None, lambda: self._value_of(node))

    def _value_of(self, node: ops.Value) -> str:
        if isinstance(node, ops.Field):
            return self._column(node.rel, node.name)
        if isinstance(node, ops.CountStar):  # of rows, whatever their columns are
            return _digest("count", self._rows(node.arg), self._argument(node.where))
        if isinstance(node, ops.WindowFunction):  # its neighbours are rows
            return _digest(self._plain(node), sorted(self._rows(rel) for rel in node.relations))
        return self._plain(node)

    def _plain(self, node: Node) -> str:
        """An operation by its name and its arguments; one of ours (a UDF) by the name that the engine has for it."""
        name = getattr(node, "__func_name__", None) or type(node).__name__
        return _digest(name, [[key, self._argument(arg)] for key, arg in zip(node.argnames, node.args, strict=True)])

    def _argument(self, arg):
        if isinstance(arg, ops.Relation):
            return self._whole(arg)
        if isinstance(arg, ops.Value):
            return self._value(arg)
        if isinstance(arg, Node):
            return self._plain(arg)
        if isinstance(arg, Mapping):
            return [[str(key), self._argument(value)] for key, value in arg.items()]
        if isinstance(arg, tuple | list):
            return [self._argument(value) for value in arg]
        return f"{type(arg).__name__} {arg}"


def _digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
