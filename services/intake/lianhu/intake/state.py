"""What intake remembers: of a case, of a person. No narrative that is open, no personal data."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from lianhu.contracts.base import CaseId, DivisionCode, Line
from lianhu.contracts.engine import PersonRef
from lianhu.contracts.faults import Slug
from lianhu.contracts.intake import Found, PersonSpoken, SafetyWord
from lianhu.contracts.parts import Account, CardRef, Officer
from lianhu.contracts.vocabulary import Category, Channel, Ground, Outcome, Path, Risk
from lianhu.jurisdiction import Level
from lianhu.privacy import Sealed

CONCERNED, REPORTER, OTHER = "concerned", "reporter", "other-party"
"""As what a report speaks of a person."""


class Status(StrEnum):
    """Whether anybody still works on the case."""

    OPEN = "open"  # 在办
    CLOSED = "closed"  # 已结案
    ERASED = "erased"  # 已删除


class Stage(StrEnum):
    """How far an erasure is."""

    ASKED = "asked"
    ORDERED = "ordered"
    RESTRICTED = "restricted"


class Card(NamedTuple):
    """A contact card of the case, closed, and the joined report that brought it, if one did."""

    ref: CardRef
    joined: str | None
    shared: bool = False
    """The other party has a way of it too."""


class Joined(NamedTuple):
    """A report that joined the case; `account` is closed, and so it stays."""

    joined: str
    publisher: str
    channel: Channel
    found: Found
    account: Sealed[Account]


class Conclusion(NamedTuple):
    """What mediation said when it was done, while welfare is not."""

    outcome: Outcome
    unit: DivisionCode
    level: Level


class Answer(NamedTuple):
    """What a service said to an erasure; `until` None: nothing forbids it."""

    service: str
    until: datetime | None
    basis: Line | None


class Erasure(BaseModel):
    """An erasure under way: who asked for it, why, and what the other services said."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    by: Officer
    basis: Line
    answers: tuple[Answer, ...] = ()
    confirmed: tuple[str, ...] = ()
    """Services that destroyed their keys."""
    until: datetime | None = None
    """A duty forbids it so long; then it is asked again."""


class CaseState(BaseModel):
    """A case 个案 as intake knows it."""

    SHAPE: ClassVar[int] = 4

    model_config = ConfigDict(frozen=True)

    case: CaseId
    status: Status
    category: Category
    risk: Risk
    repeat: bool = False
    path: Path = Path.MEDIATION
    grounds: tuple[Ground, ...] = ()
    minor: bool = False
    guardian_suspected: bool = False
    unit: DivisionCode
    """The unit it was opened at."""
    informed: tuple[DivisionCode, ...] = ()
    """Units that heard of its opening, and hear of its end 知情单位."""
    owner: DivisionCode
    """The unit that owns it now, as far as intake has heard."""
    publisher: str
    by_other_side: bool = False
    """The other party told it: whoever is concerned does not join it."""
    opened_at: datetime
    closed_at: datetime | None = None
    cards: tuple[Card, ...] = ()
    """The last one counts; earlier ones come back when the report that brought it is split off.
    A withdrawal 撤回 forgets them all."""
    card_version: int = 0
    no_card: Slug | None = None
    shared: bool = False
    """The other party has a way that some report gave as hers."""
    safety: SafetyWord = SafetyWord.NOBODY
    people: tuple[PersonSpoken, ...] = ()
    """Of all reports but those in `joined`."""
    joined: tuple[Joined, ...] = ()
    """The last few; older ones cannot be split off any more."""
    told: int = 0
    """How many further reports of it were published; mediation concludes on what it has heard."""
    split: tuple[str, ...] = ()
    links: tuple[CaseId, ...] = ()
    """Cases that officers were shown beside it, the latest."""
    dropped: int = 0
    """How many joined reports are too old to be here."""
    applications: tuple[str, ...] = ()
    """Welfare applications that are open."""
    conclusion: Conclusion | None = None
    erasure: Erasure | None = None

    @property
    def card(self) -> CardRef | None:
        """How the person concerned may be told now."""
        return self.cards[-1].ref if self.cards and self.no_card is None else None

    @property
    def refs(self) -> tuple[PersonRef, ...]:
        """Everybody of the case, each once."""
        groups = (self.people, *(one.found.people for one in self.joined))
        return tuple(dict.fromkeys(one.person for group in groups for one in group))


class Seen(NamedTuple):
    """A person was spoken of in a report of this case; `open`: as far as is known here."""

    case: CaseId
    role: str
    channel: Channel
    at: datetime
    open: bool = True


class PersonState(BaseModel):
    """An identity 人员 by its reference: where it was spoken of lately. Private to intake."""

    SHAPE: ClassVar[int] = 1

    model_config = ConfigDict(frozen=True)

    person: PersonRef
    seen: tuple[Seen, ...] = ()
    """The oldest first."""


__all__ = [
    "CONCERNED",
    "OTHER",
    "REPORTER",
    "Answer",
    "Card",
    "CaseState",
    "Conclusion",
    "Erasure",
    "Joined",
    "PersonState",
    "Seen",
    "Stage",
    "Status",
]
