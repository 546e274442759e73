"""What every command shares: the two streams, a line of progress, a table, and the options that many take."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import Refused
from contracts.secrets import scrubbed

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

AsOf = Annotated[
    str, typer.Option("--as-of", help="First day that may not be known, YYYY-MM-DD. No default, least of all today.")
]
SourceName = Annotated[str, typer.Option("--source", help="Where the raw tables come from; `crm sources` lists them.")]
ModelName = Annotated[str, typer.Argument(help="Which model: one of pipelines/parameters.yml.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, a parameter that the notebook declares.")
]
KEPT = 3  # exit code: done, but the champion stays


def stamp() -> str:
    """The moment for a log, ISO in UTC; nothing is decided by it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def say(line: str) -> None:
    """A step begins: the time and a line, on standard error."""
    err.print(f"{stamp()[11:19]}  {scrubbed(line)}", markup=False, soft_wrap=True)


def print_frame(title: str, frame) -> None:
    """A pandas DataFrame as a table; nothing is shown for a missing value."""
    table = Table(title=title, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column), overflow="fold", no_wrap=column == "run_id")
    for row in frame.astype(object).where(frame.notna(), "").itertuples(index=False):
        table.add_row(*map(str, row))
    out.print(table)


def asked(texts: list[str]) -> dict[str, str]:
    """Name to value; raises `Refused` for what is no pair, is given twice, or has an option of its own."""
    found, wrong = {}, []
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            wrong.append(f"A parameter is given as NAME=VALUE, but this is {text!r}.")
        elif name in ("source", "as_of"):
            wrong.append(f"{name} is given as --{name.replace('_', '-')}, not with -p. Leave one of the two out.")
        elif name in found:
            wrong.append(f"{name} is given twice, as {found[name]!r} and {value!r}. Leave one of the two out.")
        found[name] = value
    if wrong:
        raise Refused("\n".join(wrong))
    return found
