"""`deploy/.env`, which Compose reads by itself: names of images, groups; no secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parent / ".env"


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
