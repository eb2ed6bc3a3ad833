"""Whole lives, a calm chain and several processes as parts of the bench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.load import meter
from tests.load.idle import idle
from tests.load.lives import Lives, Window, lives
from tests.load.money import money
from tests.load.parts import Finding, Goal, Say, Setting, at_least, at_most
from tests.load.replicas import Replicas, replicas
from tests.load.scripts import FULL, SHORT, Script

_SUSTAINED = at_least(370)
_NOTICED = at_most(0.150)


class LivesOf:
    """Lives of one script at rising rates, then their latencies below what is sustained."""

    def __init__(self, script: Script, goal: Goal | None = None) -> None:
        self._script = script
        self._goal = goal
        self.name = f"{script.name} lives"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        return [*_of_lives(lives(self._script, (), setting.seconds, say), self._goal)]


class Paid:
    """Full lives to the end of their payments, where time is moved."""

    name = "full lives with relief paid"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        found = money(setting.paid, say=say)
        return [
            *_cpu("a life", found.cpu, "ms", 1000),
            *(Finding(f"{one.name}, all together", (one.seconds,), "s") for one in found.stages),
        ]


class Calm:
    """A chain with little to do."""

    name = "nearly idle"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """50 reports a second for so long."""
        window = idle(seconds=setting.calm_seconds, say=say).window
        return [*_latencies("report to first notice at 50/s", window, noticed=True)]


class Processes:
    """Mediation with one, two and three processes."""

    name = "replicas"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """Each number once, on the same backlog."""
        found = replicas(cases=setting.cases, commands=setting.commands, say=say)
        return [finding for one in found for finding in _of_replicas(one)]


def _of_lives(found: Lives, goal: Goal | None) -> Iterator[Finding]:
    yield Finding("sustained", (found.sustained or 0.0,), "lives/s", goal)
    yield Finding("messages read for a life", (sum(found.messages.values()),), "messages")
    yield Finding("journal rows of a life", (sum(found.rows.values()),), "rows")
    if (best := found.best) is not None:
        yield from _cpu("a life at that rate", best.cpu, "ms", 1000)
    for window in found.calm:
        yield from _latencies(f"a whole life at {window.rate:g}/s", window, noticed=False)


def _latencies(what: str, window: Window, *, noticed: bool) -> Iterator[Finding]:
    spread = window.noticed if noticed else window.whole
    yield Finding(f"{what}: p50", (spread.p50,), "s")
    yield Finding(f"{what}: p95", (spread.p95,), "s")
    yield Finding(f"{what}: p99", (spread.p99,), "s", _NOTICED if noticed else None)
    yield Finding(f"{what}: longest", (spread.greatest,), "s")


def _of_replicas(one: Replicas) -> Iterator[Finding]:
    what = f"{one.count} process{'es' * (one.count > 1)}"
    yield Finding(what, (one.rate,), "messages/s")
    yield Finding(f"{what}: the machine's processors kept busy", (100 * one.busy,), "%")
    yield from _cpu(f"a message, {what}", one.cpu, "µs", 1)


def _cpu(what: str, used: Mapping[str, float], unit: str, divided: int) -> Iterator[Finding]:
    groups = {
        "the services": sum(meter.services(used).values()),
        "the broker": used[meter.BROKER],
        "the database": used[meter.DATABASE],
    }
    for group, spent in groups.items():
        yield Finding(f"CPU of {group} for {what}", (spent / divided,), unit)


LIVED = (LivesOf(SHORT, _SUSTAINED), LivesOf(FULL), Paid(), Calm(), Processes())
"""In the order of the bench."""
