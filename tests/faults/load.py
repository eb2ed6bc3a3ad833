"""Cases that travel the whole chain while faults strike, driven by what a watcher reads.

A thread of its own publishes and reads. It bears a broker that is away, begins no more stories
than it may, and stops by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any

from tests.checker.topics import record_of
from tests.demo.wire import Sender, Unexpected, Watcher
from tests.faults.stories import PLANS, Hand, Story, TurnedAway, Wait, probe, treasury

_LONG = 5.0
"""Seconds after which a report that nobody was told of says that the chain is behind."""
_PAUSE = 0.02


class Patient(Watcher):
    """A watcher that waits for a broker that is away."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap, lambda _: None)

    def more(self) -> None:
        """Take into the book what has come; what the client says of its connection is nothing."""
        for message in self._consumer.consume(num_messages=500, timeout=0.05):
            if message.error() is None:
                self.book.take(record_of(message))


@dataclass
class _Running:
    """A story under way, and what it waits for."""

    story: Story
    wait: Wait
    began: float
    ended: Callable[[], None]


class Load:
    """Begins stories by a seeded plan: `rate` a second, `abreast` at once.

    `with Load(…) as load:` runs it. It begins nothing before `go`, and nothing more after `rest`;
    nor while a probe waits: more than the chain carries would only wait behind the faults.
    """

    def __init__(self, bootstrap: str, seed: int, now: datetime, rate: float, abreast: int) -> None:
        self._watcher = Patient(bootstrap)
        self._random = Random(seed)
        self.hand = Hand(Sender(bootstrap), self._watcher.book, Random(seed + 1))
        self._rate, self._abreast = rate, abreast
        self._going = Event()
        self._stopping = Event()
        self._lock = Lock()
        self._asked: list[tuple[Story, Callable[[], None]]] = []
        self._active: list[_Running] = []
        self._error: BaseException | None = None
        self._probes = 0
        self._probed: Probe | None = None
        self.begun = self._until = 0
        self.kinds: Counter[str] = Counter()
        self._ask(treasury(self.hand, (now.year, now.year + 1)), lambda: None)
        self._thread = Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._watcher.close()

    @property
    def cases(self) -> int:
        """Cases that were opened so far, as far as it was read."""
        return len(self.hand.book.cases)

    def go(self, most: int, rate: float | None = None) -> None:
        """Begin stories, so many at most, until `rest`: what strikes always finds some."""
        self._until = self.begun + most
        self._rate = rate or self._rate
        self._going.set()

    def rest(self, seconds: float) -> None:
        """Begin no more; return when nothing is under way but what waits for another day.

        Raises `Unexpected` with what was waited for: a message that nobody answered.
        """
        self._going.clear()
        last = monotonic() + seconds
        while waiting := self._under_way():
            self.check()
            if monotonic() > last:
                more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
                raise Unexpected(f"Waited {seconds:.0f} s in vain for {waiting[0].what}{more}.")
            sleep(_PAUSE)

    def probe(self) -> Probe:
        """Send a report now, and see how long it takes until its unit has it on its screen."""
        self._probes += 1
        self._probed = sent = Probe(self)
        self._ask(probe(self.hand, self._probes), sent.told.set)
        return sent

    def until(self, what: str, found: Callable[[], Any], seconds: float = 60.0) -> None:
        """Wait, while stories go on, until something is so."""
        last = monotonic() + seconds
        while not found():
            self.check()
            if monotonic() > last:
                raise Unexpected(f"Waited {seconds:.0f} s in vain for {what}.")
            sleep(_PAUSE)

    def check(self) -> None:
        """Raise what ended the thread."""
        if self._error is not None:
            raise self._error

    def _under_way(self) -> list[Wait]:
        with self._lock:
            asked = [Wait("a story to begin", lambda: None) for _ in self._asked]
            return asked + [one.wait for one in self._active if not one.wait.time]

    def _ask(self, story: Story, ended: Callable[[], None]) -> None:
        with self._lock:
            self._asked.append((story, ended))

    def _run(self) -> None:
        try:
            allowance, last = 0.0, monotonic()
            while not self._stopping.is_set():
                self._watcher.more()
                now = monotonic()
                allowance = min(allowance + (now - last) * self._rate, 4.0)
                last = now
                while self._going.is_set() and allowance >= 1 and self._may_begin():
                    allowance -= 1
                    self._begin()
                self._advance()
        except BaseException as error:
            self._error = error

    def _may_begin(self) -> bool:
        busy = sum(not one.wait.time for one in self._active)
        held = self._probed is not None and self._probed.waits
        return self.begun < self._until and busy < self._abreast and not held

    def _begin(self) -> None:
        plans, weights = zip(*PLANS, strict=True)
        (plan,) = self._random.choices(plans, weights)
        self.begun += 1
        self.kinds[plan.__name__] += 1
        self._ask(plan(self.hand, self.begun), lambda: None)

    def _advance(self) -> None:
        """Each story as far as it comes."""
        with self._lock:
            asked, self._asked = self._asked, []
            for story, ended in asked:
                first = Wait("its beginning", lambda: True)
                self._active.append(_Running(story, first, monotonic(), ended))
            active = [*self._active]
        over = {id(one) for one in active if not self._step(one)}
        if over:
            with self._lock:
                self._active = [one for one in self._active if id(one) not in over]

    def _step(self, one: _Running) -> bool:
        """Whether it is still under way."""
        begun = one.wait.what == "its beginning"
        while (found := one.wait.found()) not in (None, False):
            try:
                one.wait = one.story.send(None if begun else found)
            except (StopIteration, TurnedAway) as end:
                self.hand.turned_away += isinstance(end, TurnedAway)
                one.ended()
                return False
            begun = False
        return True


class Probe:
    """A report sent at one moment."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sent = monotonic()
        self.told = Event()

    @property
    def waits(self) -> bool:
        """Whether it has waited long for its answer."""
        return not self.told.is_set() and monotonic() > self._sent + _LONG

    def seconds(self, patience: float) -> float:
        """Wait until its unit was told; how long that took. Raises `Unexpected`."""
        while not self.told.wait(0.02):
            self._load.check()
            if monotonic() > self._sent + patience:
                raise Unexpected(f"A report sent after the fault reached no unit in {patience} s.")
        return monotonic() - self._sent
