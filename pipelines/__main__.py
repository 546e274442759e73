"""The command line: `crm`. One function a command; the exit code says how it ended."""

import gc
import os
import secrets
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import Refused
from contracts.places import mlruns
from contracts.secrets import scrubbed
from pipelines.console import KEPT, AsOf, ModelName, Parameters, SourceName, asked, err, out, print_frame, say
from pipelines.endings import BUG, Ending, ending_of, help_line, line_of
from pipelines.reviewing import reviewing
from pipelines.scheduling import scheduling

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Whom to keep, lend to, write to, and what each is worth: train, score and compare, as of a day.",
    epilog=help_line(),
)
app.add_typer(reviewing)
app.add_typer(scheduling)


@app.command()
def retrain(
    model: ModelName,
    source: SourceName,
    as_of: AsOf,
    parameter: Parameters = None,
):
    """Train MODEL on a source as of a day, judge it, and register it; the first one that passes becomes champion."""
    from pipelines.retrain import retrain as run

    done = run(model, source, as_of, asked(parameter or []), say)
    _show_retrained(done)
    if not done.champion:
        raise typer.Exit(KEPT)


@app.command()
def score(model: ModelName, source: SourceName, as_of: AsOf):
    """Score every subject of a source with the champion of MODEL, as known on a day."""
    from pipelines.score import score as run

    done = run(model, source, as_of, say)
    out.print(f"{done.rows:,} customers scored with {model} version {done.version.number}: {done.path}", soft_wrap=True)
    out.print(f"fingerprint of {done.path.name}: {done.fingerprint}", soft_wrap=True)
    out.print(f"{done.decided}: {done.plan}", soft_wrap=True)


@app.command()
def export(
    model: ModelName,
    source: SourceName,
    as_of: AsOf,
    to: Annotated[Path, typer.Option("--out", help="A new file that ends in .csv.")],
    what: Annotated[str, typer.Option("--what", help="plan or scores.")] = "plan",
):
    """Write the plan of a day, or its scores, as a list that a spreadsheet may open: no text in it is a formula."""
    from pipelines.exporting import export as run

    out.print(f"{run(model, source, as_of, what, to):,} rows: {to}", markup=False, soft_wrap=True)


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="The source to check.")],
    leaks: Annotated[
        bool, typer.Option("--leaks", help="Also whether features know the future; with --as-of.")
    ] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", help="The day that --leaks looks back from.")] = None,
    block: Annotated[
        str | None, typer.Option("--block", help="FILE.py:FUNCTION, features of your own to look at instead.")
    ] = None,
):
    """Check the contracts of a source, and the features for leaks; nothing is trained or written."""
    from contracts.tables import check as run
    from sources import open_source

    if leaks != bool(as_of) or (block and not leaks):
        raise Refused("--leaks and --as-of go together, and --block with them. Give all that are missing.")
    opened = open_source(source)
    run(opened.tables, opened.attributes)
    out.print(f"{opened.label}: {len(opened.tables)} tables keep their contracts ({', '.join(opened.tables)}).")
    if leaks:
        from pipelines.leaks import check_leaks

        check_leaks(opened, as_of, block, lambda line: out.print(line, soft_wrap=True))


@app.command()
def features(
    source: Annotated[str, typer.Argument(help="The source whose features to write.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="The origin: nothing known from that day on.")] = None,
    origins: Annotated[int, typer.Option(help="How many origins, the last of them --as-of.")] = 1,
    spacing_days: Annotated[int, typer.Option(help="The days between two origins.")] = 30,
    to: Annotated[Path | None, typer.Option("--out", help="A file; by default below data/features.")] = None,
    memory_mb: Annotated[int | None, typer.Option(help="Memory to take; by default half of the machine's.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Print what each column means, and write none.")] = False,
):
    """Write the features of a source's customers as known on a day, or describe their columns."""
    from pipelines.features import described
    from pipelines.features import features as run

    if describe == bool(as_of):
        raise Refused("Give --as-of to write features, or --describe to read what they mean: one of the two.")
    if describe:
        _print_columns(source, described(source))
        return
    done = run(source, as_of, origins, spacing_days, to, memory_mb, say)
    out.print(f"{done.rows:,} rows of features ({done.added:,} new raw rows): {done.path}", soft_wrap=True)


@app.command()
def sources(
    describe: Annotated[
        str | None, typer.Option("--describe", help="One source: its tables, rows, dates, assumptions.")
    ] = None,
):
    """List the sources, or describe one."""
    from sources import describe as summary
    from sources import names, open_source

    if describe is None:
        for name in names():
            out.print(name)
        return
    opened = open_source(describe)
    print_frame(f"{opened.label} ({opened.kind})", summary(opened))
    for line in opened.assumes:
        out.print(f"assumed: {line}", soft_wrap=True)


@app.command()
def runs(model: Annotated[str | None, typer.Option("--model", help="Only this model's.")] = None):
    """List the runs, newest first, with their headline measure on the test rows, its interval, and the aliases."""
    from registry.runs import table_of_runs
    from registry.store import exists

    rows = table_of_runs(model) if exists() else []
    if not rows:
        out.print("No runs yet. `crm retrain churn --source complete_journey --as-of 2018-01-02` makes one.")
        return
    for row in rows:  # lines, since a table breaks the names where a terminal is narrow
        name = f"{row['model']}/{row['version']}" if row["version"] else row["model"]
        ends = [row[end] for end in ("value", "low", "high")]
        test = "" if None in ends else f"{row['measure']} {ends[0]:.3f} ({ends[1]:.3f} to {ends[2]:.3f})  "
        test += f"{', '.join(row['aliases'])}  " if row["aliases"] else ""
        said = f"{row['run_id'][:8]}  {name:11} {row['status']:8}  {test}{row['run']}"
        out.print(said, markup=False, soft_wrap=True)


@app.command()
def ui(port: Annotated[int, typer.Option(help="On loopback only.")] = 5000):
    """Open the MLflow UI on loopback, behind a token, with the runs in it."""
    from registry.served import VARIABLE
    from registry.store import tracking_uri
    from registry.views import links

    token = os.environ.setdefault(VARIABLE, secrets.token_urlsafe(24))
    whole = f"http://127.0.0.1:{port}/?token={token}#/experiments?workflowType=machine_learning   (end with Ctrl-C)"
    out.print(whole, soft_wrap=True)
    out.print("The token is asked for once a browser; then:")
    for name, link in links(port).items():
        out.print(f"{name:12} {link}", soft_wrap=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.execv(
        sys.executable,
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            tracking_uri(),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
            "--app-name",
            "crm-token",
        ],
    )


@app.command()
def forget(
    customer: Annotated[str, typer.Argument(help="The id of a customer, as the source writes it.")],
    source: SourceName,
):
    """Erase a customer from the source's files and all that was made of them; says what stays and why."""
    from pipelines.forgetting import forget as run

    done = run(customer, source, say)
    for line in done.erased:
        out.print(f"erased: {line}", markup=False, soft_wrap=True)
    for line in done.remains:
        out.print(f"remains: {line}.", markup=False, soft_wrap=True)
    for file in done.found:
        out.print(f"remains: her id in {file}", markup=False, soft_wrap=True)
    if done.found:
        raise typer.Exit(KEPT)


@app.command()
def world(
    customers: Annotated[int, typer.Option(help="How many.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")],
    days: Annotated[int, typer.Option(help="From its first day on; credit needs four years to see loans end.")] = 730,
    discount: Annotated[
        list[float] | None, typer.Option(help="Share that a voucher takes off; several to learn which is best.")
    ] = None,
    folder: Annotated[str, typer.Option("--out", help="Where to put it.")] = "data/raw/world",
):
    """Make a simulated company, whose truth is known, for the source `world`."""
    from pipelines.world import world as run

    out.print(f"simulated world: {run(customers, seed, days, discount or [], folder, say)}", soft_wrap=True)


@app.command()
def demo():
    """Take real customer data all the way: who they are, a registered churn model, a score for everyone."""
    from pipelines.demo import demo as run

    print_frame("demo", run(say))


def main() -> None:
    """Run the command line; every ending that is not 0 prints one clear reason."""
    os.umask(0o077)  # what is written about customers is for their user alone
    gc.set_threshold(100_000, 50, 100)  # looking through what imports leave took a tenth of the time
    try:
        app(standalone_mode=True)
    except SystemExit:
        raise
    except BaseException as error:
        ending = ending_of(error)
        if ending is BUG and not isinstance(error, Exception):
            raise
        said = line_of(error, ending)
        _end(ending, f"{said}\n{_traceback()}" if ending is BUG else said)


def _traceback() -> str:
    """Where the traceback was written; the disk may not take it."""
    file = mlruns() / "errors" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(scrubbed(traceback.format_exc()))
    except OSError as error:
        return f"The traceback could not be written: {error}."
    return f"The traceback is in {file}."


def _end(ending: Ending, said: str) -> None:
    err.print(f"[bold red]{ending.word}[/]:", end=" ")
    err.print(scrubbed(said), markup=False, soft_wrap=True)
    sys.exit(ending.code)


def _print_columns(source: str, columns) -> None:
    import pandas as pd

    rows = [(c.name, c.unit, c.window, c.meaning, c.null, ", ".join(c.reads)) for c in columns.values()]
    names = ["name", "unit", "window", "meaning", "missing", "tables"]
    print_frame(f"features of {source}", pd.DataFrame(rows, columns=names, dtype=object))


def _show_retrained(done) -> None:
    from pipelines.kinds import kind_of

    measure, words = kind_of(done.model).HEADLINE
    value, low, high = done.metrics[f"test/{measure}"]
    out.print(f"{done.model} version {done.version}: {words} {value:.3f} ({low:.3f} to {high:.3f}) on {done.label}")
    out.print(done.verdict, soft_wrap=True)
    out.print(done.judged.said, soft_wrap=True)
    out.print(done.standing, soft_wrap=True)
    out.print(f"notebook {done.html}\nrun      {done.run_id}", soft_wrap=True)


if __name__ == "__main__":
    main()
