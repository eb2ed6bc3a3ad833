"""How an application ends 办结: what it held is released, what it claimed is free again."""

from __future__ import annotations

from lianhu.contracts.faults import Fault, Refused
from lianhu.contracts.money import LedgerAccount, Posting
from lianhu.contracts.welfare import (
    ApplicationEnded,
    Ending,
    RecordDelivery,
    RecordExternalOutcome,
    WithdrawApplication,
)
from lianhu.privacy import Sealed
from lianhu.welfare.programmes import Kind
from lianhu.welfare.workflow import audiences, payments
from lianhu.welfare.workflow.ledger import entry
from lianhu.welfare.workflow.refusals import authority, standing, untimely
from lianhu.welfare.workflow.state import Application, CaseState, Status
from lianhu.welfare.workflow.turn import Turn

_TO_NOTHING = (Ending.REFUSED, Ending.WITHDRAWN, Ending.REFUSED_ELSEWHERE)
"""After these the claim is free again."""


def end(
    turn: Turn,
    case: CaseState,
    one: Application,
    ending: Ending,
    *,
    amount: int | None = None,
    reason: str | None = None,
    slug: str | None = None,
    told: bool = True,
) -> None:
    """Nothing more happens to it; what it held goes back to where it came from.

    `told`: somebody hears of it. Of an erased case nobody does, and nothing can be sealed there.
    """
    if one.pool is not None and one.held and not one.paid:
        approved = one.status in (Status.APPROVED, Status.BOUNCED)
        came_from = LedgerAccount.COMMITTED if approved else LedgerAccount.RESERVED
        turn.post(
            one.pool,
            [
                entry(
                    one.pool, Posting.RELEASE, one.held, application=one.id, released_from=came_from
                )
            ],
        )
    if one.claim is not None and ending in _TO_NOTHING:
        turn.release(one.claim, one.id)
    turn.tell(
        case.case,
        ApplicationEnded(
            case=case.case,
            application=one.id,
            programme=one.programme,
            ending=ending,
            amount=amount,
            reason=None if reason is None or case.erased else Sealed.hold(reason),
            slug=slug,
            audience=audiences.person(case) + audiences.home(case) if told else (),
        ),
    )


def finished(turn: Turn, case: str, application: str) -> None:
    """End an application that is paid and whose papers are complete; else it goes on."""
    known, one = turn.case(case), turn.application(case, application)
    if known is not None and one is not None and one.paid and not one.missing and not one.ended:
        end(turn, known, one, Ending.PAID, amount=one.amount)


def withdraw(turn: Turn, command: WithdrawApplication, case: CaseState, one: Application) -> None:
    """The applicant wants it no more, and the treasury has not been told to pay yet."""
    faults = authority(turn, command, case.unit)
    if one.ended:
        faults.append(untimely(one))
    elif one.paid:
        faults.append(Fault(path="/application", slug="already-paid"))
    elif payments.lies_with_treasury(turn, one):
        faults.append(Fault(path="/application", slug="already-instructed"))
    if faults:
        raise Refused(*faults)
    payments.take_out(turn, one, "withdrawn")
    end(turn, case, one, Ending.WITHDRAWN, reason=command.reason, slug="withdrawn")


def deliver(turn: Turn, command: RecordDelivery, case: CaseState, one: Application) -> None:
    """A service was provided to its end; the place is free again."""
    _of_kind(turn, command, case, one, Kind.SERVICE)
    end(turn, case, one, Ending.DELIVERED)


def decided_elsewhere(
    turn: Turn, command: RecordExternalOutcome, case: CaseState, one: Application
) -> None:
    """Another's money: granted or not."""
    _of_kind(turn, command, case, one, Kind.EXTERNAL)
    if not command.granted and command.amount is not None:
        raise Refused.at("/amount", "no-amount-here")
    ending = Ending.GRANTED_ELSEWHERE if command.granted else Ending.REFUSED_ELSEWHERE
    end(turn, case, one, ending, amount=None if command.amount is None else command.amount.fen)


def _of_kind(
    turn: Turn,
    command: RecordDelivery | RecordExternalOutcome,
    case: CaseState,
    one: Application,
    kind: Kind,
) -> None:
    faults = [*authority(turn, command, case.unit), *standing(turn, case)]
    if turn.programme(one).kind is not kind:
        faults.append(Fault(path="/application", slug=f"no-programme-of-{kind}"))
    elif one.status is not Status.APPROVED:
        faults.append(untimely(one))
    if faults:
        raise Refused(*faults)
