"""The chain under fire, and the hands on it: its processes, its time, its load, its judge."""

from __future__ import annotations

import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from secrets import token_hex
from time import monotonic, sleep

from deploy.embedded import ports, services, session
from deploy.embedded.services import SERVICES
from deploy.embedded.session import Session
from deploy.embedded.stack import Say
from deploy.embedded.steps import together
from lianhu.jurisdiction import SHANGHAI
from tests import receivers
from tests.checker.collect import Memory, judge
from tests.checker.verdict import Verdict
from tests.demo.clock import Clock
from tests.demo.wire import Unexpected
from tests.faults.load import Load
from tests.faults.newer import NEWER, Releases
from tests.faults.points import Points

REPLICAS = {"mediation": 3}
"""So many processes of a service; one of each that is not named. The last one is a spare."""
SPARE = "mediation-3"
_MORNING = 10
"""The hour in Shanghai at which a day begins here: no notice waits for the end of the night."""
WELL = 120.0
"""Seconds after which a chain that does not recover is given up."""
_LOOKS = 6
_LOOK_SECONDS = 15.0
_SOON = timedelta(minutes=3)
"""After so long a call outside that nobody answered for is taken up again."""


@dataclass(frozen=True)
class Size:
    """How long things last in seconds, and the load: stories for each strike, a second.

    `outage`: broker or database is gone. `refusal`: the database is there and refuses; longer than
    the 10 s that a statement may take, but for the short form. `abreast`: how many stories are
    under way at once. `least`: so many cases there are in all, after the last strike if need be.
    """

    outage: float
    refusal: float
    each: int
    rate: float
    abreast: int
    least: int = 0


SHORT = Size(outage=8.0, refusal=8.0, each=12, rate=2.0, abreast=10)
FULL = Size(outage=60.0, refusal=12.0, each=25, rate=2.0, abreast=15)
LONG = Size(outage=60.0, refusal=20.0, each=10_000, rate=4.0, abreast=60, least=10_000)


@dataclass
class Ground:
    """One chain and what belongs to it. Names of processes are those of `Session`."""

    running: Session
    load: Load
    points: Points
    releases: Releases
    clock: Clock
    book: Path
    """What those outside received."""
    size: Size
    random: Random
    down: set[str] = field(default_factory=set)
    """Processes that were stopped or killed on purpose."""
    memory: Memory = field(default_factory=Memory)

    @property
    def dsns(self) -> dict[str, str]:
        """The databases, by service."""
        return {name: self.running.dsns(name).runtime for name in SERVICES}

    def present(self, service: str) -> list[str]:
        """The processes of a service that run, or should."""
        return [
            one.name
            for one in self.running.replicas
            if one.service == service and one.name not in self.down
        ]

    def all_present(self) -> list[str]:
        """The processes of all services that run, or should."""
        return [name for service in SERVICES for name in self.present(service)]

    def pid(self, name: str) -> int | None:
        """The pid of a process that runs."""
        record = self.running.daemon(name).record()
        return None if record is None else record.pid

    def kill(self, name: str) -> None:
        """`kill -9`, and wait for its end."""
        self.running.kill(name)
        self.down.add(name)

    def crash(self, name: str) -> None:
        """`kill -9` of `kafka` or `postgres`; its last threads let go of its port a bit later."""
        port = self.running.stack.ports[name]
        self.running.kill(name)
        self.load.until(f"the port of {name} to be free", lambda: ports.is_free(port))

    def stop(self, *names: str) -> None:
        """Ask these to end, all at once, and wait."""
        for name in names:
            self.running.daemon(name).send(signal.SIGTERM)
        for name in names:
            self.running.stop(name)
        self.down.update(names)

    def start(self, name: str) -> None:
        """Start one, and wait until it is ready."""
        self.running.start(name)
        self.down.discard(name)

    def begin(self, name: str) -> None:
        """Start one, and wait for nothing."""
        (replica,) = [one for one in self.running.replicas if one.name == name]
        next(self.running.stack.start_replica(replica), None)

    def says(self, name: str) -> str:
        """What a process says of its readiness: why it is not ready, or nothing."""
        (replica,) = [one for one in self.running.replicas if one.name == name]
        return services.readiness(replica.port).why

    def revive(self) -> list[str]:
        """Start what does not run, as whatever watches over processes would; all become ready.

        The answer names those that had ended and that nobody had ended on purpose.
        """
        wanted = [one for one in self.running.replicas if one.name != SPARE]
        ended = [one.name for one in wanted if self.pid(one.name) is None]
        together(*(self.running.stack.start_replica(one) for one in wanted))
        by_themselves = [name for name in ended if name not in self.down]
        self.down.difference_update(one.name for one in wanted)
        return by_themselves

    def repeats(self) -> dict[str, float]:
        """How many messages each service dropped since its start because it knew them."""
        return self.counted("lianhu_messages_duplicate_total{")

    def counted(self, metric: str) -> dict[str, float]:
        """The sum of all lines that begin so, over each service's processes since their start."""
        found = dict.fromkeys(SERVICES, 0.0)
        for one in self.running.replicas:
            if one.name not in self.down:
                with urllib.request.urlopen(f"{self.running.url(one.name)}/metrics") as answer:
                    for line in answer.read().decode().splitlines():
                        if line.startswith(metric):
                            found[one.service] += float(line.rsplit(" ", 1)[1])
        return found

    def struck_at(self, service: str, point: str, number: signal.Signals, seconds: float) -> str:
        """Arm a point and wait until a process was struck there; its name.

        Raises `Unexpected` when none came by: a point that is not reached proves nothing.
        """
        by_pid = {self.pid(name): name for name in self.present(service)}
        armed = self.points.arm(service, point, number)
        last = monotonic() + seconds
        try:
            while (pid := self.points.struck(armed)) is None:
                self.load.check()
                if monotonic() > last:
                    raise Unexpected(f"No process of {service} came by {point} in {seconds} s.")
                sleep(0.01)
        finally:
            self.points.disarm(armed)
        name = by_pid[pid]
        if number is signal.SIGKILL:
            self.load.until(f"{name} to end", lambda: self.pid(name) is None)
            self.down.add(name)
        return name

    def day_passes(self) -> None:
        """It is the next morning: deadlines fall due, envelopes are cut."""
        now = self.clock.now().astimezone(SHANGHAI)
        morning = now.replace(hour=_MORNING, minute=0, second=0, microsecond=0)
        self.clock.pass_by(morning + timedelta(days=morning <= now))

    def a_while_passes(self) -> None:
        """So much that calls which nobody answered for are taken up again."""
        self.clock.pass_by(self.clock.now() + _SOON)

    def judge(self, *, afresh: bool) -> Verdict:
        """The verdict once nothing is under way: what is found again and again is broken.

        `afresh`: everything is read anew, also what was read for an earlier verdict.
        """
        memory = None if afresh else self.memory
        for look in range(_LOOKS):
            if look:
                self.a_while_passes()
            verdict = judge(
                *(self.running.bootstrap, self.dsns, _LOOK_SECONDS),
                received=self.book,
                memory=memory,
            )
            if verdict.ok:
                break
        return verdict


@contextmanager
def ground(size: Size, seed: int, say: Say, run_dir: Path | None = None) -> Iterator[Ground]:
    """A chain with kill points inside, receivers outside, and a load that has not begun.

    Given a run directory, its logs and data are kept.
    """
    folder = run_dir or Path(tempfile.gettempdir(), f"lianhu-faults-{token_hex(8)}")
    points, book = Points(folder / "points"), folder / "received.jsonl"
    releases = Releases(folder / "releases")
    smtp, http = ports.pick_free(2)
    inside = {**points.environment(NEWER), **releases.environment()}
    extra = {**receivers.lines_to(smtp, http), **inside}
    with (
        session(
            folder, services=REPLICAS, extra=extra, say=say, keep=run_dir is not None
        ) as running,
        receivers.apart(book, smtp, http),
    ):
        clock = Clock({name: running.dsns(name).runtime for name in SERVICES})
        load = Load(running.bootstrap, seed, clock.now(), size.rate, size.abreast)
        with load:
            random = Random(seed + 2)
            chain = Ground(running, load, points, releases, clock, book, size, random)
            chain.stop(SPARE)
            yield chain
