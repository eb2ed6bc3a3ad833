"""After a restore short of the last commit: what the topics know better, and going on from there.

What the service published is compared with its journal. Where the topic knows more, the service
goes on in a higher epoch, so that no reader takes its next events for what it had heard before.
What it had handled after the restored point it takes again; keys that were destroyed are destroyed
once more, and no case number is given a second time.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import TypeAdapter, ValidationError

from lianhu.contracts.base import CaseId, Instant
from lianhu.contracts.cloudevents import read
from lianhu.contracts.publishers import publisher_of
from lianhu.contracts.registry import events_topic
from lianhu.contracts.rights import group_of
from lianhu.eventing import aggregates, database, inbox, parked
from lianhu.eventing.connection import Access
from lianhu.eventing.leader import LEADER_LOCK

_KNOWN = """
SELECT j.stream, j.version, j.epoch, encode(j.hash, 'hex') FROM journal AS j
JOIN unnest($1::text[], $2::int[]) AS w (stream, version) USING (stream, version)
"""
_NUMBERS = """
INSERT INTO counters AS c (name, next) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (name) DO UPDATE SET next = GREATEST(c.next, EXCLUDED.next)
"""
_EMPTY = ("Empty", "Dead")
"""States of a group in which nobody is."""
_AT_ONCE = 500
_NUMBERED = re.compile(r"case/(.+)-([0-9]{6,})")
_ERASED = re.compile(r"lianhu\.[a-z]+\.keys-erased\.v[0-9]+")
_RESTRICTED = re.compile(r"lianhu\.[a-z]+\.keys-restricted\.v[0-9]+")
_CASE: TypeAdapter[str] = TypeAdapter(CaseId)
_UNTIL: TypeAdapter[datetime] = TypeAdapter(Instant)

Place = tuple[str, int]
"""Topic and partition."""
_Record: TypeAlias = "ConsumerRecord[bytes, bytes]"


class StillRuns(ValueError):
    """A replica of the service holds the lead or is in its group."""


@dataclass(frozen=True, slots=True, order=True)
class Published:
    """One event as the service's own topic has it."""

    stream: str
    epoch: int
    number: int
    hash: str
    type: str
    id: str
    time: str


@dataclass(slots=True)
class Comparison:
    """What the topics know, against the restored database."""

    epoch: int
    """The database's own."""
    highest: int = 0
    """The highest on the topic."""
    lost: list[Published] = field(default_factory=list)
    """Published in this epoch or a later one, and not in the journal."""
    erased: set[str] = field(default_factory=set)
    restricted: dict[str, datetime] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    """Counter -> the number that follows the last one that was given."""
    starts: dict[Place, int] = field(default_factory=dict)
    """Where each input partition is taken up again."""
    missing: dict[Place, int] = field(default_factory=dict)
    """How many records retention took away before they could be taken again."""
    taken_again: Counter[str] = field(default_factory=Counter)
    """Streams, and public topics, of what was handled after the restored point."""

    @property
    def next_epoch(self) -> int:
        """The epoch in which the service goes on."""
        return max(self.epoch, self.highest) + 1 if self.lost else self.epoch

    @property
    def cases(self) -> list[str]:
        """Every stream that is not certainly what people take it for."""
        again = {name for name in self.taken_again if "/" in name}
        return sorted({event.stream for event in self.lost} | again)


@asynccontextmanager
async def alone(
    connection: asyncpg.Connection, access: Access, service: str, patience: float
) -> AsyncIterator[None]:
    """Hold the lead for the length of the block. Raises `StillRuns`.

    `patience`: seconds for the group to notice that its last member is gone.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK):
        raise StillRuns("the service runs: stop all its replicas first")
    try:
        await _nobody_in(access, service, patience)
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LEADER_LOCK)


async def _nobody_in(access: Access, service: str, patience: float) -> None:
    admin = AIOKafkaAdminClient(**access.arguments(), client_id=f"{service}-restored")
    await admin.start()
    try:
        async with asyncio.timeout(patience):
            while await _state(admin, group_of(service)) not in _EMPTY:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise StillRuns("a replica is in the service's group: stop all of them first") from None
    finally:
        await admin.close()


async def _state(admin: AIOKafkaAdminClient, group: str) -> str:
    (answer,) = await admin.describe_consumer_groups([group])
    return str(answer.groups[0][2])


async def compare(
    connection: asyncpg.Connection, access: Access, service: str, pattern: str
) -> Comparison:
    """Read what the service published and what it had handled; changes nothing."""
    found = Comparison(await database.epoch(connection))
    arguments = {**access.arguments(), "client_id": f"{service}-restored"}
    admin = AIOKafkaAdminClient(**arguments)
    consumer = AIOKafkaConsumer(
        **arguments,
        group_id=group_of(service),
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await admin.start()
    try:
        await consumer.start()
        own, inputs = await _places(admin, events_topic(service), re.compile(pattern))
        await _published(connection, consumer, own, found)
        await _handled(connection, consumer, inputs, found)
    finally:
        await consumer.stop()
        await admin.close()
    return found


async def _places(
    admin: AIOKafkaAdminClient, own: str, inputs: re.Pattern[str]
) -> tuple[list[TopicPartition], list[TopicPartition]]:
    mine, others = [], []
    for topic in await admin.describe_topics():
        name = topic["topic"]
        places = [TopicPartition(name, one["partition"]) for one in topic["partitions"]]
        if name == own:
            mine += places
        elif inputs.fullmatch(name):
            others += places
    return mine, others


async def _published(
    connection: asyncpg.Connection,
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    found: Comparison,
) -> None:
    starts = await consumer.beginning_offsets(places)
    ends = await consumer.end_offsets(places)
    seen: set[Published] = set()
    async for records in _between(consumer, starts, ends):
        events = [event for record in records if (event := _event(record, found)) is not None]
        rows = await connection.fetch(
            _KNOWN, [event.stream for event in events], [event.number for event in events]
        )
        known = {(row[0], row[1]): (row[2], row[3]) for row in rows}
        for event in events:
            found.highest = max(found.highest, event.epoch)
            if number := _NUMBERED.fullmatch(event.stream):
                name, after = number[1], int(number[2]) + 1
                found.numbers[name] = max(found.numbers.get(name, 1), after)
            if event.epoch < found.epoch or event in seen:
                continue  # what an earlier restore lost was told then
            if known.get((event.stream, event.number)) != (event.epoch, event.hash):
                seen.add(event)
                found.lost.append(event)
    found.lost.sort()


def _event(record: _Record, found: Comparison) -> Published | None:
    get = read(record.headers, record.value).attributes.get
    stream, type_ = get("subject", ""), get("type", "")
    number, epoch = get("sequence", ""), get("epoch", "")
    if not (number.isdecimal() and epoch.isdecimal()):
        return None
    if _ERASED.fullmatch(type_):
        found.erased.add(stream)
    elif _RESTRICTED.fullmatch(type_):
        until = _UNTIL.validate_python(json.loads(record.value or b"{}")["until"])
        found.restricted[stream] = max(until, found.restricted.get(stream, until))
    return Published(
        stream, int(epoch), int(number), get("rowhash", ""), type_, get("id", ""), get("time", "")
    )


async def _handled(
    connection: asyncpg.Connection,
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    found: Comparison,
) -> None:
    progress = await inbox.progress_of(connection)
    first = await consumer.beginning_offsets(places)
    consumer.assign(places)
    starts, ends = {}, {}
    for place in places:
        reached = await consumer.committed(place)
        handled = progress.get((place.topic, place.partition), (0,))[0]
        if reached is None or reached <= handled:
            continue  # nothing was handled that the database does not know
        start = max(handled, first[place])
        starts[place], ends[place] = start, max(start, reached)
        found.starts[place.topic, place.partition] = start
        if start > handled:
            found.missing[place.topic, place.partition] = start - handled
    async for records in _between(consumer, starts, ends):
        found.taken_again.update(_about(record) for record in records)


def _about(record: _Record) -> str:
    """The stream of an event, the case of a command; a report stands on its publisher's topic."""
    if publisher_of(record.topic) is None:
        topic: str = record.topic
        return read(record.headers, record.value).attributes.get("subject") or topic
    try:
        body = json.loads(record.value or b"")
        return f"case/{_CASE.validate_python(body['case'])}"
    except (ValueError, ValidationError, KeyError, TypeError):
        return str(record.topic)


async def _between(
    consumer: AIOKafkaConsumer,
    starts: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
) -> AsyncIterator[list[_Record]]:
    """Everything from `starts` on and before `ends`."""
    open_ = [place for place in starts if starts[place] < ends[place]]
    if not open_:
        return
    consumer.assign(open_)
    for place in open_:
        consumer.seek(place, starts[place])
    while open_:
        fetched = await consumer.getmany(*open_, timeout_ms=500, max_records=_AT_ONCE)
        for place, records in fetched.items():
            if within := [record for record in records if record.offset < ends[place]]:
                yield within
        open_ = [place for place in open_ if await consumer.position(place) < ends[place]]


async def go_on(
    connection: asyncpg.Connection, access: Access, service: str, found: Comparison
) -> list[str]:
    """Take up the inputs where the database stands, then raise the epoch; whose keys were erased.

    In this order: what breaks off is found again by the next call, and twice is harmless.
    """
    if found.starts:
        await _take_up(access, service, found)
    async with connection.transaction():
        erased = await aggregates.erase_keys(connection, found.erased)
        await parked.erase(connection, erased)
        await aggregates.restrict_keys(connection, found.restricted)
        if found.numbers:
            names = sorted(found.numbers)
            await connection.execute(_NUMBERS, names, [found.numbers[name] for name in names])
        if found.next_epoch > found.epoch:
            await connection.execute("INSERT INTO epochs (epoch) VALUES ($1)", found.next_epoch)
    return erased


async def _take_up(access: Access, service: str, found: Comparison) -> None:
    offsets = {TopicPartition(*place): offset for place, offset in found.starts.items()}
    consumer = AIOKafkaConsumer(
        **access.arguments(),
        client_id=f"{service}-restored",
        group_id=group_of(service),
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign([*offsets])
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


def told(found: Comparison) -> list[str]:
    """What an operator reads and keeps: a line for each thing, and no value of anybody's."""
    lines = [
        f"lost {one.stream} {one.epoch}:{one.number} {one.type} {one.id} {one.time}"
        for one in found.lost
    ]
    lines += [f"again {name} {count}" for name, count in sorted(found.taken_again.items())]
    lines += [
        f"gone {topic} {partition} {count}"
        for (topic, partition), count in sorted(found.missing.items())
    ]
    lines += [f"affected {name}" for name in found.cases]
    return lines


def ended(found: Comparison) -> str:
    """The last line: in which epoch the service goes on."""
    if found.next_epoch > found.epoch:
        return f"it goes on in epoch {found.next_epoch}"
    return f"the topic knows nothing more than the journal: epoch {found.epoch} stays"
