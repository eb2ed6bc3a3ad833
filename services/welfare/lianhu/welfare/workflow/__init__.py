"""The rules of welfare: applications 申请 pass through the levels, money leaves a pool 资金池.

submitted ─→ signed by street ─→ public notice ─→ district ─→ city ─→ approved ─→ paid ─→ ended
   │  ↑           │ (reserved)                                (committed)  │ ↑       (confirmed)
   │  └ returned ←┤                                                        └ bounced
   └─ withdrawn   └ refused      a clock that runs out: the unit above is told; nothing is dropped
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from lianhu.contracts.faults import Poison, Refused
from lianhu.contracts.payments import BouncePayment, ConfirmPayment, FundPool
from lianhu.contracts.welfare import (
    Apply,
    RecordDelivery,
    RecordExternalOutcome,
    ResubmitApplication,
    SignApplication,
    WelfareCommand,
    WithdrawApplication,
)
from lianhu.eventing.rules import (
    Deadline,
    DeadlineReached,
    Decision,
    Ids,
    Message,
    Rank,
    State,
    Stream,
)
from lianhu.welfare.policy import Policy
from lianhu.welfare.workflow import applying, cases, clocks, ending, signing, streams, treasury
from lianhu.welfare.workflow.evolution import evolve
from lianhu.welfare.workflow.state import (
    CaseState,
    ClaimState,
    EnvelopeState,
    PersonState,
    PoolState,
)
from lianhu.welfare.workflow.streams import identities, touches, touches_more
from lianhu.welfare.workflow.turn import Turn

STATES: Mapping[Rank, type[State]] = {
    Rank.PERSON: PersonState,
    Rank.ENVELOPE: EnvelopeState,
    Rank.CASE: CaseState,
    Rank.CLAIM: ClaimState,
    Rank.POOL: PoolState,
}


def counter(message: Message) -> str | None:
    """None: intake numbers the cases."""
    return None


def decide(
    message: Message,
    states: Mapping[Stream, State | None],
    now: datetime,
    ids: Ids,
    policy: Policy,
) -> Decision:
    """What happens. Raises `Refused` for a command with faults, all named."""
    turn = Turn(message, states, now, policy)
    match message.data:
        case WelfareCommand() as command:
            _command(turn, command, ids)
        case FundPool() as command:
            treasury.fund(turn, command)
        case ConfirmPayment() as command:
            treasury.confirm(turn, command)
        case BouncePayment() as command:
            treasury.bounce(turn, command)
        case DeadlineReached() as reached:
            _reached(turn, reached)
        case event if isinstance(event, streams.CaseEvent):
            cases.followed(turn, event, turn.case(event.case))
        case _:
            raise Poison("not-for-welfare")
    return turn.decision()


def _command(turn: Turn, command: WelfareCommand, ids: Ids) -> None:
    case = turn.case(command.case)
    if case is None:
        raise Refused.at("/case", "unknown-case")
    if isinstance(command, Apply):
        applying.apply(turn, command, case, ids)
        return
    one = turn.application(command.case, getattr(command, "application", ""))
    if one is None:
        raise Refused.at("/application", "unknown-application")
    match command:
        case SignApplication():
            signing.sign(turn, command, case, one)
        case ResubmitApplication():
            applying.resubmit(turn, command, case, one, ids)
        case WithdrawApplication():
            ending.withdraw(turn, command, case, one)
        case RecordDelivery():
            ending.deliver(turn, command, case, one)
        case RecordExternalOutcome():
            ending.decided_elsewhere(turn, command, case, one)
        case _:
            raise TypeError(f"{type(command).__name__} is no command of welfare")


def _reached(turn: Turn, reached: DeadlineReached) -> None:
    stream = Stream.parse(reached.stream)
    if (case := turn.case(stream.key)) is not None and stream.kind is Rank.CASE:
        clocks.missed_by_application(turn, reached, case)
    elif (envelope := turn.envelope(stream.key)) is not None:
        clocks.missed_by_envelope(turn, reached, envelope)


def deadlines(stream: Stream, state: State) -> Sequence[Deadline]:
    """The clocks that run, from the state alone."""
    return [*clocks.running(state)]


__all__ = [
    "STATES",
    "CaseState",
    "ClaimState",
    "EnvelopeState",
    "PersonState",
    "PoolState",
    "counter",
    "deadlines",
    "decide",
    "evolve",
    "identities",
    "touches",
    "touches_more",
]
