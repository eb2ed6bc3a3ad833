"""Reads a service's database, in one snapshot that changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, MutableMapping

import asyncpg

from tests.checker.evidence import Database, InApp, JournalRow, Parked, StateRow

_JOURNAL = """
SELECT seq, stream, version, epoch, id, type, time, causation, answers, body, hash
FROM journal WHERE seq > $1 ORDER BY seq
"""
_STATES = """
SELECT stream, version, head, state, seen, next_due, shape FROM aggregates ORDER BY stream
"""
_PARKED = """
SELECT letter, reason, source, stream,
       (SELECT coalesce(string_agg(one ->> 'slug', ' '), '')
        FROM json_array_elements(faults::json) one)
FROM parked ORDER BY id
"""
_MOVES = "SELECT from_at, ahead FROM clock ORDER BY from_at"
_PASSED_OVER = "SELECT type FROM passed_over"
_IN_APP = "SELECT notice, unit, case_number FROM in_app ORDER BY notice"


async def read_databases(dsns: Mapping[str, str], known: MutableMapping[str, Database]) -> None:
    """The databases of these services, side by side, into `known`. Raises what asyncpg raises.

    Rows of journals that are known already are not read again. Nothing is returned, for what a
    task returns is written out in full where its loop takes care of Ctrl-C.
    """

    async def read(service: str, dsn: str) -> None:
        before = known[service].journal if service in known else ()
        known[service] = await _read(service, dsn, before)

    await asyncio.gather(*(read(service, dsn) for service, dsn in dsns.items()))


async def _read(service: str, dsn: str, before: tuple[JournalRow, ...]) -> Database:
    last = before[-1].seq if before else 0
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            has_screens = await connection.fetchval("SELECT to_regclass('in_app') IS NOT NULL")
            return Database(
                service=service,
                journal=before
                + tuple(JournalRow(*row) for row in await connection.fetch(_JOURNAL, last)),
                states=tuple(_state(row) for row in await connection.fetch(_STATES)),
                parked=tuple(Parked(*row) for row in await connection.fetch(_PARKED)),
                cursor=await connection.fetchval("SELECT seq FROM relay_cursor"),
                moves=tuple((row[0], row[1]) for row in await connection.fetch(_MOVES)),
                in_app=tuple(InApp(*row) for row in await connection.fetch(_IN_APP))
                if has_screens
                else (),
                epoch=await connection.fetchval("SELECT max(epoch) FROM epochs"),
                passed_over=frozenset(row[0] for row in await connection.fetch(_PASSED_OVER)),
            )
    finally:
        await connection.close()


def _state(row: asyncpg.Record) -> StateRow:
    seen = {
        producer: (int(epoch), int(number), str(hash_))
        for producer, (epoch, number, hash_) in json.loads(row["seen"]).items()
    }
    return StateRow(
        *(row["stream"], row["version"], row["head"], row["state"], seen),
        *(row["next_due"], row["shape"]),
    )
