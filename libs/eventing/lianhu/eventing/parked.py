"""Parked messages: the dead letters 死信, and what waits for another message. All their SQL."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from lianhu.contracts.faults import Fault
from lianhu.eventing.delivery import Delivery, Reason
from lianhu.privacy import DataKey, open_bytes, seal_bytes

_FAULTS = TypeAdapter(tuple[Fault, ...])
_INSERT = """
INSERT INTO parked (letter, topic, partition, "offset", stamp, source, stream, sequence, reason,
                    faults, body, due)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[],
                     $7::text[], $8::int[], $9::text[], $10::text[], $11::bytea[],
                     $12::timestamptz[])
ON CONFLICT (topic, partition, "offset") DO NOTHING RETURNING letter
"""
# A topic that was deleted and made anew has other records at places that are known: what was parked
# from there before gives its place up, to one that no topic has.
_GIVE_UP = """
UPDATE parked AS p SET "offset" = -p.id
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS n (topic, part, place, stamp)
WHERE p.topic = n.topic AND p.partition = n.part AND p."offset" = n.place AND p.stamp <> n.stamp
"""
_KEEP = """
UPDATE parked AS p
SET reason = n.reason, faults = n.faults, due = n.due, attempts = p.attempts + 1
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS n (id, reason, faults, due)
WHERE p.id = n.id
"""
_BLOCKED = """
SELECT stream, source, min(id), min(id) FILTER (WHERE reason = 'poison') FROM parked
WHERE stream = ANY ($1::text[]) AND reason IN ('poison', 'behind', 'gap', 'awaiting')
  AND id <> ALL ($2::bigint[])
GROUP BY stream, source
"""
_CLAIM = "SELECT id FROM parked WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE"
_RELEASE = """
UPDATE parked AS p SET due = now()
FROM unnest($1::text[], $2::text[]) AS w (stream, source)
WHERE p.stream = w.stream AND p.source = w.source AND p.reason IN ('behind', 'gap', 'awaiting')
"""
# A due message brings along all that waits in the same stream from the same source, in order.
_DUE = """
WITH due AS (
    SELECT id, stream, source FROM parked WHERE due <= now() ORDER BY due LIMIT $1
)
SELECT p.id, p.letter, p.topic, p.partition, p."offset", p.stamp, p.source, p.stream, p.sequence,
       p.reason, p.body, p.due <= now() AS ripe
FROM parked AS p
WHERE p.id IN (SELECT id FROM due)
   OR (p.reason IN ('poison', 'behind', 'gap', 'awaiting')
       AND (p.stream, p.source) IN (SELECT stream, source FROM due))
ORDER BY p.source, p.stream, p.sequence, p.id
LIMIT $2
"""
_ERASE = "DELETE FROM parked WHERE stream = ANY ($1::text[]) AND reason = 'refused'"
_WAKE = "UPDATE parked SET due = now() WHERE stream = ANY ($1::text[])"
_PRUNE_OLD = "DELETE FROM parked WHERE reason = 'refused' AND at < $1"
_PRUNE_MANY = """
DELETE FROM parked WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY source ORDER BY id DESC) AS place
        FROM parked WHERE reason = 'refused'
    ) AS ranked WHERE place > $1
)
"""


@dataclass(slots=True)
class Letter:
    """A message to park, or to keep parked."""

    letter: str
    delivery: Delivery
    reason: Reason
    faults: tuple[Fault, ...] = ()
    due: datetime | None = None


@dataclass(slots=True)
class Changes:
    """What one transaction does to the parked messages."""

    new: list[Letter] = field(default_factory=list)
    kept: list[Letter] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    released: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it came, out of a parked row."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked row that is to be tried again."""

    id: int
    letter: str
    record: StoredRecord
    source: str
    reason: Reason
    ripe: bool
    """Its own time has come; otherwise it was brought along."""


async def blocked(
    connection: asyncpg.Connection, streams: Sequence[str], without: Sequence[int]
) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Stream and source of what holds up later messages -> the first id; leaves out some ids.

    The second holds the first of those that only an operator brings back.
    """
    if not streams:
        return {}, {}
    rows = await connection.fetch(_BLOCKED, streams, without)
    first = {(row[0], row[1]): row[2] for row in rows}
    return first, {(row[0], row[1]): row[3] for row in rows if row[3] is not None}


async def claim(connection: asyncpg.Connection, ids: Sequence[int]) -> set[int]:
    """Lock these rows; the answer holds those that are still there."""
    return {row[0] for row in await connection.fetch(_CLAIM, ids)}


async def write(connection: asyncpg.Connection, changes: Changes, key: DataKey) -> set[str]:
    """Write all changes: at most five statements. Returns the new letters.

    A record that is parked already, and came again, is no new letter.
    """
    written: set[str] = set()
    if changes.new:
        records = [_record(letter.delivery) for letter in changes.new]
        positions = [letter.delivery.sequence for letter in changes.new]
        places = (
            [record.topic for record in records],
            [record.partition for record in records],
            [record.offset for record in records],
            [record.timestamp for record in records],
        )
        await connection.execute(_GIVE_UP, *places)
        rows = await connection.fetch(
            _INSERT,
            [letter.letter for letter in changes.new],
            *places,
            [letter.delivery.source for letter in changes.new],
            [letter.delivery.about for letter in changes.new],
            [position.number if position else None for position in positions],
            [letter.reason for letter in changes.new],
            [_FAULTS.dump_json(letter.faults).decode() for letter in changes.new],
            [seal_bytes(key, _pack(record)) for record in records],
            [letter.due for letter in changes.new],
        )
        written = {row[0] for row in rows}
    if changes.kept:
        await connection.execute(
            _KEEP,
            [letter.delivery.parked for letter in changes.kept],
            [letter.reason for letter in changes.kept],
            [_FAULTS.dump_json(letter.faults).decode() for letter in changes.kept],
            [letter.due for letter in changes.kept],
        )
    if changes.gone:
        await connection.execute("DELETE FROM parked WHERE id = ANY ($1::bigint[])", changes.gone)
    if changes.released:
        pairs = sorted(changes.released)
        await connection.execute(
            _RELEASE, [stream for stream, _ in pairs], [source for _, source in pairs]
        )
    return written


async def ripe(connection: asyncpg.Connection, key: DataKey, limit: int) -> list[Parked]:
    """What is to be tried again now, in the order of each stream."""
    rows = await connection.fetch(_DUE, limit, 5 * limit)
    return [
        Parked(
            id=row[0],
            letter=row[1],
            record=unpack(row[2], row[3], row[4], row[5], open_bytes(key, row[10])),
            source=row[6],
            reason=Reason(row[9]),
            ripe=bool(row[11]),
        )
        for row in rows
    ]


async def replay(connection: asyncpg.Connection, letters: Sequence[str]) -> int:
    """An operator wants these letters tried again; the same rules, the same ids."""
    status: str = await connection.execute(
        "UPDATE parked SET due = now() WHERE letter = ANY ($1::text[])", letters
    )
    return int(status.rsplit(" ", 1)[1])


async def erase(connection: asyncpg.Connection, streams: Sequence[str]) -> None:
    """Nothing of these streams stays: the bodies are under a key that is not theirs.

    What was refused is deleted. What waits is tried once more, and let go then: it is answered, or
    its place in its producer's stream is passed.
    """
    await connection.execute(_ERASE, streams)
    await connection.execute(_WAKE, streams)


async def counts(connection: asyncpg.Connection) -> list[tuple[str, int, datetime]]:
    """Per reason: how many, and since when the oldest."""
    rows = await connection.fetch("SELECT reason, count(*), min(at) FROM parked GROUP BY reason")
    return [(row[0], row[1], row[2]) for row in rows]


async def prune(connection: asyncpg.Connection, now: datetime, days: int, most: int) -> None:
    """Drop refused messages that are too old, and those of a publisher beyond its share."""
    await connection.execute(_PRUNE_OLD, now - timedelta(days=days))
    await connection.execute(_PRUNE_MANY, most)


def _record(delivery: Delivery) -> StoredRecord:
    record = delivery.record
    if record is None:
        raise ValueError("only a record can be parked")
    return StoredRecord(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        tuple(record.headers),
        record.value,
    )


def _pack(record: StoredRecord) -> bytes:
    return to_json(
        {
            "headers": [
                [name, None if value is None else b64encode(value).decode()]
                for name, value in record.headers
            ],
            "value": None if record.value is None else b64encode(record.value).decode(),
        }
    )


def unpack(topic: str, partition: int, offset: int, stamp: int, packed: bytes) -> StoredRecord:
    """The record again, as it came."""
    whole = from_json(packed)
    return StoredRecord(
        topic,
        partition,
        offset,
        stamp,
        tuple(
            (name, None if value is None else b64decode(value)) for name, value in whole["headers"]
        ),
        None if whole["value"] is None else b64decode(whole["value"]),
    )
