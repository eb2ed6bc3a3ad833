"""A service: one value that says what it is made of, and how it is run."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources.abc import Traversable
from typing import Any

import asyncpg
import structlog
import typer
import uvicorn
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from prometheus_client import CollectorRegistry
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from lianhu.contracts import REGISTRY
from lianhu.contracts.asyncapi import asyncapi
from lianhu.contracts.publishers import Publishers, public_pattern
from lianhu.contracts.registry import dead_letters_topic, events_topic
from lianhu.eventing import database
from lianhu.eventing.batch import Done
from lianhu.eventing.clock import Clock
from lianhu.eventing.effects import Effect, Effects
from lianhu.eventing.engine import Engine
from lianhu.eventing.envelope import Reader
from lianhu.eventing.errors import passes
from lianhu.eventing.health import Health
from lianhu.eventing.house import House
from lianhu.eventing.leader import Leader
from lianhu.eventing.measures import Measures
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.relay import Relay
from lianhu.eventing.renewal import Renewal
from lianhu.eventing.rows import NoRows, Rows
from lianhu.eventing.rules import Rank, State, Workflow
from lianhu.eventing.settings import EngineSettings
from lianhu.eventing.transport import Consumer, Records, Route, application
from lianhu.eventing.vault import Vault
from lianhu.eventing.watermark import Watermark
from lianhu.privacy import BlindIndex, DataKey, MasterKeys

log = structlog.get_logger(__name__)

INDEX_KEY = "index/persons"
"""The data key that blind indexes are made with; each service has its own."""


_NO_ROWS = NoRows()


def _no_effects(policy: Any, vault: Vault) -> Mapping[str, Effect]:
    return {}


OnDatabase = Callable[[Callable[[asyncpg.Connection, Any], Awaitable[Any]]], Any]
"""Runs a piece of work on a connection to the service's database, with the settings."""


def _no_commands(cli: typer.Typer, on_database: OnDatabase) -> None:
    return None


def _no_routes(pool: asyncpg.Pool) -> Sequence[Route]:
    return ()


@dataclass(frozen=True, slots=True)
class Service:
    """What a service is made of. `python -m lianhu.<name>` runs it."""

    name: str
    settings: type[EngineSettings]
    workflow: Workflow
    states: Mapping[Rank, type[State]]
    policy: Callable[[Any], Any]
    """Reads and checks the policy; raises ValueError with a sentence that names the hole."""
    migrations: Traversable
    measures: Callable[[CollectorRegistry], Measures] = Measures
    effects: Callable[[Any, Vault], Mapping[str, Effect]] = _no_effects
    rows: Rows = _NO_ROWS
    """What is kept besides the journal in the same transaction."""
    routes: Callable[[asyncpg.Pool], Sequence[Route]] = _no_routes
    commands: Callable[[typer.Typer, OnDatabase], None] = _no_commands
    """Adds operator's commands of its own to the command line."""

    def pattern(self) -> str:
        """A regular expression of all topics it reads: public ones and other services' events."""
        topics = [public_pattern(self.name)]
        topics += [re.escape(events_topic(other)) for other in REGISTRY.sources_of(self.name)]
        return f"^(?:{'|'.join(topics)})$"

    def required(self) -> list[str]:
        """Topics whose loss is told: other services' events that it reads, and its own."""
        read = [events_topic(other) for other in REGISTRY.sources_of(self.name)]
        return [*read, events_topic(self.name), dead_letters_topic(self.name)]


async def build_house(service: Service, settings: EngineSettings, pool: asyncpg.Pool) -> House:
    """Read policy, publishers and keys; every hole is an error that names it."""
    if settings.master_key_file is None:
        raise ValueError("MASTER_KEY_FILE is not set: the service cannot seal anything")
    keys = MasterKeys.read(settings.master_key_file)
    clock = Clock(movable=settings.clock_movable)
    key_name = f"service/{service.name}"
    async with pool.acquire() as connection:
        epoch = await database.epoch(connection)
        await clock.refresh(connection)
        wrapped = await database.service_key(connection, key_name, keys.wrap(DataKey.new(key_name)))
        indexing = await database.service_key(
            connection, INDEX_KEY, keys.wrap(DataKey.new(INDEX_KEY))
        )
    metrics = Metrics()
    return House(
        name=service.name,
        workflow=service.workflow,
        states=service.states,
        policy=service.policy(settings),
        settings=settings,
        publishers=Publishers.read(settings.publishers_file),
        keys=keys,
        service_key=keys.unwrap(key_name, wrapped),
        index=BlindIndex(keys.unwrap(INDEX_KEY, indexing)),
        epoch=epoch,
        clock=clock,
        metrics=metrics,
        measures=service.measures(metrics.registry),
        rows=service.rows,
    )


class Running:
    """A service in a process: pool, engine, leader, consumer, web server."""

    def __init__(self, service: Service, settings: EngineSettings) -> None:
        self.service = service
        self.settings = settings
        self._tasks: list[asyncio.Task[None]] = []
        self._pool: asyncpg.Pool | None = None
        self._died = False

    async def prepare(self) -> None:
        """Everything that can be wrong at a start is found here."""
        service, settings = self.service, self.settings
        service.policy(settings)  # a hole in it is told before a database is waited for
        self._pool = pool = await database.open_pool(settings, service.name)
        self.house = house = await build_house(service, settings, pool)
        vault = Vault(pool, house.keys, house.clock, house.metrics)
        effects = service.effects(house.policy, vault)
        house.effects = frozenset(effects)
        self.engine = Engine(house, pool, self._after)
        self._renewal = Renewal(house, lambda: service.policy(settings), self._take)
        self._reader = Reader(service.name, house.publishers, house.clock, self._renewal.publishers)
        self._effects = Effects(
            service.name,
            effects,
            self.engine.handle,
            house.clock,
            house.metrics,
            settings.effects_at_once,
        )
        pattern = service.pattern()
        self._relay = Relay(
            service.name,
            house.publishers,
            self._producer,
            house.metrics,
            settings.relay_records,
            self._renewal.publishers,
        )
        self._leader = Leader(
            house,
            self.engine,
            pool,
            self._reader,
            self._relay,
            lambda: database.open_leader(settings, service.name),
            lambda: Watermark(settings.access(), service.name, pattern),
        )
        self.consumer = Consumer(
            service.name, pattern, settings, house.metrics, self._records, service.required()
        )
        self._health = Health(house, pool, self.consumer)

    def app(self) -> Any:
        """The ASGI application."""
        pool = self._pool
        if pool is None:
            raise RuntimeError("prepare() comes first")

        async def describe(_: Mapping[str, str]) -> tuple[int, object]:
            return 200, _described(self.service.name, self.house.publishers)

        routes: list[Route] = [
            ("/livez", self._health.alive),
            ("/readyz", self._health.ready),
            ("/asyncapi.json", describe),
            *self.service.routes(pool),
        ]
        return application(
            self.consumer, self.house.metrics, routes, self._start, self._finish, self._close
        )

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; then no further batch, the running one ends, rows go out.

        Raises `SystemExit` with 1 when it did not come up, or when a part of it died.
        """
        await self.prepare()
        await _await_kafka(self.settings)
        _settle()
        server = _Server(
            uvicorn.Config(
                self.app(),
                host=self.settings.http_host,
                port=self.settings.http_port,
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=2,
            )
        )
        await server.serve()
        if server.left:
            await self._close()
        if not server.started or self._died or server.left:
            raise SystemExit(1)

    def _take(self, publishers: Publishers) -> None:
        self._reader.publishers = self._relay.publishers = publishers

    async def _records(self, records: Records) -> None:
        clock, pool = self.house.clock, self._pool
        if clock.movable and pool is not None:
            async with pool.acquire() as connection:
                await clock.refresh(connection)
        await self.engine.handle([self._reader.read(record) for record in records])

    async def _after(self, done: Done) -> None:
        if done.effects:
            self._effects.start(done.effects)
        self._leader.wake(journal=bool(done.rows), released=done.released)

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self.settings.access().arguments(),
            client_id=f"{self.service.name}-relay",
            acks="all",
            enable_idempotence=True,
            max_batch_size=512 * 1024,
            max_request_size=2 * 1024 * 1024,
            linger_ms=0,
        )

    async def _start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._leader.run(), name="leader"),
            asyncio.create_task(self._effects.run(), name="effects"),
            asyncio.create_task(self._renewal.run(), name="renewal"),
            asyncio.create_task(self.consumer.watch(), name="consumer"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def _finish(self) -> None:
        await self.consumer.finish(self.settings.stop_seconds / 2)
        self._leader.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.stop_seconds / 2):
                await asyncio.wait(self._tasks[:1])

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pool is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await self._pool.close()
            self._pool.terminate()
        log.info("stopped")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            # without it the service is half dead: better to stop and be started again
            error = task.exception()
            log.critical("a part of the service died", part=task.get_name(), exc_info=error)
            self._died = True
            signal.raise_signal(signal.SIGTERM)


@lru_cache(maxsize=1)
def _described(service: str, publishers: Publishers) -> dict[str, Any]:
    return asyncapi(service, publishers)


class _Server(uvicorn.Server):
    """Uvicorn, but a stop that was asked for ends by returning, and it does not outlive the rest.

    Uvicorn's own raises the signal once more: the process would end by it, and not with 0. And it
    goes on to serve when the application has ended: FastStream starts its broker besides, and where
    that fails nothing would be read, by a process that answers.
    """

    left = False
    """Whether the application ended by itself."""

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop."""
        stop = await super().on_tick(counter)
        self.left = not stop and self.lifespan.shutdown_event.is_set()
        return stop or self.left

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first SIGTERM or SIGINT."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _settle() -> None:
    """What stands at the start stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _await_kafka(settings: EngineSettings) -> None:
    """The web server starts before the consumer, so the broker is waited for here."""
    async for attempt in AsyncRetrying(
        stop=stop_after_delay(60),
        wait=wait_exponential_jitter(multiplier=0.2, max=5.0),
        retry=retry_if_exception(passes),
        reraise=True,
    ):
        with attempt:
            client = AIOKafkaClient(**settings.access().arguments(), client_id="start")
            try:
                await client.bootstrap()
            finally:
                await client.close()
