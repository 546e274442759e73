"""One environment, told four times (pyproject, lock, conda, Makefile), and the four agree."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-uv.lock")
SPARK = "requirements-spark.lock"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "mac": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
}
ROOMS = set(PYPROJECT["tool"]["ruff"]["lint"]["isort"]["known-first-party"])
HASHES = re.compile(r"(?: --hash=sha256:[0-9a-f]{64})+")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def environment(python: str, machine: str = "linux") -> dict[str, str]:
    """What markers are judged by."""
    full = platform.python_version() if python == HERE else f"{python}.9"  # a lock may tell 3.11.2 from 3.11.9
    return {"python_version": python, "python_full_version": full, "extra": "", **MACHINES[machine]}


def entries(lock: str) -> list[str]:
    """The entries of a lock file, each on one line."""
    return re.sub(r" \\\n +", " ", (HOUSE / lock).read_text()).splitlines()


def locked(python: str, machine: str = "linux") -> dict[str, list[str]]:
    """Package -> versions that requirements.lock installs there."""
    found: dict[str, list[str]] = {}
    for entry in entries("requirements.lock"):
        one = Requirement(entry.split(" --hash")[0].strip())
        if one.marker is None or one.marker.evaluate(environment(python, machine)):
            found.setdefault(canonicalize_name(one.name), []).append(str(one.specifier).removeprefix("=="))
    return found


def asked() -> list[Requirement]:
    """All that pyproject.toml asks for, the developers' part too."""
    project = PYPROJECT["project"]
    return [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_holds_one_version_of_each_package_and_what_pyproject_asks(python, machine):
    have = locked(python, machine)
    assert {name: versions for name, versions in have.items() if len(versions) != 1} == {}
    unmet = [
        str(one)
        for one in [*asked(), *map(Requirement, PYPROJECT["build-system"]["requires"])]
        if not one.specifier.contains(have.get(canonicalize_name(one.name), ["0"])[0])
    ]
    assert unmet == [], "run `make lock`"


def test_this_environment_is_the_lock_and_the_lock_is_complete():
    """Follows what each installed package asks for, extras too, from pyproject.toml to the end."""
    have, seen, waiting = locked(HERE, "mac" if sys.platform == "darwin" else "linux"), set(), asked()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        assert name in have, f"{one} is asked for, but requirements.lock does not hold it: run `make lock`"
        installed = importlib.metadata.version(name)
        assert [installed] == have[name], f"{name} {installed} is installed: run `make env`"
        for extra in {"", *one.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            theirs = map(Requirement, importlib.metadata.requires(name) or [])
            waiting += [r for r in theirs if r.marker is None or r.marker.evaluate({"extra": extra})]
    assert len(seen) > 100


def test_the_lock_of_spark_holds_what_pyproject_asks_and_what_that_needs():
    have = {canonicalize_name(one.name): one for one in (Requirement(e.split(" --hash")[0]) for e in entries(SPARK))}
    wanted = [Requirement(line) for line in PYPROJECT["project"]["optional-dependencies"]["spark"]]
    assert [str(one) for one in wanted] == [str(have[canonicalize_name(one.name)]) for one in wanted], "run `make lock`"
    assert have.keys() - {one.name for one in wanted} == {"py4j"}
    assert have.keys().isdisjoint(locked(HERE)), "a package in two locks can have two versions"


@pytest.mark.parametrize("lock", [*LOCKS, SPARK])
def test_every_entry_of_a_lock_has_hashes_and_nothing_else(lock):
    for entry in entries(lock):
        wanted, _, hashes = entry.partition(" --hash")
        one = Requirement(wanted.strip())
        assert re.fullmatch(r"==[\w.]+", str(one.specifier)) and one.url is None, entry[:80]
        assert HASHES.fullmatch(f" --hash{hashes}".rstrip()), entry[:80]


def test_python_versions_agree():
    wanted = PYPROJECT["project"]["requires-python"]
    minors = tuple(f"3.{minor}" for minor in range(30) if SpecifierSet(wanted).contains(f"3.{minor}.5"))
    assert minors == PYTHONS
    conda = yaml.safe_load((HOUSE / "environment.yml").read_text())["dependencies"]
    assert f"python{wanted}" in conda
    makefile = (HOUSE / "Makefile").read_text()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in makefile
    assert all(f"python{python}" in makefile for python in PYTHONS)
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py311"


def test_conda_installs_the_same_lock():
    conda = yaml.safe_load((HOUSE / "environment.yml").read_text())["dependencies"]
    [section] = [part["pip"] for part in conda if isinstance(part, dict)]
    assert section == ["--require-hashes", "-r requirements.lock"]


def test_every_room_is_installed():
    """A package or module at the top of src/ that pyproject.toml does not name would import here, but nowhere else."""
    setuptools = PYPROJECT["tool"]["setuptools"]
    packages = {file.parent.name for file in (HOUSE / "src").glob("*/*.py")} | {"pipelines"}
    assert packages == {pattern.rstrip("*") for pattern in setuptools["packages"]["find"]["include"]}
    assert {file.stem for file in (HOUSE / "src").glob("*.py")} == set(setuptools["py-modules"])
    assert packages | set(setuptools["py-modules"]) == ROOMS


def test_imports_from_another_folder_need_no_path(tmp_path):
    names = ", ".join(sorted(ROOMS))
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", f"import {names}"], cwd=tmp_path, env=clean, check=True)


# --- the Makefile, with a Python that only writes down what it is asked ---

STAND_IN = """#!/bin/sh
case "$1 $2" in
  "-c "*) exec '{python}' "$@";;
  "-m venv") shift 2; [ "$1" = --clear ] && rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python
    echo "command = $PWD/.venv" > .venv/pyvenv.cfg; echo venv >> asked;;
  "-m uv") echo "$@" >> asked; [ ! -e no-uv ];;
  "-m pip") echo "$@" >> asked; [ ! -e no-pip ];;
esac
"""


@pytest.fixture
def bare(tmp_path):
    """A folder with the files of the set-up, and `make env` there: its return code, and what was asked for."""
    for name in ("Makefile", "pyproject.toml", *LOCKS, SPARK):
        shutil.copy(HOUSE / name, tmp_path)
    python = tmp_path / "stand-in"
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)

    def make_env(named: Path | str = python, target: str = "env", **others) -> tuple[int, str]:
        asked = Path(make_env.home) / "asked"
        asked.unlink(missing_ok=True)
        command = ["make", target, f"PYTHON={named}"] if named else ["make", target]
        done = subprocess.run(command, cwd=make_env.home, capture_output=True, text=True, **others)
        return done.returncode, asked.read_text() if asked.exists() else done.stderr

    make_env.home = tmp_path
    return make_env


def test_the_first_make_env_installs_the_lock_by_hash_and_the_second_nothing(bare):
    code, first = bare()
    assert code == 0
    assert first.splitlines()[0] == "venv"
    assert "uv pip install --python .venv/bin/python --require-hashes -r requirements.lock" in first
    assert "--require-hashes -r requirements-uv.lock" in first
    assert first.splitlines()[-1].endswith("--no-deps --no-build-isolation -e .")
    assert bare() == (0, "")
    (bare.home / "requirements.lock").touch()  # a fresh checkout of the same content
    assert bare() == (0, "")


@pytest.mark.parametrize("changed", ["pyproject.toml", *LOCKS])
def test_what_changed_is_installed_on_top(bare, changed):
    bare()
    with (bare.home / changed).open("a") as file:
        file.write("\n")
    code, second = bare()
    assert code == 0 and "-e ." in second and "venv" not in second.splitlines()


def test_without_uv_pip_installs_the_same_lock(bare):
    (bare.home / "no-uv").touch()
    code, asked = bare()
    assert code == 0
    assert "-m pip install --disable-pip-version-check --require-hashes -r requirements.lock" in asked


def test_spark_is_installed_by_hash_once_and_only_when_asked_for(bare):
    code, env = bare()
    assert code == 0 and SPARK not in env
    code, first = bare(target="spark")
    assert code == 0 and f"--require-hashes -r {SPARK}" in first and "requirements.lock" not in first
    assert bare(target="spark") == (0, "")
    with (bare.home / SPARK).open("a") as file:
        file.write("\n")
    (bare.home / "no-uv").touch()
    (bare.home / "no-pip").touch()
    assert bare(target="spark")[0] != 0
    (bare.home / "no-pip").unlink()
    code, again = bare(target="spark")
    assert code == 0 and f"-m pip install --disable-pip-version-check --require-hashes -r {SPARK}" in again


def test_an_install_that_failed_is_tried_again(bare):
    (bare.home / "no-uv").touch()
    (bare.home / "no-pip").touch()
    assert bare()[0] != 0
    (bare.home / "no-pip").unlink()
    assert "-e ." in bare()[1]


def test_a_moved_folder_gets_a_new_environment(bare):
    bare()
    bare.home = shutil.move(bare.home, bare.home.with_name("moved away"))
    code, asked = bare(Path(bare.home) / "stand-in")
    assert code == 0 and asked.splitlines()[0] == "venv"


def test_without_a_right_python_make_says_what_to_do(bare, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh", "cat", "grep", "rm"):
        (tools / tool).symlink_to(shutil.which(tool))
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    code, said = bare("", env={"PATH": str(tools)})
    assert code != 0 and "No Python 3.11, 3.12 or 3.13" in said and "PYTHON=/path/to/python3.11" in said
    code, said = bare(old, env={"PATH": str(tools)})
    assert code != 0 and f"{old} is not Python 3.11, 3.12 or 3.13" in said


# --- JupyterLab ---


def answer(address: str, token: str, path: str, posted: dict | None = None):
    """The JSON that the server answers."""
    body = None if posted is None else json.dumps(posted).encode()
    request = urllib.request.Request(f"{address}{path}", body, {"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def _wait_until_it_listens(port: int) -> None:
    for _ in range(300):
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"nothing listens on port {port} after 30 s")


@pytest.fixture
def lab(tmp_path):
    """`make lab` for a user who has a broken kernel called python3: its lines, the address and the token."""
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "theirs", "language": "python"}
    for folder in ("data", "home/.local/share/jupyter", "home/Library/Jupyter", "path"):
        kernel = tmp_path / folder / "kernels" / "python3"
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(json.dumps(spec))
    theirs = {"HOME": str(tmp_path / "home"), "JUPYTER_DATA_DIR": str(tmp_path / "data"),
              "JUPYTER_PATH": str(tmp_path / "path")}  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["make", "-s", "-o", "env", "lab", f'PY="{sys.executable}"', f"LAB=--no-browser --ServerApp.port={port}"],
        cwd=HOUSE, env={**os.environ, **theirs}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    said, found = [], None
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"(http://127\.0\.0\.1:\d+)/lab/tree/notebooks\?token=(\w{30,})", line):
            break
    try:
        assert found, "".join(said)
        _wait_until_it_listens(port)  # it prints its address a moment before
        yield found.groups()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        server.stderr.close()


@pytest.mark.slow
def test_make_lab_opens_this_environments_kernel_on_loopback_behind_a_token(lab):
    address, token = lab
    with pytest.raises(urllib.error.HTTPError, match="403"):
        answer(address, "guess", "/api/kernelspecs")
    specs = answer(address, token, "/api/kernelspecs")
    assert specs["default"] == "python3" and list(specs["kernelspecs"]) == ["python3"]
    kernel = answer(address, token, "/api/kernels", {"name": "python3"})
    [process] = [p for p in psutil.process_iter(["cmdline"]) if kernel["id"] in " ".join(p.info["cmdline"] or [])]
    assert process.cmdline()[0] == sys.executable
    port = int(address.rsplit(":", 1)[1])
    listening = [c.laddr for c in psutil.net_connections("inet") if c.status == "LISTEN" and c.laddr.port == port]
    assert {where.ip for where in listening} == {"127.0.0.1"}
