"""What is judged: records of topics and rows of databases, as plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any

from pydantic_core import from_json

PRIVATE = ("person", "matter", "claim")
"""Kinds of streams that are never published."""
LETTER = "letter"
"""Streams of this kind go to the dead-letters topic, the other published ones to events."""

Place = tuple[str, int, int]
"""Stream, epoch, sequence."""

_PUBLIC_TOPIC = re.compile(r"^(?P<service>[a-z]+)\.(reports|commands)\.(?P<publisher>[^.]+)\.v1$")


@dataclass(frozen=True)
class Record:
    """One record of a topic. `at`: the broker's time."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    def attribute(self, name: str) -> str | None:
        """A CloudEvents attribute; None unless it stands there once and can be read."""
        return self._attributes.get(name)

    @cached_property
    def _attributes(self) -> Mapping[str, str | None]:
        found: dict[str, str | None] = {}
        for key, raw in self.headers:
            if key.startswith("ce_"):
                name = key[3:]
                found[name] = None if name in found or raw is None else _text(raw)
        return found

    @cached_property
    def data(self) -> dict[str, Any]:
        """The body of a record that a service wrote; empty for one that is no JSON object."""
        return _object(self.value or b"")

    @property
    def position(self) -> str:
        """`topic partition/offset`, for a person."""
        return f"{self.topic} {self.partition}/{self.offset}"

    @cached_property
    def place(self) -> Place | None:
        """Where in its producer's stream an event stands; None when its headers do not say it."""
        stream = self.attribute("subject")
        epoch, sequence = self.attribute("epoch") or "", self.attribute("sequence") or ""
        if stream is None or not epoch.isdecimal() or not sequence.isdecimal():
            return None
        return stream, int(epoch), int(sequence)

    @property
    def public(self) -> tuple[str, str] | None:
        """Service and publisher of a reports or commands topic."""
        return _publisher_of(self.topic)


@dataclass(frozen=True)
class JournalRow:
    """One row of a journal."""

    seq: int
    stream: str
    version: int
    epoch: int
    id: str
    type: str
    time: datetime
    causation: str | None
    answers: str | None
    body: str
    hash: bytes

    @cached_property
    def data(self) -> dict[str, Any]:
        """The body; empty when somebody broke it."""
        return _object(self.body.encode())

    @cached_property
    def kind(self) -> str:
        """`case`, `submission`, …"""
        return self.stream.partition("/")[0]

    @cached_property
    def name(self) -> str:
        """The type without service and version: `case-opened`."""
        return short(self.type)


@dataclass(frozen=True)
class StateRow:
    """One row of `aggregates`. `seen`: producer -> epoch, sequence and hash handled last."""

    stream: str
    version: int
    head: bytes | None
    state: str | None
    seen: Mapping[str, tuple[int, int, str]]
    next_due: datetime | None
    shape: int


@dataclass(frozen=True)
class Parked:
    """One parked message."""

    letter: str
    reason: str
    source: str
    stream: str | None
    faults: str = ""
    """Their slugs."""


@dataclass(frozen=True)
class InApp:
    """One message on a unit's screen."""

    notice: str
    unit: str
    case: str


@dataclass(frozen=True)
class Received:
    """What somebody outside got: by which channel, under which notice's id, at which address."""

    channel: str
    notice: str
    to: str
    subject: str
    text: str


@dataclass(frozen=True)
class Database:
    """What one service's database holds. `moves`: from broker time on, time is ahead by so much."""

    service: str
    journal: tuple[JournalRow, ...]
    states: tuple[StateRow, ...]
    parked: tuple[Parked, ...]
    cursor: int
    moves: tuple[tuple[datetime, timedelta], ...] = ()
    in_app: tuple[InApp, ...] = ()
    epoch: int = 1
    """Raised when the database was restored to an earlier point."""
    passed_over: frozenset[str] = frozenset()
    """Types that a release which does not know them passes over."""

    def domain(self, moment: datetime) -> datetime:
        """The domain time of a moment."""
        ahead = timedelta(0)
        for start, by in sorted(self.moves):
            if start <= moment:
                ahead = by
        return moment + ahead


@dataclass(frozen=True)
class Folded:
    """What the first rows of a stream folded to."""

    rows: tuple[JournalRow, ...]
    state: Any

    def begins(self, rows: Sequence[JournalRow]) -> bool:
        """Whether these rows begin with those."""
        return tuple(rows[: len(self.rows)]) == self.rows


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything a verdict is made of. `records` in the order of each partition.

    `channels` is notify's policy as data: (event type, role) -> channels by which it is told.
    `cut`: topics whose first records were deleted already. `received`: what those outside got;
    None where they wrote nothing down. `folded`: by service and stream, filled by each look.
    """

    records: tuple[Record, ...]
    databases: Mapping[str, Database]
    channels: Mapping[tuple[str, str], tuple[str, ...]]
    taken_at: datetime
    cut: tuple[str, ...] = ()
    received: tuple[Received, ...] | None = None
    folded: dict[tuple[str, str], Folded] = field(default_factory=dict)

    def of_topic(self, topic: str) -> tuple[Record, ...]:
        """The records of one topic."""
        return self._by_topic.get(topic, ())

    def first_of(self, topic: str) -> Mapping[Place, Record]:
        """The first record of each place, in the order of the topic: others are repeats."""
        if topic not in self._first:
            found: dict[Place, Record] = {}
            for record in self.of_topic(topic):
                if record.place is not None:
                    found.setdefault(record.place, record)
            self._first[topic] = found
        return self._first[topic]

    @cached_property
    def _first(self) -> dict[str, Mapping[Place, Record]]:
        return {}

    @cached_property
    def _by_topic(self) -> Mapping[str, tuple[Record, ...]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.topic, []).append(record)
        return {topic: tuple(records) for topic, records in found.items()}

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that hold something."""
        return tuple(self._by_topic)


def short(type_: str) -> str:
    """`lianhu.intake.case-opened.v1` is `case-opened`."""
    return type_.split(".")[2] if type_.count(".") == 3 else type_


def data_of(body: bytes | None) -> dict[str, Any]:
    """What a public record says, in either mode; empty when it is no JSON object.

    Read by a parser that no depth of nesting throws over: anybody may have written it.
    """
    try:
        whole = from_json(body or b"")
    except ValueError:
        return {}
    if isinstance(whole, dict) and "specversion" in whole:
        whole = whole.get("data")
    return whole if isinstance(whole, dict) else {}


@cache
def _publisher_of(topic: str) -> tuple[str, str] | None:
    found = _PUBLIC_TOPIC.match(topic)
    return (found["service"], found["publisher"]) if found else None


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
