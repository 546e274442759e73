"""Where the project keeps its files: one root, and what hangs below it.

The root is the checkout that this file lies in; the environment variable `CRM_HOME` names another one.
"""

import os
from pathlib import Path


def root() -> Path:
    """The project's folder, absolute."""
    named = os.environ.get("CRM_HOME")
    return Path(named).resolve() if named else Path(__file__).resolve().parents[2]


def data() -> Path:
    """Raw tables, features, scores and decisions; `sources/*.yml` below it says where raw tables come from."""
    return root() / "data"


def mlruns() -> Path:
    """The store of runs and their artifacts."""
    return root() / "mlruns"
