"""The consumer takes a share of each partition that has something waiting."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from lianhu.eventing.fetching import Client
from tests.wire import make_topic, sending, until_true

pytestmark = pytest.mark.infra

MANY, MOST = 400, 100


async def test_no_partition_is_emptied_before_the_others_have_their_turn(broker: str) -> None:
    topic = await make_topic(broker, "shared", 2)
    async with sending(broker) as producer:
        for number in range(2 * MANY):
            await producer.send(topic, b"%d" % (number // 2), partition=number % 2)
    places = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    client = Client(bootstrap_servers=broker, auto_offset_reset="earliest")
    await client.start()
    try:
        client.assign(places)
        seen: dict[TopicPartition, list[bytes]] = {place: [] for place in places}
        await until_true(lambda: len(client._fetcher._records) == 2, "both to be fetched")
        first = await client.getmany(timeout_ms=1000, max_records=MOST)
        assert {place: len(found) for place, found in first.items()} == dict.fromkeys(places, 50)
        while first:
            for place, found in first.items():
                seen[place] += [record.value for record in found]
            first = await client.getmany(timeout_ms=1000, max_records=MOST)
            assert sum(map(len, first.values())) <= MOST
    finally:
        await client.stop()
    assert seen == {place: [b"%d" % number for number in range(MANY)] for place in places}
