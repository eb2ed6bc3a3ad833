"""FastStream, and all that the house knows of it: consumer loop, ASGI application, their traps.

- Its batch parser decodes every header before any handler runs; one header that is null or not
  UTF-8 loses its neighbours. So parser and decoder here look at neither header nor body.
- `AckPolicy.MANUAL` with an exception would commit past the failure at the next plain `ack()`; so
  offsets are committed by name, partition by partition, and a failed batch is sought back.
- `auto_offset_reset` would be `latest`, the assignor is round robin. After a look in vain it sleeps
  for as long as it had waited, 200 ms, and what comes then waits: so our client does the waiting.
- Its rebalance listener does nothing; ours waits for the running batch.
- The Kafka client under it stops for ever at a header name that is not UTF-8: see `records.py`;
  and when it writes to a connection at the moment of its end: see `sending.py`.
- When a task of that client ends, it asks it again every five seconds, for ever and in silence.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import structlog
from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.asgi import AsgiFastStream, AsgiResponse
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.kafka.prometheus import KafkaPrometheusMiddleware
from faststream.security import SASLScram512
from prometheus_client import make_asgi_app

from lianhu.contracts.rights import group_of
from lianhu.eventing.connection import Access, Protocol
from lianhu.eventing.errors import passes
from lianhu.eventing.fetching import Client
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.records import install as read_leniently
from lianhu.eventing.sending import install as tell_of_closed_connections
from lianhu.eventing.settings import EngineSettings

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

log = structlog.get_logger(__name__)
read_leniently()
tell_of_closed_connections()

Records = Sequence[ConsumerRecord[bytes, bytes]]
OnRecords = Callable[[Records], Awaitable[None]]
Answer = tuple[int, object]
"""Status and what becomes the JSON body."""
Handler = Callable[[Mapping[str, str]], Awaitable[Answer]]
Route = tuple[str, Handler]
"""An exact path, asked by GET, and its handler of the query's parameters."""

_FETCHED = 256 * 1024
"""Bytes of a partition that are held ahead; a larger batch comes alone."""
_BLIND_MS = 1
"""So long FastStream sleeps after it looked in vain; to wait for a record is the client's part."""
_REVOKE_SECONDS = 3.0
_LOOK_SECONDS = 1.0
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer for all input topics of a service; hands on batches, commits offsets."""

    def __init__(
        self,
        service: str,
        pattern: str,
        settings: EngineSettings,
        metrics: Metrics,
        on_records: OnRecords,
        required: Collection[str] = (),
    ) -> None:
        self._metrics = metrics
        self._required = frozenset(required)
        metrics.topics_missing.set_function(lambda: len(self.missing))
        self._on_records = on_records
        self._running: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._failures = 0
        self._closing = False
        self._placed = False
        self._pace = settings.batch_wait_ms / 1000
        self.broker = KafkaBroker(
            settings.kafka.split(","),  # given one text, it would take it for one host
            client_id=f"{service}-{settings.instance or 'one'}",
            consumer_only=True,
            security=_security(settings.access()),
            metadata_max_age_ms=settings.metadata_max_age_ms,
            middlewares=[
                KafkaPrometheusMiddleware(registry=metrics.registry, app_name=service),
            ],
            logger=None,
            apply_types=False,
        )
        self._subscriber = self.broker.subscriber(
            pattern=pattern,
            group_id=group_of(service),
            group_instance_id=f"{service}-{settings.instance}" if settings.instance else None,
            batch=True,
            max_records=settings.batch_records,
            batch_timeout_ms=_BLIND_MS,
            max_partition_fetch_bytes=_FETCHED,
            fetch_max_bytes=16 * _FETCHED,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=max(settings.session_timeout_ms // 4, 250),
            listener=self,
            parser=_parse,
            decoder=_decode,
        )
        self._subscriber(self._on_message)

    async def connect(self) -> None:
        """Before the broker's start: it makes its consumer out of our class."""
        await self.broker.connect()
        config = self.broker.config.broker_config
        if isinstance(config.builder, partial):
            config.builder = partial(Client, pace=self._pace, **config.builder.keywords)

    @property
    def _client(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer

    @property
    def assigned(self) -> bool:
        """Whether it has its place in the group, as far as the group's broker answers."""
        client = self._client
        return (
            self._placed and client is not None and client._coordinator.coordinator_id is not None
        )

    @property
    def missing(self) -> frozenset[str]:
        """Required topics that the broker does not have, as far as it was asked."""
        client = self._client
        if client is None or not self.assigned:
            return frozenset()
        known: set[str] = client._client.cluster.topics()
        return self._required - known

    @property
    def failing(self) -> bool:
        """Whether the last batch could not be handled."""
        return self._failures > 0

    async def watch(self) -> None:
        """Until cancelled. Raises RuntimeError when a part of the Kafka client ended by itself."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            client = self._client
            if not self._closing and isinstance(client, Client) and (part := client.died()):
                raise RuntimeError(f"the Kafka client lost {part}")

    async def _on_message(self, message: Any) -> None:
        records: Records = message
        if self._closing:
            return
        self._idle.clear()
        self._running = task = asyncio.create_task(self._handle(records))
        try:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        finally:
            self._running = None
            self._idle.set()

    async def _handle(self, records: Records) -> None:
        try:
            await self._on_records(records)
        except Exception as error:  # noqa: BLE001 - told by pass or error, and tried again
            # none of it is committed: fetched again, and what had been done is done no second time
            self._seek_back(records)
            pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
            self._failures += 1
            cause = type(error).__name__
            self._metrics.retries.labels(cause).inc()
            (log.warning if passes(error) else log.error)("batch not handled", exc_info=error)
            await asyncio.sleep(pause)
            return
        self._failures = 0
        await self._commit(records)

    def _seek_back(self, records: Records) -> None:
        client = self._client
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for place, offset in first.items():
            if client is not None and place in client.assignment():
                client.seek(place, offset)

    async def _commit(self, records: Records) -> None:
        client = self._client
        if client is None:
            return
        ours = client.assignment()
        reached = {
            place: record.offset + 1
            for record in records
            if (place := TopicPartition(record.topic, record.partition)) in ours
        }
        try:
            if reached:
                await client.commit(reached)
        except KafkaError as error:
            self._metrics.commit_failures.inc()
            log.info("offsets not committed", error=type(error).__name__)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let the running batch end, at most three seconds, then give it up."""
        self._metrics.rebalances.inc()
        self._placed = False
        if (task := self._running) is not None:
            done, _ = await asyncio.wait([task], timeout=_REVOKE_SECONDS)
            if not done:
                log.warning("gave up a batch because its partitions went away")
                task.cancel()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Ready, also without a partition: a spare replica."""
        self._placed = True
        # what failed may be another's now: no batch would come to say that all is well
        self._failures = 0
        self._metrics.partitions.set(len(assigned))
        log.info("partitions assigned", count=len(assigned))

    async def finish(self, seconds: float) -> None:
        """Take no further batch and wait for the running one."""
        self._closing = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            if self._running is not None:
                self._running.cancel()


def _security(access: Access) -> SASLScram512 | None:
    if access.protocol is Protocol.PLAINTEXT:
        return None
    return SASLScram512(access.user or "", access.secret(), access.tls())


async def _parse(records: Records) -> KafkaMessage:
    return KafkaMessage(body=b"", raw_message=tuple(records), consumer=_NoConsumer())


async def _decode(message: KafkaMessage) -> Records:
    raw = message.raw_message
    return raw if isinstance(raw, tuple) else (raw,)


class _NoConsumer:
    async def commit(self) -> None:
        raise RuntimeError("offsets are committed by partition, never all at once")

    def seek(self, partition: TopicPartition, offset: int) -> None:
        raise RuntimeError("seeking is done by the consumer itself")


def application(
    consumer: Consumer,
    metrics: Metrics,
    routes: Sequence[Route],
    on_startup: Callable[[], Awaitable[None]],
    on_shutdown: Callable[[], Awaitable[None]],
    after_shutdown: Callable[[], Awaitable[None]],
) -> AsgiFastStream:
    """The ASGI application: routes, metrics, and the consumer's life."""
    asgi = [(path, _asgi(handler)) for path, handler in routes]
    return AsgiFastStream(
        consumer.broker,
        asgi_routes=[*asgi, ("/metrics", make_asgi_app(registry=metrics.registry))],
        logger=None,
        on_startup=[consumer.connect, on_startup],
        on_shutdown=[on_shutdown],
        after_shutdown=[after_shutdown],
    )


def _asgi(handler: Handler) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            status, body = 405, {"faults": [{"path": "", "slug": "method-not-allowed"}]}
        else:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            try:
                status, body = await handler(query)  # type: ignore[assignment]
            except Exception as error:
                log.error("request failed", path=scope["path"], exc_info=error)
                status, body = 500, {"faults": [{"path": "", "slug": "internal-error"}]}
        text = json.dumps(body, ensure_ascii=False).encode()
        response = AsgiResponse(
            text, status_code=status, headers={"content-type": "application/json; charset=utf-8"}
        )
        await response(scope, receive, send)

    return app
