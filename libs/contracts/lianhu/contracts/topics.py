"""Every topic with its settings, derived from the registry and the publishers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lianhu.contracts.publishers import Publishers
from lianhu.contracts.registry import SERVICES, dead_letters_topic, events_topic

DAY_MS = 24 * 3600 * 1000
MIB = 1024 * 1024

INTERNAL_PARTITIONS = 12
MAX_BODY = 256 * 1024
"""The largest body in bytes that a service takes; a larger one is answered `too-large`."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created. Partitions are set at birth and never changed."""

    name: str
    partitions: int
    config: Mapping[str, str]


_INTERNAL = {
    "retention.ms": str(14 * DAY_MS),
    "min.insync.replicas": "1",
    "cleanup.policy": "delete",
}
# LogAppendTime: a record dated 2001 would be deleted within seconds otherwise. uncompressed: the
# limit of bytes is checked on what arrives, and a compressed 60 MB body passed it. The limit is
# per batch: with less, 2,000 ordinary reports by librdkafka's defaults are refused.
_PUBLIC = {
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "uncompressed",
    "max.message.bytes": str(2 * MIB),
    "retention.ms": str(14 * DAY_MS),
    "retention.bytes": str(512 * MIB),
    "cleanup.policy": "delete",
}
_ANSWERS = {"retention.ms": str(14 * DAY_MS), "cleanup.policy": "delete"}


def topics(publishers: Publishers, replication: int = 1) -> tuple[Topic, ...]:
    """All topics that the services and these publishers need.

    Where each record is kept by several brokers, all of them but one must have it before it counts
    as written: one may be lost, and what was acknowledged is not.
    """
    found: list[Topic] = []
    for service in SERVICES:
        found.append(Topic(events_topic(service), INTERNAL_PARTITIONS, _INTERNAL))
        found.append(Topic(dead_letters_topic(service), 1, _INTERNAL))
    for publisher in publishers.each():
        found += [Topic(name, publisher.partitions, _PUBLIC) for name in publisher.writes()]
        found += [Topic(name, publisher.partitions, _ANSWERS) for name in publisher.reads()]
    if replication == 1:
        return tuple(found)
    kept = {"min.insync.replicas": str(max(replication - 1, 1))}
    return tuple(replace(topic, config={**topic.config, **kept}) for topic in found)
