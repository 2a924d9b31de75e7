"""The virtual environments of the contenders that have packages of their own.

In comes a contender's name, out comes a ready environment or a sentence why there is none here. The invariants it
protects: every package is locked with its hash in ``requirements/``; an environment that was not completed is not
used; needstream itself is the one of this checkout. Which registries are asked is the configuration of pip and
Maven.

``python -m needstream.bench.contenders.environments [NAME ...]`` prepares them.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from string import Template

from needstream.bench import processes
from needstream.streams.brokers import BrokerUnavailable, apache

NAMES = ("quix", "bytewax", "pyflink")

LOCKED = {"quix": ("quix",), "bytewax": ("bytewax",), "pyflink": ("pyflink", "river")}
"""The files in ``requirements/``, in the order they are installed."""

NEWEST_PYTHON = {"quix": (3, 14), "bytewax": (3, 12), "pyflink": (3, 12)}
"""The newest there are wheels for; needstream itself asks for 3.11."""

PACKAGES = ("schemas", "models", "streams", "simulation", "bench")

INSTALL_TIMEOUT_S = 900.0
CONNECTOR = "flink-sql-connector-kafka.jar"
POM = Template("""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>needstream</groupId>
  <artifactId>connector</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.flink</groupId><artifactId>flink-sql-connector-kafka</artifactId><version>5.0.0-2.2</version>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
        <configuration>
          <outputDirectory>$folder</outputDirectory><stripVersion>true</stripVersion>
          <includeArtifactIds>flink-sql-connector-kafka</includeArtifactIds>
        </configuration>
      </plugin>
    </plugins>
  </build>
</project>
""")

_REQUIREMENTS = Path(__file__).parent / "requirements"
_COMPLETE = ".complete"
_DETAIL_CHARACTERS = 300


class EnvironmentUnavailable(RuntimeError):
    """Raised when a contender cannot run here; the message says why, in one sentence."""


def folder(name: str) -> Path:
    """Where the environment of a contender is, or would be."""
    return processes.ROOT / processes.ENVIRONMENTS / name


def prepare(name: str) -> Path:
    """The interpreter of a contender's environment, which is created if it is not there or was made from other files.

    Raises:
        EnvironmentUnavailable: it cannot be had.
    """
    python = folder(name) / "bin" / "python"
    stamp = folder(name) / _COMPLETE
    made_from = _fingerprint(name)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == made_from:
        return python
    _check_python(name)
    if name == "pyflink":
        _check_java()
    if folder(name).exists():
        shutil.rmtree(folder(name))
    venv.create(folder(name), with_pip=True, symlinks=True)
    for locked in LOCKED[name]:
        _install(python, _REQUIREMENTS / f"{locked}.txt")
    if name == "pyflink":
        _fetch_connector(folder(name))
    _link_needstream(folder(name))
    stamp.write_text(made_from, encoding="utf-8")
    return python


def unavailable(name: str) -> str | None:
    """Prepare a contender's environment and say why it is skipped; None if it is ready."""
    try:
        prepare(name)
    except EnvironmentUnavailable as refused:
        return str(refused)
    return None


def _fingerprint(name: str) -> str:
    locked = b"".join((_REQUIREMENTS / f"{each}.txt").read_bytes() for each in LOCKED[name])
    return hashlib.sha256(locked + sys.version.encode() + str(processes.ROOT).encode()).hexdigest()


def _check_python(name: str) -> None:
    newest = NEWEST_PYTHON[name]
    if sys.version_info[:2] > newest:
        here, supported = (".".join(map(str, version)) for version in (sys.version_info[:2], newest))
        msg = f"{name} has no packages for Python {here}, the newest is {supported}"
        raise EnvironmentUnavailable(msg)


def _check_java() -> None:
    try:
        apache.java_program()
    except BrokerUnavailable:
        msg = f"PyFlink needs a Java runtime {apache.OLDEST_JAVA} or newer on PATH"
        raise EnvironmentUnavailable(msg) from None
    if shutil.which("mvn") is None:
        msg = "PyFlink's Kafka connector is fetched with Maven, and mvn is not on PATH"
        raise EnvironmentUnavailable(msg)


def _install(python: Path, locked: Path) -> None:
    # The files name every package there is to install, so nothing is resolved: what is locked is what is there.
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement", str(locked)]
    _run([str(python), "-m", "pip", "install", *options], f"packages of {locked.name} could not be installed")


def _fetch_connector(environment: Path) -> None:
    pom = environment / "connector.xml"
    pom.write_text(POM.substitute(folder=environment), encoding="utf-8")
    command = ["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies"]
    _run(command, "PyFlink's Kafka connector could not be fetched with Maven")
    if not (environment / CONNECTOR).is_file():
        msg = f"Maven fetched no {CONNECTOR}"
        raise EnvironmentUnavailable(msg)


def _link_needstream(environment: Path) -> None:
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "needstream").mkdir()
    for name in PACKAGES:
        (packages / "needstream" / name).symlink_to(processes.ROOT / name)


def _run(command: Sequence[str], problem: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"{problem} within {INSTALL_TIMEOUT_S:.0f} s"
        raise EnvironmentUnavailable(msg) from None
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stdout.splitlines()[-1:]
        msg = f"{problem}: {' '.join(said)[:_DETAIL_CHARACTERS]}"
        raise EnvironmentUnavailable(msg)


def main() -> None:
    """Prepare the contenders of the command line, all without one."""
    parser = argparse.ArgumentParser(prog="python -m needstream.bench.contenders.environments")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    chosen = parser.parse_args().names or NAMES
    unknown = set(chosen) - set(NAMES)
    if unknown:
        parser.error(f"no such contender: {', '.join(sorted(unknown))}")
    for name in chosen:
        reason = unavailable(name)
        print(f"{name}: ready" if reason is None else f"{name}: skipped, {reason}", flush=True)


if __name__ == "__main__":
    main()
