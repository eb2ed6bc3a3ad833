"""Nobody may at the broker what is not written down: tried by real clients, each as itself."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic
from pydantic import SecretStr

from deploy.embedded import ports
from deploy.embedded.secured import SecuredKafka
from deploy.embedded.services import Applying
from deploy.kafka.certificates import make_authority, make_broker
from lianhu.contracts import SERVICES
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.rights import ADMIN, MONITOR, May, On, group_of, rights, users
from lianhu.contracts.topics import topics
from lianhu.eventing.broker import ITERATIONS, Broker, Difference
from lianhu.eventing.connection import Access, Protocol
from lianhu.eventing.users import renew_password
from tests.infrastructure.embedded import folder

PUBLISHERS = Publishers.read()
TOPICS = sorted(topic.name for topic in topics(PUBLISHERS))
RIGHTS = rights(PUBLISHERS)
FORBIDDEN = {KafkaError.TOPIC_AUTHORIZATION_FAILED}
SECONDS = 60.0


def run(applying: Applying, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as the one-shot job of the deployment runs it."""
    return subprocess.run(
        [sys.executable, "-m", "lianhu.eventing", *(arguments or applying.arguments)],
        env={**os.environ, **applying.environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.fixture(scope="module")
def kafka() -> Iterator[SecuredKafka]:
    """The broker as it is deployed, with users, rights and topics."""
    (port,) = ports.pick_free(1)
    with folder() as made_for_it, SecuredKafka(made_for_it, port) as server:
        made = run(server.applying(None))
        assert made.returncode == 0, made.stderr
        yield server


def may(user: str, what: May) -> set[str]:
    return {
        right.name
        for right in RIGHTS
        if right.user == user and right.may is what and right.on is On.TOPIC
    }


def written(access: Access, names: list[str]) -> dict[str, int | None]:
    """What became of a record on each topic: None, or the code of the error."""
    found: dict[str, int | None] = {}

    def told(error: KafkaError | None, message: Message) -> None:
        found[message.topic() or ""] = None if error is None else error.code()

    producer = Producer({**access.librdkafka(), "log_level": 0})
    for name in names:
        producer.produce(name, b"{}", partition=0, on_delivery=told)
    assert producer.flush(SECONDS) == 0
    return found


def read(access: Access, names: list[str]) -> dict[str, int | None]:
    """What became of reading each topic from its start to its end, in no group."""
    group = group_of(access.user) if access.user in SERVICES else access.user
    settings = {"group.id": group, "enable.partition.eof": True, "log_level": 0}
    settings |= {"enable.auto.commit": False, "fetch.wait.max.ms": 10}
    with closing(Consumer({**access.librdkafka(), **settings})) as consumer:
        # whoever may read may describe: a topic that is not shown is not fetched from either
        shown = {name: consumer.list_topics(name, timeout=10).topics[name] for name in names}
        found = {
            name: topic.error.code() for name, topic in shown.items() if topic.error is not None
        }
        consumer.assign([TopicPartition(name, 0, 0) for name in names if name not in found])
        last = monotonic() + SECONDS
        while set(found) != set(names):
            assert monotonic() < last, f"nothing came of {set(names) - set(found)}"
            message = consumer.poll(1)
            if message is None or (error := message.error()) is None:
                continue
            ended = error.code() == KafkaError._PARTITION_EOF
            found[message.topic() or ""] = None if ended else error.code()
    return found


def joined(access: Access, group: str, topic: str) -> int | None:
    """What became of joining a group."""
    settings = {"group.id": group, "enable.partition.eof": True, "log_level": 0}
    with closing(Consumer({**access.librdkafka(), **settings})) as consumer:
        consumer.subscribe([topic])
        last = monotonic() + SECONDS
        while monotonic() < last:
            message = consumer.poll(1)
            if message is not None and (error := message.error()) is not None:
                return None if error.code() == KafkaError._PARTITION_EOF else error.code()
    raise AssertionError(f"nothing came of joining {group}")


def listed(settings: Mapping[str, Any]) -> set[str]:
    """The topics a client is told of; raises when the broker does not let it in."""
    client = AdminClient({**settings, "log_level": 0, "socket.timeout.ms": 3000})
    return set(client.list_topics(timeout=5).topics)


def refused(settings: Mapping[str, Any]) -> bool:
    """Whether a client is not let in."""
    try:
        listed(settings)
    except KafkaException:
        return True
    return False


@pytest.mark.parametrize("user", [name for name in users(PUBLISHERS) if name != ADMIN])
def test_everybody_writes_and_reads_what_is_written_down_and_no_other_topic(
    kafka: SecuredKafka, user: str
) -> None:
    access = kafka.from_outside(user) if PUBLISHERS.get(user) else kafka.access(user)
    told = written(access, TOPICS)
    assert {name for name, code in told.items() if code is None} == may(user, May.WRITE)
    assert {code for code in told.values() if code is not None} == FORBIDDEN
    told = read(access, TOPICS)
    assert {name for name, code in told.items() if code is None} == may(user, May.READ)
    assert {code for code in told.values() if code is not None} <= FORBIDDEN


@pytest.mark.parametrize(
    ("user", "group", "topic", "allowed"),
    [
        ("hotline-futian", "hotline-futian", "intake.answers.hotline-futian.v1", True),
        ("hotline-futian", "hotline-futian.night", "intake.answers.hotline-futian.v1", True),
        ("hotline-futian", "hotline-futian-2", "intake.answers.hotline-futian.v1", False),
        ("hotline-futian", "grid-futian", "intake.answers.hotline-futian.v1", False),
        ("hotline-futian", group_of("intake"), "intake.answers.hotline-futian.v1", False),
        ("notify", group_of("notify"), "intake.events.v1", True),
        ("notify", group_of("welfare"), "intake.events.v1", False),
    ],
)
def test_a_group_is_joined_by_whom_it_belongs_to(
    kafka: SecuredKafka, user: str, group: str, topic: str, allowed: bool
) -> None:
    wanted = None if allowed else KafkaError.GROUP_AUTHORIZATION_FAILED
    assert joined(kafka.access(user), group, topic) == wanted


def test_whoever_is_not_known_does_not_come_in(kafka: SecuredKafka) -> None:
    known = kafka.from_outside("hotline-futian")
    assert listed(known.librdkafka()) == {
        "intake.reports.hotline-futian.v1",
        "intake.answers.hotline-futian.v1",
    }
    wrong = replace(known, password=lambda: SecretStr("guessed"))
    unknown = replace(known, user="nobody")
    another = replace(known, user="grid-futian")
    open_line = Access(kafka.outside)
    no_name = {
        "bootstrap.servers": kafka.outside,
        "security.protocol": "ssl",
        "ssl.ca.location": str(kafka.ca_file),
    }
    unclosed = replace(known, protocol=Protocol.SASL_PLAINTEXT)
    plain = {**known.librdkafka(), "sasl.mechanism": "PLAIN"}
    ways = [one.librdkafka() for one in (wrong, unknown, another, open_line, unclosed)]
    ways += [no_name, plain]
    with ThreadPoolExecutor(len(ways)) as pool:  # each waits until it gives up
        assert [*pool.map(refused, ways)] == [True] * len(ways)
    assert listed(known.librdkafka()), "the broker is gone, and would have refused anybody"


def test_a_broker_that_is_not_ours_is_not_spoken_to(kafka: SecuredKafka, tmp_path: Path) -> None:
    """Else whoever stands between would be shown a password's proof and every report."""
    make_authority(tmp_path)
    known = kafka.from_outside("hotline-futian")
    assert refused(replace(known, ca_file=tmp_path / "ca.crt").librdkafka())
    assert listed(known.librdkafka())


def test_the_brokers_own_listeners_want_a_certificate_of_our_authority(
    kafka: SecuredKafka, tmp_path: Path
) -> None:
    def shut_to(context: ssl.SSLContext, port: int) -> bool:
        with socket.create_connection((ports.HOST, port), 10) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=ports.HOST) as line:
                    line.settimeout(2)
                    return line.recv(1) == b""
            except TimeoutError:
                return False  # it waits for what we have to say: we are in
            except (ssl.SSLError, ConnectionError):
                return True

    make_authority(tmp_path)
    make_broker(tmp_path, ["localhost"])
    for port in (kafka.brokers_port, kafka.controller_port):
        bare, foreign, ours = (ssl.create_default_context(cafile=kafka.ca_file) for _ in range(3))
        foreign.load_cert_chain(tmp_path / "broker.pem")
        ours.load_cert_chain(kafka.secrets / "broker.pem")
        assert shut_to(bare, port)
        assert shut_to(foreign, port)
        assert not shut_to(ours, port)


def test_a_publisher_makes_neither_topics_nor_rights_nor_users(kafka: SecuredKafka) -> None:
    user = "hotline-futian"
    client = AdminClient({**kafka.from_outside(user).librdkafka(), "log_level": 0})
    right = AclBinding(
        ResourceType.TOPIC,
        "intake.events.v1",
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    (topic,) = client.create_topics([NewTopic("intake.reports.mine.v1", 1, 1)]).values()
    (given,) = client.create_acls([right]).values()
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    alteration = UserScramCredentialUpsertion("admin", info, b"mine-now")
    (changed,) = client.alter_user_scram_credentials([alteration]).values()
    for future in (topic, given, changed):
        with pytest.raises(KafkaException) as said:
            future.result(SECONDS)
        assert said.value.args[0].code() in (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        )


def test_of_what_nothing_is_written_nobody_may_do_anything(kafka: SecuredKafka) -> None:
    admin = AdminClient({**kafka.access().librdkafka(), "log_level": 0})
    admin.create_topics([NewTopic("stray.events.v1", 1, 1)])["stray.events.v1"].result(SECONDS)
    for user in ("notify", "hotline-futian", MONITOR):
        for told in (
            written(kafka.access(user), ["stray.events.v1"]),
            read(kafka.access(user), ["stray.events.v1"]),
        ):
            assert set(told.values()) == FORBIDDEN
    assert written(kafka.access(), ["stray.events.v1"]) == {"stray.events.v1": None}
    admin.delete_topics(["stray.events.v1"])["stray.events.v1"].result(SECONDS)


def test_the_monitor_sees_how_far_each_group_is(kafka: SecuredKafka) -> None:
    assert joined(kafka.access("notify"), group_of("notify"), "intake.events.v1") is None
    client = AdminClient({**kafka.access(MONITOR).librdkafka(), "log_level": 0})
    assert set(TOPICS) <= set(client.list_topics(timeout=10).topics)
    groups = client.list_consumer_groups().result(SECONDS)
    assert group_of("notify") in {group.group_id for group in groups.valid}


def test_what_is_not_as_the_registry_says_is_named_and_mended(kafka: SecuredKafka) -> None:
    broker = Broker(kafka.access())
    job = kafka.applying(None)
    assert broker.differences(PUBLISHERS) == []
    assert run(job, "broker", "drift").returncode == 0

    client = AdminClient({**kafka.access().librdkafka(), "log_level": 0})
    odd = AclBinding(
        ResourceType.TOPIC,
        "intake.",
        ResourcePatternType.PREFIXED,
        "User:police-futian",
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    client.create_acls([odd])[odd].result(SECONDS)
    broker.set_passwords({"mallory": "a-password-of-hers"})
    broker._forget({"monitor": broker.users()["monitor"]})
    assert broker.differences(PUBLISHERS) == [
        Difference("right", "police-futian may all topic intake.… is not written"),
        Difference("user", "mallory is not registered"),
        Difference("user", "monitor is missing"),
    ]
    found = run(job, "broker", "drift")
    assert found.returncode == 1
    assert "police-futian may all topic intake.…" in found.stdout
    assert "3 differences" in found.stdout
    assert read(kafka.access("police-futian"), ["intake.events.v1"]) == {"intake.events.v1": None}

    mended = run(job)
    assert mended.returncode == 0, mended.stderr
    assert broker.differences(PUBLISHERS) == []
    told = read(kafka.access("police-futian"), ["intake.events.v1"])
    assert told == {"intake.events.v1": KafkaError.TOPIC_AUTHORIZATION_FAILED}
    assert listed(kafka.access(MONITOR).librdkafka()) >= set(TOPICS)


def test_an_old_password_opens_nothing_once_it_was_renewed(kafka: SecuredKafka) -> None:
    old = kafka.from_outside("grid-futian").secret()
    renew_password(kafka.passwords, "grid-futian")
    assert run(kafka.applying(None)).returncode == 0
    known = kafka.from_outside("grid-futian")
    assert listed(known.librdkafka())
    assert refused(replace(known, password=lambda: SecretStr(old)).librdkafka())


@pytest.mark.parametrize(
    ("told", "code", "why"),
    [
        ({"KAFKA_PASSWORD_FILE": "/nowhere/admin.password"}, 2, "cannot be read: admin.password"),
        ({"PASSWORDS": "/nowhere"}, 2, "cannot be read: admin.password"),
        ({"KAFKA_USER": MONITOR}, 1, "the broker does not do it"),
        ({"KAFKA_PROTOCOL": "PLAINTEXT"}, 2, "KAFKA_PROTOCOL is not"),
    ],
)
def test_a_job_that_cannot_do_it_says_why_in_a_sentence(
    kafka: SecuredKafka, told: dict[str, str], code: int, why: str
) -> None:
    job = kafka.applying(None)
    environment = {f"LIANHU_BROKER_{name}": value for name, value in told.items()}
    if told.get("KAFKA_USER"):
        environment["LIANHU_BROKER_KAFKA_PASSWORD_FILE"] = str(
            kafka.passwords / f"{MONITOR}.password"
        )
    ended = run(replace(job, environment={**job.environment, **environment}))
    assert ended.returncode == code
    assert why in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert kafka.access().secret() not in ended.stderr
