"""A stack for as long as a block of code: for the demo and for tests.

It takes free ports, and leaves nothing running when the block ends: not on an error, not on
Ctrl-C, and not when the process that held it is killed, for which a watchdog waits.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from deploy.embedded import ports
from deploy.embedded.databases import Dsns
from deploy.embedded.faults import StackFault
from deploy.embedded.kafka import Kafka
from deploy.embedded.processes import Daemon
from deploy.embedded.services import ONE_EACH, ROOT, Replica
from deploy.embedded.stack import Say, Stack, alone, silent, undisturbed
from deploy.embedded.steps import together
from lianhu.contracts.rights import ADMIN
from lianhu.eventing.connection import Access

DONE = b"done\n"
"""What the watchdog is told when the session has cleared up after itself."""


@dataclass(frozen=True)
class Session:
    """A running stack: its addresses, and a hand on each of its processes.

    Processes are named `kafka`, `postgres`, `intake`, `mediation`, `mediation-2`, ….
    """

    stack: Stack

    @property
    def run_dir(self) -> Path:
        """Where logs, data and secrets lie."""
        return self.stack.run_dir

    @property
    def bootstrap(self) -> str:
        """Kafka's address: host:port."""
        return self.stack.kafka.bootstrap

    def access(self, user: str = ADMIN) -> Access:
        """How `user` reaches Kafka; the administrator may do everything."""
        return self.stack.kafka.access(user)

    @property
    def replicas(self) -> list[Replica]:
        """The services' processes."""
        return self.stack.replicas

    @property
    def master_key(self) -> Path:
        """The file of the key that wraps all data keys."""
        return self.stack.master_key

    def url(self, name: str) -> str:
        """The HTTP address of a service's process, without a slash at the end."""
        return f"http://{ports.HOST}:{self._replica(name).port}"

    def dsns(self, service: str) -> Dsns:
        """The addresses of a service's database."""
        return self.stack.dsns(service)

    def daemon(self, name: str) -> Daemon:
        """A process, for its pid, its log, and signals (`send(signal.SIGSTOP)`)."""
        return Daemon(self.run_dir, name)

    def stop(self, name: str) -> None:
        """Ask one process to end, and wait."""
        if name == "postgres":
            self.stack.postgres.stop()
        elif name == "kafka":
            self.stack.kafka.stop()
        else:
            self.daemon(name).stop()

    def kill(self, name: str) -> None:
        """Kill one process with no warning, and wait."""
        self.daemon(name).stop(signal.SIGKILL)

    def start(self, name: str) -> None:
        """Start one process again on the same port, and wait until it is ready."""
        if name == "postgres":
            self.stack.postgres.start()
        elif name == "kafka":
            self.stack.kafka.start()
        else:
            together(self.stack.start_replica(self._replica(name)))

    def _replica(self, name: str) -> Replica:
        for replica in self.replicas:
            if replica.name == name:
                return replica
        raise StackFault(f"There is no process {name} in this stack.")


@contextlib.contextmanager
def session(
    run_dir: Path | None = None,
    *,
    services: Mapping[str, int] | None = None,
    environment: str = "test",
    clock_movable: bool = True,
    extra: Mapping[str, str] | None = None,
    keep: bool = False,
    say: Say = silent,
    broker: type[Kafka] = Kafka,
    publishers: Path | None = None,
    archive: bool = False,
) -> Iterator[Session]:
    """A stack on free ports, stopped in any event; its run directory is deleted unless `keep`.

    `services` changes how many processes a service has (`{"mediation": 2}`, 0 for none); `extra`
    is added to the environment of all services. Without `run_dir` a temporary one is made.
    `broker`: `SecuredKafka` for one as it is deployed. `publishers`: a registry for the demo's.
    `archive`: PostgreSQL's log is kept, for backups.
    """
    folder = run_dir or Path(tempfile.gettempdir(), f"lianhu-{token_hex(8)}")
    names = list(ports.DEFAULTS)
    stack = Stack(
        run_dir=folder,
        ports=dict(zip(names, ports.pick_free(len(names)), strict=True)),
        counts={**ONE_EACH, **(services or {})},
        environment=environment,
        clock_movable=clock_movable,
        extra=extra or {},
        say=say,
        broker=broker,
        publishers=publishers,
        archive=archive,
    )
    # watched before the folder is there, so that a Ctrl-C at no moment leaves it behind
    with watched(stack.run_dir, keep=keep) as all_is_done:
        if run_dir is None:
            folder.mkdir(mode=0o700)
        with alone(stack.run_dir):
            try:
                stack.up()
                yield Session(stack)
            finally:
                stack.down()
                with undisturbed():
                    if not keep:
                        stack.remove()
                    all_is_done()


@contextlib.contextmanager
def watched(run_dir: Path, *, keep: bool = False) -> Iterator[Callable[[], None]]:
    """Have a watchdog end what runs in this folder when the block ends without the yielded call."""
    command = [sys.executable, "-m", "deploy.embedded.watchdog", str(run_dir)]
    watchdog = subprocess.Popen(
        [*command, "--keep"] if keep else command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    words: list[bytes] = []
    try:
        yield lambda: words.append(DONE)
    finally:
        with undisturbed():
            watchdog.communicate(b"".join(words))
