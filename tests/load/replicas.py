"""Mediation with one, two and three processes on the same backlog: what bounds it, and its cost.

Each count has a broker and a database of its own, the same cases and the same commands. All
processes are ready and have their partitions before the commands are written.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import asyncpg

from deploy.embedded import session
from deploy.embedded.kafka import LastingKafka
from deploy.embedded.services import SERVICES
from deploy.embedded.session import Session
from lianhu.privacy import MasterKeys
from tests.load import meter
from tests.load.generator import Load, send
from tests.load.meter import Meter

Say = Callable[[str], None]

_MEDIATION = "mediation"
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Replicas:
    """One timed run."""

    count: int
    messages: int
    seconds: float
    """From the first command to the last event published."""
    cpu: Mapping[str, float]
    """µs for each message, by group; `mediation` is the sum of its processes."""
    cores: Mapping[str, float]
    """How many processors each group kept busy."""
    processors: int

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def busy(self) -> float:
        """The share of the machine's processors that were busy, with all that ran."""
        return sum(self.cores.values()) / self.processors


def replicas(
    counts: Sequence[int] = (1, 2, 3),
    cases: int = 4_000,
    commands: int = 16_000,
    say: Say = lambda _: None,
) -> tuple[Replicas, ...]:
    """A run for each count. Raises `TimeoutError` when nothing moves."""
    found = []
    for count in counts:
        found.append(asyncio.run(_run(count, cases, commands)))
        say(told(found[-1]))
    return tuple(found)


def told(run: Replicas) -> str:
    """A run in a line."""
    by = ", ".join(f"{name} {run.cpu[name]:,.0f}" for name in _shown(run))
    on = ", ".join(f"{name} {run.cores[name]:.2f}" for name in _shown(run))
    return (
        f"{run.count} process{'es' * (run.count > 1)}: {run.rate:,.0f} messages/s; "
        f"µs a message: {by}; processors kept busy: {on}, others "
        f"{run.cores[meter.OTHERS]:.2f} of {run.processors}"
    )


def _shown(run: Replicas) -> list[str]:
    return [name for name in run.cpu if name not in (meter.DRIVER, meter.OTHERS)]


async def _run(count: int, cases: int, commands: int) -> Replicas:
    wanted = {**dict.fromkeys(SERVICES, 0), _MEDIATION: count}
    with session(services=wanted, clock_movable=False, broker=LastingKafka) as running:
        load = Load(cases, commands, datetime.now(UTC))
        connection = await asyncpg.connect(running.dsns(_MEDIATION).admin)
        try:
            send(running.bootstrap, load.opened(MasterKeys.read(running.master_key)))
            await _published(connection, cases)
            await connection.execute("VACUUM (ANALYZE)")
            await connection.execute("CHECKPOINT")
            return await _timed(running, connection, load)
        finally:
            await connection.close()


async def _timed(running: Session, connection: asyncpg.Connection, load: Load) -> Replicas:
    orders = list(load.orders())
    metered = Meter(running)
    before = metered.read()
    send(running.bootstrap, orders)
    await _published(connection, load.cases + load.commands)
    used = metered.read().since(before)
    return Replicas(
        len(running.replicas),
        load.commands,
        used.at,
        {name: 1e6 * one / load.commands for name, one in used.cpu.items()},
        {name: one / used.at for name, one in used.cpu.items()},
        os.cpu_count() or 1,
    )


async def _published(connection: asyncpg.Connection, rows: int) -> None:
    """Wait until there are so many journal rows and all are published."""
    last, seen = monotonic() + _PATIENCE_SECONDS, 0
    while True:
        sent, there = await connection.fetchrow(
            "SELECT (SELECT seq FROM relay_cursor), (SELECT coalesce(max(seq), 0) FROM journal)"
        )
        # numbers are passed over where a batch was rolled back
        if sent >= rows and sent == there and await _counted(connection) >= rows:
            return
        if sent > seen:
            seen, last = sent, monotonic() + _PATIENCE_SECONDS
        if monotonic() > last:
            raise TimeoutError(f"mediation stood still at {sent} of {rows} rows")
        await asyncio.sleep(_LOOK_SECONDS)


async def _counted(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM journal"))
