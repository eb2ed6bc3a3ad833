"""A service with many cases: the rows of a prepared database, multiplied by SQL.

The copies have numbers, states, keys, letters in and journals of their own, and nobody sends
anything about them. What they do not have: chained hashes that hold, and values that open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil
from time import monotonic

import asyncpg
import psutil

from deploy.embedded import Session
from deploy.embedded.databases import Dsns
from deploy.embedded.services import readiness
from tests.load.generator import Outgoing, send
from tests.load.racers import Mediation, Run, TooSlow, rested

_IDLE = 0.25
"""A share of a processor: a process that uses less has nothing to do but to look for work."""
_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 600.0

# $1: how many copies of each row; $2: what the numbers begin with. With 440304-2026-9, copy 7 of
# 440304-2026-900123 is 440304-2026-900000700123.
_MULTIPLY = (
    """
    INSERT INTO aggregates (stream, version, head, at, shape, state, seen, next_due)
    SELECT replace(stream, $2, $2 || lpad(n::text, 6, '0')), version, head, at, shape,
           replace(state, $2, $2 || lpad(n::text, 6, '0')), seen, next_due
    FROM aggregates, generate_series(1, $1::int) AS n WHERE stream LIKE 'case/' || $2 || '%'
    """,
    """
    INSERT INTO journal (stream, version, epoch, id, type, time, causation, correlation, trace,
                         answers, body, hash)
    SELECT replace(stream, $2, $2 || lpad(n::text, 6, '0')), version, epoch, md5(id || n), type,
           time, causation, correlation, trace, answers,
           replace(body, $2, $2 || lpad(n::text, 6, '0')), hash
    FROM journal, generate_series(1, $1::int) AS n WHERE stream LIKE 'case/' || $2 || '%'
    ORDER BY n, seq
    """,
    """
    INSERT INTO aggregates (stream, version, head, at, shape, state, seen, next_due)
    SELECT stream || '-' || n, version, head, at, shape,
           replace(state, $2, $2 || lpad(n::text, 6, '0')), seen, next_due
    FROM aggregates, generate_series(1, $1::int) AS n WHERE stream LIKE 'person/%'
    """,
    """
    INSERT INTO inbox (topic, id, digest, at)
    SELECT topic, id || '-' || n, digest, at FROM inbox, generate_series(1, $1::int) AS n
    WHERE $2::text IS NOT NULL
    """,
    """
    INSERT INTO case_keys (id, wrapped, erased_at, restricted_until)
    SELECT replace(id, $2, $2 || lpad(n::text, 6, '0')), wrapped, erased_at, restricted_until
    FROM case_keys, generate_series(1, $1::int) AS n WHERE id LIKE 'case/' || $2 || '%'
    """,
    """
    INSERT INTO person_refs (index, ref)
    SELECT index || int4send(n), ref || '-' || n FROM person_refs, generate_series(1, $1::int) AS n
    WHERE $2::text IS NOT NULL
    """,
)
TEMPLATES = 900_000
"""Cases with numbers from here on are those that are multiplied."""

_SCREENS = """
    INSERT INTO in_app (notice, at, unit, role, case_number, about_type, subject_zh, text_zh,
                        subject_en, text_en)
    SELECT notice || '-' || n, at, unit, role,
           replace(case_number, $2, $2 || lpad(n::text, 6, '0')), about_type, subject_zh, text_zh,
           subject_en, text_en
    FROM in_app, generate_series(1, $1::int) AS n
"""
"""Rows on the screens of units, which notify alone has."""

_PUBLISHED = "UPDATE relay_cursor SET seq = (SELECT coalesce(max(seq), 0) FROM journal)"
_CASES = "SELECT count(*) FROM aggregates WHERE stream LIKE 'case/' || $1 || '%'"


async def multiplied(connection: asyncpg.Connection, cases: int, beginning: str) -> tuple[int, int]:
    """At least so many of the cases whose numbers begin so; how many there were, and are then.

    All in one transaction, their people with them; nothing of the copies is published.
    """
    there: int = await connection.fetchval(_CASES, beginning)
    copies = max(ceil(cases / there) - 1, 0)
    statements = [*_MULTIPLY]
    if await connection.fetchval("SELECT to_regclass('in_app') IS NOT NULL"):
        statements.append(_SCREENS)
    async with connection.transaction():
        for statement in statements:
            await connection.execute(statement, copies, beginning)
        await connection.execute(_PUBLISHED)
    return there, await connection.fetchval(_CASES, beginning)


class Grown(Mediation):
    """Mediation as it is shipped, on a copy of its database."""

    def __init__(self, session: Session, database: str) -> None:
        super().__init__(session)
        self._name = database
        self._dsns = _moved(self._dsns, database)

    async def prepare(self) -> None:
        """The copy, of what nobody may use meanwhile."""
        self._session.stack.postgres.psql(f"CREATE DATABASE {self._name} TEMPLATE {Mediation.name}")

    async def multiply(self, cases: int, beginning: str) -> int:
        """At least so many of the cases whose numbers begin so; how many there are then."""
        connection = await asyncpg.connect(self.database)
        try:
            _, there = await multiplied(connection, cases, beginning)
            return there
        finally:
            await connection.close()

    async def settle(self) -> float:
        """Start it and wait until it has counted what there is; seconds from ready to idle."""
        self.start()
        last = monotonic() + _PATIENCE_SECONDS
        while readiness(self._replica.port).status != 200:
            self._check(last)
            await asyncio.sleep(0.1)
        process, ready = psutil.Process(self._pid(self.daemon)), monotonic()
        process.cpu_percent()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if process.cpu_percent() < 100 * _IDLE:
                return monotonic() - _LOOK_SECONDS - ready
            self._check(last)

    async def answer(self, orders: Sequence[Outgoing]) -> Run:
        """Start it, let it settle, hand over these commands, wait until all are published."""
        connection = await asyncpg.connect(self.database)
        try:
            before = await rested(connection)
            try:
                await self.settle()
                sending = asyncio.create_task(
                    asyncio.to_thread(send, self._session.bootstrap, orders)
                )
                run = await self._timed(connection, before, len(orders))
                await sending
            finally:
                self.stop()
            return run
        finally:
            await connection.close()

    def _check(self, last: float) -> None:
        if monotonic() > last or self.daemon.record() is None:
            raise TooSlow(f"{self.name} does not settle.{self.daemon.tail()}")


def _moved(dsns: Dsns, database: str) -> Dsns:
    def there(dsn: str) -> str:
        return dsn.replace(f"/{dsns.database}?", f"/{database}?")

    return Dsns(database, there(dsns.runtime), there(dsns.owner), there(dsns.admin))
