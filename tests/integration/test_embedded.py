"""The embedded Kafka and PostgreSQL, really started, used and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.embedded import Kafka, Postgres, StackFault, ports
from deploy.embedded.place import Place
from deploy.embedded.processes import marked
from deploy.embedded.services import ROOT


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """A run directory; root's data of PostgreSQL may lie elsewhere and go too."""
    folder = tmp_path / "run"
    yield folder
    Place(folder).remove()


def nothing_runs(run_dir: Path) -> bool:
    return not list(marked(run_dir))


async def test_postgres_keeps_its_data_and_its_doors_closed(run_dir: Path) -> None:
    (port,) = ports.pick_free(1)
    with Postgres(run_dir, port) as postgres:
        intake = postgres.create_service_database("intake")
        welfare = postgres.create_service_database("welfare")
        assert postgres.create_service_database("intake") == intake  # twice is harmless

        assert await ask(postgres.admin_dsn(), "SHOW fsync") == "on"
        await ask(intake.owner, "CREATE TABLE told (n int)")
        await ask(intake.owner, "INSERT INTO told VALUES (7)")

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(intake.runtime, "SELECT n FROM told")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(intake.runtime, "CREATE TABLE mine (n int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(elsewhere(welfare.runtime, "intake"), "SELECT 1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(elsewhere(intake.owner, "postgres"), "SELECT 1")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(f"postgresql://intake:guess@127.0.0.1:{port}/intake", "SELECT 1")
    assert nothing_runs(run_dir)

    with postgres:
        assert await ask(intake.owner, "SELECT n FROM told") == 7
    postgres.remove()
    assert not postgres.data_dir.exists()
    assert nothing_runs(run_dir)


def test_old_backups_go_with_the_log_that_only_they_needed(run_dir: Path) -> None:
    (port,) = ports.pick_free(1)
    with Postgres(run_dir, port, archive=True) as postgres:
        first = postgres.back_up()
        begins_at_first = begins(postgres, first)
        postgres.psql("CREATE TABLE told (n int)")
        while (second := postgres.back_up(keep=2)) == first:  # they are named by the second
            pass
        assert bases(postgres) == [first, second]
        assert min(segments(postgres)) == begins_at_first
        third = postgres.back_up(keep=1)
        assert bases(postgres) == [third]
        assert min(segments(postgres)) == begins(postgres, third) > begins_at_first
        postgres.psql("INSERT INTO told VALUES (7)")
        postgres.psql("SELECT pg_switch_wal()")
    postgres.restore()
    with postgres:
        assert postgres.psql("SELECT n FROM told").strip() == "7"


def bases(postgres: Postgres) -> list[str]:
    return sorted(path.name for path in postgres.backups.glob("base-*"))


def begins(postgres: Postgres, base: str) -> str:
    """The segment of the log with which a base backup begins."""
    label = (postgres.backups / base / "backup_label").read_text()
    return label.partition("(file ")[2].partition(")")[0]


def segments(postgres: Postgres) -> set[str]:
    return {path.name for path in (postgres.backups / "wal").iterdir() if len(path.name) == 24}


def test_kafka_carries_a_message_over_a_restart(run_dir: Path) -> None:
    port, controller = ports.pick_free(2)
    with Kafka(run_dir, port, controller) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        admin.create_topics([NewTopic("told", 3, 1)])["told"].result(timeout=30)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all"})
        producer.produce("told", key=b"case", value=b"first")
        assert producer.flush(30) == 0
        admin.list_topics("misspelt", timeout=10)  # asking for a topic does not make it
        assert "misspelt" not in admin.list_topics(timeout=10).topics
    assert nothing_runs(run_dir)

    with kafka:
        consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "group.id": "reader",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["told"])
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        assert message.value() == b"first"
        consumer.close()
    assert nothing_runs(run_dir)


def test_starting_what_runs_changes_nothing(run_dir: Path) -> None:
    (port,) = ports.pick_free(1)
    with Postgres(run_dir, port) as postgres:
        first = postgres.daemon.record()
        Postgres(run_dir, port).start()
        assert postgres.daemon.record() == first
        with pytest.raises(StackFault, match=f"Port {port}, which postgres needs, is in use"):
            Postgres(run_dir / "another", port).start()
    assert nothing_runs(run_dir)


HOLDER = """
import sys
from pathlib import Path
from deploy.embedded import ports
from deploy.embedded.session import watched
from deploy.embedded.stack import Stack, alone
from deploy.embedded.steps import together, side_by_side

run_dir = Path(sys.argv[1])
stack = Stack(run_dir, dict(zip(ports.DEFAULTS, map(int, sys.argv[2:]), strict=True)))
with watched(run_dir, keep=False), alone(run_dir):
    together(side_by_side(stack.kafka.starting(), stack.postgres.starting()))
    print("up", flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_when_the_holder_of_a_session_is_killed(run_dir: Path) -> None:
    taken = [str(port) for port in ports.pick_free(len(ports.DEFAULTS))]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run_dir), *taken],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        assert len(list(marked(run_dir))) >= 2
        watchdogs = psutil.Process(holder.pid).children()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    last = time.monotonic() + 60
    while run_dir.exists() or not nothing_runs(run_dir):
        assert time.monotonic() < last, "something still runs"
        time.sleep(0.05)
    assert watchdogs


def elsewhere(dsn: str, database: str) -> str:
    """The same role and password, another database."""
    return f"{dsn.rsplit('/', 1)[0]}/{database}"


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        answer: object = await connection.fetchval(sql)
        return answer
    finally:
        await connection.close()


_HOLDS_A_SERVER = """
import sys, time
from tests.infrastructure import embedded
with embedded.ground() as ground, ground.server() as server:
    print(server.run_dir, flush=True)
    time.sleep(600)
"""


def test_the_ground_of_tests_that_are_killed_goes_with_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS_A_SERVER], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as tests:
        assert tests.stdout is not None
        folder = Path(tests.stdout.readline().strip())
        try:
            assert list(marked(folder))
        finally:
            tests.kill()
    last = time.monotonic() + 60
    while folder.exists() or list(marked(folder)):
        assert time.monotonic() < last, f"something is left of {folder}"
        time.sleep(0.1)
