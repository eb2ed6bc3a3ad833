"""The clocks of applications and envelopes, and what happens when one has run out 逾期."""

from __future__ import annotations

from collections.abc import Iterator

from lianhu.contracts.welfare import ApplicationEscalated
from lianhu.eventing.rules import Deadline, DeadlineReached, State
from lianhu.welfare.workflow import audiences, judging, payments, signing, treasury
from lianhu.welfare.workflow.state import (
    Application,
    CaseState,
    Clock,
    ClockKind,
    EnvelopeState,
    EnvelopeStatus,
)
from lianhu.welfare.workflow.streams import envelope_stream
from lianhu.welfare.workflow.turn import Turn

CUT = "cut"
CONFIRM = "confirm"


def running(state: State) -> Iterator[Deadline]:
    """Every clock of a state."""
    match state:
        case CaseState():
            for one in state.applications.values():
                for clock in one.clocks:
                    yield Deadline(_name(one, clock), clock.due)
        case EnvelopeState() if state.due is not None:
            kind = CUT if state.status is EnvelopeStatus.OPEN else CONFIRM
            yield Deadline(kind, state.due)
        case _:
            return


def _name(one: Application, clock: Clock) -> str:
    """`sign:a1`."""
    return f"{clock.kind}:{one.id.rpartition('-')[2]}"


def missed_by_application(turn: Turn, reached: DeadlineReached, case: CaseState) -> None:
    """The unit above is told; where there is none it is named overdue. Nothing if met since."""
    for one in case.applications.values():
        for clock in one.clocks:
            if (_name(one, clock), clock.due) == (reached.kind, reached.due):
                if clock.kind is ClockKind.NOTICE:
                    signing.notice_over(turn, case, one)
                else:
                    turn.tell(case.case, _escalated(turn, case, one, clock))
                return


def missed_by_envelope(turn: Turn, reached: DeadlineReached, found: EnvelopeState) -> None:
    """An envelope is cut when its time has come, and held when the treasury is silent."""
    if found.due != reached.due:
        return
    if reached.kind == CUT and found.status is EnvelopeStatus.OPEN:
        treasury.cut(turn, found)
    elif reached.kind == CONFIRM and found.instructed:
        turn.write(envelope_stream(found.envelope), treasury.held(found, "not-confirmed-in-time"))


def _escalated(turn: Turn, case: CaseState, one: Application, clock: Clock) -> ApplicationEscalated:
    unit = _silent(case, one, clock)
    if clock.kind is ClockKind.COMPLETE:
        told = one.unit if one.unit != unit else _above(turn, unit)
    elif clock.kind is ClockKind.SIGN and one.substitutes:
        told = _above(turn, one.substitutes[-1])
    else:
        told = _above(turn, unit)
    sign_by = None
    if clock.kind is ClockKind.SIGN and told is not None:
        sign_by = turn.policy.due(turn.now, judging.within(turn, one))
    level = turn.policy.area.divisions[unit].level if unit != one.unit else one.level
    # the pool's unit is silent then, and of its posts it is finance that pays
    late = audiences.finance if clock.kind is ClockKind.PAY else audiences.left
    listening = late(unit) + audiences.asked(told)
    return ApplicationEscalated(
        case=case.case,
        application=one.id,
        programme=one.programme,
        unit=unit,
        level=level,
        missed=clock.kind,
        due=clock.due,
        to_unit=told,
        sign_by=sign_by,
        audience=listening,
    )


def _silent(case: CaseState, one: Application, clock: Clock) -> str:
    """Whose clock it was."""
    match clock.kind:
        case ClockKind.SIGN:
            return one.unit
        case ClockKind.PAY if one.pool is not None:
            return payments.unit_of(one.pool)
        case _:
            return case.unit


def _above(turn: Turn, unit: str) -> str | None:
    above = turn.policy.area.above(unit)
    return None if above is None else above.code
