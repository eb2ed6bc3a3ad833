"""Creates the topics of the contracts' registry and names what differs from it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from lianhu.contracts.publishers import Publishers
from lianhu.contracts.topics import topics
from lianhu.eventing.connection import Access, access

_SHOWN_SECONDS = 30.0


async def create(
    kafka: str | Access, publishers_file: Path | None, replication: int = 1
) -> list[str]:
    """Create what is missing; returns the names created. What exists is left as it is."""
    wanted = topics(Publishers.read(publishers_file), replication)
    admin = AIOKafkaAdminClient(**access(kafka).arguments(), client_id="lianhu-topics")
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [topic for topic in wanted if topic.name not in there]
        if not missing:
            return []
        answer = await admin.create_topics(
            [
                NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config)
                for topic in missing
            ]
        )
        created = []
        for name, code, *text in answer.topic_errors:
            error = for_code(code)
            if not code:
                created.append(name)
            elif error is not TopicAlreadyExistsError:
                raise error(f"{name}: {text[0] if text else ''}")
        await _shown(admin, {topic.name for topic in missing})
    finally:
        await admin.close()
    return created


async def _shown(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Wait until the broker tells of them: it creates a topic a moment before it knows it."""
    async with asyncio.timeout(_SHOWN_SECONDS):
        while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.05)


async def drift(
    kafka: str | Access, publishers_file: Path | None, replication: int = 1
) -> list[str]:
    """A sentence for each topic that is missing or set otherwise than the registry says."""
    wanted = topics(Publishers.read(publishers_file), replication)
    admin = AIOKafkaAdminClient(**access(kafka).arguments(), client_id="lianhu-topics")
    await admin.start()
    found = []
    try:
        there = {topic["topic"]: topic for topic in await admin.describe_topics()}
        present = [topic for topic in wanted if topic.name in there]
        found += [f"{topic.name} is missing" for topic in wanted if topic.name not in there]
        for topic in present:
            count = len(there[topic.name]["partitions"])
            if count != topic.partitions:
                found.append(f"{topic.name} has {count} partitions, not {topic.partitions}")
            kept = min(len(part["replicas"]) for part in there[topic.name]["partitions"])
            if kept != replication:
                found.append(f"{topic.name} is kept by {kept} brokers, not {replication}")
        if present:
            answers = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in present]
            )
            configs = {
                resource[3]: {entry[0]: entry[1] for entry in resource[4]}
                for answer in answers
                for resource in answer.resources
            }
            for topic in present:
                for name, value in topic.config.items():
                    is_ = configs.get(topic.name, {}).get(name)
                    if is_ != value:
                        found.append(f"{topic.name}: {name} is {is_}, not {value}")
    finally:
        await admin.close()
    return found
