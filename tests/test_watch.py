"""`crm watch`: a champion of the shop a week later, after its outcomes have matured, and when the customers changed."""

from datetime import date
from functools import partial
from types import SimpleNamespace

import homes
import numpy as np
import pandas as pd
import pytest

from contracts.errors import Refused
from pipelines import watch

MATURED = "2023-12-31"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project with a champion of the shop, which the tests here may only add watches to."""
    return homes.copy(homes.trained(tmp_path_factory), tmp_path_factory.mktemp("watch") / "home")


def watched(home, as_of, model="churn"):
    return homes.crm(home, "watch", model, "--source", "shop", "--as-of", as_of)


def last_run(home):
    store = homes.client(home)
    experiment = store.get_experiment_by_name("watch")
    return store.search_runs([experiment.experiment_id], order_by=["start_time DESC"])[0]


@pytest.mark.slow
def test_on_the_day_it_was_trained_nothing_has_moved(shop):
    """The same people are asked the same question: any alarm would be false."""
    ended = watched(shop, homes.AS_OF)
    assert ended.code == 0, ended
    assert "Keep churn version 1 (2023-12-03) on 2023-12-03: nothing that was asked speaks against it." in ended.out
    metrics = last_run(shop).data.metrics
    assert (metrics["columns/moved"], metrics["score/psi"] < 0, metrics["decisions/changed"]) == (0, True, 0)


@pytest.mark.slow
def test_a_week_later_it_is_kept_and_nothing_has_matured(shop):
    before = {run.info.run_id for run in homes.runs(shop)}
    ended = watched(shop, homes.LATER)
    assert ended.code == 0, ended
    assert "Keep churn version 1 (2023-12-03) on 2023-12-10: nothing that was asked speaks against it." in ended.out
    assert " EUR at stake." in ended.out
    assert "Not known yet: the fall of AUC since it was judged (outcomes of 28 days after 2023-12-03)." in ended.out
    assert "not asked of what only ever grows: " in ended.out
    assert {run.info.run_id for run in homes.runs(shop)} == before  # it is no run of the model
    run = last_run(shop)
    assert run.data.tags["crm.watch"] == "keep" and run.info.status == "FINISHED"
    assert run.data.metrics["age_days"] == 7 and run.data.metrics["decisions/subjects"] > 100
    version = homes.client(shop).get_model_version("churn", "1")
    assert version.tags["crm.watch"] == "2023-12-10: keep"
    columns = pd.read_csv(homes.client(shop).download_artifacts(run.info.run_id, "watch/columns.csv"))
    assert (columns.usual[columns.column != "score"] > 0).any() and (
        columns.usual[columns.column == "score"] == 0
    ).all()
    files = {file.path for file in homes.client(shop).list_artifacts(run.info.run_id, "watch")}
    assert files == {"watch/still_right.png", "watch/checks.csv", "watch/columns.csv"}


def test_what_is_usual_is_asked_of_the_days_before_on_six_weekdays_as_far_as_there_are_any():
    """A day without customers ends it, and a flat source has one day only."""
    asked = []

    def subjects(most, day):
        asked.append(day)
        if len(asked) > most:
            raise Refused("Nobody bought.")
        return pd.DataFrame({"since": np.full(60, float(day.day)), "x": 1.0})

    orders, flat = (SimpleNamespace(kind=kind) for kind in ("events", "flat"))
    version, then = (
        SimpleNamespace(as_of="2024-03-01"),
        pd.DataFrame({"since": [1.0] * 60, "score": 0.1, "acting": 0.1}),
    )
    found = watch._usual(version, orders, then, partial(subjects, 9))
    assert list(found.index) == ["since"] and found.since > 1
    days = [date(2024, 3, 1), *asked]
    assert len(days) == 6 == len({day.weekday() for day in days}) and days == sorted(days, reverse=True)
    asked.clear()
    assert len(watch._usual(version, orders, then, partial(subjects, 1))) == 1
    assert len(asked) == 2
    assert watch._usual(version, flat, then, partial(subjects, 9)).empty


@pytest.mark.slow
def test_outcomes_that_have_matured_are_held_against_what_was_promised(shop):
    ended = watched(shop, MATURED)
    assert ended.code in (0, 3) and "the fall of AUC since it was judged" in ended.out, ended
    assert "Not known yet" not in ended.out
    run = last_run(shop)
    value, low, high = (run.data.metrics[f"since{end}"] for end in ("", "/low", "/high"))
    assert 0.5 < low < value < high < 1
    assert run.data.metrics["age_days"] == 28


@pytest.mark.slow
def test_a_shop_that_changed_is_watched_or_trained_anew(tmp_path_factory, tmp_path):
    """From the day after training every customer buys for three times as much, and half of the orders are gone."""
    home = homes.copy(homes.trained(tmp_path_factory), tmp_path / "home")
    file = home / "data" / "shop" / "lines.csv"
    lines = pd.read_csv(file, parse_dates=["Date"])
    later = lines.Date.astype(str) >= homes.AS_OF
    lines.loc[later, "Net"] *= 3
    lines[~later | (lines.Client % 2 == 0)].to_csv(file, index=False)
    ended = watched(home, MATURED)
    assert ended.code == 3, ended
    assert ended.out.count("Retrain churn version 1 (2023-12-03) on 2023-12-31: ") == 1
    assert "the total, against what was foretold" in ended.out and "columns that moved" in ended.out
    assert last_run(home).data.tags["crm.watch"] == "retrain"
    assert homes.client(home).get_model_version_by_alias("churn", "champion").aliases  # it moves nothing


@pytest.mark.slow
def test_what_cannot_be_watched_is_refused(shop):
    ended = watched(shop, homes.EARLIER)
    assert (ended.code, "it would know the future" in ended.err) == (2, True), ended
    ended = watched(shop, homes.LATER, "chrun")
    assert (ended.code, "Did you mean 'churn'?" in ended.err) == (2, True), ended
