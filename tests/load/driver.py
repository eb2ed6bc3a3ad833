"""The open loop: lives begin at their moments, and go on as they are answered.

One thread publishes and reads. It reads what publishers read, their answers, and besides the
events that say of a case that it was opened or closed and of a notice how it ended.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from pydantic_core import from_json

from tests.demo.reports import HOTLINE, OFFICERS
from tests.load.scripts import Script, Step, filled

_TOPICS = (
    "intake.events.v1",
    "notify.events.v1",
    f"mediation.answers.{OFFICERS}.v1",
    f"welfare.answers.{OFFICERS}.v1",
)
_REPORT = b"lianhu.intake.report-submitted.v1"
_ENDS = frozenset(
    f"lianhu.notify.notice-{end}.v1".encode()
    for end in ("delivered", "suppressed", "failed", "uncertain")
)
_OPENED, _CLOSED = b"lianhu.intake.case-opened.v1", b"lianhu.intake.case-closed.v1"
_DELIVERED = b"lianhu.notify.notice-delivered.v1"
_REFUSED = b".message-refused."
_PAUSE = 0.01
"""Seconds between two looks at a time when nothing is read."""


class Astray(RuntimeError):
    """A life went another way than its script: what was measured is no result."""


@dataclass(slots=True)
class Life:
    """One life under way; moments are of the monotonic clock."""

    number: int
    intended: float
    left: Counter[str]
    """Notices that have not ended yet."""
    case: bytes = b""
    step: int = -1
    """The command that was given last."""
    waiting: bytes = b""
    """Its id, until it is answered."""
    closed: bool = False
    noticed: float = 0.0
    """When the first notice was seen to be with its channel."""
    done: float = 0.0


@dataclass
class Driver:
    """Lives of one script at a time at one chain. `close` it."""

    bootstrap: str
    script: Script
    name: str = "life"
    ended: Callable[[Life], None] = lambda _: None
    lives: dict[bytes, Life] = field(default_factory=dict)
    """Those under way, by the id of their report."""
    started: int = 0
    completed: int = 0
    _plan: deque[float] = field(default_factory=deque)
    _cases: dict[bytes, Life] = field(default_factory=dict)
    _early: dict[bytes, list[tuple[bytes, str]]] = field(default_factory=dict)
    """What was told of a case of which it was not read yet that it was opened."""

    def __post_init__(self) -> None:
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 1,
                "log_level": 0,
                "delivery.report.only.error": True,
                "on_delivery": lambda error, _: self._failed.append(error),
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "load-lives",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        known = self._consumer.list_topics(timeout=10).topics
        self._consumer.assign(
            [
                TopicPartition(name, number, self._end_of(name, number))
                for name in _TOPICS
                for number in known[name].partitions
            ]
        )

    def close(self) -> None:
        """Let go."""
        self._producer.flush(10)
        self._consumer.close()

    def turn_to(self, script: Script) -> None:
        """From now on lives of another script, of people who are not known yet.

        Raises `Astray` when one is under way.
        """
        self.check()
        self.script = script

    def begin_at(self, moments: Iterable[float]) -> None:
        """Begin a life at each of these, the earliest first."""
        self._plan.extend(moments)

    def until(self, moment: float) -> None:
        """Go on until this moment of the monotonic clock."""
        while (now := monotonic()) < moment:
            self._turn(moment, now)

    def rest(self, seconds: float) -> bool:
        """Go on until no life is under way, so long at most; whether none is."""
        last = monotonic() + seconds
        while (self.lives or self._plan) and (now := monotonic()) < last:
            self._turn(last, now)
        return not self.lives

    def check(self) -> None:
        """Raises `Astray` with what is waited for, where a life is under way still."""
        for life in self.lives.values():
            steps = self.script.steps
            given = steps[life.step].name if life.step >= 0 else "no command"
            left = ", ".join((+life.left).elements()) or "nothing"
            raise Astray(
                f"{len(self.lives)} lives have no end. {life.case.decode() or life.number}: "
                f"{given} given, {'un' if life.waiting else ''}answered; not told yet: {left}."
            )

    def give(self, life: Life, step: Step) -> bytes:
        """Publish a command of a life; its id."""
        id_ = b"%b-%d" % (self._id(life.number), life.step)
        self._publish(
            f"{step.service}.commands.{OFFICERS}.v1",
            life.case,
            filled(step.body, life.case, life.number),
            step.type,
            id_,
        )
        return id_

    def _end_of(self, topic: str, partition: int) -> int:
        """Where it ends now: `OFFSET_END` would be looked up later, behind the first answers."""
        place = TopicPartition(topic, partition)
        return int(self._consumer.get_watermark_offsets(place, timeout=10)[1])

    def _turn(self, last: float, now: float) -> None:
        while self._plan and self._plan[0] <= now:
            self._begin(self._plan.popleft())
        self._producer.poll(0)
        if self._failed:
            raise Astray(f"The broker did not take a message: {self._failed[0].str()}")
        until = min(last, self._plan[0]) if self._plan else last
        first = self._consumer.poll(max(min(until - monotonic(), _PAUSE), 0.0))
        if first is not None:
            for message in (first, *self._consumer.consume(500, 0)):
                self._take(message)

    def _begin(self, intended: float) -> None:
        self.started += 1
        life = Life(self.started, intended, Counter(self.script.notices))
        id_ = self._id(life.number)
        self.lives[id_] = life
        self._publish(
            f"intake.reports.{HOTLINE}.v1",
            None,
            self.script.reported(life.number),
            _REPORT,
            id_,
        )

    def _id(self, number: int) -> bytes:
        return f"{self.name}-{number}".encode()

    def _publish(
        self, topic: str, key: bytes | None, body: bytes, type_: bytes, id_: bytes
    ) -> None:
        headers: list[tuple[str, str | bytes | None]] = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id_),
            ("ce_source", b"load/lives"),
            ("ce_type", type_),
            ("content-type", b"application/json"),
        ]
        self._producer.produce(topic, body, key=key, headers=headers)

    def _take(self, message: Message) -> None:
        if (error := message.error()) is not None:
            raise KafkaException(error)
        headers = _headers(message)
        kind = headers["ce_type"]
        if ".answers." in (message.topic() or ""):
            self._answered(headers.get("ce_causationid", b""), kind, message.value())
            return
        case = headers["ce_subject"].partition(b"/")[2]
        if kind == _OPENED:
            life = self.lives[headers["ce_causationid"]]
            life.case, self._cases[case] = case, life
            for end, about in self._early.pop(case, ()):
                self._told(life, end, about)
        elif kind in _ENDS:
            about = from_json(message.value() or b"")["about_type"]
            if (told := self._cases.get(case)) is not None:
                self._told(told, kind, about)
            else:  # topics have no order among each other
                self._early.setdefault(case, []).append((kind, about))
        elif kind == _CLOSED and (closed := self._cases.get(case)) is not None:
            closed.closed = True
            self._look(closed)

    def _told(self, life: Life, kind: bytes, about: str) -> None:
        """A notice has ended; whoever is told of the offer accepts the case."""
        name = about.split(".")[2]
        if kind == _DELIVERED and not life.noticed:
            life.noticed = monotonic()
        life.left[name] -= 1
        if life.left[name] < 0:
            raise Astray(f"{life.case.decode()}: one more notice of {name} than there should be.")
        if life.step < 0 and life.noticed:
            self._next(life)
        self._look(life)

    def _answered(self, causation: bytes, kind: bytes, body: str | bytes | None) -> None:
        life = self.lives.get(causation.rpartition(b"-")[0])
        if life is None or life.waiting != causation:
            return  # one command may have several answers
        if _REFUSED in kind:
            raise Astray(f"{causation.decode()} was refused: {body!r}")
        life.waiting = b""
        self._next(life)
        self._look(life)

    def _next(self, life: Life) -> None:
        if life.step + 1 < len(self.script.steps):
            life.step += 1
            life.waiting = self.give(life, self.script.steps[life.step])

    def _look(self, life: Life) -> None:
        """Whether it is over."""
        answered = life.step + 1 == len(self.script.steps) and not life.waiting
        over = answered and (life.closed or not self.script.closes)
        if over and not any(life.left.values()):
            life.done = monotonic()
            self.completed += 1
            del self.lives[self._id(life.number)]
            self.ended(life)


def _headers(message: Message) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for one in message.headers() or ():
        name, text = one[0], one[1]
        if isinstance(text, bytes):
            found[name] = text
    return found
