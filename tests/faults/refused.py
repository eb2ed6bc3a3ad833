"""What strikes when the database is there and refuses: no room, no connection, a lock, no time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import TypeVar

import asyncpg

from deploy.embedded.services import SERVICES
from tests.demo.wire import Unexpected
from tests.faults.ground import SPARE, WELL, Ground
from tests.faults.small_disk import SmallDisk, check_mounting, small_disk
from tests.faults.strikes import Fault

_ROOM = 256 * 1024 * 1024
"""Of a small file system: enough for all that comes after the fault, while it stays mounted."""
_MEETS = 45.0
"""Seconds within which somebody meets a refusal under load."""
_PAUSE = 0.05
_TRIES = 5

_DISK = 'lianhu_batch_retries_total{cause="DiskFullError"}'
_TOO_LONG = 'lianhu_batch_retries_total{cause="QueryCanceledError"}'
_NO_DATABASE = "no-database"

_SLOW = """
CREATE FUNCTION under_fire() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
CREATE TRIGGER under_fire BEFORE INSERT ON journal FOR EACH STATEMENT EXECUTE FUNCTION under_fire()
"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
_WAIT_FOR_US = """
SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))
"""
_END_OURS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY ($1::text[])"
)


T = TypeVar("T")


# No room


def out_of_disk() -> Fault:
    """Not a byte is left for tables and indexes."""

    def strike(ground: Ground) -> str:
        def full(disk: SmallDisk) -> str:
            before = ground.counted(_DISK)
            disk.fill()
            ground.load.until(
                "somebody to meet the full disk", lambda: ground.counted(_DISK) != before, _MEETS
            )
            sleep(ground.size.refusal)
            met = {name: count - before[name] for name, count in ground.counted(_DISK).items()}
            return "refused for it: " + _told({name: count for name, count in met.items() if count})

        return _on_a_small_disk(ground, "base", full)

    return Fault("postgres out of disk", strike)


def out_of_log() -> Fault:
    """Not a byte is left for its log: the server ends, and comes back when there is room."""

    def strike(ground: Ground) -> str:
        def full(disk: SmallDisk) -> str:
            disk.fill()
            asyncio.run(_write_until_it_ends(ground))
            ground.load.until(
                "all services to be without a database",
                lambda: all(_NO_DATABASE in ground.says(name) for name in ground.all_present()),
            )
            sleep(ground.size.refusal)
            return "the server ended" if ground.pid("postgres") is None else "the server restarted"

        return _on_a_small_disk(ground, "pg_wal", full)

    return Fault("postgres out of disk for its log", strike)


def _on_a_small_disk(ground: Ground, folder: str, full: Callable[[SmallDisk], str]) -> str:
    """Let it be full for a while, and see how long the chain takes once there is room again."""
    check_mounting()
    running = ground.running
    running.stop("postgres")
    with small_disk(running.stack.postgres.data_dir / folder, _ROOM) as disk:
        try:
            running.start("postgres")
            ground.load.probe().seconds(WELL)
            ground.load.go(ground.size.each)
            note = full(disk)
            disk.free()
            running.start("postgres")
            well = ground.load.probe().seconds(WELL)
        finally:
            running.stop("postgres")
    running.start("postgres")
    return f"{note}; well again {well:.1f} s after there was room"


async def _write_until_it_ends(ground: Ground) -> None:
    """Each round begins another file of the log; those that stood ready are used up first."""
    last = monotonic() + _MEETS
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection = await asyncpg.connect(ground.running.stack.postgres.admin_dsn())
        try:
            while monotonic() < last:
                await connection.execute("SELECT pg_logical_emit_message(true, 'fire', 'fire')")
                await connection.execute("SELECT pg_switch_wal()")
        finally:
            connection.terminate()
    if monotonic() >= last:
        raise Unexpected(f"The log went on for {_MEETS:.0f} s without room for it.")


# No connection


def at_its_limit() -> Fault:
    """Others hold every connection; those of the services are ended, and one more starts."""

    def strike(ground: Ground) -> str:
        asyncio.run(_hold_all(ground))
        waited = ground.pid(SPARE)
        ground.start(SPARE)
        how = "waited" if ground.pid(SPARE) == waited else "ended, and was started again"
        ground.stop(SPARE)
        return f"every process said {_NO_DATABASE}; one that started meanwhile {how}"

    return Fault("postgres at its connection limit", strike)


async def _hold_all(ground: Ground) -> None:
    held: list[asyncpg.Connection] = []
    present = ground.all_present()
    said: set[str] = set()
    try:
        held.append(await asyncpg.connect(ground.running.stack.postgres.admin_dsn()))
        ground.begin(SPARE)
        last = monotonic() + ground.size.refusal
        while monotonic() < last or said != {*present}:
            if monotonic() > last + _MEETS:
                silent = ", ".join(sorted({*present} - said))
                raise Unexpected(f"{silent} did not say {_NO_DATABASE} although all was taken.")
            await held[0].execute(_END_OURS, SERVICES)
            await _take_what_is_left(ground, held)
            for name in present:
                if _NO_DATABASE in await asyncio.to_thread(ground.says, name):
                    said.add(name)
            await asyncio.sleep(_PAUSE)
    finally:
        for connection in held:
            connection.terminate()


async def _take_what_is_left(ground: Ground, held: list[asyncpg.Connection]) -> None:
    """Also those that are kept for an administrator."""
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            held.append(await asyncpg.connect(ground.running.stack.postgres.admin_dsn()))


# A lock, no time


def deadlocked(service: str) -> Fault:
    """Somebody's session holds what ours waits for, and waits for what ours holds."""

    def strike(ground: Ground) -> str:
        count = asyncio.run(_as_somebody_else(ground, service, _until_a_deadlock))
        return f"deadlocks that the database ended: {count}"

    return Fault(f"{service} deadlocked", strike)


def out_of_time(service: str) -> Fault:
    """Writing to the journal takes longer than a statement may."""

    def strike(ground: Ground) -> str:
        before = ground.counted(_TOO_LONG)[service]

        async def slow(connection: asyncpg.Connection) -> None:
            await connection.execute(_SLOW)
            try:
                await _until(
                    lambda: asyncio.to_thread(lambda: ground.counted(_TOO_LONG)[service] > before),
                    "a statement to be cancelled",
                )
            finally:
                await connection.execute("DROP FUNCTION under_fire CASCADE")

        asyncio.run(_as_somebody_else(ground, service, slow))
        count = ground.counted(_TOO_LONG)[service] - before
        return f"batches cancelled and tried again: {count:.0f}"

    return Fault(f"{service} statements take too long", strike)


async def _as_somebody_else(
    ground: Ground, service: str, work: Callable[[asyncpg.Connection], Awaitable[T]]
) -> T:
    """With a session of our own, that never gives way by itself."""
    connection = await asyncpg.connect(ground.running.dsns(service).admin)
    try:
        await connection.execute("SET deadlock_timeout = '10min'")
        return await work(connection)
    finally:
        connection.terminate()


async def _until_a_deadlock(connection: asyncpg.Connection) -> int:
    before: int = await connection.fetchval(_DEADLOCKS)
    for _ in range(_TRIES):
        async with connection.transaction():
            # a batch has its rows by then, and writes the journal last
            await connection.execute("LOCK TABLE journal IN SHARE MODE")
            await _until(lambda: connection.fetchval(_WAIT_FOR_US), "a batch to wait")
            await connection.execute("LOCK TABLE aggregates IN EXCLUSIVE MODE")
        for _ in range(2 * _TRIES):  # what is counted is shown a moment later
            if (count := await connection.fetchval(_DEADLOCKS)) > before:
                return int(count - before)
            await asyncio.sleep(0.5)
    raise Unexpected(f"No deadlock in {_TRIES} tries.")


async def _until(look: Callable[[], Awaitable[object]], what: str) -> None:
    last = monotonic() + _MEETS
    while not await look():
        if monotonic() > last:
            raise Unexpected(f"Waited {_MEETS:.0f} s in vain for {what}.")
        await asyncio.sleep(0.02)


def _told(counts: dict[str, float]) -> str:
    return ", ".join(f"{name} {count:.0f}" for name, count in counts.items())
