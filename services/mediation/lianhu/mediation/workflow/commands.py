"""What happens when an officer's command can be carried out."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AgreementReached,
    AssignCase,
    CaseAccepted,
    CaseAssigned,
    CaseCommand,
    CaseConcluded,
    CaseEvent,
    ConcludeProtection,
    ConsentRecorded,
    NoteAdded,
    OverrideGate,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
    VisitRecorded,
)
from lianhu.contracts.parts import DueAt, Officer
from lianhu.contracts.vocabulary import DeadlineKind, Outcome
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.audiences import concerned, owner
from lianhu.mediation.workflow.override import overridden
from lianhu.mediation.workflow.state import CaseState
from lianhu.privacy import Sealed


def carried_out(
    command: CaseCommand, state: CaseState, at: datetime, now: datetime, policy: Policy
) -> list[CaseEvent]:
    """The events of a command that has no faults.

    `at` is when it was sent, `now` the moment from which clocks run (never before `at`).
    """
    match command:
        case AcceptCase():
            return [_accepted(command, state, now, policy)]
        case AssignCase():
            return [
                CaseAssigned(
                    case=state.case,
                    mediator=command.mediator,
                    by=command.by,
                    audience=owner(state),
                )
            ]
        case RecordConsent():
            return _consent(command, state)
        case RecordVisit():
            return [
                VisitRecorded(
                    case=state.case,
                    step=command.step,
                    visited_at=command.visited_at or at,
                    note=None if command.note is None else Sealed.hold(command.note),
                    by=command.by,
                )
            ]
        case RecordAgreement():
            return [
                AgreementReached(
                    case=state.case,
                    form=command.form,
                    terms=Sealed.hold(command.terms),
                    missing_steps=state.missing_steps,
                    by=command.by,
                    audience=(*owner(state), concerned(state)),
                )
            ]
        case RecordPerformance():
            return [_concluded(state, Outcome.SETTLED, command.by)]
        case RecordFailure():
            return [_concluded(state, Outcome.FAILED, command.by, Sealed.hold(command.reason))]
        case OverrideGate():
            return overridden(command, state, now, policy)
        case ConcludeProtection():
            return [_concluded(state, Outcome.PROTECTED, command.by, Sealed.hold(command.note))]
        case AddNote():
            return [NoteAdded(case=state.case, note=Sealed.hold(command.note), by=command.by)]
        case _:
            raise TypeError(f"{type(command).__name__} is no command of mediation")


def _accepted(command: AcceptCase, state: CaseState, now: datetime, policy: Policy) -> CaseAccepted:
    def by(kind: DeadlineKind) -> DueAt:
        return policy.due(kind, state.level, state.category, state.risk, now, state.path)

    return CaseAccepted(
        case=state.case,
        unit=state.unit,
        level=state.level,
        by=command.by,
        first_visit_by=by(DeadlineKind.FIRST_VISIT),
        consent_by=None if state.protected else by(DeadlineKind.CONSENT),
        conclude_by=by(DeadlineKind.CONCLUDE),
        policy_version=policy.version,
        audience=(*owner(state), concerned(state)),
    )


def _consent(command: RecordConsent, state: CaseState) -> list[CaseEvent]:
    """A party's word; a clear no ends mediation 一方明确拒绝 (人民调解法 §17)."""
    said = ConsentRecorded(
        case=state.case, party=command.party, consents=command.consents, by=command.by
    )
    if command.consents:
        return [said]
    return [said, _concluded(state, Outcome.PARTY_REFUSED, command.by)]


def _concluded(
    state: CaseState, outcome: Outcome, by: Officer, reason: Sealed[str] | None = None
) -> CaseConcluded:
    return CaseConcluded(
        case=state.case,
        outcome=outcome,
        unit=state.unit,
        level=state.level,
        missing_steps=state.missing_steps,
        reason=reason,
        heard=state.heard,
        by=by,
        audience=(*owner(state), concerned(state)),
    )
