"""No container of the tests outlives whoever asked for it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest
from docker.errors import NotFound

from deploy.embedded.services import ROOT
from tests.infrastructure import leftovers

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]

SERVER = "infrastructure.server()"
FROZEN_BROKER = "infrastructure.broker() as broker, broker.standing_still()"
HOLDER = """
import sys
from tests.infrastructure.containers import ground

with ground() as infrastructure, {what}:
    print("ready", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Holder:
    """A process that holds one container."""

    process: subprocess.Popen[bytes]
    name: str

    def kill(self, *, watchdog: bool) -> None:
        """With no warning; also whoever watches it."""
        if watchdog:
            (other,) = psutil.Process(self.process.pid).children()
            other.kill()
        self.process.kill()
        self.process.wait()

    def has(self) -> list[str]:
        """Its containers."""
        return [one.id for one, of in leftovers.found() if of == self.name]


@contextmanager
def holder(what: str = SERVER) -> Iterator[Holder]:
    """One that is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(what=what)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    held = Holder(process, f"{process.pid}@{psutil.Process(process.pid).create_time()}")
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield held
    finally:
        process.communicate()
        leftovers.remove_those_of(held.name)


def volumes_of(container: str) -> list[str]:
    with leftovers.engine() as client:
        mounts = client.containers.get(container).attrs["Mounts"]
    return [mount["Name"] for mount in mounts if mount["Type"] == "volume"]


def is_there(volume: str) -> bool:
    with leftovers.engine() as client:
        try:
            client.volumes.get(volume)
        except NotFound:
            return False
    return True


def test_nothing_is_left_when_whoever_holds_it_is_killed() -> None:
    with holder(FROZEN_BROKER) as one:
        (container,) = one.has()
        (volume,) = volumes_of(container)
        one.kill(watchdog=False)
        last = time.monotonic() + 30
        while one.has() or is_there(volume):
            assert time.monotonic() < last, "it outlived its holder"
            time.sleep(0.2)


def test_what_was_left_when_the_watchdog_was_killed_too_is_found_by_the_next() -> None:
    with holder() as dead, holder() as alive:
        dead.kill(watchdog=True)
        assert len(dead.has()) == 1
        leftovers.remove_those_of_the_dead()
        assert dead.has() == []
        assert len(alive.has()) == 1


def test_who_ends_in_order_leaves_nothing() -> None:
    with holder() as one:
        one.process.communicate()
        assert one.process.returncode == 0
        assert one.has() == []
