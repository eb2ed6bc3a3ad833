"""What strikes: a fault is a name and a function that strikes a chain once and then returns.

A strike ends when its cause is over. What is down then is started by whoever called it, and the
time until the chain is well again is counted from that moment.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep

from deploy.embedded.services import SERVICES
from tests.demo.wire import Unexpected
from tests.faults.gaps import Gaps
from tests.faults.ground import SPARE, WELL, Ground
from tests.faults.migrating import killed_while_migrating
from tests.faults.offsets import forget_offsets

_COMES_BY = 45.0
"""Seconds within which a process comes by a point under load."""
_FROZEN = 9.0
"""Longer than the session timeout, after which the group gives its partitions to others."""
_MEANWHILE = 30.0
"""Seconds within which others go on although one stands still."""
_GAP = 10.0
"""No partition with waiting messages may stand still so long while replicas come and go."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. `strike` returns what is to be said of it besides, or nothing."""

    name: str
    strike: Callable[[Ground], str | None]
    kills: bool = False
    """Whether a process of a service ends by it with no warning."""


# A process ends


def killed_at(service: str, point: str) -> Fault:
    """`kill -9` exactly there."""

    def strike(ground: Ground) -> None:
        ground.struck_at(service, point, signal.SIGKILL, _COMES_BY)

    return Fault(f"{service} killed {point}", strike, kills=True)


def killed_anywhere(service: str) -> Fault:
    """`kill -9` at a moment that nobody chose."""

    def strike(ground: Ground) -> None:
        sleep(ground.random.random())
        ground.kill(ground.random.choice(ground.present(service)))

    return Fault(f"{service} killed anywhere", strike, kills=True)


def killed_migrating(service: str) -> Fault:
    """A migration is killed half-way while the service is down for it, and is then repeated."""

    def strike(ground: Ground) -> None:
        ground.stop(*ground.present(service))
        killed_while_migrating(ground.running, service)

    return Fault(f"{service} migration killed", strike, kills=True)


# A process stops breathing


def frozen_at(service: str, point: str) -> Fault:
    """SIGSTOP exactly there, and SIGCONT long after: another replica goes on meanwhile."""

    def strike(ground: Ground) -> str:
        name = ground.struck_at(service, point, signal.SIGSTOP, _COMES_BY)
        began = monotonic()
        try:
            meanwhile = ground.load.probe().seconds(_MEANWHILE)
            sleep(max(_FROZEN - (monotonic() - began), 0.0))
        finally:
            ground.running.daemon(name).send(signal.SIGCONT)
        return f"while it stood still a new report was told of in {meanwhile:.1f} s"

    return Fault(f"{service} frozen {point}", strike)


def frozen_anywhere(service: str) -> Fault:
    """SIGSTOP longer than the session timeout, and SIGCONT, of the only replica."""

    def strike(ground: Ground) -> None:
        (name,) = ground.present(service)
        ground.running.daemon(name).send(signal.SIGSTOP)
        try:
            sleep(_FROZEN)
        finally:
            ground.running.daemon(name).send(signal.SIGCONT)

    return Fault(f"{service} frozen anywhere", strike)


# Replicas come and go


def measured(
    ground: Ground, services: tuple[str, ...], strike: Callable[[], None], most: float | None
) -> str:
    """Strike, and see how long any partition with waiting messages stood still meanwhile."""
    with Gaps(ground.running.bootstrap, {name: ground.dsns[name] for name in services}) as gaps:
        strike()
        # what it led to may come after it: the group still has to give the partitions away
        ground.load.probe().seconds(WELL)
    for service, longest in gaps.longest.items():
        if most is not None and longest > most:
            raise Unexpected(f"{gaps.where[service]} stood still for {longest:.1f} s.")
    told = ", ".join(f"{service} {longest:.1f} s" for service, longest in gaps.longest.items())
    return f"the longest that a partition with waiting messages stood still: {told}"


def third_comes_and_goes() -> Fault:
    """A third replica joins under load, takes its share, and leaves."""

    def strike(ground: Ground) -> str:
        def both() -> None:
            ground.start(SPARE)
            ground.load.probe().seconds(WELL)
            ground.stop(SPARE)

        return measured(ground, ("mediation",), both, _GAP)

    return Fault("mediation third replica comes and goes", strike)


def rolling(replicas: int) -> Fault:
    """So many replicas restart one after the other, as a release does it."""

    def strike(ground: Ground) -> str:
        if replicas > len(ground.present("mediation")):
            ground.start(SPARE)

        def each() -> None:
            for name in ground.present("mediation"):
                ground.stop(name)
                ground.start(name)

        try:
            return measured(ground, ("mediation",), each, _GAP)
        finally:
            ground.stop(SPARE)

    return Fault(f"mediation {replicas} replicas restart in turn", strike)


def all_restart() -> Fault:
    """Every process restarts, one after the other."""

    def strike(ground: Ground) -> str:
        def each() -> None:
            for service in SERVICES:
                for name in ground.present(service):
                    ground.stop(name)
                    ground.start(name)

        return measured(ground, SERVICES, each, None)  # of some there is no other replica

    return Fault("every service restarts in turn", strike)


# What they stand on goes away


def restarted(name: str) -> Fault:
    """`kafka` or `postgres` stops in order and is started again at once."""

    def strike(ground: Ground) -> None:
        ground.running.stop(name)
        ground.running.start(name)

    return Fault(f"{name} restarted", strike)


def crashed(name: str) -> Fault:
    """The same with `kill -9`."""

    def strike(ground: Ground) -> None:
        ground.crash(name)
        ground.running.start(name)

    return Fault(f"{name} killed", strike)


def gone(name: str) -> Fault:
    """It is away for as long as the run's size says."""

    def strike(ground: Ground) -> str:
        ground.running.stop(name)
        sleep(ground.size.outage)
        ground.running.start(name)
        return f"away for {ground.size.outage:.0f} s"

    return Fault(f"{name} gone", strike)


def offsets_reset() -> Fault:
    """All services read all their topics once more from the beginning."""

    def strike(ground: Ground) -> str:
        ground.stop(*(name for service in SERVICES for name in ground.present(service)))
        forget_offsets(ground.running.bootstrap)
        ground.revive()
        ground.load.until("repeats to be dropped", lambda: all(ground.repeats().values()))
        told = ", ".join(f"{name} {count:.0f}" for name, count in ground.repeats().items())
        return f"messages known already: {told}"

    return Fault("offsets reset to the beginning", strike)
