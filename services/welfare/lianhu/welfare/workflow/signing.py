"""What a level says of an application 审核审批: approve, return, refuse."""

from __future__ import annotations

from lianhu.contracts.faults import Fault, Refused
from lianhu.contracts.money import Posting
from lianhu.contracts.payments import LedgerPosted
from lianhu.contracts.welfare import (
    ApplicationApproved,
    ApplicationReturned,
    ApplicationSigned,
    Ending,
    PublicNoticeEnded,
    PublicNoticeStarted,
    SignApplication,
    Verdict,
)
from lianhu.jurisdiction import Level, Unit
from lianhu.privacy import Sealed
from lianhu.welfare.programmes import Programme, Step
from lianhu.welfare.workflow import audiences, judging, payments
from lianhu.welfare.workflow.ending import end
from lianhu.welfare.workflow.ledger import entry
from lianhu.welfare.workflow.refusals import authority, standing, untimely
from lianhu.welfare.workflow.state import Application, CaseState, Status
from lianhu.welfare.workflow.turn import Turn

Next = tuple[Step, Unit] | None

_WHEN = {
    Verdict.APPROVE: frozenset({Status.SIGNING}),
    # a public notice may bring to light what makes the street think again
    Verdict.RETURN: frozenset({Status.SIGNING, Status.NOTICE}),
    # what is returned and never corrected has an end too
    Verdict.REFUSE: frozenset({Status.SIGNING, Status.NOTICE, Status.RETURNED}),
}


def sign(turn: Turn, command: SignApplication, case: CaseState, one: Application) -> None:
    """The level at which it stands has its say. Raises `Refused` with every fault."""
    if faults := _faults(turn, command, case, one):
        raise Refused(*faults)
    match command.verdict:
        case Verdict.APPROVE:
            _approve(turn, command, case, one)
        case Verdict.RETURN:
            turn.tell(case.case, _returned(turn, command, case, one))
        case Verdict.REFUSE if one.paid:
            slug, why = "papers-missing", command.reason
            end(turn, case, one, Ending.PAID, amount=one.amount, reason=why, slug=slug)
        case Verdict.REFUSE:
            end(turn, case, one, Ending.REFUSED, reason=command.reason)


def _faults(turn: Turn, command: SignApplication, case: CaseState, one: Application) -> list[Fault]:
    faults = [*authority(turn, command, one.unit), *standing(turn, case)]
    by, verdict = command.by, command.verdict
    denied = any(fault.path == "/by/unit" for fault in faults)
    if not denied and by.unit not in (one.unit, *one.substitutes):
        # a unit above may sign in its place only once its clock has run out
        faults.append(Fault(path="/by/unit", slug="wrong-unit"))
    if by.officer in one.submitters:
        faults.append(Fault(path="/by/officer", slug="own-submission"))
    signed = [s.level for s in one.signatures if s.officer == by.officer]
    if any(level is not one.level for level in signed):
        faults.append(Fault(path="/by/officer", slug="signed-before"))
    # help that was paid and whose papers never came has an end too
    given_up = verdict is Verdict.REFUSE and one.papers_overdue
    if one.status not in _WHEN[verdict] and not given_up:
        faults.append(untimely(one))
    elif verdict is Verdict.APPROVE and one.missing and not one.emergency:
        faults.append(Fault(path="/application", slug="papers-missing"))
    if verdict is not Verdict.APPROVE and command.reason is None:
        faults.append(Fault(path="/reason", slug="reason-missing"))
    if command.amount is not None:
        if verdict is not Verdict.APPROVE or one.amount is None:
            faults.append(Fault(path="/amount", slug="no-amount-here"))
        elif command.amount.fen == 0:
            faults.append(Fault(path="/amount", slug="nothing"))
        elif command.amount.fen > one.amount:
            faults.append(Fault(path="/amount", slug="more-than-asked"))
    return faults


def _returned(
    turn: Turn, command: SignApplication, case: CaseState, one: Application
) -> ApplicationReturned:
    return ApplicationReturned(
        case=case.case,
        application=one.id,
        programme=one.programme,
        unit=one.unit,
        level=one.level,
        reason=Sealed.hold(command.reason or ""),
        by=command.by,
        complete_by=turn.policy.due(turn.now, turn.policy.correction),
        audience=audiences.person(case) + audiences.home(case),
    )


def _approve(turn: Turn, command: SignApplication, case: CaseState, one: Application) -> None:
    programme = turn.programme(one)
    amount = one.amount if command.amount is None else command.amount.fen
    following = None if one.emergency else _following(turn, case, programme, one.level)
    if one.pool is not None:
        turn.post(one.pool, _entries(turn, programme, one, amount, last=following is None))
    shown = None
    if following is not None and _is_shown(turn, case, programme, one):
        shown = one.shown
    sign_by = None
    if following is not None and shown is None:
        sign_by = turn.policy.due(turn.now, following[0].within)
    turn.tell(
        case.case,
        ApplicationSigned(
            case=case.case,
            application=one.id,
            programme=one.programme,
            unit=one.unit,
            level=one.level,
            amount=amount,
            by=command.by,
            next_unit=None if following is None else following[1].code,
            next_level=None if following is None else following[1].level,
            sign_by=sign_by,
            audience=audiences.asked(None if following is None else following[1].code),
        ),
    )
    if following is None:
        _approved(turn, command, case, one, programme, amount)
    elif shown is not None and programme.notice is not None:
        turn.tell(
            case.case,
            PublicNoticeStarted(
                case=case.case,
                application=one.id,
                programme=one.programme,
                unit=one.unit,
                shown=shown,
                amount=amount,
                until=turn.policy.due(turn.now, programme.notice.period),
                audience=audiences.home(case),
            ),
        )


def _following(turn: Turn, case: CaseState, programme: Programme, level: Level) -> Next:
    """Who is asked after this level; None after the last."""
    above = (pair for pair in judging.steps(turn, case, programme) if pair[1].level.is_above(level))
    return next(above, None)


def _is_shown(turn: Turn, case: CaseState, programme: Programme, one: Application) -> bool:
    """Whether the public notice begins now: after its level, or the first one above it."""
    notice = programme.notice
    if notice is None or one.withheld is not None or one.shown is None:
        return False
    if judging.withheld(programme, case, minor=False, emergency=False) is not None:
        return False  # it came to light since: nothing is shown of a victim
    levels = [unit.level for _, unit in judging.steps(turn, case, programme)]
    return one.level is next((lv for lv in levels if lv.rank >= notice.after.rank), None)


def _entries(
    turn: Turn, programme: Programme, one: Application, amount: int | None, *, last: bool
) -> list[LedgerPosted]:
    """Reserve at the first signature, commit at the last. Raises `Refused` for an empty pool."""
    if one.pool is None:
        return []
    found: list[LedgerPosted] = []
    wanted = 1 if amount is None else amount
    if not one.held:
        found += payments.room(turn, programme, one.pool, wanted)
        found.append(entry(one.pool, Posting.RESERVE, wanted, application=one.id))
    elif wanted < one.held:
        found.append(entry(one.pool, Posting.RELEASE, one.held - wanted, application=one.id))
    if last:
        found.append(entry(one.pool, Posting.COMMIT, wanted, application=one.id))
    return found


def _approved(
    turn: Turn,
    command: SignApplication,
    case: CaseState,
    one: Application,
    programme: Programme,
    amount: int | None,
) -> None:
    envelope, papers_by = None, None
    due = turn.policy.due(turn.now, programme.within)
    if one.pool is not None and amount is not None:
        payment = one.model_copy(update={"amount": amount})
        envelope = payments.queue(turn, payment, one.payee, attempt=1)
        if envelope is None:
            raise Refused.at("/application", "envelopes-full")
    if one.emergency and programme.emergency is not None:
        help_by = turn.policy.due(one.submitted_at, programme.emergency.help)
        late = help_by.at <= turn.now
        due = turn.policy.due(turn.now, programme.emergency.help) if late else help_by
        if one.missing:
            papers_by = turn.policy.due(turn.now, programme.emergency.papers)
    turn.tell(
        case.case,
        ApplicationApproved(
            case=case.case,
            application=one.id,
            programme=one.programme,
            amount=amount,
            pool=one.pool,
            envelope=envelope,
            due=due,
            papers_by=papers_by,
            by=command.by,
            audience=audiences.person(case) + audiences.home(case),
        ),
    )


def notice_over(turn: Turn, case: CaseState, one: Application) -> None:
    """Nobody objected in time, or nothing may be shown any more: the next level is asked."""
    following = _following(turn, case, turn.programme(one), one.level)
    if following is None:
        raise ValueError("a public notice is never after the last level")
    step, unit = following
    turn.tell(
        case.case,
        PublicNoticeEnded(
            case=case.case,
            application=one.id,
            programme=one.programme,
            unit=unit.code,
            level=unit.level,
            sign_by=turn.policy.due(turn.now, step.within),
            audience=audiences.asked(unit.code),
        ),
    )
