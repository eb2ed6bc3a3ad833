"""What welfare is told and what it publishes about applications 申请: signatures, ends, erasure."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from lianhu.contracts.base import (
    CaseId,
    DivisionCode,
    Instant,
    Internal,
    Line,
    Name,
    Prose,
    Public,
    Ref,
)
from lianhu.contracts.engine import (
    ErasureAnswered,
    KeysErased,
    KeysRestricted,
    LetterParked,
    MessageRefused,
    PersonRef,
)
from lianhu.contracts.faults import Slug
from lianhu.contracts.money import (
    ApplicationId,
    EnvelopeId,
    Fen,
    Money,
    PoolId,
    ProgrammeId,
)
from lianhu.contracts.parts import Audience, CardRef, DueAt, Officer, Tag
from lianhu.contracts.registry import Kind, contract
from lianhu.contracts.vocabulary import Category, Path, PublisherKind, Risk
from lianhu.jurisdiction import Level
from lianhu.privacy import Sealed

Cause = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]
"""What an application is for, where a programme pays once per cause, e.g. `surgery-2026`."""


class Verdict(StrEnum):
    """What a level says of an application 审核意见."""

    APPROVE = "approve"  # 同意
    RETURN = "return"  # 退回补正
    REFUSE = "refuse"  # 不同意


class Ending(StrEnum):
    """How an application ended."""

    PAID = "paid"  # 已发放
    DELIVERED = "delivered"  # 已提供（实物或服务）
    GRANTED_ELSEWHERE = "granted-elsewhere"  # 外部资金已批
    REFUSED_ELSEWHERE = "refused-elsewhere"  # 外部资金未批
    REFUSED = "refused"  # 不予救助
    WITHDRAWN = "withdrawn"  # 撤回


class Applicant(Public):
    """What the eligibility of an applicant 申请人 is judged by; sealed from here onwards."""

    name: Name
    born: Annotated[str, StringConstraints(pattern=r"^(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]$")]
    document: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9()/-]{4,40}$")]
    """The number of the identity document: once per lifetime, year or cause goes by it."""
    monthly_income: Money | None = None
    """Per head of the household."""
    household: Annotated[int, Field(ge=1, le=30)] = 1
    bill: Money | None = None
    """What is to be paid by the applicant, where a programme pays by bill."""
    tags: tuple[Tag, ...] = Field(default=(), max_length=30)


class WelfareCommand(Public):
    """What every officer's command about an application says."""

    case: CaseId
    by: Officer


@contract("lianhu.welfare.apply.v1", Kind.COMMAND, consumers=("welfare",))
class Apply(WelfareCommand):
    """A community submits an application 申请: its first signature."""

    programme: ProgrammeId
    applicant: Applicant
    amount: Money | None = None
    """What is asked for, where the programme leaves it open."""
    cause: Cause | None = None
    papers: tuple[Slug, ...] = Field(default=(), max_length=30)
    """Which papers 材料 are in the file."""
    payee: Ref | None = None
    """The payee's number in the treasury's own register 一卡通; no account passes through here."""
    emergency: bool = False
    """Help first, papers later 先行救助."""


@contract("lianhu.welfare.sign-application.v1", Kind.COMMAND, consumers=("welfare",))
class SignApplication(WelfareCommand):
    """The level at which an application stands says what it thinks of it 审核."""

    application: ApplicationId
    verdict: Verdict
    reason: Prose | None = None
    amount: Money | None = None
    """Less than was asked for."""


@contract("lianhu.welfare.resubmit-application.v1", Kind.COMMAND, consumers=("welfare",))
class ResubmitApplication(WelfareCommand):
    """A returned application is complete now 补正后重新提交."""

    application: ApplicationId
    papers: tuple[Slug, ...] = Field(default=(), max_length=30)
    applicant: Applicant | None = None
    """The same person, described anew."""
    payee: Ref | None = None
    """A corrected payee, also after its payment came back."""


@contract("lianhu.welfare.withdraw-application.v1", Kind.COMMAND, consumers=("welfare",))
class WithdrawApplication(WelfareCommand):
    """The applicant wants it no more 撤回; what was reserved is released."""

    application: ApplicationId
    reason: Prose


@contract("lianhu.welfare.record-delivery.v1", Kind.COMMAND, consumers=("welfare",))
class RecordDelivery(WelfareCommand):
    """What was approved in kind or as a service was provided 已提供."""

    application: ApplicationId


@contract("lianhu.welfare.record-external-outcome.v1", Kind.COMMAND, consumers=("welfare",))
class RecordExternalOutcome(WelfareCommand):
    """Where the money is another's: what the other decided 外部资金结果."""

    application: ApplicationId
    granted: bool
    amount: Money | None = None


class ApplicationEvent(Internal):
    """What every event of an application says; it stands in the stream of its case."""

    case: CaseId
    application: ApplicationId
    programme: ProgrammeId
    audience: tuple[Audience, ...] = ()


@contract("lianhu.welfare.case-followed.v1", Kind.EVENT, consumers=())
class CaseFollowed(Internal):
    """What welfare keeps of a case, each time intake says something new about it."""

    case: CaseId
    open: bool
    unit: DivisionCode
    """The lowest unit that knows of the case: its community, where that is known."""
    category: Category
    risk: Risk
    path: Path
    minor: bool
    tags: tuple[Tag, ...] = ()
    card: CardRef | None = None
    no_card: Slug | None = None


@contract(
    "lianhu.welfare.application-submitted.v1",
    Kind.EVENT,
    consumers=("intake", "notify"),
    answers=True,
)
class ApplicationSubmitted(ApplicationEvent):
    """An application is complete at the first level and goes to the next 已提交."""

    unit: DivisionCode
    level: Level
    """Where it stands now: who is asked to sign."""
    asked: Fen | None
    """None: in kind, a service, or another's money."""
    cause: Cause | None
    papers: tuple[Slug, ...]
    missing_papers: tuple[Slug, ...]
    person: PersonRef
    """The applicant, by a reference of welfare's own."""
    applicant: Sealed[Applicant]
    claim: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None
    """What keeps it from being paid twice; None where the programme knows no such limit."""
    pool: PoolId | None
    """What it would be paid from, of the year in which it was submitted."""
    payee: Ref | None
    emergency: bool
    withheld: Slug | None
    """Why there is no public notice: `victim`, `minor`, `emergency`, `programme-has-none`."""
    shown: Line | None
    """What a public notice would show, masked: `王**`; None where there is none."""
    sign_by: DueAt
    by: Officer
    policy_version: str
    terms: str | None = None
    """The programme as it stood then, in welfare's own words. An application is decided by the
    rules under which it was made, whatever becomes of the programme. None: an earlier release's."""


@contract("lianhu.welfare.application-signed.v1", Kind.EVENT, consumers=("notify",), answers=True)
class ApplicationSigned(ApplicationEvent):
    """A level approved 同意; what comes next stands in `next_*`, nothing after the last."""

    unit: DivisionCode
    level: Level
    amount: Fen | None
    by: Officer
    next_unit: DivisionCode | None
    next_level: Level | None
    sign_by: DueAt | None


@contract("lianhu.welfare.public-notice-started.v1", Kind.EVENT, consumers=("notify",))
class PublicNoticeStarted(ApplicationEvent):
    """The street puts up a public notice 公示, masked."""

    unit: DivisionCode
    shown: Line
    """Masked: `王**`."""
    amount: Fen | None
    until: DueAt


@contract("lianhu.welfare.public-notice-ended.v1", Kind.EVENT, consumers=("notify",))
class PublicNoticeEnded(ApplicationEvent):
    """Nobody objected in time 公示期满; the next level is asked."""

    unit: DivisionCode
    level: Level
    sign_by: DueAt


@contract("lianhu.welfare.application-returned.v1", Kind.EVENT, consumers=("notify",), answers=True)
class ApplicationReturned(ApplicationEvent):
    """A level wants it corrected 退回补正; it stays where it is and its clock stands still."""

    unit: DivisionCode
    level: Level
    reason: Sealed[str]
    by: Officer
    complete_by: DueAt


@contract(
    "lianhu.welfare.application-resubmitted.v1", Kind.EVENT, consumers=("notify",), answers=True
)
class ApplicationResubmitted(ApplicationEvent):
    """It is complete again; the level that returned it is asked anew 补正."""

    unit: DivisionCode
    level: Level
    papers: tuple[Slug, ...]
    missing_papers: tuple[Slug, ...]
    asked: Fen | None
    applicant: Sealed[Applicant] | None
    shown: Line | None
    """As in application-submitted, where the applicant was described anew."""
    payee: Ref | None
    """As it is now."""
    by: Officer
    sign_by: DueAt | None
    """None: nobody is asked; papers came after the help, or a payment is made again."""
    envelope: EnvelopeId | None = None
    """In which a payment that came back is made again."""
    pay_by: DueAt | None = None


@contract("lianhu.welfare.application-escalated.v1", Kind.EVENT, consumers=("notify",))
class ApplicationEscalated(ApplicationEvent):
    """A level did not sign in time 逾期: the unit above is told, and may sign in its place."""

    unit: DivisionCode
    level: Level
    missed: Slug
    """`sign`, `complete`, `papers`, `pay`, `deliver`, `outcome`."""
    due: Instant
    to_unit: DivisionCode | None
    """None: there is no level above the city; it is overdue and named."""
    sign_by: DueAt | None


@contract("lianhu.welfare.application-approved.v1", Kind.EVENT, consumers=("notify",), answers=True)
class ApplicationApproved(ApplicationEvent):
    """The last level approved; the money is committed, or the service may be provided 已批准."""

    amount: Fen | None
    pool: PoolId | None
    envelope: EnvelopeId | None
    due: DueAt
    """By when it is to be paid, provided, or decided elsewhere."""
    papers_by: DueAt | None = None
    """By when the papers are to follow, after help in an emergency."""
    by: Officer


@contract("lianhu.welfare.payment-confirmed.v1", Kind.EVENT, consumers=("notify",))
class PaymentConfirmed(ApplicationEvent):
    """The treasury paid 已发放."""

    amount: Fen
    envelope: EnvelopeId


@contract("lianhu.welfare.payment-bounced.v1", Kind.EVENT, consumers=("notify",))
class PaymentBounced(ApplicationEvent):
    """A payment came back 退票; it stays committed and is instructed again in `envelope`."""

    amount: Fen
    reason: Slug
    bounced_from: EnvelopeId
    envelope: EnvelopeId | None
    """None: it bounced too often; finance is to look."""
    complete_by: DueAt | None = None
    """By when somebody is to put it right, where it is not instructed again."""


@contract(
    "lianhu.welfare.application-ended.v1",
    Kind.EVENT,
    consumers=("intake", "notify"),
    answers=True,
)
class ApplicationEnded(ApplicationEvent):
    """Nothing more happens to it 办结."""

    ending: Ending
    amount: Fen | None
    reason: Sealed[str] | None = None
    slug: Slug | None = None
    """Why, where a rule said so: `withdrawn`, `not-eligible`, …"""


@contract("lianhu.welfare.erasure-answered.v1", Kind.EVENT, consumers=("intake",))
class WelfareErasureAnswered(ErasureAnswered):
    """Welfare says whether a retention duty of its own forbids the erasure of a case."""


@contract("lianhu.welfare.keys-erased.v1", Kind.EVENT, consumers=("intake",))
class WelfareKeysErased(KeysErased):
    """Welfare destroyed its key of the case."""


@contract("lianhu.welfare.keys-restricted.v1", Kind.EVENT, consumers=())
class WelfareKeysRestricted(KeysRestricted):
    """Welfare keeps its key of the case and opens nothing with it."""


@contract(
    "lianhu.welfare.message-refused.v1", Kind.EVENT, consumers=(), answers=tuple(PublisherKind)
)
class WelfareRefused(MessageRefused):
    """A command, or whatever came on a commands topic, that welfare cannot carry out."""


@contract("lianhu.welfare.letter-parked.v1", Kind.LETTER, consumers=())
class WelfareLetterParked(LetterParked):
    """Welfare parked a message."""
