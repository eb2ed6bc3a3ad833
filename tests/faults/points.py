"""The named points inside the services at which a process can be struck, and the arming of them."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"
_STRUCK = re.compile(r"-struck-([0-9]+)$")

OF_ALL = (
    "after-fetch",
    "after-locks",
    "before-commit",
    "after-commit-before-offsets",
    "published-before-cursor",
)
"""Points that every service has."""
OF_EFFECTS = ("attempt-started-before-call", "called-before-outcome")
"""Points of a service that makes calls outside."""


class Points:
    """The points of one chain, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, *more: Path) -> Mapping[str, str]:
        """What the services are started with, so that they have these points.

        `more`: further folders where Python looks for modules.
        """
        folders = [*map(str, (INSIDE, *more)), os.environ.get("PYTHONPATH")]
        path = os.pathsep.join(filter(None, folders))
        return {"PYTHONPATH": path, "LIANHU_FAULTS": str(self.folder)}

    def arm(self, service: str, point: str, number: signal.Signals = signal.SIGKILL) -> Path:
        """The next process of the service that comes by is struck: once."""
        self.folder.mkdir(exist_ok=True)
        armed = self.folder / f"{service}.{point}.{number.name}"
        armed.touch(exist_ok=False)
        return armed

    def disarm(self, armed: Path) -> None:
        """Nobody came by."""
        armed.unlink(missing_ok=True)

    def passed(self) -> set[tuple[str, str]]:
        """Service and point of all that any process has come by."""
        found = (path.name.split(".") for path in self.folder.glob("*.passed"))
        return {(service, point) for service, point, _ in found}

    def struck(self, armed: Path) -> int | None:
        """The pid of the process that was struck; taken note of once."""
        for path in self.folder.glob(f"{armed.name}-struck-*"):
            found = _STRUCK.search(path.name)
            if found is not None:
                path.unlink()
                return int(found[1])
        return None
