"""The floor: the same hop written by hand for this one service, as quick as it honestly goes.

One process, one transaction a batch: inbox, states for update, the same rules, one statement a
table, the same hash chain, the same records out through a cursor, one batch a partition. What an
engine is for is left out: nothing is parked, refused or retried, no deadlines, no gaps, no second
replica, no metrics.
Run as `python -m tests.load.floor`, told by `FLOOR_*`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from lianhu.contracts import REGISTRY
from lianhu.contracts.cloudevents import headers_of
from lianhu.contracts.mediation import AgreementReached, CaseConcluded, NoteAdded, VisitRecorded
from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.registry import answers_topic
from lianhu.eventing.journal import chain
from lianhu.eventing.rules import Message, Stream
from lianhu.mediation import workflow
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from lianhu.mediation.workflow import CaseState
from lianhu.privacy import MasterKeys, Sealer
from tests.load.generator import CASES, COMMANDS, PUBLISHER

EVENTS = "mediation.events.v1"
_ANSWERS = answers_topic("mediation", PUBLISHER)
GROUP = "floor"
BATCH = 500
RELAY = 2000

SCHEMA = """
CREATE TABLE states (
    stream  text PRIMARY KEY,
    version integer     NOT NULL,
    head    bytea       NOT NULL,
    at      timestamptz NOT NULL,
    state   text        NOT NULL,
    wrapped bytea
) WITH (fillfactor = 80);
CREATE TABLE journal (
    seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream    text        NOT NULL,
    version   integer     NOT NULL,
    id        text        NOT NULL,
    type      text        NOT NULL,
    time      timestamptz NOT NULL,
    causation text        NOT NULL,
    answers   text,
    body      text        NOT NULL,
    hash      bytea       NOT NULL,
    UNIQUE (stream, version)
);
CREATE TABLE inbox (topic text, id text, PRIMARY KEY (topic, id));
CREATE TABLE relay_cursor (seq bigint NOT NULL);
INSERT INTO relay_cursor (seq) VALUES (0);
"""

_TAKE = """
INSERT INTO inbox (topic, id) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING RETURNING topic, id
"""
_LOCK = """
SELECT stream, version, head, at, state, wrapped FROM states WHERE stream = ANY ($1::text[])
ORDER BY stream FOR UPDATE
"""
_ADD = """
INSERT INTO states (stream, version, head, at, state, wrapped)
SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::timestamptz[], $5::text[],
                     $6::bytea[])
"""
_WRITE = """
UPDATE states AS s SET version = n.version, head = n.head, at = n.at, state = n.state
FROM unnest($1::text[], $2::int[], $3::bytea[], $4::timestamptz[], $5::text[])
     AS n (stream, version, head, at, state)
WHERE s.stream = n.stream
"""
_JOURNAL = (
    "stream",
    "version",
    "id",
    "type",
    "time",
    "causation",
    "answers",
    "body",
    "hash",
)
_READ = """
SELECT j.seq, j.stream, j.version, j.id, j.type, j.time, j.causation, j.answers, j.body, j.hash,
       s.wrapped
FROM journal AS j JOIN states AS s USING (stream) WHERE j.seq > $1 ORDER BY j.seq LIMIT $2
"""
SEALED = (AgreementReached, CaseConcluded, NoteAdded, VisitRecorded)
_SESSION = {"timezone": "UTC", "jit": "off", "application_name": "floor"}


class NoIds:
    """Mediation draws no ids."""

    def case_number(self) -> str:
        raise LookupError

    def opaque(self, label: str) -> str:
        raise LookupError(label)

    def person(self, label: str) -> str:
        raise LookupError(label)


@dataclass(slots=True)
class _Case:
    """One state in this batch."""

    version: int = 0
    head: bytes | None = None
    at: datetime | None = None
    state: CaseState | None = None
    wrapped: bytes | None = None
    sealer: Sealer | None = None
    new: bool = False


class Floor:
    """The loop and its relay."""

    def __init__(self, database: str, kafka: str, keys: MasterKeys) -> None:
        self._database = database
        self._kafka = kafka
        self._keys = keys
        self._policy = Policy.load(Settings())
        self._publisher = publisher_of_commands()
        self._ids = NoIds()
        self._written = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after the running batch."""
        self._stopping.set()
        self._written.set()

    async def run(self) -> None:
        """Until `stop`; any error ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._consume())
            tasks.create_task(self._relay())

    async def _consume(self) -> None:
        connection = await asyncpg.connect(self._database, server_settings=_SESSION)
        consumer = AIOKafkaConsumer(
            CASES,
            COMMANDS,
            bootstrap_servers=self._kafka,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        await consumer.start()
        try:
            while not self._stopping.is_set():
                found = await consumer.getmany(timeout_ms=20, max_records=BATCH)
                if not found:
                    continue
                async with connection.transaction():
                    rows = await self._batch(connection, [r for rs in found.values() for r in rs])
                if rows:
                    self._written.set()
                await consumer.commit(_offsets(found))
        finally:
            await consumer.stop()
            await connection.close()

    async def _batch(
        self, connection: asyncpg.Connection, records: Sequence[ConsumerRecord[bytes, bytes]]
    ) -> int:
        messages = [self._read(record) for record in records]
        fresh = {
            (row[0], row[1])
            for row in await connection.fetch(
                _TAKE,
                [record.topic for record in records],
                [message.id for message, _ in messages],
            )
        }
        todo: list[tuple[Message, bytes | None, Stream]] = []
        for record, (message, wrapped) in zip(records, messages, strict=True):
            if (record.topic, message.id) in fresh:
                fresh.discard((record.topic, message.id))
                todo.append((message, wrapped, workflow.touches(message, self._ids)[0]))
        cases = {
            row[0]: _Case(
                row[1], row[2], row[3], CaseState.model_validate_json(row[4]), wrapped=row[5]
            )
            for row in await connection.fetch(_LOCK, list({str(one[2]) for one in todo}))
        }
        rows: list[tuple[Any, ...]] = []
        for message, wrapped, stream in todo:
            name = str(stream)
            case = cases.get(name)
            if case is None:
                case = cases[name] = _Case(wrapped=wrapped, new=True)
            self._decide(message, stream, name, case, rows)
        await _store(connection, cases)
        await connection.copy_records_to_table("journal", columns=_JOURNAL, records=rows)
        return len(rows)

    def _read(self, record: ConsumerRecord[bytes, bytes]) -> tuple[Message, bytes | None]:
        headers: dict[str, bytes] = dict(record.headers)
        contract = REGISTRY.get(headers["ce_type"].decode())
        if contract is None or record.value is None:
            raise ValueError(f"{record.topic} {record.partition}/{record.offset}")
        data = contract.model.model_validate_json(record.value, strict=True)
        id_ = headers["ce_id"].decode()
        if record.topic == COMMANDS:
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            return (
                Message(id_, contract.type, data, at, PUBLISHER, publisher=self._publisher),
                None,
            )
        at = datetime.fromisoformat(headers["ce_time"].decode())
        return (
            Message(id_, contract.type, data, at, "intake"),
            b64decode(headers["ce_datakey"]),
        )

    def _decide(
        self,
        message: Message,
        stream: Stream,
        name: str,
        case: _Case,
        rows: list[tuple[Any, ...]],
    ) -> None:
        now = message.time if case.at is None else max(message.time, case.at)
        decision = workflow.decide(message, {stream: case.state}, now, self._ids, self._policy)
        for event in decision[stream]:
            sealer = self._sealer(name, case) if isinstance(event, SEALED) else None
            body = event.model_dump_json(context=sealer)
            case.version += 1
            id_ = token_hex(16)
            case.head = chain(
                name, case.version, id_, event.type_, now, message.id, body, case.head
            )
            rows.append(
                (
                    name,
                    case.version,
                    id_,
                    event.type_,
                    now,
                    message.id,
                    None if message.publisher is None else message.publisher.name,
                    body,
                    case.head,
                )
            )
            case.state = workflow.evolve(stream, case.state, event, now)
            case.at = now

    def _sealer(self, name: str, case: _Case) -> Sealer | None:
        if case.sealer is None and case.wrapped is not None:
            case.sealer = Sealer(self._keys.unwrap(name, case.wrapped))
        return case.sealer

    async def _relay(self) -> None:
        connection = await asyncpg.connect(self._database, server_settings=_SESSION)
        producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka,
            acks="all",
            enable_idempotence=True,
            max_batch_size=512 * 1024,
        )
        await producer.start()
        try:
            cursor: int = await connection.fetchval("SELECT seq FROM relay_cursor")
            while True:
                self._written.clear()
                while rows := await connection.fetch(_READ, cursor, RELAY):
                    await self._publish(producer, rows)
                    cursor = rows[-1][0]
                    await connection.execute("UPDATE relay_cursor SET seq = $1", cursor)
                if self._stopping.is_set():
                    return
                await self._written.wait()
        finally:
            await producer.stop()
            await connection.close()

    async def _publish(self, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> None:
        """One batch a partition: a future for each record costs more than the record."""
        counts = {topic: len(await producer.partitions_for(topic)) for topic in (EVENTS, _ANSWERS)}
        filling: dict[tuple[str, int], BatchBuilder] = {}
        batches: list[tuple[str, int, BatchBuilder]] = []
        for row in rows:
            for topic, key, value, headers in leaving(row):
                place = (topic, (_hash(key) & 0x7FFFFFFF) % counts[topic])
                batch = filling.get(place)
                if batch is None or not _add(batch, key, value, headers):
                    batch = filling[place] = producer.create_batch()
                    batches.append((*place, batch))
                    _add(batch, key, value, headers)
        futures = []
        for topic, partition, batch in batches:
            batch.close()
            futures.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*futures)


_hash = lru_cache(maxsize=8192)(murmur2)


def _add(batch: BatchBuilder, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> bool:
    return batch.append(timestamp=None, key=key, value=value, headers=headers) is not None


async def _store(connection: asyncpg.Connection, cases: Mapping[str, _Case]) -> None:
    added = [(name, case) for name, case in cases.items() if case.new]
    if added:
        await connection.execute(_ADD, *_columns(added), [case.wrapped for _, case in added])
    known = [(name, case) for name, case in cases.items() if not case.new]
    if known:
        await connection.execute(_WRITE, *_columns(known))


def _columns(cases: Sequence[tuple[str, _Case]]) -> tuple[list[Any], ...]:
    return (
        [name for name, _ in cases],
        [case.version for _, case in cases],
        [case.head for _, case in cases],
        [case.at for _, case in cases],
        [None if case.state is None else case.state.model_dump_json() for _, case in cases],
    )


def leaving(
    row: asyncpg.Record,
) -> Iterable[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]:
    """What leaves for one journal row: the event, and its copy for who gave the command."""
    _, stream, version, id_, type_, time, causation, answers, body, hash_, wrapped = row
    shared = {
        "specversion": "1.0",
        "id": id_,
        "source": "lianhu/mediation",
        "type": type_,
        "time": time.isoformat(),
        "causationid": causation,
        "subject": stream,
    }
    own = {
        **shared,
        "sequence": str(version),
        "epoch": "1",
        "rowhash": hash_.hex(),
        "correlationid": causation,
        "datakey": b64encode(wrapped).decode(),
    }
    key, value = stream.encode(), body.encode()
    yield EVENTS, key, value, headers_of(own)
    if answers is not None:
        yield _ANSWERS, key, value, headers_of(shared)


def _offsets(
    found: Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]],
) -> dict[TopicPartition, int]:
    return {place: records[-1].offset + 1 for place, records in found.items()}


def publisher_of_commands() -> Publisher:
    """Who gives the commands of the load."""
    found = Publishers.read().get(PUBLISHER)
    if found is None:
        raise LookupError(PUBLISHER)
    return found


async def main() -> None:
    """Run until SIGTERM, as `FLOOR_DATABASE`, `FLOOR_KAFKA` and `FLOOR_MASTER_KEY` say."""
    floor = Floor(
        os.environ["FLOOR_DATABASE"],
        os.environ["FLOOR_KAFKA"],
        MasterKeys.read(Path(os.environ["FLOOR_MASTER_KEY"])),
    )
    # what stands now stays: the collector need not walk through it again and again
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, floor.stop)
    await floor.run()


if __name__ == "__main__":
    uvloop.run(main())
