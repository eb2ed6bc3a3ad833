"""Up to which moment nothing can still be waiting, asked of the real broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from lianhu.eventing.clock import utc_now
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.watermark import Mark, Stalls, Watermark, show
from tests.wire import make_topic, sending

pytestmark = pytest.mark.infra

LATER = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@asynccontextmanager
async def watermark(bootstrap: str, *topics: str) -> AsyncIterator[Watermark]:
    mark = Watermark(bootstrap, "toy", "|".join(re.escape(topic) for topic in topics))
    await mark.start()
    try:
        yield mark
    finally:
        await mark.stop()


async def test_a_partition_that_was_never_read_stops_every_deadline(broker: str) -> None:
    topic = await make_topic(broker, "marked", 3)
    async with watermark(broker, topic) as mark, sending(broker) as producer:
        empty = await mark.read({})
        assert empty.at is not None
        assert utc_now() - timedelta(seconds=5) < empty.at < utc_now()
        assert empty.waiting == {}

        await producer.send_and_wait(topic, b"{}", partition=1)
        assert await mark.read({}) == Mark(None, {(topic, 1): 1})


async def test_the_mark_is_the_time_of_what_was_handled_last_where_more_waits(broker: str) -> None:
    first, second = await make_topic(broker, "marked", 2), await make_topic(broker, "marked", 1)
    async with watermark(broker, first, second) as mark, sending(broker) as producer:
        for topic, partition in [(first, 0), (first, 0), (first, 1), (first, 1), (second, 0)]:
            await producer.send_and_wait(topic, b"{}", partition=partition)
        early, late = LATER, LATER + timedelta(minutes=5)
        behind = {(first, 0): (1, late), (first, 1): (1, early), (second, 0): (1, early)}
        assert await mark.read(behind) == Mark(early, {(first, 0): 1, (first, 1): 1})
        # the third partition is at its end, so the time of its last record says nothing
        ahead = {**behind, (first, 1): (2, early)}
        assert await mark.read(ahead) == Mark(late, {(first, 0): 1})
        at_end = await mark.read({**ahead, (first, 0): (2, late)})
        assert at_end.waiting == {}
        assert at_end.at is not None
        assert at_end.at > late


async def test_what_retention_took_away_is_waited_for_no_more(broker: str) -> None:
    topic = await make_topic(broker, "marked", 1)
    async with watermark(broker, topic) as mark, sending(broker) as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, b"{}", partition=0)
        progress = {(topic, 0): (1, LATER)}
        assert await mark.read(progress) == Mark(LATER, {(topic, 0): 2})
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(3)})
        finally:
            await admin.close()
        gone = await mark.read(progress)
        assert gone.waiting == {}
        assert gone.at is not None
        assert gone.at > LATER


async def test_the_end_of_a_publishers_transaction_holds_up_nobody(broker: str) -> None:
    """It takes an offset that no consumer ever sees: a partition would never be at its end."""
    topic = await make_topic(broker, "marked", 1)
    producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=topic)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"{}", partition=0)
    await producer.stop()
    async with watermark(broker, topic) as mark, sending(broker) as plain:
        handled = {(topic, 0): (1, LATER)}
        marks = [await mark.read(handled) for _ in range(2)]
        assert marks[0] == Mark(LATER, {(topic, 0): 1})  # it may be a record on its way to us
        assert marks[1].waiting == {}
        assert marks[1].at is not None
        assert marks[1].at > LATER
        await plain.send_and_wait(topic, b"{}", partition=0)
        for _ in range(2):
            assert await mark.read(handled) == Mark(LATER, {(topic, 0): 2})


async def test_a_topic_that_comes_later_counts_at_once(broker: str) -> None:
    mark = Watermark(broker, "toy", r"late\..*")
    await mark.start()
    try:
        assert (await mark.read({})).waiting == {}
        topic = await make_topic(broker, "late", 1)
        async with sending(broker) as producer:
            await producer.send_and_wait(topic, b"{}")
        assert await mark.read({}) == Mark(None, {(topic, 0): 1})
    finally:
        await mark.stop()


def test_a_partition_that_stands_still_while_messages_wait_is_told() -> None:
    stalls = Stalls(60)
    key = ("topic", 0)
    waiting = Mark(None, {key: 3})

    def look(offset: int, after: float, mark: Mark = waiting) -> list[tuple[str, int]]:
        moment = LATER + timedelta(seconds=after)
        return stalls.look(mark, {key: (offset, LATER)}, moment)

    assert look(5, 0) == look(5, 60) == []
    assert look(5, 61) == [key]
    assert look(6, 62) == []  # it moved
    assert look(6, 122) == []
    assert look(6, 123, Mark(LATER, {})) == []  # nothing waits
    assert look(6, 200) == []  # what waits now has not waited long
    assert stalls.look(waiting, {}, LATER + timedelta(seconds=300)) == []  # never read: at first
    assert stalls.look(waiting, {}, LATER + timedelta(seconds=361)) == [key]


def test_lag_is_shown_and_goes_back_to_nothing() -> None:
    metrics = Metrics()
    labels = {"topic": "topic", "partition": "0"}

    def shown() -> tuple[float | None, float | None]:
        get = metrics.registry.get_sample_value
        return (
            get("lianhu_partition_lag_records", labels),
            get("lianhu_partition_behind_seconds", labels),
        )

    progress = {("topic", 0): (4, LATER)}
    show(metrics, Mark(LATER, {("topic", 0): 9}), progress, LATER + timedelta(seconds=30))
    assert shown() == (9, 30)
    show(metrics, Mark(LATER, {}), progress, LATER + timedelta(seconds=60))
    assert shown() == (0, 0)


async def test_what_was_handled_of_a_deleted_topic_says_nothing_of_the_one_made_anew(
    broker: str,
) -> None:
    topic = await make_topic(broker, "marked", 1)
    async with watermark(broker, topic) as mark, sending(broker) as producer:
        handled = {(topic, 0): (5, LATER)}
        empty = await mark.read(handled)
        assert empty.waiting == {}
        await producer.send_and_wait(topic, b"{}", partition=0)
        assert await mark.read(handled) == Mark(LATER, {(topic, 0): 1})
