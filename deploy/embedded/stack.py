"""The chain as one thing: up, down, what runs.

There is no supervisor process. Every process stands in a pid file of the run directory, and any
later command finds it there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.embedded import ports, services
from deploy.embedded.databases import Dsns
from deploy.embedded.faults import Busy, Died, StackFault
from deploy.embedded.kafka import Kafka
from deploy.embedded.postgres import Postgres
from deploy.embedded.processes import Daemon, end, family_of, marked
from deploy.embedded.services import ONE_EACH, SERVICES, Replica, Settings
from deploy.embedded.steps import POLL_SECONDS, Step, side_by_side, together

Say = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Running:
    """One line of `status`. `memory` in bytes; `ready` None: nothing runs."""

    name: str
    port: int
    pid: int | None = None
    ready: bool | None = None
    memory: int = 0


@dataclass
class Stack:
    """One chain in one run directory.

    `ports` by the names of `ports.DEFAULTS`; `counts` says how many replicas of each service.
    """

    run_dir: Path
    ports: Mapping[str, int]
    counts: Mapping[str, int] = field(default_factory=lambda: ONE_EACH)
    environment: str = "demo"
    clock_movable: bool = True
    extra: Mapping[str, str] = field(default_factory=dict)
    say: Say = silent
    broker: type[Kafka] = Kafka
    """`SecuredKafka`: as it is deployed, and each service a user of its own at it."""
    publishers: Path | None = None
    """The registry of publishers; without it that of the demo."""
    archive: bool = False
    """PostgreSQL's log is kept, for backups."""

    def __post_init__(self) -> None:
        self.run_dir = self.run_dir.absolute()
        self.kafka = self.broker(self.run_dir, self.ports["kafka"], self.ports["kafka-controller"])
        self.postgres = Postgres(self.run_dir, self.ports["postgres"], archive=self.archive)
        self.replicas = services.replicas(self.counts, self.ports)
        self.master_key = self.run_dir / "secrets" / "master.key"
        self._began = time.monotonic()

    @property
    def settings(self) -> Settings:
        """What the services are told."""
        return Settings(
            known_as=self.kafka.known_as,
            publishers=self.publishers,
            master_key=self.master_key,
            environment=self.environment,
            clock_movable=self.clock_movable,
            extra=self.extra,
        )

    def up(self) -> None:
        """Start what does not run and wait until all of it is ready. Twice is harmless.

        Raises `PortTaken` before anything is started, `Died` with the last log lines later. In
        any failure, and on Ctrl-C, what this call started is stopped again, nothing else.
        """
        self._began = time.monotonic()
        ours = self._check_ports()
        before = [daemon for daemon in self.daemons() if daemon.record() is not None]
        try:
            together(self._rising(ours))
        except BaseException:
            with undisturbed():
                kept = {daemon.name for daemon in before}
                self._stop([daemon for daemon in self.daemons() if daemon.name not in kept])
                sweep(self.run_dir, spared=family_of(before))
            raise

    def down(self) -> bool:
        """Stop the services, then Kafka, then PostgreSQL. False: nothing ran."""
        with undisturbed():
            stopped = self._stop(self.daemons())
            return sweep(self.run_dir) or stopped

    def daemons(self) -> list[Daemon]:
        """Every process this stack has or may have had, in the order of starting."""
        names = ["postgres", "kafka", *(replica.name for replica in self.replicas)]
        for path in sorted((self.run_dir / "pids").glob("*.json")):
            if path.stem not in names:
                names.append(path.stem)
        return [Daemon(self.run_dir, name) for name in names]

    def status(self) -> list[Running]:
        """What runs, with its memory; each process is asked whether it is ready."""
        wanted = {"postgres": self.ports["postgres"], "kafka": self.ports["kafka"]}
        wanted |= {replica.name: replica.port for replica in self.replicas}
        return [self._look(daemon, wanted.get(daemon.name, 0)) for daemon in self.daemons()]

    def dsns(self, service: str) -> Dsns:
        """The addresses of a service's database."""
        return self.postgres.dsns(service)

    def operator(self, service: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """The command line of a service and the environment in which it speaks to this chain."""
        replica = next((one for one in self.replicas if one.name == service), None)
        if replica is None:
            raise StackFault(f"There is no process {service} in this stack.")
        command = [sys.executable, "-m", f"lianhu.{replica.service}", *arguments]
        dsns = self.dsns(replica.service)
        environment = services.environment_of(replica, dsns, self.settings)
        if arguments[:1] == ["restored"]:  # the one command that is the owner's
            environment |= services.as_owner(replica.service, dsns)
        return command, environment

    def back_up(self, keep: int | None = None) -> str:
        """A base backup while everything runs; its name. `keep`: so many stay. Raises `Died`."""
        return self.postgres.back_up(keep)

    def restore(self, target: str = "", base: str = "") -> list[str]:
        """Databases as they were at `target`, and what each service then finds lost.

        `target`: `time=…`, `lsn=…`, `name=…`, or nothing for all of the log. The services are
        stopped before and stay stopped; Kafka goes on. Raises `Died`.
        """
        with undisturbed():
            self._stop([one for one in self.daemons() if not one.name.startswith("kafka")])
        said = [self.postgres.restore(target, base)]
        self.postgres.start()
        self.kafka.start()
        for service in dict.fromkeys(replica.service for replica in self.replicas):
            command, environment = self.operator(service, ["restored"])
            ended = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if ended.returncode != 0:
                raise Died(f"{service} restored: {ended.stderr.strip()}")
            said += [f"{service}: {line}" for line in ended.stdout.splitlines()]
        return said

    def addresses(self) -> list[tuple[str, str]]:
        """Name and address of everything, for a person. No password."""
        return [
            ("kafka", self.kafka.bootstrap),
            ("postgres", f"{ports.HOST}:{self.postgres.port}"),
            *((replica.name, f"http://{ports.HOST}:{replica.port}") for replica in self.replicas),
        ]

    def remove(self) -> None:
        """Delete the run directory with all data. Raises `Busy` while something runs."""
        alive = [daemon.name for daemon in self.daemons() if daemon.record() is not None]
        if alive:
            raise Busy(f"{', '.join(alive)} still running: `make down` first.")
        self.postgres.remove()
        if self.run_dir.exists():
            shutil.rmtree(self.run_dir)

    def start_replica(self, replica: Replica) -> Step:
        """Start one replica if it does not run, and wait until it is ready."""
        if Daemon(self.run_dir, replica.name).record() is None:
            services.start(self.run_dir, replica, self.dsns(replica.service), self.settings)
        yield from services.becoming_ready(self.run_dir, replica)
        self._tell(f"{replica.name} is ready")

    def _rising(self, ours: set[str]) -> Step:
        missing = sorted({r.service for r in self.replicas if r.name not in ours})
        yield from side_by_side(self._broker(), self._databases(missing))
        make_master_key(self.master_key)
        yield from side_by_side(*(self.start_replica(replica) for replica in self.replicas))

    def _broker(self) -> Step:
        yield from self.kafka.starting()
        self._tell("kafka is ready")
        yield from services.apply_to_broker(self.run_dir, self.kafka.applying(self.publishers))
        self._tell("topics are there")

    def _databases(self, to_migrate: Sequence[str]) -> Step:
        yield from self.postgres.starting()
        self._tell("postgres is ready")
        dsns = self.postgres.create_service_databases(SERVICES)
        if to_migrate:
            yield from services.migrate(self.run_dir, to_migrate, dsns)
            self._tell("databases are migrated")

    def _check_ports(self) -> set[str]:
        """Names of our processes that run. Raises when a port we need is another's."""
        needs = {"kafka": self.kafka.ports(), "postgres": [("postgres", self.postgres.port)]}
        needs |= {replica.name: [(replica.service, replica.port)] for replica in self.replicas}
        ours, wanted = set(), []
        for name, asked in needs.items():
            record = Daemon(self.run_dir, name).record()
            if record is None:
                wanted += asked
            elif record.port == asked[0][1]:
                ours.add(name)
            else:
                raise StackFault(
                    f"{name} already runs on port {record.port}, and port {asked[0][1]} was asked "
                    f"for: `make down` first, or leave {ports.variable(asked[0][0])} as it was."
                )
        ports.check_free(wanted)
        return ours

    def _look(self, daemon: Daemon, port: int) -> Running:
        record = daemon.record()
        if record is None:
            return Running(daemon.name, port)
        if daemon.name == "kafka":
            ready = self.kafka.is_ready()
        elif daemon.name == "postgres":
            ready = self.postgres.is_ready()
        else:
            ready = services.readiness(record.port).status == 200
        return Running(daemon.name, record.port, record.pid, ready, memory_of(record.pid))

    def _stop(self, daemons: Sequence[Daemon]) -> bool:
        by_name = {daemon.name: daemon for daemon in daemons}
        brokers = [by_name.pop(name) for name in [*by_name] if name.startswith("kafka")]
        database = by_name.pop("postgres", None)
        # All services are asked at once, then each is waited for.
        for daemon in by_name.values():
            daemon.send(signal.SIGTERM)
        stopped = [daemon.stop(grace=services.STOP_SECONDS) for daemon in by_name.values()]
        if brokers:
            stopped.append(self.kafka.stop())
            # those that this stack does not know as its own: a watchdog knows one broker only
            stopped += [broker.stop() for broker in brokers]
        if database is not None:
            stopped.append(self.postgres.stop())
        return any(stopped)

    def _tell(self, line: str) -> None:
        self.say(f"{time.monotonic() - self._began:5.1f} s  {line}")


def make_master_key(path: Path) -> None:
    """Make the key that wraps all data keys, once. Without it nothing sealed can be read again."""
    from lianhu.privacy import MasterKey

    if not path.exists():
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        MasterKey.generate().write(draft)
        draft.replace(path)


def sweep(run_dir: Path, spared: Collection[int] = ()) -> bool:
    """End what carries the run directory's mark but stands in no pid file. False: nothing did."""
    found = [process for process in marked(run_dir) if process.pid not in spared]
    if found:
        end(found, signal.SIGTERM, 5.0)
    return bool(found)


def memory_of(pid: int) -> int:
    """Resident memory of a process and what it started, in bytes; shared pages count once."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                try:
                    total += member.memory_full_info().pss
                except (psutil.AccessDenied, AttributeError):
                    total += member.memory_info().rss
    return total


@contextlib.contextmanager
def alone(run_dir: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the run directory. Raises `Busy` when another command holds it for `patience` s."""
    run_dir.mkdir(parents=True, exist_ok=True)
    end_of_patience = time.monotonic() + patience
    with (run_dir / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end_of_patience:
                    raise Busy(
                        f"Another command is at work on the stack in {run_dir}: "
                        "wait for it, or end it."
                    ) from None
                time.sleep(POLL_SECONDS)
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Do not let a second Ctrl-C interrupt the clearing up after the first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in kept:
            signal.signal(number, signal.SIG_IGN)
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def from_environment(say: Say) -> Stack:
    """The stack that `make up` starts: run directory and ports from the environment."""
    return Stack(
        run_dir=Path(os.environ.get("LIANHU_RUN_DIR") or services.ROOT / ".run"),
        ports=ports.from_environment(os.environ),
        environment=os.environ.get("LIANHU_ENVIRONMENT") or "demo",
        clock_movable=os.environ.get("LIANHU_CLOCK_MOVABLE", "true").lower() == "true",
        archive=True,
        say=say,
    )
