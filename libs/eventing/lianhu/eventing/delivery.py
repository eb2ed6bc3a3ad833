"""One thing to handle, from its arrival to what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from secrets import token_hex
from typing import Protocol

from lianhu.contracts.faults import Fault
from lianhu.contracts.publishers import Publisher
from lianhu.eventing.rules import Message, Stream


class Record(Protocol):
    """What the engine needs of a Kafka record."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """The broker's time, ms."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def value(self) -> bytes | None: ...


class Origin(StrEnum):
    """Where a delivery comes from."""

    BROKER = "broker"
    PARKED = "parked"
    """Tried again out of the parked messages."""
    ENGINE = "engine"
    """Made by the engine: a deadline, the end of a call outside."""


class Outcome(StrEnum):
    """What became of a delivery."""

    HANDLED = "handled"
    IGNORED = "ignored"
    """Not for this service; only its sequence number was noted."""
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    PARKED = "parked"


class Reason(StrEnum):
    """Why a message is parked."""

    POISON = "poison"
    """This release cannot handle it."""
    BEHIND = "behind"
    """An earlier message of its stream is parked."""
    GAP = "gap"
    """An earlier event of its stream has not come."""
    FORK = "fork"
    """Its sequence number was seen with another content."""
    AWAITING = "awaiting"
    """Its case is not known yet."""
    REFUSED = "refused"
    """Answered, and kept: behind a wrong date may stand a person in danger."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an internal event in its producer's stream, and its row's hash."""

    epoch: int
    number: int
    hash: str


class MessageIds:
    """Fresh ids for one message; the same call gives the same id however often it is decided."""

    __slots__ = ("_made", "indexes", "number", "persons")

    def __init__(self) -> None:
        self._made: dict[str, str] = {}
        self.number: str | None = None
        self.persons: dict[str, str] = {}
        self.indexes: dict[bytes, str] = {}
        """By which blind index each of these references was found."""

    def case_number(self) -> str:
        """The number that the engine reserved because `Workflow.counter` asked for one."""
        if self.number is None:
            raise LookupError("the workflow's counter() named no counter for this message")
        return self.number

    def opaque(self, label: str) -> str:
        """32 hex digits that nobody can guess."""
        return self._made.setdefault(label, token_hex(16))

    def person(self, label: str) -> str:
        """The reference that the engine found for what `Workflow.identities` gave."""
        return self.persons[label]


@dataclass(slots=True)
class Delivery:
    """A record, a parked message, or a message of the engine's own."""

    origin: Origin
    source: str
    """The producing service, the public topic, or this service."""
    at: datetime
    """Broker time: of the append, or of this moment for the engine's own."""
    record: Record | None = None
    message: Message | None = None
    faults: tuple[Fault, ...] = ()
    relevant: bool = True
    """False: a type that is not for this service."""

    # of a public message
    publisher: Publisher | None = None
    identity: str = ""
    """The id in the inbox: the publisher's, or partition and offset where it gave none."""
    named: str | None = None
    """The id that the publisher gave, if it can be read."""
    type: str | None = None
    digest: bytes = b""
    command: bool = False

    # of an internal event
    stream: Stream | None = None
    sequence: Position | None = None
    wrapped: bytes | None = None

    # of a parked one
    parked: int | None = None
    letter: str | None = None
    was: Reason | None = None
    """Why it is parked now."""
    final: bool = False
    """A command that waited long enough for its case, and all that came before it is handled."""
    ripe: bool = False
    """Its own time has come; otherwise it was brought along."""

    poisoned: str | None = None
    """Why it is parked without being tried: alone in its transaction, it broke it."""

    # a stream whose deadlines are due, up to this domain time
    horizon: datetime | None = None

    ids: MessageIds = field(default_factory=MessageIds)
    touched: tuple[Stream, ...] = ()

    @property
    def public(self) -> bool:
        """Whether a publisher outside sent it."""
        return bool(self.identity)

    @property
    def epoch(self) -> int:
        """Of an internal event; 0 for what has none."""
        return self.sequence.epoch if self.sequence is not None else 0

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return len(self.record.value or b"") if self.record is not None else 0

    @property
    def position(self) -> str:
        """`partition/offset`, or what the engine calls it."""
        if self.record is None:
            return self.message.id if self.message is not None else "-"
        return f"{self.record.partition}/{self.record.offset}"

    @property
    def about(self) -> str | None:
        """The stream by which it is found: its own, or the first that it touches."""
        if self.stream is not None:
            return str(self.stream)
        return str(self.touched[0]) if self.touched else None

    def ids_for_log(self) -> dict[str, str | int]:
        """What a log line says of it: ids and where it stood, nothing of what it tells."""
        message = self.message
        known: dict[str, str | int | None] = {
            "source": self.source,
            "position": self.position,
            "message_id": message.id if message is not None else self.named,
            "stream": self.about,
            "sequence": self.sequence.number if self.sequence is not None else None,
            "trace": message.trace if message is not None else None,
        }
        return {key: value for key, value in known.items() if value is not None}
