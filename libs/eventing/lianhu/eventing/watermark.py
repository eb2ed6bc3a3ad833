"""How far a service has handled its topics: up to which moment nothing can still be waiting.

A deadline fires only when every partition was handled up to a record appended after it was due,
or to its end: so after an outage an acceptance that was sent in time wins over its deadline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from lianhu.eventing.clock import utc_now
from lianhu.eventing.connection import Access, access
from lianhu.eventing.metrics import Metrics

Progress = Mapping[tuple[str, int], tuple[int, datetime]]

_SKEW = timedelta(milliseconds=200)
"""The broker's clock and ours may differ by so much; what was appended later is later."""
_PEEKS = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """`at`: broker time up to which all was handled; None while a partition was never read."""

    at: datetime | None
    waiting: Mapping[tuple[str, int], int]
    """Records not handled yet, for the partitions that have any."""


class Watermark:
    """Asks the broker for the ends of a service's input partitions."""

    def __init__(self, kafka: str | Access, service: str, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self._kafka = access(kafka)
        self._name = f"{service}-watermark"
        self._clients: tuple[AIOKafkaConsumer, AIOKafkaAdminClient] | None = None
        self._before: dict[tuple[str, int], tuple[int, int]] = {}

    async def start(self) -> None:
        """Connect; raises what the broker raises."""
        if self._clients is None:
            consumer = AIOKafkaConsumer(**self._kafka.arguments(), client_id=self._name)
            admin = AIOKafkaAdminClient(**self._kafka.arguments(), client_id=self._name)
            try:
                await consumer.start()
                await admin.start()
            except BaseException:
                await consumer.stop()
                await admin.close()
                raise
            self._clients = (consumer, admin)

    async def stop(self) -> None:
        """Disconnect."""
        clients, self._clients = self._clients, None
        if clients is not None:
            consumer, admin = clients
            await consumer.stop()
            await admin.close()

    async def read(self, progress: Progress) -> Mark:
        """The mark of this moment against what all replicas together have handled."""
        if self._clients is None:
            raise RuntimeError("start() comes first")
        consumer, admin = self._clients
        asked = utc_now() - _SKEW
        # not from the consumer: of topics that it does not read it knows no partitions
        partitions = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics()
            if self._pattern.fullmatch(topic["topic"])
            for partition in topic["partitions"]
        ]
        if not partitions:
            return Mark(asked, {})
        ends = await consumer.end_offsets(partitions)
        open_ = [place for place in partitions if progress.get(place, (0,))[0] != ends[place]]
        # what retention took away cannot be handled any more
        starts = await consumer.beginning_offsets(open_) if open_ else {}
        at: datetime | None = asked
        waiting: dict[tuple[str, int], int] = {}
        looked: dict[tuple[str, int], tuple[int, int]] = {}
        for place in open_:
            key = (place.topic, place.partition)
            handled, last = progress.get(key, (0, None))
            if handled > ends[place]:
                handled = 0  # of a topic that was deleted; made anew, it begins again
            span = (max(handled, starts[place]), ends[place])
            if span[0] >= span[1]:
                continue
            looked[key] = span
            if self._before.get(key) == span and await _nothing_in(consumer, place, *span):
                continue
            waiting[key] = span[1] - span[0]
            at = None if last is None or at is None else min(at, last)
        self._before = looked
        return Mark(at, waiting)


async def _nothing_in(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int
) -> bool:
    """Whether only marks of a publisher's transactions stand there: no consumer sees those."""
    consumer.assign([place])
    try:
        consumer.seek(place, start)
        for _ in range(_PEEKS):
            if await consumer.getmany(timeout_ms=200, max_records=1):
                return False
            if await consumer.position(place) >= end:
                return True
        return False
    finally:
        consumer.unsubscribe()


class Stalls:
    """Which partitions have waiting messages and do not move."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moved: dict[tuple[str, int], tuple[int, datetime]] = {}

    def look(self, mark: Mark, progress: Progress, now: datetime) -> list[tuple[str, int]]:
        """The partitions in which nothing moved for too long although messages wait."""
        stalled = []
        for key in mark.waiting:
            offset = progress[key][0] if key in progress else -1
            known = self._moved.get(key)
            if known is None or known[0] != offset:
                self._moved[key] = (offset, now)
            elif (now - known[1]).total_seconds() > self._seconds:
                stalled.append(key)
        for key in [key for key in self._moved if key not in mark.waiting]:
            del self._moved[key]
        return stalled


def show(metrics: Metrics, mark: Mark, progress: Progress, now: datetime) -> None:
    """Set the gauges of lag."""
    for key in progress.keys() | mark.waiting.keys():
        labels = (key[0], str(key[1]))
        waiting = mark.waiting.get(key, 0)
        metrics.lag.labels(*labels).set(waiting)
        behind = (now - progress[key][1]).total_seconds() if waiting and key in progress else 0
        metrics.behind.labels(*labels).set(max(behind, 0))
