"""What intake says of a case: that it is open, graver, closed, or to be erased."""

from __future__ import annotations

from lianhu.contracts.intake import (
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ErasureAsked,
    ErasureOrdered,
    ErasureRestricted,
    ReportJoined,
)
from lianhu.contracts.payments import ApplicantCaseErased, WelfarePersonForgotten
from lianhu.contracts.vocabulary import Path
from lianhu.contracts.welfare import (
    CaseFollowed,
    Ending,
    WelfareErasureAnswered,
    WelfareKeysErased,
    WelfareKeysRestricted,
)
from lianhu.welfare.workflow import payments, signing, streams
from lianhu.welfare.workflow.ending import end
from lianhu.welfare.workflow.state import Application, CaseState, Status
from lianhu.welfare.workflow.turn import Turn


def followed(turn: Turn, event: streams.CaseEvent, case: CaseState | None) -> None:
    """Keep what matters here. A case that was erased is left alone, whatever comes late."""
    match event:
        case ErasureAsked() | ErasureOrdered() if case is not None and case.erased:
            _said_again(turn, event)
        case _ if case is not None and case.erased:
            pass
        case CaseOpened() | CaseReopened():
            _keep(turn, case, _opened(turn, event))
        case ReportJoined() if case is not None:
            _keep(turn, case, _joined(event, case))
        case CaseClosed() if case is not None:
            _keep(turn, case, _said(case).model_copy(update={"open": False}))
        case ErasureAsked():
            turn.tell(event.case, _answer(turn, event.case, case))
        case ErasureOrdered():
            _erase(turn, event, case)
        case ErasureRestricted():
            if case is not None:
                _end_open(turn, case, "case-restricted", also_queued=False)
            turn.tell(
                event.case,
                WelfareKeysRestricted(case=event.case, until=event.until, basis=event.basis),
            )
        case _:
            pass


def _keep(turn: Turn, case: CaseState | None, said: CaseFollowed) -> None:
    if case is not None and said == _said(case):
        return
    turn.tell(said.case, said)
    now = turn.case(said.case)
    if now is None or now.path is not Path.PROTECTION:
        return
    for one in now.applications.values():
        if one.status is Status.NOTICE:
            # it came to light that she is a victim: what hangs out comes down at once
            signing.notice_over(turn, now, one)


def _opened(turn: Turn, event: CaseOpened | CaseReopened) -> CaseFollowed:
    divisions = turn.policy.area.divisions
    known = [code for code in (event.unit, *event.informed) if code in divisions]
    lowest = min(known, key=lambda code: divisions[code].level.rank, default=event.unit)
    return CaseFollowed(
        case=event.case,
        open=True,
        unit=lowest,
        category=event.category,
        risk=event.risk,
        path=event.path,
        minor=event.minor,
        tags=event.tags,
        card=event.card,
        no_card=event.no_card,
    )


def _joined(event: ReportJoined, case: CaseState) -> CaseFollowed:
    new: dict[str, object] = {"risk": event.risk, "path": event.path}
    if event.card is not None or event.no_card is not None:
        new |= {"card": event.card, "no_card": event.no_card}
    return _said(case).model_copy(update=new)


def _said(case: CaseState) -> CaseFollowed:
    return CaseFollowed(
        case=case.case,
        open=case.open,
        unit=case.unit,
        category=case.category,
        risk=case.risk,
        path=case.path,
        minor=case.minor,
        tags=case.tags,
        card=case.card,
        no_card=case.no_card,
    )


def _said_again(turn: Turn, event: ErasureAsked | ErasureOrdered) -> None:
    """An intake that was restored does not know that it was done."""
    if isinstance(event, ErasureAsked):
        turn.tell(event.case, WelfareErasureAnswered(case=event.case))
    else:
        turn.tell(event.case, WelfareKeysErased(case=event.case))


def _answer(turn: Turn, name: str, case: CaseState | None) -> WelfareErasureAnswered:
    """Vouchers of what was paid are kept, and of what is about to be."""
    paid = None if case is None else case.paid_last
    if case is not None and any(_is_being_paid(one.status, one.held) for one in _open(case)):
        paid = turn.now
    until = None if paid is None else turn.policy.kept_until(paid)
    if until is None or until <= turn.now:
        return WelfareErasureAnswered(case=name)
    return WelfareErasureAnswered(case=name, until=until, basis=turn.policy.retention.basis)


def _is_being_paid(status: Status, held: int) -> bool:
    return held > 0 and status in (Status.APPROVED, Status.BOUNCED)


def _open(case: CaseState) -> list[Application]:
    return [one for one in case.applications.values() if not one.ended]


def _erase(turn: Turn, event: ErasureOrdered, case: CaseState | None) -> None:
    """End what is open, forget who applied, destroy the key."""
    if case is not None:
        _end_open(turn, case, "case-erased", also_queued=True)
        for person in sorted(case.people):
            _forget(turn, person, case.case)
    turn.tell(event.case, WelfareKeysErased(case=event.case))


def _end_open(turn: Turn, case: CaseState, slug: str, *, also_queued: bool) -> None:
    """Who wants her data gone wants no more of it; what was sent to be paid is paid."""
    for one in _open(case):
        if payments.lies_with_treasury(turn, one):
            continue  # nothing of it is sealed; it ends when the treasury has answered
        if one.envelope is not None and not also_queued:
            continue  # approved money goes its way; its voucher is why the data are kept
        payments.take_out(turn, one, "withdrawn")
        end(turn, case, one, Ending.WITHDRAWN, slug=slug, told=False)


def _forget(turn: Turn, person: str, case: str) -> None:
    stream = streams.person_stream(person)
    if set(turn.cases_of(person)) <= {case}:
        turn.write(stream, WelfarePersonForgotten(person=person))
    else:
        turn.write(stream, ApplicantCaseErased(person=person, case=case))
