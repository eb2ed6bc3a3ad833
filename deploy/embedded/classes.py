"""An archive of the classes a broker loads, so that a later one has them at once.

Reading, checking and laying out some thousands of classes is most of what a broker's start costs.
Java keeps the result in a file (class data sharing). Where the file is missing, or is that of
another Java or of other jars, a broker starts as if there were none; the wheel's Java writes none.
"""

from __future__ import annotations

from pathlib import Path

from deploy.embedded.jars import JARS
from deploy.embedded.java import Java

SILENT = "-Xlog:cds*=off"
"""Of an archive that does not fit it would tell at every start."""


def archive(java: Java) -> Path:
    """Where it lies for a Java."""
    return JARS.with_name(f"{JARS.name}-java-{java.version}.classes")


def sharing(java: Java) -> list[str]:
    """What tells Java to take its classes from there; nothing where there is none."""
    kept = archive(java)
    return [f"-XX:SharedArchiveFile={kept}", SILENT] if kept.exists() else []


def keeping(file: Path) -> list[str]:
    """What tells Java to write such an archive when it ends."""
    return [f"-XX:ArchiveClassesAtExit={file}", SILENT]
