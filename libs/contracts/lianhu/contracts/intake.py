"""What intake reads from outside and what it publishes: reports, cases, who is the same person."""

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
    PersonForgotten,
    PersonRef,
)
from lianhu.contracts.faults import Slug
from lianhu.contracts.money import ApplicationId
from lianhu.contracts.parts import (
    Account,
    Audience,
    CardRef,
    Indicators,
    Officer,
    Person,
    Place,
    Reporter,
    SafeContact,
    Tag,
)
from lianhu.contracts.registry import Kind, contract
from lianhu.contracts.vocabulary import (
    Category,
    Channel,
    Ground,
    LegalBasis,
    Outcome,
    Path,
    PublisherKind,
    Risk,
)
from lianhu.jurisdiction import Level
from lianhu.privacy import Sealed


@contract("lianhu.intake.report-submitted.v1", Kind.REPORT, consumers=("intake",))
class ReportSubmitted(Public):
    """A report 来电来访来信: what somebody told us or a system saw; raw, may be a duplicate."""

    channel: Channel
    narrative: Prose
    occurred_at: Instant | None = None
    place: Place = Place()
    reporter: Reporter | None = None
    concerned: Person | None = None
    other_party: Person | None = None
    category: Category | None = None
    indicators: Indicators = Indicators()
    wish: Prose | None = None
    legal_basis: LegalBasis = LegalBasis.CONSENT
    safe_contact: SafeContact | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=30)


@contract("lianhu.intake.split-case.v1", Kind.COMMAND, consumers=("intake",))
class SplitCase(Public):
    """A report was joined wrongly and becomes a case of its own 拆分."""

    case: CaseId
    report: Ref
    """The `joined` of the report-joined event that was wrong."""
    by: Officer
    reason: Prose


@contract("lianhu.intake.erase-case.v1", Kind.COMMAND, consumers=("intake",))
class EraseCase(Public):
    """The personal data of a closed case are to be destroyed 删除 (个人信息保护法 §47)."""

    case: CaseId
    by: Officer
    basis: Line


class SafetyWord(StrEnum):
    """Who said how the person may be reached safely; a weaker word never replaces a stronger."""

    NOBODY = "nobody"
    ANOTHER = "another"
    SELF = "self"


class PersonSpoken(Internal):
    """Somebody a report speaks of, as what, by a reference under which they are found again."""

    person: PersonRef
    role: Annotated[str, StringConstraints(pattern=r"^(concerned|reporter|other-party)$")]


class Found(Internal):
    """What intake finds in one report: triage, path, place, and how the person may be told."""

    category: Category
    risk: Risk
    reasons: tuple[Line, ...]
    path: Path = Path.MEDIATION
    grounds: tuple[Ground, ...] = ()
    """Why it is not mediated; empty on the path of mediation."""
    minor: bool = False
    """The person concerned is a minor 未成年人: reported to the authorities at once."""
    guardian_suspected: bool = False
    """The guardian is neither asked nor told."""
    unit: DivisionCode
    level: Level
    informed: tuple[DivisionCode, ...] = ()
    """Units below that hear of it 知情: street and community on the protection path."""
    card: CardRef | None = None
    """How the person concerned may be told; None: not at all, see `no_card`."""
    no_card: Slug | None = None
    """Why there is none: `no-contact-card`, `no-safe-contact`, `guardian-is-suspect`."""
    shared: bool = False
    """The other party 对方 has a way that is given as hers too: in a dispute it is one."""
    safety: SafetyWord = SafetyWord.NOBODY
    legal_basis: LegalBasis
    tags: tuple[Tag, ...] = ()
    people: tuple[PersonSpoken, ...] = ()


class Opened(Found):
    """What a case begins with, at its opening and again when it is reopened."""

    case: CaseId
    publisher: str
    channel: Channel
    repeat: bool = False
    """The person was reported before 重复受害, and the risk is one step higher for it."""
    by_other_side: bool = False
    """Who told it is the other party 对方 of this or another case: nothing joins it."""
    account: Sealed[Account]
    audience: tuple[Audience, ...] = ()
    policy_version: str


@contract(
    "lianhu.intake.case-opened.v1",
    Kind.EVENT,
    consumers=("mediation", "welfare", "notify"),
)
class CaseOpened(Opened):
    """A report became a case 立案, with what triage found and the unit it starts at."""


@contract(
    "lianhu.intake.case-reopened.v1",
    Kind.EVENT,
    consumers=("mediation", "welfare", "notify"),
)
class CaseReopened(Opened):
    """A report about the same person in the window of a closed case 重启; its grounds remain."""


@contract(
    "lianhu.intake.report-joined.v1",
    Kind.EVENT,
    consumers=("mediation", "welfare", "notify"),
)
class ReportJoined(Internal):
    """A further report about the same person joined an open case 并案.

    Risk, path and grounds are those of the case with this report; they never become milder, and
    what is a minor's or a suspected guardian's matter remains one.
    """

    case: CaseId
    joined: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """By this the report can be split off again."""
    number: int = 0
    """The how-manieth further report of the case it is; mediation's conclusion names it."""
    publisher: str
    channel: Channel
    risk: Risk
    reasons: tuple[Line, ...]
    path: Path
    grounds: tuple[Ground, ...]
    minor: bool = False
    guardian_suspected: bool = False
    unit: DivisionCode
    """The unit that intake opened it at; mediation knows who owns it now."""
    card: CardRef | None = None
    """Replaces the one before. None, and no `no_card`: the one before stays as it was."""
    no_card: Slug | None = None
    """From now on there is none."""
    shared: bool = False
    """The other party has a way of the card that counts, too; no such card of the protected."""
    safety: SafetyWord = SafetyWord.NOBODY
    repeat: bool = False
    alone: Found
    """What the report is by itself, should it be split off."""
    account: Sealed[Account]
    audience: tuple[Audience, ...] = ()
    policy_version: str


@contract("lianhu.intake.case-linked.v1", Kind.EVENT, consumers=("mediation", "notify"))
class CaseLinked(Internal):
    """Two cases may belong together 关联: shown to an officer, never joined, told to nobody."""

    case: CaseId
    other: CaseId
    reason: Slug
    """`reporter-is-other-party`, `same-sound-born-and-phone`, …"""
    audience: tuple[Audience, ...] = ()


@contract(
    "lianhu.intake.case-split.v1", Kind.EVENT, consumers=("mediation", "notify"), answers=True
)
class CaseSplit(Internal):
    """A report that had been joined wrongly is a case of its own now."""

    case: CaseId
    new: CaseId
    joined: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    by: Officer
    reason: Sealed[str]
    card: CardRef | None = None
    """The case's card before that report. None, and no `no_card`: its card stays as it was."""
    no_card: Slug | None = None
    audience: tuple[Audience, ...] = ()


@contract(
    "lianhu.intake.report-accepted.v1", Kind.EVENT, consumers=(), answers=(PublisherKind.REPORTING,)
)
class ReportAccepted(Internal):
    """The receipt 回执 of a report: an opaque number that reveals no case."""

    receipt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    report: str | None


@contract("lianhu.intake.case-closed.v1", Kind.EVENT, consumers=("mediation", "welfare", "notify"))
class CaseClosed(Internal):
    """Every service said it is done with the case 结案."""

    case: CaseId
    outcome: Outcome
    unit: DivisionCode
    level: Level
    audience: tuple[Audience, ...] = ()


@contract("lianhu.intake.unit-noted.v1", Kind.EVENT, consumers=())
class UnitNoted(Internal):
    """Intake heard which unit owns the case now; by it, it knows whose officers may act."""

    case: CaseId
    unit: DivisionCode
    level: Level


@contract("lianhu.intake.conclusion-noted.v1", Kind.EVENT, consumers=())
class ConclusionNoted(Internal):
    """Mediation is done with the case, welfare is not: it is closed when the last one ends."""

    case: CaseId
    outcome: Outcome
    unit: DivisionCode
    level: Level


@contract("lianhu.intake.application-noted.v1", Kind.EVENT, consumers=())
class ApplicationNoted(Internal):
    """Intake heard that a welfare application of the case is open, or has ended."""

    case: CaseId
    application: ApplicationId
    open: bool


@contract("lianhu.intake.person-seen.v1", Kind.EVENT, consumers=(), private=True)
class PersonSeen(PersonSpoken):
    """A person was spoken of in a report, as what and by which channel; private to intake."""

    case: CaseId
    channel: Channel


@contract("lianhu.intake.person-case-ended.v1", Kind.EVENT, consumers=(), private=True)
class PersonCaseEnded(Internal):
    """A case of this person was closed, or is not theirs after all; private to intake."""

    person: PersonRef
    case: CaseId
    forget: bool = False
    """Nothing of it is remembered here: it was erased, or split off."""


@contract("lianhu.intake.person-forgotten.v1", Kind.EVENT, consumers=(), private=True)
class IntakePersonForgotten(PersonForgotten):
    """Nobody is found by this reference any more; private to intake."""


@contract(
    "lianhu.intake.erasure-asked.v1",
    Kind.EVENT,
    consumers=("mediation", "welfare", "notify"),
    answers=True,
)
class ErasureAsked(Internal):
    """Each other service is to say whether a retention duty forbids the erasure of a case."""

    case: CaseId
    by: Officer
    basis: Line


@contract(
    "lianhu.intake.erasure-ordered.v1", Kind.EVENT, consumers=("mediation", "welfare", "notify")
)
class ErasureOrdered(Internal):
    """No duty forbids it: every service destroys its key of the case, and says so."""

    case: CaseId


@contract(
    "lianhu.intake.erasure-restricted.v1", Kind.EVENT, consumers=("mediation", "welfare", "notify")
)
class ErasureRestricted(Internal):
    """A retention duty still runs: nothing is destroyed, access is restricted 限制处理."""

    case: CaseId
    service: str
    """Whose duty lasts longest."""
    until: Instant
    basis: Line


@contract("lianhu.intake.erasure-noted.v1", Kind.EVENT, consumers=())
class ErasureNoted(ErasureAnswered):
    """Intake heard what a service says to the erasure; it decides when all have said."""

    service: str


@contract("lianhu.intake.erasure-confirmed.v1", Kind.EVENT, consumers=())
class ErasureConfirmed(Internal):
    """Intake heard that a service destroyed its key of the case."""

    case: CaseId
    service: str


@contract("lianhu.intake.case-erased.v1", Kind.EVENT, consumers=("notify",))
class CaseErased(Internal):
    """Every service destroyed its key 已删除, intake last.

    What still lies on topics, closed and with its wrapped key beside it, is gone at `complete_at`.
    """

    case: CaseId
    complete_at: Instant
    """When the retention of the topics has passed and the erasure is complete."""


@contract("lianhu.intake.keys-erased.v1", Kind.EVENT, consumers=())
class IntakeKeysErased(KeysErased):
    """Intake destroyed its key of the case."""


@contract("lianhu.intake.keys-restricted.v1", Kind.EVENT, consumers=())
class IntakeKeysRestricted(KeysRestricted):
    """Intake keeps its key of the case and opens nothing with it."""


@contract(
    "lianhu.intake.message-refused.v1", Kind.EVENT, consumers=(), answers=tuple(PublisherKind)
)
class ReportRefused(MessageRefused):
    """A report, or whatever came on a reports topic, that intake cannot take; nothing is lost."""


@contract("lianhu.intake.letter-parked.v1", Kind.LETTER, consumers=())
class IntakeLetterParked(LetterParked):
    """Intake parked a message."""
