"""The consumer loop on the real broker: what is handed over, sought back, committed, given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from operator import attrgetter
from secrets import token_hex
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from structlog.testing import capture_logs

from lianhu.eventing import transport
from lianhu.eventing.fetching import Client
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.settings import EngineSettings
from lianhu.eventing.transport import Consumer, Records
from tests.wire import make_topic, sending, until, until_true

pytestmark = pytest.mark.infra

Places = list[tuple[int, int]]
"""Partition and offset of records, in the order in which they were handed over."""


class Hands:
    """A handler that keeps what it was handed, and waits or fails when told to."""

    def __init__(self) -> None:
        self.handed: list[Places] = []
        """Every batch, also those that failed."""
        self.handled: Places = []
        self.given_up = 0
        self.fails: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, records: Records) -> None:
        """Take a batch."""
        batch = [(record.partition, record.offset) for record in records]
        self.handed.append(batch)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.fails is not None:
            raise self.fails
        self.handled += batch

    async def reach(self, count: int) -> None:
        """Wait until so many records were handled."""
        await until_true(lambda: len(self.handled) >= count, f"{count} records to be handled")


@asynccontextmanager
async def consuming(
    bootstrap: str, topics: str, hands: transport.OnRecords, **settings: Any
) -> AsyncIterator[Consumer]:
    """A consumer as a service runs it; the topics' common stem is its service's name, too."""
    given = EngineSettings(kafka=bootstrap, **settings)
    consumer = Consumer(topics, rf"^{topics}\..*$", given, Metrics(), hands)
    await consumer.connect()
    with capture_logs():
        try:
            await consumer.broker.start()
            yield consumer
        finally:
            await consumer.finish(5)
            await consumer.broker.stop()


def stem() -> str:
    """The first word of topics that no other test knows."""
    return f"t{token_hex(5)}"


async def send(bootstrap: str, topic: str, partition: int, count: int) -> None:
    async with sending(bootstrap) as producer:
        for _ in range(count):
            await producer.send(topic, b"{}", partition=partition)


async def committed(bootstrap: str, service: str) -> dict[int, int]:
    """The offsets of the one topic that the group of a service has committed, by partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(f"lianhu-{service}")
    finally:
        await admin.close()
    return {place.partition: at.offset for place, at in found.items() if at.offset >= 0}


async def until_committed(bootstrap: str, service: str, offsets: dict[int, int]) -> None:
    async def there() -> bool:
        return await committed(bootstrap, service) == offsets

    await until(there, f"the offsets {offsets}")


def of(partition: int, places: Places) -> list[int]:
    return [offset for number, offset in places if number == partition]


async def test_a_batch_that_fails_is_handed_out_again_whole_and_in_order(broker: str) -> None:
    """It spans partitions; and what was written before the group existed is read."""
    name = stem()
    topic = await make_topic(broker, name, 2)
    for partition in (0, 1):
        await send(broker, topic, partition, 10)
    hands = Hands()
    hands.open.clear()
    failures: list[Exception] = [asyncpg.ConnectionDoesNotExistError("gone"), KeyError("a bug")]
    failed: list[Places] = []

    async def handle(records: Records) -> None:
        if failures:
            failed.append([(record.partition, record.offset) for record in records])
            # which partitions come first is the broker's affair: fail until both came in one batch
            both = {partition for partition, _ in failed[-1]} == {0, 1}
            raise failures.pop(0) if both else ConnectionError("not yet")
        await hands(records)

    async with consuming(broker, name, handle) as consumer:
        await until_true(lambda: hands.handed, "the batch behind both failures")
        assert consumer.failing
        hands.open.set()
        await hands.reach(20)
        await until_committed(broker, name, {0: 10, 1: 10})
        await until_true(lambda: not consumer.failing, "all to be well")
    for partition in (0, 1):
        assert of(partition, hands.handled) == [*range(10)]
        for batch in failed:
            offsets = of(partition, batch)
            assert offsets == [*range(len(offsets))], "each time from the first record on"


async def test_offsets_are_committed_by_partition_and_for_what_was_handled(broker: str) -> None:
    name = stem()
    topic = await make_topic(broker, name, 2)
    await send(broker, topic, 0, 3)
    await send(broker, topic, 1, 2)
    hands = Hands()
    hands.open.clear()
    async with consuming(broker, name, hands):
        await until_true(lambda: hands.handed, "the first batch")
        assert await committed(broker, name) == {}, "nothing before it was handled"
        hands.open.set()
        await until_committed(broker, name, {0: 3, 1: 2})

        hands.fails = ConnectionError("the database is away")
        attempts = len(hands.handed)
        await send(broker, topic, 0, 1)
        await until_true(lambda: len(hands.handed) >= attempts + 2, "two attempts in vain")
        assert hands.handed[attempts:][:2] == [[(0, 3)], [(0, 3)]]
        assert await committed(broker, name) == {0: 3, 1: 2}, "nothing of a batch that failed"

    hands = Hands()
    async with consuming(broker, name, hands):
        await until_committed(broker, name, {0: 4, 1: 2})
    assert hands.handled == [(0, 3)], "where it failed, its successor goes on"


async def test_the_client_is_told_to_hand_over_early_and_to_commit_nothing_itself(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stem()
    topic = await make_topic(broker, name)
    asked: set[tuple[int, int | None]] = set()
    getmany = Client.getmany

    async def seen(
        self: Client, *places: Any, timeout_ms: int = 0, max_records: int | None = None
    ) -> Any:
        asked.add((timeout_ms, max_records))
        return await getmany(self, *places, timeout_ms=timeout_ms, max_records=max_records)

    monkeypatch.setattr(Client, "getmany", seen)
    hands = Hands()
    async with consuming(broker, name, hands) as consumer:
        client = consumer._client
        assert isinstance(client, Client)
        assert client._enable_auto_commit is False
        assert client._auto_offset_reset == "earliest"
        assert client._partition_assignment_strategy == (RangePartitionAssignor,)
        await send(broker, topic, 0, 1)
        await hands.reach(1)
    assert asked == {(1, 500)}, "after each look in vain it sleeps as long, 200 ms by default"


@pytest.mark.parametrize("odd", [b"\xff\xfe", None], ids=["not-utf-8", "null"])
async def test_an_odd_header_costs_its_neighbours_nothing(broker: str, odd: bytes | None) -> None:
    """What stands in `test_traps.py` of FastStream's own parser, with our consumer."""
    name = stem()
    topic = await make_topic(broker, name)
    async with sending(broker) as producer:
        for number in range(200):
            value = odd if number in (0, 150, 199) else b"1"
            await producer.send(topic, b"{}", partition=0, headers=[("ce_x", value)])
    hands = Hands()
    async with consuming(broker, name, hands, batch_records=100):
        await hands.reach(200)
        await until_committed(broker, name, {0: 200})
    assert hands.handled == [(0, offset) for offset in range(200)]


@asynccontextmanager
async def losing_a_batch(
    broker: str, name: str, first: Hands, second: Hands
) -> AsyncIterator[tuple[Consumer, asyncio.Task[Consumer]]]:
    """One replica is asked for its partitions while it holds a batch; the other is starting.

    That start ends with an assignment, for which the first has to let go. By their names, a lone
    partition falls to the second.
    """
    first.open.clear()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(consuming(broker, name, first, instance="b"))
        await until_true(lambda: first.handed, "a batch under way")
        revoked = one._metrics.rebalances._value
        before = revoked.get()
        other = consuming(broker, name, second, instance="a")
        starting = asyncio.create_task(stack.enter_async_context(other))
        try:
            await until_true(lambda: revoked.get() > before, "the revocation")
            yield one, starting
        finally:
            first.open.set()
            await starting


async def test_a_batch_that_ends_in_time_is_committed_before_its_partitions_go(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_REVOKE_SECONDS", 30.0)
    name = stem()
    topic = await make_topic(broker, name, 2)
    for partition in (0, 1):
        await send(broker, topic, partition, 1)
    first, second = Hands(), Hands()
    async with losing_a_batch(broker, name, first, second) as (one, starting):
        assert not starting.done(), "the group waits for the batch"
        first.open.set()
        two = await starting
        await until_true(lambda: one.assigned and two.assigned, "both to be assigned")
        assert {len(held(one)), len(held(two))} == {1}
        for partition in (0, 1):
            await send(broker, topic, partition, 1)
        await until_committed(broker, name, {0: 2, 1: 2})
    assert first.given_up == 0
    assert sorted(first.handled + second.handled) == [(0, 0), (0, 1), (1, 0), (1, 1)]


async def test_a_batch_that_does_not_end_is_given_up_and_handed_out_again(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one partition for two, one is left without, and is ready all the same."""
    monkeypatch.setattr(transport, "_REVOKE_SECONDS", 0.1)
    name = stem()
    topic = await make_topic(broker, name, 1)
    await send(broker, topic, 0, 3)
    first, second = Hands(), Hands()
    async with losing_a_batch(broker, name, first, second) as (one, starting):
        await until_true(lambda: first.given_up, "the batch to be given up")
        assert first.handled == []
        two = await starting
        await until_true(lambda: one.assigned and two.assigned, "both to be ready")
        assert (held(one), len(held(two))) == ([], 1)
        await until_committed(broker, name, {0: 3})
    assert (first.handled, second.handled) == ([], [(0, 0), (0, 1), (0, 2)])


async def test_what_failed_here_and_went_to_another_makes_nobody_unready(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_REVOKE_SECONDS", 30.0)
    name = stem()
    topic = await make_topic(broker, name, 1)
    await send(broker, topic, 0, 3)
    first, second = Hands(), Hands()
    first.fails = ConnectionError("the database is away")
    async with losing_a_batch(broker, name, first, second) as (one, starting):
        first.open.set()
        failed = one._metrics.retries.labels("ConnectionError")._value
        await until_true(failed.get, "the failure")
        two = await starting
        await until_true(lambda: one.assigned and two.assigned, "both to be ready")
        await until_committed(broker, name, {0: 3})
        assert not [each for each in (one, two) if each.failing]
    assert second.handled == [(0, 0), (0, 1), (0, 2)]


def held(consumer: Consumer) -> Sequence[TopicPartition]:
    client = consumer._client
    assert client is not None
    return [*client.assignment()]


async def test_a_topic_made_after_the_start_is_read(broker: str) -> None:
    name = stem()
    await make_topic(broker, name)
    hands = Hands()
    async with consuming(broker, name, hands, metadata_max_age_ms=1000) as consumer:
        assert len(held(consumer)) == 1
        later = await make_topic(broker, name)
        await send(broker, later, 0, 5)
        await hands.reach(5)
        assert len(held(consumer)) == 2
    assert hands.handled == [(0, offset) for offset in range(5)]


@pytest.mark.parametrize("part", ["_coordinator._coordination_task", "_fetcher._fetch_task"])
async def test_a_part_of_the_client_that_ends_is_told(broker: str, part: str) -> None:
    """FastStream asks such a client again and again, in silence: so the process has to end."""
    name = stem()
    await make_topic(broker, name)
    async with consuming(broker, name, Hands()) as consumer:
        await until_true(lambda: consumer.assigned, "its place in the group")
        watching = asyncio.create_task(consumer.watch())
        attrgetter(part)(consumer._client).cancel()
        with pytest.raises(RuntimeError, match="the Kafka client lost its "):
            await asyncio.wait_for(watching, 10)


async def test_a_server_that_is_not_there_leaves_the_others_to_be_asked(broker: str) -> None:
    name = stem()
    topic = await make_topic(broker, name, 1)
    await send(broker, topic, 0, 1)
    hands = Hands()
    async with consuming(f"127.0.0.1:1,{broker}", name, hands):
        await hands.reach(1)


async def test_a_consumer_that_ends_waits_for_its_batch_and_takes_no_other(broker: str) -> None:
    name = stem()
    topic = await make_topic(broker, name)
    await send(broker, topic, 0, 2)
    hands = Hands()
    hands.open.clear()
    async with consuming(broker, name, hands, batch_records=1) as consumer:
        await until_true(lambda: hands.handed, "the first batch")
        ending = asyncio.create_task(consumer.finish(30))
        await until_true(lambda: consumer._closing, "the end")
        hands.open.set()
        await ending
        assert await committed(broker, name) == {0: 1}
    assert hands.handed == [[(0, 0)]]
