"""Three brokers as they are deployed, together: each record kept three times, one may be lost."""

from __future__ import annotations

import signal
from pathlib import Path

from deploy.embedded import ports
from deploy.embedded.kafka import STOP_SECONDS, random_id
from deploy.embedded.secured import Node, SecuredKafka
from deploy.embedded.steps import Step, side_by_side

COUNT = 3


class ThreeBrokers(SecuredKafka):
    """The first of them, which knows the others. Their processes: `kafka`, `kafka-2`, `kafka-3`."""

    def __init__(self, run_dir: Path, port: int, controller_port: int | None = None) -> None:
        identity = random_id()
        super().__init__(run_dir, port, controller_port, Node(1, COUNT, identity))
        free = iter(ports.pick_free(2 * (COUNT - 1)))
        self.others = [
            SecuredKafka(run_dir, next(free), next(free), Node(number, COUNT, identity))
            for number in range(2, COUNT + 1)
        ]
        voters = ",".join([self.voters, *(one.voters for one in self.others)])
        for one in (self, *self.others):
            one.voters = voters

    @property
    def bootstrap(self) -> str:
        """The address of every one, since any may be the one that is lost."""
        return ",".join([super().bootstrap, *(one.bootstrap for one in self.others)])

    @property
    def outside(self) -> str:
        """The same for systems outside."""
        return ",".join([super().outside, *(one.outside for one in self.others)])

    def ports(self) -> list[tuple[str, int]]:
        """Those of all."""
        return [*super().ports(), *(port for one in self.others for port in one.ports())]

    def starting(self) -> Step:
        """All at once: one alone has no majority and is not ready."""
        self.make_secrets()  # which they share, before any of them looks for them
        yield from side_by_side(super().starting(), *(one.starting() for one in self.others))

    def stop(self) -> bool:
        """All at once, too."""
        for one in self.others:
            one.daemon.send(signal.SIGTERM)
        stopped = [super().stop()]
        stopped += [one.daemon.stop(signal.SIGTERM, STOP_SECONDS) for one in self.others]
        return any(stopped)
