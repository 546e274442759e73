"""A real PostgreSQL for tests: the machine's own binaries, a folder of its own, loopback only."""

import os
import pwd
import shutil
import socket
import subprocess
from glob import glob
from pathlib import Path

import pytest
from conftest import unavailable


@pytest.fixture
def server(tmp_path):
    """A PostgreSQL of its own on loopback, thrown away afterwards; its URL without a password."""
    found = shutil.which("initdb") or next(iter(sorted(glob("/usr/lib/postgresql/*/bin/initdb"))), None)
    if found is None:
        unavailable("PostgreSQL's initdb is not installed; `make postgres` installs it on Debian as root")
    tools = Path(found).resolve().parent
    as_user = {}
    if os.getuid() == 0:  # the server refuses to run as root
        try:
            who = pwd.getpwnam("postgres")
        except KeyError:
            unavailable("PostgreSQL does not run as root, and there is no user postgres")
        as_user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    home = Path(
        subprocess.run(
            ["mktemp", "-d", "/tmp/pg.XXXXXX"], capture_output=True, text=True, check=True, **as_user
        ).stdout.strip()
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(tool, *arguments):
        subprocess.run(
            [tools / tool, "-D", home / "db", *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", **as_user
        )

    run("initdb", "-U", "me", "-A", "trust", "--no-sync")
    options = f"-p {port} -h 127.0.0.1 -k {home} -F"
    run("pg_ctl", "-o", options, "-l", home / "log", "-w", "start")
    try:
        yield f"postgres://me@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(home)
