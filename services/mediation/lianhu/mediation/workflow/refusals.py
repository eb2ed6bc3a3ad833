"""Why a command cannot be carried out: every fault that can be found at once, by path and slug."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import MappingProxyType

from lianhu.contracts import REGISTRY
from lianhu.contracts.faults import Fault
from lianhu.contracts.mediation import (
    AcceptCase,
    AddNote,
    AssignCase,
    CaseCommand,
    ConcludeProtection,
    OverrideGate,
    RecordAgreement,
    RecordConsent,
    RecordFailure,
    RecordPerformance,
    RecordVisit,
)
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.vocabulary import Party
from lianhu.jurisdiction import objections
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.state import CaseState, Status, Visit

_NAMES = {contract.model: contract.name for contract in REGISTRY.accepted_by("mediation")}

_TIMELY: MappingProxyType[type[CaseCommand], frozenset[Status]] = MappingProxyType(
    {
        AcceptCase: frozenset({Status.OFFERED}),
        AssignCase: frozenset({Status.ACCEPTED, Status.AGREED}),
        RecordConsent: frozenset({Status.ACCEPTED}),
        # support 后续支持 goes on while the agreement is performed
        RecordVisit: frozenset({Status.ACCEPTED, Status.AGREED}),
        RecordAgreement: frozenset({Status.ACCEPTED}),
        RecordPerformance: frozenset({Status.AGREED}),
        # an agreement that is not performed has failed too
        RecordFailure: frozenset({Status.ACCEPTED, Status.AGREED}),
        OverrideGate: frozenset({Status.OFFERED, Status.ACCEPTED}),
        ConcludeProtection: frozenset({Status.ACCEPTED}),
        AddNote: frozenset(Status),
    }
)
"""In which status a command can be carried out; after an erasure none can."""

_MEDIATES = (RecordConsent, RecordAgreement, RecordPerformance, RecordFailure)
_PROTECTS = (OverrideGate, ConcludeProtection)


def faults_of(
    command: CaseCommand,
    state: CaseState,
    publisher: Publisher | None,
    at: datetime,
    policy: Policy,
) -> list[Fault]:
    """All of them: who gives it, how far the case is, what it says. `at`: when it was sent."""
    return [
        *_authority(command, state, publisher, policy),
        *(Fault(path="/case", slug=slug) for slug in _standing(command, state, at)),
        *_content(command, state, at),
    ]


def _authority(
    command: CaseCommand, state: CaseState, publisher: Publisher | None, policy: Policy
) -> Iterator[Fault]:
    """Whether this post may do it for this unit, and this system speak for the acting unit."""
    for field, slug in objections(
        policy.permissions,
        policy.area.divisions,
        post=command.by.post,
        acting_unit=command.by.unit,
        command=_NAMES[type(command)],
        owning_unit=state.unit,
        system_unit=None if publisher is None else publisher.unit,
    ):
        yield Fault(path=f"/by/{field}", slug=slug)


def _standing(command: CaseCommand, state: CaseState, at: datetime) -> Iterator[str]:
    """What of the case stands against it."""
    if state.status is Status.ERASED:
        yield "case-erased"
        return
    if state.restricted_until is not None and at < state.restricted_until:
        yield "case-restricted"
    if state.protected and isinstance(command, _MEDIATES):
        yield "not-mediated"
        return
    if not state.protected and isinstance(command, _PROTECTS):
        yield "not-protected"
    elif state.status not in _TIMELY[type(command)]:
        yield _untimely(command, state.status)
    match command:
        case AssignCase() if command.mediator == state.mediator:
            yield "already-recorded"
        case RecordConsent() if command.consents and command.party in state.consents:
            yield "already-recorded"
        case RecordVisit() if Visit(command.step, command.visited_at or at) in state.visits:
            yield "already-recorded"
        case RecordAgreement() if len(state.consents) < len(Party):
            yield "consent-missing"  # 人民调解法 §17
        case _:
            pass


def _untimely(command: CaseCommand, status: Status) -> str:
    match status:
        case Status.ERASED:
            return "case-erased"
        case Status.CONCLUDED:
            return "already-concluded"
        case Status.OFFERED:
            return "not-accepted"
        case _ if isinstance(command, AcceptCase):
            return "already-accepted"
        case Status.AGREED:
            return "already-agreed"
        case Status.ACCEPTED:
            return "not-agreed"


def _content(command: CaseCommand, state: CaseState, at: datetime) -> Iterator[Fault]:
    match command:
        case RecordVisit() if command.visited_at and command.visited_at > at:
            yield Fault(path="/visited_at", slug="in-the-future")
        case OverrideGate():
            first = state.proposed_by
            if first is not None and first.officer == command.by.officer:
                yield Fault(path="/by/officer", slug="second-person-needed")
            for name, words in (("reason", command.reason), ("wish", command.wish)):
                if not words.strip():
                    yield Fault(path=f"/{name}", slug="blank")
        case _:
            pass
