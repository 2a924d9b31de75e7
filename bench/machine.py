"""Facts of the machine and the packages a figure was measured with."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from needstream.bench import processes

PACKAGES = (
    "needstream",
    "faust-streaming",
    "aiokafka",
    "kafka-python",
    "msgspec",
    "orjson",
    "numpy",
    "uvloop",
    "noida-db",
)
OF_CONTENDERS = {
    "confluent": "confluent-kafka",
    "quix": "quixstreams",
    "bytewax": "bytewax",
    "pyflink": "apache-flink",
}


def facts(contenders: Sequence[str]) -> dict[str, object]:
    """Processor, cores, Python, and the versions of what took part."""
    versions = {name: _version(name) for name in PACKAGES}
    versions |= {
        OF_CONTENDERS[name]: _version_in(processes.python_of(name), OF_CONTENDERS[name])
        for name in contenders
        if name in OF_CONTENDERS
    }
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": versions,
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _version_in(python: str, package: str) -> str:
    if python == sys.executable:
        return _version(package)
    program = f"from importlib.metadata import version; print(version({package!r}))"
    told = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "none"
