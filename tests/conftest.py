"""What every test stands on: one thread a worker, nobody's settings, a browser or a cut network where asked for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Before numpy is imported: each xdist worker keeps to one thread, or two workers fight over two cores. Code that is
# asked for a number of threads (boosting) still takes that many. PYTHONHASHSEED stays random on purpose: a result that
# depends on it is a fault, and this is where it shows.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_pool] = "1"
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_DISABLE_AGENT_HINT="true", MPLBACKEND="Agg")
# what the user, or the make that runs the tests, has set for itself
for _theirs in ("CRM_HOME", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "JUPYTER_PATH",
                "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # fmt: skip
    os.environ.pop(_theirs, None)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
# a new network holds only a loopback that is down: put it up, then become the command
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
up_and_running = struct.pack("16sH14s", b"lo", 0x1 | 0x40, b"")
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, up_and_running)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="session", autouse=True)
def nobodys_settings(tmp_path_factory):
    """Jupyter and IPython read and write folders of the test session, not those of whoever runs it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(home / name.lower()))
        yield home


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A project with a store of one run and nothing else, for `homes.copy_store`: its first migration costs seconds."""
    from registry import runs

    home = tmp_path_factory.mktemp("store") / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_HOME", str(home))
        runs.finish(runs.start("churn", "the first", {}), "FINISHED")
    return home


def unavailable(what: str) -> None:
    """Skip the test for want of `what`; where CI is set, a missing part is a failure and no excuse."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


# Of a module, not of the session: while Playwright runs, its event loop occupies the thread, and a test in the same
# worker that executes a notebook would find it taken.
@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium driven by Playwright: `chromium.new_page().goto("http://127.0.0.1:...")`."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        unavailable("no Chromium on PATH; `make browser` installs it on Debian as root")
    from playwright.sync_api import sync_playwright

    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*QUIET, *root])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def offline() -> Callable[..., subprocess.CompletedProcess]:
    """Like `subprocess.run` with captured text, but the command has no network except a loopback of its own."""
    cut = ["unshare", "--map-root-user", "--net", sys.executable, "-c", LOOPBACK_UP]
    if shutil.which("unshare") is None or subprocess.run([*cut, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us cut the network (unshare --net)")

    def run(command: list[str | Path], **others) -> subprocess.CompletedProcess:
        return subprocess.run([*cut, *map(str, command)], capture_output=True, text=True, **others)

    return run
