"""The relay: publishes journal rows in commit order, a cursor over what is acknowledged."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from lianhu.contracts.cloudevents import headers_of
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.registry import answers_topic, dead_letters_topic, events_topic
from lianhu.contracts.vocabulary import PublisherKind
from lianhu.eventing.journal import Row
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.rules import Rank

log = structlog.get_logger(__name__)

_READ = """
SELECT j.stream, j.version, j.epoch, j.id, j.type, j.time, j.causation, j.correlation,
       j.trace, j.answers, j.body, j.hash, j.seq,
       (SELECT k.wrapped FROM case_keys AS k WHERE k.id = j.stream AND k.erased_at IS NULL),
       (SELECT c.seq FROM relay_cursor AS c)
FROM journal AS j WHERE j.seq > (SELECT c.seq FROM relay_cursor AS c) ORDER BY j.seq LIMIT $1
"""

BATCH_BYTES = 512 * 1024
"""Of the records in one batch; the broker refuses one over 1 MiB."""
_FRAME = 160
"""More bytes than lengths, offsets and times of a record and its headers take."""
_HEARTBEAT_SECONDS = 1.0
_CANCELS = 10

ProducerFactory = Callable[[], AIOKafkaProducer]
Headers = list[tuple[str, bytes]]
_Place = tuple[str, int]
"""Topic and partition."""


@dataclass(slots=True)
class _Batch:
    """Records of one partition that leave together, and the first row among them."""

    builder: BatchBuilder
    first: Row
    size: int = 0
    count: int = 0


@lru_cache(maxsize=8192)
def _hash(key: bytes) -> int:
    """By which every Kafka client of ours and of others finds a key's partition."""
    return int(murmur2(key)) & 0x7FFFFFFF


def _size(key: bytes, body: bytes, headers: Headers) -> int:
    return _FRAME + len(key) + len(body) + sum([len(name) + len(text) for name, text in headers])


class Relay:
    """Publishes for one service; only the leader among its replicas runs it."""

    def __init__(
        self,
        service: str,
        publishers: Publishers,
        producers: ProducerFactory,
        metrics: Metrics,
        records: int,
        look_again: Callable[[], Publishers] | None = None,
    ) -> None:
        self._service = service
        self._events = events_topic(service)
        self._always = headers_of({"specversion": "1.0", "source": f"lianhu/{service}"})
        self._letters = dead_letters_topic(service)
        self.publishers = publishers
        self._look_again = look_again
        self._producers = producers
        self._producer: AIOKafkaProducer | None = None
        self._metrics = metrics
        self._records = records
        self._failed = False

    async def step(self, connection: asyncpg.Connection) -> bool:
        """Publish the next rows; whether there may be more. Raises what the broker raised.

        The cursor moves over the unbroken acknowledged prefix only, so a row is published again
        rather than lost; readers know a repeated one by its sequence number. A row that the broker
        will never take holds up all that follow: it is named in the log, and `relay_failures` and
        the age of the outbox grow until somebody sees to it.
        """
        # after a failure one row first, so that trying again repeats little
        asked = 1 if self._failed else self._records
        found = await connection.fetch(_READ, asked)
        if not found:
            return False
        cursor: int = found[0][14]
        rows = [Row._make(record[:13]) for record in found]
        work = asyncio.create_task(self._publish(rows, [record[13] for record in found], cursor))
        try:
            await self._beside(work, connection)
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
        reached, error = work.result()
        self._failed = error is not None
        if reached > cursor:
            # only from where it was read: somebody may have set it back meanwhile
            await connection.execute(
                "UPDATE relay_cursor SET seq = $1 WHERE seq = $2", reached, cursor
            )
        if error is not None:
            self._metrics.relay_failures.inc()
            raise error
        return len(rows) == asked or reached < rows[-1].seq

    async def _beside(self, work: asyncio.Task[Any], connection: asyncpg.Connection) -> None:
        """Keep the lead while a slow broker keeps us waiting: an idle connection is ended."""
        while True:
            done, _ = await asyncio.wait([work], timeout=_HEARTBEAT_SECONDS)
            if done:
                return
            await connection.fetchval("SELECT 1")

    async def _publish(
        self, rows: Sequence[Row], keys: Sequence[bytes | None], cursor: int
    ) -> tuple[int, BaseException | None]:
        """How far the unbroken acknowledged prefix reaches, and what broke it."""
        batches: list[_Batch] = []
        futures: list[asyncio.Future[object]] = []
        reached, error = cursor, None
        try:
            producer = await self._ready()
            filled, last = await self._filled(producer, rows, keys)
            for place, batch in filled.items():
                batch.builder.close()
                future = await producer.send_batch(batch.builder, place[0], partition=place[1])
                future.add_done_callback(_looked_at)
                batches.append(batch)
                futures.append(future)
        except Exception as failed:  # noqa: BLE001 - raised by step
            error = self._stuck(rows[0], failed)
        else:
            reached = last
            results = await asyncio.gather(*futures, return_exceptions=True)
            for batch, result in zip(batches, results, strict=True):
                if not isinstance(result, BaseException):
                    self._metrics.relayed.inc(batch.count)
                elif batch.first.seq <= reached:
                    reached, error = batch.first.seq - 1, self._stuck(batch.first, result)
        if error is not None:
            await self.drop()
            await asyncio.gather(*futures, return_exceptions=True)
        return max(reached, cursor), error

    async def _filled(
        self, producer: AIOKafkaProducer, rows: Sequence[Row], keys: Sequence[bytes | None]
    ) -> tuple[dict[_Place, _Batch], int]:
        """One batch for each partition, and the last row of those that these hold.

        Never two of a partition at once: if the first failed, the second would overtake it. And a
        future for each batch, because one for each record costs more than the record.
        """
        counts: dict[str, int] = {}
        batches: dict[_Place, _Batch] = {}
        last = rows[0].seq - 1
        for row, wrapped in zip(rows, keys, strict=True):
            body = row.body.encode()
            placed = []
            for topic, key, headers in self.records(row, wrapped):
                if topic not in counts:
                    counts[topic] = len(await producer.partitions_for(topic))
                place = (topic, _hash(key) % counts[topic])
                size = _size(key, body, headers)
                if place in batches and batches[place].size + size > BATCH_BYTES:
                    return batches, last
                placed.append((place, key, headers, size))
            for place, key, headers, size in placed:
                if (batch := batches.get(place)) is None:
                    batch = batches[place] = _Batch(producer.create_batch(), row)
                # its first record a batch takes whatever its size
                if not batch.builder.append(timestamp=None, key=key, value=body, headers=headers):
                    raise RuntimeError("a record found no place in its batch")
                batch.size += size
                batch.count += 1
            last = row.seq
        return batches, last

    def _stuck(self, row: Row, error: BaseException) -> BaseException:
        if not getattr(error, "retriable", False):
            log.error(
                "a row is not published, nor what follows it",
                seq=row.seq,
                type=row.type,
                size=len(row.body),
                error=type(error).__name__,
            )
        return error

    def records(self, row: Row, wrapped: bytes | None) -> list[tuple[str, bytes, Headers]]:
        """Where a row goes: topic, key and headers; nothing for a private stream."""
        kind = Rank(row.stream.partition("/")[0])
        if not kind.published:
            return []
        stream = row.stream.encode()
        shared = [
            *self._always,
            ("ce_id", row.id.encode()),
            ("ce_type", row.type.encode()),
            ("ce_time", row.time.isoformat().encode()),
        ]
        if row.causation is not None:
            shared.append(("ce_causationid", row.causation.encode()))
        if row.trace is not None:
            shared.append(("ce_traceparent", row.trace.encode()))
        own = [
            *shared,
            ("ce_subject", stream),
            ("ce_sequence", b"%d" % row.version),
            ("ce_epoch", b"%d" % row.epoch),
            ("ce_rowhash", row.hash.hex().encode()),
        ]
        if row.correlation is not None:
            own.append(("ce_correlationid", row.correlation.encode()))
        if wrapped is not None:
            own.append(("ce_datakey", b64encode(wrapped)))
        topic = self._letters if kind is Rank.LETTER else self._events
        out = [(topic, stream, own)]
        if row.answers is not None:
            # a reporting system learns nothing of the case, not even by key or sequence
            opaque = self._opaque(row.answers)
            key = (row.causation or row.id).encode() if opaque else stream
            headers = shared if opaque else [*shared, ("ce_subject", stream)]
            out.append((answers_topic(self._service, row.answers), key, headers))
        return out

    def _opaque(self, name: str) -> bool:
        """Whether it is a reporting system; whoever is not known is told as little as one."""
        found = self.publishers.get(name)
        if found is None and self._look_again is not None:
            found = self._look_again().get(name)
        return found is None or found.kind is PublisherKind.REPORTING

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = self._producers()
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def drop(self) -> None:
        """Let the producer go without sending what it still holds; the next step makes a new one.

        A plain stop would flush: rows behind the failed one would then stand before it. And it
        would wait for ever, because without its sender nothing is flushed.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        accumulator = producer._message_accumulator
        held = [batch for of_one in accumulator._batches.values() for batch in of_one]
        for batch in (*held, *accumulator._pending_batches):
            # whoever waited for these may be gone
            batch.future.add_done_callback(_looked_at)
            batch._drain_waiter.add_done_callback(_looked_at)
        accumulator.fail_all(KafkaError("given up"))
        sender = producer._sender.sender_task
        for _ in range(_CANCELS):
            if sender is None or sender.done():
                break
            sender.cancel()  # once it waits for what is under way, twice it gives that up too
            await asyncio.wait([sender], timeout=0.1)
        try:
            await asyncio.wait_for(producer.stop(), 2)
        except Exception as error:  # noqa: BLE001 - it is thrown away anyway
            log.info("producer did not stop cleanly", error=type(error).__name__)

    async def close(self) -> None:
        """Stop after all that was handed over is acknowledged."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


def _looked_at(future: asyncio.Future[Any]) -> None:
    """An error that nobody fetches any more is none to complain of at the future's end."""
    if not future.cancelled():
        future.exception()


async def outbox(connection: asyncpg.Connection) -> tuple[int, int]:
    """The relay's cursor and the last row of the journal."""
    row = await connection.fetchrow(
        "SELECT (SELECT seq FROM relay_cursor), coalesce((SELECT max(seq) FROM journal), 0)"
    )
    return row[0], row[1]


async def republish(connection: asyncpg.Connection, seq: int) -> None:
    """Publish again all rows after `seq`; readers drop what they know."""
    await connection.execute("UPDATE relay_cursor SET seq = $1 WHERE seq > $1", seq)
