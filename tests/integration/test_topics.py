"""Topics as the registry wants them, on the real broker, and what their settings are there for."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import pytest
import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError
from confluent_kafka import KafkaError, Message, Producer

from lianhu.contracts.publishers import Publishers
from lianhu.contracts.topics import MIB, topics
from lianhu.eventing.topics import create, drift
from tests.wire import make_topic, tail

pytestmark = pytest.mark.infra


def public_settings() -> dict[str, str]:
    """The settings of a public topic."""
    found = next(t for t in topics(Publishers.read()) if ".reports." in t.name)
    return dict(found.config)


@pytest.fixture
def publisher_file(tmp_path: Path) -> Path:
    """A publisher that no other test knows."""
    path = tmp_path / "publishers.yaml"
    one = {
        "name": f"hotline-{token_hex(4)}",
        "title": "一个新来的报告系统",
        "kind": "reporting",
        "unit": "440304000000",
        "channels": ["hotline-12338"],
        "partitions": 2,
    }
    path.write_text(yaml.safe_dump({"publishers": [one]}))
    return path


async def test_creating_twice_creates_once_and_what_differs_is_named(
    broker_with_topics: str, publisher_file: Path
) -> None:
    broker = broker_with_topics
    name = Publishers.read(publisher_file).publishers[0].name
    reports, answers = f"intake.reports.{name}.v1", f"intake.answers.{name}.v1"
    assert await drift(broker, publisher_file) == [f"{reports} is missing", f"{answers} is missing"]
    assert await create(broker, publisher_file) == [reports, answers]
    assert await create(broker, publisher_file) == []
    assert await drift(broker, publisher_file) == []
    assert await drift(broker, None) == []

    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.create_partitions({reports: NewPartitions(3)})
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, reports, {"retention.ms": "1000"})]
        )
    finally:
        await admin.close()
    settings = public_settings()
    found = await drift(broker, publisher_file)
    assert f"{reports} has 3 partitions, not 2" in found
    assert f"{reports}: retention.ms is 1000, not {settings['retention.ms']}" in found
    # a setting that somebody took away is named with what the broker does now
    assert f"{reports}: message.timestamp.type is CreateTime, not LogAppendTime" in found
    assert not [sentence for sentence in found if answers in sentence]


async def test_a_record_of_2001_gets_the_brokers_time(broker: str) -> None:
    topic = await make_topic(broker, "dated", 1, public_settings())
    plain = await make_topic(broker, "dated", 1)
    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    old = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp() * 1000)
    async with tail(broker, topic, plain) as seen:
        for name in (topic, plain):
            await producer.send_and_wait(name, b"{}", timestamp_ms=old)
        await producer.stop()
        stamps = {record.topic: record.timestamp for record in await seen.reach(2)}
    assert stamps[plain] == old, "the trap is gone: records keep their senders' time no more"
    assert abs(stamps[topic] / 1000 - datetime.now(UTC).timestamp()) < 60


async def test_a_body_that_compresses_to_little_is_measured_as_it_is(broker: str) -> None:
    """A compressed 60 MB body passed a limit of 1 MiB; every reader would have had to hold it."""
    settings = public_settings()
    topic = await make_topic(broker, "packed", 1, settings)
    lax = await make_topic(
        broker, "packed", 1, {"max.message.bytes": settings["max.message.bytes"]}
    )
    body = b"x" * 3 * MIB
    assert len(gzip.compress(body)) < 20_000
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, compression_type="gzip", max_request_size=8 * MIB
    )
    await producer.start()
    try:
        await producer.send_and_wait(lax, body)  # the trap stands
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, body)
        await producer.send_and_wait(topic, body[: 2 * MIB - 1024])
    finally:
        await producer.stop()


def test_two_thousand_reports_at_once_by_librdkafkas_defaults_are_all_taken(broker: str) -> None:
    """The limit is of a batch: with 256 KiB all of them were refused."""
    import asyncio

    settings = public_settings()
    topic = asyncio.run(make_topic(broker, "crowd", 3, settings))
    tight = {**settings, "max.message.bytes": str(256 * 1024)}
    narrow = asyncio.run(make_topic(broker, "crowd", 3, tight))
    body = (b'{"channel":"hotline-12338","narrative":"' + b"n" * 900 + b'"}').ljust(1000)

    def refused(name: str) -> int:
        errors: list[KafkaError] = []

        def told(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                errors.append(error)

        producer = Producer({"bootstrap.servers": broker})
        for number in range(2000):
            producer.produce(name, body, key=b"%d" % (number % 3), on_delivery=told)
        assert producer.flush(60) == 0
        return len(errors)

    assert refused(topic) == 0
    assert refused(narrow) > 0, "the trap is gone: librdkafka keeps its batches small now"
