"""What cases that are there already cost a life: a chain, before and after its databases grew.

Lives begin all at once, so many, and how long the chain takes until the last has ended says how
many a second it makes. Three times before, of which the first does not count; then the services
are ended, the cases of each database are multiplied, and once the services have counted what they
hold, three times again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep

import asyncpg

from deploy.embedded.services import SERVICES
from deploy.embedded.session import Session
from tests.load import meter
from tests.load.growing import multiplied
from tests.load.lives import Bench, bench
from tests.load.meter import Meter
from tests.load.parts import Finding, Say, Setting, at_most
from tests.load.racers import TooSlow, rested
from tests.load.scripts import SHORT

_BURST = 400
_TURNS = 2
_BEGINNING = "440304-2026-0"
"""Of the number of every case of the lives."""
_IDLE = 0.4
"""Processors that four services without work use at most, looking for it."""
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 1200.0


@dataclass(frozen=True)
class Burst:
    """Lives that began all at once."""

    rate: float
    """How many ended a second, up to the last."""
    cpu: float
    """µs of services, broker and database for each."""


@dataclass(frozen=True)
class Crowded:
    """Before and after; how many cases there were then, in each service."""

    few: tuple[Burst, ...]
    many: tuple[Burst, ...]
    before: int
    present: int

    @property
    def losses(self) -> tuple[float, ...]:
        """By how many per cent fewer lives a second there are, turn by turn."""
        pairs = zip(self.few, self.many, strict=True)
        return tuple(100 * (1 - many.rate / few.rate) for few, many in pairs)


def measure(present: int, say: Say) -> Crowded:
    """On a chain of its own, judged before it grows. Raises `NotKept` or `Astray`."""
    with bench(SHORT, say) as made:
        few = _bursts(made, say)
        made.judged()
        for service in SERVICES:
            made.session.stop(service)
        before, there = asyncio.run(_grow(made.session, present, say))
        for service in SERVICES:
            made.session.start(service)
        made.meter = Meter(made.session)
        _settle(made.meter)
        return Crowded(few, _bursts(made, say), before, there)


def _bursts(made: Bench, say: Say) -> tuple[Burst, ...]:
    found = []
    for turn in range(1 + _TURNS):  # the first finds everything cold, and is not counted
        start, used = monotonic(), made.meter.read()
        made.driver.begin_at([start] * _BURST)
        made.driver.rest(_PATIENCE_SECONDS)
        made.driver.check()
        taken = made.meter.read().since(used)
        found.append(Burst(_BURST / taken.at, 1e6 * meter.ours(taken.cpu) / _BURST))
        counted = "" if turn else ", not counted"
        say(f"{_BURST} at once: {found[-1].rate:.1f}/s, {found[-1].cpu / 1000:.1f} ms{counted}")
    return tuple(found[1:])


async def _grow(session: Session, present: int, say: Say) -> tuple[int, int]:
    """The cases of each service, multiplied; how many the least of them had, and has."""

    async def grown(service: str) -> tuple[int, int]:
        began = monotonic()
        connection = await asyncpg.connect(session.dsns(service).admin)
        try:
            few, many = await multiplied(connection, present, _BEGINNING)
            await rested(connection)
        finally:
            await connection.close()
        say(f"{service}: {many:,} cases after {monotonic() - began:.0f} s")
        return few, many

    sizes = await asyncio.gather(*map(grown, SERVICES))
    return min(few for few, _ in sizes), min(many for _, many in sizes)


def _settle(reads: Meter) -> None:
    """Until the services have counted what there is. Raises `TooSlow`."""
    last = monotonic() + _PATIENCE_SECONDS
    before = reads.read()
    while monotonic() < last:
        sleep(_LOOK_SECONDS)
        now = reads.read()
        used = now.since(before)
        if sum(meter.services(used.cpu).values()) < _IDLE * used.at:
            return
        before = now
    raise TooSlow("The services do not come to rest.")


def findings(found: Crowded) -> list[Finding]:
    """For the report."""
    few, many = f"with {found.before:,} cases", f"with {found.present:,} cases in each service"
    return [
        Finding(f"lives at once, {few}", tuple(one.rate for one in found.few), "lives/s"),
        Finding(f"lives at once, {many}", tuple(one.rate for one in found.many), "lives/s"),
        Finding(f"loss {many}", found.losses, "%", at_most(10)),
        Finding(f"CPU of a life, {few}", tuple(one.cpu / 1000 for one in found.few), "ms"),
        Finding(f"CPU of a life, {many}", tuple(one.cpu / 1000 for one in found.many), "ms"),
    ]


class CrowdedLives:
    """A part of the bench."""

    name = "lives among many"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says."""
        return findings(measure(setting.present, say))
