"""Nights: one definition, run by hand or by a scheduler, resumed where it was cut, and told on one page."""

import os
import signal
import subprocess
import sys
import time
import types
from datetime import date

import homes
import pandas as pd
import pytest

from contracts.errors import Refused
from pipelines.console import asked
from pipelines.nights import definition, report, runner, schedulers, state
from pipelines.nights.state import DONE, FAILED, KEPT, LOOK, NOBODY, NOT_DUE, NOT_RUN, RUNNING, NightState, StepState
from pipelines.parameters import complete, notebook_of

DAY = date.fromisoformat(homes.AS_OF)  # a Sunday
SHOP = """
source: shop
models: [churn]
at: "03:30"
again: {times: 2, after_seconds: 0}
keep_days: 30
steps:
  check: {run: "check {source}"}
  retrain:
    run: "retrain {model} --source {source} --as-of {as_of}"
    needs: [check]
    weekdays: [sun]
    parameters: {origins: 2}
  score: {run: "score {model} --source {source} --as-of {as_of}", needs: [check, retrain]}
"""

NOTEBOOK = '{"cells": [{"cell_type": "code", "source": "seed = 1", "metadata": {"tags": ["parameters"]}}]}'


@pytest.fixture
def defined(tmp_path, monkeypatch):
    """A function that puts a definition, the shop's unless told, into a project."""
    home = tmp_path / "home"
    monkeypatch.setenv("CRM_HOME", str(home))
    for folder in ("data", "mlruns", "notebooks", "pipelines"):
        (home / folder).mkdir(parents=True)

    def put(text: str = SHOP, name: str = "shop_night"):
        (home / "pipelines" / f"{name}.yml").write_text(text)
        return definition.night(name)

    return put


def steps(found: NightState) -> dict[str, str]:
    return {step.name: step.state for step in found.steps}


@pytest.mark.parametrize("name", ["nightly", "world_night"])
def test_the_definitions_that_are_ours_are_sound(name):
    """Each retraining asks for parameters that its notebook declares."""
    night = definition.night(name)
    for step in (step for step in night.steps if step.words[0] == "retrain"):
        notebook, told = notebook_of(step.words[1]), [w for w in step.words if "=" in w]
        complete(notebook, {**asked(told), "source": night.source, "as_of": homes.AS_OF})
    assert [step.name for step in night.steps][0] == "check" and night.steps[0].words == ("check", night.source)
    assert {step.name for step in night.steps} >= {f"{what} {m}" for what in ("retrain", "score") for m in night.models}


def test_a_step_of_each_model_needs_that_of_its_own(defined, monkeypatch):
    monkeypatch.setattr(definition, "settings", lambda: {"models": {"churn": {}, "clv": {}}})
    night = defined(SHOP.replace("[churn]", "[churn, clv]"))
    assert [s.name for s in night.steps] == ["check", "retrain churn", "retrain clv", "score churn", "score clv"]
    assert night.steps[-1].needs == ("check", "retrain clv")
    assert night.steps[1].command(DAY) == [
        "retrain", "churn", "--source", "shop", "--as-of", "2023-12-03", "-p", "origins=2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("keep_days: 30", "keep_day: 30", "keep_day is not known here; did you mean keep_days?"),
        ("keep_days: 30", "", "keep_days must be there, but is not"),
        ("keep_days: 30", "keep_days: many", "keep_days must be of the type int"),
        ('"03:30"', '"25:00"', "at must be a time such as '03:00'"),
        ("[churn]", "[chrun]", "chrun is none"),
        ("needs: [check]", "needs: [score]", "needs must name steps above it, but score is none"),
        ("weekdays: [sun]", "weekdays: [sunday]", "weekdays are mon, tue"),
        ("weekdays: [sun]", "weekdays: [second sun]", "or such as 'first mon' of a month, but second sun is none"),
        ("keep_days: 30", "keep_days: 30\nkeep_runs_days: ever", "keep_runs_days must be of the type int"),
        ("keep_days: 30", "keep_days: 30\nkeep_runs_days: -1", "keep_runs_days must lie between"),
        ('"check {source}"', '"rm -rf {source}"', "run must begin with one of check"),
        ('"check {source}"', '""', "run must begin with one of check"),
        ('run: "check', 'rnu: "check', "rnu is not known here; did you mean run?"),
        ("source: shop", "source: [shop", "must be YAML, but cannot be read"),
        ("source: shop", "source: shop\nsource: shop", "source stands twice"),
        ("source: shop", "source: &a shop\nat: *a", "an anchor is used"),
        ("source: shop", "? [a, b]\n: c", "must be YAML, but cannot be read"),
        ("source: shop", "source: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("source: shop", "source: " + "x" * 70_000, "it has more than 64 KiB"),
        ("times: 2", "times: true", "times must be of the type int"),
        ("times: 2", "times: -1", "times must lie between 0 and 36,500, but is -1"),
        ("keep_days: 30", "keep_days: 99999999999", "keep_days must lie between"),
        ("again: {times: 2, after_seconds: 0}", "again: 2", "again must be of the type dict"),
        ("[churn]", "[[churn]]", "models must list words"),
        ("  check: {", "  ../../check: {", "a step's name must be of small letters, but is '../../check'"),
        ('check: {run: "check {source}"}', "check: [run]", "keys with values must stand here"),
    ],
)
def test_a_definition_is_read_strictly(defined, was, becomes, says):
    assert was in SHOP
    with pytest.raises(Refused, match=says.replace("?", r"\?")):
        defined(SHOP.replace(was, becomes))


@pytest.mark.parametrize("name", ["nihgtly", "../nightly", "parameters", ""])
def test_what_is_no_night_is_refused(name):
    with pytest.raises(Refused, match="is no definition of a night; there is nightly"):
        definition.night(name)


# --- a night whose commands are played ---


class Played:
    """Commands that end as told, by step and try; which were run, in order."""

    def __init__(self, **codes):
        self.codes, self.run = codes, []

    def __call__(self, step, as_of, folder):
        self.run.append(step.name)
        nth = self.run.count(step.name) - 1
        told = self.codes.get(step.name.split()[0], [0])
        return told[min(nth, len(told) - 1)], f"{step.name} said something"


@pytest.fixture
def play(defined, tmp_path, monkeypatch):
    """A function that runs the shop's night with played commands; what all steps follow from is a word."""
    (tmp_path / "home" / "notebooks" / "20_churn.ipynb").write_text(NOTEBOOK)

    def run(played, as_of=DAY, given="the same", force=False, text=SHOP):
        monkeypatch.setattr(runner, "_command", played)
        monkeypatch.setattr(runner, "_given", lambda night, as_of: given)
        return runner.run(defined(text), as_of, force, lambda line: None)

    return run


def test_what_went_well_is_not_run_again_unless_its_inputs_changed_or_it_is_forced(play):
    first, again, forced, changed = Played(), Played(), Played(), Played()
    assert steps(play(first)) == dict.fromkeys(["check", "retrain churn", "score churn"], DONE)
    assert play(again).exit_code == 0 and again.run == []
    play(forced, force=True)
    assert forced.run == first.run == ["check", "retrain churn", "score churn"]
    play(changed, given="another lock")
    assert changed.run == first.run


def test_a_parameter_that_changed_runs_its_step_and_what_needs_it(play):
    play(Played())
    changed = Played()
    play(changed, text=SHOP.replace("origins: 2", "origins: 3"))
    assert changed.run == ["retrain churn", "score churn"]


def test_a_refusal_is_not_tried_again_and_stops_what_needs_it(play):
    played = Played(retrain=[2])
    found = play(played)
    assert steps(found) == {"check": DONE, "retrain churn": FAILED, "score churn": NOT_RUN}
    assert played.run == ["check", "retrain churn"] and found.exit_code == 2
    assert report.first_line(found) == (
        "FAILED: shop_night as of 2023-12-03: retrain churn: refused before anything was written: "
        "retrain churn said something"
    )


@pytest.mark.parametrize("code", [4, 5])
def test_what_may_pass_is_tried_again(play, code):
    played = Played(retrain=[code, code, 0])
    found = play(played)
    assert found.exit_code == 0 and found.step("retrain churn").tries == 3
    assert play(Played(score=[code]), given="anew").exit_code == code


def test_a_champion_that_stays_is_no_failure(play):
    found = play(Played(retrain=[3]))
    assert steps(found) == {"check": DONE, "retrain churn": KEPT, "score churn": DONE} and found.exit_code == 3
    assert report.first_line(found) == "Done: shop_night as of 2023-12-03: the champion stays (retrain churn)."


def test_the_first_weekday_of_a_month():
    step = definition.Step("retrain churn", ("retrain", "churn"), (), ("first mon", "thu"))
    days = [date(2023, 12, day) for day in range(1, 32)]
    assert [day.day for day in days if step.due(day)] == [4, 7, 14, 21, 28]
    assert step.days == "the first Monday of a month, Thursday"


@pytest.fixture
def trained(monkeypatch):
    """A model that has a version, so that no night trains it for the first time; the list of its versions."""
    found = [types.SimpleNamespace(number=1)]
    monkeypatch.setattr(runner, "_trained", lambda model, source: found)
    monkeypatch.setattr(runner, "_without_champion", lambda step, night: "")
    return found


def test_a_model_that_was_never_trained_waits_for_no_weekday(play, trained):
    """And what was begun on a day is not called off by a second start of it."""
    trained.clear()
    monday = date(2023, 12, 4)
    assert steps(play(Played(), as_of=monday))["retrain churn"] == DONE
    trained.append("a version")
    again = Played()
    assert steps(play(again, as_of=monday))["retrain churn"] == DONE and again.run == []
    assert steps(play(Played(), as_of=date(2023, 12, 5)))["retrain churn"] == NOT_DUE


def test_a_store_that_does_not_answer_is_told_by_the_step(defined, monkeypatch):
    """Whether a model was trained is then not known, and the step is tried again as any other."""
    from contracts.errors import StoreGone
    from registry import store

    def gone():
        raise StoreGone("it is gone")

    monkeypatch.setattr(store, "exists", gone)
    assert runner._trained("churn", "shop") is None
    night = defined()
    assert not runner._first_time(night.steps[1], night) and runner._without_champion(night.steps[2], night) == ""


def test_a_model_that_the_gate_kept_back_fails_no_night(play, tmp_path):
    """The other models are scored, a person is told why, and the night ends with 3."""
    from registry import ledger, runs, versions
    from registry.fingerprint import folder_digest
    from registry.store import client

    text = SHOP + '  watch: {run: "watch {model} --source {source} --as-of {as_of}", needs: [score]}\n'
    played = Played(retrain=[3])
    play(Played(retrain=[1]), text=text)  # the project
    run_id, model = runs.start("churn", "made", {}), tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_text("1")
    client().log_artifacts(run_id, str(model), "model")
    runs.finish(run_id, "FINISHED")
    tags = {"crm.key": "1", "crm.sha256": folder_digest(model), "crm.as_of": homes.AS_OF, "crm.source": "shop"}
    version = versions.register("churn", run_id, tags, "Made for a test.")
    versions.challenge(version)
    ledger.refuse(version, "the gate", "The gate is not passed: calibration error is 0.037.")
    found = play(played, text=text)
    assert played.run == ["retrain churn"] and found.exit_code == 3
    assert steps(found) == {"check": DONE, "retrain churn": KEPT, "score churn": NOBODY, "watch churn": NOBODY}
    assert "Done: shop_night as of 2023-12-03: no champion yet (score churn, watch churn)" in report.first_line(found)
    assert "score churn: there is no champion, see above." in report._person(found)
    later = report._person(play(Played(), as_of=date(2023, 12, 4), text=text))
    assert "version 1: The gate is not passed: calibration error is 0.037. <code>crm promote</code>" in later
    ledger.promote(version, "ann", "it will do")
    after = Played()
    assert play(after, text=text).exit_code == 3 and after.run == ["score churn", "watch churn"]


def test_why_a_champion_stays_is_told_by_what_the_gate_found():
    said = (
        "churn version 2: AUC 0.7\nPasses: logistic.\nNo other. The gate is not passed: gain is 0.\nThe champion stays."
    )
    kept = StepState("retrain churn", KEPT, said=f"{said}\nnotebook /a.html\nrun      1")
    found = report._person(NightState("n", "2024-01-01", (kept,)))
    assert "<li>retrain churn: The champion stays. The gate is not passed: gain is 0. <code>crm promote</code>" in found
    watched = StepState("watch churn", LOOK, said="yes  a check\nnot asked of: x\nWatch churn version 1: it moved.")
    found = report._person(NightState("n", "2024-01-01", (watched,)))
    assert "<li>watch churn: Watch churn version 1: it moved.</li>" in found
    other = StepState("retrain churn", KEPT, said="churn version 2\nIt takes no alias. It knows less.\nrun      1")
    told = "<li>retrain churn: It takes no alias. It knows less. <code>"
    assert told in report._person(NightState("n", "2024-01-01", (other,)))
    gone = StepState("score churn", FAILED, exit_code=6, said="disk full: no space. To do: free some.")
    nobody = StepState("score churn", NOBODY, said="no version was made champion yet. Of version 1: it is bad.")
    found = report._person(NightState("n", "2024-01-01", (kept, nobody, gone)))
    assert found.count("To do: ") == 1 and "score churn: there is no champion, see above." in found
    assert found.index("no space") < found.index("The champion stays")  # what failed comes first


def test_a_step_that_is_not_due_stands_in_nobodys_way(play, trained):
    found = play(Played(), as_of=date(2023, 12, 4))
    assert steps(found) == {"check": DONE, "retrain churn": NOT_DUE, "score churn": DONE} and found.exit_code == 0


def test_after_a_failure_the_night_goes_on_at_the_step_that_failed(play):
    play(Played(score=[1]))
    again = Played()
    assert play(again).exit_code == 0 and again.run == ["score churn"]


def test_a_night_that_runs_names_its_holder(play, tmp_path):
    from filelock import FileLock

    play(Played())
    with (
        FileLock(tmp_path / "home" / "mlruns" / "locks" / "night-shop_night.lock"),
        pytest.raises(Exception, match=f"night shop_night of 2023-12-03 is running .process {os.getpid()} on"),
    ):
        play(Played())


def test_old_nights_are_removed_and_a_range_stops_at_the_day_that_fails(play, defined, trained):
    play(Played(), as_of=date(2023, 10, 1))
    night = defined()
    days = runner.backfill(night, date(2023, 12, 1), date(2023, 12, 5), False, lambda line: None)
    assert [next(days).as_of, next(days).as_of] == ["2023-12-01", "2023-12-02"]
    assert date(2023, 10, 1) not in state.days("shop_night")
    runner._command.codes = {"score": [2]}
    assert [found.exit_code for found in days] == [2]
    with pytest.raises(Refused, match="must not end before it begins"):
        next(runner.backfill(night, date(2023, 12, 5), date(2023, 12, 1), False, print))


def test_what_a_later_command_makes_again_is_kept_as_long_as_the_night_says(play, tmp_path):
    """Of this source and its models only; evidence, runs and versions stay."""
    home = tmp_path / "home"
    kept = [
        "data/scores/model=churn/as_of=2023-11-30/shop.parquet",
        "data/scores/model=churn/as_of=2023-01-01/telco.parquet",
        "data/scores/model=clv/as_of=2023-01-01/shop.parquet",
        "data/evidence/a_run.parquet",
        "data/features/shop/days/order_days/2023-01-01_2023-02-01_0123abcd.parquet",
        "data/features/telco/as_of=2023-01-01/features.parquet",
        "mlruns/artifacts/churn/a_run/artifacts/model/churn.json",
        "mlruns/notebooks/20_churn-shop-2023-11-30.html",
    ]
    old = [
        "data/scores/model=churn/as_of=2023-01-01/shop.parquet",
        "data/decisions/model=churn/as_of=2023-01-01/shop-simulated.parquet",
        "data/features/shop/as_of=2023-01-01/features.parquet",
        "mlruns/notebooks/20_churn-shop-2023-01-01.ipynb",
    ]
    for name in [*kept, *old]:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(b"x" * 1000)
    found = play(Played())
    assert [name for name in [*kept, *old] if (home / name).exists()] == kept
    assert not (home / "data/decisions/model=churn/as_of=2023-01-01").exists()
    assert found.taken["day tables and features"] == 2000
    assert found.bytes > 5000 and state.read("shop_night", DAY).bytes == found.bytes
    assert found.swept == ("4 score tables, plans, features and pages of days before 2023-11-03 removed",)
    (home / "data/evidence/another.parquet").write_bytes(b"x" * 4_200_000)
    later = play(Played(), as_of=date(2023, 12, 5))
    told = report.growth("shop_night", "2023-12-05").set_index("part")
    assert list(told.columns) == ["MB", "MB since 2023-12-03", "MB a day, over 2 days"]
    assert list(told.loc["test rows of runs"]) == ["4.2", "+4.2", "+2.10"]
    assert "<td>+2.10</td>" in report._disk(later) and "4 score tables" in report._disk(found)
    assert list(report.growth("shop_night", "2023-12-03").columns) == ["part", "MB"]


def test_runs_are_removed_by_a_night_that_went_well_only(play, monkeypatch):
    """A day that was mistyped, years ahead, must not cost what cannot be made again."""
    asked = []
    monkeypatch.setattr(runner, "sweep_runs", lambda night, as_of: asked.append(as_of) or iter(["1 run removed"]))
    assert play(Played(score=[2]), as_of=date(2123, 12, 5)).swept == () and asked == []
    assert play(Played()).swept == ("1 run removed",) and asked == [DAY]


def test_what_is_shown_of_a_source_is_not_another_ones_of_a_like_name(play, tmp_path):
    """shop and shop_sample; and what changed is told against the day before, by action."""
    home = tmp_path / "home"

    def scored(day, source, actions, version=1):
        table = pd.DataFrame({"customer_id": range(len(actions)), "score": 0.25, "band": "low", "version": version})
        for kind, rows in (("scores", table), ("decisions", table[["customer_id"]].assign(action=actions))):
            folder = home / "data" / kind / "model=churn" / f"as_of={day}"
            folder.mkdir(parents=True, exist_ok=True)
            rows.to_parquet(folder / f"{source}.parquet")

    for name in ("shop", "shop_sample"):
        page = home / "mlruns" / "notebooks" / f"20_churn-{name}-{homes.AS_OF}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("a page")
    found, night = play(Played()), definition.night("shop_night")
    scored(homes.AS_OF, "shop_sample", ["contact"] * 3)
    assert "".join(report._changes(night, found)).count("shop_sample") == 0
    assert report._changed(night, "churn", homes.AS_OF) is None
    scored("2023-12-01", "shop_sample", ["contact"] * 3)
    scored(homes.AS_OF, "shop", ["contact"] * 3 + ["leave alone"], version=2)
    row = report._changed(night, "churn", homes.AS_OF)
    assert row["model"] == "churn version 2" and row["compared with"] == "first scores"
    assert (row["scored"], row["plan"], row["mean score"]) == ("4", "contact 3", "25.0 %")
    scored("2023-11-30", "shop-simulated", ["contact", "leave alone"])
    row = report._changed(night, "churn", homes.AS_OF)
    assert (row["compared with"], row["plan"], row["new"]) == ("2023-11-30, by version 1", "contact 3 (+2)", "2")
    assert (row["with another action"], row["mean score"]) == ("1", "25.0 % (was 25.0)")
    assert "decisions (simulated)" not in "".join(report._changes(night, found))


def test_a_state_that_was_cut_says_so():
    cut = NightState("n", "2024-01-01", (StepState("check", DONE), StepState("score churn", RUNNING)))
    assert report.first_line(cut).startswith("CUT: n as of 2024-01-01: score churn did not end.") and cut.exit_code == 1


# --- the lines of schedulers ---


def test_cron_and_systemd_start_the_command_that_a_person_would_type():
    night = definition.night("nightly")
    line = schedulers.cron(night)
    assert line.startswith("0 3 * * * cd ") and line.endswith("# crm night nightly\n")
    assert "-m pipelines run nightly --as-of $(date -u +\\%F)" in line
    units = schedulers.systemd(night)
    assert "OnCalendar=*-*-* 03:00:00 UTC" in units["crm-nightly.timer"]
    assert "SuccessExitStatus=3" in units["crm-nightly.service"]


def test_the_airflow_file_has_a_task_a_step_in_the_order_of_needs(monkeypatch):
    """Run with stand-ins for the two names that it imports."""
    tasks, arrows = {}, []

    class Task:
        def __init__(self, task_id, bash_command, cwd, skip_on_exit_code):
            assert skip_on_exit_code == [1, 2, 143]
            self.id = task_id
            tasks[task_id] = bash_command

        def __rshift__(self, other):
            arrows.append((self.id, other.id))

    class Dag:
        def __init__(self, **settings):
            self.settings = settings

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    operators = "airflow.providers.standard.operators"
    names = ["airflow", "airflow.sdk", "airflow.sdk.exceptions", "airflow.providers", "airflow.providers.standard",
             operators, f"{operators}.bash"]  # fmt: skip
    made = {name: types.ModuleType(name) for name in names}
    made[names[2]].AirflowFailException = made[names[2]].AirflowSkipException = Exception
    made["airflow"].DAG, made[names[-1]].BashOperator = Dag, Task
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    night = definition.night("nightly")
    exec(compile(schedulers.airflow(night), "dag.py", "exec"), {})
    assert list(tasks) == [step.name.replace(" ", "_") for step in night.steps]
    assert ("check", "retrain_churn") in arrows and ("retrain_churn", "score_churn") in arrows
    assert "--as-of {{ data_interval_end | ds }} || " in tasks["score_churn"]


@pytest.mark.parametrize(
    ("weekdays", "due"),
    [((), [4, 5, 11, 18]), (("mon",), [4, 11, 18]), (("first mon",), [4]), (("first mon", "tue"), [4, 5])],
)
def test_a_task_of_airflow_runs_on_the_days_that_a_step_is_due(weekdays, due):
    """The shell is asked, with the days of December 2023 as Airflow would put them in."""
    step = definition.Step("check", ("check", "shop"), (), weekdays)
    before, runs_it, _ = schedulers._bash(step).rpartition(f"{schedulers._crm()} check shop")
    assert runs_it
    for day in (4, 5, 11, 18):
        at = date(2023, 12, day)
        asked = before.replace("{{ data_interval_end.isoweekday() }}", str(at.isoweekday()))
        asked = asked.replace("{{ (data_interval_end.day - 1) // 7 }}", str((at.day - 1) // 7))
        told = subprocess.run(["bash", "-c", f"{asked}echo due"], capture_output=True, text=True, check=True)
        assert (told.stdout == "due\n") == (day in due) == step.due(at)


# --- for real, on the shop ---


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The shop's night by the command line, in a process of its own."""
    home = homes.make(tmp_path_factory.mktemp("night") / "home", homes.QUICK)
    (home / "pipelines").mkdir()
    (home / "pipelines" / "shop_night.yml").write_text(SHOP)
    return home, homes.run(home, "run", "shop_night", "--as-of", homes.AS_OF), "shop_night"


@pytest.mark.slow
def test_a_night_takes_the_shop_to_scores_and_a_page(ran):
    home, ended, name = ran
    assert ended.code == 0, ended.err
    assert f"Done: {name} as of {homes.AS_OF}: 3 steps." in ended.out
    place = home / "mlruns" / "nights" / name / homes.AS_OF
    page = (place / "report.html").read_text()
    assert "<h1>Done:" in page and "first scores" in page and 'href="score-churn.log"' in page
    assert "<li>Nothing.</li>" in page and "20_churn-shop-2023-12-03.html" in page
    told = homes.run(home, "status", name, "--as-of", homes.AS_OF)
    assert told.code == 0 and "retrain churn" in told.out and "done" in told.out
    assert len(pd.read_parquet(home / "data/scores/model=churn" / f"as_of={homes.AS_OF}" / "shop.parquet")) > 100


@pytest.mark.slow
def test_a_night_that_was_killed_goes_on_where_it_was_cut(ran, tmp_path):
    home = homes.copy(ran[0], tmp_path / "home")
    process = homes.start(home, "run", ran[2], "--as-of", homes.LATER)
    file = home / "mlruns" / "nights" / ran[2] / homes.LATER / "state.json"
    until = time.monotonic() + 120
    while not (file.exists() and '"retrain churn",\n   "state": "running"' in file.read_text()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert "CUT:" in homes.run(home, "status", ran[2]).out
    lines = home / "data" / "shop" / "lines.csv"
    ended = homes.run(home, "run", ran[2], "--as-of", homes.LATER)
    assert ended.code in (0, 3), ended.err
    assert "check: done, and nothing it follows from has changed" in ended.err
    assert [run.info.status for run in homes.runs(home)].count("RUNNING") == 0
    lines.write_text(lines.read_text().replace("2023-01-02", "02/01/2023", 1))
    broken = homes.run(home, "run", ran[2], "--as-of", homes.LATER)
    assert broken.code == 2 and "ordered_at must be a time" in broken.err + broken.out
