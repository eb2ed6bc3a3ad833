"""Whole lives through the chain: how many a second, what one costs, how long it takes.

An open loop: lives begin at their moments, whatever became of those before, and a life's time runs
from the moment it was meant to begin. Rates rise until the chain no longer keeps up; then some
below that rate are measured for their latencies. What became of all of them is judged at the end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from time import monotonic

import asyncpg

from deploy.embedded import session
from deploy.embedded.kafka import LastingKafka
from deploy.embedded.services import SERVICES
from deploy.embedded.session import Session
from tests.checker.collect import judge
from tests.demo.chain import POOL, Office
from tests.demo.reports import TREASURY
from tests.demo.wire import Sender, Watcher
from tests.load import meter, ramp
from tests.load.driver import Driver, Life
from tests.load.meter import Meter
from tests.load.scripts import SHORT, Script
from tests.load.spread import Spread

Say = Callable[[str], None]

SHARES = (0.25, 0.5, 0.8)
"""Of the sustained rate, at which latencies are measured."""
_FIRST, _FACTOR, _HALVINGS = 8.0, 2.0, 2
"""Lives a second at which the climb begins, its steps, and how often the last step is halved."""
_NEW_RATE, _NEW_SECONDS = 8.0, 15.0
"""A new chain works at this rate for so long before anything is measured: until the broker's code
is compiled, it takes several times as much."""
_LOOK_SECONDS = 0.25
_REST_SECONDS = 120.0
_JUDGED_WITHIN = 60.0
_DISTURBED = 0.1
"""Processors that others may keep busy."""
_MOST = 2000.0
"""A rate at which nobody climbs further."""


class NotKept(RuntimeError):
    """The checker found something lost, doubled or unfinished: what was measured is no result."""


@dataclass(frozen=True)
class Window:
    """What was seen while lives began at one rate."""

    rate: float
    seconds: float
    started: int
    completed: int
    """In the window, whenever they had begun."""
    under_way: tuple[int, ...]
    """How many were, four times a second."""
    cpu: Mapping[str, float]
    """µs for each life completed, by group of processes; `others`: for the whole machine's rest."""
    cores: Mapping[str, float]
    """The same by time: how many processors each group kept busy."""
    batches: Mapping[str, float]
    """Transactions for each life, by service: each costs much the same, however few messages."""
    together: Mapping[str, float]
    """Messages handled in one, by service."""
    whole: Spread
    """From the intended beginning of each life of the window to its end."""
    noticed: Spread
    """From there to the first notice that a reader sees to be with its channel."""

    @property
    def kept(self) -> bool:
        """Whether the chain kept up."""
        return ramp.keeps_up(self.started, self.completed, self.under_way)

    @property
    def disturbed(self) -> bool:
        """Whether others kept the machine busy: then its rates and times say little."""
        return self.cores[meter.OTHERS] > _DISTURBED

    @property
    def chain_cpu(self) -> float:
        """µs of services, broker and database for each life."""
        return meter.ours(self.cpu)


@dataclass(frozen=True)
class Lives:
    """All of it for one script."""

    script: str
    processors: int
    sustained: float | None
    """Lives a second; None when not even the first rate was kept."""
    climbed: tuple[Window, ...]
    calm: tuple[Window, ...]
    """At a quarter, half and four fifths of the sustained rate."""
    lives: int
    messages: Mapping[str, float]
    """Messages read from topics for each life, by service."""
    rows: Mapping[str, float]
    """Journal rows for each life, by service; each is published."""

    @property
    def best(self) -> Window | None:
        """The window at the sustained rate."""
        return next((one for one in self.climbed if one.rate == self.sustained), None)


@dataclass
class Bench:
    """A chain, a driver at it, and a meter."""

    session: Session
    driver: Driver
    meter: Meter
    finished: list[Life] = field(default_factory=list)

    def window(self, rate: float, seconds: float, warm: float | None = None) -> Window:
        """Let lives begin at a rate; what is seen after the first seconds of it.

        Near its limit a chain needs some to settle: what waits gathers to larger batches, which
        carry more. So that it has half the time that it is then looked at.

        Returns when all have ended. Raises `Astray` when some have not long after the window.
        """
        warm = seconds / 2 if warm is None else warm
        self.finished.clear()
        start = monotonic() + 0.05
        begin, end = start + warm, start + warm + seconds
        self.driver.begin_at(ramp.intended(start, rate, warm + seconds))
        self.driver.until(begin)
        taken = meter.batches(self.session)
        before, done, begun = self.meter.read(), self.driver.completed, self.driver.started
        under_way = []
        while monotonic() < end:
            self.driver.until(min(monotonic() + _LOOK_SECONDS, end))
            under_way.append(len(self.driver.lives))
        used = self.meter.read().since(before)
        completed = self.driver.completed - done
        started = self.driver.started - begun
        batches = {
            name: meter.Batches(
                all_.count - taken[name].count, all_.messages - taken[name].messages
            )
            for name, all_ in meter.batches(self.session).items()
        }
        self.driver.rest(_REST_SECONDS)
        self.driver.check()
        mine = [life for life in self.finished if begin <= life.intended < end]
        return Window(
            rate,
            used.at,
            started,
            completed,
            tuple(under_way),
            {name: 1e6 * one / max(completed, 1) for name, one in used.cpu.items()},
            {name: one / used.at for name, one in used.cpu.items()},
            {name: one.count / max(completed, 1) for name, one in batches.items()},
            {name: one.messages / max(one.count, 1) for name, one in batches.items()},
            Spread.of(life.done - life.intended for life in mine),
            Spread.of(life.noticed - life.intended for life in mine),
        )

    def judged(self) -> None:
        """Raises `NotKept` with what the checker found."""
        dsns = {name: self.session.dsns(name).runtime for name in SERVICES}
        verdict = judge(self.session.bootstrap, dsns, _JUDGED_WITHIN)
        if not verdict.ok:
            raise NotKept("\n".join(verdict.lines()))


@contextmanager
def bench(
    script: Script,
    say: Say,
    *,
    also: Sequence[Script] = (),
    clock_movable: bool = False,
    warm: float = _NEW_SECONDS,
) -> Iterator[Bench]:
    """A chain of one process each with a driver, warmed up by lives for so many seconds.

    `also`: other scripts to which it can be turned.
    """
    with session(say=say, clock_movable=clock_movable, broker=LastingKafka) as running:
        if any(step.service == "welfare" for one in (script, *also) for step in one.steps):
            _funded(running)
        made = Bench(running, Driver(running.bootstrap, script), Meter(running))
        made.driver.ended = made.finished.append
        try:
            made.window(_NEW_RATE, 0.1, warm)
            yield made
        finally:
            made.driver.close()


def lives(
    script: Script = SHORT,
    rates: Sequence[float] = (),
    seconds: float = 12.0,
    say: Say = lambda _: None,
) -> Lives:
    """What `climb` finds on a chain of its own. Raises `NotKept` or `Astray`."""
    with bench(script, say) as made:
        found = climb(made, rates, seconds, say)
        say("judging what became of them")
        made.judged()
    return found


def climb(made: Bench, rates: Sequence[float], seconds: float, say: Say) -> Lives:
    """The rate of its script's lives that a chain sustains, and latencies below it.

    `rates`, rising, instead of those that double from eight a second. Raises `Astray`.
    """
    climbed: list[Window] = []
    before, first = counted(made.session), made.driver.completed

    def tried(rate: float) -> bool:
        climbed.append(made.window(rate, seconds))
        say(told(climbed[-1]))
        return climbed[-1].kept

    rising: Iterable[float] = rates or takewhile(
        lambda one: one < _MOST, ramp.rising(_FIRST, _FACTOR)
    )
    found = ramp.sustained(rising, tried, _HALVINGS)
    calm = []
    for share in SHARES if found is not None else ():
        calm.append(made.window(max(round((found or 0.0) * share, 1), 0.2), seconds))
        say(told(calm[-1]))
    count, after = made.driver.completed - first, counted(made.session)
    messages, rows = (
        {name: (after[name][n] - before[name][n]) / max(count, 1) for name in SERVICES}
        for n in (0, 1)
    )
    return Lives(
        made.driver.script.name,
        os.cpu_count() or 0,
        found,
        tuple(climbed),
        tuple(calm),
        count,
        messages,
        rows,
    )


def told(window: Window) -> str:
    """A window in a line."""
    word = "kept" if window.kept else "not kept"
    return (
        f"{window.rate:5.1f}/s {word}: {window.started} begun, {window.completed} ended, "
        f"{window.under_way[0]}→{window.under_way[-1]} under way, "
        f"{window.chain_cpu / 1000:,.1f} ms CPU each, whole {window.whole}, "
        f"busy {meter.ours(window.cores):.2f} + driver {window.cores[meter.DRIVER]:.2f} "
        f"+ others {window.cores[meter.OTHERS]:.2f} processors" + " (DISTURBED)" * window.disturbed
    )


def _funded(running: Session) -> None:
    """The pool out of which relief is paid, this year and the next."""
    watcher = Watcher(running.bootstrap, lambda _: None)
    try:
        office = Office(Sender(running.bootstrap), watcher)
        for year in (datetime.now(UTC).year + n for n in (0, 1)):
            pool = POOL.format(year=year)
            word = {"pool": pool, "amount": {"amount": "9000000"}, "by": "clerk-1"}
            office.done(TREASURY, "welfare", "fund-pool", pool, **word)
    finally:
        watcher.close()


def counted(running: Session) -> dict[str, tuple[int, int]]:
    """Of each service: messages it has read from topics, and rows of its journal."""

    async def ask(dsn: str) -> tuple[int, int]:
        connection = await asyncpg.connect(dsn)
        try:
            row = await connection.fetchrow(
                'SELECT (SELECT coalesce(sum("offset"), 0)::bigint FROM progress),'
                " (SELECT count(*) FROM journal)"
            )
            return row[0], row[1]
        finally:
            await connection.close()

    return {name: asyncio.run(ask(running.dsns(name).admin)) for name in SERVICES}
