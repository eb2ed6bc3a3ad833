"""`deploy/.env`, which Compose reads by itself: names of images, groups, folders; no secret.

`python -m deploy.environment NAME` prints where the folder of that name is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parent / ".env"
FOLDERS = {
    "LIANHU_SECRETS": "./secrets",
    "LIANHU_REGISTRY": "./registry",
    "LIANHU_BACKUP": "./backup",
}
"""What `compose.yaml` takes where nobody says otherwise, seen from its own folder."""


def remember(values: Mapping[str, str], file: Path = FILE) -> None:
    """Set these names; what else stands in the file stays."""
    found = read(file) | dict(values)
    draft = file.with_name(f"{file.name}.new")
    draft.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
    draft.replace(file)


def read(file: Path = FILE) -> dict[str, str]:
    """All names that are set."""
    if not file.exists():
        return {}
    lines = [line for line in file.read_text().splitlines() if "=" in line]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def said(name: str, file: Path = FILE) -> str | None:
    """What Compose takes for a name: the process's own environment before the file."""
    return os.environ.get(name) or read(file).get(name) or None


def folder_of(name: str, file: Path = FILE) -> Path:
    """One of `FOLDERS`, where Compose finds it too."""
    return file.parent / (said(name, file) or FOLDERS[name])


if __name__ == "__main__":
    print(folder_of(sys.argv[1]))
