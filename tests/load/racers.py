"""The engine and the floor, each a process with a database of its own, and one timed run."""

from __future__ import annotations

import asyncio
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from time import monotonic
from typing import ClassVar

import asyncpg
import psutil

from deploy.embedded import Session, ports
from deploy.embedded.processes import Daemon
from deploy.embedded.services import ROOT, Replica, environment_of
from lianhu.eventing.migrate import migrate
from tests.load.floor import SCHEMA

_HISTORY = "SELECT stream, version, type, time FROM journal ORDER BY stream, version"
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0

_Condition = Callable[[int, int], bool]
"""Of the last number of the journal and the last one published."""

States = Mapping[str, str]
"""The stored state of each case, by stream."""


class TooSlow(Exception):
    """Nothing moved for a minute, or the process ended; the text ends with its log."""


@dataclass(frozen=True)
class Run:
    """One timed run. A hop: read, decided, committed, published, its offset committed."""

    hops: int
    """Hops between the first look that saw any and the last one published."""
    seconds: float
    cpu: float
    """µs of the process per hop."""
    postgres_cpu: float
    """µs of the database's processes per hop, those that lived at both ends."""
    kafka_cpu: float
    """µs of the broker per hop."""
    peak: int
    """Largest resident memory of the process, bytes."""

    @property
    def rate(self) -> float:
        """Hops a second."""
        return self.hops / self.seconds


class Racer(ABC):
    """A process that handles the load, started and stopped at will."""

    name: ClassVar[str]
    states_sql: ClassVar[str]

    def __init__(self, session: Session) -> None:
        self._session = session
        self.daemon = Daemon(session.run_dir, self.name)

    @property
    @abstractmethod
    def database(self) -> str:
        """The administrator's address of its database."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make its database."""

    @abstractmethod
    def command(self) -> list[str]:
        """What is run."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """With which environment."""

    def start(self) -> None:
        """Start; does not wait."""
        self.daemon.start(self.command(), port=0, environment=self.environment(), directory=ROOT)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.daemon.stop(grace=15)

    async def handle(self, hops: int) -> Run:
        """Start it on a backlog of so many, wait until all are published, stop it."""
        connection = await asyncpg.connect(self.database)
        try:
            before = await rested(connection)
            self.start()
            try:
                run = await self._timed(connection, before, hops)
            finally:
                self.stop()
            count = await connection.fetchval("SELECT count(*) FROM journal WHERE seq > $1", before)
            if count != hops:
                raise TooSlow(f"{self.name}: {count} rows for {hops} messages")
            return run
        finally:
            await connection.close()

    async def work(self, seconds: float) -> Run:
        """Start it on a backlog that it does not finish in so many seconds, time these, stop it."""
        connection = await asyncpg.connect(self.database)
        try:
            before = await rested(connection)
            self.start()
            try:
                first = await self._until(connection, lambda last, _: last > before, before)
                began, cpu = monotonic(), self._cpu()
                await asyncio.sleep(seconds)
                done = await _journal(connection) - first
                return self._run(done, monotonic() - began, cpu)
            finally:
                self.stop()
        finally:
            await connection.close()

    async def states(self) -> States:
        """What it made of the cases."""
        connection = await asyncpg.connect(self.database)
        try:
            return {row[0]: row[1] for row in await connection.fetch(self.states_sql)}
        finally:
            await connection.close()

    async def history(self) -> list[tuple[str, int, str, datetime]]:
        """What happened in each stream: its name, the row's place in it, type, domain time."""
        connection = await asyncpg.connect(self.database)
        try:
            found = await connection.fetch(_HISTORY)
            return [(row[0], row[1], row[2], row[3]) for row in found]
        finally:
            await connection.close()

    async def _timed(self, connection: asyncpg.Connection, before: int, hops: int) -> Run:
        first = await self._until(connection, lambda last, _: last > before, before)
        began = monotonic()
        cpu = self._cpu()
        reached = await self._until(connection, lambda _, sent: sent >= before + hops, first)
        return self._run(reached - first, monotonic() - began, cpu)

    def _run(self, done: int, seconds: float, before: tuple[float, float, float]) -> Run:
        own, postgres, kafka = (
            1e6 * (after - earlier) / max(done, 1)
            for after, earlier in zip(self._cpu(), before, strict=True)
        )
        return Run(done, seconds, own, postgres, kafka, _peak(self._pid(self.daemon)))

    async def _until(self, connection: asyncpg.Connection, there: _Condition, seen: int) -> int:
        """The journal's last number at the first look at which it was so."""
        patience = monotonic() + _PATIENCE_SECONDS
        while True:
            last, sent = await _look(connection)
            if there(last, sent):
                return last
            if last > seen:
                seen, patience = last, monotonic() + _PATIENCE_SECONDS
            if monotonic() > patience or self.daemon.record() is None:
                raise TooSlow(f"{self.name} stood still at {last}.{self.daemon.tail()}")
            await asyncio.sleep(_POLL_SECONDS)

    def _cpu(self) -> tuple[float, float, float]:
        """Seconds used so far: by the process, by the database, by the broker."""
        postgres = psutil.Process(self._pid(self._session.daemon("postgres")))
        return (
            _seconds(psutil.Process(self._pid(self.daemon))),
            sum(_seconds(child) for child in postgres.children()),
            _seconds(psutil.Process(self._pid(self._session.daemon("kafka")))),
        )

    def _pid(self, daemon: Daemon) -> int:
        record = daemon.record()
        if record is None:
            raise TooSlow(f"{daemon.name} ended.{daemon.tail()}")
        return record.pid


class Mediation(Racer):
    """The service as it is shipped: `python -m lianhu.mediation run`."""

    name = "mediation"
    states_sql = "SELECT stream, state FROM aggregates WHERE state IS NOT NULL"

    def __init__(self, session: Session, profile: Path | None = None) -> None:
        super().__init__(session)
        self._profile = profile
        self._dsns = session.dsns("mediation")
        (port,) = ports.pick_free(1)
        self._replica = Replica("mediation", 1, port)

    @property
    def database(self) -> str:
        return self._dsns.admin

    async def prepare(self) -> None:
        folder = files("lianhu.mediation") / "migrations"
        await asyncio.to_thread(migrate, self._dsns.owner, folder)

    def command(self) -> list[str]:
        module = "lianhu.mediation" if self._profile is None else "tests.load.profiled"
        return [sys.executable, "-m", module, "run"]

    def environment(self) -> dict[str, str]:
        told = environment_of(self._replica, self._dsns, self._session.stack.settings)
        return told if self._profile is None else {**told, "LOAD_PROFILE": str(self._profile)}


class Handwritten(Racer):
    """The floor."""

    name = "floor"
    states_sql = "SELECT stream, state FROM states"

    @property
    def database(self) -> str:
        return self._session.dsns("floor").admin

    async def prepare(self) -> None:
        dsns = self._session.stack.postgres.create_service_database("floor")
        connection = await asyncpg.connect(dsns.owner)
        try:
            await connection.execute(SCHEMA)
        finally:
            await connection.close()

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.load.floor"]

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "FLOOR_DATABASE": self._session.dsns("floor").owner,
            "FLOOR_KAFKA": self._session.bootstrap,
            "FLOOR_MASTER_KEY": str(self._session.master_key),
        }


async def rested(connection: asyncpg.Connection) -> int:
    """Tables as autovacuum leaves them, no checkpoint of before; the journal's last number."""
    await connection.execute("VACUUM (ANALYZE)")
    await connection.execute("CHECKPOINT")
    return await _journal(connection)


async def _journal(connection: asyncpg.Connection) -> int:
    return (await _look(connection))[0]


async def _look(connection: asyncpg.Connection) -> tuple[int, int]:
    """The last number of the journal, and the last one published."""
    row = await connection.fetchrow(
        "SELECT coalesce((SELECT max(seq) FROM journal), 0), (SELECT seq FROM relay_cursor)"
    )
    return row[0], row[1]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _peak(pid: int) -> int:
    """Largest resident memory so far; where the system does not tell, that of this moment."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return int(psutil.Process(pid).memory_info().rss)
