"""How the page of an experiment opens: the columns that a reviewer asks for, in this order, the newest run first.

MLflow keeps the columns of its table in the browser. A view that somebody shared lies in a tag of the experiment, and
opens by a link with the view's name; such a view is written here, and its link into the experiment's note. It is a way
of looking only: a version of MLflow that reads it otherwise shows columns of its own.
"""

import json
from collections.abc import Sequence

from registry.record import HEADLINE
from registry.store import EXPERIMENT_NOTE, LEDGER, LEDGER_NOTE, WATCH, WATCH_NOTE, client, experiment

VIEW = "reviewer"
LETTER, LEAST, WIDEST = 8, 95, 340  # pixels of a letter of a column's name, and of a column
DAILY = ("promised", "since", "score/psi", "columns/moved", "decisions/changed", "decisions/at_stake_cents", "age_days")
WANTED = ("test/{0}", "test/{0}/low", "test/{0}/high", "naive/{0}", "gain/{0}", "test/ece", "money/profit_cents")


def keep_view(run_id: str) -> None:
    """Write the view of a run's experiment, by what this run has of it.

    Version, gate, the headline measure and what stands beside it, what was found in words, batch, data.
    """
    run = client().get_run(run_id)
    headline = run.data.tags.get("crm.headline", HEADLINE)
    measures = [name for name in (wanted.format(headline) for wanted in WANTED) if name in run.data.metrics]
    model = client().get_experiment(run.info.experiment_id).name
    _keep(model, ["crm.version", "crm.gate"], measures, EXPERIMENT_NOTE)


def keep_daily_view() -> None:
    """Write the view of what `crm watch` found."""
    _keep(WATCH, ["crm.model", "crm.version", "crm.watch"], DAILY, WATCH_NOTE)


def keep_ledger_view() -> None:
    """Write the view of the ledger."""
    told = ("who", "why", "event", "model", "to", "moved_from", "number")  # first what a narrow page must show
    _keep(LEDGER, [f"crm.ledger.{name}" for name in told], (), LEDGER_NOTE)


def links(port: int) -> dict[str, str]:
    """The address of each experiment's page with its view, by the experiment's name."""
    found = {kept.name: kept.experiment_id for kept in client().search_experiments()}
    return {name: f"http://127.0.0.1:{port}/{_page(found[name])}" for name in sorted(found)}


def _keep(name: str, tags: Sequence[str], measures: Sequence[str], note: str) -> None:
    columns = [*(f"tags.`{t}`" for t in tags), *(f"metrics.`{m}`" for m in measures), "attributes.`Description`"]
    columns += ["tags.`batch`", "attributes.`Dataset`"]
    view = {
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: _width(column) for column in columns},
    }
    kept = experiment(name)
    client().set_experiment_tag(kept, f"mlflow.sharedViewState.{VIEW}", json.dumps(view))
    client().set_experiment_tag(kept, "mlflow.note.content", f"[The columns to look at first]({_page(kept)}). {note}")


def _width(column: str) -> int:
    """Wide enough for the name; what is in words gets more."""
    kind, _, name = column.partition(".")
    return WIDEST if kind == "attributes" or name.endswith("why`") else max(LEAST, LETTER * len(name) + 20)


def _page(experiment_id: str) -> str:
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}&workflowType=machine_learning"
