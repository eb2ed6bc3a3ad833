"""The traps of the libraries under the engine, each shown to stand, and that we do not step in it.

When one of these fails because a trap is gone, the release of the library says so, and the way
round it in `lianhu.eventing` can go too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from lianhu.eventing.fetching import Client
from lianhu.eventing.records import Records
from tests.wire import make_topic, send_header_name, sending, until, until_true

pytestmark = pytest.mark.infra


@asynccontextmanager
async def consumer(
    bootstrap: str, kind: type[AIOKafkaConsumer], *topics: str
) -> AsyncIterator[AIOKafkaConsumer]:
    client = kind(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=f"{topics[0]}-{kind.__name__}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def send(bootstrap: str, topic: str, count: int, odd: dict[int, bytes | None]) -> None:
    """So many records on partition 0; those of `odd` have that value in a header."""
    async with sending(bootstrap) as producer:
        for number in range(count):
            value = odd.get(number, b"1")
            # the type says bytes; a null header is valid in the protocol and arrives as one
            headers = [("ce_id", b"%d" % number), ("ce_x", value)]
            await producer.send(topic, b"%d" % number, partition=0, headers=headers)


@pytest.mark.parametrize("odd", [b"\xff\xfe", None], ids=["not-utf-8", "null"])
async def test_faststream_loses_the_neighbours_of_one_odd_header(
    broker: str, odd: bytes | None
) -> None:
    topic = await make_topic(broker, "odd")
    await send(broker, topic, 200, {150: odd})
    handled: list[object] = []
    plain = KafkaBroker(broker, logger=None)

    @plain.subscriber(
        topic,
        batch=True,
        max_records=100,
        group_id=topic,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
    )
    async def handle(message: KafkaMessage) -> None:
        handled.extend(message.raw_message)

    await plain.start()
    try:
        async with sending(broker) as producer:
            await producer.send(topic, b"the last", partition=0)

        def last_came() -> bool:
            return any(
                isinstance(one, ConsumerRecord) and one.value == b"the last" for one in handled
            )

        await until_true(last_came, "the record behind the odd one")
    finally:
        await plain.stop()
    assert len(handled) < 201, "the trap is gone: all were handled"


@pytest.fixture
def parser() -> Iterator[Callable[[type], None]]:
    """Change the reader of fetches for one test."""
    before = fetcher.MemoryRecords

    def use(kind: type) -> None:
        fetcher.MemoryRecords = kind

    yield use
    fetcher.MemoryRecords = before


async def test_aiokafka_stops_for_ever_at_a_header_name_that_is_not_utf_8(
    broker: str, parser: Callable[[type], None]
) -> None:
    """Every partition stops, of every publisher; and what was taken of another one is skipped."""
    parser(MemoryRecords)
    topic = await make_topic(broker, "named", 2)
    await send_header_name(broker, topic, 0, b"ce_\xff")
    async with consumer(broker, AIOKafkaConsumer, topic) as client:
        for _ in range(3):
            with pytest.raises((UnicodeDecodeError, ValueError)):
                await client.getmany(timeout_ms=5000)
        assert await client.position(TopicPartition(topic, 0)) == 0


@pytest.mark.parametrize("name", [b"ce_\xff\xfe", b"\x80", b"ce_id"], ids=repr)
async def test_our_reader_goes_on_at_a_header_name_that_is_not_utf_8(
    broker: str, parser: Callable[[type], None], name: bytes
) -> None:
    parser(Records)
    topic = await make_topic(broker, "named", 2)
    await send(broker, topic, 3, {})
    await send_header_name(broker, topic, 0, name)
    await send(broker, topic, 3, {})
    await send_header_name(broker, topic, 1, name)
    async with consumer(broker, Client, topic) as client:
        found: dict[int, list[int]] = {0: [], 1: []}
        names: set[str] = set()

        async def read() -> None:
            for place, records in (await client.getmany(timeout_ms=5000)).items():
                found[place.partition] += [record.offset for record in records]
                names.update(key for record in records for key, _ in record.headers)

        while len(found[0]) + len(found[1]) < 8:
            await read()
        assert found == {0: [*range(7)], 1: [0]}
        assert name.decode(errors="backslashreplace") in names


async def test_a_fetch_that_fails_loses_nothing_of_other_partitions(
    broker: str, parser: Callable[[type], None]
) -> None:
    """The client throws away what it had already taken in the same call, and keeps the position."""
    topic = await make_topic(broker, "thrown", 2)
    good, odd = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with sending(broker) as producer:
        for _ in range(10):
            await producer.send_and_wait(topic, b"good", partition=0)
            await producer.send_and_wait(topic, b"odd", partition=1)

    class Breaking(Records):
        """Fails once like a parser that meets a record it cannot read."""

        breaks = False

        def next_batch(self):  # type: ignore[no-untyped-def]
            if Breaking.breaks and b"odd" in bytes(self._data):
                Breaking.breaks = False
                raise ValueError("broken")
            return super().next_batch()

    parser(Breaking)
    for kind, all_came in ((AIOKafkaConsumer, False), (Client, True)):
        async with consumer(broker, kind, topic) as client:
            fetched = client._fetcher._records
            await until_true(lambda f=fetched: len(f) == 2, "both partitions fetched")  # type: ignore[misc]
            Breaking.breaks = True
            fetched.move_to_end(odd)
            with pytest.raises(ValueError, match="broken"):
                await client.getmany()
            seen: set[tuple[int, int]] = set()

            async def at_the_end(
                client: AIOKafkaConsumer = client, seen: set[tuple[int, int]] = seen
            ) -> bool:
                got = await client.getmany(timeout_ms=100)
                seen |= {(place.partition, one.offset) for place in got for one in got[place]}
                return all([await client.position(place) == 10 for place in (good, odd)])

            await until(at_the_end, "the end of both partitions")
        assert {offset for number, offset in seen if number == 1} == {*range(10)}
        assert ({offset for number, offset in seen if number == 0} == {*range(10)}) is all_came
