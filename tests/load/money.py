"""What of a full life no open loop can drive: a public notice of three days, payment at five.

Some lives are driven as far as a day goes, then time is moved past the end of their notices, and
past the hour at which envelopes are cut. Each move is a burst: all of them go on at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from time import monotonic

import asyncpg

from deploy.embedded.services import SERVICES
from lianhu.jurisdiction import SHANGHAI
from tests.demo.book import Case
from tests.demo.chain import CITY, DISTRICT
from tests.demo.clock import Clock
from tests.demo.wire import Sender, Unexpected, Watcher
from tests.faults.stories import Hand, Story, Wait, treasury
from tests.load import ramp
from tests.load.lives import Bench, bench
from tests.load.meter import Reading, ours
from tests.load.scripts import FULL

Say = Callable[[str], None]

_Waiting = tuple[Story, Wait]

_SECONDS = 120.0
_MORNING = 9


@dataclass(frozen=True)
class Stage:
    """A part of the lives, all of them together."""

    name: str
    seconds: float
    cpu: Mapping[str, float]
    """µs for each life, by group of processes."""


@dataclass(frozen=True)
class Money:
    """Whole lives with relief, from the report to the case that is closed when it was paid."""

    lives: int
    stages: tuple[Stage, ...]

    @property
    def cpu(self) -> Mapping[str, float]:
        """µs for each life over all stages."""
        found: Counter[str] = Counter()
        for stage in self.stages:
            found.update(stage.cpu)
        return dict(found)

    @property
    def chain_cpu(self) -> float:
        """The same of services, broker and database together."""
        return ours(self.cpu)


def money(count: int = 80, rate: float = 2.0, say: Say = lambda _: None) -> Money:
    """So many lives to their very end. Raises `Unexpected`, `Astray` or `NotKept`.

    At most some two hundred: an envelope holds a hundred payments, and three days have one each.
    """
    with bench(FULL, say, clock_movable=True, warm=3.0) as made:
        clock = Clock({name: made.session.dsns(name).runtime for name in SERVICES})
        before, first = made.meter.read(), made.driver.completed
        made.driver.begin_at(ramp.intended(monotonic(), rate, count / rate))
        made.driver.rest(count / rate + _SECONDS)
        made.driver.check()
        lives = made.driver.completed  # with those that warmed the chain up: they are paid too
        stages = [_stage("up to the public notice", made.meter.read().since(before), lives - first)]
        say(told(stages[-1]))
        stages += _bursts(made, clock, lives, say)
        now = clock.now().astimezone(SHANGHAI)
        morning = now.replace(hour=_MORNING, minute=0, second=0, microsecond=0)
        clock.pass_by(morning + timedelta(days=1))  # what units hear together is told
        say("judging what became of them")
        made.judged()
    return Money(lives, tuple(stages))


def told(stage: Stage) -> str:
    """A stage in a line."""
    each = ", ".join(f"{name} {one / 1000:,.1f}" for name, one in stage.cpu.items())
    return f"{stage.name}: {stage.seconds:.1f} s, ms CPU for each life: {each}"


def _stage(name: str, used: Reading, lives: int) -> Stage:
    return Stage(name, used.at, {group: 1e6 * one / lives for group, one in used.cpu.items()})


def _bursts(made: Bench, clock: Clock, lives: int, say: Say) -> Iterator[Stage]:
    watcher = Watcher(made.session.bootstrap, lambda _: None)
    try:
        hand = Hand(Sender(made.session.bootstrap), watcher.to_the_end(), Random(1))
        cases = [*hand.book.cases.values()]
        if len(cases) != lives:
            raise Unexpected(f"{lives} lives were driven, and there are {len(cases)} cases.")
        confirming = treasury(hand, ())
        paying = (confirming, next(confirming))
        for name, due, story in (
            ("signed by district and city", _shown_until, _signed),
            ("paid, ended and closed", _cut_at, _closed),
        ):
            moment = due(made, cases)
            stories = [story(hand, case) for case in cases]
            before = made.meter.read()
            clock.pass_by(moment)
            paying = _tell(watcher, stories, paying)
            yield _stage(name, made.meter.read().since(before), lives)
            say(name)
    finally:
        watcher.close()


def _signed(hand: Hand, case: Case) -> Story:
    yield hand.newest(case, "public-notice-ended")
    for unit in (DISTRICT, CITY):
        yield from hand.signed(case, f"{case.number}-a1", unit)
    yield hand.newest(case, "application-approved")


def _closed(hand: Hand, case: Case) -> Story:
    yield hand.newest(case, "case-closed")


def _shown_until(_: Bench, cases: Sequence[Case]) -> datetime:
    """When the last public notice is over."""
    found = [case.all("public-notice-started")[-1].data["until"]["at"] for case in cases]
    return max(map(datetime.fromisoformat, found))


def _cut_at(made: Bench, _: Sequence[Case]) -> datetime:
    """When the last envelope is cut."""

    async def ask() -> datetime:
        connection = await asyncpg.connect(made.session.dsns("welfare").admin)
        try:
            sql = "SELECT max(next_due) FROM aggregates WHERE stream LIKE 'envelope/%'"
            found: datetime = await connection.fetchval(sql)
            return found
        finally:
            await connection.close()

    return asyncio.run(ask())


def _tell(watcher: Watcher, stories: Sequence[Story], beside: _Waiting) -> _Waiting:
    """Go on until all stories have ended; what goes on beside them is given back: it has no end."""
    active: list[_Waiting] = [(story, next(story)) for story in stories]
    last = monotonic() + _SECONDS
    while active:
        if monotonic() > last:
            raise Unexpected(f"Waited {_SECONDS:.0f} s in vain for {active[0][1].what}.")
        watcher.more()
        active = [one for pair in active if (one := _further(*pair)) is not None]
        beside = _further(*beside) or beside
    return beside


def _further(story: Story, wait: Wait) -> _Waiting | None:
    """As far as it comes now, and what it waits for; None at its end."""
    while (found := wait.found()) not in (None, False):
        try:
            wait = story.send(found)
        except StopIteration:
            return None
    return story, wait
