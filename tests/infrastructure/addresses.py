"""Broker and database that somebody keeps for tests and for nothing else, by their addresses.

Both are found empty and left empty. Workers that run side by side count records on the same
topics, so each has a broker of its own: as many addresses, with a space between them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from secrets import token_hex
from urllib.parse import unquote, urlsplit

import pytest
from confluent_kafka.admin import AdminClient

from deploy.embedded import Dsns, StackFault
from deploy.embedded.databases import Databases
from tests.infrastructure import names

KAFKA = "LIANHU_TEST_KAFKA"
POSTGRES = "LIANHU_TEST_POSTGRES"
SECONDS = 30


@dataclass(frozen=True)
class AddressedBroker:
    """A broker of which nothing is known but where it is."""

    bootstrap: str

    def standing_still(self) -> AbstractContextManager[None]:
        """Nobody can stop a process by its address."""
        pytest.skip(f"{KAFKA} is an address: that broker cannot be made to stand still")

    def topics(self) -> list[str]:
        """Those that somebody made."""
        found = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=SECONDS)
        return sorted(name for name in found.topics if not name.startswith("__"))

    def empty(self) -> None:
        """Delete every topic."""
        if found := self.topics():
            admin = AdminClient({"bootstrap.servers": self.bootstrap})
            for done in admin.delete_topics(found).values():
                done.result(SECONDS)


@dataclass(frozen=True)
class AddressedServer:
    """A server of which nothing is known but where it is and its administrator's password."""

    databases: Databases

    def admin_dsn(self, database: str = "postgres") -> str:
        """The address of a database."""
        return self.databases.dsn(self.databases.admin, database)

    def create_service_database(self, name: str) -> Dsns:
        """As everywhere."""
        return self.databases.create([name])[name]

    def empty(self) -> None:
        """Drop every database and then every role whose name begins as ours do."""
        ours = f"starts_with(%s, '{names.MINE}')"
        self.databases.psql(
            "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database"
            f" WHERE {ours % 'datname'} \\gexec\n"
            "SELECT format('DROP ROLE %I', rolname) FROM pg_roles"
            f" WHERE {ours % 'rolname'} \\gexec\n"
        )


@dataclass
class Addresses:
    """The only broker and the only server there are."""

    kafka: str
    databases: Databases
    given: bool = False

    @contextmanager
    def broker(self) -> Iterator[AddressedBroker]:
        """The one that there is, to the first who asks."""
        if self.given:
            pytest.skip(f"{KAFKA} is the address of one broker, and this test needs another")
        self.given = True
        broker = AddressedBroker(self.kafka)
        if found := broker.topics():
            raise StackFault(
                f"The broker of {KAFKA} has topics of somebody's ({found[0]}, …): the tests need "
                f"one without any, and delete all that they find there afterwards."
            )
        try:
            yield broker
        finally:
            broker.empty()

    @contextmanager
    def server(self) -> Iterator[AddressedServer]:
        """The one that there is; names are fresh for each who asks."""
        server = AddressedServer(self.databases)
        try:
            yield server
        finally:
            server.empty()


def broker_of(addresses: str, worker: int, workers: int) -> str:
    """The address that is this worker's."""
    each = addresses.split()
    if len(each) < workers:
        raise StackFault(
            f"{workers} workers run side by side and need a broker each; {KAFKA} names "
            f"{len(each)}: name as many, with a space between them, or let one worker run."
        )
    return each[worker]


def server_at(url: str) -> Databases:
    """The server of a URL; what is wrong is told without it, since a password is in it."""
    parts = urlsplit(url)
    try:
        port = parts.port or 5432
    except ValueError:
        port = None
    if parts.scheme != "postgresql" or not (parts.hostname and parts.username and port):
        raise StackFault(f"{POSTGRES} must be postgresql://administrator:password@host:port")
    passwords = defaultdict(lambda: token_hex(24))
    passwords[parts.username] = unquote(parts.password or "")
    return Databases(parts.hostname, port, parts.username, passwords.__getitem__)


def check(workers: int) -> None:
    """Raise `StackFault` where something is not said, or not enough for so many workers."""
    missing = [name for name in (KAFKA, POSTGRES) if not os.environ.get(name)]
    if missing:
        raise StackFault(f"LIANHU_TEST_INFRA=addresses needs {' and '.join(missing)}.")
    broker_of(os.environ[KAFKA], 0, workers)
    server_at(os.environ[POSTGRES])


@contextmanager
def ground() -> Iterator[Addresses]:
    """What the environment names, for this worker."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    kafka = broker_of(os.environ[KAFKA], worker, workers)
    yield Addresses(kafka, server_at(os.environ[POSTGRES]))
