"""Nobody may what is not written down: each role of the database, and users at the broker."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from deploy.embedded.services import SERVICES
from deploy.make_secrets import MONITOR, roles
from lianhu.eventing.connection import Access, Protocol
from tests.compose.deployment import Deployment
from tests.demo.reports import GRID, HOTLINE

pytestmark = [pytest.mark.compose, pytest.mark.timeout(300)]

SECONDS = 20.0
FORBIDDEN = asyncpg.InsufficientPrivilegeError
NOT_LET_IN = (asyncpg.InvalidAuthorizationSpecificationError, FORBIDDEN)

OWNERS_ONLY = (
    "CREATE TABLE mine (a int)",
    "CREATE SCHEMA mine",
    "ALTER TABLE journal ADD COLUMN mine int",
    "DROP TABLE journal",
    "TRUNCATE journal",
    "ALTER TABLE journal DISABLE TRIGGER ALL",
    "CREATE INDEX mine ON journal (seq)",
    "UPDATE journal SET body = body",
    "DELETE FROM journal",
    "SELECT * FROM journal FOR UPDATE",
    "UPDATE epochs SET epoch = epoch + 1",
    "INSERT INTO epochs DEFAULT VALUES",
)
"""What the role that runs may not, whatever the service is."""


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_changes_no_table_and_no_row_of_its_journal(
    deployed: Deployment, service: str
) -> None:
    connection = await asyncpg.connect(deployed.dsn(service, service), timeout=SECONDS)
    try:
        rows = await connection.fetchval("SELECT count(*) FROM journal")
        for statement in OWNERS_ONLY:
            with pytest.raises(FORBIDDEN):
                await connection.execute(statement)
        with pytest.raises(FORBIDDEN):
            await connection.execute(f"SET ROLE {service}_owner")
        assert await connection.fetchval("SELECT count(*) FROM journal") == rows
    finally:
        await connection.close()


@pytest.mark.parametrize("role", [*roles(), MONITOR])
async def test_a_role_comes_into_its_own_database_only(deployed: Deployment, role: str) -> None:
    own = role.removesuffix("_owner")
    for database in (*SERVICES, "postgres", "template1"):
        if database == own or (role, database) == (MONITOR, "postgres"):
            connection = await asyncpg.connect(deployed.dsn(role, database), timeout=SECONDS)
            await connection.close()
        else:
            with pytest.raises(NOT_LET_IN):
                await asyncpg.connect(deployed.dsn(role, database), timeout=SECONDS)


async def test_the_right_to_connect_is_refused_by_the_database_too(deployed: Deployment) -> None:
    """Not by pg_hba.conf alone, which is one line away from being wrong."""
    connection = await asyncpg.connect(deployed.databases()["intake"], timeout=SECONDS)
    try:
        for role in [*roles(), MONITOR, "public"]:
            for database in SERVICES:
                allowed = await connection.fetchval(
                    "SELECT has_database_privilege($1, $2, 'CONNECT')", role, database
                )
                assert allowed == (role.removesuffix("_owner") == database), (role, database)
    finally:
        await connection.close()


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_a_password_that_is_none_lets_nobody_in(deployed: Deployment, password: str) -> None:
    right = (deployed.secrets / "postgres" / "intake").read_text()
    dsn = deployed.dsn("intake", "intake").replace(right, password)
    with pytest.raises((*NOT_LET_IN, asyncpg.InterfaceError)):
        await asyncpg.connect(dsn, timeout=SECONDS)


def strangers(deployed: Deployment) -> list[Access]:
    """Somebody unknown, a wrong password, another's, no name, no encryption."""
    known = deployed.access(HOTLINE)
    return [
        replace(known, user="nobody-futian"),
        replace(known, password=lambda: SecretStr("wrong")),
        replace(known, password=deployed.access(GRID).password),
        Access(known.bootstrap),
        replace(known, protocol=Protocol.SASL_PLAINTEXT),
    ]


def test_the_broker_speaks_to_nobody_whom_it_does_not_know(deployed: Deployment) -> None:
    assert AdminClient(deployed.access(HOTLINE).librdkafka()).list_topics(timeout=SECONDS).brokers
    for stranger in strangers(deployed):
        with pytest.raises(KafkaException):
            AdminClient({**stranger.librdkafka(), "log_level": 0}).list_topics(timeout=3)


WRITES = [
    (HOTLINE, f"intake.reports.{GRID}.v1"),
    (HOTLINE, "mediation.events.v1"),
    ("notify", "welfare.events.v1"),
    ("mediation", f"intake.answers.{HOTLINE}.v1"),
    ("monitor", f"intake.reports.{HOTLINE}.v1"),
]
READS = [
    (HOTLINE, f"intake.answers.{GRID}.v1"),
    (HOTLINE, "intake.events.v1"),
    (GRID, f"intake.reports.{HOTLINE}.v1"),
    ("monitor", "intake.events.v1"),
]


@pytest.mark.parametrize(("user", "topic"), WRITES)
def test_a_user_writes_no_topic_but_its_own(deployed: Deployment, user: str, topic: str) -> None:
    producer = Producer({**deployed.access(user).librdkafka(), "log_level": 0})
    told: list[object] = []
    producer.produce(topic, b"{}", on_delivery=lambda error, _: told.append(error))
    producer.flush(SECONDS)
    assert [getattr(error, "name", lambda: None)() for error in told] == [
        "TOPIC_AUTHORIZATION_FAILED"
    ]


@pytest.mark.parametrize(("user", "topic"), READS)
def test_a_user_reads_no_topic_but_its_own(deployed: Deployment, user: str, topic: str) -> None:
    consumer = Consumer({**deployed.access(user).librdkafka(), "group.id": user, "log_level": 0})
    try:
        # whoever may not describe is not even shown it; whoever may is refused what is in it
        error = consumer.list_topics(topic, timeout=SECONDS).topics[topic].error
        if error is None:
            consumer.assign([TopicPartition(topic, 0, 0)])
            message = consumer.poll(SECONDS)
            assert message is not None
            error = message.error()
        assert error is not None
        assert error.name() == "TOPIC_AUTHORIZATION_FAILED"
    finally:
        consumer.close()
