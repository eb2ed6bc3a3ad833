"""The rules of notify: who hears of an event, and what follows when an attempt ends.

 event ─ unit ──────────────→ attempted ─┬→ delivered
   │        └→ bundled (digest)          ├→ deferred → attempted …, at last failed
   └──── person → way sought ─ waiting ──┤
                     │                   └→ uncertain: it may have got through; nobody repeats it
                     └→ suppressed; where somebody must be reached, a visit is asked

A notice is told once: its id follows from the event and from whom it is for. It ends once; until
then it has exactly one deadline. On a unit's screen it is delivered by the decision itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import ErasureAsked, ErasureOrdered, ErasureRestricted
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    Decision,
    EffectEnded,
    Ids,
    Message,
    Rank,
    State,
    Stream,
    case_stream,
)
from lianhu.notify.digests import digests_of
from lianhu.notify.facts import case_of, tells
from lianhu.notify.policy import Policy
from lianhu.notify.state import CaseState, DigestState, Notices
from lianhu.notify.workflow.digest import on_leaving
from lianhu.notify.workflow.erasure import answered, erased, restricted
from lianhu.notify.workflow.evolution import after
from lianhu.notify.workflow.outcomes import on_deadline, on_outcome
from lianhu.notify.workflow.telling import told


def counter(message: Message) -> str | None:
    """Notify opens no case."""
    return None


def identities(message: Message) -> Mapping[str, str]:
    """Nobody is looked for here."""
    return {}


def touches(message: Message, ids: Ids) -> Sequence[Stream]:
    """What the message is about, and the digests that it may go into."""
    match message.data:
        case DeadlineReached(stream=stream) | EffectEnded(stream=stream):
            return (Stream.parse(stream),)
        case ErasureAsked(case=case) | ErasureOrdered(case=case) | ErasureRestricted(case=case):
            return (case_stream(case),)
        case data if tells(type(data)) and (own := _own(message)) is not None:
            return (own, *digests_of(data, message.time))
        case _:
            return ()


def touches_more(message: Message, states: Mapping[Stream, State | None]) -> Sequence[Stream]:
    """Nothing more: a recipient is not an aggregate."""
    return ()


def decide(
    message: Message,
    states: Mapping[Stream, State | None],
    now: datetime,
    ids: Ids,
    policy: Policy,
) -> Decision:
    """The notices of an event, or what follows from an outcome or a deadline. Never refuses."""
    streams = touches(message, ids)
    if not streams:
        return {}
    stream, state = streams[0], states.get(streams[0])
    match message.data:
        case DeadlineReached(kind="leave"):
            return {stream: on_leaving(stream, _digest(state), now, policy)}
        case DeadlineReached() as reached:
            return {stream: on_deadline(reached, _notices(stream, state), now, policy)}
        case EffectEnded() as outcome:
            return {stream: on_outcome(outcome, _notices(stream, state), now, policy)}
        case ErasureAsked(case=case):
            return {stream: answered(case)}
        case ErasureOrdered(case=case):
            return {stream: erased(case, _case(state))}
        case ErasureRestricted() as order:
            return {stream: restricted(order, _case(state))}
        case data:
            digests = {one: _digest(states.get(one)) for one in streams[1:]}
            return told(message, data, stream, _case(state), digests, now, policy)


def evolve(stream: Stream, state: State | None, event: Internal, at: datetime) -> State | None:
    """What is under way and what ended, after an event."""
    return after(_notices(stream, state), event)


def deadlines(stream: Stream, state: State) -> Iterable[Deadline]:
    """One for each notice that has not ended, and one for a digest that has not left."""
    if isinstance(state, Notices):
        for pending in state.pending.values():
            yield pending.deadline
    if isinstance(state, DigestState) and state.leaves_at is not None and not state.left:
        yield Deadline("leave", state.leaves_at)


def _own(message: Message) -> Stream | None:
    """The stream in which the notices of an event are kept."""
    case = case_of(message.data)
    return message.stream if case is None else case_stream(case)


def _notices(stream: Stream, state: State | None) -> Notices:
    return _digest(state) if stream.kind is Rank.DIGEST else _case(state)


def _case(state: State | None) -> CaseState:
    return state if isinstance(state, CaseState) else CaseState()


def _digest(state: State | None) -> DigestState:
    return state if isinstance(state, DigestState) else DigestState()


__all__ = [
    "counter",
    "deadlines",
    "decide",
    "evolve",
    "identities",
    "touches",
    "touches_more",
]
