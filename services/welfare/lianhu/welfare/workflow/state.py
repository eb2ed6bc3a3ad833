"""What welfare remembers: a case and its applications, pools, envelopes, claims."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from lianhu.contracts.base import CaseId, DivisionCode, Ref
from lianhu.contracts.engine import PersonRef
from lianhu.contracts.faults import Slug
from lianhu.contracts.money import ApplicationId, EnvelopeId, LedgerAccount, PoolId, ProgrammeId
from lianhu.contracts.parts import CardRef, Tag
from lianhu.contracts.vocabulary import Category, Path, Risk
from lianhu.jurisdiction import Level


class Status(StrEnum):
    """How far an application is."""

    SIGNING = "signing"  # 待审核
    NOTICE = "notice"  # 公示中
    RETURNED = "returned"  # 退回补正
    APPROVED = "approved"  # 已批准
    BOUNCED = "bounced"  # 退票待处理
    ENDED = "ended"  # 已办结


class ClockKind(StrEnum):
    """What an application waits for 时限."""

    SIGN = "sign"  # 审核
    NOTICE = "notice"  # 公示期
    COMPLETE = "complete"  # 补正
    PAPERS = "papers"  # 补交材料
    PAY = "pay"  # 发放
    DELIVER = "deliver"  # 提供
    OUTCOME = "outcome"  # 外部结果


class Clock(NamedTuple):
    """A deadline that runs, and the first moment that is too late."""

    kind: ClockKind
    due: datetime


class Signature(NamedTuple):
    """A level's approval, and who gave it."""

    officer: Ref
    level: Level
    unit: DivisionCode


class _State(BaseModel):
    SHAPE: ClassVar[int] = 1

    model_config = ConfigDict(frozen=True)


class Application(_State):
    """An application 申请 of a case."""

    id: ApplicationId
    programme: ProgrammeId
    status: Status
    unit: DivisionCode
    """Who is asked to sign, or was asked last."""
    level: Level
    substitutes: tuple[DivisionCode, ...] = ()
    """Units above that may sign in its place, since its clock ran out."""
    submitters: tuple[Ref, ...]
    signatures: tuple[Signature, ...] = ()
    amount: int | None
    """In fen, what is asked for or was approved; None: no money of ours."""
    emergency: bool
    missing: tuple[Slug, ...]
    """Papers that are not in the file."""
    withheld: Slug | None
    shown: str | None
    person: PersonRef
    claim: str | None
    pool: PoolId | None
    payee: Ref | None
    held: int = 0
    """What of the pool is reserved or committed for it, in fen or places."""
    envelope: EnvelopeId | None = None
    attempts: int = 0
    paid: bool = False
    submitted_at: datetime
    terms: str | None = None
    """The programme as it stood when it was submitted."""
    clocks: tuple[Clock, ...]
    overdue: tuple[ClockKind, ...] = ()
    """What was named overdue 超期; its clock does not run any more."""

    @property
    def ended(self) -> bool:
        """Nothing more happens to it."""
        return self.status is Status.ENDED

    @property
    def papers_overdue(self) -> bool:
        """It is paid, and the papers that were to follow did not come in time."""
        late = ClockKind.PAPERS in self.overdue and bool(self.missing)
        return late and self.paid and not self.ended

    def without(self, *kinds: ClockKind) -> tuple[Clock, ...]:
        """The clocks that go on running when these are met or named overdue."""
        return tuple(clock for clock in self.clocks if clock.kind not in kinds)


class CaseState(_State):
    """A case 个案 as welfare knows it; its applications live in it. No personal data in the clear.

    The contact card is a closed token.
    """

    SHAPE: ClassVar[int] = 2

    case: CaseId
    open: bool
    unit: DivisionCode
    category: Category
    risk: Risk
    path: Path
    minor: bool
    tags: tuple[Tag, ...] = ()
    card: CardRef | None = None
    no_card: Slug | None = None
    applications: Mapping[str, Application] = {}
    paid_last: datetime | None = None
    """When something was paid last: a voucher of it is kept."""
    erasing: bool = False
    """Welfare has said that nothing forbids an erasure: nothing new begins here."""
    restricted_until: datetime | None = None
    """A retention duty keeps the data, and nobody works with them 限制处理."""
    erased: bool = False

    @property
    def people(self) -> set[str]:
        """The references of everybody who applied."""
        return {one.person for one in self.applications.values()}

    def with_application(self, one: Application) -> CaseState:
        """The case with this application as it is now."""
        return self.model_copy(update={"applications": {**self.applications, one.id: one}})


class PersonState(_State):
    """The cases in which a person applied; when the last is erased, the person is forgotten."""

    cases: tuple[CaseId, ...] = ()


class ClaimState(_State):
    """Once per lifetime, year or cause: whose application it is, or that it is free."""

    application: ApplicationId | None


class PoolState(_State):
    """A pool's balances 余额, in fen or places; the entries stand in the journal."""

    pool: PoolId
    balances: Mapping[LedgerAccount, int] = {}

    def of(self, account: LedgerAccount) -> int:
        """The balance of an account."""
        return self.balances.get(account, 0)


class EnvelopeStatus(StrEnum):
    """How far an envelope is."""

    OPEN = "open"  # 归集中
    INSTRUCTED = "instructed"  # 已下达
    HELD = "held"  # 挂起
    SETTLED = "settled"  # 已核销


class Item(NamedTuple):
    """One payment of an envelope."""

    application: ApplicationId
    payee: Ref
    amount: int
    attempt: int


class EnvelopeState(_State):
    """A payment envelope 支付批次: what is in it, and by when somebody must move."""

    envelope: EnvelopeId
    pool: PoolId
    status: EnvelopeStatus
    items: tuple[Item, ...] = ()
    to: str | None = None
    """The treasury's publisher, once it is cut."""
    bounced: tuple[ApplicationId, ...] = ()
    """What came back singly, before the confirmation."""
    due: datetime | None
    """Until it is cut, then until it is confirmed; None: nobody is waited for."""

    @property
    def total(self) -> int:
        """The sum of its items, in fen."""
        return sum(item.amount for item in self.items)

    @property
    def instructed(self) -> bool:
        """It lies with the treasury."""
        return self.status in (EnvelopeStatus.INSTRUCTED, EnvelopeStatus.HELD)

    def item(self, application: str) -> Item | None:
        """The payment of an application."""
        return next((one for one in self.items if one.application == application), None)
