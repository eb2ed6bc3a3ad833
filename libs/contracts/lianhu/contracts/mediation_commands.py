"""What mediation is told from outside: officers' commands, and a partner authority's word."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from lianhu.contracts.base import CaseId, Instant, Prose, Public, Ref
from lianhu.contracts.parts import Officer
from lianhu.contracts.registry import Kind, contract
from lianhu.contracts.vocabulary import AgreementForm, PartnerSays, Party, PublisherKind, VisitStep

AskId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""One question to one partner authority."""


class CaseCommand(Public):
    """What every command about a case says: which case, and who gives it."""

    case: CaseId
    by: Officer


@contract("lianhu.mediation.accept-case.v1", Kind.COMMAND, consumers=("mediation",))
class AcceptCase(CaseCommand):
    """The owning unit takes the case on 受理."""


@contract("lianhu.mediation.assign-case.v1", Kind.COMMAND, consumers=("mediation",))
class AssignCase(CaseCommand):
    """The case gets its mediator 指派调解员."""

    mediator: Ref


@contract("lianhu.mediation.record-consent.v1", Kind.COMMAND, consumers=("mediation",))
class RecordConsent(CaseCommand):
    """A party agrees to mediation, or clearly refuses it (人民调解法 §17)."""

    party: Party
    consents: bool


@contract("lianhu.mediation.record-visit.v1", Kind.COMMAND, consumers=("mediation",))
class RecordVisit(CaseCommand):
    """One of the four visit steps 四步走访 was done."""

    step: VisitStep
    visited_at: Instant | None = None
    note: Prose | None = None


@contract("lianhu.mediation.record-agreement.v1", Kind.COMMAND, consumers=("mediation",))
class RecordAgreement(CaseCommand):
    """The parties agreed 达成协议."""

    form: AgreementForm
    terms: Prose


@contract("lianhu.mediation.record-performance.v1", Kind.COMMAND, consumers=("mediation",))
class RecordPerformance(CaseCommand):
    """What was agreed was done 履行."""


@contract("lianhu.mediation.record-failure.v1", Kind.COMMAND, consumers=("mediation",))
class RecordFailure(CaseCommand):
    """Mediation did not succeed 调解不成; the parties are advised of other ways."""

    reason: Prose


@contract("lianhu.mediation.override-gate.v1", Kind.COMMAND, consumers=("mediation",))
class OverrideGate(CaseCommand):
    """A case on the protection path is to be mediated after all.

    One named person proposes it and another confirms it, both with this command, each with a
    reason and the wish of the person concerned 受害人真实意愿.
    """

    reason: Prose
    wish: Prose


@contract("lianhu.mediation.conclude-protection.v1", Kind.COMMAND, consumers=("mediation",))
class ConcludeProtection(CaseCommand):
    """The measures of protection are in place 保护措施已落实."""

    note: Prose


@contract(
    "lianhu.mediation.partner-answered.v1",
    Kind.COMMAND,
    consumers=("mediation",),
    senders=(PublisherKind.PARTNER,),
)
class PartnerAnswered(Public):
    """A partner authority says what became of what it was asked 联动反馈."""

    case: CaseId
    ask: AskId
    says: PartnerSays
    by: Ref
    """The person's reference in the partner's system; not a name."""
    note: Prose | None = None


@contract("lianhu.mediation.add-note.v1", Kind.COMMAND, consumers=("mediation",))
class AddNote(CaseCommand):
    """A note in the case file 备注. It never restarts a clock."""

    note: Prose
