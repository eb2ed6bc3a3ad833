"""Broker and database as processes of this machine: the ground where nothing else is said."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from deploy.embedded import Kafka, Postgres, ports
from deploy.embedded.place import Place


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
        with _folder() as folder, Kafka(folder, *ports.pick_free(2)) as kafka:
            yield Process(kafka)

    @contextmanager
    def server(self) -> Iterator[Postgres]:
        """PostgreSQL."""
        (port,) = ports.pick_free(1)
        with _folder() as folder, Postgres(folder, port) as server:
            yield server


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="lianhu-test-"))
    try:
        yield folder
    finally:
        Place(folder).remove()
        rmtree(folder)


@contextmanager
def ground() -> Iterator[Embedded]:
    """Nothing is to be done before or after."""
    yield Embedded()
