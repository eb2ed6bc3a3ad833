"""The relay on the real broker: in commit order, over what is acknowledged, to the right ears."""

from __future__ import annotations

import asyncio
import gc
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from secrets import token_hex

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from pydantic import PostgresDsn

from lianhu.contracts.publishers import Publishers
from lianhu.eventing import database, journal, relay
from lianhu.eventing.journal import Row
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.relay import Relay
from lianhu.eventing.settings import EngineSettings
from tests.conftest import MakeDatabase
from tests.infrastructure.ground import Broker
from tests.wire import Seen, headers, tail, until

pytestmark = pytest.mark.infra

EVENTS = "mediation.events.v1"
LETTERS = "mediation.dead-letters.v1"
WHEN = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def row(stream: str, version: int, body: str = "{}", **more: str | None) -> Row:
    """A journal row; the relay does not look into it."""
    id_ = token_hex(8)
    given = Row(
        stream=stream,
        version=version,
        epoch=1,
        id=id_,
        type="lianhu.mediation.visit-recorded.v1",
        time=WHEN,
        causation="m-1",
        correlation="m-0",
        trace=None,
        answers=None,
        body=body,
        hash=journal.chain(stream, version, id_, "t", WHEN, None, body, None),
    )
    return given._replace(**more)  # type: ignore[arg-type]


class Office:
    """A journal in a database and a relay over it."""

    def __init__(self, connection: asyncpg.Connection, publisher: Relay, metrics: Metrics) -> None:
        self.connection = connection
        self.relay = publisher
        self.metrics = metrics

    async def write(self, *rows: Row) -> None:
        """Commit rows in this order."""
        async with self.connection.transaction():
            await journal.append(self.connection, rows)

    async def publish(self) -> None:
        """All that waits, as the leader does; the first failure is raised."""
        while await self.relay.step(self.connection):
            pass

    async def cursor(self) -> int:
        """The relay's cursor."""
        return (await relay.outbox(self.connection))[0]

    @property
    def failures(self) -> float:
        """The metric that the alarm looks at."""
        value = self.metrics.registry.get_sample_value("lianhu_relay_failures_total")
        assert value is not None
        return value


@asynccontextmanager
async def office(
    bootstrap: str, url: str, *, records: int = 2000, timeout_ms: int = 40_000
) -> AsyncIterator[Office]:
    settings = EngineSettings(database_url=PostgresDsn(url), kafka=bootstrap)
    connection = await database.open_leader(settings, "mediation")
    metrics = Metrics()

    def producer() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            max_batch_size=512 * 1024,
            max_request_size=2 * 1024 * 1024,
            request_timeout_ms=timeout_ms,
        )

    publisher = Relay("mediation", Publishers.read(), producer, metrics, records)
    try:
        yield Office(connection, publisher, metrics)
    finally:
        await publisher.drop()
        await connection.close()


def positions(records: Sequence[Seen]) -> list[tuple[str, int]]:
    """Stream and sequence of each record."""
    return [(headers(r)["subject"], int(headers(r)["sequence"])) for r in records]


def case() -> str:
    return f"case/440304-2026-{token_hex(4)}"


async def test_rows_leave_in_commit_order_and_only_from_published_streams(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    first, second = case(), case()
    async with (
        office(broker_with_topics, await make_database("mediation"), records=3) as here,
        tail(broker_with_topics, EVENTS, LETTERS) as seen,
    ):
        rows = [
            row(first, 1),
            row("person/abc", 1, json.dumps({"secret": "who"})),
            row(second, 1),
            row("matter/abc", 1),
            row("claim/abc", 1),
            row(first, 2),
            row("letter/7", 1),
            row("submission/hotline-futian-1", 1),
        ]
        await here.write(*rows)
        await here.publish()
        assert await here.cursor() == (await relay.outbox(here.connection))[1] == 8
        await seen.reach(5)
        await seen.nothing_more()
        letters = [r for r in seen.seen if r.topic == LETTERS]
        events = [r for r in seen.seen if r.topic == EVENTS]
        assert positions(letters) == [("letter/7", 1)]
        assert sorted(positions(events)) == sorted(
            [(first, 1), (first, 2), (second, 1), ("submission/hotline-futian-1", 1)]
        )
        assert [p for p in positions(events) if p[0] == first] == [(first, 1), (first, 2)]
        for record in seen.seen:
            assert record.key is not None
            assert record.key.decode() == headers(record)["subject"]


async def test_the_headers_tell_position_hash_and_the_key_of_the_case(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    name = case()
    async with (
        office(broker_with_topics, await make_database("mediation")) as here,
        tail(broker_with_topics, EVENTS) as seen,
    ):
        wrapped = b"\x00\xffwrapped"
        await here.connection.execute("INSERT INTO case_keys VALUES ($1, $2)", name, wrapped)
        given = row(name, 7, trace="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        await here.write(given)
        await here.publish()
        (record,) = await seen.reach(1)
        told = headers(record)
        assert b64decode(told.pop("datakey")) == wrapped
        assert told == {
            "specversion": "1.0",
            "id": given.id,
            "source": "lianhu/mediation",
            "type": given.type,
            "time": WHEN.isoformat(),
            "causationid": "m-1",
            "correlationid": "m-0",
            "traceparent": given.trace,
            "subject": name,
            "sequence": "7",
            "epoch": "1",
            "rowhash": given.hash.hex(),
        }
        assert dict(record.headers)["content-type"] == b"application/json"


async def test_an_answer_to_a_reporting_system_reveals_no_case(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    name = case()
    opaque, open_ = "intake.answers.hotline-futian.v1", "mediation.answers.officers-shenzhen.v1"
    async with (
        office(broker_with_topics, await make_database("mediation")) as here,
        tail(broker_with_topics, EVENTS, opaque, open_) as seen,
    ):
        here.relay._service = "intake"  # only intake answers a reporting system
        await here.connection.execute("INSERT INTO case_keys VALUES ($1, 'k')", name)
        await here.write(row(name, 1, answers="hotline-futian"))
        await here.publish()
        here.relay._service = "mediation"
        await here.write(row(name, 2, answers="officers-shenzhen"))
        await here.publish()
        await seen.reach(4)
        by_topic = {record.topic: record for record in seen.seen}
        receipt, reply = by_topic[opaque], by_topic[open_]
        assert receipt.key == b"m-1"
        assert set(headers(receipt)) == {
            *("specversion", "id", "source", "type", "time", "causationid")
        }
        assert name not in str(receipt)
        assert reply.key == name.encode()
        assert headers(reply)["subject"] == name
        assert not {"sequence", "datakey", "rowhash", "epoch"} & set(headers(reply))


async def test_setting_the_cursor_back_publishes_the_same_ids_and_positions_again(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    name = case()
    async with (
        office(broker_with_topics, await make_database("mediation")) as here,
        tail(broker_with_topics, EVENTS) as seen,
    ):
        await here.write(*(row(name, version) for version in range(1, 6)))
        await here.publish()
        once = [(headers(r)["id"], headers(r)["rowhash"], r.value) for r in await seen.reach(5)]
        await relay.republish(here.connection, 2)
        await here.publish()
        again = [(headers(r)["id"], headers(r)["rowhash"], r.value) for r in await seen.reach(8)]
        assert again == once + once[2:]
        await relay.republish(here.connection, 100)  # never forward: rows would be lost
        assert await here.cursor() == 5


async def test_a_cursor_set_back_while_rows_are_under_way_stays_back(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    url = await make_database("mediation")
    operator = await asyncpg.connect(url)
    async with office(broker_with_topics, url, records=10) as here:
        await here.write(*(row(case(), 1) for _ in range(20)))
        await here.relay.step(here.connection)
        publish = here.relay._publish

        async def interrupted(*given: object) -> object:
            done = await publish(*given)  # type: ignore[arg-type]
            await relay.republish(operator, 3)
            return done

        here.relay._publish = interrupted  # type: ignore[method-assign,assignment]
        await here.relay.step(here.connection)
        assert await here.cursor() == 3
    await operator.close()


@pytest.mark.parametrize("size", [1_500_000, 3_000_000], ids=["by-the-broker", "by-the-client"])
async def test_a_row_that_is_refused_holds_the_cursor_and_is_not_overtaken(
    broker_with_topics: str, make_database: MakeDatabase, size: int
) -> None:
    name = case()
    async with (
        office(broker_with_topics, await make_database("mediation")) as here,
        tail(broker_with_topics, EVENTS) as seen,
    ):
        bodies = ["{}", "{}", f'"{"x" * size}"', "{}", "{}"]
        await here.write(*(row(name, n, body) for n, body in enumerate(bodies, start=1)))
        for attempt in (1, 2):
            with pytest.raises(MessageSizeTooLargeError):
                await asyncio.wait_for(here.publish(), 20)
            assert await here.cursor() == 2
            assert here.failures == attempt
        await seen.reach(2)
        await seen.nothing_more()
        assert positions(seen.seen) == [(name, 1), (name, 2)]
        # somebody has seen to it
        await here.connection.execute("UPDATE journal SET body = '{}' WHERE seq = 3")
        await here.publish()
        assert positions(await seen.reach(5)) == [(name, n) for n in range(1, 6)]
        assert await here.cursor() == 5


async def test_nothing_overtakes_when_the_broker_stands_still(
    broker_with_topics: str, kafka: Broker, make_database: MakeDatabase
) -> None:
    """Once, sending all and then awaiting all put row 273 behind row 500."""
    streams = [case() for _ in range(20)]
    async with (
        office(
            broker_with_topics, await make_database("mediation"), records=100, timeout_ms=1500
        ) as here,
        tail(broker_with_topics, EVENTS) as seen,
    ):
        body = json.dumps("x" * 20_000)
        await here.write(*(row(streams[n % 20], n // 20 + 1, body) for n in range(500)))
        assert await here.relay.step(here.connection)
        here.relay._records = 400

        async def leader() -> None:
            while True:
                with suppress(KafkaError):
                    await here.publish()
                    return
                await asyncio.sleep(0.1)

        with kafka.standing_still():
            work = asyncio.create_task(leader())
            # longer than the request's patience, and than an idle connection of a leader lives
            await asyncio.wait([work], timeout=6.5)
            assert not work.done()
        await asyncio.wait_for(work, 60)
        assert await here.cursor() == 500

        async def whole() -> bool:
            await seen.more()
            return len(set(positions(seen.seen))) == 500

        await until(whole, "every row on the topic")
        for name in streams:
            firsts = list(dict.fromkeys(p for p in positions(seen.seen) if p[0] == name))
            assert firsts == [(name, version) for version in range(1, 26)]


async def test_giving_up_a_producer_sends_nothing_and_waits_for_nothing(
    broker_with_topics: str, kafka: Broker, make_database: MakeDatabase
) -> None:
    """A leader that lost the lead must let go, also while the broker stands still."""
    loop, said = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))
    async with office(broker_with_topics, await make_database("mediation")) as here:
        await here.write(row(case(), 1))
        await here.publish()
        await here.write(*(row(case(), 1) for _ in range(50)))
        try:
            with kafka.standing_still():
                work = asyncio.create_task(here.publish())
                await asyncio.wait([work], timeout=0.5)
                assert not work.done()
                work.cancel()
                await asyncio.wait([work], timeout=5)
                assert work.cancelled()
                await asyncio.wait_for(here.relay.drop(), 5)
                del work
                gc.collect()
                assert said == [], "nothing is left behind that somebody should have looked at"
        finally:
            loop.set_exception_handler(None)
        assert await here.cursor() == 1
        await here.publish()
        assert await here.cursor() == 51


async def test_a_look_does_not_read_the_keys_of_all_cases(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    scans = "SELECT coalesce(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'case_keys'"
    async with office(broker_with_topics, await make_database("mediation")) as here:
        asks = here.connection
        await asks.execute(
            "INSERT INTO case_keys (id, wrapped)"
            " SELECT 'case/' || n, 'key' FROM generate_series(1, 20000) AS n"
        )
        await asks.execute("ANALYZE case_keys")
        await asks.fetchval("SELECT pg_stat_force_next_flush()")
        before = await asks.fetchval(scans)
        await here.write(*(row(case(), 1) for _ in range(300)))
        await asks.execute("ANALYZE journal")
        await here.publish()
        assert await here.cursor() == 300
        await asks.fetchval("SELECT pg_stat_force_next_flush()")
        assert await asks.fetchval(scans) == before
