"""No container outlives the process that asked for it, also where that is killed.

`python -m tests.infrastructure.leftovers OWNER` waits for that process's end, holding the reading
end of a pipe, and then removes what is its. Were both killed, the next run finds what they left.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from docker.errors import APIError
from testcontainers.core.docker_client import DockerClient

from deploy.embedded.processes import Record
from deploy.embedded.services import ROOT
from deploy.embedded.session import DONE

OWNER = "lianhu.tests.owner"
"""Label: the process, as pid and start."""
PLACE = "lianhu.tests.place"
"""Label: where that pid means something; several machines or containers may share an engine."""
WATCHED_SECONDS = 10
"""So long the engine may take to make a container that was asked for at the very end."""


def place() -> str:
    """This machine, and the part of it in which our pids are known."""
    return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').stat().st_ino}"


def owner() -> str:
    """This process."""
    return f"{os.getpid()}@{psutil.Process().create_time()}"


def lives(one: str) -> bool:
    """Whether an owner's process does."""
    pid, _, started = one.partition("@")
    return Record(int(pid), float(started), 0).process() is not None


@contextmanager
def engine() -> Iterator[Any]:
    """The engine that testcontainers speaks to. Raises `DockerException` where none answers."""
    client = DockerClient().client
    try:
        yield client
    finally:
        client.close()


def found() -> Iterator[tuple[Any, str]]:
    """Containers of the tests of this place, whatever became of them, and whose each is."""
    with engine() as client:
        labels = {"label": [OWNER, f"{PLACE}={place()}"]}
        # sparse, as the list has them: one that goes meanwhile is no error
        for one in client.containers.list(all=True, sparse=True, filters=labels):
            yield one, one.attrs["Labels"][OWNER]


def remove(one: Any) -> None:
    """With its data; somebody else may be at it."""
    with suppress(APIError):
        one.remove(force=True, v=True)


def remove_those_of(whose: str) -> None:
    """All that an owner has now."""
    for one, of in found():
        if of == whose:
            remove(one)


def remove_those_of_the_dead() -> None:
    """What was left when a process and its watchdog were both killed."""
    for one, of in found():
        if not lives(of):
            remove(one)


@contextmanager
def watched() -> Iterator[Mapping[str, str]]:
    """The labels by which containers are known as this process's; they are gone when it is."""
    remove_those_of_the_dead()
    me = owner()
    watchdog = subprocess.Popen(
        [sys.executable, "-m", "tests.infrastructure.leftovers", me],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield {OWNER: me, PLACE: place()}
    finally:
        remove_those_of(me)
        watchdog.communicate(DONE)


def main(whose: str) -> None:
    """Wait for the owner's word; without it, remove what is its."""
    # Whoever ends the tests by a signal to all must not end this one first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.read(sys.stdin.fileno(), len(DONE)) == DONE:
        return
    for _ in range(WATCHED_SECONDS):
        remove_those_of(whose)
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
