"""The services of the chain, in one list: what is started, on which port, with which settings."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded import ports
from deploy.embedded.databases import Dsns
from deploy.embedded.faults import StackFault
from deploy.embedded.processes import Daemon, run_step
from deploy.embedded.steps import Deadline, Step

ROOT = Path(__file__).parents[2]

SERVICES = ("intake", "mediation", "welfare", "notify")
"""In the order in which a case meets them. A new service is one more name (and its port)."""

ONE_EACH: Mapping[str, int] = dict.fromkeys(SERVICES, 1)

READY_SECONDS = 60.0
MIGRATE_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Settings:
    """What every service of one stack is told alike.

    `extra` is added to the environment of all and wins over everything else.
    """

    known_as: Callable[[str], Mapping[str, str]]
    """How a user reaches the broker, by the names of a service's settings."""
    publishers: Path | None
    master_key: Path
    environment: str
    clock_movable: bool
    extra: Mapping[str, str]


@dataclass(frozen=True)
class Replica:
    """One process of a service: `mediation`, `mediation-2`, …"""

    service: str
    number: int
    port: int

    @property
    def name(self) -> str:
        """How the process is called in logs, in pid files and on the screen."""
        return self.service if self.number == 1 else f"{self.service}-{self.number}"


def replicas(counts: Mapping[str, int], usual: Mapping[str, int]) -> list[Replica]:
    """One replica per service and number; the first takes its usual port, the others free ones."""
    unknown = set(counts) - set(SERVICES)
    if unknown:
        raise StackFault(f"There is no service {', '.join(sorted(unknown))}.")
    found = []
    for service in SERVICES:
        count = counts.get(service, 0)
        more = ports.pick_free(count - 1) if count > 1 else []
        for number, port in enumerate([usual[service], *more][:count], start=1):
            found.append(Replica(service, number, port))
    return found


def environment_of(replica: Replica, dsns: Dsns, settings: Settings) -> dict[str, str]:
    """The environment of a running replica. It is never given the owner's address."""
    return {
        **os.environ,
        **_named(
            replica.service,
            {
                "DATABASE_URL": dsns.runtime,
                **settings.known_as(replica.service),
                **({"PUBLISHERS_FILE": str(settings.publishers)} if settings.publishers else {}),
                "HTTP_HOST": ports.HOST,
                "HTTP_PORT": str(replica.port),
                "MASTER_KEY_FILE": str(settings.master_key),
                "ENVIRONMENT": settings.environment,
                "CLOCK_MOVABLE": str(settings.clock_movable).lower(),
                # known to the group by it, so that a restart moves no partition
                "INSTANCE": str(replica.number),
            },
        ),
        "PYTHONUNBUFFERED": "1",
        **settings.extra,
    }


def as_owner(service: str, dsns: Dsns) -> dict[str, str]:
    """What tells a command of a service its owner's address."""
    return {owner_address(service): dsns.owner}


def owner_address(service: str) -> str:
    """By which name a service's commands are told its owner's address."""
    (name,) = _named(service, {"MIGRATION_URL": ""})
    return name


def migrate(run_dir: Path, services: Sequence[str], dsns: Mapping[str, Dsns]) -> Step:
    """Bring services' tables to the newest shape, each as the owner of its database."""
    told = [as_owner(service, dsns[service]) for service in services]
    return run_step(
        "migrations",
        [sys.executable, "-m", "deploy.embedded.migrations", *services],
        run_dir=run_dir,
        environment=dict(ChainMap(*told, dict(os.environ))),
        directory=ROOT,
        seconds=MIGRATE_SECONDS,
    )


@dataclass(frozen=True)
class Applying:
    """What brings a broker to what the contracts say: a verb, and what it is told."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def apply_to_broker(run_dir: Path, applying: Applying) -> Step:
    """Create every topic that the contracts name, and whoever may speak of it."""
    return run_step(
        "topics",
        [sys.executable, "-m", "lianhu.eventing", *applying.arguments],
        run_dir=run_dir,
        environment={**os.environ, **applying.environment},
        directory=ROOT,
        seconds=MIGRATE_SECONDS,
    )


def start(run_dir: Path, replica: Replica, dsns: Dsns, settings: Settings) -> None:
    """Start one replica."""
    Daemon(run_dir, replica.name).start(
        [sys.executable, "-m", f"lianhu.{replica.service}", "run"],
        port=replica.port,
        environment=environment_of(replica, dsns, settings),
        directory=ROOT,
    )


def becoming_ready(run_dir: Path, replica: Replica) -> Step:
    """Wait until `/readyz` says 200. Raises `Died` with the last log lines."""
    daemon = Daemon(run_dir, replica.name)
    deadline = Deadline(READY_SECONDS)
    while (answer := readiness(replica.port)).status != 200:
        daemon.check_alive()
        deadline.check(f"{replica.name} was not ready{answer.why}", daemon.tail())
        yield


@dataclass(frozen=True)
class Readiness:
    """What `/readyz` answered: the status (0: no answer), and what it said when not ready."""

    status: int
    why: str = ""


def readiness(port: int) -> Readiness:
    """Ask a service whether it is ready."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        told = answer.read(2000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return Readiness(0)
    finally:
        connection.close()
    return Readiness(answer.status, f" (/readyz says {answer.status}: {_one_line(told)})")


def _one_line(told: str) -> str:
    try:
        return json.dumps(json.loads(told), ensure_ascii=False)[:500]
    except ValueError:
        return " ".join(told.split())[:500]


def _named(service: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"LIANHU_{service.upper()}_{name}": value for name, value in values.items()}
