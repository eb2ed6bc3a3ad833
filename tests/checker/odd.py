"""The headers of a record with a header *name* that is not UTF-8, which stock clients cannot read.

The broker takes such a record. It is fetched once more and parsed by the reader that the services
use; bytes that are no text are written as `\\xff`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher

from lianhu.eventing.connection import Access, access
from lianhu.eventing.records import Records

SECONDS = 30.0


def headers_at(
    kafka: str | Access, topic: str, partition: int, offset: int
) -> tuple[tuple[str, bytes | None], ...]:
    """The headers of the record at this place. Raises `TimeoutError`."""
    with _lenient():
        return asyncio.run(asyncio.wait_for(_read(kafka, topic, partition, offset), SECONDS))


async def _read(
    kafka: str | Access, topic: str, partition: int, offset: int
) -> tuple[tuple[str, bytes | None], ...]:
    consumer = AIOKafkaConsumer(**access(kafka).arguments(), enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        record = await consumer.getone(place)
        return tuple(record.headers)
    finally:
        await consumer.stop()


@contextmanager
def _lenient() -> Iterator[None]:
    before = fetcher.MemoryRecords
    fetcher.MemoryRecords = Records
    try:
        yield
    finally:
        fetcher.MemoryRecords = before
