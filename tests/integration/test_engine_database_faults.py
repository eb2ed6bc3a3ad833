"""The database refuses: nothing is parked for it, and the batch goes through afterwards, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

import asyncpg
import pytest

from lianhu.eventing.errors import passes
from lianhu.eventing.rules import case_stream
from lianhu.eventing.testing import FakeRecord, TestEngine
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, command, engine, event
from tests.wire import until

pytestmark = pytest.mark.infra

FIRST, SECOND = "440304-2026-000001", "440304-2026-000002"
LOCK = "SELECT 1 FROM aggregates WHERE stream = $1 FOR UPDATE"
FAREWELL = b"E\0\0\0\x18SFATAL\0C57P01\0Mbye\0\0"
"""What the server says to a session that an administrator ends."""
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON journal EXECUTE FUNCTION slow()
"""


@asynccontextmanager
async def hostile(one: TestEngine) -> AsyncIterator[asyncpg.Connection]:
    """A session of somebody else that never gives way by itself."""
    connection = await asyncpg.connect(str(one.house.settings.database_url))
    try:
        await connection.execute("SET deadlock_timeout = '10min'")
        yield connection
    finally:
        await connection.close()


async def fails_and_passes(work: asyncio.Task[None]) -> BaseException:
    (error,) = await asyncio.gather(work, return_exceptions=True)
    assert isinstance(error, Exception), "it was not handled"
    assert passes(error), "tried again, and no message's fault"
    return error


async def until_blocked(one: TestEngine) -> None:
    """Wait until the engine waits for somebody's lock."""
    sql = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
    """

    async def blocked() -> bool:
        return bool(await one.pool.fetchval(sql))

    await until(blocked, "the engine to wait for a lock")


async def is_whole(one: TestEngine) -> None:
    """Nothing was parked; each message had its one effect."""
    assert await one.parked() == []
    for case in (FIRST, SECOND):
        rows = await one.types(case_stream(case))
        assert rows == ["report-accepted"] * 2
    assert await one.verify() == []


async def test_a_deadlock_made_by_somebody_else_costs_one_attempt(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one, hostile(one) as other:
        await one.take(event(FIRST, 1), event(SECOND, 1))
        batch = [command(FIRST, "c-1"), command(SECOND, "c-2", offset=1)]
        async with other.transaction():
            await other.execute(LOCK, f"case/{SECOND}")
            work = asyncio.create_task(one.take(*batch))
            await until_blocked(one)
            # it holds the first and waits for the second: now each waits for the other
            asked = asyncio.create_task(other.execute(LOCK, f"case/{FIRST}"))
            error = await fails_and_passes(work)
            assert isinstance(error, asyncpg.DeadlockDetectedError)
            await asked
        await one.take(*batch)
        await is_whole(one)


async def test_a_lock_that_is_held_too_long_costs_one_attempt(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one, hostile(one) as other:
        await one.take(event(FIRST, 1), event(SECOND, 1))
        batch = [command(FIRST, "c-1"), command(SECOND, "c-2", offset=1)]
        async with other.transaction():
            await other.execute(LOCK, f"case/{SECOND}")
            error = await fails_and_passes(asyncio.create_task(one.take(*batch)))
            assert isinstance(error, asyncpg.LockNotAvailableError)
        await one.take(*batch)
        await is_whole(one)


async def test_a_statement_that_takes_too_long_costs_one_attempt(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one, hostile(one) as other:
        await one.take(event(FIRST, 1), event(SECOND, 1))
        batch = [command(FIRST, "c-1"), command(SECOND, "c-2", offset=1)]
        await other.execute(SLOW)
        try:
            error = await fails_and_passes(asyncio.create_task(one.take(*batch)))
            assert isinstance(error, asyncpg.QueryCanceledError)
        finally:
            await other.execute("DROP FUNCTION slow CASCADE")
        await one.take(*batch)
        await is_whole(one)


async def test_a_migration_that_changes_a_type_beneath_us_costs_one_attempt(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one, hostile(one) as other:
        await one.take(event(FIRST, 1), event(SECOND, 1))
        batch = [command(FIRST, "c-1"), command(SECOND, "c-2", offset=1)]
        await other.execute("ALTER TABLE aggregates ALTER COLUMN shape TYPE integer")
        try:
            error = await fails_and_passes(asyncio.create_task(one.take(*batch)))
            assert isinstance(error, asyncpg.InvalidCachedStatementError)
            await one.take(*batch)
            await is_whole(one)
        finally:
            await other.execute("ALTER TABLE aggregates ALTER COLUMN shape TYPE smallint")


@pytest.mark.parametrize("moments", range(4))
async def test_connections_that_were_ended_while_nobody_asked_cost_an_attempt_each_at_most(
    make_database: MakeDatabase, moments: int
) -> None:
    """The farewell is read some turns of the loop before the end, and the driver errs in between.

    It then speaks of its own state, not of the server; a message alone in its batch was taken to
    break it, and was parked as poison.
    """
    async with engine(make_database, Toy()) as one:
        await one.take(event(FIRST, 1), event(SECOND, 1))
        await one.take(command(SECOND, "c-2", offset=1))
        _end_all(str(one.house.settings.database_url))
        for _ in range(moments):
            await asyncio.sleep(0)
        await attempts(one, command(FIRST, "c-1"))
        await is_whole(one)


async def test_a_farewell_whose_end_does_not_come_costs_an_attempt_each(
    make_database: MakeDatabase,
) -> None:
    """Over a network the end may be long in coming: no connection is handed out twice."""
    async with engine(make_database, Toy()) as one:
        await one.take(event(FIRST, 1), event(SECOND, 1))
        await one.take(command(SECOND, "c-2", offset=1))
        connections = [holder._con for holder in one.pool._holders if holder._con is not None]
        for connection in connections:
            connection._protocol.data_received(FAREWELL)
        errors = await attempts(one, command(FIRST, "c-1"))
        assert [type(error) for error in errors] == (
            [asyncpg.InternalClientError] * len(connections)
        )
        await is_whole(one)


async def attempts(one: TestEngine, record: FakeRecord) -> list[BaseException]:
    """The errors, each of which passes, until a message is handled; one a connection at most."""
    errors: list[BaseException] = []
    for _ in range(one.pool.get_size() + 1):
        work = asyncio.create_task(one.take(record))
        (error,) = await asyncio.gather(work, return_exceptions=True)
        if error is None:
            return errors
        assert passes(error), repr(error)
        errors.append(error)
    raise AssertionError(f"never handled: {errors!r}")


def _end_all(url: str) -> None:
    """All other connections of a database; this thread's loop reads nothing meanwhile."""

    async def ended() -> None:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection = await asyncpg.connect(url)
        try:
            await connection.fetch(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
            )
            count = f"SELECT count(*) FROM pg_stat_activity WHERE {others}"

            async def gone() -> bool:
                return not await connection.fetchval(count)

            await until(gone, "their end")
        finally:
            await connection.close()

    thread = Thread(target=lambda: asyncio.run(ended()))
    thread.start()
    thread.join()
