"""Where runs and versions are kept: a SQLite file under `mlruns/`, or what MLFLOW_TRACKING_URI names: a server
(`http://...`), or a database (`postgresql://...`), whose artifacts lie under `mlruns/` all the same.

The file is created under a lock, in a temporary file renamed into place: several processes on an empty store, or a
kill during its first migration, ruin it for good otherwise.
"""

import contextlib
import logging
import os
import re
from functools import cache

from filelock import FileLock

from contracts.errors import StoreGone
from contracts.places import mlruns

LEDGER, WATCH = "ledger", "watch"  # the experiments that are not a model's
EXPERIMENT_NOTE = (
    "Runs of one model. `crm compare` judges two on the same customers; the champion is in the *Model registry*."
)
WATCH_NOTE = (
    "What `crm watch` found of each champion on a day: keep, watch or retrain. Choose metrics to see them by day."
)
LEDGER_NOTE = "Every promotion, refusal and rollback, a row each. `crm ledger --verify` checks that none is missing."


def tracking_uri() -> str:
    """The store's address: `MLFLOW_TRACKING_URI` where it is set, else the SQLite file of this checkout."""
    told = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{mlruns() / 'mlflow.db'}"
    return re.sub("^postgres(ql)?://", "postgresql+psycopg://", told)  # the driver that is installed


@cache
def client_of(uri: str):
    """The MLflow client of a store by its address, which is there."""
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with contextlib.nullcontext() if _served(uri) else _locked():  # the first one makes a database's tables
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def client():
    """The MLflow client of the store, which is created first where it is not there yet.

    Raises `StoreGone` when the store cannot be created or reached, and where its file is gone but not its artifacts.
    """
    uri = tracking_uri()
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # half a minute; a night tries the step again
    if uri == f"sqlite:///{mlruns() / 'mlflow.db'}":
        _create()
    try:
        _answers(uri)
        return client_of(uri)
    except Exception as error:
        found = " ".join(str(error).split()).removesuffix(".")
        uri = re.sub("(//[^/@:]*):[^/@]*@", r"\1@", uri)  # without the password
        raise StoreGone(
            f"The tracking store {uri} cannot be opened: {found}. Check the address and the disk."
        ) from error


def _answers(uri: str) -> None:
    """Connect to a database once, and raise what that raises: MLflow would go on trying for minutes, and say so."""
    if uri.startswith("postgresql+psycopg:"):
        import psycopg

        psycopg.connect(uri.replace("+psycopg", "", 1), connect_timeout=10).close()


def exists() -> bool:
    """Whether there is a store to read; asking does not create one."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (mlruns() / "mlflow.db").exists()


def _create() -> None:
    """The SQLite file with all its tables, whole or not at all."""
    database = mlruns() / "mlflow.db"
    if database.exists():
        return
    mlruns().mkdir(parents=True, exist_ok=True)
    with _locked():
        if database.exists():
            return
        if any((mlruns() / "artifacts").glob("*/*")):  # a new one would forget every version, and the champion
            raise StoreGone(
                f"{database} is gone, but the artifacts beside it are there. Restore it from a copy, or move "
                f"{mlruns() / 'artifacts'} away to begin anew."
            )
        for left in mlruns().glob(".creating-*"):
            left.unlink()
        creating = mlruns() / f".creating-{os.getpid()}.db"
        _first_use(f"sqlite:///{creating}")
        creating.chmod(0o600)
        os.replace(creating, database)


def _first_use(uri: str) -> None:
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    new = MlflowClient(tracking_uri=uri, registry_uri=uri)
    new.search_registered_models()
    for default in new.search_experiments():  # its artifacts would go to whatever folder is the current one
        new.delete_experiment(default.experiment_id)


def experiment(model: str) -> str:
    """The id of a model's experiment, or of the ledger's; created with its artifacts under `mlruns/artifacts`."""
    found = client().get_experiment_by_name(model)
    if found:
        return found.experiment_id
    with _locked():
        found = client().get_experiment_by_name(model)
        if found:
            return found.experiment_id
        # a server says where; of a database, they would go to a folder of whatever is the current one
        place = None if _served(tracking_uri()) else (mlruns() / "artifacts" / model).as_uri()
        note = {LEDGER: LEDGER_NOTE, WATCH: WATCH_NOTE}.get(model, EXPERIMENT_NOTE)
        return client().create_experiment(model, artifact_location=place, tags={"mlflow.note.content": note})


def _served(uri: str) -> bool:
    """Whether a tracking server stands before the store."""
    return uri.startswith(("http://", "https://"))


def _locked() -> FileLock:
    """Those of this machine come one after the other; a process that has the lock may take it again."""
    mlruns().mkdir(parents=True, exist_ok=True)
    return FileLock(mlruns() / ".store.lock", is_singleton=True)


def model_experiments() -> list[str]:
    """The ids of the experiments that hold runs of models."""
    return [found.experiment_id for found in client().search_experiments() if found.name not in (LEDGER, WATCH)]
