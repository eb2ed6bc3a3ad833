"""The journal 流水: rows in commit order, each chained to the one before it in its stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

import asyncpg

# One lock for all appends of a database: so `seq` is the order of commits, and a reader that has
# seen a row will never find one before it.
APPEND_LOCK = 0x6C69616E_01
_LENGTH = Struct(">I")


class Row(NamedTuple):
    """One thing that happened. `body` is JSON text, kept to the byte; `hash` covers all of it."""

    stream: str
    version: int
    epoch: int
    id: str
    type: str
    time: datetime
    causation: str | None
    correlation: str | None
    trace: str | None
    answers: str | None
    body: str
    hash: bytes
    seq: int = 0


_COLUMNS = Row._fields[:-1]
_SELECT = f"SELECT {', '.join(Row._fields)} FROM journal"  # noqa: S608 - names of our own


def chain(
    stream: str,
    version: int,
    id_: str,
    type_: str,
    time: datetime,
    causation: str | None,
    body: str,
    previous: bytes | None,
) -> bytes:
    """SHA-256 over the row and its predecessor's hash; each part with its length before it."""
    digest = sha256()
    for part in (
        stream.encode(),
        b"%d" % version,
        id_.encode(),
        type_.encode(),
        time.astimezone(UTC).isoformat().encode(),
        (causation or "").encode(),
        body.encode(),
        previous or b"",
    ):
        digest.update(_LENGTH.pack(len(part)))
        digest.update(part)
    return digest.digest()


def verify(row: Row, previous: bytes | None) -> bool:
    """Whether a row's hash is what its content and its predecessor give."""
    return row.hash == chain(
        row.stream,
        row.version,
        row.id,
        row.type,
        row.time,
        row.causation,
        row.body,
        previous,
    )


async def append(connection: asyncpg.Connection, rows: Sequence[Row]) -> None:
    """Append in this order. Takes the append lock; the caller commits soon after."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", APPEND_LOCK)
    await connection.copy_records_to_table(
        "journal",
        columns=_COLUMNS,
        records=[row[: len(_COLUMNS)] for row in rows],
    )


async def after(connection: asyncpg.Connection, seq: int, limit: int) -> list[Row]:
    """The next rows in commit order."""
    rows = await connection.fetch(f"{_SELECT} WHERE seq > $1 ORDER BY seq LIMIT $2", seq, limit)
    return [_row(row) for row in rows]


async def of_streams(
    connection: asyncpg.Connection, streams: Collection[str]
) -> dict[str, list[Row]]:
    """All rows of each of these streams, oldest first; in one query, or none for no streams."""
    found: dict[str, list[Row]] = {stream: [] for stream in streams}
    if found:
        asked = f"{_SELECT} WHERE stream = ANY ($1::text[]) ORDER BY stream, version"
        for raw in await connection.fetch(asked, list(found)):
            row = _row(raw)
            found[row.stream].append(row)
    return found


async def by_stream(connection: asyncpg.Connection, size: int = 500) -> AsyncIterator[list[Row]]:
    """All rows, stream by stream; needs a transaction (it reads by a cursor)."""
    current: list[Row] = []
    async for raw in connection.cursor(f"{_SELECT} ORDER BY stream, version", prefetch=size):
        row = _row(raw)
        if current and current[0].stream != row.stream:
            yield current
            current = []
        current.append(row)
    if current:
        yield current


async def passed_over(connection: asyncpg.Connection) -> frozenset[str]:
    """Types that a release which does not know them passes over."""
    return frozenset(row[0] for row in await connection.fetch("SELECT type FROM passed_over"))


def _row(row: asyncpg.Record) -> Row:
    return Row(*row)
