"""What a service's pure rules are made of: streams, messages, decisions, deadlines.

A service's `workflow` module is a `Workflow`: five pure functions. They import nothing of the
engine but this file, read no clock, draw no random number and write nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.publishers import Publisher


class Rank(StrEnum):
    """Kinds of stream, in the order in which their rows are locked."""

    LETTER = "letter"  # one parked message
    SUBMISSION = "submission"  # one refused message that has no case
    PERSON = "person"
    MATTER = "matter"
    ENVELOPE = "envelope"
    CASE = "case"
    CLAIM = "claim"
    POOL = "pool"
    DIGEST = "digest"  # reminders 提醒 for one unit that leave together

    @property
    def order(self) -> int:
        """0 is locked first. A person and a matter have the same rank, sorted by kind and key."""
        return _ORDER[self]

    @property
    def published(self) -> bool:
        """A stream is wholly published or wholly private."""
        return self not in (Rank.PERSON, Rank.MATTER, Rank.CLAIM)


_ORDER = {
    Rank.LETTER: 0,
    Rank.SUBMISSION: 0,
    Rank.PERSON: 1,
    Rank.MATTER: 1,
    Rank.ENVELOPE: 2,
    Rank.CASE: 3,
    Rank.CLAIM: 4,
    Rank.POOL: 5,
    Rank.DIGEST: 6,
}


class Stream(NamedTuple):
    """One aggregate's sequence of events, written `kind/key`, e.g. `case/440304-2026-000123`."""

    kind: Rank
    key: str

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.key}"

    @classmethod
    def parse(cls, text: str) -> Stream:
        """Raises ValueError for an unknown kind."""
        kind, _, key = text.partition("/")
        if not key:
            raise ValueError("a stream is written kind/key")
        return cls(Rank(kind), key)

    @property
    def sort_key(self) -> tuple[int, str, str]:
        """Locks are taken in this order, everywhere."""
        return (_ORDER[self.kind], self.kind, self.key)


def case_stream(case: str) -> Stream:
    """The stream of a case 个案."""
    return Stream(Rank.CASE, case)


class DeadlineReached(Internal):
    """The message that the engine makes when a deadline of a stream is due and unanswered."""

    stream: str
    kind: str
    due: datetime


class EffectEnded(Internal):
    """The message that the engine makes when a call outside (a notice, a payment file) ended.

    `outcome`: `done`, `failed` (it surely had no effect) or `unknown`.
    """

    stream: str
    ref: str
    attempt: int
    outcome: str
    reason: str | None = None
    found: Mapping[str, str] = {}
    """What the call found out besides, as slugs and moments; never personal data."""


class Message(NamedTuple):
    """One message as rules see it.

    `time` is domain time: the broker's append time of a public message, the producer's time of an
    internal event, the time of firing of a deadline. `stream` is the producer's stream of an
    internal event. `publisher` is set for public messages only.
    """

    id: str
    type: str
    data: Model
    time: datetime
    source: str
    stream: Stream | None = None
    publisher: Publisher | None = None
    correlation: str | None = None
    trace: str | None = None


class Ids(Protocol):
    """Fresh ids for one message; the shell draws them, so that rules stay pure.

    Within one message the same call gives the same id, in `touches` and in `decide`.
    """

    def case_number(self) -> str:
        """The next case number of the counter that `Workflow.counter` named."""
        ...

    def opaque(self, label: str) -> str:
        """32 hex digits that nobody can guess."""
        ...

    def person(self, label: str) -> str:
        """The reference of the identity that `Workflow.identities` gave under this label."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """A timer that follows from a state: `kind` and when it is due."""

    kind: str
    due: datetime


State = BaseModel
Decision = Mapping[Stream, Sequence[Internal]]
"""For each touched stream, the events that happened there; empty where nothing happened."""

S = TypeVar("S", bound=BaseModel)


class Workflow(Protocol):
    """The pure rules of a service; a module with these functions is one."""

    def counter(self, message: Message) -> str | None:
        """The prefix of the case number this message may need, e.g. `440304-2026`, or None."""
        ...

    def identities(self, message: Message) -> Mapping[str, str]:
        """What identifies the people of a message: label -> normalised text, `kind:value`.

        The engine keeps no text: by a blind index each leads to a reference, the same for the
        same text, which `ids.person(label)` gives. Empty where nobody is to be found again.
        """
        ...

    def touches(self, message: Message, ids: Ids) -> Sequence[Stream]:
        """The streams whose states the decision needs; the first is the message's own.

        An event of another service need not name its own stream: the engine adds it.
        """
        ...

    def touches_more(
        self, message: Message, states: Mapping[Stream, State | None]
    ) -> Sequence[Stream]:
        """Further streams that only the loaded states name.

        Asked with the states as they are locked, and again as predecessors in the batch left them.
        """
        ...

    def decide(
        self,
        message: Message,
        states: Mapping[Stream, State | None],
        now: datetime,
        ids: Ids,
        policy: Any,
    ) -> Decision:
        """What happens. Raises `Refused` when a rule says no."""
        ...

    def evolve(
        self, stream: Stream, state: State | None, event: Internal, at: datetime
    ) -> State | None:
        """The state after an event that happened at `at`. Never reads policy, never fails."""
        ...

    def deadlines(self, stream: Stream, state: State) -> Iterable[Deadline]:
        """All timers of a state."""
        ...


__all__ = [
    "Deadline",
    "DeadlineReached",
    "Decision",
    "EffectEnded",
    "Ids",
    "Message",
    "Rank",
    "State",
    "Stream",
    "Workflow",
    "case_stream",
]
