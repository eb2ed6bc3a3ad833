"""An application is submitted, or submitted again after it was returned 申请、补正."""

from __future__ import annotations

from lianhu.contracts.faults import Fault, Refused
from lianhu.contracts.payments import ApplicantSeen
from lianhu.contracts.welfare import (
    Applicant,
    ApplicationResubmitted,
    ApplicationSubmitted,
    Apply,
    ResubmitApplication,
)
from lianhu.eventing.rules import Ids
from lianhu.privacy import Sealed
from lianhu.welfare.expressions import Facts
from lianhu.welfare.programmes import Kind, Once, Programme
from lianhu.welfare.workflow import audiences, judging, payments, streams
from lianhu.welfare.workflow.ending import finished
from lianhu.welfare.workflow.refusals import authority, standing
from lianhu.welfare.workflow.state import Application, CaseState, Status
from lianhu.welfare.workflow.turn import Turn

STANDING = "0000"
"""The year of a pool of places: they do not begin anew each year."""
MOST = 50
"""Applications of one case; beyond that something else is wrong."""


def apply(turn: Turn, command: Apply, case: CaseState, ids: Ids) -> None:
    """A community submits; its officer's is the first signature."""
    faults = [
        *authority(turn, command, case.unit),
        *standing(turn, case, begins=True),
        *judging.unreadable(turn, command.applicant),
    ]
    if len(case.applications) >= MOST:
        faults.append(Fault(path="/case", slug="too-many-applications"))
    programme = turn.policy.programmes.get(command.programme)
    if programme is None:
        raise Refused(*faults, Fault(path="/programme", slug="unknown-programme"))
    if any(fault.path.startswith("/applicant") for fault in faults):
        raise Refused(*faults)
    asked = None if command.amount is None else command.amount.fen
    known = judging.facts(turn, case, command.applicant, asked)
    faults += judging.not_eligible(programme, known)
    faults += _wanting(turn, command, case, programme, known)
    claim, person = None, ids.person(streams.APPLICANT)
    if programme.once is not None and (programme.once is not Once.CAUSE or command.cause):
        at = turn.message.time
        claim = streams.claim(programme.id, programme.once, person, at, command.cause)
        if turn.claimed(claim) is not None:
            faults.append(Fault(path="/applicant", slug="already-claimed"))
    if faults:
        raise Refused(*faults)
    number = f"{case.case}-a{len(case.applications) + 1}"
    turn.tell(case.case, _submitted(turn, command, case, programme, known, claim, person, number))
    turn.write(streams.person_stream(person), ApplicantSeen(person=person, case=case.case))
    if claim is not None:
        turn.take(claim, number)


def _wanting(
    turn: Turn, command: Apply, case: CaseState, programme: Programme, known: Facts
) -> list[Fault]:
    """What the programme needs of a command and does not find."""
    faults: list[tuple[str, str]] = []
    money = programme.kind is Kind.MONEY
    if command.amount is not None:
        most = _most(command, programme, known)
        if not money:
            faults.append(("/amount", "no-amount-here"))
        elif command.amount.fen == 0:
            faults.append(("/amount", "nothing"))
        elif most is not None and command.amount.fen > most:
            faults.append(("/amount", "more-than-is-given"))
    if money and command.payee is None:
        faults.append(("/payee", "payee-missing"))
    if programme.once is Once.CAUSE and command.cause is None:
        faults.append(("/cause", "cause-missing"))
    if command.emergency and programme.emergency is None:
        faults.append(("/emergency", "no-emergency-help"))
    if programme.once_open and any(
        one.programme == programme.id and not one.ended for one in case.applications.values()
    ):
        faults.append(("/programme", "already-open"))
    if not judging.steps(turn, case, programme) or (
        programme.fund is not None and _pool(turn, case, programme) is None
    ):
        faults.append(("/programme", "not-given-here"))
    return [Fault(path=path, slug=slug) for path, slug in faults]


def _most(command: Apply, programme: Programme, known: Facts) -> int | None:
    most = programme.ceiling(known)
    if most is not None and command.emergency and programme.emergency is not None:
        return min(most, programme.emergency.cap)
    return most


def _pool(turn: Turn, case: CaseState, programme: Programme) -> str | None:
    """The pool of the unit in whose branch the case is, and of this year."""
    fund = programme.fund
    unit = None if fund is None else turn.policy.unit_at(case.unit, fund.level)
    if fund is None or unit is None:
        return None
    if programme.kind is Kind.SERVICE:
        return f"{programme.id}/{unit.code}/{STANDING}" if unit.code in fund.places else None
    year = streams.shanghai_day(turn.message.time).year
    return f"{programme.id}/{unit.code}/{year}" if unit.code in turn.policy.treasuries else None


def _submitted(
    turn: Turn,
    command: Apply,
    case: CaseState,
    programme: Programme,
    known: Facts,
    claim: str | None,
    person: str,
    number: str,
) -> ApplicationSubmitted:
    step, unit = judging.steps(turn, case, programme)[0]
    withheld = judging.withheld(programme, case, known.minor, command.emergency)
    within = step.within
    if command.emergency and programme.emergency is not None:
        within = programme.emergency.help
    return ApplicationSubmitted(
        case=case.case,
        application=number,
        programme=programme.id,
        unit=unit.code,
        level=unit.level,
        asked=command.amount.fen if command.amount else _most(command, programme, known),
        cause=command.cause,
        papers=command.papers,
        missing_papers=tuple(p for p in programme.papers if p not in command.papers),
        applicant=Sealed.hold(command.applicant),
        person=person,
        claim=claim,
        pool=_pool(turn, case, programme),
        payee=command.payee,
        emergency=command.emergency,
        withheld=withheld,
        shown=None if withheld else judging.masked(command.applicant.name),
        sign_by=turn.policy.due(turn.now, within),
        by=command.by,
        policy_version=turn.policy.version,
        terms=programme.terms(),
        audience=audiences.asked(unit.code),
    )


def resubmit(
    turn: Turn, command: ResubmitApplication, case: CaseState, one: Application, ids: Ids
) -> None:
    """What was wrong is right: the level that returned it is asked anew, or it is paid again.

    After help in an emergency it brings the papers that were to follow, and asks nobody.
    """
    programme = turn.programme(one)
    faults = [*authority(turn, command, case.unit), *standing(turn, case)]
    if any(signature.officer == command.by.officer for signature in one.signatures):
        # or one alone could say whom the others' approval is for
        faults.append(Fault(path="/by/officer", slug="signed-before"))
    late = one.status is Status.APPROVED and bool(one.missing)
    if one.status not in (Status.RETURNED, Status.BOUNCED) and not late:
        slug = "already-ended" if one.ended else "not-returned"
        raise Refused(*faults, Fault(path="/application", slug=slug))
    missing = tuple(paper for paper in one.missing if paper not in command.papers)
    if missing and (late or (one.status is Status.RETURNED and not one.emergency)):
        faults.append(Fault(path="/papers", slug="papers-missing"))
    if one.status is Status.BOUNCED and command.payee is None:
        faults.append(Fault(path="/payee", slug="payee-missing"))
    if late and command.payee is not None:
        faults.append(Fault(path="/payee", slug="already-approved"))
    amount, minor = one.amount, False
    if command.applicant is not None:
        if one.status is not Status.RETURNED:
            faults.append(Fault(path="/applicant", slug="already-approved"))
        else:
            more, amount, minor = _described(turn, command.applicant, case, one, programme, ids)
            faults += more
    if faults:
        raise Refused(*faults)
    payee = command.payee or one.payee
    envelope = None
    if one.status is Status.BOUNCED:
        envelope = payments.queue(turn, one, payee, attempt=1)
        if envelope is None:
            raise Refused.at("/application", "envelopes-full")
    sign_by = None
    if one.status is Status.RETURNED:
        sign_by = turn.policy.due(turn.now, judging.within(turn, one))
    described = command.applicant
    shown = None
    if described is not None and one.withheld is None:
        hidden = judging.withheld(programme, case, minor, one.emergency) is not None
        shown = None if hidden else judging.masked(described.name)
    turn.tell(
        case.case,
        ApplicationResubmitted(
            case=case.case,
            application=one.id,
            programme=one.programme,
            unit=one.unit,
            level=one.level,
            papers=command.papers,
            missing_papers=missing,
            asked=amount,
            applicant=None if described is None else Sealed.hold(described),
            shown=shown,
            payee=payee,
            by=command.by,
            sign_by=sign_by,
            envelope=envelope,
            pay_by=None if envelope is None else turn.policy.due(turn.now, programme.within),
            audience=audiences.asked(one.unit) if sign_by else audiences.home(case),
        ),
    )
    if late:
        finished(turn, case.case, one.id)


def _described(
    turn: Turn,
    applicant: Applicant,
    case: CaseState,
    one: Application,
    programme: Programme,
    ids: Ids,
) -> tuple[list[Fault], int | None, bool]:
    """What is wrong with an applicant described anew, how much there is now, and if for a minor."""
    faults = [*judging.unreadable(turn, applicant)]
    if faults:
        return faults, None, True
    known = judging.facts(turn, case, applicant, one.amount)
    faults += judging.not_eligible(programme, known)
    if one.person != ids.person(streams.APPLICANT):
        faults.append(Fault(path="/applicant/document", slug="another-person"))
    most = programme.ceiling(known)
    amount = one.amount if most is None or one.amount is None else min(most, one.amount)
    return faults, amount, known.minor
