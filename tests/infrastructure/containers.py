"""Broker and database in containers of this machine's engine, by testcontainers.

The images are the deployment's, official or stand-ins. What a container is told goes into it as
files, so that nothing of this machine is mounted.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy import environment
from deploy.embedded import Dsns, StackFault, ports
from deploy.embedded.databases import SQL_AND_SETTINGS, Databases
from deploy.embedded.kafka import HEAP, log4j_properties, random_id, server_properties
from deploy.embedded.postgres import ADMIN
from deploy.embedded.services import ROOT
from tests.infrastructure.leftovers import engine, watched

KAFKA = "LIANHU_IMAGE_KAFKA"
POSTGRES = "LIANHU_IMAGE_POSTGRES"
START_SECONDS = 120
EVERYWHERE = "0.0.0.0"

KAFKA_DATA = Path("/var/lib/kafka/data/log")
KAFKA_CONTROLLER = 9093
KAFKA_FILES = "/etc/lianhu/kafka"
KAFKA_START = f"""\
KAFKA_HEAP_OPTS="-Xmx128m -XX:TieredStopAtLevel=1" /opt/kafka/bin/kafka-storage.sh format \
    --cluster-id "$CLUSTER_ID" --config {KAFKA_FILES}/server.properties &&
exec /opt/kafka/bin/kafka-server-start.sh {KAFKA_FILES}/server.properties
"""

POSTGRES_PORT = 5432
POSTGRES_FILES = "/etc/lianhu/postgres"
POSTGRES_START = f"exec sh {POSTGRES_FILES}/start.sh"
POSTGRES_USER = "999:999"
WHO_KNOWS_A_PASSWORD = b"host all all samenet scram-sha-256\n"
"""Instead of the deployment's list, which lets nobody into databases that it does not name."""


def image(variable: str) -> str:
    """Its name as Compose finds it: in the environment, in deploy/.env, else in its own file."""
    if told := os.environ.get(variable) or environment.read().get(variable):
        return told
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    found = re.search(rf"\$\{{{variable}:-([^}}]+)\}}", text)
    if found is None:
        raise StackFault(f"deploy/compose.yaml names no image for {variable}.")
    return found[1]


def check() -> None:
    """Raise `StackFault` where no engine answers or an image is not to be had."""
    try:
        with engine() as client:
            for variable in (KAFKA, POSTGRES):
                _fetch(client, image(variable))
    except DockerException as error:
        raise StackFault(
            "LIANHU_TEST_INFRA=containers needs a container engine, and none answers here; "
            "`deploy/airgap/engine.sh start .run/engine.pid` starts one on Debian, as root."
        ) from error


def _fetch(client: Any, name: str) -> None:
    if _is_here(client, name):
        return
    try:
        client.images.pull(name)
    except APIError as error:
        raise StackFault(
            f"The image {name} is not here and cannot be fetched: `make airgap` makes stand-ins."
        ) from error


def _is_here(client: Any, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


@dataclass(frozen=True)
class ContainedBroker:
    """A broker that is a container."""

    container: DockerContainer
    port: int

    @property
    def bootstrap(self) -> str:
        """Where the engine publishes it."""
        return f"{ports.HOST}:{self.port}"

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The engine freezes it."""
        frozen = self.container.get_wrapped_container()
        frozen.pause()
        try:
            yield
        finally:
            frozen.unpause()


@dataclass(frozen=True)
class ContainedServer:
    """A server that is a container."""

    databases: Databases

    def admin_dsn(self, database: str = "postgres") -> str:
        """The address of a database."""
        return self.databases.dsn(ADMIN, database)

    def create_service_database(self, name: str) -> Dsns:
        """As everywhere."""
        return self.databases.create([name])[name]


@dataclass(frozen=True)
class Containers:
    """Each container says by its labels whose it is; see `leftovers`."""

    labels: Mapping[str, str]

    @contextmanager
    def broker(self) -> Iterator[ContainedBroker]:
        """Kafka, on the same port inside and outside, so that it has one address for both."""
        (port,) = ports.pick_free(1)
        settings = server_properties(KAFKA_DATA, port, KAFKA_CONTROLLER, EVERYWHERE)
        container = self._container(KAFKA, KAFKA_START, port, port)
        container.with_envs(
            CLUSTER_ID=random_id(),
            KAFKA_HEAP_OPTS=f"-Xmx{HEAP}",
            KAFKA_LOG4J_OPTS=f"-Dlog4j2.configurationFile={KAFKA_FILES}/log4j2.properties",
            LOG_DIR="/tmp/kafka",
            EXTRA_ARGS="",
        )
        container.with_copy_into_container(settings.encode(), f"{KAFKA_FILES}/server.properties")
        container.with_copy_into_container(
            log4j_properties().encode(), f"{KAFKA_FILES}/log4j2.properties"
        )
        with container.waiting_for(_said("Kafka Server started")):
            yield ContainedBroker(container, port)

    @contextmanager
    def server(self) -> Iterator[ContainedServer]:
        """PostgreSQL, started as the deployed one is."""
        (port,) = ports.pick_free(1)
        passwords = defaultdict[str, str](lambda: token_hex(24))
        container = self._container(
            *(POSTGRES, POSTGRES_START, POSTGRES_PORT, port), user=POSTGRES_USER, shm_size="256m"
        )
        for name in ("start.sh", "postgresql.conf"):
            told = (SQL_AND_SETTINGS / name).read_bytes()
            container.with_copy_into_container(told, f"{POSTGRES_FILES}/{name}")
        container.with_copy_into_container(WHO_KNOWS_A_PASSWORD, f"{POSTGRES_FILES}/pg_hba.conf")
        container.with_copy_into_container(passwords[ADMIN].encode(), "/run/secrets/postgres-admin")
        with container.waiting_for(_said("ready to accept connections")):
            yield ContainedServer(Databases(ports.HOST, port, ADMIN, passwords.__getitem__))

    def _container(
        self, variable: str, script: str, inside: int, outside: int, **more: object
    ) -> DockerContainer:
        container = DockerContainer(image(variable)).with_command([script])
        container.with_kwargs(
            entrypoint=["/bin/sh", "-c"],
            labels=dict(self.labels),
            network="bridge",
            mem_limit="1g",
            **more,
        )
        # on the loopback only: the engine takes an address too
        container.ports[f"{inside}/tcp"] = (ports.HOST, outside)  # type: ignore[assignment]
        return container


def _said(words: str) -> LogMessageWaitStrategy:
    strategy = LogMessageWaitStrategy(words)
    strategy.with_startup_timeout(START_SECONDS).with_poll_interval(0.2)
    return strategy


@contextmanager
def ground() -> Iterator[Containers]:
    """With the library's own reaper too, where its image is here."""
    with engine() as client:
        if not _is_here(client, testcontainers_config.ryuk_image):
            testcontainers_config.ryuk_disabled = True
    with watched() as labels:
        yield Containers(labels)
