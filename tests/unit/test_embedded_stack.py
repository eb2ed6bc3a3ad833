"""The embedded stack: ports, pid files, configuration and waiting, with nothing started."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.embedded import ports, services
from deploy.embedded.databases import database_sql
from deploy.embedded.faults import Busy, Died, Missing, PortTaken, StackFault
from deploy.embedded.jars import check
from deploy.embedded.java import parse_version
from deploy.embedded.kafka import Kafka, server_properties
from deploy.embedded.postgres import Postgres, server_settings
from deploy.embedded.processes import Daemon, Record, rotate, run_step
from deploy.embedded.secured import TEMPLATE, filled
from deploy.embedded.stack import Stack, alone
from deploy.embedded.steps import Step, together

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def somebody() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not ours."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def start(daemon: Daemon, command: list[str], port: int = 1) -> None:
    daemon.start(command, port=port, environment=os.environ, directory=daemon.run_dir)


# Ports


def test_each_port_is_moved_by_its_variable() -> None:
    moved = ports.from_environment({"LIANHU_KAFKA_PORT": "19092"})
    assert moved == {**ports.DEFAULTS, "kafka": 19092}


@pytest.mark.parametrize("text", ["0", "65536", "-1", "kafka", "80 "])
def test_a_port_that_is_none_is_refused_by_its_variable_s_name(text: str) -> None:
    with pytest.raises(StackFault, match="LIANHU_INTAKE_PORT"):
        ports.from_environment({"LIANHU_INTAKE_PORT": text})


def test_two_parts_cannot_share_a_port() -> None:
    with pytest.raises(StackFault, match="LIANHU_WELFARE_PORT or LIANHU_INTAKE_PORT"):
        ports.from_environment({"LIANHU_WELFARE_PORT": "8081"})


def test_a_taken_port_is_told_with_its_holder_and_its_variable(taken: int) -> None:
    with pytest.raises(PortTaken) as refused:
        ports.check_free([("kafka-controller", taken)])
    sentence = str(refused.value)
    assert f"Port {taken}, which kafka-controller needs, is in use" in sentence
    assert f"(pid {os.getpid()})" in sentence
    assert "set LIANHU_KAFKA_CONTROLLER_PORT to a free port" in sentence
    assert "\n" not in sentence


def test_a_taken_port_stops_up_before_anything_is_started(tmp_path: Path, taken: int) -> None:
    names = list(ports.DEFAULTS)
    free = dict(zip(names, ports.pick_free(len(names)), strict=True))
    stack = Stack(tmp_path, {**free, "notify": taken})
    with pytest.raises(PortTaken, match="LIANHU_NOTIFY_PORT"):
        stack.up()
    assert list(tmp_path.rglob("*.log")) == []
    assert [line.pid for line in stack.status()] == [None] * 6


def test_the_command_tells_a_taken_port_in_one_line_and_exits_with_1(
    tmp_path: Path, taken: int
) -> None:
    free = ports.pick_free(len(ports.DEFAULTS))
    environment = {
        **os.environ,
        **{ports.variable(n): str(p) for n, p in zip(ports.DEFAULTS, free, strict=True)},
        "LIANHU_POSTGRES_PORT": str(taken),
        "LIANHU_RUN_DIR": str(tmp_path),
    }
    told = subprocess.run(
        [sys.executable, "-m", "deploy.embedded", "up"],
        cwd=services.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.startswith(f"Port {taken}, which postgres needs, is in use")
    assert len(told.stderr.splitlines()) == 1


# Pid files


def test_a_process_is_found_again_by_its_pid_file(tmp_path: Path) -> None:
    start(Daemon(tmp_path, "x"), SLEEP, port=77)
    found = Daemon(tmp_path, "x")
    record = found.record()
    assert record is not None
    assert record.port == 77
    assert found.stop()
    assert not psutil.pid_exists(record.pid)
    assert not found.stop()


def test_a_recycled_pid_is_never_signalled(
    tmp_path: Path, somebody: subprocess.Popen[bytes]
) -> None:
    daemon = Daemon(tmp_path, "x")
    daemon.record_path.parent.mkdir()
    begun = psutil.Process(somebody.pid).create_time()
    Record(somebody.pid, begun - 3600, 1).write(daemon.record_path)
    assert daemon.record() is None
    daemon.send(signal.SIGKILL)
    assert not daemon.stop()
    assert somebody.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_pid_file_that_was_never_finished_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert Record.read(path) is None


def test_a_process_without_a_pid_file_is_found_by_its_mark(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "x")
    start(daemon, SLEEP)
    record = daemon.record()
    assert record is not None
    daemon.record_path.unlink()
    assert Stack(tmp_path, ports.DEFAULTS).down()
    assert not psutil.pid_exists(record.pid)


def test_one_that_does_not_hear_is_killed_and_so_are_its_children(tmp_path: Path) -> None:
    deaf = (
        "import signal, subprocess, sys, time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print('deaf', flush=True); time.sleep(60)"
    )
    daemon = Daemon(tmp_path, "x")
    start(daemon, [sys.executable, "-c", deaf])
    record = daemon.record()
    assert record is not None
    wait_for_line(daemon, "deaf")
    children = psutil.Process(record.pid).children()
    daemon.stop(grace=0.1)
    assert not psutil.pid_exists(record.pid)
    assert [child for child in children if runs(child)] == []


def test_a_paused_process_is_stopped_too(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "x")
    start(daemon, SLEEP)
    daemon.send(signal.SIGSTOP)
    begun = time.monotonic()
    assert daemon.stop(grace=20)
    assert time.monotonic() - begun < 10


def test_data_are_not_deleted_under_a_running_process(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "run", "x")
    daemon.run_dir.mkdir()
    start(daemon, SLEEP)
    stack = Stack(tmp_path / "run", ports.DEFAULTS)
    with pytest.raises(Busy, match="x still running"):
        stack.remove()
    daemon.stop()
    stack.remove()
    assert not daemon.run_dir.exists()


def test_a_stack_is_changed_by_one_command_at_a_time(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Busy, match="Another command"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


# Logs


def test_a_few_old_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for text in "abcde":
        rotate(log)
        log.write_text(text)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"x.log": "e", "x.log.1": "d", "x.log.2": "c", "x.log.3": "b"}


# Steps


def test_a_command_that_fails_is_told_with_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; print('the reason'); sys.exit(3)"
    with pytest.raises(Died, match=r"job failed \(exit code 3\)[^\n]*\n    the reason"):
        together(a_job(tmp_path, code, seconds=30))


def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    before = psutil.Process().children()
    with pytest.raises(Died, match="job did not end within 0 s"):
        together(a_job(tmp_path, "import time; time.sleep(60)", seconds=0.2))
    assert psutil.Process().children() == before


def test_one_failure_ends_what_was_waited_for_beside_it(tmp_path: Path) -> None:
    before = psutil.Process().children()
    (tmp_path / "b").mkdir()
    with pytest.raises(Died, match="exit code 1"):
        together(
            a_job(tmp_path, "import time; time.sleep(60)", seconds=60),
            a_job(tmp_path / "b", "import sys; sys.exit(1)", seconds=60),
        )
    assert psutil.Process().children() == before


# Configuration


def test_kafka_listens_on_the_loopback_only_and_makes_no_topic_by_itself() -> None:
    found = dict(
        line.split("=", 1)
        for line in server_properties(Path("/data"), 9092, 9093).splitlines()
        if "=" in line
    )
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["auto.create.topics.enable"] == "false"
    assert found["group.initial.rebalance.delay.ms"] == "0"
    assert found["log.dirs"] == "/data"


def test_postgres_keeps_what_was_committed_and_logs_no_value() -> None:
    settings = server_settings(15432)
    for line in (
        "listen_addresses = '127.0.0.1'",
        "port = 15432",
        "fsync = on",
        "synchronous_commit = on",
        "password_encryption = 'scram-sha-256'",
        "log_parameter_max_length_on_error = 0",
    ):
        assert line in settings.splitlines()


def test_a_database_is_closed_to_all_but_its_two_roles() -> None:
    sql = database_sql("intake", "a", "b").splitlines()
    assert sql[:3] == [r"\set name intake", r"\set password a", r"\set owner_password b"]
    closed = sql.index('REVOKE ALL ON DATABASE :"name" FROM PUBLIC;')
    assert sql[closed + 1] == 'GRANT CONNECT ON DATABASE :"name" TO :"name", :"owner";'


@pytest.mark.parametrize("name", ["", "Intake", "a-b", "a'; DROP", "1a"])
def test_a_database_s_name_cannot_carry_sql(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackFault, match="cannot be a database's name"):
        Postgres(tmp_path, 15432).create_service_database(name)


def test_passwords_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    dsns = Postgres(tmp_path, 15432).dsns("intake")
    assert len({dsns.runtime, dsns.owner, dsns.admin}) == 3
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_412"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("no idea", 0),
    ],
)
def test_the_version_of_java_is_read(told: str, version: int) -> None:
    assert parse_version(told) == version


@pytest.mark.parametrize("jar", ["a.jar", "b.jar"])
def test_only_the_pinned_jars_are_taken(tmp_path: Path, jar: str) -> None:
    (tmp_path / jar).write_bytes(b"changed on its way")
    with pytest.raises(Missing, match="are not the pinned ones"):
        check(tmp_path, f"{'0' * 64}  a.jar\n")


def test_a_port_picked_is_not_picked_again_although_nobody_listens_there_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ports.AMONG, "19800-19804")
    assert len({*ports.pick_free(2), *ports.pick_free(1), *ports.pick_free(1)}) == 4
    with pytest.raises(StackFault, match="1 free ports could not be found"):
        ports.pick_free(1)


def test_replicas_beyond_the_first_take_free_ports() -> None:
    found = services.replicas({"mediation": 2, "intake": 1}, ports.DEFAULTS)
    assert [replica.name for replica in found] == ["intake", "mediation", "mediation-2"]
    assert [replica.port for replica in found[:2]] == [8081, 8082]
    assert found[2].port in ports.FREE_PORTS


def test_a_running_service_is_never_given_the_owner_s_address(tmp_path: Path) -> None:
    (replica,) = services.replicas({"intake": 1}, ports.DEFAULTS)
    dsns = Postgres(tmp_path, 15432).dsns("intake")
    settings = services.Settings(
        Kafka(tmp_path, 9092, 9093).known_as, None, tmp_path / "key", "test", True, {}
    )
    environment = services.environment_of(replica, dsns, settings)
    assert environment["LIANHU_INTAKE_DATABASE_URL"] == dsns.runtime
    assert environment["LIANHU_INTAKE_CLOCK_MOVABLE"] == "true"
    assert dsns.owner not in environment.values()


def a_job(run_dir: Path, code: str, seconds: float) -> Step:
    return run_step(
        "job",
        [sys.executable, "-c", code],
        run_dir=run_dir,
        environment=os.environ,
        directory=run_dir,
        seconds=seconds,
    )


def wait_for_line(daemon: Daemon, line: str) -> None:
    last = time.monotonic() + 20
    while line not in daemon.log_path.read_text():
        assert time.monotonic() < last, daemon.tail()
        time.sleep(0.02)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_the_deployed_broker_s_configuration_leaves_nothing_open() -> None:
    with pytest.raises(KeyError, match="NODE_ID"):
        filled(TEMPLATE.read_text(), {})
    named = set(re.findall(r"@([A-Z_]+)@", TEMPLATE.read_text()))
    text = filled(TEMPLATE.read_text(), dict.fromkeys(named, "x"))
    lines = text.splitlines()
    assert "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer" in lines
    assert "allow.everyone.if.no.acl.found=false" in lines
    assert "super.users=User:admin;User:broker" in lines
    assert "PLAINTEXT" not in text
    script = (TEMPLATE.parent / "start.sh").read_text()
    assert {name for name in named if f"@{name}@" not in script} == set()
