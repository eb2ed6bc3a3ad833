"""An application after each of its events: where it stands, what it waits for."""

from __future__ import annotations

from datetime import datetime

from lianhu.contracts.parts import DueAt
from lianhu.contracts.welfare import (
    ApplicationApproved,
    ApplicationEnded,
    ApplicationEscalated,
    ApplicationEvent,
    ApplicationResubmitted,
    ApplicationReturned,
    ApplicationSigned,
    ApplicationSubmitted,
    PaymentBounced,
    PaymentConfirmed,
    PublicNoticeEnded,
    PublicNoticeStarted,
)
from lianhu.welfare.workflow.state import Application, Clock, ClockKind, Signature, Status


def submitted(event: ApplicationSubmitted, at: datetime) -> Application:
    """A new application, waiting for its first level after the community."""
    return Application(
        id=event.application,
        programme=event.programme,
        status=Status.SIGNING,
        unit=event.unit,
        level=event.level,
        submitters=(event.by.officer,),
        amount=event.asked,
        emergency=event.emergency,
        missing=event.missing_papers,
        withheld=event.withheld,
        shown=event.shown,
        person=event.person,
        claim=event.claim,
        pool=event.pool,
        payee=event.payee,
        submitted_at=at,
        terms=event.terms,
        clocks=(Clock(ClockKind.SIGN, event.sign_by.at),),
    )


def moved(one: Application, event: ApplicationEvent) -> Application:
    """The application after an event; one that says nothing new leaves it as it is."""
    match event:
        case ApplicationSigned():
            return _signed(one, event)
        case PublicNoticeStarted():
            return one.model_copy(
                update={"status": Status.NOTICE, "clocks": _clocks(ClockKind.NOTICE, event.until)}
            )
        case PublicNoticeEnded():
            return _asked(one, event.sign_by).model_copy(
                update={"unit": event.unit, "level": event.level}
            )
        case ApplicationReturned():
            # what the level said before does not count any more
            kept = tuple(s for s in one.signatures if s.level is not event.level)
            return one.model_copy(
                update={
                    "status": Status.RETURNED,
                    "signatures": kept,
                    "clocks": _clocks(ClockKind.COMPLETE, event.complete_by),
                }
            )
        case ApplicationResubmitted():
            return _resubmitted(one, event)
        case ApplicationEscalated():
            return _escalated(one, event)
        case ApplicationApproved():
            return _approved(one, event)
        case PaymentConfirmed():
            return one.model_copy(
                update={"paid": True, "held": 0, "clocks": one.without(ClockKind.PAY)}
            )
        case PaymentBounced():
            return _bounced(one, event)
        case ApplicationEnded():
            return one.model_copy(update={"status": Status.ENDED, "held": 0, "clocks": ()})
        case _:
            return one


def _clocks(kind: ClockKind, due: DueAt | None) -> tuple[Clock, ...]:
    return () if due is None else (Clock(kind, due.at),)


def _asked(one: Application, sign_by: DueAt | None) -> Application:
    """A level is asked, from now on; nobody may sign in its place yet."""
    return one.model_copy(
        update={
            "status": Status.SIGNING,
            "substitutes": (),
            "clocks": _clocks(ClockKind.SIGN, sign_by),
        }
    )


def _signed(one: Application, event: ApplicationSigned) -> Application:
    signature = Signature(event.by.officer, event.level, event.by.unit)
    held = 0 if one.pool is None else 1 if event.amount is None else event.amount
    signed = one.model_copy(
        update={
            "signatures": (*one.signatures, signature),
            "amount": event.amount,
            "held": held,
        }
    )
    if event.sign_by is None or event.next_unit is None or event.next_level is None:
        # a public notice, or the approval as a whole, follows in the same decision
        return signed.model_copy(update={"clocks": (), "substitutes": ()})
    return _asked(signed, event.sign_by).model_copy(
        update={"unit": event.next_unit, "level": event.next_level}
    )


def _resubmitted(one: Application, event: ApplicationResubmitted) -> Application:
    described = {} if event.applicant is None else {"shown": event.shown}
    one = one.model_copy(
        update={
            "missing": event.missing_papers,
            "payee": event.payee,
            "amount": event.asked,
            "submitters": tuple(dict.fromkeys((*one.submitters, event.by.officer))),
            **described,
        }
    )
    if event.sign_by is not None:
        return _asked(one, event.sign_by)
    left = (
        one
        if event.missing_papers
        else one.model_copy(update={"clocks": one.without(ClockKind.PAPERS)})
    )
    if event.envelope is None:
        return left
    return left.model_copy(
        update={
            "status": Status.APPROVED,
            "envelope": event.envelope,
            "attempts": 1,
            "clocks": left.without(ClockKind.COMPLETE) + _clocks(ClockKind.PAY, event.pay_by),
        }
    )


def _escalated(one: Application, event: ApplicationEscalated) -> Application:
    kind = ClockKind(event.missed)
    if kind is ClockKind.SIGN and event.to_unit is not None and event.sign_by is not None:
        return one.model_copy(
            update={
                "substitutes": (*one.substitutes, event.to_unit),
                "clocks": _clocks(ClockKind.SIGN, event.sign_by),
            }
        )
    return one.model_copy(update={"clocks": one.without(kind), "overdue": (*one.overdue, kind)})


def _approved(one: Application, event: ApplicationApproved) -> Application:
    if event.envelope is not None:
        waits = ClockKind.PAY
    elif event.pool is not None:
        waits = ClockKind.DELIVER
    else:
        waits = ClockKind.OUTCOME
    return one.model_copy(
        update={
            "status": Status.APPROVED,
            "amount": event.amount,
            "envelope": event.envelope,
            "attempts": 0 if event.envelope is None else 1,
            "clocks": _clocks(waits, event.due) + _clocks(ClockKind.PAPERS, event.papers_by),
        }
    )


def _bounced(one: Application, event: PaymentBounced) -> Application:
    if event.envelope is not None:
        return one.model_copy(update={"envelope": event.envelope, "attempts": one.attempts + 1})
    return one.model_copy(
        update={
            "status": Status.BOUNCED,
            "envelope": None,
            "clocks": one.without(ClockKind.PAY) + _clocks(ClockKind.COMPLETE, event.complete_by),
        }
    )
