"""The chosen ground gives what every ground must; so does one that is told only its addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import asyncpg
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from deploy.embedded import StackFault
from tests.infrastructure import chosen, names
from tests.infrastructure.addresses import Addresses, server_at
from tests.infrastructure.ground import Broker, Infrastructure, Server
from tests.wire import make_topic, sending, tail

pytestmark = pytest.mark.infra

WAYS = ("given",) if chosen.word() == "addresses" else ("given", "by-address")


@pytest.fixture(scope="module")
def addressed(infrastructure: Infrastructure) -> Iterator[Addresses]:
    """A broker and a server of their own, by their addresses."""
    with infrastructure.broker() as broker, infrastructure.server() as server:
        yield Addresses(broker.bootstrap, server_at(server.admin_dsn()))


@pytest.fixture(params=WAYS)
def either_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The tests' broker, and another as the ground of addresses gives it."""
    if request.param == "given":
        yield request.getfixturevalue("kafka")
        return
    other: Addresses = request.getfixturevalue("addressed")
    other.given = False
    with other.broker() as broker:
        yield broker


@pytest.fixture(params=WAYS)
def either_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The tests' server, and another as the ground of addresses gives it."""
    if request.param == "given":
        yield request.getfixturevalue("postgres")
        return
    with ExitStack() as stack:
        # its names are dropped at the end, and those of all tests begin alike
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(names, "MINE", "test_by_address_")
        yield stack.enter_context(request.getfixturevalue("addressed").server())


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def elsewhere(url: str, database: str) -> str:
    """The same role at another database."""
    head, _, tail_ = url.rpartition("/")
    return f"{head}/{database}?{tail_.partition('?')[2]}"


def topics_of(bootstrap: str) -> set[str]:
    found = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    return {name for name in found if not name.startswith("__")}


async def test_a_broker_carries_a_message(either_broker: Broker) -> None:
    topic = await make_topic(either_broker.bootstrap, "carried")
    async with tail(either_broker.bootstrap, topic) as seen, sending(either_broker.bootstrap) as to:
        await to.send_and_wait(topic, b"told")
        assert [record.value for record in await seen.reach(1)] == [b"told"]


def test_a_broker_makes_no_topic_that_was_only_written_to(either_broker: Broker) -> None:
    taken: list[bool] = []
    producer = Producer({"bootstrap.servers": either_broker.bootstrap, "message.timeout.ms": 3000})
    producer.produce("misspelt", b"lost", on_delivery=lambda error, _: taken.append(error is None))
    assert producer.flush(30) == 0
    assert taken == [False]
    assert "misspelt" not in topics_of(either_broker.bootstrap)


async def test_a_broker_that_stands_still_answers_nobody_and_goes_on(kafka: Broker) -> None:
    topic = await make_topic(kafka.bootstrap, "still")
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    async with tail(kafka.bootstrap, topic) as seen, sending(kafka.bootstrap) as producer:
        await producer.send_and_wait(topic, b"before")
        with kafka.standing_still():
            with pytest.raises(KafkaException):
                client.list_topics(timeout=2)
            sent = await producer.send(topic, b"meanwhile")
        await sent
        assert [record.value for record in await seen.reach(2)] == [b"before", b"meanwhile"]
    assert topic in client.list_topics(timeout=10).topics


async def test_another_broker_is_another(kafka: Broker, addressed: Addresses) -> None:
    topic = await make_topic(kafka.bootstrap, "first")
    assert topic not in topics_of(addressed.kafka)


async def test_a_server_is_set_as_all_of_ours_and_asks_for_a_password(
    either_server: Server,
) -> None:
    admin = either_server.admin_dsn()
    told = "SELECT current_setting('is_superuser') || current_setting('fsync')"
    assert await ask(admin, told) == "onon"
    assert await ask(admin, "SELECT current_setting('server_version_num')::int / 10000") == 18
    assert await ask(admin, "SHOW password_encryption") == "scram-sha-256"
    assert await ask(admin, "SHOW TimeZone") == "UTC"
    head, _, tail_ = admin.rpartition("@")
    guess = f"{head.rpartition(':')[0]}:guess@{tail_}"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(guess, "SELECT 1")


async def test_a_service_s_database_is_closed_to_all_but_its_two_roles(
    either_server: Server,
) -> None:
    name = names.fresh("closed")
    own = either_server.create_service_database(name)
    other = either_server.create_service_database(names.fresh("other"))
    assert either_server.create_service_database(name) == own  # twice is harmless
    await ask(own.owner, "CREATE TABLE told (n int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(own.runtime, "SELECT n FROM told")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(own.runtime, "CREATE TABLE mine (n int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(elsewhere(other.runtime, name), "SELECT 1")


async def test_at_an_address_nothing_is_left(
    addressed: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    addressed.given = False
    with addressed.broker() as broker:
        await make_topic(broker.bootstrap, "left")
    assert topics_of(addressed.kafka) == set()

    monkeypatch.setattr(names, "MINE", "test_left_")
    with addressed.server() as server:
        server.create_service_database(names.fresh("a"))
    admin = server.admin_dsn()
    for names_of in ("SELECT datname FROM pg_database", "SELECT rolname FROM pg_roles"):
        sql = f"SELECT count(*) FROM ({names_of}) AS all_(name) WHERE name LIKE 'test_left%'"
        assert await ask(admin, sql) == 0


async def test_a_broker_with_somebody_s_topics_is_left_alone(addressed: Addresses) -> None:
    topic = await make_topic(addressed.kafka, "theirs")
    addressed.given = False
    with pytest.raises(StackFault, match="has topics of somebody"), addressed.broker():
        pass
    assert topics_of(addressed.kafka) == {topic}


def test_of_what_is_at_an_address_there_is_one_and_it_runs(addressed: Addresses) -> None:
    addressed.given = True
    with pytest.raises(pytest.skip.Exception, match="needs another"), addressed.broker():
        pass
