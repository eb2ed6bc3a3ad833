"""What mediation remembers of a case: where it stands, which clocks run; personal data closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from lianhu.contracts.base import CaseId, DivisionCode, Ref
from lianhu.contracts.faults import Slug
from lianhu.contracts.mediation import AskId
from lianhu.contracts.parts import CardRef, Officer
from lianhu.contracts.vocabulary import (
    Authority,
    Category,
    Chase,
    DeadlineKind,
    Ground,
    PartnerSays,
    Party,
    Path,
    Risk,
    VisitStep,
)
from lianhu.jurisdiction import Level
from lianhu.mediation.partners import LAST, Matter

RECEIPT, ANSWER = "receipt", "answer"
"""What a partner owes, and the first words of the timers that wait for it."""


class Status(StrEnum):
    """How far a case is at its level 办理状态."""

    OFFERED = "offered"  # 待受理
    ACCEPTED = "accepted"  # 办理中
    AGREED = "agreed"  # 履行中
    CONCLUDED = "concluded"  # 已办结
    ERASED = "erased"  # 已删除


class Clock(NamedTuple):
    """A deadline that runs, and the first moment that is too late."""

    kind: DeadlineKind
    due: datetime


class Visit(NamedTuple):
    """A visit step and when it was last done at this level."""

    step: VisitStep
    at: datetime


class Ask(BaseModel):
    """A question to a partner authority 联动协助请求, and what became of it."""

    model_config = ConfigDict(frozen=True)

    id: AskId
    authority: Authority
    to: str
    matter: Matter
    says: PartnerSays | None = None
    """Its last word."""
    chased: Chase | None = None
    """By which means last; the next time by the next."""
    receipt_by: datetime | None = None
    answer_by: datetime | None = None
    past: bool = False
    """Asked before the case was offered anew: it may be answered, and is not waited for."""

    @property
    def answered(self) -> bool:
        """Nothing more is owed."""
        return self.says in (PartnerSays.ANSWERED, PartnerSays.DECLINED)

    @property
    def spent(self) -> bool:
        """Every means of chasing was used."""
        return self.chased is LAST

    def timers(self) -> Iterator[tuple[str, datetime]]:
        """What is waited for, and until when."""
        if self.receipt_by is not None:
            yield f"{RECEIPT}-{self.id}", self.receipt_by
        if self.answer_by is not None:
            yield f"{ANSWER}-{self.id}", self.answer_by


class CaseState(BaseModel):
    """A case 个案 at its level. What a level did is forgotten here when the case climbs."""

    SHAPE: ClassVar[int] = 3

    model_config = ConfigDict(frozen=True)

    case: CaseId
    status: Status
    unit: DivisionCode
    level: Level
    category: Category
    risk: Risk
    path: Path = Path.MEDIATION
    grounds: tuple[Ground, ...] = ()
    """All that were ever named; on the path of mediation they were overridden."""
    minor: bool = False
    card: CardRef | None = None
    no_card: Slug | None = None
    clocks: tuple[Clock, ...] = ()
    overdue: tuple[DeadlineKind, ...] = ()
    """What the city missed 超期: named once, and its clock does not run any more."""
    mediator: Ref | None = None
    consents: tuple[Party, ...] = ()
    """Who consents to mediation at this level; whoever refuses ends it."""
    visits: tuple[Visit, ...] = ()
    asks: tuple[Ask, ...] = ()
    proposed_by: Officer | None = None
    """Who wants the case mediated in spite of its grounds; somebody else must confirm."""
    overridden: bool = False
    """Two persons decided that it is mediated in spite of its grounds."""
    heard: int = 0
    """The last further report that was taken in."""
    reopened: int = 0
    """How often it was offered anew after its first offer by a further report."""
    agreement: bool = False
    """The parties agreed at some time: the file is kept for its period."""
    concluded_at: datetime | None = None
    """When a case with an agreement was last concluded; its file is kept from then on."""
    restricted_until: datetime | None = None
    """A retention duty runs: nobody works on the case until then."""

    @property
    def protected(self) -> bool:
        """It is not mediated."""
        return self.path is Path.PROTECTION

    @property
    def accept_by(self) -> datetime | None:
        """When the clock to accept runs out, if it runs."""
        return next((due for kind, due in self.clocks if kind is DeadlineKind.ACCEPT), None)

    def clocks_without(self, kind: DeadlineKind) -> tuple[Clock, ...]:
        """The clocks that go on running when this one is met or named overdue."""
        return tuple(clock for clock in self.clocks if clock.kind is not kind)

    def ask(self, id_: str) -> Ask | None:
        """One of its questions to a partner."""
        return next((ask for ask in self.asks if ask.id == id_), None)

    @property
    def missing_steps(self) -> tuple[VisitStep, ...]:
        """The visit steps that were not done at this level, in their order."""
        done = {visit.step for visit in self.visits}
        return tuple(step for step in VisitStep if step not in done)
