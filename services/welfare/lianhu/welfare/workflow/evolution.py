"""The states after each event of welfare. Reads no policy: due dates travel in events."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.payments import (
    ApplicantCaseErased,
    ApplicantSeen,
    ClaimReleased,
    ClaimTaken,
    EnvelopeHeld,
    EnvelopeSettled,
    LedgerPosted,
    PaymentInstructed,
    PaymentQueued,
    PaymentTakenOut,
    WelfarePersonForgotten,
)
from lianhu.contracts.welfare import (
    ApplicationEvent,
    ApplicationSubmitted,
    CaseFollowed,
    PaymentConfirmed,
    WelfareErasureAnswered,
    WelfareKeysErased,
    WelfareKeysRestricted,
)
from lianhu.eventing.rules import Rank, State, Stream
from lianhu.welfare.workflow.progress import moved, submitted
from lianhu.welfare.workflow.state import (
    CaseState,
    ClaimState,
    EnvelopeState,
    EnvelopeStatus,
    Item,
    PersonState,
    PoolState,
)


def evolve(stream: Stream, state: State | None, event: Internal, at: datetime) -> State | None:
    """The state of a stream after one of its events; never fails."""
    match stream.kind:
        case Rank.CASE:
            return _case(state if isinstance(state, CaseState) else None, event, at)
        case Rank.PERSON:
            return _person(state if isinstance(state, PersonState) else None, event)
        case Rank.CLAIM:
            return _claim(state, event)
        case Rank.POOL:
            return _pool(state if isinstance(state, PoolState) else None, event)
        case Rank.ENVELOPE:
            return _envelope(state if isinstance(state, EnvelopeState) else None, event)
        case _:
            return state


def _case(state: CaseState | None, event: Internal, at: datetime) -> CaseState | None:
    if isinstance(event, CaseFollowed):
        return _followed(state, event)
    if state is None:
        return None
    match event:
        case WelfareErasureAnswered():
            return state.model_copy(update={"erasing": event.until is None})
        case WelfareKeysRestricted():
            return state.model_copy(update={"erasing": False, "restricted_until": event.until})
        case WelfareKeysErased():
            return state.model_copy(update={"erased": True, "card": None, "tags": ()})
        case ApplicationSubmitted():
            return state.with_application(submitted(event, at))
        case ApplicationEvent():
            one = state.applications.get(event.application)
            if one is None:
                return state
            after = state.with_application(moved(one, event))
            paid = {"paid_last": at} if isinstance(event, PaymentConfirmed) else {}
            return after.model_copy(update=paid)
        case _:
            return state


def _followed(state: CaseState | None, event: CaseFollowed) -> CaseState:
    said = {
        "open": event.open,
        "unit": event.unit,
        "category": event.category,
        "risk": event.risk,
        "path": event.path,
        "minor": event.minor,
        "tags": event.tags,
        "card": event.card,
        "no_card": event.no_card,
    }
    if state is None:
        return CaseState.model_validate({"case": event.case, **said})
    return state.model_copy(update=said)


def _person(state: PersonState | None, event: Internal) -> PersonState | None:
    cases = () if state is None else state.cases
    match event:
        case ApplicantSeen(case=case):
            return PersonState(cases=cases if case in cases else (*cases, case))
        case ApplicantCaseErased(case=case):
            return PersonState(cases=tuple(one for one in cases if one != case))
        case WelfarePersonForgotten():
            return PersonState()
        case _:
            return state


def _claim(state: State | None, event: Internal) -> State | None:
    match event:
        case ClaimTaken():
            return ClaimState(application=event.application)
        case ClaimReleased():
            return ClaimState(application=None)
        case _:
            return state


def _pool(state: PoolState | None, event: Internal) -> PoolState | None:
    if not isinstance(event, LedgerPosted):
        return state
    balances = {} if state is None else dict(state.balances)
    for line in event.lines:
        balances[line.account] = balances.get(line.account, 0) + line.change
    return PoolState(pool=event.pool, balances=balances)


def _envelope(state: EnvelopeState | None, event: Internal) -> EnvelopeState | None:
    if isinstance(event, PaymentQueued):
        item = Item(event.application, event.payee, event.amount, event.attempt)
        if state is None:
            return EnvelopeState(
                envelope=event.envelope,
                pool=event.pool,
                status=EnvelopeStatus.OPEN,
                items=(item,),
                due=event.cut_at.at,
            )
        return state.model_copy(update={"items": (*state.items, item)})
    if state is None:
        return None
    match event:
        case PaymentTakenOut() if state.status is EnvelopeStatus.OPEN:
            left = tuple(item for item in state.items if item.application != event.application)
            return state.model_copy(update={"items": left})
        case PaymentTakenOut():
            return state.model_copy(update={"bounced": (*state.bounced, event.application)})
        case PaymentInstructed():
            return state.model_copy(
                update={
                    "status": EnvelopeStatus.INSTRUCTED,
                    "to": event.to,
                    "due": event.confirm_by.at,
                }
            )
        case EnvelopeHeld(why="not-confirmed-in-time"):
            return state.model_copy(update={"status": EnvelopeStatus.HELD, "due": None})
        case EnvelopeHeld():
            return state.model_copy(update={"status": EnvelopeStatus.HELD})
        case EnvelopeSettled():
            return state.model_copy(update={"status": EnvelopeStatus.SETTLED, "due": None})
        case _:
            return state
