"""The erasure of a case 删除 (个人信息保护法 §47): asked, answered, ordered, confirmed, done.

A duty of another service that still runs restricts instead 限制处理, and when it has run out the
others are asked again. Intake destroys its own key last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from lianhu.contracts.engine import ErasureAnswered, KeysErased
from lianhu.contracts.faults import Fault, Refused
from lianhu.contracts.intake import (
    CaseErased,
    EraseCase,
    ErasureAsked,
    ErasureConfirmed,
    ErasureNoted,
    ErasureOrdered,
    ErasureRestricted,
    IntakeKeysErased,
    IntakeKeysRestricted,
    IntakePersonForgotten,
    PersonCaseEnded,
)
from lianhu.contracts.publishers import Publisher
from lianhu.contracts.registry import SERVICES
from lianhu.eventing.rules import Rank, State, Stream, case_stream
from lianhu.intake.policy import Policy
from lianhu.intake.state import CaseState, Erasure, PersonState, Stage, Status
from lianhu.intake.workflow.officers import authority
from lianhu.intake.workflow.reports import Events

OTHERS = frozenset(SERVICES) - {"intake"}
AGAIN = "erasure"
"""The deadline at which a restriction ends."""


def asked(
    command: EraseCase, case: CaseState, publisher: Publisher | None, policy: Policy
) -> Events:
    """Every other service is asked. Raises `Refused` with every fault."""
    faults = [
        *authority("erase-case", command.by, case, publisher, policy),
        *(Fault(path="/case", slug=slug) for slug in _standing(case)),
    ]
    if faults:
        raise Refused(*faults)
    event = ErasureAsked(case=case.case, by=command.by, basis=command.basis)
    return {case_stream(case.case): [event]}


def answered(event: ErasureAnswered, case: CaseState, now: datetime) -> Events:
    """The last answer decides: ordered where nothing forbids it, else restricted."""
    erasure, service = case.erasure, _service(event)
    if erasure is None or erasure.stage is not Stage.ASKED or service in _heard(erasure):
        return {}
    noted = ErasureNoted(case=case.case, service=service, until=event.until, basis=event.basis)
    stream = case_stream(case.case)
    if (_heard(erasure) | {service}) != OTHERS:
        return {stream: [noted]}
    answers = (
        *((one.until, one.service, one.basis) for one in erasure.answers),
        (event.until, service, event.basis),
    )
    duties = [(until, name, basis) for until, name, basis in answers if until and until > now]
    if not duties:
        return {stream: [noted, ErasureOrdered(case=case.case)]}
    until, name, basis = max(duties, key=lambda duty: duty[0])
    basis = basis or "retention"
    return {
        stream: [
            noted,
            ErasureRestricted(case=case.case, service=name, until=until, basis=basis),
            IntakeKeysRestricted(case=case.case, until=until, basis=basis),
        ]
    }


def confirmed(
    event: KeysErased,
    case: CaseState,
    states: Mapping[Stream, State | None],
    now: datetime,
    policy: Policy,
) -> Events:
    """The last confirmation ends it: intake's own key goes, and who is known by no other case."""
    erasure, service = case.erasure, _service(event)
    if erasure is None or erasure.stage is not Stage.ORDERED or service in erasure.confirmed:
        return {}
    noted = ErasureConfirmed(case=case.case, service=service)
    stream = case_stream(case.case)
    if {*erasure.confirmed, service} != OTHERS:
        return {stream: [noted]}
    complete_at = now + timedelta(days=policy.people.kept.days)
    events: Events = {
        stream: [
            noted,
            CaseErased(case=case.case, complete_at=complete_at),
            IntakeKeysErased(case=case.case),
        ]
    }
    for ref in case.refs:
        person = Stream(Rank.PERSON, ref)
        ended = PersonCaseEnded(person=ref, case=case.case, forget=True)
        events[person] = [ended]
        if not _elsewhere(states.get(person), case):
            events[person].append(IntakePersonForgotten(person=ref))
    return events


def asked_again(case: CaseState) -> Events:
    """The duty that forbade it has run out: is there another?"""
    erasure = case.erasure
    if erasure is None or erasure.stage is not Stage.RESTRICTED:
        return {}
    event = ErasureAsked(case=case.case, by=erasure.by, basis=erasure.basis)
    return {case_stream(case.case): [event]}


def is_last(case: CaseState, event: KeysErased) -> bool:
    """Whether this confirmation would end the erasure."""
    erasure = case.erasure
    return erasure is not None and {*erasure.confirmed, _service(event)} == OTHERS


def _standing(case: CaseState) -> Iterator[str]:
    """What of the case stands against it."""
    if case.status is Status.ERASED:
        yield "already-erased"
    elif case.status is Status.OPEN:
        yield "case-open"
    elif case.erasure is not None:
        restricted = case.erasure.stage is Stage.RESTRICTED
        yield "erasure-restricted" if restricted else "already-asked"
    if case.applications:
        yield "application-open"


def _heard(erasure: Erasure) -> set[str]:
    return {answer.service for answer in erasure.answers}


def _service(event: ErasureAnswered | KeysErased) -> str:
    """Whose word it is: that of the service whose type it is."""
    return event.type_.split(".")[1]


def _elsewhere(state: State | None, case: CaseState) -> bool:
    return isinstance(state, PersonState) and any(one.case != case.case for one in state.seen)
