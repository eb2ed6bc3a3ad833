"""What notify remembers: notices under way, the last that ended, and how to tell people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict

from lianhu.contracts.base import Instant
from lianhu.contracts.notify import ContactNoted, DigestAdded, NoticeStep
from lianhu.contracts.parts import CardRef
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.eventing.rules import Deadline

MEMORY = 32
"""How many ended notices of one case are remembered.

It is the second of three bars against telling twice, so it may be short. The first is the
engine's: an event reaches the rules once per producer and sequence. The third is the channel's:
the notice's id is its idempotency key.
"""
NAMED = 500
"""How many case numbers a digest remembers; further ones are counted."""


class Stage(StrEnum):
    """What a notice that has not ended waits for; the first word of its deadline."""

    SEEKING = "way"
    """The contact card is being opened."""
    WAITING = "wait"
    """For a moment at which the person may be told."""
    SENDING = "attempt"
    """For the outcome of an attempt."""
    RETRYING = "retry"
    """For the next attempt, the last having surely had no effect."""


class Pending(BaseModel):
    """A notice that has not ended, with all that its next step needs."""

    model_config = ConfigDict(frozen=True)

    step: NoticeStep
    stage: Stage
    due: Instant
    attempt: int = 0
    """Attempts so far, by whatever channel."""
    before: int = 0
    """How many of them were by channels other than the present one."""
    look: int = 0
    """How often the card was looked at, over the whole life of the notice."""
    version: int = 0
    """Of the card that was looked at last."""
    vain: int = 0
    """How often in a row it could not be opened."""
    doubt: bool = False
    """An earlier attempt ended unknown: the notice can no longer be said to have failed."""

    @property
    def deadline(self) -> Deadline:
        """`way-{notice}`, `wait-…`, `attempt-…` or `retry-…`."""
        return Deadline(f"{self.stage}-{self.step.notice}", self.due)

    @property
    def tries(self) -> int:
        """Attempts by the present channel."""
        return self.attempt - self.before


class Notices(BaseModel):
    """Notices by id: those under way, and the newest of those that ended."""

    SHAPE: ClassVar[int] = 3
    model_config = ConfigDict(frozen=True)

    pending: Mapping[str, Pending] = {}
    ended: tuple[str, ...] = ()

    def knows(self, notice: str) -> bool:
        """Whether this notice is under way or ended lately."""
        return notice in self.pending or notice in self.ended

    def with_pending(self, pending: Pending) -> Self:
        """The state after a step of a notice."""
        return self.model_copy(update={"pending": {**self.pending, pending.step.notice: pending}})

    def with_ended(self, notice: str) -> Self:
        """The state after a notice ended; the oldest of `MEMORY` is forgotten."""
        return self.model_copy(
            update={
                "pending": {key: value for key, value in self.pending.items() if key != notice},
                "ended": (*(known for known in self.ended if known != notice), notice)[-MEMORY:],
            }
        )


class CaseState(Notices):
    """The notices of one case, and what must be kept in mind whenever its people are told."""

    cards: Mapping[AudienceRole, CardRef] = {}
    """The newest card of each role, closed. Versions are counted over the case, so that a newer
    card replaces an older one even where it leads to the person by another reference."""
    withheld: Mapping[AudienceRole, str] = {}
    """Who is told nothing until a newer card comes, and why."""
    neutral: bool = False
    """The case is on the protection path."""
    erased: bool = False

    def newer(self, role: AudienceRole, card: CardRef) -> bool:
        """Whether a card is newer than what is known of this role."""
        known = self.cards.get(role)
        return known is None or known.version < card.version

    def with_noted(self, noted: ContactNoted) -> CaseState:
        """The state after something was noted."""
        update: dict[str, object] = {"neutral": noted.neutral}
        if noted.role is not None:
            withheld = {role: why for role, why in self.withheld.items() if role != noted.role}
            if noted.withheld is not None:
                withheld[noted.role] = noted.withheld
            update["withheld"] = withheld
            if noted.card is not None:
                update["cards"] = {**self.cards, noted.role: noted.card}
        return self.model_copy(update=update)


class DigestState(Notices):
    """What a unit hears together of one day, and the notice by which it does."""

    unit: str = ""
    leaves_at: Instant | None = None
    cases: tuple[str, ...] = ()
    """Case numbers, each once, the first `NAMED`."""
    further: int = 0
    """Cases beyond those; one of them may be counted twice."""
    count: int = 0
    """How many events."""
    left: bool = False

    def with_added(self, added: DigestAdded) -> DigestState:
        """The state after one more event was added."""
        number = added.case
        new = number is not None and number not in self.cases
        room = len(self.cases) < NAMED
        return self.model_copy(
            update={
                "unit": added.unit,
                "leaves_at": self.leaves_at or added.leaves_at,
                "cases": (*self.cases, number) if new and room else self.cases,
                "further": self.further + (new and not room),
                "count": self.count + 1,
            }
        )
