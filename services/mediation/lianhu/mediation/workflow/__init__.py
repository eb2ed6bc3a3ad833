"""The rules of mediation: an offer, officers' commands, partners' words, clocks that run out.

offered ─ accept → accepted ─ agreement → agreed ─ performance → concluded (settled)
   │                  ├─ failure, or a party's no → concluded (failed, party-refused)
   └──── deadline ────┴─→ offered one level up, clocks anew; at the city: overdue, named, kept

On the protection path 保护 nobody mediates: accepted → concluded (protected). Partners are asked
at the offer and chased while they are silent; two persons may override the gate; a further
report may move a case here from mediation, or have it offered anew after its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Poison, Refused
from lianhu.contracts.intake import (
    CaseClosed,
    CaseLinked,
    CaseOpened,
    CaseReopened,
    CaseSplit,
    ErasureAsked,
    ErasureOrdered,
    ErasureRestricted,
    ReportJoined,
)
from lianhu.contracts.mediation import CaseCommand, PartnerAnswered
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    Decision,
    Ids,
    Message,
    State,
    Stream,
    case_stream,
)
from lianhu.mediation.policy import Policy
from lianhu.mediation.workflow.clocks import missed, offered
from lianhu.mediation.workflow.commands import carried_out
from lianhu.mediation.workflow.erasure import answered
from lianhu.mediation.workflow.evolution import after
from lianhu.mediation.workflow.joint import chased, faults_of_reply, replied, waits_for_partner
from lianhu.mediation.workflow.refusals import faults_of
from lianhu.mediation.workflow.reports import joined, renewed
from lianhu.mediation.workflow.state import CaseState, Status

_Told = (
    CaseOpened
    | CaseReopened
    | ReportJoined
    | CaseLinked
    | CaseSplit
    | CaseClosed
    | ErasureAsked
    | ErasureOrdered
    | ErasureRestricted
)
"""What intake says of a case."""


def counter(message: Message) -> str | None:
    """None: intake numbers the cases."""
    return None


def identities(message: Message) -> Mapping[str, str]:
    """Nobody is looked for here."""
    return {}


def touches(message: Message, ids: Ids) -> Sequence[Stream]:
    """The one case that a message is about."""
    match message.data:
        case DeadlineReached():
            return (Stream.parse(message.data.stream),)
        case data if isinstance(data, _Told | CaseCommand | PartnerAnswered):
            return (case_stream(data.case),)
        case _:
            raise Poison("not-for-mediation")


def touches_more(message: Message, states: Mapping[Stream, State | None]) -> Sequence[Stream]:
    """None: a case concerns no other stream of mediation."""
    return ()


def decide(
    message: Message,
    states: Mapping[Stream, State | None],
    now: datetime,
    ids: Ids,
    policy: Policy,
) -> Decision:
    """What happens to the case. Raises `Refused` for a command with faults, all named."""
    (stream,) = touches(message, ids)
    state = _case(states.get(stream))
    match message.data:
        case DeadlineReached() as reached:
            return {stream: [] if state is None else _fired(reached, state, now, policy)}
        case CaseCommand() | PartnerAnswered():
            return {stream: _commanded(message, state, now, policy)}
        case ErasureAsked() | ErasureOrdered() as word:
            return {stream: answered(word, state, now, policy)}
        case _ if state is not None and state.status is Status.ERASED:
            return {stream: []}  # whatever else still comes, nothing of it is wanted
        case CaseOpened() as opened if state is None:
            return {stream: offered(opened, None, now, ids, policy)}
        case CaseReopened() as reopened:
            return {stream: offered(reopened, state, now, ids, policy)}
        case ReportJoined() as report if state is not None:
            return {stream: joined(report, state, now, ids, policy)}
        case CaseSplit() as divided if state is not None:
            return {stream: renewed(divided, state)}
        case ErasureRestricted() as word:
            return {stream: answered(word, state, now, policy)}
        case _:
            # a case opened twice, closed by intake, or linked: mediation has nothing to add
            return {stream: []}


def _fired(
    reached: DeadlineReached, state: CaseState, now: datetime, policy: Policy
) -> Sequence[Internal]:
    if waits_for_partner(reached.kind):
        return chased(reached, state, now, policy)
    return missed(reached, state, now, policy)


def _commanded(
    message: Message, state: CaseState | None, now: datetime, policy: Policy
) -> Sequence[Internal]:
    """What somebody outside asked for, or `Refused` with every fault."""
    if state is None:
        raise Refused.at("/case", "unknown-case")
    command, at = message.data, message.time
    match command:
        case CaseCommand():
            if faults := faults_of(command, state, message.publisher, at, policy):
                raise Refused(*faults)
            return carried_out(command, state, at, now, policy)
        case PartnerAnswered():
            if faults := [*faults_of_reply(command, state, message.publisher)]:
                raise Refused(*faults)
            return replied(command, state, now, policy)
        case _:
            raise Poison("not-for-mediation")


def evolve(stream: Stream, state: State | None, event: Internal, at: datetime) -> CaseState | None:
    """The case after one of its events."""
    return after(_case(state), event, at)


def deadlines(stream: Stream, state: State) -> Sequence[Deadline]:
    """The clocks that run, from the state alone."""
    case = _case(state)
    if case is None:
        return ()
    asks = (timer for ask in case.asks for timer in ask.timers())
    return [Deadline(kind, due) for kind, due in (*case.clocks, *asks)]


def _case(state: State | None) -> CaseState | None:
    if state is None or isinstance(state, CaseState):
        return state
    raise TypeError(f"{type(state).__name__} is no state of mediation")


__all__ = [
    "CaseState",
    "counter",
    "deadlines",
    "decide",
    "evolve",
    "identities",
    "touches",
    "touches_more",
]
