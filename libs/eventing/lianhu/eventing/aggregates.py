"""The present states: placeholders, locks in order, and the rows written back. All its SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from pydantic_core import from_json, to_json

from lianhu.eventing.rules import State, Stream

_PLACE = """
INSERT INTO aggregates (stream) SELECT * FROM unnest($1::text[]) ON CONFLICT (stream) DO NOTHING
"""
# Rows are locked in the order in which the sort hands them over: by rank, kind and key, everywhere.
_LOCK = """
SELECT a.stream, a.version, a.head, a.at, a.shape, a.state, a.seen, a.next_due
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (stream, place)
JOIN aggregates AS a USING (stream)
ORDER BY wanted.place
FOR UPDATE OF a
"""
# Never joined to the locking statement: that waits, and then has the locked rows anew but every
# other table as it was before the wait; a key made meanwhile would be missed and made twice.
_WRAPPED = "SELECT id, wrapped, erased_at IS NOT NULL FROM case_keys WHERE id = ANY ($1::text[])"
_WRITE = """
UPDATE aggregates AS a
SET version = n.version, head = n.head, at = n.at, shape = n.shape, state = n.state, seen = n.seen,
    next_due = n.next_due
FROM unnest($1::text[], $2::int[], $3::bytea[], $4::timestamptz[], $5::smallint[], $6::text[],
            $7::text[], $8::timestamptz[])
     AS n (stream, version, head, at, shape, state, seen, next_due)
WHERE a.stream = n.stream
"""
_APPEND = """
INSERT INTO aggregates (stream, version, head, at)
SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::timestamptz[])
"""
_KEYS = """
INSERT INTO case_keys (id, wrapped) SELECT * FROM unnest($1::text[], $2::bytea[])
ON CONFLICT (id) DO NOTHING
"""
_ERASE = """
INSERT INTO case_keys (id, wrapped, erased_at)
SELECT id, '', now() FROM unnest($1::text[]) AS e (id)
ON CONFLICT (id) DO UPDATE SET wrapped = '', erased_at = COALESCE(case_keys.erased_at, now())
"""
_ERASED = "SELECT id FROM case_keys WHERE id = ANY ($1::text[]) AND erased_at IS NOT NULL"
_RESTRICT = """
UPDATE case_keys AS k SET restricted_until = GREATEST(k.restricted_until, n.until)
FROM unnest($1::text[], $2::timestamptz[]) AS n (id, until) WHERE k.id = n.id
"""
_DUE = """
SELECT stream, next_due FROM aggregates
WHERE next_due <= $1
  AND stream NOT IN (SELECT stream FROM parked WHERE due <= now() AND stream IS NOT NULL)
ORDER BY next_due LIMIT $2
"""

Seen = dict[str, list[int | str]]
"""Producer -> epoch, sequence and hash of the last event handled."""


@dataclass(slots=True)
class Aggregate:
    """One locked row, as the messages of the batch so far have left it."""

    stream: Stream
    name: str
    version: int = 0
    head: bytes | None = None
    at: datetime | None = None
    shape: int = 0
    text: str | None = None
    """The state as stored; parsed into `state` on first use."""
    state: State | None = None
    seen_text: str = "{}"
    seen: Seen | None = None
    wrapped: bytes | None = None
    erased: bool = False
    """Its key was destroyed 已删除: nothing is sealed or opened here any more."""
    new: bool = False
    """The row is not in the table yet; only for streams that nothing else can touch."""
    parsed: bool = False
    broken: str | None = None
    """Why its state cannot be had; told by each message that needs it."""
    dirty: bool = False
    evolved: bool = False
    next_due: datetime | None = None
    new_key: bool = False
    erase: bool = False
    """Its key goes with this transaction."""
    restrict: datetime | None = None
    """Its key is for nobody until then."""
    deferred: datetime | None = None
    """Its deadlines failed; they are looked at again then."""

    def last_of(self, producer: str) -> tuple[int, int, str]:
        """Epoch, sequence and hash of the last event of a producer handled here; zeros if none."""
        epoch, number, hash_ = self._seen().get(producer, (0, 0, ""))
        return int(epoch), int(number), str(hash_)

    def note(self, producer: str, epoch: int, number: int, hash_: str) -> None:
        """Remember an event as handled."""
        self._seen()[producer] = [epoch, number, hash_]
        self.dirty = True

    def _seen(self) -> Seen:
        if self.seen is None:
            found: Seen = from_json(self.seen_text)
            self.seen = found
        return self.seen


async def place(connection: asyncpg.Connection, streams: Iterable[Stream]) -> None:
    """Insert a row for each stream that has none. Rows that do not exist cannot be locked."""
    ordered = sorted(streams, key=lambda stream: stream.sort_key)
    await connection.execute(_PLACE, [str(stream) for stream in ordered])


async def lock(
    connection: asyncpg.Connection, streams: Iterable[Stream]
) -> dict[Stream, Aggregate]:
    """Lock the rows of these streams, in order; a stream without a row is not in the answer."""
    by_name = {str(stream): stream for stream in streams}
    ordered = sorted(by_name, key=lambda name: by_name[name].sort_key)
    rows = await connection.fetch(_LOCK, ordered)
    names = [row[0] for row in rows]
    keys = {row[0]: row for row in await connection.fetch(_WRAPPED, names)} if names else {}
    return {
        by_name[row[0]]: Aggregate(
            stream=by_name[row[0]],
            name=row[0],
            version=row[1],
            head=row[2],
            at=row[3],
            shape=row[4],
            text=row[5],
            seen_text=row[6],
            next_due=row[7],
            wrapped=keys[row[0]][1] if row[0] in keys and not keys[row[0]][2] else None,
            erased=row[0] in keys and keys[row[0]][2],
        )
        for row in rows
    }


async def write(connection: asyncpg.Connection, aggregates: Sequence[Aggregate]) -> None:
    """Write back every row that changed, and the rows of new streams."""
    changed = [found for found in aggregates if found.dirty and not found.new]
    fresh = [found for found in aggregates if found.new]
    if changed:
        await connection.execute(
            _WRITE,
            [found.name for found in changed],
            [found.version for found in changed],
            [found.head for found in changed],
            [found.at for found in changed],
            [found.shape for found in changed],
            [found.text for found in changed],
            [
                found.seen_text if found.seen is None else to_json(found.seen).decode()
                for found in changed
            ],
            [found.next_due for found in changed],
        )
    if fresh:
        fresh.sort(key=lambda found: found.stream.sort_key)
        await connection.execute(
            _APPEND,
            [found.name for found in fresh],
            [found.version for found in fresh],
            [found.head for found in fresh],
            [found.at for found in fresh],
        )
    keys = sorted((found for found in aggregates if found.new_key), key=lambda found: found.name)
    if keys:
        await connection.execute(
            _KEYS, [found.name for found in keys], [found.wrapped for found in keys]
        )
    if erased := sorted(found.name for found in aggregates if found.erase):
        await connection.execute(_ERASE, erased)
    restricted = {found.name: found.restrict for found in aggregates if found.restrict}
    if restricted:
        names = sorted(restricted)
        await connection.execute(_RESTRICT, names, [restricted[name] for name in names])


async def erase_keys(connection: asyncpg.Connection, names: Collection[str]) -> list[str]:
    """Destroy these streams' keys once more; those of which one was still there, or unknown."""
    rows = await connection.fetch(_ERASED, sorted(names))
    known = {row[0] for row in rows}
    open_ = sorted(name for name in names if name not in known)
    await connection.execute(_ERASE, open_)
    return open_


async def restrict_keys(connection: asyncpg.Connection, until: Mapping[str, datetime]) -> None:
    """These streams' keys open nothing until then."""
    names = sorted(until)
    await connection.execute(_RESTRICT, names, [until[name] for name in names])


async def load(connection: asyncpg.Connection, stream: Stream) -> Aggregate | None:
    """One row, unlocked; for operators."""
    row = await connection.fetchrow(
        "SELECT stream, version, head, at, shape, state, seen FROM aggregates WHERE stream = $1",
        str(stream),
    )
    if row is None:
        return None
    return Aggregate(
        stream=stream,
        name=row[0],
        version=row[1],
        head=row[2],
        at=row[3],
        shape=row[4],
        text=row[5],
        seen_text=row[6],
    )


async def due(
    connection: asyncpg.Connection, horizon: datetime, limit: int
) -> list[tuple[str, datetime]]:
    """Streams with a deadline at or before `horizon`, the earliest first, unlocked.

    Not those for which a parked message is ripe: it was sent before, and is tried first.
    """
    rows = await connection.fetch(_DUE, horizon, limit)
    return [(row[0], row[1]) for row in rows]


async def earliest_due(connection: asyncpg.Connection) -> datetime | None:
    """The earliest deadline of all."""
    found: datetime | None = await connection.fetchval("SELECT min(next_due) FROM aggregates")
    return found
