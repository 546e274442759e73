"""How many planted leaks does a retraining refuse, and how many honest pipelines?

    python benchmarks/leaks.py

The leaks are those of tests/test_leaks_battery.py, the honest ones those of tests/honest.py, each in a project of its
own. Refused is what `crm retrain` refuses before it writes anything.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[pool] = "1"
# a script's own folder comes first on the path, and one of ours is called like a room of the project
sys.path[0] = str(Path(__file__).resolve().parents[1] / "tests")
import homes
import honest
import pytest
from test_leaks_battery import PLANTED

from contracts.errors import Refused
from evaluation.calibration import wilson
from pipelines.parameters import complete, notebook_of
from pipelines.preflight import preflight


def refusal(home: Path, source: str, asked: dict) -> str:
    """What a retraining refuses a project's source with; empty where it would begin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        notebook = notebook_of("churn")
        try:
            preflight("churn", complete(notebook, honest.parameters(source, ()) | asked), notebook)
        except Refused as error:
            return " ".join(str(error).split())
    return ""


def planted(folder: Path, name: str) -> str:
    """The refusal of a planted leak."""
    source, plant, _, words = PLANTED[name]
    home = homes.make(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        plant(home, patch)
        return refusal(home, source, {"origins": "4"} | dict(word.split("=") for word in words[1::2]))


def clean(folder: Path, name: str) -> str:
    """The refusal of an honest pipeline."""
    source, _, asked = honest.HONEST[name]
    return refusal(honest.make(folder / "home", name), source, honest.parameters(source, asked))


def main() -> None:
    """Print each with what refused it, and how many of each kind were refused."""
    for word, names, asked in (("planted leaks", PLANTED, planted), ("honest pipelines", honest.HONEST, clean)):
        refused = 0
        for name in names:
            started = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                said = asked(Path(folder), name)
            refused += bool(said)
            print(f"  {name} ({time.process_time() - started:.1f} CPU s): {said[:140] or 'not refused'}", flush=True)
        low, high = wilson(refused / len(names), len(names))
        print(f"{word}: {refused} of {len(names)} refused ({low:.0%} to {high:.0%})\n", flush=True)


if __name__ == "__main__":
    main()
