"""For tests: a toy service, records as the broker would hand them over, an engine on a database.

The toy keeps one number per case. It exists so that the engine's promises can be tested without
any casework: what it counts is what the engine handed to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import asyncpg
from aiokafka import AIOKafkaProducer
from pydantic import BaseModel, ConfigDict

from lianhu.contracts.base import Internal
from lianhu.contracts.cloudevents import headers_of
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.registry import events_topic
from lianhu.eventing import database, ops, parked
from lianhu.eventing.batch import Batch, Done
from lianhu.eventing.clock import Clock
from lianhu.eventing.delivery import Delivery, Origin, Outcome
from lianhu.eventing.engine import Engine
from lianhu.eventing.envelope import Reader
from lianhu.eventing.house import House
from lianhu.eventing.leader import Leader
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.relay import Relay
from lianhu.eventing.rows import NoRows, Rows
from lianhu.eventing.rules import Rank, State, Stream, Workflow
from lianhu.eventing.settings import EngineSettings, Environment
from lianhu.eventing.watermark import Stalls, Watermark
from lianhu.privacy import BlindIndex, DataKey, MasterKey, MasterKeys

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""A Monday, nine o'clock in the morning in Shenzhen."""
_ALL = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """A Kafka record made by hand; `timestamp` in ms is the broker's append time."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


def stamp(at: datetime) -> int:
    """A moment as a record's timestamp."""
    return int(at.timestamp() * 1000)


def public_record(
    topic: str,
    type_: str,
    body: BaseModel | bytes,
    *,
    id_: str | None = "m-1",
    offset: int = 0,
    partition: int = 0,
    at: datetime = START,
    source: str = "test",
    more: Mapping[str, bytes | None] | None = None,
) -> FakeRecord:
    """A message of a publisher, binary mode; `more` adds or replaces headers by name."""
    headers: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_source": source.encode(),
        "ce_type": type_.encode(),
        "content-type": b"application/json",
    }
    if id_ is not None:
        headers["ce_id"] = id_.encode()
    headers.update(more or {})
    value = body if isinstance(body, bytes) else body.model_dump_json().encode()
    return FakeRecord(topic, partition, offset, stamp(at), tuple(headers.items()), value)


def event_record(
    producer: str,
    event: Internal | bytes,
    stream: Stream,
    sequence: int,
    *,
    type_: str | None = None,
    epoch: int = 1,
    offset: int | None = None,
    partition: int = 0,
    at: datetime = START,
    rowhash: str | None = None,
    datakey: str | None = None,
) -> FakeRecord:
    """An event of another service, as its relay writes it."""
    attributes = {
        "specversion": "1.0",
        "id": f"{producer}-{stream}-{sequence}",
        "source": f"lianhu/{producer}",
        "type": type_ or (event.type_ if isinstance(event, Internal) else ""),
        "time": at.isoformat(),
        "subject": str(stream),
        "sequence": str(sequence),
        "epoch": str(epoch),
        "rowhash": rowhash or f"{sequence:064x}",
    }
    if datakey is not None:
        attributes["datakey"] = datakey
    value = event if isinstance(event, bytes) else event.model_dump_json().encode()
    return FakeRecord(
        events_topic(producer),
        partition,
        sequence - 1 if offset is None else offset,
        stamp(at),
        headers_of(attributes),
        value,
    )


class Count(BaseModel):
    """The toy's state: how many things happened."""

    SHAPE: ClassVar[int] = 1
    model_config = ConfigDict(frozen=True)

    count: int = 0


class _Died(Exception):
    pass


class TestEngine:
    """An engine on a database, without a broker: what it is handed, it handles."""

    __test__ = False

    def __init__(self, engine: Engine, house: House, pool: asyncpg.Pool, done: list[Done]) -> None:
        self.engine = engine
        self.house = house
        self.pool = pool
        self.done = done
        """What each committed transaction left to do, oldest first."""
        self.reader = Reader(house.name, house.publishers, house.clock)
        settings, name = house.settings, house.name
        self._leader = Leader(
            house,
            engine,
            pool,
            self.reader,
            Relay(name, house.publishers, AIOKafkaProducer, house.metrics, settings.relay_records),
            lambda: database.open_leader(settings, name),
            lambda: Watermark(settings.kafka, name, ""),
        )

    async def take(self, *records: FakeRecord) -> None:
        """Handle these records as one batch from the broker."""
        await self.engine.handle([self.reader.read(record) for record in records])

    async def handle(self, deliveries: Iterable[Delivery]) -> None:
        """Handle deliveries as they are."""
        await self.engine.handle([*deliveries])

    async def abort(self, *records: FakeRecord) -> None:
        """Handle these, and die before the commit."""
        with suppress(_Died):
            async with self.pool.acquire() as connection, connection.transaction():
                await Batch(
                    self.house, connection, [self.reader.read(record) for record in records]
                ).run()
                raise _Died

    async def drain(self, handled_up_to: datetime = _ALL) -> int:
        """Try parked messages again for as long as any is ripe; how often that was.

        `handled_up_to`: so far the leader's last look found all partitions handled.
        """
        rounds, self._leader.handled_up_to = 0, handled_up_to
        while await self._leader.drain_once():
            rounds += 1
        return rounds

    def again(self, one: parked.Parked) -> Delivery:
        """A parked message as the leader hands it in."""
        return self._leader.again(one)

    async def replay(self, *letters: str) -> int:
        """An operator has these letters tried again."""
        async with self.pool.acquire() as connection:
            return await parked.replay(connection, letters)

    async def fire(self, horizon: datetime, *streams: Stream) -> None:
        """Fire what is due up to a domain time, as the leader does it."""
        await self.handle(self._due(horizon, streams))

    async def fire_apart(self, horizon: datetime, *streams: Stream) -> None:
        """The same by the leader itself, which leaves a newer release's states to that."""
        await self._leader.handle(self._due(horizon, streams))

    def _due(self, horizon: datetime, streams: Iterable[Stream]) -> list[Delivery]:
        return [
            Delivery(Origin.ENGINE, self.house.name, horizon, horizon=horizon, touched=(stream,))
            for stream in streams
        ]

    async def fire_due(self, watermark: Watermark) -> None:
        """Fire what the leader would fire: what is due, and nothing waits that came before it."""
        while await self._leader.fire_once(watermark, Stalls(900), [0.0]):
            pass

    def outcomes(self) -> list[Outcome]:
        """What became of every delivery so far, in committed transactions."""
        return [outcome for done in self.done for _, outcome in done.outcomes]

    async def state(self, stream: Stream) -> str | None:
        """A stored state, as text."""
        found: str | None = await self.pool.fetchval(
            "SELECT state FROM aggregates WHERE stream = $1", str(stream)
        )
        return found

    async def parked(self) -> list[tuple[str, str | None]]:
        """Reason and stream of everything parked, oldest first."""
        rows = await self.fetch("SELECT reason, stream FROM parked ORDER BY id")
        return [(row["reason"], row["stream"]) for row in rows]

    async def verify(self) -> list[str]:
        """What is wrong with journal and states."""
        async with self.pool.acquire() as connection:
            return await ops.verify(connection, self.house)

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask the database."""
        found: list[asyncpg.Record] = await self.pool.fetch(sql, *arguments)
        return found

    async def types(self, stream: Stream) -> list[str]:
        """The short names of what happened on a stream, oldest first."""
        rows = await self.fetch(
            "SELECT type FROM journal WHERE stream = $1 ORDER BY version", str(stream)
        )
        return [row["type"].split(".")[2] for row in rows]


async def open_engine(
    name: str,
    url: str,
    workflow: Workflow,
    states: Mapping[Rank, type[State]],
    policy: Any = None,
    *,
    effects: frozenset[str] = frozenset(),
    rows: Rows | None = None,
    publishers: Publishers | None = None,
    keys: MasterKeys | None = None,
    index_key: DataKey | None = None,
    **settings: Any,
) -> TestEngine:
    """An engine of this service on a migrated database; close its `pool` afterwards."""
    given = EngineSettings(
        database_url=url, environment=Environment.TEST, clock_movable=True, **settings
    )
    pool = await database.open_pool(given, name, wait=5)
    master = keys or MasterKeys(MasterKey.generate())
    key_name = f"service/{name}"
    async with pool.acquire() as connection:
        wrapped = await database.service_key(
            connection, key_name, master.wrap(DataKey.new(key_name))
        )
        epoch = await database.epoch(connection)
    house = House(
        name=name,
        workflow=workflow,
        states=states,
        policy=policy,
        settings=given,
        publishers=publishers or Publishers.read(),
        keys=master,
        service_key=master.unwrap(key_name, wrapped),
        index=BlindIndex(index_key or DataKey.new("index/persons")),
        epoch=epoch,
        clock=Clock(movable=True),
        metrics=Metrics(),
        effects=effects,
        rows=rows or NoRows(),
    )
    done: list[Done] = []

    async def after(one: Done) -> None:
        done.append(one)

    return TestEngine(Engine(house, pool, after), house, pool, done)
