"""A migration of a service's database that is killed half-way, and then repeated.

The migration waits in its middle for a lock that is held here, so that it is killed in its middle.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import asyncpg

from deploy.embedded.services import ROOT
from deploy.embedded.session import Session
from tests.demo.wire import Unexpected

_LOCK = 0x66697265
_SECONDS = 30.0
_SQL = """
-- migrate:up
CREATE TABLE {table} (id bigint PRIMARY KEY);
INSERT INTO {table} SELECT generate_series(1, 1000);
SELECT pg_advisory_xact_lock({lock});
ALTER TABLE {table} ADD COLUMN again integer NOT NULL DEFAULT 1;

-- migrate:down
"""
_RUN = """
import sys
from pathlib import Path
from lianhu.eventing.migrate import migrate
migrate(sys.stdin.readline().strip(), Path(sys.argv[1]))
"""
_WAITING = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND objid = $1 AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def killed_while_migrating(running: Session, service: str) -> None:
    """Kill a migration of the service's database, and repeat it. Raises `Unexpected`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with as_file(files(f"lianhu.{service}") / "migrations") as own:
            for path in own.glob("*.sql"):
                shutil.copy(path, folder)
        asyncio.run(_kill_and_repeat(running.dsns(service).owner, folder))


async def _kill_and_repeat(dsn: str, folder: Path) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        number = await connection.fetchval(
            "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'under_fire_%'"
        )
        table = f"under_fire_{number}"
        script = folder / f"999901010000{number:02d}_under_fire.sql"
        script.write_text(_SQL.format(table=table, lock=_LOCK))
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        first = _migrating(dsn, folder)
        try:
            await _until(
                lambda: connection.fetchval(_WAITING, _LOCK), "the migration to be half-way"
            )
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
        again = _migrating(dsn, folder)
        if await asyncio.to_thread(again.wait, _SECONDS) != 0:
            raise Unexpected("A migration that was killed half-way could not be repeated.")
        rows = await connection.fetchval(f"SELECT sum(again) FROM {table}")
        if rows != 1000:
            raise Unexpected(f"A repeated migration left {rows} rows of 1000.")
    finally:
        connection.terminate()


def _migrating(dsn: str, folder: Path) -> subprocess.Popen[bytes]:
    """The same step as `migrate`, in a process group of its own, told the address by a pipe."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(f"{dsn}\n".encode())
    return process


async def _until(look: Callable[[], Awaitable[object]], what: str) -> None:
    last = monotonic() + _SECONDS
    while not await look():
        if monotonic() > last:
            raise Unexpected(f"Waited {_SECONDS:.0f} s in vain for {what}.")
        await asyncio.sleep(0.02)
