"""The same definition for three schedulers: a crontab line, a systemd timer, an Airflow DAG. None of them is ours.

Each gives the day of its own clock as `as_of`: what was known until that midnight, UTC. The commands are those that a
person would type.
"""

import os
import shlex
import sys

from contracts.places import root
from pipelines.endings import DONE, ENDINGS, KEPT
from pipelines.nights.definition import FIRST, WEEKDAYS, Night, Step

KINDS = ("cron", "systemd", "airflow")
FINAL = [ending.code for ending in ENDINGS if not ending.again and ending not in (DONE, KEPT)]
MARK = "# crm night "


def cron(night: Night) -> str:
    """One line for `crontab -e`, which goes by the machine's own clock; a per cent sign would end the command there."""
    hour, minute = night.at.split(":")
    command = f"{_crm()} run {night.name} --as-of $(date -u +\\%F)"
    return f"{int(minute)} {int(hour)} * * * cd {_home()} && {command}  {MARK}{night.name}\n"


def systemd(night: Night) -> dict[str, str]:
    """The service and the timer of a user, by file name; a night that was slept through runs at the next start."""
    command = f"{_crm()} run {night.name} --as-of $(date -u +%%F)"
    service = (
        f"[Unit]\nDescription=crm night {night.name}\n\n[Service]\nType=oneshot\nWorkingDirectory={root()}\n"
        f"UMask=0077\nSuccessExitStatus=3\nExecStart=/bin/sh -c {shlex.quote(command)}\n"
    )
    timer = (
        f"[Unit]\nDescription=crm night {night.name} at {night.at} UTC\n\n[Timer]\n"
        f"OnCalendar=*-*-* {night.at}:00 UTC\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"crm-{night.name}.service": service, f"crm-{night.name}.timer": timer}


def airflow(night: Night) -> str:
    """A DAG file: a Bash task a step, each with the command that a person would type; no import of ours.

    What would end in the same way again, a refusal or a bug, fails at once, as in a night that is run by hand.
    """
    hour, minute = night.at.split(":")
    tasks = [
        f"    {_variable(step)} = Step(\n        task_id={_variable(step)!r},\n"
        f"        bash_command={_bash(step)!r},\n        cwd={str(root())!r},\n"
        f"        skip_on_exit_code={FINAL},\n    )"
        for step in night.steps
    ]
    arrows = [f"    {_variable_of(need)} >> {_variable(step)}" for step in night.steps for need in step.needs]
    lines = [
        f'"""Written by `crm schedule {night.name} --for airflow`; the definition is pipelines/{night.name}.yml."""',
        "",
        "from datetime import datetime, timedelta, timezone",
        "",
        "from airflow import DAG",
        "",
        "try:",
        "    from airflow.providers.standard.operators.bash import BashOperator",
        "    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException",
        "except ImportError:  # Airflow 2",
        "    from airflow.exceptions import AirflowFailException, AirflowSkipException",
        "    from airflow.operators.bash import BashOperator",
        "",
        "",
        "class Step(BashOperator):",
        '    """Fails at once, and is not retried, with an exit code that the next try would end with, too."""',
        "",
        "    def execute(self, context):",
        "        try:",
        "            return super().execute(context)",
        "        except AirflowSkipException as ended:",
        "            raise AirflowFailException(str(ended)) from None",
        "",
        "",
        "with DAG(",
        f"    dag_id='crm_{night.name}',",
        f"    schedule='{int(minute)} {int(hour)} * * *',",
        "    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),",
        "    catchup=False,",
        "    max_active_runs=1,",
        f"    default_args={{'retries': {night.times}, 'retry_delay': timedelta(seconds={night.after_seconds})}},",
        "):",
        *tasks,
        *arrows,
    ]
    return "\n".join(lines) + "\n"


def _bash(step: Step) -> str:
    """The command, on the days that it is due; exit code 3, the champion stays, is no failure of a task."""
    day = "{{ data_interval_end | ds }}"
    words = " ".join(shlex.quote(word) for word in step.words).replace("'{as_of}'", day).replace("{as_of}", day)
    due = "|".join(_pattern(name) for name in step.weekdays)
    # by its number, and that of the week in the month: what `date` calls a day follows the language of the machine
    day_and_week = "{{ data_interval_end.isoweekday() }}-{{ (data_interval_end.day - 1) // 7 }}"
    skip = f"case {day_and_week} in {due}) ;; *) exit 0;; esac; " if due else ""
    return f"{_exported()}{skip}{_crm()} {words} || ( code=$?; test $code -eq {KEPT.code} || exit $code )"


def _pattern(name: str) -> str:
    """Of the shell, for a weekday: 1-* is any Monday, 1-0 the first one of a month."""
    return f"{WEEKDAYS.index(name.removeprefix(FIRST)) + 1}-{'0' if name.startswith(FIRST) else '*'}"


def _variable(step: Step) -> str:
    return _variable_of(step.name)


def _variable_of(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")


def _crm() -> str:
    return f"{shlex.quote(sys.executable)} -m pipelines"


def _home() -> str:
    return f"{shlex.quote(str(root()))} && {_exported()}".removesuffix(" && ")


def _exported() -> str:
    """The project, where it is another than the checkout's."""
    named = os.environ.get("CRM_HOME")
    return f"export CRM_HOME={shlex.quote(named)} && " if named else ""
