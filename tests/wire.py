"""Hands on the real broker, for tests: read from its present end, send odd records, wait."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

T = TypeVar("T")
Seen: TypeAlias = "ConsumerRecord[bytes, bytes]"


async def until(look: Callable[[], Awaitable[T]], why: str, seconds: float = 30) -> T:
    """What `look` gives as soon as that is true; fails after `seconds`, saying `why`."""
    last = time.monotonic() + seconds
    while True:
        if value := await look():
            return value
        assert time.monotonic() < last, f"waited {seconds} s in vain: {why}"
        await asyncio.sleep(0.03)


async def until_true(look: Callable[[], object], why: str, seconds: float = 30) -> None:
    """The same for a look that waits for nothing itself."""

    async def looked() -> bool:
        return bool(look())

    await until(looked, why, seconds)


async def make_topic(
    bootstrap: str, stem: str, partitions: int = 1, config: Mapping[str, str] | None = None
) -> str:
    """A topic that no other test knows."""
    name = f"{stem}.{token_hex(5)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(config or {}))])

        async def there() -> bool:
            return name in await admin.list_topics()

        await until(there, "the topic")
    finally:
        await admin.close()
    return name


async def places_of(bootstrap: str, *topics: str) -> list[TopicPartition]:
    """Every partition of these topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await admin.describe_topics([*topics])
    finally:
        await admin.close()
    places = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in found
        for partition in topic["partitions"]
    ]
    assert {place.topic for place in places} == set(topics)
    return places


@asynccontextmanager
async def sending(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that is flushed and closed at the end."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


_BAD_NAME = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Bytes(str):
    def encode(self, *_):
        return bytes.fromhex(sys.argv[4])

async def main():
    producer = AIOKafkaProducer(bootstrap_servers=sys.argv[1])
    await producer.start()
    headers = [(Bytes("name"), b"1"), ("ce_id", b"odd")]
    await producer.send_and_wait(sys.argv[2], b"{}", partition=int(sys.argv[3]), headers=headers)
    await producer.stop()

asyncio.run(main())
"""


async def send_header_name(bootstrap: str, topic: str, partition: int, name: bytes) -> None:
    """One record with a header *name* of these bytes; no client in this process would send it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _BAD_NAME, bootstrap, topic, str(partition), name.hex()),
        env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"},
    )
    assert await process.wait() == 0


class Tail:
    """What is appended to some topics from the moment of opening on."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.seen: list[Seen] = []

    async def more(self, wait_ms: int = 200) -> Sequence[Seen]:
        """What has come since; all of it also stands in `seen`, in order within a partition."""
        found = await self._consumer.getmany(timeout_ms=wait_ms)
        new = [record for records in found.values() for record in records]
        self.seen += new
        return new

    async def reach(self, count: int, seconds: float = 30) -> list[Seen]:
        """All that was seen, once that is `count` records or more."""

        async def enough() -> bool:
            await self.more()
            return len(self.seen) >= count

        await until(enough, f"{count} records on the topic, {len(self.seen)} seen", seconds)
        return self.seen

    async def nothing_more(self) -> None:
        """Read to the end of each partition; fails if anything is there."""
        places = [*self._consumer.assignment()]
        ends = await self._consumer.end_offsets(places)
        before = len(self.seen)

        async def at_end() -> bool:
            await self.more(50)
            return all([await self._consumer.position(p) >= ends[p] for p in places])

        await until(at_end, "the end of the topic")
        assert self.seen[before:] == []


@asynccontextmanager
async def tail(bootstrap: str, *topics: str, from_start: bool = False) -> AsyncIterator[Tail]:
    """Read these topics from now on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=8 << 20)
    await consumer.start()
    try:
        places = await places_of(bootstrap, *topics)
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0 if from_start else ends[place])
        yield Tail(consumer)
    finally:
        await consumer.stop()


def headers(record: Seen) -> dict[str, str]:
    """The CloudEvents attributes of a record, without `ce_`."""
    return {key[3:]: value.decode() for key, value in record.headers if key.startswith("ce_")}
