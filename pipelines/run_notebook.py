"""Execute a copy of a notebook: the executed copy, outputs and all, is the record of the run."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from contracts.errors import Refused, SourceGone, WorldFailed
from contracts.places import mlruns
from contracts.secrets import scrub

REFUSALS = {"Refused", "BrokenContract", "TooFewCases", "TooFewLoans"}
WORLD = {kind.__name__: kind for kind in (SourceGone, WorldFailed, *WorldFailed.__subclasses__())}
ADDED = {"injected-parameters", "papermill-error-cell-tag"}  # papermill's cells, which the notebook has not


class NotebookFailed(RuntimeError):
    """A cell raised; the message names the cell and the error, and the executed copy is kept."""


def run_notebook(
    notebook: Path, executed: Path, parameters: Mapping, say: Callable[[str], None], stage: Path | None = None
) -> None:
    """Run `notebook` with `parameters` into `executed`, which is kept whatever happens, without secrets.

    `say` hears of each section, how far it is and, where the notebook was run before, how long the rest took then.
    `stage` is where the notebook hands in its record. Raises `Refused` when a cell refused its input,
    `NotebookFailed` when one raised anything else.
    """
    papermill = _papermill()
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # a kernel of the same name in the home folder must not be taken
    # figures go into the notebook, whatever a user or a machine without a screen has set for matplotlib
    backend = os.environ.pop("MPLBACKEND", None)
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
            progress_bar=False,
            config=_quiet(),
            engine_name=_engine(),
            tell=_Progress(notebook, say),
        )
    except papermill.PapermillExecutionError as error:
        where = f"{notebook.name}, {_failed_cell(executed)}"
        if error.ename in REFUSALS:
            raise Refused(f"{error.evalue}\n({where})") from None
        if error.ename in WORLD:
            raise WORLD[error.ename](f"{error.evalue} ({where})") from None
        said = str(error.evalue).partition("\n")[0]
        raise NotebookFailed(f"{where}: {error.ename}: {said}") from None
    finally:
        if executed.exists():
            scrub(executed)
        os.environ.pop("CRM_STAGE", None)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


class _Progress:
    """Says which section of a notebook begins, and how long the rest took the last time."""

    def __init__(self, notebook: Path, say: Callable[[str], None]):
        self.say, self.headings, self.section = say, [], ""
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            lines = "".join(cell["source"]).splitlines() if cell["cell_type"] == "markdown" else []
            self.section = next((line.lstrip("# ") for line in lines if line.startswith("#")), self.section)
            self.headings.append((cell["id"], self.section))
        self.section, self.before = "", _last_durations(notebook)

    def __call__(self, cell_id: str) -> None:
        """A cell begins; only the first of a section is told."""
        place = [known for known, _ in self.headings].index(cell_id) if cell_id in dict(self.headings) else None
        if place is None or self.headings[place][1] == self.section:
            return
        self.section = self.headings[place][1]
        left = sum(self.before.get(known, 0) for known, _ in self.headings[place:])
        rest = f", about {left:.0f} s left" if self.before else ""
        self.say(f"    cell {place + 1} of {len(self.headings)}{rest}: {self.section}")


def _last_durations(notebook: Path) -> dict[str, float]:
    """Seconds of each cell when the notebook was last executed here; empty when it never was."""
    pages = sorted((mlruns() / "notebooks").glob(f"{notebook.stem}-*.ipynb"), key=lambda page: page.stat().st_mtime)
    if not pages:
        return {}
    cells = json.loads(pages[-1].read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: cell["metadata"].get("papermill", {}).get("duration") or 0 for cell in cells}


def _engine() -> str:
    """papermill's own engine, which also tells of each cell that begins."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Telling(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, tell, **options):
            begin = nb_man.cell_start

            def told(cell, *place, **options):
                tell(cell.get("id"))
                begin(cell, *place, **options)

            nb_man.cell_start = told
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("telling", Telling)
    return "telling"


def _papermill():
    sys.modules.setdefault("rfc3987_syntax", None)  # validates addresses we do not use, for two seconds of import
    import papermill

    return papermill


def _quiet():
    """A kernel of which no log speaks of what is no fault.

    Its sockets are encrypted: ipykernel warns about plain ones in every notebook. It is interrupted before it is asked
    to end, and would say that as an error where that meets it at work. What a cell raises is told by messages.
    """
    from traitlets.config import Config

    client = {"extra_arguments": ["--log-level=CRITICAL"]}
    return Config({"KernelManager": {"transport_encryption": "required"}, "NotebookClient": client})


def _failed_cell(executed: Path) -> str:
    """The cell that raised, by its number in the notebook as it was written and the heading it stands under."""
    import nbformat

    cells = nbformat.read(executed, as_version=4).cells
    own = [cell for cell in cells if not ADDED & set(cell.metadata.get("tags", []))]
    failed = next(k for k, cell in enumerate(own) if any(o.output_type == "error" for o in cell.get("outputs", [])))
    for cell in reversed(own[:failed]):
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            return f"cell {failed + 1} under {cell.source.splitlines()[0].lstrip('# ')!r}"
    return f"cell {failed + 1}"
