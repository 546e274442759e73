"""Runs, versions, aliases and fingerprints: the only room that imports mlflow."""

import os

# Before mlflow is imported: it phones home, hints at other tools and draws a bar for each file otherwise.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
