"""The scheduler's commands: a night by hand, its state, and the lines by which others start it."""

import subprocess
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import Refused
from contracts.study import day
from pipelines.console import KEPT, out, print_frame, say

scheduling = typer.Typer()
NightName = Annotated[str, typer.Argument(help="A definition: a file of pipelines/ with steps, such as nightly.")]


@scheduling.command()
def run(
    name: NightName,
    as_of: Annotated[str | None, typer.Option("--as-of", help="The day; nothing known from it on is read.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first day of a range, with --to.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last day of a range.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also the steps that went well before.")] = False,
):
    """Run all steps of a night, or of each night of a range; what went well and has not changed is not run again."""
    from pipelines.nights import report
    from pipelines.nights.definition import night
    from pipelines.nights.runner import backfill
    from pipelines.nights.telling import tell

    if bool(as_of) == bool(first) or bool(first) != bool(last):
        raise Refused("Give --as-of for one day, or --from and --to for a range of days.")
    found = night(name)
    days = (day(as_of, "as_of"),) * 2 if as_of else (day(first, "from"), day(last, "to"))
    worst = 0
    for state in backfill(found, *days, force, say):
        page = report.write(found, state)
        out.print(report.first_line(state), markup=False, soft_wrap=True)
        out.print(
            f"report {page} ({state.bytes / 1e6:,.1f} MB of runs, tables and pages)", markup=False, soft_wrap=True
        )
        tell(found, report.first_line(state), page, say)
        worst = state.exit_code if state.exit_code not in (0, KEPT) else max(worst, state.exit_code)
    if worst:
        raise typer.Exit(worst)


@scheduling.command()
def status(
    name: NightName,
    as_of: Annotated[str | None, typer.Option("--as-of", help="The day; without it every day, a line each.")] = None,
):
    """How a night went: each step with its state, tries, seconds and what it said."""
    from pipelines.nights import report, state
    from pipelines.nights.definition import night

    night(name)
    days = [day(as_of, "as_of")] if as_of else state.days(name)
    known = [found for found in (state.read(name, d) for d in days) if found]
    if not known:
        out.print(f"No such night yet. `crm run {name} --as-of DAY` runs one.")
        return
    for found in known:
        out.print(report.first_line(found), markup=False, soft_wrap=True)
    if len(taken := report.growth(name, known[-1].as_of)):
        print_frame("what runs, tables and pages take up", taken)
    if as_of:
        print_frame(f"{name} as of {as_of}", report.table(known[0]))
        place = state.place(name, date.fromisoformat(as_of))
        out.print(f"logs and report: {place}", soft_wrap=True)


@scheduling.command()
def schedule(
    name: NightName,
    to: Annotated[str, typer.Option("--for", help="cron, systemd or airflow.")] = "cron",
    install: Annotated[
        bool, typer.Option("--install", help="Write it where cron or systemd finds it, not print it.")
    ] = False,
):
    """The lines by which cron, systemd or Airflow start a night every day, from its one definition."""
    from pipelines.nights import schedulers
    from pipelines.nights.definition import night

    found = night(name)
    if to not in schedulers.KINDS:
        raise Refused(f"--for must be one of {', '.join(schedulers.KINDS)}, but is {to!r}. Correct it.")
    if to == "airflow":
        if install:
            raise Refused("Where Airflow looks for DAGs is its own setting: print the file, and put it there.")
        out.print(schedulers.airflow(found), markup=False, soft_wrap=True, end="")
        return
    lines = schedulers.cron(found) if to == "cron" else schedulers.systemd(found)
    if not install:
        text = lines if isinstance(lines, str) else "\n".join(f"# {file}\n{unit}" for file, unit in lines.items())
        out.print(text, markup=False, soft_wrap=True, end="")
        return
    say(f"installing {name} for {to}")
    _into_crontab(lines, name) if to == "cron" else _into_systemd(lines)


def _into_crontab(lines: str, name: str) -> None:
    """The user's crontab with this night's line in place of an earlier one."""
    from pipelines.nights.schedulers import MARK

    try:
        there = subprocess.run(["crontab", "-l"], capture_output=True, text=True)
        kept = [line for line in there.stdout.splitlines() if not line.endswith(f"{MARK}{name}")]
        subprocess.run(["crontab", "-"], input="\n".join([*kept, lines]), text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Refused(
            f"crontab must be there to install a line, but {error}. `crm schedule {name}` prints it."
        ) from error


def _into_systemd(units: dict[str, str]) -> None:
    folder = Path.home() / ".config" / "systemd" / "user"
    folder.mkdir(parents=True, exist_ok=True)
    for file, unit in units.items():
        (folder / file).write_text(unit, encoding="utf-8")
        out.print(f"written: {folder / file}", soft_wrap=True)
    timer = next(file for file in units if file.endswith(".timer"))
    out.print(f"now: systemctl --user daemon-reload && systemctl --user enable --now {timer}", soft_wrap=True)
