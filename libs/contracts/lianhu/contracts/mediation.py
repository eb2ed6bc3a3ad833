"""What mediation publishes: where a case is and how far. Its commands stand beside it."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from lianhu.contracts.base import (
    CaseId,
    DivisionCode,
    Instant,
    Internal,
    Line,
    Ref,
)
from lianhu.contracts.engine import (
    ErasureAnswered,
    KeysErased,
    KeysRestricted,
    LetterParked,
    MessageRefused,
)
from lianhu.contracts.faults import Slug
from lianhu.contracts.mediation_commands import (
    AcceptCase,
    AddNote,
    AskId,
    AssignCase,
    CaseCommand,
    ConcludeProtection,
    OverrideGate,
    PartnerAnswered,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
)
from lianhu.contracts.parts import Audience, CardRef, DueAt, Officer
from lianhu.contracts.registry import Kind, contract
from lianhu.contracts.vocabulary import (
    AgreementForm,
    Authority,
    Category,
    Chase,
    DeadlineKind,
    Ground,
    Outcome,
    PartnerSays,
    Party,
    Path,
    PublisherKind,
    Risk,
    VisitStep,
)
from lianhu.jurisdiction import Level
from lianhu.privacy import Sealed


class CaseEvent(Internal):
    """What every event of mediation says: the case, and who is to hear of it."""

    case: CaseId
    audience: tuple[Audience, ...] = ()


@contract(
    "lianhu.mediation.case-offered.v1", Kind.EVENT, consumers=("intake", "notify"), answers=True
)
class CaseOffered(CaseEvent):
    """A unit is asked to take the case on 派单; its first clock runs."""

    unit: DivisionCode
    level: Level
    category: Category
    risk: Risk
    path: Path = Path.MEDIATION
    grounds: tuple[Ground, ...] = ()
    minor: bool = False
    card: CardRef | None = None
    """How the person concerned may be told; travels on in every later event that tells them."""
    no_card: Slug | None = None
    accept_by: DueAt
    policy_version: str


@contract("lianhu.mediation.risk-raised.v1", Kind.EVENT, consumers=("notify",))
class RiskRaised(CaseEvent):
    """A further report made the case graver 风险升级; a clock to accept may only become shorter."""

    risk: Risk
    path: Path
    grounds: tuple[Ground, ...]
    minor: bool = False
    reasons: tuple[Line, ...]
    card: CardRef | None = None
    no_card: Slug | None = None
    accept_by: DueAt | None = None
    """The clock to accept from now on, while nobody has accepted."""
    policy_version: str


@contract("lianhu.mediation.report-noted.v1", Kind.EVENT, consumers=())
class ReportNoted(CaseEvent):
    """Mediation has taken in a further report; its conclusion names the last one."""

    number: int


@contract("lianhu.mediation.card-renewed.v1", Kind.EVENT, consumers=())
class CardRenewed(CaseEvent):
    """A further report brought another contact card 联系卡, or a reason to use none any more."""

    card: CardRef | None = None
    no_card: Slug | None = None


@contract("lianhu.mediation.moved-to-protection.v1", Kind.EVENT, consumers=("intake", "notify"))
class MovedToProtection(CaseEvent):
    """What came to light later: the case leaves mediation for the protection path.

    It belongs to the district from now on, and to the city if it has climbed there already.
    """

    grounds: tuple[Ground, ...]
    from_unit: DivisionCode
    to_unit: DivisionCode
    to_level: Level
    risk: Risk
    accept_by: DueAt
    policy_version: str


@contract("lianhu.mediation.partner-asked.v1", Kind.EVENT, consumers=("notify",))
class PartnerAsked(CaseEvent):
    """A partner authority is asked 联动协助请求, on its own answers topic; no personal data.

    Who and where it asks the unit by its own lines.
    """

    ask: AskId
    authority: Authority
    to: str
    """The publisher that is asked."""
    matter: Annotated[str, StringConstraints(pattern=r"^(protection|mandatory-report)$")]
    unit: DivisionCode
    level: Level
    category: Category
    risk: Risk
    grounds: tuple[Ground, ...]
    receipt_by: DueAt
    answer_by: DueAt
    policy_version: str

    @property
    def addressee(self) -> str | None:
        """The partner."""
        return self.to


@contract(
    "lianhu.mediation.partner-replied.v1",
    Kind.EVENT,
    consumers=("notify",),
    answers=(PublisherKind.PARTNER,),
)
class PartnerReplied(CaseEvent):
    """A partner authority gave a receipt or an answer 联动回复."""

    ask: AskId
    authority: Authority
    says: PartnerSays
    by: Ref
    note: Sealed[str] | None = None
    answer_by: DueAt | None = None
    """When its answer is due, where its word set that clock anew (3 days from filing)."""


@contract("lianhu.mediation.partner-chased.v1", Kind.EVENT, consumers=("notify",))
class PartnerChased(CaseEvent):
    """A partner authority is silent and is chased 督办; each time by the next means."""

    ask: AskId
    authority: Authority
    to: str
    step: Chase
    missed: Annotated[str, StringConstraints(pattern=r"^(receipt|answer)$")]
    due: Instant
    next_by: DueAt | None
    """When the next step follows; None after the last."""

    @property
    def addressee(self) -> str | None:
        """The partner."""
        return self.to


@contract("lianhu.mediation.override-proposed.v1", Kind.EVENT, consumers=("notify",), answers=True)
class OverrideProposed(CaseEvent):
    """One named person wants the case mediated after all; a second one must confirm."""

    reason: Sealed[str]
    wish: Sealed[str]
    by: Officer


@contract("lianhu.mediation.gate-overridden.v1", Kind.EVENT, consumers=("notify",), answers=True)
class GateOverridden(CaseEvent):
    """Two named persons decided that the case is mediated; it stays with its unit, offered anew."""

    reason: Sealed[str]
    wish: Sealed[str]
    proposed_by: Officer
    by: Officer
    unit: DivisionCode
    level: Level
    accept_by: DueAt
    policy_version: str


@contract("lianhu.mediation.case-accepted.v1", Kind.EVENT, consumers=("notify",), answers=True)
class CaseAccepted(CaseEvent):
    """The unit took the case on 已受理; the clocks of the work run."""

    unit: DivisionCode
    level: Level
    by: Officer
    first_visit_by: DueAt
    consent_by: DueAt | None = None
    """None on the protection path, where nobody is asked to mediate."""
    conclude_by: DueAt
    policy_version: str


@contract("lianhu.mediation.case-assigned.v1", Kind.EVENT, consumers=("notify",), answers=True)
class CaseAssigned(CaseEvent):
    """The case has its mediator 已指派."""

    mediator: Ref
    by: Officer


@contract("lianhu.mediation.consent-recorded.v1", Kind.EVENT, consumers=("notify",), answers=True)
class ConsentRecorded(CaseEvent):
    """A party said yes or no to mediation at this level."""

    party: Party
    consents: bool
    by: Officer


@contract("lianhu.mediation.visit-recorded.v1", Kind.EVENT, consumers=("notify",), answers=True)
class VisitRecorded(CaseEvent):
    """A visit step was done."""

    step: VisitStep
    visited_at: Instant
    note: Sealed[str] | None = None
    by: Officer


@contract("lianhu.mediation.agreement-reached.v1", Kind.EVENT, consumers=("notify",), answers=True)
class AgreementReached(CaseEvent):
    """The parties agreed; what visit steps are missing is shown."""

    form: AgreementForm
    terms: Sealed[str]
    missing_steps: tuple[VisitStep, ...]
    by: Officer


@contract("lianhu.mediation.note-added.v1", Kind.EVENT, consumers=("notify",), answers=True)
class NoteAdded(CaseEvent):
    """A note was put into the case file."""

    note: Sealed[str]
    by: Officer


@contract(
    "lianhu.mediation.case-concluded.v1", Kind.EVENT, consumers=("intake", "notify"), answers=True
)
class CaseConcluded(CaseEvent):
    """Mediation is done with the case 办结: settled, failed, or refused by a party."""

    outcome: Outcome
    unit: DivisionCode
    level: Level
    missing_steps: tuple[VisitStep, ...]
    reason: Sealed[str] | None = None
    heard: int | None = None
    """The last further report that mediation knew of, 0 for none. A later one has the case
    offered anew, so intake does not close it on this word. None: nobody counted yet."""
    by: Officer


@contract(
    "lianhu.mediation.case-escalated.v1", Kind.EVENT, consumers=("intake", "notify"), answers=True
)
class CaseEscalated(CaseEvent):
    """A level did not do its part in time and the case climbed one level 升级上报."""

    from_unit: DivisionCode
    from_level: Level
    to_unit: DivisionCode
    to_level: Level
    missed: DeadlineKind
    due: Instant
    category: Category
    risk: Risk
    accept_by: DueAt
    policy_version: str


@contract("lianhu.mediation.case-overdue.v1", Kind.EVENT, consumers=("notify",), answers=True)
class CaseOverdue(CaseEvent):
    """There is no level above the city: the case is overdue and named 超期, never dropped."""

    unit: DivisionCode
    level: Level
    missed: DeadlineKind
    due: Instant


@contract("lianhu.mediation.erasure-answered.v1", Kind.EVENT, consumers=("intake",))
class MediationErasureAnswered(ErasureAnswered):
    """Mediation says whether a retention duty of its own forbids the erasure of a case."""


@contract("lianhu.mediation.keys-erased.v1", Kind.EVENT, consumers=("intake",))
class MediationKeysErased(KeysErased):
    """Mediation destroyed its key of the case."""


@contract("lianhu.mediation.keys-restricted.v1", Kind.EVENT, consumers=())
class MediationKeysRestricted(KeysRestricted):
    """Mediation keeps its key of the case and opens nothing with it."""


@contract(
    "lianhu.mediation.message-refused.v1", Kind.EVENT, consumers=(), answers=tuple(PublisherKind)
)
class CommandRefused(MessageRefused):
    """A command, or whatever came on a commands topic, that mediation cannot carry out."""


@contract("lianhu.mediation.letter-parked.v1", Kind.LETTER, consumers=())
class MediationLetterParked(LetterParked):
    """Mediation parked a message."""


__all__ = [
    "AcceptCase",
    "AddNote",
    "AgreementReached",
    "AskId",
    "AssignCase",
    "CardRenewed",
    "CaseAccepted",
    "CaseAssigned",
    "CaseCommand",
    "CaseConcluded",
    "CaseEscalated",
    "CaseEvent",
    "CaseOffered",
    "CaseOverdue",
    "CommandRefused",
    "ConcludeProtection",
    "ConsentRecorded",
    "GateOverridden",
    "MediationErasureAnswered",
    "MediationKeysErased",
    "MediationKeysRestricted",
    "MediationLetterParked",
    "MovedToProtection",
    "NoteAdded",
    "OverrideGate",
    "OverrideProposed",
    "PartnerAnswered",
    "PartnerAsked",
    "PartnerChased",
    "PartnerReplied",
    "RecordAgreement",
    "RecordConsent",
    "RecordFailure",
    "RecordPerformance",
    "RecordVisit",
    "ReportNoted",
    "RiskRaised",
    "VisitRecorded",
]
