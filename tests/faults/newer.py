"""Which replicas start as the next release: a file for each, in a folder of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NEWER = Path(__file__).parents[1] / "new_release"
"""What makes the next release out of today's, and its migrations."""


@dataclass(frozen=True)
class Releases:
    """Today's for all, at first."""

    folder: Path

    def environment(self) -> Mapping[str, str]:
        """What the services are started with, so that they look whether they are newer."""
        return {"LIANHU_NEW_RELEASE": str(self.folder)}

    def newer(self, name: str) -> None:
        """This replica, from its next start on."""
        self.folder.mkdir(exist_ok=True)
        self._file(name).touch()

    def todays(self, name: str) -> None:
        """This replica, from its next start on."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / (name if "-" in name else f"{name}-1")
