"""The operator's command after a restore: what it names, what it sets right, when it is refused.

A restored database is a copy that was made at an earlier point.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from typer.testing import CliRunner

from lianhu.contracts.rights import group_of
from lianhu.eventing import topics
from lianhu.eventing.cli import build
from lianhu.eventing.leader import LEADER_LOCK
from lianhu.eventing.relay import Relay
from lianhu.eventing.rules import case_stream
from lianhu.eventing.service import Service
from lianhu.eventing.testing import FakeRecord, TestEngine
from lianhu.mediation.settings import Settings
from tests.conftest import MakeDatabase
from tests.engine_toy import COMMANDS, STATES, Toy, again, command, event
from tests.infrastructure import names
from tests.infrastructure.ground import Infrastructure, Server

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(240)]

CASE, OTHER, LATER = (f"440304-2026-00000{n}" for n in (1, 2, 7))
EVENTS = "intake.events.v1"
GROUP = group_of("mediation")


@pytest.fixture
def own_broker(infrastructure: Infrastructure) -> Iterator[str]:
    """A broker on whose topics nobody else has written."""
    with infrastructure.broker() as server:
        asyncio.run(topics.create(server.bootstrap, None))
        yield server.bootstrap


@dataclass
class Site:
    """A toy service of the name of mediation, its database, and the broker."""

    bootstrap: str
    server: Server
    database: str
    toy: Toy

    @property
    def url(self) -> str:
        return self.server.admin_dsn(self.database)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TestEngine]:
        async with again(self.url, self.toy) as (one,):
            yield one

    async def copy(self) -> str:
        """The database as it is now, under another name."""
        name = names.fresh("restored")
        admin = await asyncpg.connect(self.server.admin_dsn())
        try:
            await admin.execute(f"CREATE DATABASE {name} TEMPLATE {self.database}")
        finally:
            await admin.close()
        return name

    async def given(self, *records: FakeRecord) -> None:
        """These come in on their topics, each at its own partition and offset."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await producer.start()
        try:
            for one in records:
                sent = await producer.send_and_wait(
                    one.topic, one.value, partition=one.partition, headers=[*one.headers]
                )
                assert sent.offset == one.offset
        finally:
            await producer.stop()

    async def handled(self, *records: FakeRecord) -> None:
        """They are handled, published, and their offsets committed."""
        async with self.running() as one:
            await one.take(*records)
            await self.published(one)
        async with self.member() as consumer:
            reached = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
            consumer.assign([*reached])
            await consumer.commit(reached)

    async def published(self, one: TestEngine) -> None:
        relay = Relay("mediation", one.house.publishers, self._producer, one.house.metrics, 100)
        async with one.pool.acquire() as connection:
            while await relay.step(connection):
                pass
        await relay.close()

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")

    @asynccontextmanager
    async def member(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=GROUP, enable_auto_commit=False
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def taken_up_at(self, topic: str, partition: int) -> int | None:
        async with self.member() as consumer:
            place = TopicPartition(topic, partition)
            consumer.assign([place])
            found: int | OffsetAndMetadata | None = await consumer.committed(place)
            assert found is None or isinstance(found, int)
            return found

    async def restored(self) -> tuple[int, list[str], str]:
        """The command on the present database: exit code, lines, errors."""
        cli = build(
            Service(
                name="mediation",
                settings=Settings,
                workflow=self.toy,
                states=STATES,
                policy=lambda _: None,
                migrations=files("lianhu.mediation") / "migrations",
            )
        )
        environment = {
            "LIANHU_MEDIATION_MIGRATION_URL": self.url,
            "LIANHU_MEDIATION_KAFKA": self.bootstrap,
            "LIANHU_MEDIATION_ENVIRONMENT": "test",
            "LIANHU_MEDIATION_SESSION_TIMEOUT_MS": "1000",
        }
        result = await asyncio.to_thread(
            CliRunner().invoke, cli, ["restored"], env=environment, catch_exceptions=False
        )
        return result.exit_code, result.stdout.splitlines(), result.stderr

    async def ask(self, sql: str) -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()


@pytest.fixture
async def site(make_database: MakeDatabase, postgres: Server, own_broker: str) -> Site:
    url = await make_database("mediation")
    return Site(own_broker, postgres, url.rpartition("/")[2].partition("?")[0], Toy())


def named(lines: Sequence[str], what: str) -> list[list[str]]:
    """The words of the lines that begin with one."""
    return [line.split()[1:] for line in lines if line.split()[0] == what]


async def test_after_a_restore_it_names_what_was_lost_and_goes_on_in_a_higher_epoch(
    site: Site,
) -> None:
    before = [event(CASE, 1, offset=0), event(OTHER, 1, offset=1)]
    after = [event(CASE, 2, offset=2), event(LATER, 1, offset=3)]
    said = command(OTHER, "m-1", "a note", offset=0)
    await site.given(*before, *after, said)
    await site.handled(*before)
    earlier = await site.copy()
    site.toy.does["m-1"] = "erase"
    await site.handled(*after, said)
    site.database = earlier

    code, lines, errors = await site.restored()

    assert (code, errors) == (0, "")
    lost = {
        (stream, place, type_.split(".")[2]) for stream, place, type_, *_ in named(lines, "lost")
    }
    assert lost == {
        (str(case_stream(CASE)), "1:2", "report-accepted"),
        (str(case_stream(LATER)), "1:1", "report-accepted"),
        (str(case_stream(OTHER)), "1:2", "keys-erased"),
        (str(case_stream(OTHER)), "1:3", "report-accepted"),
    }
    streams = [[str(case_stream(case))] for case in (CASE, OTHER, LATER)]
    assert named(lines, "affected") == streams
    assert named(lines, "again") == [[name, "1"] for (name,) in streams]
    assert named(lines, "erased") == [[str(case_stream(OTHER))]]
    assert lines[-1] == "it goes on in epoch 2"
    assert await site.ask("SELECT max(epoch) FROM epochs") == [(2,)]
    assert await site.taken_up_at(EVENTS, 0) == 2
    assert await site.taken_up_at(COMMANDS, 0) == 0
    assert await site.ask(
        "SELECT id FROM case_keys WHERE erased_at IS NOT NULL AND wrapped = ''"
    ) == [(str(case_stream(OTHER)),)]
    assert await site.ask("SELECT name, next FROM counters") == [("440304-2026", 8)]

    again_ = await site.restored()
    assert again_ == (0, ["the topic knows nothing more than the journal: epoch 2 stays"], "")
    assert await site.ask("SELECT max(epoch) FROM epochs") == [(2,)]


async def test_what_it_publishes_afterwards_is_new_to_a_reader_that_knew_more(site: Site) -> None:
    first, second = event(CASE, 1, offset=0), event(CASE, 2, offset=1)
    await site.given(first, second)
    await site.handled(first)
    earlier = await site.copy()
    await site.handled(second)
    site.database = earlier
    await site.restored()
    await site.handled(second)
    assert await site.ask("SELECT version, epoch FROM journal ORDER BY seq") == [(1, 1), (2, 2)]
    code, lines, _ = await site.restored()
    assert (code, lines[-1]) == (
        0,
        "the topic knows nothing more than the journal: epoch 2 stays",
    ), "what the first restore lost was told then"


async def test_it_is_refused_while_a_replica_leads_or_is_in_the_group(site: Site) -> None:
    connection = await asyncpg.connect(site.url)
    await connection.execute("SELECT pg_advisory_lock($1)", LEADER_LOCK)
    assert await site.restored() == (
        2,
        [],
        "mediation: the service runs: stop all its replicas first\n",
    )
    await connection.close()
    async with site.member() as consumer:
        consumer.subscribe([EVENTS])
        await consumer.getmany(timeout_ms=1000)
        assert consumer.assignment()
        code, lines, errors = await site.restored()
    assert (code, lines) == (2, [])
    assert errors == "mediation: a replica is in the service's group: stop all of them first\n"
