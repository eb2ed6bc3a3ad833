"""How long partitions with waiting messages stand still, seen from outside, ten times a second.

What waits is known from the broker's ends, what was handled from `progress` in the databases. A
partition stands still from the moment at which something waits there until any of it is handled.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from importlib import import_module
from threading import Event, Thread
from time import monotonic
from typing import Any

import asyncpg
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from lianhu.eventing import inbox
from lianhu.eventing.connection import Access, access

_PAUSE = 0.1
Place = tuple[str, str, int]
"""Service, topic, partition."""


class Gaps:
    """Looks on from a thread of its own for as long as a `with` block.

    `dsns`: the databases of those services that are looked at.
    """

    def __init__(self, kafka: str | Access, dsns: Mapping[str, str]) -> None:
        self._dsns = dsns
        self._admin = AdminClient({**access(kafka).librdkafka(), "log_level": 0})
        self._places = [*self._inputs()]
        self._since: dict[Place, tuple[int, float]] = {}
        self._over = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="gaps", daemon=True)
        self.longest = dict.fromkeys(dsns, 0.0)
        """By service, in seconds."""
        self.where = dict.fromkeys(dsns, "")

    def __enter__(self) -> Gaps:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _inputs(self) -> Any:
        topics = self._admin.list_topics(timeout=10).topics
        for service in self._dsns:
            pattern = re.compile(import_module(f"lianhu.{service}.app").service.pattern())
            for name, topic in topics.items():
                if pattern.fullmatch(name):
                    yield from ((service, name, number) for number in topic.partitions)

    def _run(self) -> None:
        try:
            asyncio.run(self._look_on())
        except BaseException as error:
            self._error = error

    async def _look_on(self) -> None:
        connections = {name: await asyncpg.connect(dsn) for name, dsn in self._dsns.items()}
        try:
            while not self._over.is_set():
                # ends before progress: what is handled by then waits no more
                ends = await asyncio.to_thread(self._ends)
                for service, connection in connections.items():
                    progress = await inbox.progress_of(connection)
                    self._compare(service, ends, {key: at[0] for key, at in progress.items()})
                await asyncio.sleep(_PAUSE)
        finally:
            for connection in connections.values():
                connection.terminate()

    def _ends(self) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(topic, number) for _, topic, number in self._places}
        newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        found = self._admin.list_offsets(dict.fromkeys(asked, newest))
        return {
            (place.topic, place.partition): future.result().offset
            for place, future in found.items()
        }

    def _compare(
        self, service: str, ends: dict[tuple[str, int], int], handled: dict[tuple[str, int], int]
    ) -> None:
        now = monotonic()
        for place in self._places:
            if place[0] != service:
                continue
            key = (place[1], place[2])
            reached = handled.get(key, 0)
            if ends[key] <= reached:
                self._since.pop(place, None)
                continue
            known = self._since.get(place)
            if known is None or known[0] != reached:
                self._since[place] = (reached, now)
            elif now - known[1] > self.longest[service]:
                self.longest[service] = now - known[1]
                self.where[service] = f"{place[1]}/{place[2]} of {service}"
