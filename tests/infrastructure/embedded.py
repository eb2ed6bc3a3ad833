"""Broker and database as processes of this machine: the ground where nothing else is said."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from shutil import rmtree

from deploy.embedded import Kafka, Postgres, ports
from deploy.embedded.place import Place
from deploy.embedded.session import watched


@dataclass(frozen=True)
class Process:
    """A broker that is a process."""

    kafka: Kafka

    @property
    def bootstrap(self) -> str:
        """Where it listens."""
        return self.kafka.bootstrap

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """By a signal that it cannot refuse."""
        self.kafka.daemon.check_alive()
        self.kafka.daemon.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.kafka.daemon.send(signal.SIGCONT)


class Embedded:
    """The servers of `deploy.embedded`, each in a folder of its own."""

    @contextmanager
    def broker(self) -> Iterator[Process]:
        """Apache Kafka."""
        with folder() as its, Kafka(its, *ports.pick_free(2)) as kafka:
            yield Process(kafka)

    @contextmanager
    def server(self) -> Iterator[Postgres]:
        """PostgreSQL."""
        (port,) = ports.pick_free(1)
        with folder() as its, Postgres(its, port) as server:
            yield server


@contextmanager
def folder() -> Iterator[Path]:
    """For one server: gone afterwards with what runs in it, also when these tests are killed."""
    path = Path(tempfile.gettempdir(), f"lianhu-test-{token_hex(8)}")
    with watched(path) as all_is_done:
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            Place(path).remove()
            rmtree(path)
        all_is_done()


@contextmanager
def ground() -> Iterator[Embedded]:
    """Nothing is to be done before or after."""
    yield Embedded()
