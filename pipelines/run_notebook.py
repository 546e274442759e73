"""Execute a copy of a notebook: the executed copy, outputs and all, is the record of the run."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from contracts.errors import Refused

REFUSALS = {"Refused", "BrokenContract"}


class NotebookFailed(RuntimeError):
    """A cell raised; the message names the cell and the error, and the executed copy is kept."""


def run_notebook(notebook: Path, executed: Path, parameters: Mapping, stage: Path | None = None) -> None:
    """Run `notebook` with `parameters` into `executed`, which is kept whatever happens.

    `stage` is where the notebook hands in its record. Raises `Refused` when a cell refused its input,
    `NotebookFailed` when one raised anything else.
    """
    papermill = _papermill()
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # a kernel of the same name in the home folder must not be taken
    if stage:
        os.environ["CRM_STAGE"] = str(stage)
    try:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            dict(parameters),
            kernel_name="python3",
            language="python",
            cwd=str(notebook.parent),
            progress_bar=sys.stderr.isatty(),
            config=_encrypted(),
        )
    except papermill.PapermillExecutionError as error:
        where = f"{notebook.name}, cell {error.cell_index + 1}{_heading(executed, error.cell_index)}"
        if error.ename in REFUSALS:
            raise Refused(f"{error.evalue}\n({where})") from None
        raise NotebookFailed(
            f"{where}: {error.ename}: {error.evalue}\nExecuted as far as it came: {executed}"
        ) from None
    finally:
        os.environ.pop("CRM_STAGE", None)


def _papermill():
    sys.modules.setdefault("rfc3987_syntax", None)  # validates addresses we do not use, for two seconds of import
    import papermill

    return papermill


def _encrypted():
    """The kernel's sockets are encrypted: ipykernel warns about plain ones in every notebook."""
    from traitlets.config import Config

    return Config({"KernelManager": {"transport_encryption": "required"}})


def _heading(executed: Path, index: int) -> str:
    """The heading that a cell stands under, as a reader would name it."""
    import nbformat

    for cell in reversed(nbformat.read(executed, as_version=4).cells[:index]):
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            return f" under {cell.source.splitlines()[0].lstrip('# ')!r}"
    return ""
