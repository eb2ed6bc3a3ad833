"""Debian's kcat with a present librdkafka under it.

Before 2.6.1 that library answers a broker's SCRAM challenge wrongly, and Kafka takes it for a wrong
password since it looks closely (CVE-2024-56128). Debian 12 has 2.0.2.
"""

from __future__ import annotations

import os
import shutil
from importlib.metadata import distribution
from pathlib import Path

HERE = shutil.which("kcat") is not None


def environment(folder: Path) -> dict[str, str]:
    """The environment in which kcat finds the library that confluent-kafka's wheel brings."""
    libraries = Path(str(distribution("confluent-kafka").locate_file("confluent_kafka.libs")))
    (library,) = libraries.glob("librdkafka-*.so*")
    link = folder / "librdkafka.so.1"
    if not link.exists():
        link.symlink_to(library)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}
