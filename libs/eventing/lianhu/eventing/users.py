"""Passwords of the broker's users, a file for each in one folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

BYTES = 32


def password_file(folder: Path, user: str) -> Path:
    """Where a user's password lies."""
    return folder / f"{user}.password"


def make_password(folder: Path, user: str) -> bool:
    """A random password, if the user has none yet; whether it was made."""
    path = password_file(folder, user)
    if path.exists():
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{secrets.token_urlsafe(BYTES)}\n")
    draft.replace(path)
    return True


def renew_password(folder: Path, user: str) -> None:
    """Another random password in the same file, which stays the same file where it is mounted."""
    path = password_file(folder, user)
    with path.open("r+", encoding="ascii") as file:
        file.write(f"{secrets.token_urlsafe(BYTES)}\n")
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
