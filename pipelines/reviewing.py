"""The reviewer's commands: same data? really better? who promoted it, and can we go back?"""

from typing import Annotated

import typer

from contracts.errors import Refused
from pipelines.console import KEPT, AsOf, ModelName, Parameters, SourceName, asked, out, print_frame, say

Reason = Annotated[str, typer.Option("--reason", help="Why: what a reviewer will ask in a year.")]

reviewing = typer.Typer()


@reviewing.command()
def fingerprint(
    named: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE | FILE... | RUN...",
            help="A source, the files of one table, or runs as MODEL/VERSION or by their ids.",
        ),
    ],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Of a source: only what was known before that day, as a run logs it.")
    ] = None,
):
    """Same data? Print what every cell of each table of a source adds up to, whatever the order of rows and files.

    Files are .parquet, or .csv of which each cell counts as text; together they are one table. Of one run, what it was
    trained and tested on; of several, whether it was the same, with exit code 3 where it was not.
    """
    from pipelines.fingerprints import fingerprints, names_runs, of_runs

    if names_runs(named):
        if as_of is not None:
            raise Refused("--as-of is for a source: a run has its own day. Leave it out.")
        _print_fingerprints(of_runs(named))
        return

    for found in fingerprints(named, as_of):
        out.print(f"{found.fingerprint}  {found.name} ({found.rows:,} rows)", markup=False, soft_wrap=True)


def _print_fingerprints(found) -> None:
    if found.shape[1] == 1:
        for name, of in found.iloc[:, 0].items():
            out.print(f"{of}  {name}", markup=False, soft_wrap=True)
        return
    differs = found.ne(found.iloc[:, 0], axis=0).any(axis=1)
    for name, of in found.iterrows():
        told = ", ".join(f"{digits or 'none'} in {run}" for run, digits in of.items()) if differs[name] else of.iloc[0]
        out.print(f"{'differs' if differs[name] else 'same'}  {name}: {told}", markup=False, soft_wrap=True)
    if differs.any():
        out.print(f"Not the same data: {differs.sum()} of {len(differs)} tables differ.")
        raise typer.Exit(KEPT)
    out.print(f"Same data: all {len(differs)} tables.")


@reviewing.command()
def compare(
    first: Annotated[str, typer.Argument(help="A run: eight digits of its id or more, or MODEL/VERSION.")],
    second: Annotated[str, typer.Argument(help="The one that may be better, likewise.")],
):
    """Really better? The second run beside the first on the same test rows, with paired intervals."""
    from pipelines.compare import compare as run
    from pipelines.gate import write_rows
    from registry.about import run_named

    second_id = run_named(second)
    found = run(run_named(first), second_id)
    out.print(found.how, soft_wrap=True)
    print_frame("gain of the second, with 95 % intervals", found.gains.round(4))
    print_frame("customers by band, first and second", found.bands)
    if len(found.segments):
        print_frame("declared groups", found.segments[["slice", "rows", "gain", "gain_low", "gain_high"]].round(4))
    out.print(found.verdict, soft_wrap=True)
    out.print(f"who changes band, and why: {write_rows(found.changed, second_id)}", soft_wrap=True)


@reviewing.command()
def rerun(
    run: Annotated[str, typer.Argument(help="A run: eight digits of its id or more, or MODEL/VERSION.")],
    parameter: Parameters = None,
):
    """The same bytes again? Make a run again from its own record; exit code 3 where anything differs, with what."""
    from pipelines.rerun import rerun as again
    from registry.about import run_named

    done = again(run_named(run), asked(parameter or []), say)
    out.print(done.said, markup=False, soft_wrap=True)
    if done.identical and done.differences:
        out.print("The same in spite of what is other than then:")
    for line in done.differences:
        out.print(f"  {line}", markup=False, soft_wrap=True)
    if not done.identical:
        raise typer.Exit(KEPT)


@reviewing.command()
def watch(model: ModelName, source: SourceName, as_of: AsOf):
    """Still right? What the champion is fed and says now beside training, what is decided, what came true, its age.

    Exit code 0: keep. 3: watch or retrain, so that a scheduler can tell somebody.
    """
    from evaluation.drift import KEEP
    from evaluation.gate import shown
    from pipelines.watch import watch as run

    done = run(model, source, as_of, say)
    for row in shown([*done.grave, *done.mild]).itertuples():
        out.print(f"{row.passed:15}  {row.check}: {row.found or 'not known'}, {row.limit}", soft_wrap=True)
    if done.aged:
        out.print(f"not asked of what only ever grows: {', '.join(done.aged)}", soft_wrap=True)
    out.print(done.said, soft_wrap=True)
    if done.verdict != KEEP:
        raise typer.Exit(KEPT)


@reviewing.command()
def promote(model: ModelName, version: Annotated[str, typer.Argument(help="Its number.")], reason: Reason):
    """Make a version the champion of its source, whatever the gate said; the ledger keeps who did it and why."""
    from pipelines.promotion import promote as run

    _print_row(run(model, version, reason))


@reviewing.command()
def rollback(model: ModelName, source: SourceName, reason: Reason):
    """Go back to the champion before the present one; the gate alone does not promote the present one again."""
    from pipelines.promotion import rollback as run

    _print_row(run(model, source, reason))


@reviewing.command()
def ledger(
    model: Annotated[str | None, typer.Argument(help="Only this model's rows.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Say whether a row was changed, removed or put in.")] = False,
):
    """Who promoted it, when and why? Every promotion, refusal and rollback, by model, oldest first."""
    from registry import ledger as kept

    models = [model] if model else kept.models()
    for name in models:
        for row in kept.rows(name):
            _print_row(row)
    if not verify:
        return
    wrong = [f"{name}: {sentence}" for name in models for sentence in kept.verify(name)]
    for line in wrong:
        out.print(line, markup=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(KEPT)
    count = sum(len(kept.rows(name)) for name in models)
    out.print(f"{count} row{'s' * (count != 1)}, and the chain holds; aliases are where it says.")


def _print_row(row) -> None:
    words = {"promoted": ", in place of", "refused": ", so that there stays", "rolled back": " to, from"}
    moved = f"{words[row.event]} version {row.moved_from}" if row.moved_from else ""
    what = f"{row.model} version {row.to} {row.event}{moved} ({row.source})"
    out.print(f"{row.number}  {row.when}  {row.who}: {what}. {row.why}", markup=False, soft_wrap=True)
