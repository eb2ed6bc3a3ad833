"""The rules of intake: a report becomes a case or is found to belong to one; how cases end.

submitted ─→ opened ── or joined to an open case, or a closed one reopened ── or linked, apart
    └──────→ refused, every fault named
opened ── mediation is done, no welfare application open ─→ closed ── erase ─→ erased, last here
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.engine import ErasureAnswered, KeysErased
from lianhu.contracts.faults import Refused
from lianhu.contracts.intake import EraseCase, ReportSubmitted, SplitCase
from lianhu.contracts.mediation import CaseConcluded, CaseEscalated, CaseOffered, MovedToProtection
from lianhu.contracts.welfare import ApplicationEnded, ApplicationSubmitted
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    Decision,
    Ids,
    Message,
    Rank,
    State,
    Stream,
    case_stream,
)
from lianhu.intake.policy import Policy
from lianhu.intake.state import CaseState, PersonState, Stage, Status
from lianhu.intake.workflow import closing, erasure
from lianhu.intake.workflow.evolution import case_after, person_after
from lianhu.intake.workflow.matching import named
from lianhu.intake.workflow.people import identities_of, who
from lianhu.intake.workflow.reports import place_of, reported
from lianhu.intake.workflow.splitting import split
from lianhu.jurisdiction import SHANGHAI, Divisions, Level

Heard = (
    CaseConcluded
    | CaseOffered
    | CaseEscalated
    | MovedToProtection
    | ApplicationSubmitted
    | ApplicationEnded
    | ErasureAnswered
    | KeysErased
)
"""What other services say of a case."""


def counter(message: Message) -> str | None:
    """`440304-2026`: the district of the place (the city has none: its own code) and the year.

    The year is that of Shanghai. None for a message that opens no case: another type, or a
    place that is in no table. Whether the place is in the area is the policy's to say, later;
    a number that is not used then leaves a gap.
    """
    match message.data:
        case ReportSubmitted() if message.publisher is not None:
            place = place_of(message.data, message.publisher)
        case SplitCase():
            place = f"{message.data.case[:6]}000000"
        case _:
            return None
    divisions = Divisions.shenzhen()
    unit = divisions.get(place)
    if unit is None:
        return None
    district = divisions.at_level(unit.code, Level.DISTRICT) or unit
    return f"{district.code[:6]}-{message.time.astimezone(SHANGHAI).year}"


def identities(message: Message) -> Mapping[str, str]:
    """The people of a report that may be taken."""
    report, publisher = message.data, message.publisher
    if not isinstance(report, ReportSubmitted) or counter(message) is None or publisher is None:
        return {}
    return identities_of(report) if report.channel in publisher.channels else {}


def touches(message: Message, ids: Ids) -> Sequence[Stream]:
    """The new case of a report and its people; the known case of what is said about one."""
    match message.data:
        case ReportSubmitted() as report:
            if counter(message) is None:
                return ()
            own = case_stream(ids.case_number())
            return (own, *who(report, ids).streams()) if identities(message) else (own,)
        case SplitCase(case=case):
            more = () if counter(message) is None else (case_stream(ids.case_number()),)
            return (case_stream(case), *more)
        case EraseCase(case=case):
            return (case_stream(case),)
        case DeadlineReached(stream=stream):
            return (Stream.parse(stream),)
        case _ if isinstance(message.data, Heard):
            return (case_stream(message.data.case),)
        case _:
            return ()


def touches_more(message: Message, states: Mapping[Stream, State | None]) -> Sequence[Stream]:
    """The cases that a report's people are known by; the people of a case that ends or divides."""
    data = message.data
    if isinstance(data, ReportSubmitted):
        return named(states)
    if not isinstance(data, SplitCase | Heard):
        return ()
    case = _case(states.get(case_stream(data.case)))
    if case is None:
        return ()
    match data:
        case SplitCase(report=report):
            found = (one.found.people for one in case.joined if one.joined == report)
            refs = [one.person for people in found for one in people]
        case CaseConcluded() if case.status is Status.OPEN:
            refs = [*case.refs]
        case ApplicationEnded() if case.conclusion is not None:
            refs = [*case.refs]
        case KeysErased() if erasure.is_last(case, data):
            refs = [*case.refs]
        case _:
            return ()
    return tuple(Stream(Rank.PERSON, ref) for ref in refs)


def decide(
    message: Message,
    states: Mapping[Stream, State | None],
    now: datetime,
    ids: Ids,
    policy: Policy,
) -> Decision:
    """What happens. Raises `Refused` with every fault of what a publisher wants."""
    data = message.data
    if isinstance(data, ReportSubmitted):
        return reported(data, message, states, now, ids, policy)
    if isinstance(data, DeadlineReached):
        due = states.get(Stream.parse(data.stream))
        return erasure.asked_again(due) if isinstance(due, CaseState) else {}
    if not isinstance(data, SplitCase | EraseCase | Heard):
        return {}
    case = _case(states.get(case_stream(data.case)))
    match data:
        case SplitCase() | EraseCase() if case is None:
            raise Refused.at("/case", "unknown-case")
        case _ if case is None:
            return {}
        case SplitCase():
            return split(data, case, ids.case_number(), message.publisher, policy)
        case EraseCase():
            return erasure.asked(data, case, message.publisher, policy)
        case _:
            return _heard(data, case, states, now, policy)


def evolve(stream: Stream, state: State | None, event: Internal, at: datetime) -> State | None:
    """The case or the person after one of its events."""
    if stream.kind is Rank.PERSON:
        return person_after(_person(state), event, at)
    return case_after(_case(state), event, at)


def deadlines(stream: Stream, state: State) -> Sequence[Deadline]:
    """One: when what restricts an erasure has run out."""
    found = state.erasure if isinstance(state, CaseState) else None
    if found is None or found.stage is not Stage.RESTRICTED or found.until is None:
        return ()
    return (Deadline(erasure.AGAIN, found.until),)


def _heard(
    said: Heard,
    case: CaseState,
    states: Mapping[Stream, State | None],
    now: datetime,
    policy: Policy,
) -> Decision:
    match said:
        case CaseConcluded():
            return closing.concluded(said, case)
        case CaseOffered():
            return closing.moved(case, said.unit, said.level)
        case CaseEscalated() | MovedToProtection():
            return closing.moved(case, said.to_unit, said.to_level)
        case ApplicationSubmitted():
            return closing.application(case, said.application, is_open=True)
        case ApplicationEnded():
            return closing.application(case, said.application, is_open=False)
        case ErasureAnswered():
            return erasure.answered(said, case, now)
        case KeysErased():
            return erasure.confirmed(said, case, states, now, policy)


def _case(state: State | None) -> CaseState | None:
    if state is None or isinstance(state, CaseState):
        return state
    raise TypeError(f"{type(state).__name__} is no case of intake")


def _person(state: State | None) -> PersonState | None:
    if state is None or isinstance(state, PersonState):
        return state
    raise TypeError(f"{type(state).__name__} is no person of intake")


__all__ = [
    "CaseState",
    "PersonState",
    "counter",
    "deadlines",
    "decide",
    "evolve",
    "identities",
    "touches",
    "touches_more",
]
