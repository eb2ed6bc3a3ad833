"""Whole lives, a calm chain among them, and several processes as parts of the bench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.load import meter
from tests.load.crowded import CrowdedLives
from tests.load.idle import CALM, REPORTED
from tests.load.lives import Lives, Window, bench, climb, told
from tests.load.money import money
from tests.load.parts import Finding, Goal, Say, Setting, at_least, at_most
from tests.load.replicas import Replicas, replicas
from tests.load.scripts import FULL, SHORT

_SUSTAINED = at_least(370)
_NOTICED = at_most(0.150)


class Alive:
    """Lives at rising rates and their latencies, short ones and full ones; then a calm chain.

    One chain for all, and judged at the end.
    """

    name = "lives"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        found: list[Finding] = []
        with bench(SHORT, say, also=(FULL,)) as made:
            for script, goal in ((SHORT, _SUSTAINED), (FULL, None)):
                made.driver.turn_to(script)
                found += _of_lives(climb(made, (), setting.seconds, say), goal)
            made.driver.turn_to(REPORTED)
            window = made.window(CALM, setting.calm_seconds)
            say(told(window))
            found += _latencies(f"report to first notice at {CALM:g}/s", window, noticed=True)
            say("judging what became of them")
            made.judged()
        return found


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


class Processes:
    """Mediation with one, two and three processes."""

    name = "replicas"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """Each number once, on the same backlog."""
        found = replicas(cases=setting.cases, commands=setting.commands, say=say)
        return [finding for one in found for finding in _of_replicas(one)]


def _of_lives(found: Lives, goal: Goal | None) -> Iterator[Finding]:
    which = f"{found.script} lives"
    yield Finding(f"{which}: sustained", (found.sustained or 0.0,), "lives/s", goal)
    yield Finding(f"{which}: messages read for each", (sum(found.messages.values()),), "messages")
    yield Finding(f"{which}: journal rows of each", (sum(found.rows.values()),), "rows")
    if (best := found.best) is not None:
        yield from _cpu(f"each of {which} at that rate", best.cpu, "ms", 1000)
    for window in found.calm:
        yield from _latencies(f"{which} at {window.rate:g}/s", window, noticed=False)


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


LIVED = (Alive(), CrowdedLives(), Paid(), Processes())
"""In the order of the bench."""
