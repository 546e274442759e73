"""`crm check --leaks`: the columns of features, ours or a user's, made again without the future."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path

from ibis.expr.types import Table

from contracts.errors import Refused
from features import leaks
from features.customer_table import customer_table
from features.subjects import population
from pipelines.parameters import complete, for_source, notebook_of
from sources.source import Source
from training_table import plan

PAIRS = 1_000
MODEL = "churn"  # whose population and dates are taken


def refuse_future(source: Source, spine: Table) -> None:
    """What every retraining runs: raises `Refused` where the features of a sample of the spine know the future.

    A flat source has no history that could be cut, and is let through.
    """
    if source.kind != "flat":
        leaks.recomputed(leaks.company(spine, source.tables), leaks.compiled(partial(_ours, source)))


def check_leaks(source: Source, as_of: str, block: str | None, say: Callable[[str], None]) -> None:
    """Say of all columns, or of those of `block` (`file.py:function`), what was compared and was equal.

    Raises `Refused` for columns that know the future, also had facts come late, or that depend on the order of rows.
    """
    make = partial(_ours, source) if block is None else load(block)
    if source.kind == "flat":
        raise Refused(
            f"{source.name} is flat: it has no history that could be cut at a day. Its leaks are columns written "
            f"after the outcome: list them as known_afterwards in its yml; `crm retrain` looks for more."
        )
    values = complete(notebook_of(MODEL), {**for_source(MODEL, source.name), "source": source.name, "as_of": as_of})
    dates = ("as_of", "horizon_days", "origins", "spacing_days", "active_days")
    study = plan(source.tables, *(values[name] for name in dates))
    spine = population(source.tables, study.matured_origins, values["active_days"], source.contract_end)
    for line in compared(leaks.company(spine, source.tables, PAIRS), make, block is None):
        say(f"{source.label}: {line}")


def compared(of: leaks.Company, make: leaks.Make, lazy: bool) -> Iterator[str]:
    """The sentences of `check_leaks`, each once its comparison is done."""

    def once() -> leaks.Make:
        return leaks.compiled(make) if lazy else make

    found = leaks.recomputed(of, once())
    yield (
        f"{found.columns} columns of {found.pairs:,} pairs ({_days(found.origins)}) are the same without the "
        f"{found.taken:,} rows known later."
    )
    try:
        found = leaks.recomputed(leaks.delayed(of), once())
    except Refused as error:
        raise Refused(f"Had facts reached us up to {leaks.LATEST} days later than they did: {error}") from error
    yield f"They are so too had facts reached us up to {leaks.LATEST} days later ({found.taken:,} rows known later)."
    leaks.unordered(of, once())
    yield "They do not depend on the order of rows."
    if found.unproven:
        yield f"Nothing is proven of columns that are the same for all: {', '.join(found.unproven)}."
    if not found.taken:
        yield "Nothing is proven at all: no row became known after these days. Choose a later as_of."


def load(block: str) -> leaks.Make:
    """The function named `path/to/file.py:function`; raises `Refused` where there is none."""
    path, _, name = block.rpartition(":")
    if not path or not Path(path).is_file():
        raise Refused(f"--block must be FILE.py:FUNCTION, but {block!r} names no file. Give the path from here.")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, name, None)
    if not callable(made):
        raise Refused(f"{path} must define the function {name!r}, but does not. Correct the name after the colon.")
    return made


def _ours(source: Source, spine: Table, tables: Mapping[str, Table]) -> Table:
    told = {name: kind for name, kind in source.attributes.items() if name != source.contract_end}
    return customer_table(spine, tables, told)


def _days(origins: tuple[date, ...]) -> str:
    return ", ".join(map(str, origins))
