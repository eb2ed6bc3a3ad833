"""What the treasury does and says 财政支付: it funds pools, is sent envelopes, and answers them."""

from __future__ import annotations

from lianhu.contracts.faults import Fault, Poison, Refused
from lianhu.contracts.money import Posting
from lianhu.contracts.payments import (
    BouncePayment,
    ConfirmPayment,
    EnvelopeHeld,
    EnvelopeSettled,
    FundPool,
    PaymentInstructed,
    PaymentItem,
    PaymentTakenOut,
)
from lianhu.contracts.welfare import PaymentBounced, PaymentConfirmed
from lianhu.welfare.programmes import Kind
from lianhu.welfare.workflow import audiences, payments, streams
from lianhu.welfare.workflow.ending import finished
from lianhu.welfare.workflow.ledger import entry
from lianhu.welfare.workflow.state import Application, EnvelopeState, EnvelopeStatus, Item
from lianhu.welfare.workflow.turn import Turn


def fund(turn: Turn, command: FundPool) -> None:
    """The treasury pays in 拨款."""
    name, unit, year = command.pool.split("/")
    programme = turn.policy.programmes.get(name)
    this = streams.shanghai_day(turn.message.time).year
    payer = turn.policy.treasuries.get(unit)
    faults = []
    if (
        programme is None
        or programme.kind is not Kind.MONEY
        or programme.fund is None
        or payer is None
        or turn.policy.area.divisions[unit].level is not programme.fund.level
        or not this - 1 <= int(year) <= this + 1
    ):
        faults.append(Fault(path="/pool", slug="unknown-pool"))
    elif turn.message.publisher is None or turn.message.publisher.name != payer:
        faults.append(Fault(path="/pool", slug="not-of-this-publisher"))
    if command.amount.fen == 0:
        faults.append(Fault(path="/amount", slug="nothing"))
    if faults:
        raise Refused(*faults)
    turn.post(command.pool, [entry(command.pool, Posting.FUND, command.amount.fen)])


def cut(turn: Turn, found: EnvelopeState) -> None:
    """Close an envelope and send it to the treasury 下达; one that is empty is done with."""
    stream = streams.envelope_stream(found.envelope)
    if not found.items:
        turn.write(stream, EnvelopeSettled(envelope=found.envelope, paid=0, bounced=0))
        return
    to = turn.policy.treasuries.get(payments.unit_of(found.pool))
    if to is None:
        raise Poison("no-treasury")
    turn.write(
        stream,
        PaymentInstructed(
            envelope=found.envelope,
            pool=found.pool,
            to=to,
            count=len(found.items),
            total=found.total,
            items=tuple(
                PaymentItem(application=item.application, payee=item.payee, amount=item.amount)
                for item in found.items
            ),
            confirm_by=turn.policy.due(turn.now, turn.policy.payment.confirm),
            policy_version=turn.policy.version,
        ),
    )
    turn.post(
        found.pool, [entry(found.pool, Posting.INSTRUCT, found.total, envelope=found.envelope)]
    )


def held(found: EnvelopeState, why: str, told: ConfirmPayment | None = None) -> EnvelopeHeld:
    """Something does not fit 挂起: finance is told, and a right confirmation may still come."""
    return EnvelopeHeld(
        envelope=found.envelope,
        why=why,
        count=len(found.items),
        total=found.total,
        told_count=None if told is None else told.count,
        told_total=None if told is None else told.total.fen,
        audience=audiences.finance(payments.unit_of(found.pool)),
    )


def confirm(turn: Turn, command: ConfirmPayment) -> None:
    """The treasury answers an envelope: each payment was made or came back."""
    found = _lying(turn, command)
    stream = streams.envelope_stream(found.envelope)
    if (why := _misfit(found, command)) is not None:
        turn.write(stream, held(found, why, command))
        return
    back = {one.application: one.reason for one in command.bounced}
    paid = bounced = 0
    for item in found.items:
        if item.application in found.bounced:
            bounced += item.amount
        elif (reason := back.get(item.application)) is not None:
            bounced += item.amount
            _came_back(turn, found, item, reason)
        else:
            paid += item.amount
            _paid(turn, found, item)
    turn.write(stream, EnvelopeSettled(envelope=found.envelope, paid=paid, bounced=bounced))


def bounce(turn: Turn, command: BouncePayment) -> None:
    """A single payment came back before the envelope was confirmed."""
    found = _lying(turn, command)
    item = found.item(command.application)
    if item is None:
        raise Refused.at("/application", "unknown-payment")
    if command.application in found.bounced:
        raise Refused.at("/application", "already-bounced")
    turn.write(
        streams.envelope_stream(found.envelope),
        PaymentTakenOut(
            envelope=found.envelope, application=item.application, reason=command.reason
        ),
    )
    _came_back(turn, found, item, command.reason)


def _lying(turn: Turn, command: ConfirmPayment | BouncePayment) -> EnvelopeState:
    """The envelope, which lies with the treasury that speaks of it."""
    found, publisher = turn.envelope(command.envelope), turn.message.publisher
    if found is None:
        raise Refused.at("/envelope", "unknown-envelope")
    if found.status is EnvelopeStatus.OPEN:
        raise Refused.at("/envelope", "not-instructed")
    if publisher is None or publisher.name != found.to:
        raise Refused.at("/envelope", "not-of-this-publisher")
    if found.status is EnvelopeStatus.SETTLED:
        raise Refused.at("/envelope", "already-confirmed")
    return found


def _misfit(found: EnvelopeState, command: ConfirmPayment) -> str | None:
    """What of a confirmation does not fit the envelope: its control totals 控制总数, its items."""
    if command.count != len(found.items):
        return "wrong-count"
    if command.total.fen != found.total:
        return "wrong-total"
    named = [*command.paid, *(one.application for one in command.bounced)]
    all_, back = {item.application for item in found.items}, set(found.bounced)
    fits = (
        len(named) == len(set(named))
        and set(named) <= all_
        and all_ - back <= set(named)
        and not back & set(command.paid)
    )
    return None if fits else "wrong-items"


def _paid(turn: Turn, found: EnvelopeState, item: Item) -> None:
    case = streams.case_of(item.application)
    one = _of(turn, item)
    _enter(turn, found, item, Posting.PAY)
    known = turn.case(case)
    turn.tell(
        case,
        PaymentConfirmed(
            case=case,
            application=one.id,
            programme=one.programme,
            amount=item.amount,
            envelope=found.envelope,
            audience=() if known is None else audiences.home(known),
        ),
    )
    finished(turn, case, one.id)


def _came_back(turn: Turn, found: EnvelopeState, item: Item, reason: str) -> None:
    """It stays committed, and goes again or waits for somebody who puts it right."""
    case = streams.case_of(item.application)
    one = _of(turn, item)
    _enter(turn, found, item, Posting.BOUNCE)
    again = None
    if item.attempt < turn.policy.payment.attempts:
        again = payments.queue(turn, one, item.payee, attempt=item.attempt + 1)
    known = turn.case(case)
    told = () if known is None else audiences.home(known)
    if again is None:
        payer = payments.unit_of(found.pool)
        # a unit that pays for a case of its own hears of it once: by its finance post
        told = tuple(one for one in told if one.unit != payer) + audiences.finance(payer)
    turn.tell(
        case,
        PaymentBounced(
            case=case,
            application=one.id,
            programme=one.programme,
            amount=item.amount,
            reason=reason,
            bounced_from=found.envelope,
            envelope=again,
            complete_by=None
            if again is not None
            else turn.policy.due(turn.now, turn.policy.correction),
            audience=told,
        ),
    )


def _enter(turn: Turn, found: EnvelopeState, item: Item, posting: Posting) -> None:
    number, envelope = item.application, found.envelope
    made = entry(found.pool, posting, item.amount, application=number, envelope=envelope)
    turn.post(found.pool, [made])


def _of(turn: Turn, item: Item) -> Application:
    one = turn.application(streams.case_of(item.application), item.application)
    if one is None:
        raise Poison("unknown-application")
    return one
